//! The loop: a user's line goes in, the model speaks and calls tools, an answer comes out.
//!
//! It knows engine, tools, policy and journal by their traits and types, and nothing of files, flags or terminals.
//! Start at [`Agent::ask`]: a turn is steps, a step is one generation, and what it says is dispatched.

mod builder;
mod call;
mod cite;
pub mod cloud;
mod dispatch;
mod escalate;
mod event;
mod nudge;
mod prompt;
mod provenance;
mod step;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trained;
mod transcript;
mod watch;

pub use builder::{AgentBuilder, MAX_DECLARED};
pub use call::{Called, Caller, Kept};
pub use cite::{Citations, Cited};
pub use event::{CallOutcome, Event, EventSink, TurnEnd, Usage};
pub use prompt::{DEVELOPER as DEVELOPER_TEMPLATE, developer as render_developer};
pub use provenance::Provenance;

use crate::engine::{Engine, EngineError, GrammarError, ModelDescription, SamplingParams};
use crate::harmony::{Encoding, Message, Token, TurnGrammar};
use crate::journal::{Journal, JournalError, Record};
use crate::tool::{Citable, RegisterError, Toolbox};
use crate::world::World;
use dispatch::{Calls, Dispatched};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use transcript::Transcript;

/// One session with a model and its tools.
pub struct Agent {
    engine: Arc<dyn Engine>,
    encoding: Encoding,
    toolbox: Toolbox,
    caller: Caller,
    journal: Journal,
    world: World,
    sampling: SamplingParams,
    top_logprobs: Option<usize>,
    /// What a turn may be; `None` leaves the model free.
    grammar: Option<Arc<TurnGrammar>>,
    /// Whether an answer has to be JSON.
    wants_json: bool,
    limits: Limits,
    transcript: Transcript,
    /// The pages that it was shown, by their number.
    pages: HashMap<usize, Citable>,
    usage: Usage,
    /// Calls of the session so far; numbers the next one.
    n_calls: u64,
}

/// When a turn is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Generations a turn.
    pub max_steps: usize,
    /// Generated tokens a turn.
    pub max_tokens: usize,
    /// Tokens of reasoning a generation; after them the model is made to answer.
    pub max_reasoning_tokens: usize,
    /// A turn's time, approvals included.
    pub max_time: Duration,
    /// A call's time, whatever limit the tool has of its own.
    pub max_call_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_steps: 20,
            max_tokens: 16_384,
            max_reasoning_tokens: 8_192,
            max_time: Duration::from_secs(3600),
            max_call_time: Duration::from_secs(120),
        }
    }
}

/// What a turn gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The final message; what there was of it when the turn was stopped.
    pub text: String,
    /// Why the turn ended.
    pub end: TurnEnd,
}

