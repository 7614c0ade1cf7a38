//! Whose words a value is made of, and how far it may go. Labels only ever grow.
//!
//! It judges no text: a harmless page and a malicious one have the same label. What policy makes of it stands in its rules
//! (`when.argument.integrity = "untrusted"`). Start at [`Label`].

use super::{Confidentiality, Effect};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Whether words are the user's and the program's own, or a stranger's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Integrity {
    /// The user's, the program's, or computed from these.
    #[default]
    Trusted,
    /// A page's, a server's: text that may try to give orders.
    Untrusted,
}

impl Integrity {
    /// The word in a policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Untrusted => "untrusted",
        }
    }

    /// Of what a tool gives whose calls do this: what comes back from outside was written there.
    pub fn after(effect: Effect) -> Self {
        match effect {
            Effect::Pure | Effect::Read | Effect::Write => Self::Trusted,
            Effect::Send | Effect::Cloud => Self::Untrusted,
        }
    }
}

/// What a value, or all that a model has read, goes back to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    strangers: BTreeSet<String>,
    confidentiality: Confidentiality,
    /// What made it as confidential as it is.
    kept: BTreeSet<String>,
}

static TRUSTED: Label = Label::TRUSTED;

/// Sources that are remembered by name: enough to ask a person about.
const MAX_NAMES: usize = 16;

impl Label {
    /// The user's own, and anybody's to read.
    pub(super) const TRUSTED: Self =
        Self { strangers: BTreeSet::new(), confidentiality: Confidentiality::Public, kept: BTreeSet::new() };

    /// The user's own, and anybody's to read.
    pub fn trusted() -> &'static Self {
        &TRUSTED
    }

    /// The words of what `source` names: a tool, a site, a file.
    pub fn untrusted(source: impl Into<String>) -> Self {
        Self { strangers: BTreeSet::from([source.into()]), ..Self::default() }
    }

    /// What goes no further than this, from what `source` names.
    pub fn confidential(confidentiality: Confidentiality, source: impl Into<String>) -> Self {
        Self { confidentiality, kept: BTreeSet::from([source.into()]), ..Self::default() }
    }

    /// The label of a value that is made of both.
    pub fn join(&mut self, other: &Self) {
        let add = |names: &mut BTreeSet<String>, more: &BTreeSet<String>| {
            let room = MAX_NAMES.saturating_sub(names.len());
            let new = more.difference(names).take(room).cloned().collect::<Vec<_>>();
            names.extend(new);
        };
        add(&mut self.strangers, &other.strangers);
        // Only what counts is named: a letter's reader is of no interest once a key was read.
        if other.confidentiality > self.confidentiality {
            self.kept.clear();
        }
        if other.confidentiality >= self.confidentiality {
            add(&mut self.kept, &other.kept);
        }
        self.confidentiality = self.confidentiality.join(other.confidentiality);
    }

    /// Untrusted as soon as one stranger's word is in it.
    pub fn integrity(&self) -> Integrity {
        if self.strangers.is_empty() { Integrity::Trusted } else { Integrity::Untrusted }
    }

    /// Who they are, the first of them.
    pub fn strangers(&self) -> impl Iterator<Item = &str> {
        self.strangers.iter().map(String::as_str)
    }

    /// As its most confidential part.
    pub fn confidentiality(&self) -> Confidentiality {
        self.confidentiality
    }

    /// What that part is, the first of them.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().map(String::as_str)
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

    #[test]
    fn the_most_confidential_part_counts_and_is_named() {
        let mut label = Label::confidential(Confidentiality::Secret, "a key");
        label.join(&Label::confidential(Confidentiality::LocalOnly, ".env"));
        label.join(&Label::confidential(Confidentiality::Secret, "another key"));
        label.join(&Label::untrusted("a page"));
        assert_eq!(
            (label.confidentiality(), label.kept().collect::<Vec<_>>()),
            (Confidentiality::LocalOnly, vec![".env"])
        );
    }
}
