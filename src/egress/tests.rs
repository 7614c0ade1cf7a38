//! Real servers on loopback, and names that lead where they should not.

use super::*;
use crate::policy::{Call, Capabilities, Decision, Effect, HostPattern, Label, Policy, Taint, Targets, ToolId};
use crate::world::Network;
use async_trait::async_trait;
use serde_json::Value;
use std::io::{self, Write};
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that gives the same answer to every connection, and keeps what it was sent.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn new(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (kept, answer) = (seen.clone(), answer.into());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = vec![0; 64 << 10];
                let n = stream.read(&mut bytes).await.unwrap_or(0);
                kept.lock().unwrap().push(String::from_utf8_lossy(&bytes[..n]).into_owned());
                let _ = stream.write_all(&answer).await;
            }
        });
        Self { address, seen }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn leading_to(url: &str) -> Vec<u8> {
    answer("302 Found", &format!("location: {url}\r\n"), b"")
}

/// Names with made-up addresses, and how often each was asked for.
#[derive(Default)]
struct Names {
    known: Vec<(&'static str, Vec<SocketAddr>)>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Network for Names {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        if let Ok(address) = host.parse() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let found = self.known.iter().find(|(name, _)| *name == host);
        found.map(|(_, addresses)| addresses.clone()).ok_or_else(|| io::Error::other("no such name"))
    }
}

/// A ledger in memory; one that is full takes nothing.
#[derive(Default)]
struct Lines {
    lines: Mutex<Vec<Entry>>,
    is_full: bool,
}

#[async_trait]
impl Ledger for Lines {
    async fn record(&self, entry: Entry) -> Result<(), LedgerError> {
        if self.is_full {
            return Err(LedgerError("full".into()));
        }
        self.lines.lock().unwrap().push(entry);
        Ok(())
    }
}

impl Lines {
    /// `> URL` for what was sent, `< status` for what came.
    fn short(&self) -> Vec<String> {
        let short = |entry: &Entry| match entry {
            Entry::Sending { method, url, .. } => format!("> {method} {url}"),
            Entry::Answered { status: Some(status), .. } => format!("< {status}"),
            Entry::Answered { .. } => "< nothing".into(),
        };
        self.lines.lock().unwrap().iter().map(short).collect()
    }
}

fn egress(names: Names, ledger: Arc<Lines>) -> Egress {
    Egress::new(World { network: Arc::new(names), ..World::simulated(1) }, ledger)
}

/// A grant to reach `hosts`, where the policy allows these places on this machine.
fn grant(hosts: &str, local: &[&str]) -> Grant {
    let policy = format!(
        "version = 1\n[egress]\nallow_local = {local:?}\n[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"\n\
         [[rule]]\nid = \"bad\"\nhosts = [\"evil.test\"]\ndecision = \"deny\"\n"
    );
    let tool: ToolId = "fetch.fetch".parse().unwrap();
    let wants = Capabilities { hosts: vec![HostPattern::parse(hosts).unwrap()], ..Capabilities::default() };
    let targets = Targets::default();
    let call = Call {
        tool: &tool,
        effect: Effect::Send,
        arguments: &Value::Null,
        wants: &wants,
        targets: &targets,
        context: Label::trusted(),
        argument: Taint::trusted(),
        quote: None,
    };
    match Policy::parse("test", &policy).unwrap().decide(&call) {
        Decision::Allow(grant) => grant,
        other => panic!("{other:?}"),
    }
}

fn get(url: &str) -> Request {
    Request { method: "GET".into(), url: Url::parse(url).unwrap(), headers: Vec::new(), body: Vec::new() }
}

const LIMITS: Limits = Limits { time: Duration::from_secs(20), n_bytes: 100_000 };

#[tokio::test]
async fn what_is_sent_is_on_record_before_and_after() {
    let server = Server::new(answer("200 OK", "x-a: b\r\n", b"hello")).await;
    let ledger = Arc::new(Lines::default());
    let egress = egress(Names::default(), ledger.clone());
    let request = Request { method: "POST".into(), body: b"abc".to_vec(), ..get(&server.url()) };
    let reply = egress.fetch(request, &grant("*", &[&server.address.to_string()]), LIMITS).await.unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"hello"[..]));
    assert!(reply.headers.contains(&("x-a".into(), "b".into())));
    let lines = ledger.lines.lock().unwrap().clone();
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(
        lines,
        [
            Entry::Sending {
                id: 1,
                sender: "fetch.fetch".into(),
                method: "POST".into(),
                url: server.url(),
                n_bytes: 3,
                sha256: sha256.into(),
                rule: "all".into(),
                is_approved: false,
            },
            Entry::Answered { id: 1, status: Some(200), n_bytes: Some(5), error: None },
        ]
    );
    assert!(server.seen()[0].ends_with("\r\n\r\nabc"), "{:?}", server.seen());
}

