//! A hub that speaks the HTTP API of the Hugging Face Hub: what is in a repository, and the bytes of its files.
//!
//! What it is not: it writes nothing to the disk. Redirects are followed here and not in `egress`, because the token goes
//! to the hub alone and what the hub says of a file stands in the answer that redirects. Start at [`Hub::open`].

use super::listing::{Hash, MAX_SMALL, RemoteFile};
use super::partial::Hasher;
use super::tries::{Failed, LONGEST_PAUSE, Tries, short};
use super::{PullError, Repo};
use crate::egress::{Egress, EgressError, Endpoint, Request, Streamed, Url};
use crate::policy::{Call, Capabilities, Decision, Effect, Grant, HostPattern, Label, Policy, Taint, Targets, ToolId};
use crate::world::Clock;
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Who the ledger says it was: the command that the user typed.
const SENDER: &str = "models.pull";

/// Answers that only say where else to ask, one after the other.
const MAX_REDIRECTS: usize = 10;

/// Of the list of files. In bytes.
const MAX_LISTING: u64 = 16 << 20;

/// How long nothing may come. Longer than every pause between two tries.
const SILENCE: Duration = Duration::from_secs(90);

/// How long what is read as a whole may take.
const WHOLE: Duration = Duration::from_secs(300);

/// A hub, and the way to it.
pub struct Hub {
    endpoint: Endpoint,
    token: Option<String>,
    egress: Egress,
    pub(super) clock: Arc<dyn Clock>,
}

/// A file's bytes as they come.
pub(super) struct Body<'a> {
    hub: &'a Hub,
    streamed: Streamed,
    /// Where in the file they begin: a server need not heed what was asked.
    pub(super) from: u64,
}

impl Hub {
    /// The hub at `endpoint`; the token, if there is one, goes nowhere else. An error where it could be read on its way there.
    pub fn new(
        endpoint: Endpoint,
        token: Option<String>,
        egress: Egress,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, PullError> {
        let is_in_the_clear = endpoint.url().scheme() == "http" && !is_loopback(endpoint.url());
        if token.is_some() && is_in_the_clear {
            let what = format!("the token would go to {endpoint} unencrypted; use https, or unset HF_TOKEN");
            return Err(PullError::Name(what));
        }
        Ok(Self { endpoint, token, egress, clock })
    }

    /// Its address, for people.
    pub fn address(&self) -> String {
        self.endpoint.to_string()
    }

    /// The page of a repository, for people.
    fn page(&self, repo: &Repo) -> Url {
        self.url(&[&repo.owner, &repo.name])
    }

    fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.endpoint.url().clone();
        // A URL of http has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }

    /// What is in a repository, in the hub's words.
    pub(super) async fn listing(&self, repo: &Repo, revision: &str) -> Result<Vec<u8>, PullError> {
        let mut url = self.url(&["api", "models", &repo.owner, &repo.name, "revision", revision]);
        url.set_query(Some("blobs=true"));
        let what = format!("revision {revision}");
        let mut tries = Tries::default();
        loop {
            match self.whole(self.read(repo, &what, url.clone())).await {
                Ok(bytes) => return Ok(bytes),
                Err(failed) => tries.pause(self.clock.as_ref(), "the list of files", failed).await?,
            };
        }
    }

    /// One try at reading an answer whose length nobody knows.
    async fn read(&self, repo: &Repo, what: &str, url: Url) -> Result<Vec<u8>, Failed> {
        let streamed = self.follow(repo, what, url, Vec::new(), None).await?;
        let mut body = Body { hub: self, streamed, from: 0 };
        let mut bytes = Vec::new();
        while let Some(chunk) = body.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > MAX_LISTING {
                let what = format!("the hub's list of files of {repo} is longer than {} MiB", MAX_LISTING >> 20);
                return Err(PullError::Odd(what).into());
            }
        }
        Ok(bytes)
    }

