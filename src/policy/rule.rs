//! What a policy is made of: rules, each an answer to the calls that it speaks of.
//!
//! It decides nothing: rules are read by `file`, and the statements that `cedar` makes of them decide. Start at [`Rule`].

use super::pattern::Pattern;
use super::place::Area;
use super::{Confidentiality, Effect, HostPattern, Integrity, Money, Principal};
use serde::Deserialize;

/// A rule's answer. The stronger one wins, and is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Go on.
    Allow,
    /// Ask somebody.
    Ask,
    /// No.
    Deny,
}

impl Answer {
    /// The word in a policy file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// One rule: an answer to the calls that it speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub(super) id: String,
    /// Empty speaks of every tool.
    pub(super) tools: Vec<Pattern>,
    /// Empty speaks of every effect.
    pub(super) effects: Vec<Effect>,
    /// Empty speaks of every path, and of none.
    pub(super) within: Vec<Area>,
    /// Empty speaks of every host, and of none.
    pub(super) hosts: Vec<HostPattern>,
    /// Empty speaks of whoever calls.
    pub(super) principals: Vec<Callers>,
    pub(super) when: When,
    pub(super) answer: Answer,
    /// Where it stands in the file, from 1.
    pub(super) line: usize,
}

/// What a rule wants of a call beyond who calls what and where it reaches. `None` is anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct When {
    /// Of all that the model has read.
    pub(super) context: Option<Integrity>,
    /// Of the words in the call's arguments.
    pub(super) argument: Option<Integrity>,
    /// As confidential as this, or more.
    pub(super) confidentiality: Option<Confidentiality>,
    /// Costs more than this, or nobody knows how much.
    pub(super) cost_above: Option<Money>,
}

/// Those whom a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Callers {
    /// Somebody in particular.
    One(Principal),
    /// Every run without a person.
    AnyAutomation,
}

impl Callers {
    /// Reads `interactive`, `automation:nightly` or `automation:*`; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "automation:*" => Ok(Self::AnyAutomation),
            text => text.parse().map(Self::One),
        }
    }
}

impl Rule {
    /// Its name, unique in its policy.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it says.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// Whether a call can happen by it. One that looks at what is suspicious in a call makes others stricter and allows nothing.
    pub(super) fn permits(&self) -> bool {
        self.answer != Answer::Deny && !self.when.is_suspicious()
    }

    /// Whether it speaks of this tool with this effect, wherever and whoever.
    pub(super) fn names(&self, tool: &super::ToolId, effect: Effect) -> bool {
        (self.tools.is_empty() || self.tools.iter().any(|pattern| pattern.matches(tool)))
            && (self.effects.is_empty() || self.effects.contains(&effect))
    }

    /// Whether it speaks of calls whoever makes them, wherever they reach and whatever they hold.
    pub(super) fn is_unconditional(&self) -> bool {
        self.effects.is_empty()
            && self.within.is_empty()
            && self.hosts.is_empty()
            && self.principals.is_empty()
            && self.when == When::default()
    }
}

impl When {
    /// Whether it singles out calls that one would rather be careful with.
    pub(super) fn is_suspicious(&self) -> bool {
        self.context == Some(Integrity::Untrusted)
            || self.argument == Some(Integrity::Untrusted)
            || self.confidentiality.is_some()
            || self.cost_above.is_some()
    }
}
