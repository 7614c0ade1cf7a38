//! Streamable HTTP: the protocol's messages as requests, through `egress`, and answers that come as a stream of events.
//!
//! What it is not: a way past the ledger; each request is on record like any other, and goes to the user's own endpoint and
//! nowhere else. Start at [`transport`].

use crate::egress::{Egress, EgressError, Endpoint, Request, Streamed, Url};
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, unfold};
use http::{HeaderName, HeaderValue};
use rmcp::model::{ClientJsonRpcMessage, JsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::common::http_header::{
    EVENT_STREAM_MIME_TYPE, HEADER_LAST_EVENT_ID, HEADER_SESSION_ID, JSON_MIME_TYPE,
};
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError,
    StreamableHttpPostResponse,
};
use sse_stream::{Sse, SseStream};
use std::collections::HashMap;
use std::sync::Arc;

/// One message, or one event of a stream. In bytes.
const MAX_MESSAGE: usize = 16 << 20;

/// Of an answer that is none. In bytes.
const MAX_COMPLAINT: usize = 300;

/// A stream that breaks is taken up again so often.
const MAX_RETRIES: usize = 3;

/// The transport to a service.
pub(super) fn transport(
    server: &str,
    egress: &Egress,
    endpoint: &Endpoint,
    headers: &[(String, String)],
) -> Result<StreamableHttpClientTransport<Way>, String> {
    let way = Way { sender: format!("{}{server}", super::PACKAGE), egress: egress.clone(), endpoint: endpoint.clone() };
    let mut map = HashMap::new();
    for (name, value) in headers {
        let wrong = |_| format!("cannot be asked with the header {name:?}");
        let name = name.parse::<HeaderName>().map_err(|error| wrong(error.to_string()))?;
        let mut value = value.parse::<HeaderValue>().map_err(|error| wrong(error.to_string()))?;
        value.set_sensitive(true);
        map.insert(name, value);
    }
    let mut policy = ExponentialBackoff::default();
    policy.max_times = Some(MAX_RETRIES);
    let mut config = StreamableHttpClientTransportConfig::with_uri(endpoint.url().as_str()).custom_headers(map);
    config.retry_config = Arc::new(policy);
    Ok(StreamableHttpClientTransport::with_client(way, config))
}

/// The way to one service.
#[derive(Clone)]
pub(super) struct Way {
    /// Whom the ledger names.
    sender: String,
    egress: Egress,
    endpoint: Endpoint,
}

type WayError = StreamableHttpError<EgressError>;
type Headers = HashMap<HeaderName, HeaderValue>;

impl Way {
    async fn send(
        &self,
        method: &str,
        uri: &str,
        session: Option<&str>,
        more: &[(&str, &str)],
        custom: Headers,
        body: Vec<u8>,
    ) -> Result<Streamed, WayError> {
        let url = Url::parse(uri).map_err(|error| unexpected(format!("{uri} is no URL: {error}")))?;
        let mut headers: Vec<(String, String)> = Vec::new();
        for (name, value) in &custom {
            let value = value.to_str().map_err(|_| unexpected(format!("the header {name} is no text")))?;
            headers.push((name.to_string(), value.to_owned()));
        }
        headers.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        headers.extend(session.map(|session| (HEADER_SESSION_ID.to_owned(), session.to_owned())));
        let request = Request { method: method.into(), url, headers, body };
        let answer = self.egress.send(&self.endpoint, request, &self.sender).await.map_err(WayError::Client)?;
        match answer.status {
            401 | 403 => Err(unexpected(format!(
                "the service wants a key, or another one (HTTP {}); `bearer_token_env_var` names the variable that holds it",
                answer.status
            ))),
            300..=399 => Err(unexpected(format!(
                "the service is elsewhere (HTTP {}, {}); give its new address",
                answer.status,
                header(&answer, "location").unwrap_or("it does not say where")
            ))),
            _ => Ok(answer),
        }
    }
}

