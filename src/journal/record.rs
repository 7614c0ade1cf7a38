//! What is written of a session, and the versioned JSON in which it lies.
//!
//! Tokens are what the model saw and made; the other records say what happened between them. The wire form is this
//! file's own: the program's types may change, what an old program wrote stays readable.

use super::JournalError;
use crate::egress;
use crate::harmony::Token;
use crate::policy::{Denial, Grant, ToolId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// Something that happened, in the order of the journal.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// The first of a session.
    SessionStarted {
        /// What runs it, for people.
        model: String,
        /// The date the model is told, pinned for the session: `YYYY-MM-DD`.
        date: String,
    },
    /// The user spoke.
    TurnStarted {
        /// What they said.
        text: String,
    },
    /// The transcript grew.
    TokensAppended {
        /// By these.
        tokens: Vec<Token>,
        /// Who made them.
        origin: Origin,
    },
    /// What a call was judged by beside its arguments, where there is something to say: it comes before the decision.
    CallJudged {
        /// As in [`Record::CallIntended`].
        call: u64,
        /// Each gate of the router and each rung of the ladder, with its verdict and its reason.
        route: Vec<String>,
        /// Which of the arguments were taken from what strangers wrote, and from whom.
        taken: Vec<String>,
    },
    /// A call is about to start: policy said yes. Without a [`Record::CallFinished`] nobody knows how it ended.
    CallIntended {
        /// Counts the calls of a session from 1.
        call: u64,
        /// Which tool.
        tool: ToolId,
        /// The parsed arguments.
        arguments: Value,
        /// The rule that decided.
        rule: String,
        /// Whether somebody was asked and said yes.
        approved: bool,
        /// What it was given, in words.
        grant: Vec<String>,
    },
    /// A call that policy or a person refused; it never started.
    CallDenied {
        /// Counts the calls of a session from 1.
        call: u64,
        /// Which tool.
        tool: ToolId,
        /// The parsed arguments.
        arguments: Value,
        /// The rule that decided.
        rule: String,
        /// What the model was told.
        reason: String,
    },
    /// A call ended.
    CallFinished {
        /// As in [`Record::CallIntended`].
        call: u64,
        /// How.
        end: CallEnd,
        /// What the model reads.
        text: String,
        /// From start to end.
        duration: Duration,
        /// The most linear memory that it used at once, in bytes, if that was measured.
        memory_peak: Option<u64>,
    },
    /// A line of the ledger: something leaves the machine, or was answered.
    Egress(egress::Entry),
    /// The model's turn is over.
    TurnEnded {
        /// Why, in a word.
        reason: String,
        /// Read, of all prompts together.
        prompt_tokens: u64,
        /// Written by the model.
        generated_tokens: u64,
    },
}

/// Who made tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The runtime rendered them: prompts, the user's lines, tools' replies.
    Prompt,
    /// The model sampled them.
    Generated,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallEnd {
    /// The tool answered.
    Ok,
    /// The tool failed or was stopped.
    Error,
    /// The turn was cancelled; what the call had done by then, it has done.
    Cancelled,
    /// The program ended before the call did.
    Unknown,
}

impl CallEnd {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

impl Record {
    /// The runtime rendered tokens.
    pub fn prompt(tokens: Vec<Token>) -> Self {
        Self::TokensAppended { tokens, origin: Origin::Prompt }
    }

    /// The model sampled tokens.
    pub fn generated(tokens: Vec<Token>) -> Self {
        Self::TokensAppended { tokens, origin: Origin::Generated }
    }

    /// A call is about to start under this grant.
    pub fn call_intended(call: u64, tool: &ToolId, arguments: &Value, grant: &Grant) -> Self {
        Self::CallIntended {
            call,
            tool: tool.clone(),
            arguments: arguments.clone(),
            rule: grant.rule().to_owned(),
            approved: grant.approved(),
            grant: grant.capabilities().words(),
        }
    }

    /// A call was refused.
    pub fn call_denied(call: u64, tool: &ToolId, arguments: &Value, denial: &Denial) -> Self {
        Self::CallDenied {
            call,
            tool: tool.clone(),
            arguments: arguments.clone(),
            rule: denial.rule.clone(),
            reason: denial.to_string(),
        }
    }

    /// A call ended.
    pub fn call_finished(call: u64, end: CallEnd, text: &str, duration: Duration, memory_peak: Option<u64>) -> Self {
        Self::CallFinished { call, end, text: text.to_owned(), duration, memory_peak }
    }

