//! `run --json`: a turn as JSON Lines on stdout, for programs.
//!
//! What it is not: it is no record of the session, the journal is. An item that was started is always completed, with
//! what became of it; a turn has exactly one terminal line, which [`JsonLines::end`] writes, whatever happened.

use super::report::{Failure, ended};
use super::screen::Screen;
use super::terminal;
use crate::agent::{Answer, CallOutcome, Cited, Event, EventSink, TurnEnd, Usage};
use crate::engine::{TokenLogprob, TopLogprob};
use crate::harmony::{Token, special, tokenizer};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, Write};

/// Writes lines, and shows the same on the screen, whose stdout stays silent.
pub(super) struct JsonLines<W> {
    out: W,
    screen: Screen,
    /// The first line that could not be written; none is written after it.
    written: io::Result<()>,
    n_items: u64,
    /// The text that is being written: its item, its kind, what there is of it.
    text: Option<(String, &'static str, String)>,
    /// The calls that have started: item, tool, arguments.
    calls: HashMap<u64, (String, String, Value)>,
    usage: Usage,
    /// What the answer names.
    cited: Vec<Cited>,
}

impl<W: Write> JsonLines<W> {
    pub(super) fn new(out: W, screen: &Screen, session: &str) -> Self {
        let (text, calls, usage, cited) = (None, HashMap::new(), Usage::default(), Vec::new());
        let mut lines = Self { out, screen: screen.clone(), written: Ok(()), n_items: 0, text, calls, usage, cited };
        lines.line(&json!({ "type": "thread.started", "thread_id": session }));
        lines
    }

    fn line(&mut self, line: &Value) {
        if self.written.is_ok() {
            // The reader may be a terminal.
            let line = line.to_string();
            self.written = writeln!(self.out, "{}", terminal::json(&line)).and_then(|()| self.out.flush());
        }
    }

    fn item(&mut self, what: &str, item: &Value) {
        self.line(&json!({ "type": format!("item.{what}"), "item": item }));
    }

    fn next_item(&mut self) -> String {
        self.n_items += 1;
        format!("item_{}", self.n_items)
    }

    fn grow(&mut self, kind: &'static str, piece: &str) {
        if self.text.as_ref().is_none_or(|(_, open, _)| *open != kind) {
            self.close_text("completed");
            let id = self.next_item();
            self.item("started", &json!({ "id": id, "type": kind, "status": "in_progress" }));
            self.text = Some((id, kind, String::new()));
        }
        if let Some((_, _, text)) = &mut self.text {
            text.push_str(piece);
        }
    }

    fn close_text(&mut self, status: &str) {
        if let Some((id, kind, text)) = self.text.take() {
            let mut item = json!({ "id": id, "type": kind, "status": status, "text": text });
            let cited: Vec<_> = self.cited.drain(..).map(citation).collect();
            if !cited.is_empty() {
                item["citations"] = cited.into();
            }
            self.item("completed", &item);
        }
    }

    /// The turn's last line. Fails with what the turn failed with, or when nobody reads the lines.
    pub(super) fn end(mut self, answer: Result<Answer, Failure>) -> Result<TurnEnd, Failure> {
        let usage = json!({
            "prompt_tokens": self.usage.prompt_tokens,
            "reused_tokens": self.usage.reused_tokens,
            "generated_tokens": self.usage.generated_tokens,
            "steps": self.usage.n_steps,
            "calls": self.usage.n_calls,
        });
        let failed = match &answer {
            Ok(answer) => ended(answer.end).map(|failure| (answer.end.as_str(), failure.to_string())),
            Err(failure) => Some((failure.kind(), failure.to_string())),
        };
        self.close_text(if failed.is_some() { "failed" } else { "completed" });
        self.line(&match failed {
            None => json!({ "type": "turn.completed", "usage": usage }),
            Some((code, message)) => {
                json!({ "type": "turn.failed", "error": { "code": code, "message": message }, "usage": usage })
            }
        });
        let end = answer?.end;
        self.written?;
        Ok(end)
    }
}

/// What kind of item a call of this tool is.
fn kind(tool: &str) -> &'static str {
    match tool.split('.').next() {
        Some("python") => "python",
        Some("browser") => "web_search",
        _ => "tool_call",
    }
}

