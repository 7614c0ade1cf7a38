//! One attempt of one call: a request out, an answer in, each within its limits of time and size.
//!
//! It does not try again; `retry` does. Start at [`Call`], then [`OpenAi::attempt`].

use super::error::{Answered, OpenAiError, RateLimits, shown};
use super::retry::{Repeat, verdict};
use super::{Key, OpenAi};
use crate::egress::{EgressError, Request, Streamed, Url};
use crate::policy::Grant;
use crate::world::Clock;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Of an answer that is an error. In bytes.
const MAX_COMPLAINT: usize = 64 << 10;

/// Of an id that goes into a URL.
const MAX_ID: usize = 200;

/// A call of the API's.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    /// In words, for errors.
    pub name: &'static str,
    pub method: &'static str,
    /// Below the base.
    pub path: Vec<&'a str>,
    pub query: Vec<(&'static str, String)>,
    /// A media type, and bytes.
    pub body: Option<(String, Vec<u8>)>,
    pub repeat: Repeat,
    /// Whether the answer is read to its end before it is given on.
    pub is_whole: bool,
    /// Without a byte from the other side; the client's own limit without it.
    pub idle: Option<Duration>,
}

impl<'a> Call<'a> {
    /// A call that costs nothing and is answered whole.
    pub(super) fn new(name: &'static str, method: &'static str, path: &[&'a str]) -> Self {
        let path = path.to_vec();
        Self { name, method, path, query: Vec::new(), body: None, repeat: Repeat::Safe, is_whole: true, idle: None }
    }

    pub(super) fn json(self, body: &impl Serialize) -> Result<Self, OpenAiError> {
        let wrong = |error: serde_json::Error| {
            OpenAiError::NotSent(EgressError::Malformed(format!(
                "{}: the request cannot be written: {error}",
                self.name
            )))
        };
        let bytes = serde_json::to_vec(body).map_err(wrong)?;
        Ok(Self { body: Some(("application/json".into(), bytes)), ..self })
    }

    pub(super) fn form(self, (media_type, bytes): (String, Vec<u8>)) -> Self {
        Self { body: Some((media_type, bytes)), ..self }
    }

    pub(super) fn paid(self) -> Self {
        Self { repeat: Repeat::Paid, ..self }
    }

    pub(super) fn streamed(self) -> Self {
        Self { is_whole: false, ..self }
    }
}

/// Why an attempt gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// Not a byte left.
    #[error("{0}")]
    NotSent(EgressError),
    /// It left, and nothing usable came, or not all of it.
    #[error("{0}")]
    Lost(String),
    /// More came than is taken.
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
    /// What came cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// There is no key to send it with.
    #[error("{0}")]
    NoKey(String),
    /// An answer that is an error.
    #[error("HTTP {}", .0.status)]
    Status(Box<Answered>),
}

impl From<EgressError> for Failure {
    fn from(error: EgressError) -> Self {
        match error {
            EgressError::Unreachable { .. } | EgressError::TimedOut { .. } => Self::Lost(error.to_string()),
            EgressError::TooLong { limit } => Self::TooLong(limit),
            EgressError::Refused(_)
            | EgressError::Malformed(_)
            | EgressError::NotConnected { .. }
            | EgressError::TooManyRedirects(_)
            | EgressError::Ledger(_) => Self::NotSent(error),
        }
    }
}

/// What a future gives within some time.
async fn within<T>(clock: &dyn Clock, time: Duration, future: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::select! {
        biased;
        value = future => Ok(value),
        () = clock.sleep(time) => Err(Failure::Lost(format!("nothing more came within {} s", time.as_secs_f64()))),
    }
}

impl OpenAi {
    /// One attempt.
    pub(super) async fn attempt(&self, call: &Call<'_>, grant: &Grant) -> Result<Body, Failure> {
        let key = self.0.key.clone();
        let secret = tokio::task::spawn_blocking(move || key.secret().map(str::to_owned)).await;
        let secret = secret.unwrap_or_else(|crash| Err(crash.to_string()));
        let request = self.request(call, &secret.map_err(Failure::NoKey)?)?;
        let (clock, limits) = (&self.0.world.clock, self.limits());
        let idle = call.idle.unwrap_or(limits.idle);
        let began = clock.elapsed();
        let sending = self.0.egress.send_for(&self.0.endpoint, request, grant);
        let streamed = within(&**clock, idle.min(limits.total), sending).await??;
        *self.0.rate_limits.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = RateLimits::of(&streamed.headers);
        let (status, headers) = (streamed.status, streamed.headers.clone());
        let is_good = (200..300).contains(&status);
        let mut body = Body {
            streamed,
            clock: clock.clone(),
            key: self.0.key.clone(),
            idle,
            end: began + limits.total,
            n_left: if is_good { limits.n_bytes } else { MAX_COMPLAINT },
            limit: limits.n_bytes,
            read: Vec::new(),
        };
        if !is_good {
            // A complaint that breaks off or goes on for ever is one all the same: the status counts.
            let _ = body.fill().await;
            return Err(Failure::Status(Box::new(Answered::new(status, headers, body.into_text().as_bytes()))));
        }
        if call.is_whole {
            body.fill().await?;
        }
        Ok(body)
    }