    /// The whole of a small file, which is what the hub said it is.
    pub(super) async fn small(&self, repo: &Repo, commit: &str, file: &RemoteFile) -> Result<Vec<u8>, PullError> {
        let mut tries = Tries::default();
        loop {
            match self.whole(self.beginning(repo, commit, file, MAX_SMALL)).await {
                Ok(bytes) => {
                    let mut hasher = Hasher::new(file);
                    hasher.update(&bytes);
                    hasher.check(file)?;
                    return Ok(bytes);
                }
                Err(failed) => tries.pause(self.clock.as_ref(), &file.name, failed).await?,
            };
        }
    }

    /// The first bytes of a file; they are not compared with anything.
    pub(super) async fn head(
        &self,
        repo: &Repo,
        commit: &str,
        file: &RemoteFile,
        n: u64,
    ) -> Result<Vec<u8>, PullError> {
        let mut tries = Tries::default();
        loop {
            match self.whole(self.beginning(repo, commit, file, n)).await {
                Ok(bytes) => return Ok(bytes),
                Err(failed) => tries.pause(self.clock.as_ref(), &file.name, failed).await?,
            };
        }
    }

    /// One try at up to `limit` bytes.
    async fn beginning(&self, repo: &Repo, commit: &str, file: &RemoteFile, limit: u64) -> Result<Vec<u8>, Failed> {
        let n = usize::try_from(limit.min(file.n_bytes)).unwrap_or(usize::MAX);
        let range = (file.n_bytes > limit).then(|| format!("bytes=0-{}", limit.saturating_sub(1)));
        let mut body = self.body(repo, commit, file, 0, range).await?;
        let mut bytes = Vec::new();
        while bytes.len() < n {
            let Some(chunk) = body.chunk().await? else { return Err(short(bytes.len() as u64, n as u64)) };
            bytes.extend_from_slice(&chunk);
        }
        // What comes beyond the end of a whole file is found by its hash.
        if limit < file.n_bytes {
            bytes.truncate(n);
        }
        Ok(bytes)
    }

