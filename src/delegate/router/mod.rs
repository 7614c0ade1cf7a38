//! Which requests leave the machine, and how far: gates in a fixed order, each with its verdict and its reason.
//!
//! What it is not: it sends nothing, spends nothing, asks nobody and calls no model; it is handed what it must know and
//! says what should happen. Policy has been asked before ([`State::policy`]) and is asked again by whoever sends.
//!
//! Start at [`Router::route`]; `gates` has the gates in order, `class` the words that they know.

mod brief;
mod class;
mod explain;
mod gates;
mod ladder;
mod request;
#[cfg(test)]
mod tests;
mod words;

pub use brief::{Brief, Excerpt, TEMPLATE};
pub use class::{Class, UserWord};
pub use explain::explain;
pub use ladder::Rung;
pub use request::{Allowance, Attachment, Connectivity, Failures, Flags, Need, Request, State};

use gates::Gates;
use std::fmt;

/// What a gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the next one decides.
    Pass,
    /// Somebody with this ability is needed.
    Up(Need),
    /// It stays here.
    Stay,
    /// It may go when somebody says yes.
    Ask,
    /// It goes when the network is back.
    Wait,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("pass"),
            Self::Up(ability) => write!(f, "up: {ability}"),
            Self::Stay => f.write_str("stay"),
            Self::Ask => f.write_str("ask"),
            Self::Wait => f.write_str("wait"),
        }
    }
}

/// A gate that was passed through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// `0 capability` to `6 words`.
    pub name: &'static str,
    /// What it says.
    pub verdict: Verdict,
    /// Why, for people.
    pub reason: String,
}

/// A rung and what speaks for or against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    /// The rung's name.
    pub rung: String,
    /// Whether it is the one.
    pub is_taken: bool,
    /// Why, for people.
    pub reason: String,
}

/// What should happen with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// The local model answers.
    Stay,
    /// The rung is sent a brief.
    Go,
    /// As [`Self::Go`], once somebody has said yes.
    Ask,
    /// As [`Self::Go`], once the network is back: it is queued.
    Wait,
    /// The local model cannot do it and it may not leave: the user is told so.
    Unable,
}

impl Course {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stay => "stay",
            Self::Go => "go",
            Self::Ask => "ask",
            Self::Wait => "wait",
            Self::Unable => "unable",
        }
    }
}

/// What would leave of the user's words, the first 16 KiB of them; what is sent is a brief made of no more than the
/// words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// The words.
    pub before: String,
    /// As they would leave.
    pub after: String,
    /// The files with them: how many, and their bytes in all.
    pub files: (usize, u64),
}

/// The router's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Who answers: the name of a rung.
    pub rung: String,
    /// What should happen.
    pub course: Course,
    /// What somebody is needed for, if anybody.
    pub need: Option<Need>,
    /// All seven, in order.
    pub gates: Vec<Gate>,
    /// All rungs, in order.
    pub rungs: Vec<Considered>,
    /// The policy's rule that was handed in.
    pub rule: String,
    /// What would leave; `None` where nothing does.
    pub leaving: Option<Leaving>,
    /// What it is estimated to cost, in micro-dollars; `None` is unknown.
    pub price: Option<u64>,
}

impl Route {
    /// Each gate and each rung in a line, for the journal.
    pub fn lines(&self) -> Vec<String> {
        let gates = self.gates.iter().map(|gate| format!("{}: {}: {}", gate.name, gate.verdict, gate.reason));
        let rungs = self.rungs.iter().map(|considered| {
            let verdict = if considered.is_taken { "taken" } else { "not taken" };
            format!("{}: {verdict}: {}", considered.rung, considered.reason)
        });
        gates.chain(rungs).collect()
    }
}

/// The router with what can be set about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Router {
    /// How many answers that do not fit their schema are one failure.
    pub max_schema_failures: u32,
    /// The mean log-probability under which an answer counts as uncertain; `None` leaves it out of the matter.
    pub min_logprob: Option<f64>,
}

impl Default for Router {
    fn default() -> Self {
        Self { max_schema_failures: 3, min_logprob: None }
    }
}

impl Router {
    /// What should happen with the request as things stand. The same for the same, and well under a millisecond: it
    /// reads 2,000 bytes of the words.
    pub fn route(&self, request: &Request<'_>, state: &State<'_>) -> Route {
        Gates::new(*self, request, state).route()
    }
}