    fn request(&self, call: &Call<'_>, key: &str) -> Result<Request, Failure> {
        let wrong = |what: &str| Failure::NotSent(EgressError::Malformed(what.to_owned()));
        let mut url: Url = self.0.endpoint.url().clone();
        if let Some(id) = call.path.iter().find(|part| !is_id(part)) {
            return Err(wrong(&format!("`{}` is no id of the API's", shown(id))));
        }
        url.path_segments_mut().map_err(|()| wrong("the base URL has no path"))?.pop_if_empty().extend(&call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query.iter().map(|(name, value)| (name, value)));
        }
        let accept = if call.is_whole { "application/json" } else { "text/event-stream, */*" };
        let mut headers =
            vec![("authorization".to_owned(), format!("Bearer {key}")), ("accept".to_owned(), accept.to_owned())];
        let settings = &self.0.settings;
        for (name, value) in [("openai-organization", &settings.organization), ("openai-project", &settings.project)] {
            headers.extend(value.clone().map(|value| (name.to_owned(), value)));
        }
        let (media_type, body) = call.body.clone().unzip();
        headers.extend(media_type.map(|value| ("content-type".to_owned(), value)));
        Ok(Request { method: call.method.into(), url, headers, body: body.unwrap_or_default() })
    }

    /// The answer to a call as a value.
    pub(super) async fn value<T: DeserializeOwned>(&self, call: &Call<'_>, grant: &Grant) -> Result<T, OpenAiError> {
        let body = self.answered(call, grant).await?;
        read(call.name, &body.into_text())
    }

    /// A failure in the middle of a stream, which is not tried again.
    pub(super) fn broken(&self, call: &'static str, repeat: Repeat, failure: Failure) -> OpenAiError {
        let verdict = verdict(&failure, repeat);
        self.error(call, failure, verdict, 1, None)
    }
}

/// Whether this can be a part of a path: ids come from the other side, and must not lead elsewhere.
fn is_id(part: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
    !part.is_empty() && part.len() <= MAX_ID && part.bytes().all(is_good) && !part.bytes().all(|byte| byte == b'.')
}

/// Reads what a call was answered.
pub(super) fn read<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, OpenAiError> {
    serde_json::from_str(text).map_err(|error| OpenAiError::Malformed { what: shown(&format!("{name}: {error}")) })
}

/// A body that is still coming.
pub(super) struct Body {
    streamed: Streamed,
    clock: Arc<dyn Clock>,
    key: Arc<Key>,
    idle: Duration,
    /// By the clock's elapsed time.
    end: Duration,
    /// Of the bytes that are taken.
    n_left: usize,
    limit: usize,
    read: Vec<u8>,
}

impl Body {
    /// The next piece; `None` at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let left = self.end.saturating_sub(self.clock.elapsed());
        let chunk = within(&*self.clock, self.idle.min(left), self.streamed.chunk()).await??;
        let n_bytes = chunk.as_ref().map_or(0, Vec::len);
        self.n_left = self.n_left.checked_sub(n_bytes).ok_or(Failure::TooLong(self.limit))?;
        Ok(chunk)
    }

    /// Reads it to its end.
    async fn fill(&mut self) -> Result<(), Failure> {
        while let Some(chunk) = self.chunk().await? {
            self.read.extend_from_slice(&chunk);
        }
        Ok(())
    }

    /// What was read, without the key, should the other side have said it.
    pub(super) fn into_text(self) -> String {
        self.key.removed_from(String::from_utf8_lossy(&self.read).into_owned())
    }

    /// As [`into_text`](Self::into_text), for a piece.
    pub(super) fn key(&self) -> Arc<Key> {
        self.key.clone()
    }
}
