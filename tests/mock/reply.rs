//! What the server answers, before it is put on the wire: a status, headers, and a body that is whole or made of
//! events.
//!
//! Errors have the API's true shape. Start at [`Reply`].

use serde_json::{Value, json};

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub enum Body {
    Json(Value),
    Bytes(Vec<u8>),
    /// Each with its type under `type`.
    Events(Vec<Value>),
}

impl Reply {
    pub fn json(value: Value) -> Self {
        Self { status: 200, headers: vec![("content-type".into(), "application/json".into())], body: Body::Json(value) }
    }

    pub fn bytes(media_type: &str, bytes: Vec<u8>) -> Self {
        Self { status: 200, headers: vec![("content-type".into(), media_type.into())], body: Body::Bytes(bytes) }
    }

    pub fn events(events: Vec<Value>) -> Self {
        let headers = vec![("content-type".into(), "text/event-stream; charset=utf-8".into())];
        Self { status: 200, headers, body: Body::Events(events) }
    }

    pub fn error(status: u16, kind: &str, code: Option<&str>, param: Option<&str>, message: &str) -> Self {
        let error = json!({"message": message, "type": kind, "param": param, "code": code});
        Self { status, ..Self::json(json!({"error": error})) }
    }

    /// 400, for what a parameter says.
    pub fn invalid(param: &str, code: &str, message: &str) -> Self {
        Self::error(400, "invalid_request_error", Some(code), Some(param), message)
    }

    /// 400, for what is not there.
    pub fn missing(param: &str) -> Self {
        Self::invalid(param, "missing_required_parameter", &format!("Missing required parameter: '{param}'."))
    }

    /// 404.
    pub fn not_found(what: &str) -> Self {
        Self::error(404, "invalid_request_error", None, None, &format!("{what} not found."))
    }

    pub fn no_such_model(model: &str) -> Self {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        Self::error(404, "invalid_request_error", Some("model_not_found"), None, &message)
    }

    pub fn content_policy() -> Self {
        let message = "Your request was rejected by the safety system.";
        Self::error(400, "image_generation_user_error", Some("content_policy_violation"), None, message)
    }
}
