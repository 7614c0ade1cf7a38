//! Opens URLs of the web under the call's grant: fetched through `egress`, kept where that is allowed, and made into text.
//!
//! It searches nothing and follows no link by itself. Where a call may go, redirects included, is checked by `egress` and the
//! grant. Start at [`Direct::open`].

use super::super::cache::{Before, Cache, Entry, Kept};
use super::super::html::{self, Kind, Options};
use super::super::view::one_line;
use super::{BackendError, Page};
use crate::egress::{Egress, EgressError, Limits, Reply, Request, Url};
use crate::policy::Grant;
use crate::world::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::spawn_blocking;

/// Of a page, redirects included.
const LIMITS: Limits = Limits { time: Duration::from_secs(30), n_bytes: 10 << 20 };

/// Between two requests to one host, at least.
const BETWEEN: Duration = Duration::from_millis(500);

/// Hosts that are remembered; those that may be asked again are forgotten first.
const MAX_HOSTS: usize = 1000;

/// What a page may come as, the best first.
const ACCEPT: &str = "text/html, application/xhtml+xml, text/markdown;q=0.9, text/plain;q=0.9, */*;q=0.5";

/// In characters, of what a server says when it has no page.
const MAX_EXCUSE: usize = 300;

/// What makes text of the bytes of a PDF; the error is a sentence.
pub type PdfReader = Arc<dyn Fn(&[u8]) -> Result<String, String> + Send + Sync>;

/// The way to pages of the web.
pub struct Direct {
    egress: Egress,
    clock: Arc<dyn Clock>,
    cache: Option<Arc<Cache>>,
    pdf: Option<PdfReader>,
    options: Options,
    /// When a host may be asked again, by the clock's elapsed time.
    hosts: Mutex<HashMap<String, Duration>>,
}

impl Direct {
    /// One that keeps nothing and does not read PDF.
    pub fn new(egress: Egress, clock: Arc<dyn Clock>) -> Self {
        Self { egress, clock, cache: None, pdf: None, options: Options::default(), hosts: Mutex::default() }
    }

    /// Keeps pages where their servers allow it.
    pub fn with_cache(self, cache: Cache) -> Self {
        Self { cache: Some(Arc::new(cache)), ..self }
    }

    /// Reads PDF too.
    pub fn with_pdf(self, pdf: PdfReader) -> Self {
        Self { pdf: Some(pdf), ..self }
    }

