//! What the API answers: a response, its items, and what came of it.
//!
//! Only the fields that matter; others are ignored, and so are kinds of items and parts that are not known. A known
//! field of a wrong type is an error. Start at [`Response`]; [`Response::completion`] says what it means.

use super::error::OpenAiError;
use super::usage::{Usage, or_default};
use serde::Deserialize;

/// A response, finished or not.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Response {
    /// `resp_...`.
    pub id: String,
    /// How far it is.
    pub status: Status,
    /// The one that answers, by its exact name.
    #[serde(default, deserialize_with = "or_default")]
    pub model: String,
    /// What was made so far.
    #[serde(default, deserialize_with = "or_default")]
    pub output: Vec<Item>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<Problem>,
    /// Why it is not whole.
    #[serde(default)]
    incomplete_details: Option<Incomplete>,
    /// What it cost; known when it is over.
    #[serde(default)]
    pub usage: Option<Usage>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Incomplete {
    #[serde(default)]
    reason: String,
}

/// How far a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It waits.
    Queued,
    /// It runs.
    InProgress,
    /// It is whole.
    Completed,
    /// It broke off.
    Incomplete,
    /// Nothing came of it.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// Not known here; not over, as far as one can say.
    #[serde(other)]
    Unknown,
}

impl Status {
    /// Whether nothing more will come.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Incomplete | Self::Failed | Self::Cancelled)
    }
}

/// A problem in the API's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// `invalid_request_error` ...
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// `model_not_found` ...
    #[serde(default)]
    pub code: Option<String>,
    /// The parameter that is to blame.
    #[serde(default)]
    pub param: Option<String>,
    /// For people.
    #[serde(default)]
    pub message: Option<String>,
}

/// A piece of what was made, or of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Item {
    /// Something said.
    Message {
        /// `msg_...`.
        #[serde(default)]
        id: String,
        /// `user`, `assistant` ...
        role: String,
        /// How far it is.
        #[serde(default)]
        status: Option<Status>,
        /// In parts.
        content: Vec<Part>,
    },
    /// A tool to be called.
    FunctionCall(FunctionCall),
    /// What the caller need not know.
    #[serde(other)]
    Other,
}

/// A tool to be called.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FunctionCall {
    /// Ties the call to its output.
    pub call_id: String,
    /// The tool's.
    pub name: String,
    /// JSON in text, as the model wrote it.
    pub arguments: String,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// The model's text.
    OutputText {
        /// Itself.
        text: String,
    },
    /// Why the model will not.
    Refusal {
        /// In its words.
        refusal: String,
    },
    /// Text that it was given.
    InputText {
        /// Itself.
        text: String,
    },
    /// What the caller need not know.
    #[serde(other)]
    Other,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// An answer, calls of tools, or both.
    Finished {
        /// Empty where there are only calls.
        text: String,
        /// In their order.
        calls: Vec<FunctionCall>,
    },
    /// The model will not, or a filter stopped it: an answer too, and no reason to ask again.
    Refused {
        /// In its words.
        reason: String,
    },
    /// It broke off: what there is, and why.
    Cut {
        /// So far.
        text: String,
        /// `max_output_tokens` ...
        reason: String,
    },
}

impl Completion {
    /// What these items say, when all of them are whole.
    pub(super) fn of(items: &[Item]) -> Self {
        let (mut text, mut calls, mut refused) = (String::new(), Vec::new(), None);
        for item in items {
            match item {
                Item::Message { role, content, .. } if role == "assistant" => {
                    for part in content {
                        match part {
                            Part::OutputText { text: more } => text.push_str(more),
                            Part::Refusal { refusal } => refused = Some(refusal.clone()),
                            Part::InputText { .. } | Part::Other => {}
                        }
                    }
                }
                Item::FunctionCall(call) => calls.push(call.clone()),
                Item::Message { .. } | Item::Other => {}
            }
        }
        match refused {
            Some(reason) => Self::Refused { reason },
            None => Self::Finished { text, calls },
        }
    }
}

