//! A step: one generation, parsed while it runs.

use super::cite::Citations;
use super::watch::{Cut, Watch};
use super::{Agent, AgentError, Event, Turn};
use crate::engine::{Constrained, Finish, Progress, Request};
use crate::harmony::{Channel, Delta, Diagnostic, Message, Parsed, Role, TurnGrammar};
use crate::journal::Record;
use crate::tool::Citable;
use std::collections::HashMap;
use std::sync::Arc;

/// What a generation said.
pub(super) struct Step {
    pub(super) messages: Vec<Message>,
    pub(super) finish: Finish,
    /// Why it was stopped before the model stopped.
    pub(super) cut: Option<Cut>,
}

impl Agent {
    /// Lets the model speak. What it says is in the transcript and in the journal when this returns.
    pub(super) async fn generate(
        &mut self,
        turn: &mut Turn<'_>,
        max_tokens: usize,
        force_answer: bool,
    ) -> Result<Step, AgentError> {
        let mut tokens = self.transcript.tokens();
        let mut prompt = self.encoding.generation_prompt();
        let mut parser = self.encoding.parser_after_prompt();
        // A header that is already written leaves the model nothing to do but to answer.
        let header = if force_answer { self.encoding.header(Channel::Final) } else { Vec::new() };
        for token in &header {
            parser.push(*token);
        }
        let constrained =
            |grammar: &Arc<TurnGrammar>| Constrained { grammar: grammar.clone(), n_written: header.len() };
        let grammar = self.grammar.as_ref().map(constrained);
        prompt.extend(header);
        tokens.extend(&prompt);
        turn.usage.prompt_tokens += tokens.len();
        // A call or an answer that ends in something else than a stop token is the step's last word all the same: what an
        // engine makes up after it (a result, the user's next line) is stopped.
        let enough = turn.stop.child_token();
        let request = Request {
            tokens,
            n_shared: self.transcript.n_opening(),
            n_lasting: self.transcript.n_lasting(),
            stop: self.encoding.stop_tokens().to_vec(),
            forbidden: self.encoding.forbidden_tokens(),
            max_tokens,
            sampling: self.sampling,
            top_logprobs: self.top_logprobs,
            grammar,
            cancel: enough.clone(),
        };
        let events = &mut *turn.events;
        let mut watch = Watch::new(self.limits.max_reasoning_tokens);
        let mut citations = Citations::default();
        let pages = if self.wants_json { &HashMap::new() } else { &self.pages };
        let mut cut = None;
        let generation = self
            .engine
            .generate(request, &mut |progress| match progress {
                Progress::Prefill { done, total } => events.event(Event::Prefill { done, total }),
                Progress::Token(_) if enough.is_cancelled() => {}
                Progress::Token(token) => {
                    let delta = parser.push(token);
                    cut = watch.push(token, delta.as_ref());
                    if let Some(event) = delta.and_then(shown) {
                        events.event(cited(event, &mut citations, pages));
                    }
                    if cut.is_some() || parser.finished().last().is_some_and(|parsed| ends_a_step(&parsed.message)) {
                        enough.cancel();
                    }
                }
            })
            .await?;
        turn.usage.generated_tokens += generation.tokens.len();
        turn.usage.reused_tokens += generation.n_reused;
        turn.usage.n_steps += 1;
        tracing::debug!(
            n_tokens = generation.tokens.len(),
            n_reused = generation.n_reused,
            n_forced = generation.n_forced,
            finish = ?generation.finish,
            "generated"
        );
        self.journal.append(Record::prompt(prompt)).await?;
        self.journal.append(Record::generated(generation.tokens)).await?;
        if let Some(event) = parser.close().and_then(shown) {
            turn.events.event(cited(event, &mut citations, pages));
        }
        let (rest, cited) = citations.finish();
        if !rest.is_empty() {
            turn.events.event(Event::Answer(rest));
        }
        if !cited.is_empty() {
            turn.events.event(Event::Cited(cited));
        }
        if !generation.logprobs.is_empty() {
            turn.events.event(Event::Logprobs(generation.logprobs));
        }
        if let Some(cut) = cut {
            turn.events.event(Event::Warning(match cut {
                Cut::Repetition => "the model says the same thing again and again; it was stopped".into(),
                Cut::Reasoning => "the model has thought long enough; it is made to answer".into(),
            }));
        }
        Ok(Step { messages: self.keep(turn, parser.finish(), cut), finish: generation.finish, cut })
    }

