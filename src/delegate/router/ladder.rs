//! The rungs that a request can climb: own machine, own infrastructure, and only then the cloud.
//!
//! It holds no addresses and no keys: a rung is a name, what it can do, and what it may see. Start at [`Rung`].

use super::request::Need;
use crate::policy::Confidentiality;

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Such as `local`, `organisation` or `hosted`.
    pub name: String,
    /// What it can do. The local rung answers text in any case; [`Need::Ask`] is a stronger model's.
    pub abilities: Vec<Need>,
    /// Tokens that it can read at once.
    pub context: u64,
    /// The most confidential that it may see.
    pub max: Confidentiality,
    /// Whether personal data and keys are taken out first.
    pub is_redacted: bool,
    /// What this request would cost there, in micro-dollars; `None` is unknown, zero is for nothing.
    pub price: Option<u64>,
    /// The words as they reach this rung, when that is known; else as the request has them.
    pub sees: Option<String>,
    /// How confidential the request is as it reaches this rung, when that is known; else as it is by itself.
    pub label: Option<Confidentiality>,
    /// Whether it was not there a moment ago.
    pub is_down: bool,
}

impl Rung {
    /// The local model: text alone, for nothing.
    pub fn local(context: u64) -> Self {
        Self {
            name: "local".into(),
            abilities: Vec::new(),
            context,
            max: Confidentiality::LocalOnly,
            is_redacted: false,
            price: Some(0),
            sees: None,
            label: None,
            is_down: false,
        }
    }

    /// Whether it can do this with so many tokens.
    pub fn can(&self, ability: Need, n_tokens: u64) -> bool {
        self.abilities.contains(&ability) && n_tokens <= self.context
    }
}