impl Response {
    /// What came of it. An error where nothing did, or where it is not over.
    pub fn completion(&self) -> Result<Completion, OpenAiError> {
        let problem = self.error.clone().unwrap_or_default();
        let reason = self.incomplete_details.as_ref().map(|details| details.reason.clone()).unwrap_or_default();
        match (self.status, Completion::of(&self.output)) {
            (Status::Completed, completion) | (Status::Incomplete, completion @ Completion::Refused { .. }) => {
                Ok(completion)
            }
            (Status::Incomplete, _) if reason == "content_filter" => {
                Ok(Completion::Refused { reason: "a filter of the service's stopped the answer".into() })
            }
            (Status::Incomplete, Completion::Finished { text, .. } | Completion::Cut { text, .. }) => {
                Ok(Completion::Cut { text, reason })
            }
            (Status::Failed, _) => Err(OpenAiError::failed_or_policy(&problem)),
            (Status::Cancelled, _) => {
                Err(OpenAiError::Failed { code: "cancelled".into(), said: "it was cancelled".into() })
            }
            (Status::Queued | Status::InProgress | Status::Unknown, _) => {
                Err(OpenAiError::Malformed { what: format!("the response {} as it is said to be over", self.id) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn message(parts: Value) -> Value {
        json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": parts})
    }

    fn text(text: &str) -> Value {
        json!({"type": "output_text", "text": text, "annotations": [{"odd": 1}]})
    }

    /// What a response of this status, with these items and fields, means.
    fn outcome(status: &str, output: Value, more: Value) -> String {
        let mut response =
            json!({"id": "resp_1", "status": status, "output": output, "object": "response", "new": [1]});
        for (name, value) in more.as_object().unwrap() {
            response[name] = value.clone();
        }
        match serde_json::from_value::<Response>(response).map(|response| response.completion()) {
            Ok(Ok(Completion::Finished { text, calls })) => format!("{text}+{}", calls.len()),
            Ok(Ok(Completion::Refused { reason })) => format!("refused: {reason}"),
            Ok(Ok(Completion::Cut { text, reason })) => format!("cut: {text}: {reason}"),
            Ok(Err(error)) => format!("{error:?}"),
            Err(error) => format!("unreadable: {error}"),
        }
    }

    #[test]
    fn a_response_means_what_its_status_and_its_parts_say() {
        let call = json!({"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}", "id": "fc_1"});
        let odd = json!({"type": "rainbow_call", "colours": 7});
        let refusal = json!({"type": "refusal", "refusal": "no"});
        let incomplete = |reason: &str| json!({"incomplete_details": {"reason": reason}});
        for (status, output, more, expect) in [
            ("completed", json!([message(json!([text("a"), text("b")])), odd, call]), json!({}), "ab+1"),
            ("completed", json!([message(json!([{"type": "new"}, text("a")]))]), json!({}), "a+0"),
            ("completed", Value::Null, json!({"usage": null, "error": null}), "+0"),
            ("completed", json!([message(json!([text("a"), refusal]))]), json!({}), "refused: no"),
            (
                "incomplete",
                json!([message(json!([text("a")]))]),
                incomplete("max_output_tokens"),
                "cut: a: max_output_tokens",
            ),
            ("incomplete", json!([message(json!([text("a")]))]), incomplete("content_filter"), "refused: a filter"),
            (
                "failed",
                json!([]),
                json!({"error": {"code": "server_error", "message": "m"}}),
                "Failed { code: \"server_error\"",
            ),
            ("failed", json!([]), json!({"error": {"code": "content_policy_violation"}}), "Policy"),
            ("failed", json!([]), json!({}), "Failed"),
            ("cancelled", json!([]), json!({}), "Failed { code: \"cancelled\""),
            ("queued", json!([]), json!({}), "Malformed"),
            ("dreaming", json!([]), json!({}), "Malformed"),
            ("completed", json!([message(json!([{"type": "output_text", "text": 5}]))]), json!({}), "unreadable"),
            ("completed", json!([{"type": "function_call", "name": "n"}]), json!({}), "unreadable"),
            ("completed", json!([7]), json!({}), "unreadable"),
            ("completed", json!([]), json!({"usage": {"input_tokens": "many"}}), "unreadable"),
            ("completed", json!([]), json!({"id": 7}), "unreadable"),
        ] {
            let read = outcome(status, output.clone(), more.clone());
            assert!(read.starts_with(expect), "{status} {output} {more}: {read}");
        }
    }

    /// JSON that resembles a response's.
    fn value() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            Just("message"),
            Just("output_text"),
            Just("refusal"),
            Just("assistant"),
            Just("completed"),
            Just("failed"),
            Just("function_call"),
            Just("x"),
        ];
        let leaf = prop_oneof![word.prop_map(Value::from), any::<i64>().prop_map(Value::from), Just(Value::Null)];
        let name = prop_oneof![
            Just("id"),
            Just("type"),
            Just("status"),
            Just("output"),
            Just("content"),
            Just("text"),
            Just("role"),
            Just("usage"),
            Just("error"),
            Just("code"),
            Just("call_id"),
            Just("name"),
            Just("arguments"),
            Just("refusal"),
        ];
        leaf.prop_recursive(5, 60, 8, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(name.clone(), inner, 0..8)
                    .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_a_response_or_an_error(value in value()) {
            if let Ok(response) = serde_json::from_value::<Response>(value) {
                let _ = response.completion();
            }
        }
    }
}