    /// One try at the bytes of a file from `from` on.
    pub(super) async fn open(
        &self,
        repo: &Repo,
        commit: &str,
        file: &RemoteFile,
        from: u64,
    ) -> Result<Body<'_>, Failed> {
        let range = (from > 0).then(|| format!("bytes={from}-"));
        self.body(repo, commit, file, from, range).await
    }

    async fn body(
        &self,
        repo: &Repo,
        commit: &str,
        file: &RemoteFile,
        from: u64,
        range: Option<String>,
    ) -> Result<Body<'_>, Failed> {
        let url = self.url(&[&repo.owner, &repo.name, "resolve", commit, &file.name]);
        // Compressed, neither its length nor a part of it would be what was asked for.
        let mut headers = vec![("accept-encoding".to_owned(), "identity".to_owned())];
        let is_part = range.is_some();
        headers.extend(range.map(|range| ("range".to_owned(), range)));
        let streamed = self.follow(repo, &file.name, url, headers, Some(file)).await?;
        let from = match streamed.status {
            206 if is_part => begins(&streamed, file, from)?,
            // It has the whole to give and nothing else.
            _ => 0,
        };
        let length = streamed.header("content-length").and_then(|length| length.parse::<u64>().ok());
        if streamed.status == 200 && length.is_some_and(|length| length != file.n_bytes) {
            return Err(Failed::Passing(format!("{} bytes were to come instead", length.unwrap_or_default()), None));
        }
        Ok(Body { hub: self, streamed, from })
    }

    /// Asks at a URL of the hub's and wherever it leads, for an answer with something in it.
    async fn follow(
        &self,
        repo: &Repo,
        what: &str,
        mut url: Url,
        headers: Vec<(String, String)>,
        file: Option<&RemoteFile>,
    ) -> Result<Streamed, Failed> {
        for _ in 0..=MAX_REDIRECTS {
            let is_hub = self.endpoint.covers(&url);
            let streamed = self.asked(&url, headers.clone()).await?;
            if let (Some(file), true) = (file, is_hub) {
                check_linked(&streamed, file)?;
            }
            let location =
                streamed.header("location").filter(|_| matches!(streamed.status, 301 | 302 | 303 | 307 | 308));
            let Some(location) = location else {
                return match streamed.status {
                    200 | 206 => Ok(streamed),
                    _ if is_hub => Err(self.refusal(repo, what, &streamed)),
                    // Where a file is stored, links are good for a while only: the hub makes a new one.
                    status => Err(Failed::Passing(format!("{} answered with status {status}", host(&url)), None)),
                };
            };
            let next = url.join(location);
            url = next.map_err(|error| PullError::Odd(format!("the hub leads to what is no URL: {error}")))?;
        }
        Err(PullError::Odd(format!("the hub leads from one place to the next without end, last to {}", host(&url)))
            .into())
    }

    /// Sends one request. The token goes to the hub itself and to nobody else.
    async fn asked(&self, url: &Url, mut headers: Vec<(String, String)>) -> Result<Streamed, Failed> {
        let is_hub = self.endpoint.covers(url);
        if let (Some(token), true) = (&self.token, is_hub) {
            headers.push(("authorization".into(), format!("Bearer {token}")));
        }
        let request = Request { method: "GET".into(), url: url.clone(), headers, body: Vec::new() };
        if is_hub {
            return self.in_time(self.egress.send(&self.endpoint, request, SENDER)).await;
        }
        let grant = self.grant(url)?;
        self.in_time(self.egress.stream(request, &grant)).await.map_err(|failed| match failed {
            Failed::Lasting(PullError::Egress(EgressError::Refused(why))) => {
                // What a policy could do about it is no advice here: this one is the command's own.
                let why = why.split(';').next().unwrap_or_default();
                PullError::Odd(format!("the hub leads to {}, where nothing was asked: {why}", host(url))).into()
            }
            failed => failed,
        })
    }

    /// What may be asked where the hub leads: hosts of the public internet, encrypted; and from a hub of this machine also
    /// other servers of this machine.
    fn grant(&self, url: &Url) -> Result<Grant, PullError> {
        let refused = |why: String| PullError::Odd(format!("the hub leads to {}, {why}", host(url)));
        let is_here = is_loopback(url) && is_loopback(self.endpoint.url());
        if url.scheme() != "https" && !is_here {
            return Err(refused("and not over https; nothing was asked there".into()));
        }
        let local = format!("{}:{}", host(url), url.port_or_known_default().unwrap_or_default());
        let local = if is_here { vec![local] } else { Vec::new() };
        let policy = format!(
            "version = 1\n[egress]\nallow_local = {local:?}\n[[rule]]\nid = \"command\"\ntools = [\"{SENDER}\"]\ndecision = \"allow\"\n"
        );
        let policy = Policy::parse("models pull", &policy).map_err(|error| refused(error.message().to_owned()))?;
        let tool = ToolId { package: "models".into(), tool: "pull".into() };
        let hosts = vec![HostPattern::parse("*").map_err(refused)?];
        let wants = Capabilities { hosts, ..Capabilities::default() };
        let call = Call {
            tool: &tool,
            effect: Effect::Send,
            arguments: &Value::Null,
            wants: &wants,
            targets: &Targets::default(),
            context: Label::trusted(),
            argument: Taint::trusted(),
            quote: None,
        };
        match policy.decide(&call) {
            Decision::Allow(grant) => Ok(grant),
            Decision::Ask(_) | Decision::Deny(_) => Err(refused("which its own rule allows".into())),
        }
    }

    /// Waits for something to come, but not for ever.
    async fn in_time<T>(&self, coming: impl Future<Output = Result<T, EgressError>>) -> Result<T, Failed> {
        tokio::select! {
            come = coming => come.map_err(|error| match error {
                EgressError::NotConnected { .. } | EgressError::Unreachable { .. } | EgressError::TimedOut { .. } => {
                    Failed::Passing(error.to_string(), None)
                }
                error => Failed::Lasting(error.into()),
            }),
            () = self.clock.sleep(SILENCE) => {
                Err(Failed::Passing(format!("nothing came for {} s", SILENCE.as_secs()), None))
            }
        }
    }

    /// The same for what is read as a whole: a byte now and then is not enough.
    async fn whole<T>(&self, coming: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        tokio::select! {
            come = coming => come,
            () = self.clock.sleep(WHOLE) => {
                Err(Failed::Passing(format!("it did not come within {} s", WHOLE.as_secs()), None))
            }
        }
    }

    /// What a hub's own answer means that has nothing in it.
    fn refusal(&self, repo: &Repo, what: &str, answer: &Streamed) -> Failed {
        let code = answer.header("x-error-code").unwrap_or_default();
        let (page, hub) = (self.page(repo), self.endpoint.to_string());
        let lasting = |problem: String, advice: String| Failed::Lasting(PullError::Refused { problem, advice });
        let wait =
            answer.header("retry-after").and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
        match (answer.status, code) {
            (401 | 403, "GatedRepo") | (403, "") => lasting(
                format!("{repo} is given only to those who accept its licence"),
                format!("accept it at {page} and set HF_TOKEN to a token of that account"),
            ),
            (401, _) if self.token.is_some() => lasting(
                format!("{hub} does not know {repo}, or does not take the token for it"),
                "look whether the name is right and HF_TOKEN is still valid and may read it".into(),
            ),
            (401, _) => lasting(
                format!("{hub} does not know {repo}, or gives it to nobody that it does not know"),
                "look whether the name is right; for a private repository set HF_TOKEN".into(),
            ),
            (404, "RevisionNotFound") => {
                lasting(format!("{repo} has no {what}"), format!("{page} shows its branches, tags and commits"))
            }
            (404, "EntryNotFound") => lasting(format!("{repo} has no {what}"), format!("look at {page}")),
            (404 | 410, _) => lasting(format!("{hub} has no {repo}, or not {what} of it"), format!("look at {page}")),
            (429, _) if wait.is_some_and(|wait| wait > LONGEST_PAUSE) => lasting(
                format!("{hub} wants to be left alone for {} s", wait.unwrap_or_default().as_secs()),
                "run the same command again then; what came is kept".into(),
            ),
            (408 | 425 | 429 | 500..=599, _) => {
                Failed::Passing(format!("{hub} answered with status {}", answer.status), wait)
            }
            (status, _) => lasting(format!("{hub} answers with status {status}"), format!("look at {page}")),
        }
    }
}

