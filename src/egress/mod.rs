//! The one way out of the machine: HTTP to where a grant or the user's configuration leads, on the record before it leaves.
//!
//! What it is not: a place for policy; it asks the grant at each hop. There are no proxies, no cookies and no client that
//! follows redirects by itself. Start at [`Egress::fetch`] for what tools and models name, at [`Egress::stream`] for
//! the same when it is large, at [`Egress::send`] for the user's own servers, at [`Egress::send_for`] for those of them that a
//! call has to be allowed to reach; [`is_public`] says which addresses others may name.

mod ledger;
mod url;

pub use self::ledger::{Entry, Ledger, LedgerError};
pub use self::url::{Endpoint, is_public};
pub use ::url::Url;

use crate::policy::Grant;
use crate::world::World;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Answers that only say where else to ask, one after the other.
const MAX_REDIRECTS: usize = 10;

/// To open a connection.
const CONNECT_TIME: Duration = Duration::from_secs(15);

/// Headers that are the connection's matter, not the sender's.
const NOT_FOR_SENDERS: &[&str] =
    &["host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive", "expect"];

/// Headers that are for every host's eyes: no other goes along when a redirect leads to another one.
const FOR_EVERY_HOST: &[&str] = &["accept", "accept-language", "content-type", "range", "user-agent"];

/// The way out. Shared by cloning.
#[derive(Clone)]
pub struct Egress(Arc<Shared>);

