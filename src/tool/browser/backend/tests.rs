//! Real servers on loopback: pages as they come and come again, search engines in all moods.

use super::super::{Browser, Cache, tools};
use super::*;
use crate::egress::{Egress, Endpoint, Entry, Ledger, LedgerError};
use crate::policy::{Call, Decision, HostPattern, Label, Policy, Taint, Targets, ToolId};
use crate::tool::Progress;
use crate::world::{RealNetwork, SimulatedClock, World};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that gives its answers one after the other, the last one again and again, and keeps what it was sent.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn new(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (kept, mut answers) = (seen.clone(), answers.into_iter().peekable());
        let mut answers: Vec<_> = std::iter::from_fn(|| answers.next()).collect();
        answers.reverse();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = vec![0; 64 << 10];
                let n = stream.read(&mut bytes).await.unwrap_or(0);
                kept.lock().unwrap().push(String::from_utf8_lossy(&bytes[..n]).into_owned());
                let answer = if answers.len() > 1 { answers.pop() } else { answers.last().cloned() };
                match answer {
                    Some(answer) => _ = stream.write_all(&answer).await,
                    // Nobody hears of it again.
                    None => std::mem::forget(stream),
                }
            }
        });
        Self { address, seen }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What it was asked, in small letters.
    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|request| request.to_lowercase()).collect()
    }
}

fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

const HTML: &str = "content-type: text/html\r\n";

#[derive(Default)]
struct Lines(Mutex<Vec<Entry>>);

#[async_trait]
impl Ledger for Lines {
    async fn record(&self, entry: Entry) -> Result<(), LedgerError> {
        self.0.lock().unwrap().push(entry);
        Ok(())
    }
}

/// A way out with a clock that stands, and what left by it.
struct Outside {
    egress: Egress,
    clock: Arc<SimulatedClock>,
    ledger: Arc<Lines>,
}

fn outside() -> Outside {
    let (clock, ledger) = (Arc::new(SimulatedClock::default()), Arc::new(Lines::default()));
    let world = World { clock: clock.clone(), network: Arc::new(RealNetwork), ..World::simulated(1) };
    Outside { egress: Egress::new(world, ledger.clone()), clock, ledger }
}

impl Outside {
    fn direct(&self) -> Direct {
        Direct::new(self.egress.clone(), self.clock.clone())
    }

    fn web(&self, api: impl SearchApi + 'static) -> Web {
        Web::new(self.direct(), self.egress.clone(), self.clock.clone(), Ok(Box::new(api)))
    }
}

/// A grant to open pages, also of these servers.
fn grant(servers: &[&Server]) -> Grant {
    let local: Vec<_> = servers.iter().map(|server| server.address.to_string()).collect();
    let policy = format!(
        "version = 1\n[egress]\nallow_local = {local:?}\n[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\""
    );
    let (tool, targets): (ToolId, _) = ("browser.open".parse().unwrap(), Targets::default());
    let wants = Capabilities { hosts: HostPattern::parse("*").into_iter().collect(), ..Capabilities::default() };
    let (arguments, context) = (Value::Null, Label::trusted());
    let call = Call {
        tool: &tool,
        effect: Effect::Send,
        arguments: &arguments,
        wants: &wants,
        targets: &targets,
        context,
        argument: Taint::trusted(),
        quote: None,
    };
    match Policy::parse("test", &policy).unwrap().decide(&call) {
        Decision::Allow(grant) => grant,
        other => panic!("{other:?}"),
    }
}

async fn open(direct: &Direct, server: &Server) -> Result<Page, String> {
    let opened = direct.open(&Url::parse(&server.url()).unwrap(), &grant(&[server]), false).await;
    opened.map(|page| page.unwrap()).map_err(|error| error.to_string())
}

async fn ticking(clock: &SimulatedClock) {
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        clock.advance(Duration::from_millis(50));
    }
}

