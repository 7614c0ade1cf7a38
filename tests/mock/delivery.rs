//! Puts an answer on the wire, well or as a fault says: cut, slow, silent, too long, of wrong types.
//!
//! It decides nothing about what is answered. Start at [`deliver`].

use super::Shared;
use super::plan::Fault;
use super::reply::{Body, Reply};
use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use http_body_util::StreamBody;
use hyper::Response;
use hyper::body::Frame;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::time::Duration;

/// What hyper is given.
pub type Wire = Response<StreamBody<Pin<Box<dyn Stream<Item = io::Result<Frame<Bytes>>> + Send>>>>;

/// Long enough for what was written to leave before a connection breaks.
const BEFORE_A_BREAK: Duration = Duration::from_millis(30);

/// Of an answer that is too long, at a time. In bytes.
const FILLING: usize = 1 << 16;

/// How an answer ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Well,
    Cut,
    Never,
}

pub fn deliver(shared: &Shared, mut reply: Reply, fault: Option<&Fault>, request_id: &str) -> io::Result<Wire> {
    if let Some(fault) = fault {
        bend(&mut reply.body, fault);
    }
    let is_stream = matches!(reply.body, Body::Events(_));
    let mut pieces = pieces(reply.body);
    let n_bytes: usize = pieces.iter().map(Bytes::len).sum();
    let (mut end, mut pause) = (End::Well, Duration::ZERO);
    let mut is_length_known = !is_stream;
    match fault {
        Some(Fault::CutAfterEvents(n)) => (pieces, end) = (pieces.into_iter().take(*n).collect(), End::Cut),
        Some(Fault::StallAfterEvents(n)) => (pieces, end) = (pieces.into_iter().take(*n).collect(), End::Never),
        Some(Fault::CutAfterBytes(n)) => {
            let whole: Bytes = pieces.iter().flatten().copied().take(*n).collect();
            (pieces, end) = (vec![whole], End::Cut);
        }
        Some(Fault::SlowBytes(ms)) => {
            pieces = pieces.iter().flatten().map(|byte| Bytes::copy_from_slice(&[*byte])).collect();
            pause = Duration::from_millis(*ms);
        }
        Some(Fault::HugeBody(n)) => {
            is_length_known = false;
            if is_stream {
                pieces.insert(0, Bytes::from_static(b"data: "));
            }
            let filling = Bytes::from(vec![if is_stream { b'x' } else { b' ' }; FILLING]);
            let at = usize::from(is_stream);
            pieces.splice(at..at, std::iter::repeat_n(filling, n / FILLING));
        }
        _ => {}
    }
    let mut wire = Response::builder().status(reply.status);
    for (name, value) in common_headers(request_id).into_iter().chain(reply.headers) {
        wire = wire.header(name, value);
    }
    if is_length_known {
        wire = wire.header("content-length", n_bytes);
    }
    wire.body(StreamBody::new(stream(shared.clone(), pieces.into(), pause, end))).map_err(io::Error::other)
}

fn common_headers(request_id: &str) -> Vec<(String, String)> {
    [
        ("x-request-id", request_id),
        ("openai-version", "2020-10-01"),
        ("openai-processing-ms", "5"),
        ("x-ratelimit-limit-requests", "500"),
        ("x-ratelimit-remaining-requests", "499"),
        ("x-ratelimit-reset-requests", "120ms"),
        ("x-ratelimit-limit-tokens", "500000"),
        ("x-ratelimit-remaining-tokens", "499000"),
        ("x-ratelimit-reset-tokens", "6ms"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn pieces(body: Body) -> Vec<Bytes> {
    match body {
        Body::Json(value) => vec![value.to_string().into()],
        Body::Bytes(bytes) => bytes.chunks(4096).map(Bytes::copy_from_slice).collect(),
        Body::Events(events) => events.iter().map(|event| sse(event).into()).collect(),
    }
}

fn sse(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("message"))
}

fn stream(
    shared: Shared,
    pieces: VecDeque<Bytes>,
    pause: Duration,
    end: End,
) -> Pin<Box<dyn Stream<Item = io::Result<Frame<Bytes>>> + Send>> {
    Box::pin(unfold(Some((shared, pieces)), move |state| async move {
        let (shared, mut pieces) = state?;
        match (pieces.pop_front(), end) {
            (Some(piece), _) => {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                Some((Ok(Frame::data(piece)), Some((shared, pieces))))
            }
            (None, End::Well) => None,
            (None, End::Cut) => {
                tokio::time::sleep(BEFORE_A_BREAK).await;
                Some((Err(io::Error::other("cut, as planned")), None))
            }
            (None, End::Never) => {
                tokio::time::sleep(BEFORE_A_BREAK).await;
                silence(&shared).await
            }
        }
    }))
}

/// Nothing more, ever.
pub async fn silence<T>(shared: &Shared) -> T {
    shared.store().fall_silent();
    std::future::pending().await
}

/// Changes what is said.
fn bend(body: &mut Body, fault: &Fault) {
    match (fault, body) {
        (Fault::WrongTypes, Body::Json(value)) => twist(value),
        (Fault::WrongTypes, Body::Events(events)) => events.iter_mut().for_each(twist),
        (Fault::UnknownEvents, Body::Events(events)) => {
            let odd = json!({"type": "response.rainbow.delta", "colours": [7, {"deep": null}]});
            *events = events.drain(..).flat_map(|event| [odd.clone(), event]).collect();
        }
        _ => {}
    }
}

/// Puts a number where text belongs, and the other way round.
fn twist(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(twist),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "type" => {}
                    "id" | "text" | "delta" | "b64_json" => *value = 5.into(),
                    "input_tokens" => *value = "many".into(),
                    _ => twist(value),
                }
            }
        }
        _ => {}
    }
}
