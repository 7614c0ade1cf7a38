//! What a step said is acted upon: an answer ends the turn, a call is decided, run and replied to.
//!
//! The recipient counts first, the channel second. Whatever the model can repair (no such tool, bad arguments, a denial,
//! a crash, a timeout) is a reply to it.

use super::call::{Called, Kept, STOPPED};
use super::cite::Citations;
use super::nudge::{meant_as_call, nudge};
use super::step::Step;
use super::watch::Cut;
use super::{Agent, AgentError, Answer, CallOutcome, Event, Turn, TurnEnd};
use crate::engine::Finish;
use crate::harmony::{Channel, Message};
use crate::policy::Effect;
use crate::tool::{Progress, Registered};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What came of a step.
pub(super) enum Dispatched {
    /// A call was answered, or what looked like one; the model goes on.
    Replied,
    /// The turn is over.
    Ended(Answer),
    /// Neither an answer nor a call.
    Nothing,
}

/// How often the same call may run in a turn, and after how many repetitions the model is made to answer.
const SAME_CALL_RUNS: usize = 3;
const SAME_CALL_END: usize = 5;

/// Words of a running call that wait to be shown.
const MAX_WORDS: usize = 64;

const SAME_CALL: &str = "error: this very call was made before in this turn; use the results above";

/// The calls of a turn.
#[derive(Default)]
pub(super) struct Calls {
    /// How often each call, recipient and arguments as the model wrote them, was made since something last changed.
    seen: HashMap<(String, String), usize>,
    last_denied: bool,
    /// Whether the model was told how a call is made.
    is_nudged: bool,
}

impl Calls {
    /// Whether the model makes the same call again and again.
    pub(super) fn going_in_circles(&self) -> bool {
        self.seen.values().any(|n| *n >= SAME_CALL_END)
    }
}

impl Agent {
    /// Acts on a step: at most one call, because a call stops the generation. `is_final` says that the model cannot call
    /// anything after it.
    pub(super) async fn dispatch(
        &mut self,
        turn: &mut Turn<'_>,
        step: Step,
        is_final: bool,
    ) -> Result<Dispatched, AgentError> {
        // A call that a cancelled turn has just made is in the transcript and gets its reply too.
        if let Some(call) = step.messages.iter().find(|message| message.is_call()) {
            return self.reply_to(turn, call).await;
        }
        let text = answer_text(&step.messages).map(|text| self.linked(&text));
        if turn.stop.is_cancelled() {
            return Ok(Dispatched::Ended(Answer { text: text.unwrap_or_default(), end: TurnEnd::Cancelled }));
        }
        if step.finish == Finish::Length {
            return Ok(Dispatched::Ended(Answer { text: text.unwrap_or_default(), end: TurnEnd::TokenLimit }));
        }
        let text = text.filter(|text| !text.trim().is_empty());
        // Not after a denial: the model may well be telling what it would have called.
        let may_call = !is_final && step.cut.is_none() && !turn.calls.last_denied;
        if may_call && !turn.calls.is_nudged && self.calls_in_vain(&step.messages) {
            turn.calls.is_nudged = true;
            turn.events.event(Event::Warning("the model wrote a call as text; it is told how to make one".into()));
            self.append_rendered(nudge()).await?;
            return Ok(Dispatched::Replied);
        }
        Ok(match text {
            Some(text) if step.cut == Some(Cut::Repetition) => {
                Dispatched::Ended(Answer { text, end: TurnEnd::Repetition })
            }
            Some(text) => {
                let end = if turn.calls.last_denied { TurnEnd::Denied } else { TurnEnd::Answered };
                Dispatched::Ended(Answer { text, end })
            }
            None => Dispatched::Nothing,
        })
    }

    /// An answer as people read it: with links for its citations. One that has to be JSON is left as it is.
    fn linked(&self, text: &str) -> String {
        if self.wants_json {
            return text.to_owned();
        }
        let mut citations = Citations::default();
        let shown = citations.push(text, &self.pages);
        shown + &citations.finish().0
    }

    /// Whether a step that calls nothing was meant to, by its last word. An answer that has to be JSON is one, whatever it
    /// looks like.
    fn calls_in_vain(&self, messages: &[Message]) -> bool {
        !self.wants_json && messages.last().is_some_and(|message| meant_as_call(message, &self.toolbox))
    }