#[tokio::test]
async fn a_page_of_the_web_is_opened() {
    let goal = Server::new([answer("200 OK", HTML, "<p>The harbour keys</p>")]).await;
    let start = Server::new([answer("302 Found", &format!("location: {}x\r\n", goal.url()), "")]).await;
    let outside = outside();
    let url = Url::parse(&format!("{}#part", start.url())).unwrap();
    let page = outside.direct().open(&url, &grant(&[&start, &goal]), false).await.unwrap().unwrap();
    assert_eq!((page.url, page.text.trim()), (format!("{}x", goal.url()), "The harbour keys"));
    let seen = start.seen().remove(0);
    assert!(seen.starts_with("get / http") && seen.contains("accept: text/html") && !seen.contains("part"), "{seen}");
    assert_eq!(outside.ledger.0.lock().unwrap().len(), 4);
    for url in ["file:///etc/passwd", "ftp://a/", "data:,x"] {
        assert_eq!(outside.direct().open(&Url::parse(url).unwrap(), &grant(&[]), false).await, Ok(None), "{url}");
    }
    let source = Server::new([answer("200 OK", HTML, "<p>The harbour keys</p>")]).await;
    let url = Url::parse(&format!("{}#part", source.url())).unwrap();
    let page = outside.direct().open(&url, &grant(&[&source]), true).await.unwrap().unwrap();
    assert_eq!((page.text.as_str(), page.url), ("<p>The harbour keys</p>", source.url()));
}

#[tokio::test]
async fn what_is_no_page_is_told_in_a_sentence() {
    let elsewhere = "location: http://127.0.0.1:1/\r\n";
    for (reply, expect) in [
        (answer("404 Not Found", HTML, "<p>Nothing\nhere</p>"), "it answers with status 404 (Not Found): Nothing here"),
        (answer("500 Internal Server Error", "", ""), "it answers with status 500 (Internal Server Error)"),
        (answer("404 Not Found", "content-type: image/png\r\n", "\u{1}"), "it answers with status 404 (Not Found)"),
        (answer("304 Not Modified", "", ""), "it answers with status 304 (Not Modified)"),
        (
            answer("200 OK", "content-type: image/png\r\n", "\u{1}"),
            "it is of the type image/png, which cannot be read as text",
        ),
        (
            answer("200 OK", "content-type: application/pdf\r\n", "%PDF-1.7"),
            "it is a PDF, and there is nothing here that reads it",
        ),
        (answer("200 OK", HTML, vec![b'x'; (10 << 20) + 1]), "it is larger than 10 MiB"),
        (answer("302 Found", elsewhere, ""), "port 1 is not opened: only 80 and 443 are"),
        (b"no HTTP".to_vec(), "127.0.0.1 cannot be reached: "),
    ] {
        let server = Server::new([reply]).await;
        let error = open(&outside().direct(), &server).await.unwrap_err();
        assert!(error.starts_with(expect), "{expect}: {error}");
    }
    let wordy = Server::new([answer("403 Forbidden", "content-type: text/plain\r\n", "go away ".repeat(10_000))]).await;
    assert!(open(&outside().direct(), &wordy).await.unwrap_err().len() < 400);
}

#[tokio::test]
async fn a_pdf_is_read_where_something_reads_it() {
    let reader: PdfReader = Arc::new(|bytes| match bytes.len() {
        8 => Ok("The text".into()),
        _ => Err("it is damaged".into()),
    });
    for (body, expect) in [("%PDF-1.7", Ok("The text".to_owned())), ("%PDF-1.7 x", Err("it is damaged".into()))] {
        let server = Server::new([answer("200 OK", "content-type: application/pdf\r\n", body)]).await;
        let direct = outside().direct().with_pdf(reader.clone());
        assert_eq!(open(&direct, &server).await.map(|page| page.text), expect);
    }
}

