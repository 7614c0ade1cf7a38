//! Which request is answered how: the key is checked, planned faults happen, and the rest goes to the part that knows.
//!
//! It knows paths and the order of things, not what is answered. Start at [`answer`].

use super::delivery::{Wire, deliver, silence};
use super::plan::{Fault, Planned};
use super::reply::Reply;
use super::store::{Received, Store};
use super::{KEY, Shared, audio, conversations, images, responses};
use http_body_util::{BodyExt, Limited};
use hyper::Request;
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::io;

/// Of a request's body. In bytes.
const MAX_BODY: usize = 64 << 20;

/// A request, taken apart.
pub struct Ask<'a> {
    pub method: &'a str,
    /// Below the base.
    pub path: &'a str,
    query: &'a str,
    pub content_type: &'a str,
    pub body: &'a [u8],
    pub fault: Option<&'a Fault>,
}

impl Ask<'_> {
    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(own, _)| *own == name)
            .map(|(_, value)| value)
    }

    /// The body, which has to be a JSON object.
    pub fn json(&self) -> Result<Value, Reply> {
        let parsed = serde_json::from_slice(self.body).ok().filter(Value::is_object);
        let message = "We could not parse the JSON body of your request.";
        parsed.ok_or_else(|| Reply::error(400, "invalid_request_error", None, None, message))
    }
}

pub async fn answer(shared: Shared, request: Request<Incoming>) -> io::Result<Wire> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(io::Error::other)?.to_bytes();
    let header = |name: &str| {
        let value = head.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (method, path) = (head.method.as_str().to_owned(), head.uri.path().to_owned());
    if path.starts_with("/mock/") {
        return deliver(&shared, about(&mut shared.store(), &method, &path, &body), None, "req_mock");
    }
    let below = path.strip_prefix("/v1").unwrap_or(&path).to_owned();
    let headers = head.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let received = Received {
        method: method.clone(),
        path: head.uri.to_string(),
        headers: headers.collect(),
        body: body.to_vec(),
    };
    let (request_id, fault) = {
        let mut store = shared.store();
        store.keep_request(received);
        (store.new_id("req"), store.fault(&method, &below))
    };
    let ask = Ask {
        method: &method,
        path: &below,
        query: head.uri.query().unwrap_or_default(),
        content_type: &header("content-type"),
        body: &body,
        fault: fault.as_ref(),
    };
    if header("authorization") != format!("Bearer {KEY}") {
        return deliver(&shared, wrong_key(&header("authorization")), None, &request_id);
    }
    let reply = match &fault {
        Some(Fault::Silence) => silence(&shared).await,
        Some(Fault::Reset) => return Err(io::Error::other("reset, as planned")),
        Some(fault) => refused(fault).unwrap_or_else(|| dispatch(&mut shared.store(), &ask)),
        None => dispatch(&mut shared.store(), &ask),
    };
    if matches!(fault, Some(Fault::ResetAfterBilling)) {
        return Err(io::Error::other("reset after billing, as planned"));
    }
    deliver(&shared, reply, fault.as_ref(), &request_id)
}

/// The whole key stands in it, as no server should write it: what a client shows of it has to be clean all the same.
fn wrong_key(header: &str) -> Reply {
    let key = header.trim_start_matches("Bearer ");
    let message = match key {
        "" => "You didn't provide an API key.".to_owned(),
        key => format!(
            "Incorrect API key provided: {key}. You can find your API key at https://platform.openai.com/account/api-keys."
        ),
    };
    Reply::error(401, "invalid_request_error", Some("invalid_api_key"), None, &message)
}

/// The answer of a fault that keeps a request from being looked at.
fn refused(fault: &Fault) -> Option<Reply> {
    let mut reply = match fault {
        Fault::RateLimit { .. } => {
            Reply::error(429, "requests", Some("rate_limit_exceeded"), None, "Rate limit reached for requests.")
        }
        Fault::Quota => {
            let message = "You exceeded your current quota, please check your plan and billing details.";
            Reply::error(429, "insufficient_quota", Some("insufficient_quota"), None, message)
        }
        Fault::Unavailable => {
            Reply::error(503, "service_unavailable_error", None, None, "The engine is currently overloaded.")
        }
        Fault::ServerError => {
            let page = b"<html><head><title>500</title></head><body>Internal Server Error</body></html>";
            Reply { status: 500, ..Reply::bytes("text/html", page.to_vec()) }
        }
        Fault::Status { status, headers, body } => {
            let reply = Reply::bytes("application/json", body.clone().into_bytes());
            Reply { status: *status, headers: [reply.headers, headers.clone()].concat(), ..reply }
        }
        Fault::ContentPolicy => Reply::content_policy(),
        _ => return None,
    };
    if let Fault::RateLimit { ms, after } = fault {
        reply.headers.extend(ms.map(|ms| ("retry-after-ms".to_owned(), ms.to_string())));
        reply.headers.extend(after.clone().map(|after| ("retry-after".to_owned(), after)));
    }
    Some(reply)
}