fn citation(Cited { title, url, first_line, last_line, .. }: Cited) -> Value {
    json!({ "title": title, "url": url, "first_line": first_line, "last_line": last_line })
}

/// What a log-probability of 0 chances is called, for JSON has no infinity: so does OpenAI's API.
const NEVER: f32 = -9999.0;

/// A token by its text, or by its name where it is one of the format's, and by its id. It may end in the middle of a
/// character; the id is exact.
fn probable(token: Token, logprob: f32) -> Value {
    let text = special::name(token).map_or_else(|| tokenizer::decode_lossy(&[token]), str::to_owned);
    json!({ "token": text, "id": token, "logprob": logprob.max(NEVER) })
}

fn logprobs(TokenLogprob { token, logprob, is_forced, top_logprobs }: TokenLogprob) -> Value {
    let top = top_logprobs.into_iter().map(|TopLogprob { token, logprob }| probable(token, logprob));
    let mut written = probable(token, logprob);
    written["forced"] = is_forced.into();
    written["top_logprobs"] = top.collect();
    written
}

impl<W: Write + Send> EventSink for JsonLines<W> {
    fn event(&mut self, event: Event) {
        self.screen.event(event.clone());
        match event {
            Event::TurnStarted => self.line(&json!({ "type": "turn.started" })),
            Event::Reasoning(text) => self.grow("reasoning", &text),
            // What the user is told, before a call or at the end, is a message.
            Event::Preamble(text) => self.grow("agent_message", &text),
            Event::Answer(text) => self.grow("agent_message", &text),
            Event::Cited(cited) => self.cited = cited,
            Event::CallStarted { id, tool, arguments } => {
                self.close_text("completed");
                let item = self.next_item();
                // As JSON where the model wrote JSON, as its text where not.
                let arguments = serde_json::from_str(&arguments).unwrap_or(Value::String(arguments));
                let started = json!({
                    "id": item, "type": kind(&tool), "status": "in_progress", "tool": tool, "arguments": arguments,
                });
                self.item("started", &started);
                self.calls.insert(id, (item, tool, arguments));
            }
            Event::CallProgress { id, text } => {
                let Some((item, tool, _)) = self.calls.get(&id) else { return };
                let item = json!({ "id": item, "type": kind(tool), "status": "in_progress", "progress": text });
                self.item("updated", &item);
            }
            Event::CallFinished { id, outcome, text, duration } => {
                let Some((item, tool, arguments)) = self.calls.remove(&id) else { return };
                let status = match outcome {
                    CallOutcome::Ok => "completed",
                    CallOutcome::Denied => "declined",
                    CallOutcome::Error | CallOutcome::Cancelled => "failed",
                };
                let ms = duration.as_secs_f64() * 1e3;
                let completed = json!({
                    "id": item, "type": kind(&tool), "status": status, "tool": tool, "arguments": arguments,
                    "output": text, "duration_ms": ms,
                });
                self.item("completed", &completed);
            }
            Event::TurnEnded { end, usage } => {
                // After a denial the model still says its last words in full.
                let whole = matches!(end, TurnEnd::Answered | TurnEnd::Denied);
                self.close_text(if whole { "completed" } else { "failed" });
                self.usage = usage;
            }
            // What a generation says is a text of its own, also when nothing was called since the one before.
            Event::Prefill { .. } => self.close_text("completed"),
            Event::Attachment { file, path, .. } => {
                let item = self.next_item();
                let kind = if file.media_type.starts_with("image/") { "image" } else { "file" };
                let made = json!({
                    "id": item, "type": kind, "status": "completed", "name": file.name, "media_type": file.media_type,
                    "n_bytes": file.data.len(), "path": path,
                });
                self.item("completed", &made);
            }
            Event::Logprobs(tokens) => {
                let item = self.next_item();
                let tokens: Value = tokens.into_iter().map(logprobs).collect();
                let told = json!({ "id": item, "type": "logprobs", "status": "completed", "tokens": tokens });
                self.item("completed", &told);
            }
            // Not on stdout: nothing has to be done about it, and no item is its own.
            Event::Warning(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::AgentError;
    use crate::engine::EngineError;
    use std::time::Duration;

    /// The lines of a turn, without the first.
    fn lines(events: Vec<Event>, answer: Result<Answer, Failure>) -> Vec<Value> {
        let mut out = Vec::new();
        let mut lines = JsonLines::new(&mut out, &Screen::silent(), "s-1");
        for event in events {
            lines.event(event);
        }
        let _ = lines.end(answer);
        let text = String::from_utf8(out).unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.remove(0), json!({ "type": "thread.started", "thread_id": "s-1" }));
        lines
    }

    fn answer(end: TurnEnd) -> Result<Answer, Failure> {
        Ok(Answer { text: "42".into(), end })
    }

    #[test]
    fn a_turn_in_lines() {
        let events = vec![
            Event::TurnStarted,
            Event::Reasoning("I".into()),
            Event::Reasoning(" add".into()),
            Event::CallStarted { id: 1, tool: "calc.calc".into(), arguments: r#"{"expression":"6*7"}"#.into() },
            Event::CallFinished {
                id: 1,
                outcome: CallOutcome::Ok,
                text: "42".into(),
                duration: Duration::from_millis(2),
            },
            Event::Warning("odd".into()),
            Event::Answer("42\n\u{1b}".into()),
            Event::TurnEnded { end: TurnEnd::Answered, usage: Usage { n_calls: 1, ..Usage::default() } },
        ];
        let arguments = json!({ "expression": "6*7" });
        let call = json!({ "id": "item_2", "type": "tool_call", "tool": "calc.calc", "arguments": arguments });
        let with = |more: Value| {
            let mut item = call.as_object().unwrap().clone();
            item.extend(more.as_object().unwrap().clone());
            item
        };
        assert_eq!(
            lines(events, answer(TurnEnd::Answered)),
            [
                json!({ "type": "turn.started" }),
                json!({ "type": "item.started", "item": { "id": "item_1", "type": "reasoning", "status": "in_progress" } }),
                json!({ "type": "item.completed", "item": { "id": "item_1", "type": "reasoning", "status": "completed", "text": "I add" } }),
                json!({ "type": "item.started", "item": with(json!({ "status": "in_progress" })) }),
                json!({ "type": "item.completed", "item": with(json!({ "status": "completed", "output": "42", "duration_ms": 2.0 })) }),
                json!({ "type": "item.started", "item": { "id": "item_3", "type": "agent_message", "status": "in_progress" } }),
                json!({ "type": "item.completed", "item": { "id": "item_3", "type": "agent_message", "status": "completed", "text": "42\n\u{1b}" } }),
                json!({ "type": "turn.completed", "usage": { "prompt_tokens": 0, "reused_tokens": 0, "generated_tokens": 0, "steps": 0, "calls": 1 } }),
            ]
        );
    }

    #[test]
    fn what_a_model_was_sure_of_is_an_item_of_its_own() {
        let top_logprobs = vec![TopLogprob { token: 0, logprob: -0.5 }, TopLogprob { token: 1, logprob: -1.0 }];
        let tokens = vec![
            TokenLogprob { token: special::CHANNEL, logprob: 0.0, is_forced: true, top_logprobs: Vec::new() },
            TokenLogprob { token: 1, logprob: f32::NEG_INFINITY, is_forced: false, top_logprobs },
        ];
        let events = vec![Event::Answer("\"".into()), Event::Logprobs(tokens)];
        let lines = lines(events, answer(TurnEnd::Answered));
        let top = json!([
            { "token": "!", "id": 0, "logprob": -0.5 },
            { "token": "\"", "id": 1, "logprob": -1.0 },
        ]);
        let tokens = json!([
            { "token": "<|channel|>", "id": 200_005, "logprob": 0.0, "forced": true, "top_logprobs": [] },
            { "token": "\"", "id": 1, "logprob": -9999.0, "forced": false, "top_logprobs": top },
        ]);
        let item = json!({ "id": "item_2", "type": "logprobs", "status": "completed", "tokens": tokens });
        assert_eq!(lines[1], json!({ "type": "item.completed", "item": item }));
        assert_eq!(lines[2]["item"]["text"], "\"", "the text goes on");
    }

    #[test]
    fn whatever_happens_what_was_started_is_completed_and_the_turn_ends_once() {
        let cut = vec![Event::TurnStarted, Event::Answer("4".into())];
        for (end, code) in
            [(TurnEnd::Cancelled, "cancelled"), (TurnEnd::StepLimit, "step_limit"), (TurnEnd::Denied, "denied")]
        {
            let mut events = cut.clone();
            events.push(Event::TurnEnded { end, usage: Usage::default() });
            let lines = lines(events, answer(end));
            let status = if end == TurnEnd::Denied { "completed" } else { "failed" };
            assert_eq!(lines[lines.len() - 2]["item"]["status"], status, "{end:?}");
            assert_eq!(lines[lines.len() - 1]["error"]["code"], code);
            assert_eq!(lines.iter().filter(|line| line["type"].as_str().unwrap().starts_with("turn.")).count(), 2);
        }
        let full = AgentError::Engine(EngineError::ContextFull { n_tokens: 9, limit: 8 });
        let full = lines(cut.clone(), Err(full.into()));
        assert_eq!(full[full.len() - 1]["error"]["code"], "limit");
        let broken = lines(cut, Err(Failure::new(1, "the engine broke")));
        assert_eq!(broken[broken.len() - 1]["error"], json!({ "code": "error", "message": "the engine broke" }));
        assert_eq!(broken[broken.len() - 2]["type"], "item.completed");
    }

    #[test]
    fn each_generation_says_a_text_of_its_own() {
        let read = Event::Prefill { done: 1, total: 1 };
        let events = vec![
            Event::Answer("{\"name\": ...}".into()),
            Event::Warning("text".into()),
            read,
            Event::Answer("7".into()),
        ];
        let lines = lines(events, answer(TurnEnd::Answered));
        let texts: Vec<_> = lines.iter().filter_map(|line| line["item"]["text"].as_str()).collect();
        assert_eq!(texts, ["{\"name\": ...}", "7"]);
    }

    #[test]
    fn no_line_carries_what_a_terminal_obeys() {
        let said = "\u{9b}6n\u{202e}gpj";
        let mut out = Vec::new();
        let mut lines = JsonLines::new(&mut out, &Screen::silent(), "s-1");
        lines.event(Event::Answer(said.into()));
        let _ = lines.end(answer(TurnEnd::Answered));
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains(r"\u009b6n\u202egpj") && !out.contains(said), "{out}");
    }

    #[test]
    fn a_refused_call_is_declined_and_odd_arguments_stay_text() {
        let events = vec![
            Event::CallStarted { id: 9, tool: "x".into(), arguments: "{oops".into() },
            Event::CallFinished { id: 9, outcome: CallOutcome::Denied, text: "no".into(), duration: Duration::ZERO },
        ];
        let lines = lines(events, answer(TurnEnd::Answered));
        assert_eq!(lines[1]["item"]["status"], "declined");
        assert_eq!(lines[1]["item"]["arguments"], "{oops");
    }
}
