//! What an agent tells whoever watches: one enum, in the order things happen.
//!
//! It is for display only; the journal is not a sink, because the agent waits for it. Every turn emits exactly one
//! [`Event::TurnEnded`], last, and every call that started finishes.

use super::Cited;
use crate::engine::TokenLogprob;
use crate::tool::Attachment;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Something that happened in a turn. Text comes in pieces, as the model writes it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The user's line is in the journal.
    TurnStarted,
    /// The engine reads what is new in the prompt.
    Prefill {
        /// Tokens read so far.
        done: usize,
        /// Tokens to be read.
        total: usize,
    },
    /// A piece of reasoning.
    Reasoning(String),
    /// A piece of a remark before a call.
    Preamble(String),
    /// A piece of the answer.
    Answer(String),
    /// The model called a tool; policy has not spoken yet.
    CallStarted {
        /// Counts the calls of a session from 1.
        id: u64,
        /// The tool's identity, or what the model wrote when there is no such tool.
        tool: String,
        /// As the model wrote them.
        arguments: String,
    },
    /// A call says how far it is.
    CallProgress {
        /// As in [`Event::CallStarted`].
        id: u64,
        /// In a few words of the tool's.
        text: String,
    },
    /// A call that has just finished made a file.
    Attachment {
        /// As in [`Event::CallStarted`].
        id: u64,
        /// As the tool gave it.
        file: Arc<Attachment>,
        /// Where it is kept; `None` when it is kept nowhere.
        path: Option<PathBuf>,
    },
    /// A call has its reply.
    CallFinished {
        /// As in [`Event::CallStarted`].
        id: u64,
        /// How it went.
        outcome: CallOutcome,
        /// What the model reads.
        text: String,
        /// From the call to its reply, an approval's wait included.
        duration: Duration,
    },
    /// Pages that the answer names, each place once.
    Cited(Vec<Cited>),
    /// How sure the model was of each token of the generation that has just ended, for who asked for it.
    Logprobs(Vec<TokenLogprob>),
    /// Something the user should know and nobody has to act on.
    Warning(String),
    /// The turn is over.
    TurnEnded {
        /// Why.
        end: TurnEnd,
        /// What the turn used.
        usage: Usage,
    },
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// The tool answered.
    Ok,
    /// There is no such tool, its arguments were wrong, or it failed: the reply says so.
    Error,
    /// Policy or the person said no.
    Denied,
    /// The turn was cancelled meanwhile.
    Cancelled,
}

/// Why a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnEnd {
    /// The model answered.
    Answered,
    /// The model stopped without an answer, also when it was asked for one.
    NoAnswer,
    /// The last call of the turn was denied, whatever the model said then.
    Denied,
    /// The model said the same thing again and again; the answer is what it said until it was stopped.
    Repetition,
    /// [`Limits::max_steps`](super::Limits::max_steps).
    StepLimit,
    /// [`Limits::max_tokens`](super::Limits::max_tokens).
    TokenLimit,
    /// [`Limits::max_time`](super::Limits::max_time).
    TimeLimit,
    /// Somebody cancelled it.
    Cancelled,
    /// It could not go on; an error says why. What it added to the transcript is taken back.
    Failed,
}

impl TurnEnd {
    /// In a word, as the journal has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NoAnswer => "no_answer",
            Self::Denied => "denied",
            Self::Repetition => "repetition",
            Self::StepLimit => "step_limit",
            Self::TokenLimit => "token_limit",
            Self::TimeLimit => "time_limit",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

/// What a turn or a session used, in tokens and calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Read, of all prompts together.
    pub prompt_tokens: usize,
    /// Of these, already in the engine's cache.
    pub reused_tokens: usize,
    /// Written by the model.
    pub generated_tokens: usize,
    /// Generations.
    pub n_steps: usize,
    /// Calls, the refused ones included.
    pub n_calls: usize,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.reused_tokens += other.reused_tokens;
        self.generated_tokens += other.generated_tokens;
        self.n_steps += other.n_steps;
        self.n_calls += other.n_calls;
    }
}

/// Whoever watches. Called from the agent's task: quick, and never waiting.
pub trait EventSink: Send {
    /// Takes one event.
    fn event(&mut self, event: Event);
}

/// Nobody watches.
impl EventSink for () {
    fn event(&mut self, _event: Event) {}
}

/// Keeps them all.
impl EventSink for Vec<Event> {
    fn event(&mut self, event: Event) {
        self.push(event);
    }
}
