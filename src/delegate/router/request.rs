//! What the router is asked about: a user's line, or a call of one of the cloud tools.
//!
//! It is handed in whole: the router reads no file, no policy and no clock. Start at [`Request`] and [`State`].

use super::ladder::Rung;
use crate::policy::redact::Found;
use crate::policy::{Answer, Confidentiality, Integrity};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What somebody may be needed for. A rung of the ladder has some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Text in, text out, as a stronger model does it: `cloud.ask`.
    Ask,
    /// A picture out of words: `cloud.image`.
    Image,
    /// A picture out of a picture and words: `cloud.edit_image`.
    EditImage,
    /// The words of a recording: `cloud.transcribe`.
    Transcribe,
    /// A voice for words: `cloud.speak`.
    Speak,
    /// Words about a picture: `cloud.see`.
    See,
    /// What has happened since the model was trained.
    Facts,
}

impl Need {
    /// All.
    pub const ALL: [Self; 7] =
        [Self::Ask, Self::Image, Self::EditImage, Self::Transcribe, Self::Speak, Self::See, Self::Facts];

    /// The word in configuration and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Image => "image",
            Self::EditImage => "edit_image",
            Self::Transcribe => "transcribe",
            Self::Speak => "speak",
            Self::See => "see",
            Self::Facts => "facts",
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A file that comes with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Such as `image/png`.
    pub media_type: String,
    /// Its size in bytes.
    pub n_bytes: u64,
}

/// One line of the user's, or one call of a cloud tool.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The user's line; for a call the text that would be sent.
    pub words: &'a str,
    /// The same after redaction; `None` where nothing redacted it, and then it goes to no rung that wants it redacted.
    pub redacted: Option<&'a str>,
    /// What redaction took out.
    pub found: &'a [Found],
    /// The files with it.
    pub attachments: &'a [Attachment],
    /// The cloud tool that the local model calls, by what it does; `None` for a line of the user's.
    pub tool: Option<Need>,
    /// Estimated size of all that a model would read, in tokens.
    pub n_tokens: u64,
    /// Whether a stranger's words are among them.
    pub integrity: Integrity,
    /// Of all that would be sent, by its sources. What redaction found comes on top of it.
    pub confidentiality: Confidentiality,
}

impl<'a> Request<'a> {
    /// A line of the user's with nothing special about it.
    pub fn line(words: &'a str) -> Self {
        Self {
            words,
            redacted: None,
            found: &[],
            attachments: &[],
            tool: None,
            n_tokens: 0,
            integrity: Integrity::Trusted,
            confidentiality: Confidentiality::Public,
        }
    }

    /// The label with what redaction found.
    pub fn label(&self) -> Confidentiality {
        self.confidentiality.join(Confidentiality::of(self.found.iter().map(|found| found.kind)))
    }
}

/// Whether the network is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connectivity {
    /// The last probe came back.
    Online,
    /// It did not.
    Offline,
    /// Nobody has looked: sending will show.
    #[default]
    Unknown,
}

/// What the command line says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--offline`: nothing leaves, now or later.
    pub offline: bool,
    /// `--cloud`: take the strong model.
    pub cloud: bool,
}

/// What went wrong with the local model in this turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// How often what it wrote did not fit the schema.
    pub n_schema: u32,
    /// It went round in circles.
    pub has_looped: bool,
    /// A verifier said no.
    pub is_refuted: bool,
    /// Its final answer was empty.
    pub is_empty: bool,
}

/// What may be spent, in micro-dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// What is left for this request.
    pub left: u64,
    /// What to do where a price is more than that.
    pub over: Answer,
    /// What to do where the price is unknown.
    pub unknown: Answer,
}

/// How things stand.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    /// Whether the network is there.
    pub connectivity: Connectivity,
    /// What the command line says.
    pub flags: Flags,
    /// What policy says to letting this leave.
    pub policy: Answer,
    /// The policy's rule that says so.
    pub rule: &'a str,
    /// What may be spent.
    pub budget: Allowance,
    /// Whether a tool on this machine's side finds fresh facts.
    pub has_search: bool,
    /// What went wrong with the local model.
    pub failures: Failures,
    /// Whether somebody, here or elsewhere, has refused the request: that is an answer.
    pub is_refused: bool,
    /// Whether this turn has gone up already.
    pub has_escalated: bool,
    /// The mean log-probability of the local model's answer, if it is known: 0 is certain, -1 is one in e.
    pub mean_logprob: Option<f64>,
    /// Where it can go, the local model first.
    pub ladder: &'a [Rung],
}