fn dispatch(store: &mut Store, ask: &Ask<'_>) -> Reply {
    let parts: Vec<&str> = ask.path.trim_matches('/').split('/').collect();
    let answered = match (ask.method, parts.as_slice()) {
        ("POST", ["responses"]) => responses::create(store, ask),
        ("POST", ["responses", "input_tokens"]) => responses::count(store, ask),
        ("GET", ["responses", id]) => responses::retrieve(store, ask, id),
        ("DELETE", ["responses", id]) => responses::delete(store, id),
        ("POST", ["responses", id, "cancel"]) => responses::cancel(store, id),
        ("GET", ["responses", id, "input_items"]) => responses::input_items(store, id),
        ("POST", ["conversations"]) => conversations::create(store, ask),
        ("GET", ["conversations", id]) => conversations::retrieve(store, id),
        ("DELETE", ["conversations", id]) => conversations::delete(store, id),
        ("GET", ["conversations", id, "items"]) => conversations::items(store, ask, id),
        ("POST", ["images", "generations"]) => images::generate(store, ask),
        ("POST", ["images", "edits"]) => images::edit(store, ask),
        ("POST", ["audio", "transcriptions"]) => audio::transcribe(store, ask),
        ("POST", ["audio", "speech"]) => audio::speak(store, ask),
        ("POST", ["files"]) => conversations::create_file(store, ask),
        ("GET", ["files", id]) => conversations::file(store, id),
        ("DELETE", ["files", id]) => conversations::delete_file(store, id),
        ("GET", ["models"]) => Ok(Reply::json(json!({"object": "list", "data": models()}))),
        ("GET", ["models", id]) => {
            let found = models().into_iter().find(|model| model["id"] == *id);
            found.map(Reply::json).ok_or_else(|| Reply::no_such_model(id))
        }
        (method, _) => {
            let message = format!("Invalid URL ({method} /v1{})", ask.path);
            Err(Reply::error(404, "invalid_request_error", None, None, &message))
        }
    };
    answered.unwrap_or_else(|error| error)
}

/// The models that it has, by what they do.
pub const MODELS: [(&str, &str, Option<&str>); 7] = [
    ("gpt-6.2-sol", "text", None),
    ("gpt-6-luna", "text", None),
    ("gpt-image-2.6-flare", "image", None),
    ("gpt-image-1.5", "image", Some("2026-12-01")),
    ("gpt-transcribe", "transcription", None),
    ("gpt-4o-mini-tts", "speech", Some("2027-01-06")),
    ("mock-tts", "speech", None),
];

/// Whether a model is one of these, and does this.
pub fn model(value: &Value, does: &str) -> Result<String, Reply> {
    let id = value.as_str().ok_or_else(|| Reply::missing("model"))?;
    match MODELS.iter().find(|(own, ..)| *own == id) {
        Some((_, what, _)) if *what == does => Ok(id.to_owned()),
        Some(_) => Err(Reply::invalid("model", "invalid_value", &format!("The model `{id}` cannot be used here."))),
        None => Err(Reply::no_such_model(id)),
    }
}

fn models() -> Vec<Value> {
    let model = |(id, _, shutdown): &(&str, &str, Option<&str>)| {
        let mut model = json!({"id": id, "object": "model", "created": 1_780_000_000, "owned_by": "system"});
        if let Some(date) = shutdown {
            model["shutdown_date"] = (*date).into();
        }
        model
    };
    MODELS.iter().map(model).collect()
}

/// Requests about the mock itself.
fn about(store: &mut Store, method: &str, path: &str, body: &[u8]) -> Reply {
    match (method, path) {
        ("POST", "/mock/plan") => {
            let one = serde_json::from_slice::<Planned>(body).map(|planned| vec![planned]);
            match one.or_else(|_| serde_json::from_slice::<Vec<Planned>>(body)) {
                Ok(plan) => {
                    let n = plan.len();
                    plan.into_iter().for_each(|planned| store.plan(planned));
                    Reply::json(json!({"planned": n}))
                }
                Err(error) => Reply::invalid("plan", "invalid_value", &error.to_string()),
            }
        }
        ("GET", "/mock/charged") => Reply::json(json!({"n": store.charged().len(), "charged": store.charged()})),
        ("GET", "/mock/received") => {
            let request = |received: &Received| {
                let body = String::from_utf8_lossy(&received.body);
                json!({"method": received.method, "path": received.path, "headers": received.headers, "body": body})
            };
            let requests: Vec<Value> = store.requests().iter().map(request).collect();
            Reply::json(json!({"n_bytes": store.bytes().len(), "n_silences": store.n_silences(), "requests": requests}))
        }
        ("GET", "/mock/received/bytes") => Reply::bytes("application/octet-stream", store.bytes().to_vec()),
        _ => Reply::not_found("That part of the mock"),
    }
}