    /// Runs a call and writes its reply into the transcript.
    async fn reply_to(&mut self, turn: &mut Turn<'_>, call: &Message) -> Result<Dispatched, AgentError> {
        let recipient = call.recipient.clone().unwrap_or_default();
        let arguments = call.text().unwrap_or_default().to_owned();
        self.n_calls += 1;
        let id = self.n_calls;
        turn.usage.n_calls += 1;
        let tool = self.toolbox.resolve(&recipient);
        let shown = tool.as_ref().map_or_else(|_| recipient.clone(), |tool| tool.spec().id.to_string());
        // A reply comes from the tool's proper name, however the model wrote it.
        let author = tool.as_ref().map_or_else(|_| recipient.clone(), |tool| tool.recipient());
        turn.events.event(Event::CallStarted { id, tool: shown, arguments: arguments.clone() });
        let started = self.world.clock.elapsed();
        let this = (recipient, arguments.clone());
        let n_same = *turn.calls.seen.entry(this.clone()).and_modify(|n_same| *n_same += 1).or_insert(1);
        let called = match tool {
            _ if turn.stop.is_cancelled() => Called::new(CallOutcome::Cancelled, STOPPED),
            Err(unknown) => Called::new(CallOutcome::Error, format!("error: {unknown}")),
            Ok(_) if n_same > SAME_CALL_RUNS => Called::new(CallOutcome::Error, SAME_CALL),
            Ok(registered) => {
                let spec = registered.spec();
                // What a notebook or a page stack gives depends on what was called meanwhile.
                let changes = spec.effect.changes() || registered.is_builtin();
                let sends = spec.effect != Effect::Write;
                let called = self.run_call(turn, id, registered, &arguments).await?;
                if called.outcome == CallOutcome::Ok && changes {
                    // What was sent again and again counts on: its answer need not be another one.
                    turn.calls.seen.retain(|call, _| sends && *call == this);
                }
                Called { text: self.readable(called.text), ..called }
            }
        };
        let Called { outcome, text, attachments, page } = called;
        self.pages.extend(page.map(|page| (page.cursor, page)));
        turn.calls.last_denied = outcome == CallOutcome::Denied;
        let duration = self.world.clock.elapsed().saturating_sub(started);
        turn.events.event(Event::CallFinished { id, outcome, text: text.clone(), duration });
        for Kept { file, path } in attachments {
            turn.events.event(Event::Attachment { id, file: Arc::new(file), path });
        }
        let channel = call.channel.unwrap_or(Channel::Commentary);
        self.append_rendered(Message::tool(author, channel, text)).await?;
        Ok(if outcome == CallOutcome::Cancelled {
            Dispatched::Ended(Answer { text: String::new(), end: TurnEnd::Cancelled })
        } else {
            Dispatched::Replied
        })
    }

    /// A result as the model reads it: cut where it would leave the model no room to think.
    pub(super) fn readable(&self, mut text: String) -> String {
        // A token has at least a byte and mostly four, so this is about a quarter of the context.
        let (n_bytes, most) = (text.len(), self.engine.description().context_length);
        if n_bytes > most {
            text.truncate(text.floor_char_boundary(most));
            text += &format!("\n[cut: this is the beginning of {n_bytes} bytes; ask for less]");
        }
        text
    }

    /// Makes the call, and tells whoever watches how far it is.
    pub(super) async fn run_call(
        &self,
        turn: &mut Turn<'_>,
        id: u64,
        registered: &Registered,
        arguments: &str,
    ) -> Result<Called, AgentError> {
        let (sender, mut words) = mpsc::channel(MAX_WORDS);
        let progress = Progress::to(move |text| {
            // Nobody hears it when the turn is over, or when there is too much of it.
            let _ = sender.try_send(text.to_owned());
        });
        let stop = turn.stop.clone();
        let mut call = std::pin::pin!(self.caller.call(id, registered, arguments, &stop, progress));
        loop {
            tokio::select! {
                called = &mut call => return Ok(called?),
                Some(text) = words.recv() => turn.events.event(Event::CallProgress { id, text }),
            }
        }
    }
}

/// The text of the final message, if there is one.
fn answer_text(messages: &[Message]) -> Option<String> {
    let last = messages.iter().rfind(|message| message.channel == Some(Channel::Final))?;
    last.text().map(str::to_owned)
}