    /// A turn ended.
    pub fn turn_ended(reason: &str, prompt_tokens: usize, generated_tokens: usize) -> Self {
        Self::TurnEnded {
            reason: reason.to_owned(),
            prompt_tokens: prompt_tokens as u64,
            generated_tokens: generated_tokens as u64,
        }
    }
}

/// The newest wire form that this program reads, and the one it writes.
pub(super) const VERSION: u32 = 1;

/// Just the version, which every form has: what follows may be of a form that is not known here.
#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: u32,
    #[serde(flatten)]
    body: Body,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Body {
    SessionStarted {
        model: String,
        date: String,
    },
    TurnStarted {
        text: String,
    },
    TokensAppended {
        origin: Origin,
        tokens: Vec<Token>,
    },
    CallJudged {
        call: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        route: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        taken: Vec<String>,
    },
    CallIntended {
        call: u64,
        tool: String,
        arguments: Value,
        rule: String,
        approved: bool,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        grant: Vec<String>,
    },
    CallDenied {
        call: u64,
        tool: String,
        arguments: Value,
        rule: String,
        reason: String,
    },
    CallFinished {
        call: u64,
        end: CallEnd,
        text: String,
        ms: f64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memory_peak: Option<u64>,
    },
    EgressStarted {
        egress: u64,
        sender: String,
        method: String,
        url: String,
        n_bytes: u64,
        sha256: String,
        rule: String,
        approved: bool,
    },
    EgressEnded {
        egress: u64,
        status: Option<u16>,
        n_bytes: Option<u64>,
        error: Option<String>,
    },
    TurnEnded {
        reason: String,
        prompt_tokens: u64,
        generated_tokens: u64,
    },
}

/// A record as JSON, on one line.
pub(super) fn encode(record: &Record) -> String {
    let body = match record.clone() {
        Record::SessionStarted { model, date } => Body::SessionStarted { model, date },
        Record::TurnStarted { text } => Body::TurnStarted { text },
        Record::TokensAppended { tokens, origin } => Body::TokensAppended { origin, tokens },
        Record::CallJudged { call, route, taken } => Body::CallJudged { call, route, taken },
        Record::CallIntended { call, tool, arguments, rule, approved, grant } => {
            Body::CallIntended { call, tool: tool.to_string(), arguments, rule, approved, grant }
        }
        Record::CallDenied { call, tool, arguments, rule, reason } => {
            Body::CallDenied { call, tool: tool.to_string(), arguments, rule, reason }
        }
        Record::CallFinished { call, end, text, duration, memory_peak } => {
            Body::CallFinished { call, end, text, ms: duration.as_secs_f64() * 1e3, memory_peak }
        }
        Record::Egress(egress::Entry::Sending { id, sender, method, url, n_bytes, sha256, rule, is_approved }) => {
            Body::EgressStarted { egress: id, sender, method, url, n_bytes, sha256, rule, approved: is_approved }
        }
        Record::Egress(egress::Entry::Answered { id, status, n_bytes, error }) => {
            Body::EgressEnded { egress: id, status, n_bytes, error }
        }
        Record::TurnEnded { reason, prompt_tokens, generated_tokens } => {
            Body::TurnEnded { reason, prompt_tokens, generated_tokens }
        }
    };
    serde_json::to_string(&Wire { v: VERSION, body }).expect("strings, numbers and JSON values become JSON")
}

/// The record that was written as `json`.
pub(super) fn decode(json: &str) -> Result<Record, JournalError> {
    let corrupt = |what: String| JournalError::Corrupt { what };
    let Versioned { v } = serde_json::from_str(json).map_err(|error| corrupt(error.to_string()))?;
    if v > VERSION {
        return Err(JournalError::NewerVersion { found: v, known: VERSION });
    }
    let Wire { body, .. } = serde_json::from_str(json).map_err(|error| corrupt(error.to_string()))?;
    let tool = |tool: String| tool.parse::<ToolId>().map_err(|()| corrupt(format!("`{tool}` names no tool")));
    Ok(match body {
        Body::SessionStarted { model, date } => Record::SessionStarted { model, date },
        Body::TurnStarted { text } => Record::TurnStarted { text },
        Body::TokensAppended { origin, tokens } => Record::TokensAppended { tokens, origin },
        Body::CallJudged { call, route, taken } => Record::CallJudged { call, route, taken },
        Body::CallIntended { call, tool: id, arguments, rule, approved, grant } => {
            Record::CallIntended { call, tool: tool(id)?, arguments, rule, approved, grant }
        }
        Body::CallDenied { call, tool: id, arguments, rule, reason } => {
            Record::CallDenied { call, tool: tool(id)?, arguments, rule, reason }
        }
        Body::CallFinished { call, end, text, ms, memory_peak } => {
            let duration = Duration::try_from_secs_f64(ms / 1e3).map_err(|error| corrupt(error.to_string()))?;
            Record::CallFinished { call, end, text, duration, memory_peak }
        }
        Body::EgressStarted { egress: id, sender, method, url, n_bytes, sha256, rule, approved: is_approved } => {
            Record::Egress(egress::Entry::Sending { id, sender, method, url, n_bytes, sha256, rule, is_approved })
        }
        Body::EgressEnded { egress: id, status, n_bytes, error } => {
            Record::Egress(egress::Entry::Answered { id, status, n_bytes, error })
        }
        Body::TurnEnded { reason, prompt_tokens, generated_tokens } => {
            Record::TurnEnded { reason, prompt_tokens, generated_tokens }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(record: Record, wire: Value) {
        let encoded = encode(&record);
        assert_eq!(serde_json::from_str::<Value>(&encoded).unwrap(), wire, "{encoded}");
        assert_eq!(decode(&encoded).unwrap(), record);
    }

    /// The wire form is a promise to later programs: this test may be added to, never changed.
    #[test]
    fn version_1_looks_like_this() {
        let tool: ToolId = "notes.add".parse().unwrap();
        let arguments = json!({"text": "milk\u{0}", "n": 18446744073709551615u64});
        check(
            Record::SessionStarted { model: "stapes".into(), date: "2026-11-24".into() },
            json!({"v": 1, "type": "session_started", "model": "stapes", "date": "2026-11-24"}),
        );
        check(Record::TurnStarted { text: "hi".into() }, json!({"v": 1, "type": "turn_started", "text": "hi"}));
        check(
            Record::prompt(vec![200006, 1]),
            json!({"v": 1, "type": "tokens_appended", "origin": "prompt", "tokens": [200006, 1]}),
        );
        check(
            Record::generated(vec![]),
            json!({"v": 1, "type": "tokens_appended", "origin": "generated", "tokens": []}),
        );
        check(
            Record::CallIntended {
                call: 1,
                tool: tool.clone(),
                arguments: arguments.clone(),
                rule: "writing".into(),
                approved: true,
                grant: Vec::new(),
            },
            json!({"v": 1, "type": "call_intended", "call": 1, "tool": "notes.add", "arguments": arguments, "rule": "writing", "approved": true}),
        );
        check(
            Record::CallJudged { call: 2, route: vec!["1 labels: pass".into()], taken: Vec::new() },
            json!({"v": 1, "type": "call_judged", "call": 2, "route": ["1 labels: pass"]}),
        );
        check(
            Record::CallDenied {
                call: 2,
                tool: tool.clone(),
                arguments: json!({}),
                rule: "default".into(),
                reason: "no".into(),
            },
            json!({"v": 1, "type": "call_denied", "call": 2, "tool": "notes.add", "arguments": {}, "rule": "default", "reason": "no"}),
        );
        check(
            Record::CallIntended {
                call: 1,
                tool: tool.clone(),
                arguments: json!({}),
                rule: "writing".into(),
                approved: false,
                grant: vec!["random numbers".into()],
            },
            json!({"v": 1, "type": "call_intended", "call": 1, "tool": "notes.add", "arguments": {}, "rule": "writing", "approved": false, "grant": ["random numbers"]}),
        );
        check(
            Record::call_finished(1, CallEnd::Error, "no", Duration::from_micros(500), Some(65536)),
            json!({"v": 1, "type": "call_finished", "call": 1, "end": "error", "text": "no", "ms": 0.5, "memory_peak": 65536}),
        );
        check(
            Record::Egress(egress::Entry::Sending {
                id: 1,
                sender: "fetch.fetch".into(),
                method: "GET".into(),
                url: "https://example.org/".into(),
                n_bytes: 0,
                sha256: "e3b0".into(),
                rule: "sending".into(),
                is_approved: true,
            }),
            json!({"v": 1, "type": "egress_started", "egress": 1, "sender": "fetch.fetch", "method": "GET", "url": "https://example.org/", "n_bytes": 0, "sha256": "e3b0", "rule": "sending", "approved": true}),
        );
        check(
            Record::Egress(egress::Entry::Answered { id: 1, status: Some(200), n_bytes: None, error: None }),
            json!({"v": 1, "type": "egress_ended", "egress": 1, "status": 200, "n_bytes": null, "error": null}),
        );
        check(
            Record::call_finished(1, CallEnd::Ok, "done", Duration::from_micros(1500), None),
            json!({"v": 1, "type": "call_finished", "call": 1, "end": "ok", "text": "done", "ms": 1.5}),
        );
        check(
            Record::turn_ended("answered", 10, 5),
            json!({"v": 1, "type": "turn_ended", "reason": "answered", "prompt_tokens": 10, "generated_tokens": 5}),
        );
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let newer = r#"{"v": 2, "type": "dream", "anything": []}"#;
        assert_eq!(decode(newer), Err(JournalError::NewerVersion { found: 2, known: VERSION }));
        for text in
            ["", "{}", "[1]", r#"{"v": 1}"#, r#"{"v": 1, "type": "dream"}"#, r#"{"v": 1, "type": "turn_started"}"#]
        {
            assert!(matches!(decode(text), Err(JournalError::Corrupt { .. })), "{text}");
        }
        let endless = r#"{"v": 1, "type": "call_finished", "call": 1, "end": "ok", "text": "", "ms": -1}"#;
        assert!(matches!(decode(endless), Err(JournalError::Corrupt { .. })));
    }

    proptest! {
        #[test]
        fn any_text_and_any_tokens_come_back(text in any::<String>(), tokens: Vec<Token>) {
            for record in [Record::TurnStarted { text }, Record::generated(tokens)] {
                prop_assert_eq!(decode(&encode(&record)), Ok(record));
            }
        }
    }
}