    /// Puts a generation's messages into the transcript with their own ids.
    fn keep(&mut self, turn: &mut Turn<'_>, parsed: Vec<Parsed>, cut: Option<Cut>) -> Vec<Message> {
        let mut messages: Vec<Message> = Vec::with_capacity(parsed.len());
        for (n, Parsed { message, tokens }) in parsed.into_iter().enumerate() {
            if message.author.role != Role::Assistant {
                turn.events.event(Event::Warning(format!(
                    "the model spoke as {}; that is dropped",
                    message.author.role.as_str()
                )));
                break;
            }
            for diagnostic in &message.diagnostics {
                tracing::info!(?diagnostic, "the model's tokens were malformed and were understood anyway");
                if !matches!(diagnostic, Diagnostic::Unfinished) {
                    turn.events.event(Event::Warning(format!("malformed output, understood anyway: {diagnostic:?}")));
                }
            }
            if !is_worth_keeping(&message, &messages, cut) {
                continue;
            }
            // The first message continues the generation prompt, whose ids are not the model's; so does the first that is
            // kept, if it has no start of its own.
            let continues = n == 0 || messages.is_empty() && message.diagnostics.contains(&Diagnostic::MissingStart);
            let mut ids = if continues { self.encoding.generation_prompt() } else { Vec::new() };
            ids.extend(tokens);
            let last = ends_a_step(&message);
            self.transcript.push_generated(message.clone(), ids);
            messages.push(message);
            if last {
                break;
            }
        }
        messages
    }
}

/// Whether the model should read it again. Not so what a limit or a cancellation cut off before anyone saw it (half a
/// call, half a header), a malformed message that says nothing, and thoughts that go round in circles: reading them
/// again would set them off again.
fn is_worth_keeping(message: &Message, before: &[Message], cut: Option<Cut>) -> bool {
    if message.is_call() {
        return !message.diagnostics.contains(&Diagnostic::Unfinished);
    }
    let says_something = message.text().is_some_and(|text| !text.trim().is_empty());
    if cut == Some(Cut::Repetition) && message.channel != Some(Channel::Final) {
        let is_said = before.iter().any(|said| said.text() == message.text());
        return says_something && !is_said && !message.diagnostics.contains(&Diagnostic::Unfinished);
    }
    says_something || message.diagnostics.is_empty()
}

/// Whether nothing of the model's may follow: a call, an answer, or words that it puts into another's mouth.
fn ends_a_step(message: &Message) -> bool {
    let answer = message.channel == Some(Channel::Final) && message.text().is_some_and(|text| !text.trim().is_empty());
    message.is_call() || answer || message.author.role != Role::Assistant
}

/// What of a delta is shown as it comes: everything but the arguments of calls, which are shown whole.
fn shown(delta: Delta<'_>) -> Option<Event> {
    if delta.recipient.is_some() || delta.role != Role::Assistant {
        return None;
    }
    Some(match delta.channel? {
        Channel::Analysis => Event::Reasoning(delta.text.into()),
        Channel::Commentary => Event::Preamble(delta.text.into()),
        Channel::Final => Event::Answer(delta.text.into()),
    })
}

/// A piece of the answer with links for citations; every other event as it is.
fn cited(event: Event, citations: &mut Citations, pages: &HashMap<usize, Citable>) -> Event {
    match event {
        Event::Answer(text) => Event::Answer(citations.push(&text, pages)),
        other => other,
    }
}
