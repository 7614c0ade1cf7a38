//! Which placeholder stands for which value: the only thing that can restore them.
//!
//! It is one session's, and is neither printed nor written anywhere: whoever has it has the values. Start at
//! [`Placeholders::restore`].

use super::placeholder;
use super::{Kind, Restoring};
use std::collections::HashMap;
use std::fmt;

/// The values that were taken out in a session. The same value has the same placeholder throughout; another spelling of
/// it (capitals, spaces) is another value, for it must come back as it was. It grows with the text that it has seen.
#[derive(Clone, Default)]
pub struct Placeholders {
    numbers: HashMap<Kind, HashMap<String, u32>>,
    values: HashMap<Kind, Vec<String>>,
}

impl fmt::Debug for Placeholders {
    /// Without the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Placeholders({})", self.len())
    }
}

impl Placeholders {
    /// A table without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number that stands for a value, from 1.
    pub(super) fn number(&mut self, kind: Kind, value: &str) -> u32 {
        let numbers = self.numbers.entry(kind).or_default();
        if let Some(number) = numbers.get(value) {
            return *number;
        }
        let values = self.values.entry(kind).or_default();
        values.push(value.to_owned());
        let number = u32::try_from(values.len()).unwrap_or(u32::MAX);
        numbers.insert(value.to_owned(), number);
        number
    }

    /// What a placeholder stands for.
    pub(super) fn value(&self, kind: Kind, number: u32) -> Option<&str> {
        let idx = usize::try_from(number).ok()?.checked_sub(1)?;
        self.values.get(&kind)?.get(idx).map(String::as_str)
    }

    /// How many values it knows.
    pub fn len(&self) -> usize {
        self.values.values().map(Vec::len).sum()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each placeholder with what it stands for, by kind and number: for showing the user on their own screen what is
    /// kept back, and for nothing that leaves the machine.
    pub fn iter(&self) -> impl Iterator<Item = (String, &str)> {
        Kind::placed().flat_map(|kind| {
            let values = self.values.get(&kind).map(Vec::as_slice).unwrap_or_default();
            (1..).zip(values).map(move |(number, value)| (placeholder::write(kind, number), value.as_str()))
        })
    }

    /// The text with every placeholder that the table knows turned into its value, also where a model wrote it its own
    /// way (`[[email 1]]`). `restore(redact(text)) == text` for every text.
    ///
    /// For trusted sinks alone, and among these for what no program follows: a file of the user's. For an answer that
    /// is shown take [`Self::restore_prose`]. What goes on to a model, a URL or another cloud call is never restored.
    pub fn restore(&self, text: &str) -> String {
        let mut restoring = Restoring::new(self);
        let mut restored = restoring.push(text);
        restored.push_str(&restoring.finish());
        restored
    }

    /// As [`Self::restore`], but a placeholder inside a URL stays as it is: a model, or a page that it read, may have
    /// put it there to have the value carried away when the link is drawn or followed.
    ///
    /// A URL begins with a scheme, `www.`, `//` or `host.name/`, or is where Markdown and HTML have one; it ends with
    /// white space, or with the bracket around it. In doubt it is one: a value that is not put back is a nuisance.
    pub fn restore_prose(&self, text: &str) -> String {
        let mut restoring = Restoring::prose(self);
        let mut restored = restoring.push(text);
        restored.push_str(&restoring.finish());
        restored
    }
}
