//! Whose words a value is made of: what strangers wrote is marked, and whatever comes after it in a session is marked too.
//!
//! It judges no text: a harmless page and a malicious one have the same label. What policy makes of it stands in its rules
//! (`context = "untrusted"`). Start at [`Label`].

use super::Effect;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Whether words are the user's and the program's own, or a stranger's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Integrity {
    /// The user's, the program's, or computed from these.
    #[default]
    Trusted,
    /// A page's, a server's: text that may try to give orders.
    Untrusted,
}

impl Integrity {
    /// Of what a tool gives whose calls do this: what comes back from outside was written there.
    pub fn after(effect: Effect) -> Self {
        match effect {
            Effect::Pure | Effect::Read | Effect::Write => Self::Trusted,
            Effect::Send | Effect::Cloud => Self::Untrusted,
        }
    }
}

/// What a value, or all that a model has read, goes back to. Labels only ever grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    strangers: BTreeSet<String>,
}

static TRUSTED: Label = Label { strangers: BTreeSet::new() };

/// Strangers that are remembered by name: enough to ask a person about.
const MAX_NAMES: usize = 16;

impl Label {
    /// Nothing of strangers.
    pub fn trusted() -> &'static Self {
        &TRUSTED
    }

    /// The words of what `source` names: a tool, a site.
    pub fn untrusted(source: impl Into<String>) -> Self {
        Self { strangers: BTreeSet::from([source.into()]) }
    }

    /// The label of a value that is made of both.
    pub fn join(&mut self, other: &Self) {
        let room = MAX_NAMES.saturating_sub(self.strangers.len());
        let new = other.strangers.difference(&self.strangers).take(room).cloned().collect::<Vec<_>>();
        self.strangers.extend(new);
    }

    /// Untrusted as soon as one stranger's word is in it.
    pub fn integrity(&self) -> Integrity {
        if self.strangers.is_empty() { Integrity::Trusted } else { Integrity::Untrusted }
    }

    /// Who they are, the first of them.
    pub fn strangers(&self) -> impl Iterator<Item = &str> {
        self.strangers.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_strangers_word_is_enough_and_stays() {
        let mut label = Label::trusted().clone();
        label.join(Label::trusted());
        assert_eq!(label.integrity(), Integrity::Trusted);
        label.join(&Label::untrusted("browser.open"));
        label.join(Label::trusted());
        assert_eq!(
            (label.integrity(), label.strangers().collect::<Vec<_>>()),
            (Integrity::Untrusted, vec!["browser.open"])
        );
        for n in 0..100 {
            label.join(&Label::untrusted(format!("site {n}")));
        }
        assert_eq!(label.strangers().count(), MAX_NAMES);
    }
}