/// Why a turn could not go on. What the model can repair is never one of these: it is answered.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The builder was given no engine.
    #[error("an agent needs an engine: call `AgentBuilder::engine`")]
    NoEngine,
    /// The developer template does not render.
    #[error("the developer prompt cannot be rendered: {0:#}")]
    Prompt(#[from] minijinja::Error),
    /// A tool cannot be registered.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// A tool's schema, or the answer's, is one that a model cannot be held to.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    /// The model cannot run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The journal cannot be written, so nothing may happen.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Agent {
    /// Where every agent begins.
    pub fn builder() -> AgentBuilder {
        AgentBuilder::default()
    }

    /// The session's identity in the journal.
    pub fn session_id(&self) -> &str {
        self.journal.session_id()
    }

    /// What the session used so far.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// What runs the session.
    pub fn model(&self) -> &ModelDescription {
        self.engine.description()
    }

    /// The session's tools.
    pub fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    /// One turn: the user's line to the final answer. An error leaves the session usable: the model has not seen the turn,
    /// its journal says how far it got.
    ///
    /// `cancel` stops the engine within a layer's time and a call at once; the turn then ends as [`TurnEnd::Cancelled`].
    pub async fn ask(
        &mut self,
        text: &str,
        events: &mut dyn EventSink,
        cancel: CancellationToken,
    ) -> Result<Answer, AgentError> {
        self.ask_about(text, text, events, cancel).await
    }

    /// As [`Self::ask`], of a line that is not all the user's own: what they `typed` of it is, and nobody knows who wrote the rest.
    pub async fn ask_about(
        &mut self,
        text: &str,
        typed: &str,
        events: &mut dyn EventSink,
        cancel: CancellationToken,
    ) -> Result<Answer, AgentError> {
        self.transcript.drop_finished_reasoning();
        let n_before = self.transcript.len();
        self.journal.append(Record::TurnStarted { text: text.to_owned() }).await?;
        self.caller.provenance().heard(typed);
        self.append_rendered(Message::user(text)).await?;
        events.event(Event::TurnStarted);

        // The time limit cancels too, through a token of its own, so that both reasons stop everything the same way.
        let stop = cancel.child_token();
        let deadline = tokio::spawn({
            let (stop, clock, max_time) = (stop.clone(), self.world.clock.clone(), self.limits.max_time);
            async move {
                clock.sleep(max_time).await;
                stop.cancel();
            }
        });
        let mut turn = Turn { events, stop, usage: Usage::default(), calls: Calls::default() };
        let outcome = match self.run_turn(&mut turn).await {
            Ok(answer) => self.escalated(&mut turn, text, answer).await,
            error => error,
        };
        deadline.abort();

        let Turn { events, usage, .. } = turn;
        self.usage += usage;
        let answer = outcome.map(|mut answer| {
            if answer.end == TurnEnd::Cancelled && !cancel.is_cancelled() {
                answer.end = TurnEnd::TimeLimit;
            }
            answer
        });
        if answer.is_err() {
            // A line that cannot be answered (the context is full, the engine is gone) must not stand before the next one.
            self.transcript.truncate(n_before);
        }
        let end = answer.as_ref().map_or(TurnEnd::Failed, |answer| answer.end);
        events.event(Event::TurnEnded { end, usage });
        self.journal.append(Record::turn_ended(end.as_str(), usage.prompt_tokens, usage.generated_tokens)).await?;
        answer
    }

    /// Steps until an answer or a limit. When the model stops without an answer, it is made to begin one, once.
    async fn run_turn(&mut self, turn: &mut Turn<'_>) -> Result<Answer, AgentError> {
        let mut force_answer = false;
        for n_steps in 1..=self.limits.max_steps {
            let Some(max_tokens) = self.limits.max_tokens.checked_sub(turn.usage.generated_tokens).filter(|n| *n > 0)
            else {
                return Ok(Answer { text: String::new(), end: TurnEnd::TokenLimit });
            };
            let step = self.generate(turn, max_tokens, force_answer).await?;
            let is_last = n_steps == self.limits.max_steps || turn.usage.generated_tokens >= self.limits.max_tokens;
            match self.dispatch(turn, step, force_answer || is_last).await? {
                Dispatched::Replied => force_answer = turn.calls.going_in_circles(),
                Dispatched::Ended(answer) => return Ok(answer),
                Dispatched::Nothing if force_answer => {
                    return Ok(Answer { text: String::new(), end: TurnEnd::NoAnswer });
                }
                Dispatched::Nothing => force_answer = true,
            }
        }
        Ok(Answer { text: String::new(), end: TurnEnd::StepLimit })
    }

    /// Renders a message of the runtime's own into the transcript and the journal.
    async fn append_rendered(&mut self, message: Message) -> Result<(), AgentError> {
        let tokens: Vec<Token> = self.transcript.push_rendered(&self.encoding, message).to_vec();
        self.journal.append(Record::prompt(tokens)).await?;
        Ok(())
    }
}

/// What lives for one turn.
struct Turn<'a> {
    events: &'a mut dyn EventSink,
    /// Cancelled by the caller or by the turn's deadline.
    stop: CancellationToken,
    usage: Usage,
    calls: Calls,
}