impl StreamableHttpClient for Way {
    type Error = EgressError;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Result<StreamableHttpPostResponse, WayError> {
        let more = [("accept", "application/json, text/event-stream"), ("content-type", JSON_MIME_TYPE)];
        let body = serde_json::to_vec(&message)?;
        let answer = self.send("POST", &uri, session_id.as_deref(), &more, custom_headers, body).await?;
        let session = header(&answer, HEADER_SESSION_ID).map(str::to_owned);
        let (status, is_request) = (answer.status, matches!(message, JsonRpcMessage::Request(_)));
        match status {
            404 if session_id.is_some() => return Err(WayError::SessionExpired),
            202 | 204 => return Ok(StreamableHttpPostResponse::Accepted),
            200..=299 if is_type(&answer, EVENT_STREAM_MIME_TYPE) => {
                return Ok(StreamableHttpPostResponse::Sse(events(answer), session));
            }
            // Nothing is awaited, so whatever else is said counts for nothing.
            200..=299 if !is_request => return Ok(StreamableHttpPostResponse::Accepted),
            _ => {}
        }
        let body = whole(answer).await?;
        match serde_json::from_slice::<ServerJsonRpcMessage>(&body) {
            Ok(message) if (200..300).contains(&status) || matches!(message, JsonRpcMessage::Error(_)) => {
                Ok(StreamableHttpPostResponse::Json(message, session))
            }
            _ => {
                let said: String = String::from_utf8_lossy(&body).chars().take(MAX_COMPLAINT).collect();
                Err(unexpected(format!("the service answered HTTP {status} and no message: {said}")))
            }
        }
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Result<(), WayError> {
        self.send("DELETE", &uri, Some(&session_id), &[], custom_headers, Vec::new()).await.map(|_| ())
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, WayError> {
        let mut more = vec![("accept", EVENT_STREAM_MIME_TYPE)];
        more.extend(last_event_id.as_deref().map(|id| (HEADER_LAST_EVENT_ID, id)));
        let answer = self.send("GET", &uri, session_id.as_deref(), &more, custom_headers, Vec::new()).await?;
        match answer.status {
            200..=299 if is_type(&answer, EVENT_STREAM_MIME_TYPE) => Ok(events(answer)),
            // That it does not speak unasked is the usual reason.
            _ => Err(WayError::ServerDoesNotSupportSse),
        }
    }
}

fn unexpected(problem: String) -> WayError {
    WayError::UnexpectedServerResponse(problem.into())
}

fn header<'a>(answer: &'a Streamed, name: &str) -> Option<&'a str> {
    let mut headers = answer.headers.iter();
    headers.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Whether the answer says that it is of this type, whatever else it says of it.
fn is_type(answer: &Streamed, media_type: &str) -> bool {
    let essence = header(answer, "content-type").and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(media_type))
}

/// An answer that is one message.
async fn whole(mut answer: Streamed) -> Result<Vec<u8>, WayError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(WayError::Client)? {
        if body.len() + chunk.len() > MAX_MESSAGE {
            return Err(WayError::ResponseBodyTooLarge { max_size: MAX_MESSAGE });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An answer that is a stream of events.
fn events(answer: Streamed) -> BoxStream<'static, Result<Sse, SseError>> {
    let bytes = unfold(Some((answer, EventSize::default())), async |state| {
        let (mut answer, mut size) = state?;
        match answer.chunk().await {
            Ok(Some(chunk)) if size.is_too_long(&chunk) => {
                Some((Err(EgressError::TooLong { limit: MAX_MESSAGE }), None))
            }
            Ok(Some(chunk)) => Some((Ok(tokio_util::bytes::Bytes::from(chunk)), Some((answer, size)))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    SseStream::from_bytes_stream(Box::pin(bytes)).boxed()
}

/// Counts the bytes of an event that has not ended yet: an empty line ends it.
#[derive(Default)]
struct EventSize {
    n_bytes: usize,
    has_line_begun: bool,
}

impl EventSize {
    fn is_too_long(&mut self, chunk: &[u8]) -> bool {
        for byte in chunk {
            self.n_bytes += 1;
            match byte {
                b'\n' if !self.has_line_begun => self.n_bytes = 0,
                b'\n' => self.has_line_begun = false,
                b'\r' => {}
                _ => self.has_line_begun = true,
            }
            if self.n_bytes > MAX_MESSAGE {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_without_end_is_too_long_and_many_short_ones_are_not() {
        let mut size = EventSize::default();
        assert!((0..1000).all(|_| !size.is_too_long(&b"data: x\r\n\r\n".repeat(10_000))));
        let line = format!("data: {}\n", "x".repeat(1 << 20));
        assert!((0..15).all(|_| !size.is_too_long(line.as_bytes())));
        assert!((0..2).any(|_| size.is_too_long(line.as_bytes())));
    }
}