#[tokio::test]
async fn a_grant_that_does_not_reach_sends_nothing() {
    let server = Server::new([answer("200 OK", HTML, "secret")]).await;
    let outside = outside();
    let error = outside.direct().open(&Url::parse(&server.url()).unwrap(), &grant(&[]), false).await.unwrap_err();
    assert!(error.to_string().contains("is not opened"), "{error}");
    assert!(server.seen().is_empty() && outside.ledger.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_kept_page_is_asked_about_when_it_is_no_longer_fresh() {
    let rules = format!("{HTML}etag: \"v1\"\r\ncache-control: max-age=60\r\n");
    let server = Server::new([
        answer("200 OK", &rules, "first"),
        answer("304 Not Modified", &rules, ""),
        answer("200 OK", &format!("{HTML}etag: \"v2\"\r\n"), "second"),
        answer("304 Not Modified", "", ""),
        answer("304 Not Modified", "etag: \"v9\"\r\n", ""),
        answer("200 OK", HTML, "third"),
    ])
    .await;
    let (outside, folder) = (outside(), tempfile::tempdir().unwrap());
    let direct = outside.direct().with_cache(Cache::new(folder.path().to_owned()));
    for (seconds, text, n_seen, validator) in [
        (0, "first", 1, ""),
        (30, "first", 1, ""),
        (31, "first", 2, "if-none-match: \"v1\""),
        (30, "first", 2, "if-none-match: \"v1\""),
        (31, "second", 3, "if-none-match: \"v1\""),
        (1, "second", 4, "if-none-match: \"v2\""),
    ] {
        outside.clock.advance(Duration::from_secs(seconds));
        let page = open(&direct, &server).await.unwrap();
        let seen = server.seen();
        assert_eq!((page.text.as_str(), seen.len()), (text, n_seen), "after {seconds} s");
        assert!(seen.last().unwrap().contains(validator), "{seen:?}");
    }
    let sent = outside.ledger.0.lock().unwrap().iter().filter(|entry| matches!(entry, Entry::Sending { .. })).count();
    assert_eq!(sent, 4, "what does not leave is not in the ledger");
    // The answer to its validator is about another page, so it is asked without: after the time that its host is given.
    outside.clock.advance(Duration::from_secs(1));
    let page = tokio::select! {
        page = open(&direct, &server) => page.unwrap(),
        () = ticking(&outside.clock) => panic!("the clock never stops"),
    };
    assert_eq!((page.text.as_str(), server.seen().len()), ("third", 6));
    assert!(!server.seen().last().unwrap().contains("if-none-match"));
    outside.clock.advance(Duration::from_secs(1));
    let error = direct.open(&Url::parse(&server.url()).unwrap(), &grant(&[]), false).await.unwrap_err();
    assert!(
        error.to_string().contains("is not opened"),
        "a kept page of a private place needs the same grant: {error}"
    );
}

#[tokio::test]
async fn an_answer_about_another_page_is_not_taken_for_the_kept_one() {
    let rules = format!("{HTML}etag: \"v1\"\r\n");
    let elsewhere = answer("302 Found", "location: /b\r\n", "");
    let server = Server::new([
        answer("200 OK", &rules, "first"),
        elsewhere.clone(),
        answer("304 Not Modified", &rules, ""),
        elsewhere,
        answer("200 OK", &rules, "another"),
    ])
    .await;
    let (outside, folder) = (outside(), tempfile::tempdir().unwrap());
    let direct = outside.direct().with_cache(Cache::new(folder.path().to_owned()));
    for expect in ["first", "another"] {
        let page = tokio::select! {
            page = open(&direct, &server) => page.unwrap(),
            () = ticking(&outside.clock) => panic!("the clock never stops"),
        };
        assert_eq!(page.text, expect);
    }
}

#[tokio::test]
async fn a_host_is_given_time_between_two_pages() {
    let server = Server::new([answer("200 OK", HTML, "x")]).await;
    let outside = outside();
    let direct = Arc::new(outside.direct());
    assert_eq!(direct.turn("a.test"), Duration::ZERO);
    assert_eq!(direct.turn("a.test"), Duration::from_millis(500));
    assert_eq!(direct.turn("a.test"), Duration::from_secs(1));
    assert_eq!(direct.turn("b.test"), Duration::ZERO);
    open(&direct, &server).await.unwrap();
    let second = tokio::spawn({
        let direct = direct.clone();
        async move { (open(&direct, &server).await, server) }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!second.is_finished());
    outside.clock.advance(Duration::from_millis(500));
    let (page, server) = second.await.unwrap();
    assert!(page.is_ok() && server.seen().len() == 2);
}

/// The three engines at this server, with a key that must not be seen.
fn engines(server: &Server) -> Vec<Box<dyn SearchApi>> {
    let endpoint = || Endpoint::parse(&server.url()).unwrap();
    vec![
        Box::new(Searxng::new(endpoint())),
        Box::new(Exa::new(endpoint(), "sesame".into())),
        Box::new(You::new(endpoint(), "sesame".into())),
    ]
}

fn searching(outside: &Outside, api: Box<dyn SearchApi>) -> Web {
    Web::new(outside.direct(), outside.egress.clone(), outside.clock.clone(), Ok(api))
}

#[tokio::test]
async fn search_engines_are_asked_as_they_want_it() {
    let results = json!([
        {"url": "https://a.org/", "title": "A", "content": "words", "highlights": ["words"], "snippets": ["words"]},
        {"url": "https://b.org/", "title": "B"},
        {"url": "https://c.org/", "title": "C"},
    ]);
    let (flat, nested) = (json!({ "results": results }), json!({ "results": { "web": results } }));
    for (idx, body, asked, key) in [
        (0, &flat, "get /search?q=harbour+keys&format=json ", ""),
        (1, &flat, "post /search ", "x-api-key: sesame"),
        (2, &nested, "get /v1/search?query=harbour+keys&count=2 ", "x-api-key: sesame"),
    ] {
        let server = Server::new([answer("200 OK", "", body.to_string())]).await;
        let outside = outside();
        let web = searching(&outside, engines(&server).swap_remove(idx));
        let hits = web.search("harbour keys", 2, &grant(&[])).await.unwrap();
        let short: Vec<_> = hits.iter().map(|hit| (hit.url.as_str(), hit.snippet.as_str())).collect();
        assert_eq!(short, [("https://a.org/", "words"), ("https://b.org/", "")]);
        let seen = server.seen().remove(0);
        assert!(seen.starts_with(asked) && seen.contains(key), "{seen}");
        let ledger = format!("{:?}", outside.ledger.0.lock().unwrap());
        assert!(ledger.contains("browser.search") && !ledger.contains("sesame"), "{ledger}");
    }
}

#[tokio::test]
async fn search_engines_that_say_no_are_understood() {
    for (reply, words) in [
        (answer("401 Unauthorized", "", "sesame is wrong"), "status 401: "),
        (answer("402 Payment Required", "", "sesame"), "status 402: its account has nothing left"),
        (answer("403 Forbidden", "", "sesame"), "status 403: it"),
        (answer("429 Too Many Requests", "", "sesame"), "status 429: it was asked too often"),
        (answer("503 Service Unavailable", "", "sesame"), "status 503: it is out of order"),
        (answer("302 Found", "location: http://evil.test/sesame\r\n", ""), "status 302: it leads elsewhere"),
        (answer("418 I'm a teapot", "", "sesame"), "status 418: it does not take the question"),
        (answer("200 OK", HTML, "<p>sesame</p>"), "answers with what is no JSON"),
        (answer("200 OK", "", vec![b' '; (4 << 20) + 1]), "is larger than 4 MiB"),
        (b"no HTTP".to_vec(), "cannot be reached"),
    ] {
        let server = Server::new([reply]).await;
        for api in engines(&server) {
            let outside = outside();
            let (name, web) = (api.name(), searching(&outside, api));
            let error = web.search("x", 3, &grant(&[])).await.unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("sesame"), "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn a_search_engine_that_keeps_silent_is_left() {
    let server = Server::new([]).await;
    let outside = outside();
    let clock = outside.clock.clone();
    let web = outside.web(Searxng::new(Endpoint::parse(&server.url()).unwrap()));
    let asked = tokio::spawn(async move { web.search("x", 3, &grant(&[])).await });
    while server.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    clock.advance(Duration::from_secs(30));
    assert_eq!(asked.await.unwrap().unwrap_err().to_string(), "SearXNG did not answer in 30s");
}

#[tokio::test]
async fn without_a_search_engine_pages_are_opened_all_the_same() {
    let server = Server::new([answer("200 OK", HTML, "text")]).await;
    let outside = outside();
    let none = Err("no search engine is set up".to_owned());
    let web = Web::new(outside.direct(), outside.egress.clone(), outside.clock.clone(), none);
    let tools = tools(Browser::new(vec![Arc::new(web)]));
    for (idx, arguments, expect) in [
        (0, json!({"query": "x"}), "Error during search for `x`: no search engine is set up".to_owned()),
        (1, json!({"id": server.url()}), "L0: text".into()),
    ] {
        let policy = format!(
            "version = 1\n[egress]\nallow_local = [{:?}]\n[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"",
            server.address.to_string()
        );
        let tool = &tools[idx];
        let Decision::Allow(grant) = Policy::parse("test", &policy).unwrap().decide(&tool.spec().asks(&arguments))
        else {
            panic!("allowed")
        };
        let called = tool.call(arguments, grant, &Progress::default()).await;
        let text = called.map_or_else(|error| error.to_string(), |output| output.text);
        assert!(text.ends_with(&expect), "{text}");
    }
}
