//! Items in the store: one JSON value each under `item.` and the number, and under `next` the number of the next one.
//!
//! Gives no number twice, also when its item is removed. Start at [`Items::add`].

use serde::{Deserialize, Serialize};
use tool_guest::Failure;

const ITEM: &str = "item.";
const NEXT: &str = "next";

/// The store that the package was granted.
pub trait Store {
    /// The value of a key, if it has one.
    fn value(&self, key: &str) -> Result<Option<String>, String>;
    /// Gives a key a value.
    fn set(&self, key: &str, value: &str) -> Result<(), String>;
    /// Removes a key, if it is there.
    fn remove(&self, key: &str) -> Result<(), String>;
    /// The keys that begin so.
    fn keys(&self, prefix: &str) -> Result<Vec<String>, String>;
}

/// Something to do.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Item {
    /// One line.
    pub text: String,
    /// A day such as `2026-03-01`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// Whether it is done.
    #[serde(default)]
    pub done: bool,
}

/// The items in a store.
pub struct Items<'a>(
    /// Where they lie.
    pub &'a dyn Store,
);

impl Items<'_> {
    /// Keeps a new item; its number.
    pub fn add(&self, item: &Item) -> Result<u64, Failure> {
        let next = self.0.value(NEXT).map_err(Failure::Failed)?.and_then(|next| next.parse().ok()).unwrap_or(1);
        let number = self.numbers()?.last().map_or(next, |last| next.max(last.saturating_add(1)));
        // First the number: if the call ends here, one is left out, and none is given twice.
        self.0.set(NEXT, &number.saturating_add(1).to_string()).map_err(Failure::Failed)?;
        self.put(number, item)?;
        Ok(number)
    }

    /// The numbers that are there, in order.
    pub fn numbers(&self) -> Result<Vec<u64>, Failure> {
        let keys = self.0.keys(ITEM).map_err(Failure::Failed)?;
        let mut numbers: Vec<u64> = keys.iter().filter_map(|key| key.strip_prefix(ITEM)?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Whether a number is there.
    pub fn has(&self, number: u64) -> Result<bool, Failure> {
        Ok(self.0.value(&key(number)).map_err(Failure::Failed)?.is_some())
    }

    /// The item of a number, if it is there. A value that is no item is an error.
    pub fn item(&self, number: u64) -> Result<Option<Item>, Failure> {
        let value = self.0.value(&key(number)).map_err(Failure::Failed)?;
        let read = |value: String| {
            let damaged = |_| Failure::Failed(format!("number {number} is damaged; remove it"));
            serde_json::from_str(&value).map_err(damaged)
        };
        value.map(read).transpose()
    }

    /// Puts an item under its number.
    pub fn put(&self, number: u64, item: &Item) -> Result<(), Failure> {
        let value = serde_json::to_string(item).map_err(|error| Failure::Failed(error.to_string()))?;
        self.0.set(&key(number), &value).map_err(Failure::Failed)
    }

    /// Removes a number.
    pub fn remove(&self, number: u64) -> Result<(), Failure> {
        self.0.remove(&key(number)).map_err(Failure::Failed)
    }
}

/// Padded, so that the keys are in the order of the numbers.
fn key(number: u64) -> String {
    format!("{ITEM}{number:08}")
}