struct Shared {
    world: World,
    ledger: Arc<dyn Ledger>,
    /// Numbers what is sent.
    n_sent: AtomicU64,
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST` ...
    pub method: String,
    /// Where to.
    pub url: Url,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

/// What a request may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// All redirects together.
    pub time: Duration,
    /// Of the answer, decompressed.
    pub n_bytes: usize,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP's.
    pub status: u16,
    /// Where it came from, after redirects.
    pub url: Url,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// Decompressed.
    pub body: Vec<u8>,
}

/// An answer whose body is still coming.
pub struct Streamed {
    /// HTTP's.
    pub status: u16,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    body: reqwest::Response,
}

/// Why nothing came back. `Display` is fit for a model to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// It may not go there, and did not.
    #[error("{0}")]
    Refused(String),
    /// The request makes no sense.
    #[error("{0}")]
    Malformed(String),
    /// No connection came about, so not a byte of the request left.
    #[error("{host} cannot be reached: {cause}")]
    NotConnected {
        /// The host.
        host: String,
        /// The system's words.
        cause: String,
    },
    /// Nothing usable answered; what was sent may have arrived.
    #[error("{host} cannot be reached: {cause}")]
    Unreachable {
        /// The host.
        host: String,
        /// The system's words.
        cause: String,
    },
    /// It took too long.
    #[error("{host} did not answer in time ({limit:?})")]
    TimedOut {
        /// The host.
        host: String,
        /// The time it had.
        limit: Duration,
    },
    /// The answer is longer than it may be.
    #[error("the answer has more than {limit} bytes; ask for less")]
    TooLong {
        /// In bytes.
        limit: usize,
    },
    /// It led from one place to the next without end.
    #[error("more than {MAX_REDIRECTS} redirects, the last one to {0}")]
    TooManyRedirects(String),
    /// What cannot be written down does not happen.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// On whose account something leaves: what the ledger says of it.
struct Account<'a> {
    sender: &'a str,
    rule: &'a str,
    is_approved: bool,
}

impl Egress {
    /// A way out whose traffic is written into `ledger`.
    pub fn new(world: World, ledger: Arc<dyn Ledger>) -> Self {
        Self(Arc::new(Shared { world, ledger, n_sent: AtomicU64::new(0) }))
    }

    /// Sends what a tool asks for, under its grant, and reads the answer. Every hop of a redirect is checked anew, its name
    /// looked up once, and the connection made to the address that was checked.
    pub async fn fetch(&self, mut request: Request, grant: &Grant, limits: Limits) -> Result<Reply, EgressError> {
        let sender = grant.tool().to_string();
        let account = Account { sender: &sender, rule: grant.rule(), is_approved: grant.approved() };
        let clock = &self.0.world.clock;
        let deadline = clock.elapsed() + limits.time;
        for _ in 0..=MAX_REDIRECTS {
            let is_local = grant.may_reach_locally(&request.url);
            self::url::check(&request.url, is_local).map_err(EgressError::Refused)?;
            grant.may_reach(&request.url).map_err(EgressError::Refused)?;
            let addresses = self.addresses(&request.url, is_local).await?;
            let time = deadline.saturating_sub(clock.elapsed());
            let (id, answer) = self.sent(&request, &addresses, Some(time), &account).await?;
            let next = redirect(&answer, &request.url);
            let reply = match &next {
                // What stands in it is not read.
                Some(_) => Ok(Reply {
                    status: answer.status().as_u16(),
                    url: request.url.clone(),
                    headers: Vec::new(),
                    body: Vec::new(),
                }),
                None => read(answer, &request.url, limits).await,
            };
            self.answered(id, &reply).await?;
            let Some(next) = next else { return reply };
            request = redirected(request, reply?.status, next?);
        }
        Err(EgressError::TooManyRedirects(request.url.to_string()))
    }

    /// Sends something to a server of the user's own, which may be a private one, and gives its answer as it comes. A redirect
    /// is not followed: what is sent may hold a key. `sender` is who the ledger says it was.
    pub async fn send(&self, endpoint: &Endpoint, request: Request, sender: &str) -> Result<Streamed, EgressError> {
        if !endpoint.covers(&request.url) {
            return Err(EgressError::Refused(format!("{} is not {}", request.url, endpoint)));
        }
        self.streamed(request, true, &Account { sender, rule: "configuration", is_approved: false }).await
    }

    /// As [`send`](Self::send), under a grant: it goes to the user's own server, which the call must be allowed to reach, and
    /// the ledger says for which tool and by which rule. A caller that stops waiting leaves a line without an answer in the
    /// ledger, which is what is known then.
    pub async fn send_for(
        &self,
        endpoint: &Endpoint,
        request: Request,
        grant: &Grant,
    ) -> Result<Streamed, EgressError> {
        if !endpoint.covers(&request.url) {
            return Err(EgressError::Refused(format!("{} is not {}", request.url, endpoint)));
        }
        grant.may_reach(&request.url).map_err(EgressError::Refused)?;
        let sender = grant.tool().to_string();
        let account = Account { sender: &sender, rule: grant.rule(), is_approved: grant.approved() };
        self.streamed(request, true, &account).await
    }

    /// As [`fetch`](Self::fetch), for an answer that is too large to be held: it is given as it comes. A redirect is not
    /// followed, because who asked may want to see where it leads. There is no limit of time: to stop waiting ends it.
    pub async fn stream(&self, request: Request, grant: &Grant) -> Result<Streamed, EgressError> {
        let is_local = grant.may_reach_locally(&request.url);
        self::url::check(&request.url, is_local).map_err(EgressError::Refused)?;
        grant.may_reach(&request.url).map_err(EgressError::Refused)?;
        let sender = grant.tool().to_string();
        let account = Account { sender: &sender, rule: grant.rule(), is_approved: grant.approved() };
        self.streamed(request, is_local, &account).await
    }

    /// Sends to what was checked. An error of the ledger's says that nothing was sent.
    async fn streamed(&self, request: Request, is_local: bool, account: &Account<'_>) -> Result<Streamed, EgressError> {
        let addresses = self.addresses(&request.url, is_local).await?;
        let (id, answer) = self.sent(&request, &addresses, None, account).await?;
        let status = answer.status().as_u16();
        let entry = Entry::Answered { id, status: Some(status), n_bytes: answer.content_length(), error: None };
        self.0.ledger.record(entry).await.map_err(|error| unrecorded(&request.url, &error))?;
        Ok(Streamed { status, headers: headers(answer.headers()), body: answer })
    }

    /// The addresses behind a URL, looked up once; all of them public ones, unless it may be local.
    async fn addresses(&self, url: &Url, is_local: bool) -> Result<Vec<SocketAddr>, EgressError> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(0);
        let unreachable = |cause: String| EgressError::NotConnected { host: host.to_owned(), cause };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addresses =
            self.0.world.network.resolve(bare, port).await.map_err(|error| unreachable(error.to_string()))?;
        if addresses.is_empty() {
            return Err(unreachable("its name has no address".into()));
        }
        // One that is not public among others is how a name is bent to lead inside.
        match addresses.iter().find(|address| !is_local && !is_public(address.ip())) {
            Some(address) => Err(EgressError::Refused(format!(
                "{host} leads to {}, which is not on the public internet; the policy's `allow_local` can allow it",
                address.ip()
            ))),
            None => Ok(addresses),
        }
    }

    /// Puts it on record, then sends it.
    async fn sent(
        &self,
        request: &Request,
        addresses: &[SocketAddr],
        time: Option<Duration>,
        account: &Account<'_>,
    ) -> Result<(u64, reqwest::Response), EgressError> {
        let Request { method, url, headers, body } = request;
        let name = Method::from_bytes(method.as_bytes())
            .ok()
            .filter(|method| *method != Method::CONNECT && *method != Method::TRACE)
            .ok_or_else(|| EgressError::Malformed(format!("`{method}` is no method: GET, HEAD, POST ...")))?;
        let headers = header_map(headers)?;
        let client = client(url, addresses, time)?;
        let id = self.0.n_sent.fetch_add(1, Ordering::Relaxed) + 1;
        let entry = Entry::Sending {
            id,
            sender: account.sender.to_owned(),
            method: name.to_string(),
            url: url.to_string(),
            n_bytes: body.len() as u64,
            sha256: Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect(),
            rule: account.rule.to_owned(),
            is_approved: account.is_approved,
        };
        self.record(entry).await?;
        let mut sending = client.request(name, url.clone()).headers(headers);
        if !body.is_empty() {
            sending = sending.body(body.clone());
        }
        match sending.send().await {
            Ok(answer) => Ok((id, answer)),
            Err(error) => {
                let error = explained(&error, url, time);
                let entry = Entry::Answered { id, status: None, n_bytes: None, error: Some(error.to_string()) };
                self.0.ledger.record(entry).await.map_err(|error| unrecorded(url, &error))?;
                Err(error)
            }
        }
    }

    async fn answered(&self, id: u64, reply: &Result<Reply, EgressError>) -> Result<(), EgressError> {
        let entry = match reply {
            Ok(reply) => {
                Entry::Answered { id, status: Some(reply.status), n_bytes: Some(reply.body.len() as u64), error: None }
            }
            Err(error) => Entry::Answered { id, status: None, n_bytes: None, error: Some(error.to_string()) },
        };
        self.record(entry).await
    }

    async fn record(&self, entry: Entry) -> Result<(), EgressError> {
        Ok(self.0.ledger.record(entry).await?)
    }
}

impl Reply {
    /// The first header of this name, which is in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

impl Streamed {
    /// The first header of this name, which is in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The next piece of the body; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, EgressError> {
        let url = self.body.url().clone();
        let chunk = self.body.chunk().await.map_err(|error| explained(&error, &url, None))?;
        Ok(chunk.map(|bytes| bytes.to_vec()))
    }
}

/// A client that can reach these addresses and nothing else.
fn client(url: &Url, addresses: &[SocketAddr], time: Option<Duration>) -> Result<Client, EgressError> {
    static PROVIDER: std::sync::Once = std::sync::Once::new();
    PROVIDER.call_once(|| {
        // Somebody who embeds the library may have chosen one already; theirs will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let builder = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(concat!("ossicle/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIME)
        .resolve_to_addrs(url.host_str().unwrap_or_default(), addresses);
    let builder = match time {
        Some(time) => builder.timeout(time),
        None => builder,
    };
    builder.build().map_err(|error| EgressError::Malformed(error.to_string()))
}

/// Reads an answer to its end, or to where it becomes too long.
async fn read(mut answer: reqwest::Response, url: &Url, limits: Limits) -> Result<Reply, EgressError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| explained(&error, url, Some(limits.time)))? {
        if body.len() + chunk.len() > limits.n_bytes {
            return Err(EgressError::TooLong { limit: limits.n_bytes });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status: answer.status().as_u16(), url: url.clone(), headers: headers(answer.headers()), body })
}

/// Where an answer leads instead, if it does.
fn redirect(answer: &reqwest::Response, from: &Url) -> Option<Result<Url, EgressError>> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers().get("location")?;
    let url = location.to_str().ok().and_then(|location| from.join(location).ok());
    Some(url.ok_or_else(|| EgressError::Malformed(format!("{from} leads to what is no URL"))))
}

/// The request that follows an answer of this status to `next`.
fn redirected(request: Request, status: u16, next: Url) -> Request {
    let Request { mut method, url, mut headers, mut body } = request;
    if status == 303 && method != "HEAD" || matches!(status, 301 | 302) && method == "POST" {
        method = "GET".into();
        body.clear();
        headers.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
    }
    if url.origin() != next.origin() {
        headers.retain(|(name, _)| FOR_EVERY_HOST.contains(&name.to_ascii_lowercase().as_str()));
    }
    Request { method, url: next, headers, body }
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, EgressError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let wrong = || EgressError::Malformed(format!("the header `{name}` cannot be sent"));
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        if NOT_FOR_SENDERS.contains(&header.as_str()) {
            return Err(wrong());
        }
        map.append(header, HeaderValue::from_str(value).map_err(|_| wrong())?);
    }
    Ok(map)
}

fn headers(map: &HeaderMap) -> Vec<(String, String)> {
    map.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

/// An error of the client's in words: the innermost cause, which says what happened.
fn explained(error: &reqwest::Error, url: &Url, time: Option<Duration>) -> EgressError {
    let host = url.host_str().unwrap_or_default().to_owned();
    if error.is_timeout() && !error.is_connect() {
        return EgressError::TimedOut { host, limit: time.unwrap_or(CONNECT_TIME) };
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let cause = cause.to_string();
    if error.is_connect() {
        return EgressError::NotConnected { host, cause };
    }
    EgressError::Unreachable { host, cause }
}

/// It was sent, and only what came back is not on record.
fn unrecorded(url: &Url, error: &LedgerError) -> EgressError {
    let host = url.host_str().unwrap_or_default().to_owned();
    EgressError::Unreachable { host, cause: format!("its answer could not be written down: {}", error.0) }
}

#[cfg(test)]
mod tests;
