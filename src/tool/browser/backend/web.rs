//! The web as a source: one of several search engines, if the user has chosen one, and any page by its URL.
//!
//! What a search engine is asked goes to the server of the user's configuration with the user's key; neither stands in an
//! error. Start at [`Web`]; each engine is a [`SearchApi`], which is pure.

use super::direct::Direct;
use super::{Backend, BackendError, Hit, Page};
use crate::egress::{Egress, Endpoint, Request, Url};
use crate::policy::{Capabilities, Effect, Grant, HostPattern};
use crate::world::Clock;
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A search engine's time, and the bytes of its answer.
const TIME: Duration = Duration::from_secs(30);
const MAX_ANSWER: usize = 4 << 20;

/// How a search engine is asked.
pub trait SearchApi: Send + Sync {
    /// What people call it.
    fn name(&self) -> &'static str;

    /// Its server.
    fn endpoint(&self) -> &Endpoint;

    /// The question.
    fn request(&self, query: &str, topn: usize) -> Request;

    /// What the answer to it says, or why it says nothing.
    fn hits(&self, answer: &Value) -> Result<Vec<Hit>, String>;

    /// What to do about a status of its own, where there is more to say than of any.
    fn advice(&self, _status: u16) -> Option<&'static str> {
        None
    }
}

/// The web.
pub struct Web {
    direct: Direct,
    egress: Egress,
    clock: Arc<dyn Clock>,
    /// Or why there is none, in a sentence.
    search: Result<Box<dyn SearchApi>, String>,
}

impl Web {
    /// Searches by this engine; without one, searching fails with the sentence and pages can be opened all the same.
    pub fn new(
        direct: Direct,
        egress: Egress,
        clock: Arc<dyn Clock>,
        search: Result<Box<dyn SearchApi>, String>,
    ) -> Self {
        Self { direct, egress, clock, search }
    }

    /// The answer, read to its end, and its status.
    async fn answer(&self, api: &dyn SearchApi, request: Request) -> Result<(u16, Vec<u8>), BackendError> {
        let failed = |error: crate::egress::EgressError| BackendError(error.to_string());
        let mut reply = self.egress.send(api.endpoint(), request, "browser.search").await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(BackendError(format!(
                    "the answer of {} is larger than {} MiB",
                    api.name(),
                    MAX_ANSWER >> 20
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((reply.status, body))
    }
}

#[async_trait]
impl Backend for Web {
    fn source(&self) -> &'static str {
        "web"
    }

    fn effect(&self) -> Effect {
        Effect::Send
    }

    fn wants(&self) -> Capabilities {
        Capabilities { hosts: HostPattern::parse("*").into_iter().collect(), ..Capabilities::default() }
    }

    async fn search(&self, query: &str, topn: usize, _: &Grant) -> Result<Vec<Hit>, BackendError> {
        let api = self.search.as_deref().map_err(|none| BackendError(none.clone()))?;
        let (status, body) = tokio::select! {
            answer = self.answer(api, api.request(query, topn)) => answer?,
            () = self.clock.sleep(TIME) => return Err(BackendError(format!("{} did not answer in {TIME:?}", api.name()))),
        };
        if !(200..300).contains(&status) {
            return Err(BackendError(refusal(api, status)));
        }
        let answer = serde_json::from_slice(&body)
            .map_err(|_| BackendError(format!("{} answers with what is no JSON", api.name())))?;
        let mut hits = api.hits(&answer).map_err(|why| BackendError(format!("{}: {why}", api.name())))?;
        hits.truncate(topn);
        Ok(hits)
    }

    async fn open(&self, url: &Url, grant: &Grant, view_source: bool) -> Result<Option<Page>, BackendError> {
        self.direct.open(url, grant, view_source).await
    }
}

/// Why an engine says nothing. Its own words stay out: they may repeat what they were sent.
fn refusal(api: &dyn SearchApi, status: u16) -> String {
    let advice = api.advice(status).unwrap_or(match status {
        300..=399 => "it leads elsewhere, and a key is not sent there; its URL may have changed",
        401 => "its key is missing or wrong; the user has to set another",
        402 => "its account has nothing left to spend; the user has to top it up",
        403 => "its key may not search",
        404 => "there is no search at its URL",
        408 | 504 => "it took too long; try again",
        429 => "it was asked too often; wait a while, or answer without",
        500.. => "it is out of order; try again later, or answer without",
        _ => "it does not take the question",
    });
    format!("{} answers with status {status}: {advice}", api.name())
}

/// The value under these keys, one in the other, as a text; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The values of a list.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