impl Body<'_> {
    /// The next piece; `None` at the end, which need not be the file's.
    pub(super) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Failed> {
        self.hub.in_time(self.streamed.chunk()).await
    }
}

/// Where a part of a file begins, which is where it was asked for.
fn begins(streamed: &Streamed, file: &RemoteFile, from: u64) -> Result<u64, Failed> {
    let range = streamed.header("content-range").unwrap_or_default();
    let range = range.strip_prefix("bytes ").and_then(|range| range.split_once('/'));
    let first = range.and_then(|(range, _)| range.split_once('-')?.0.trim().parse::<u64>().ok());
    let total = range.map(|(_, total)| total.trim()).unwrap_or_default();
    match first == Some(from) && (total == "*" || total.parse() == Ok(file.n_bytes)) {
        true => Ok(from),
        false => Err(Failed::Passing("another part of it came than was asked for".into(), None)),
    }
}

/// Whether a file is still the one that the hub listed, by what it says where it hands it out.
fn check_linked(streamed: &Streamed, file: &RemoteFile) -> Result<(), PullError> {
    let size = streamed.header("x-linked-size").and_then(|size| size.parse::<u64>().ok());
    let etag = streamed.header("x-linked-etag").map(|etag| etag.trim_start_matches("W/").trim_matches('"'));
    // What is no such hash says nothing of the file's bytes.
    let is_hash = |etag: &&str| etag.len() == 64 && etag.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_other = match &file.hash {
        Hash::Sha256(hash) => etag.filter(is_hash).is_some_and(|etag| !etag.eq_ignore_ascii_case(hash)),
        Hash::Git(_) => false,
    };
    match is_other || size.is_some_and(|size| size != file.n_bytes) {
        true => {
            Err(PullError::Odd(format!("the hub hands out another {} than it lists; run the command again", file.name)))
        }
        false => Ok(()),
    }
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

/// Whether a URL names this machine itself, and needs no look-up for that.
fn is_loopback(url: &Url) -> bool {
    let host = host(url);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