#[tokio::test]
async fn what_leads_inside_is_refused_before_anything_is_sent() {
    let server = Server::new(answer("200 OK", "", b"secret")).await;
    let port = server.address.port();
    let loopback = vec![server.address];
    let mixed = vec!["93.184.216.34:80".parse().unwrap(), server.address];
    for (url, words) in [
        (server.url(), "is not opened"),
        ("http://127.0.0.1/".into(), "not on the public internet"),
        ("http://0/".into(), "not on the public internet"),
        ("http://2130706433/".into(), "not on the public internet"),
        ("http://0x7f.1/".into(), "not on the public internet"),
        ("http://[::1]/".into(), "not on the public internet"),
        ("http://[::ffff:127.0.0.1]/".into(), "not on the public internet"),
        ("http://[64:ff9b::7f00:1]/".into(), "not on the public internet"),
        ("http://localhost./".into(), "not on the public internet"),
        ("http://inside.test/".into(), "not on the public internet"),
        ("http://mixed.test/".into(), "not on the public internet"),
        ("http://127.0.0.1#@good.test/".into(), "not on the public internet"),
        (format!("http://good.test@127.0.0.1:{port}/"), "user name"),
        ("file:///etc/passwd".into(), "only http"),
        ("http://evil.test/".into(), "policy rule `bad`"),
        ("http://a.evil.test./".into(), "policy rule `bad`"),
        ("http://unknown.test/".into(), "no such name"),
    ] {
        let names = Names {
            known: vec![
                ("inside.test", loopback.clone()),
                ("localhost.", loopback.clone()),
                ("mixed.test", mixed.clone()),
            ],
            ..Names::default()
        };
        let ledger = Arc::new(Lines::default());
        let error = egress(names, ledger.clone()).fetch(get(&url), &grant("*", &[]), LIMITS).await.unwrap_err();
        assert!(error.to_string().contains(words), "{url}: {error}");
        assert!(ledger.short().is_empty(), "{url}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_only_granted_hosts_are() {
    let server = Server::new(answer("200 OK", "", b"ok")).await;
    let names = Arc::new(Names { known: vec![("site.test", vec![server.address])], ..Names::default() });
    let world = World { network: names.clone(), ..World::simulated(1) };
    let egress = Egress::new(world, Arc::new(Lines::default()));
    let local = format!("site.test:{}", server.address.port());
    let url = format!("http://{local}/");
    egress.fetch(get(&url), &grant("site.test", &[&local]), LIMITS).await.unwrap();
    assert_eq!(*names.asked.lock().unwrap(), ["site.test"]);
    assert!(server.seen()[0].to_lowercase().contains(&format!("host: {local}")));
    let error = egress.fetch(get(&url), &grant("other.test", &[&local]), LIMITS).await.unwrap_err();
    assert!(error.to_string().contains("no host that was granted"), "{error}");
    assert_eq!(names.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn each_hop_of_a_redirect_is_checked_anew() {
    let inside = Server::new(answer("200 OK", "", b"secret")).await;
    for (location, words) in [
        (inside.url(), "is not opened"),
        ("http://127.0.0.1/".into(), "not on the public internet"),
        ("file:///etc/passwd".into(), "only http"),
        ("http://evil.test/".into(), "policy rule `bad`"),
        ("http://[".into(), "no URL"),
    ] {
        let server = Server::new(leading_to(&location)).await;
        let ledger = Arc::new(Lines::default());
        let grant = grant("*", &[&server.address.to_string()]);
        let error =
            egress(Names::default(), ledger.clone()).fetch(get(&server.url()), &grant, LIMITS).await.unwrap_err();
        assert!(error.to_string().contains(words), "{location}: {error}");
        assert_eq!(ledger.short(), [format!("> GET {}", server.url()), "< 302".into()], "{location}");
    }
    assert!(inside.seen().is_empty());
}

#[tokio::test]
async fn redirects_are_followed_and_end() {
    let goal = Server::new(answer("200 OK", "", b"there")).await;
    let start = Server::new(leading_to(&goal.url())).await;
    let ring = Server::new(leading_to("/again")).await;
    let local = [&goal, &start, &ring].map(|server| server.address.to_string());
    let local: Vec<&str> = local.iter().map(String::as_str).collect();
    let ledger = Arc::new(Lines::default());
    let egress = egress(Names::default(), ledger.clone());
    let request = Request {
        method: "POST".into(),
        headers: vec![
            ("Authorization".into(), "Bearer key".into()),
            ("x-key".into(), "1".into()),
            ("Accept".into(), "text/html".into()),
        ],
        body: b"abc".to_vec(),
        ..get(&start.url())
    };
    let reply = egress.fetch(request, &grant("*", &local), LIMITS).await.unwrap();
    assert_eq!((reply.url.as_str(), reply.body.as_slice()), (goal.url().as_str(), &b"there"[..]));
    assert!(start.seen()[0].contains("Bearer key"));
    let at_goal = goal.seen()[0].to_lowercase();
    assert!(
        at_goal.starts_with("get ")
            && at_goal.contains("text/html")
            && !at_goal.contains("bearer")
            && !at_goal.contains("x-key"),
        "{at_goal}"
    );
    let error = egress.fetch(get(&ring.url()), &grant("*", &local), LIMITS).await.unwrap_err();
    assert!(matches!(error, EgressError::TooManyRedirects(_)), "{error}");
    assert_eq!(ring.seen().len(), MAX_REDIRECTS + 1);
}

#[tokio::test]
async fn an_answer_ends_where_it_becomes_too_long_or_too_slow() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let bomb = Server::new(answer("200 OK", "content-encoding: gzip\r\n", &bomb)).await;
    let silent = Server::new("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
    let garbage = Server::new("no HTTP at all\r\n\r\n").await;
    let ledger = Arc::new(Lines::default());
    let egress = egress(Names::default(), ledger.clone());
    let local = [&bomb, &silent, &garbage].map(|server| server.address.to_string());
    let local: Vec<&str> = local.iter().map(String::as_str).collect();
    let error = egress.fetch(get(&bomb.url()), &grant("*", &local), LIMITS).await.unwrap_err();
    assert_eq!(error, EgressError::TooLong { limit: LIMITS.n_bytes });
    for server in [&silent, &garbage] {
        let error = egress.fetch(get(&server.url()), &grant("*", &local), LIMITS).await.unwrap_err();
        assert!(matches!(error, EgressError::Unreachable { .. }), "{error:?}");
    }
    assert_eq!(ledger.short().iter().filter(|line| *line == "< nothing").count(), 3);
    let never = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = never.local_addr().unwrap().to_string();
    let limits = Limits { time: Duration::from_millis(100), ..LIMITS };
    let error = egress.fetch(get(&format!("http://{address}/")), &grant("*", &[&address]), limits).await.unwrap_err();
    assert!(matches!(error, EgressError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_sent() {
    let server = Server::new(answer("200 OK", "", b"")).await;
    let egress = egress(Names::default(), Arc::new(Lines { is_full: true, ..Lines::default() }));
    let error =
        egress.fetch(get(&server.url()), &grant("*", &[&server.address.to_string()]), LIMITS).await.unwrap_err();
    assert!(error.to_string().contains("could not be written down"), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused() {
    let server = Server::new(answer("200 OK", "", b"")).await;
    let egress = egress(Names::default(), Arc::new(Lines::default()));
    let grant = grant("*", &[&server.address.to_string()]);
    for (method, name, value) in [
        ("G T", "a", "b"),
        ("CONNECT", "a", "b"),
        ("GET", "a b", "c"),
        ("GET", "a", "b\r\nHost: evil.test"),
        ("GET", "Host", "evil.test"),
        ("GET", "Transfer-Encoding", "chunked"),
    ] {
        let request =
            Request { method: method.into(), headers: vec![(name.into(), value.into())], ..get(&server.url()) };
        let error = egress.fetch(request, &grant, LIMITS).await.unwrap_err();
        assert!(matches!(error, EgressError::Malformed(_)), "{error}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_server_of_the_users_own_may_be_private_and_leads_nowhere_else() {
    let inside = Server::new(answer("200 OK", "", b"secret")).await;
    let server = Server::new(leading_to(&inside.url())).await;
    let ledger = Arc::new(Lines::default());
    let egress = egress(Names::default(), ledger.clone());
    let endpoint = Endpoint::parse(&server.url()).unwrap();
    let mut reply = egress.send(&endpoint, get(&format!("{}mcp", server.url())), "mcp__x").await.unwrap();
    assert_eq!((reply.status, reply.chunk().await.unwrap()), (302, None));
    let error = egress.send(&endpoint, get(&inside.url()), "mcp__x").await.err().unwrap();
    assert!(matches!(error, EgressError::Refused(_)), "{error}");
    assert!(inside.seen().is_empty());
    assert_eq!(ledger.short().len(), 2);
}

#[tokio::test]
async fn what_leaves_under_a_grant_is_on_its_account_and_goes_where_both_say() {
    let (server, other) = (Server::new(answer("200 OK", "", b"ok")).await, Server::new(leading_to("/")).await);
    let ledger = Arc::new(Lines::default());
    let egress = egress(Names::default(), ledger.clone());
    let endpoint = Endpoint::parse(&server.url()).unwrap();
    let error = egress.send_for(&endpoint, get(&other.url()), &grant("*", &[])).await.err().unwrap();
    assert!(matches!(&error, EgressError::Refused(words) if words.contains("is not")), "{error}");
    let error = egress.send_for(&endpoint, get(&server.url()), &grant("example.org", &[])).await.err().unwrap();
    assert!(error.to_string().contains("no host that was granted"), "{error}");
    assert!(server.seen().is_empty() && other.seen().is_empty() && ledger.short().is_empty());
    let mut reply = egress.send_for(&endpoint, get(&server.url()), &grant("*", &[])).await.unwrap();
    assert_eq!(reply.chunk().await.unwrap().unwrap(), b"ok");
    let lines = ledger.lines.lock().unwrap();
    let Entry::Sending { sender, rule, is_approved, .. } = &lines[0] else { panic!("{lines:?}") };
    assert_eq!((sender.as_str(), rule.as_str(), *is_approved), ("fetch.fetch", "all", false));
}

#[tokio::test]
async fn that_nothing_left_is_told_from_that_nothing_came_back() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let hangs_up = Server::new("").await;
    let egress = egress(Names::default(), Arc::new(Lines::default()));
    for (url, is_sent) in
        [(format!("http://{closed}/"), false), ("http://nobody.test/".into(), false), (hangs_up.url(), true)]
    {
        let endpoint = Endpoint::parse(&url).unwrap();
        let error = egress.send_for(&endpoint, get(&url), &grant("*", &[])).await.err().unwrap();
        assert_eq!(matches!(error, EgressError::Unreachable { .. }), is_sent, "{url}: {error:?}");
        assert_eq!(matches!(error, EgressError::NotConnected { .. }), !is_sent, "{url}: {error:?}");
    }
}

#[tokio::test]
async fn what_is_large_comes_piece_by_piece_from_where_a_fetch_may_go_too() {
    let server = Server::new(answer("200 OK", "x-a: b\r\n", b"hello")).await;
    let local = server.address.to_string();
    let ledger = Arc::new(Lines::default());
    let egress = egress(Names::default(), ledger.clone());
    let mut streamed = egress.stream(get(&server.url()), &grant("*", &[&local])).await.unwrap();
    assert_eq!((streamed.status, streamed.header("x-a")), (200, Some("b")));
    let mut body = Vec::new();
    while let Some(chunk) = streamed.chunk().await.unwrap() {
        body.extend(chunk);
    }
    assert_eq!(body, b"hello");
    // Where it is not allowed to go, nothing is sent.
    for (url, hosts, words) in [
        (server.url(), "*", "is not opened"),
        ("http://127.0.0.1/".into(), "*", "not on the public internet"),
        ("http://evil.test/".into(), "*", "policy rule `bad`"),
        ("http://other.test/".into(), "example.org", "no host that was granted"),
        ("file:///etc/passwd".into(), "*", "only http"),
    ] {
        let error = egress.stream(get(&url), &grant(hosts, &[])).await.err().unwrap().to_string();
        assert!(error.contains(words), "{url}: {error}");
    }
    // A redirect is for who asked.
    let leading = Server::new(leading_to("http://10.0.0.1/")).await;
    let streamed = egress.stream(get(&leading.url()), &grant("*", &[&leading.address.to_string()])).await.unwrap();
    assert_eq!((streamed.status, streamed.header("location")), (302, Some("http://10.0.0.1/")));
    assert_eq!(
        ledger.short(),
        [format!("> GET {}", server.url()), "< 200".into(), format!("> GET {}", leading.url()), "< 302".into()]
    );
}