    /// Reads pages in this way.
    pub fn with_options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// The page at a URL, or its source; `None` for what is not of the web.
    pub(super) async fn open(&self, url: &Url, grant: &Grant, view_source: bool) -> Result<Option<Page>, BackendError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Ok(None);
        }
        // A page that is kept is no less a page of its host.
        grant.may_reach(url).map_err(BackendError)?;
        let mut url = url.clone();
        url.set_fragment(None);
        let (url, kept) = self.fetch(url, grant).await?;
        let (pdf, options) = (self.pdf.clone(), self.options);
        let made = spawn_blocking(move || page(&kept, &url, view_source, options, pdf.as_ref())).await;
        made.map_err(|error| BackendError(format!("it cannot be read ({error})")))?.map(Some).map_err(BackendError)
    }

    /// What lies there, and where that is after all.
    async fn fetch(&self, url: Url, grant: &Grant) -> Result<(Url, Kept), BackendError> {
        let headers = vec![("accept".to_owned(), ACCEPT.to_owned())];
        let request = Request { method: "GET".into(), url, headers, body: Vec::new() };
        let is_local = grant.may_reach_locally(&request.url);
        let (validators, entry) = match self.before(&request, is_local).await {
            Before::Fresh(kept) => return Ok((request.url, kept)),
            Before::Stale { headers, entry } => (headers, Some(entry)),
            Before::Unknown => (Vec::new(), None),
        };
        let asking = Request { headers: [request.headers.clone(), validators].concat(), ..request.clone() };
        let mut reply = self.send(asking, grant).await?;
        if let Some(entry) = entry.filter(|_| reply.status == 304) {
            if let Some(kept) = self.unchanged(&request, &reply, entry).await {
                return Ok((request.url, kept));
            }
            // It speaks of another page than the kept one.
            reply = self.send(request.clone(), grant).await?;
        }
        let content_type = reply.header("content-type").map(str::to_owned);
        if !(200..300).contains(&reply.status) {
            return Err(BackendError(excuse(&reply, content_type.as_deref())));
        }
        // It is kept as what it is, wherever it was asked for.
        self.keep(&request, &reply, grant.may_reach_locally(&reply.url)).await;
        Ok((reply.url, Kept { content_type, body: reply.body }))
    }

    async fn before(&self, request: &Request, is_local: bool) -> Before {
        let Some(cache) = self.cache.clone() else { return Before::Unknown };
        let (request, now) = (request.clone(), self.clock.now());
        spawn_blocking(move || cache.before(&request, is_local, now)).await.unwrap_or(Before::Unknown)
    }

    async fn unchanged(&self, request: &Request, reply: &Reply, entry: Box<Entry>) -> Option<Kept> {
        let cache = self.cache.clone().filter(|_| reply.url == request.url)?;
        let (request, reply, now) = (request.clone(), reply.clone(), self.clock.now());
        spawn_blocking(move || cache.unchanged(&request, &reply, entry, now)).await.ok().flatten()
    }

    async fn keep(&self, request: &Request, reply: &Reply, is_local: bool) {
        let Some(cache) = self.cache.clone() else { return };
        let (request, reply, now) = (request.clone(), reply.clone(), self.clock.now());
        if let Err(error) = spawn_blocking(move || cache.keep(&request, &reply, is_local, now)).await {
            tracing::debug!(%error, "a page was not kept");
        }
    }

    async fn send(&self, request: Request, grant: &Grant) -> Result<Reply, BackendError> {
        let wait = self.turn(request.url.host_str().unwrap_or_default());
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
        self.egress.fetch(request, grant, LIMITS).await.map_err(|error| match error {
            EgressError::TooLong { limit } => BackendError(format!("it is larger than {} MiB", limit >> 20)),
            error => BackendError(error.to_string()),
        })
    }

    /// Takes the host's next turn; how long it is until then.
    pub(super) fn turn(&self, host: &str) -> Duration {
        let now = self.clock.elapsed();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= MAX_HOSTS {
            hosts.retain(|_, next| *next > now);
        }
        let next = hosts.entry(host.to_owned()).or_default();
        let turn = now.max(*next);
        *next = turn + BETWEEN;
        turn - now
    }
}

/// The bytes as a page, or why they are none.
fn page(kept: &Kept, url: &Url, view_source: bool, options: Options, pdf: Option<&PdfReader>) -> Result<Page, String> {
    let (bytes, content_type) = (kept.body.as_slice(), kept.content_type.as_deref());
    match html::kind(content_type, bytes) {
        Kind::Html if !view_source => Ok(html::page(bytes, content_type, url, options)),
        Kind::Html | Kind::Text => Ok(html::text_page(bytes, content_type, url)),
        Kind::Pdf => {
            let pdf = pdf.ok_or("it is a PDF, and there is nothing here that reads it")?;
            let page = html::text_page(pdf(bytes)?.as_bytes(), Some("text/plain; charset=utf-8"), url);
            Ok(Page { source_lines: Vec::new(), ..page })
        }
        Kind::Other(media_type) => {
            Err(format!("it is of the type {}, which cannot be read as text", one_line(&media_type, MAX_EXCUSE)))
        }
    }
}

/// What a server says that has no page: the status, and the beginning of its words.
fn excuse(reply: &Reply, content_type: Option<&str>) -> String {
    let reason = http::StatusCode::from_u16(reply.status).ok().and_then(|status| status.canonical_reason());
    let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let words = match html::kind(content_type, &reply.body) {
        Kind::Html => html::page(&reply.body, content_type, &reply.url, Options { main_content: true }).text,
        Kind::Text => html::text_page(&reply.body, content_type, &reply.url).text,
        Kind::Pdf | Kind::Other(_) => String::new(),
    };
    let words = if reply.body.is_empty() { String::new() } else { one_line(&words, MAX_EXCUSE) };
    let colon = if words.is_empty() { "" } else { ": " };
    format!("it answers with status {}{reason}{colon}{words}", reply.status)
}
