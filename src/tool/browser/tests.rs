//! Whole visits, as a model makes them: calls decided by a policy, over backends with pages in memory.

use super::*;
use crate::policy::{Call, Decision, Label, Policy};
use crate::tool::Progress;
use async_trait::async_trait;
use proptest::prelude::*;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use url::Url;

const NOTES: &str = "file:///home/me/notes/notes.md";

/// A backend of pages in memory; every opened page counts.
struct Shelf {
    source: &'static str,
    effect: Effect,
    scheme: &'static str,
    pages: Vec<Page>,
    n_opened: AtomicUsize,
}

#[async_trait]
impl Backend for Shelf {
    fn source(&self) -> &'static str {
        self.source
    }

    fn effect(&self) -> Effect {
        self.effect
    }

    async fn search(&self, query: &str, topn: usize, _: &Grant) -> Result<Vec<Hit>, BackendError> {
        if query == "broken" {
            return Err(BackendError("it is out of order".into()));
        }
        let hit = |page: &Page| {
            let (idx, line) = page.text.split('\n').enumerate().find(|(_, line)| line.contains(query))?;
            Some(Hit { url: page.url.clone(), title: page.title.clone(), snippet: line.into(), line: Some(idx) })
        };
        Ok(self.pages.iter().filter_map(hit).take(topn).collect())
    }

    async fn open(&self, url: &Url, _: &Grant, view_source: bool) -> Result<Option<Page>, BackendError> {
        if !url.scheme().starts_with(self.scheme) {
            return Ok(None);
        }
        self.n_opened.fetch_add(1, Ordering::Relaxed);
        let page = self.pages.iter().find(|page| page.url == url.as_str()).cloned();
        let page = page.ok_or_else(|| BackendError("there is no such\npage".into()))?;
        Ok(Some(if view_source { Page { text: format!("<{}>", page.text), ..page } } else { page }))
    }
}

fn page(url: &str, title: &str, text: &str, links: &[&str]) -> Page {
    let links = links.iter().map(|url| Link { url: (*url).into(), line: None }).collect();
    let source_lines = (1..=text.split('\n').count() as u32).collect();
    Page { url: url.into(), title: title.into(), text: text.into(), links, is_listing: false, source_lines }
}

fn local() -> Arc<Shelf> {
    let long: String = (0..300).map(|n| format!("line {n} of the log\n")).collect();
    let pages = vec![
        page(
            NOTES,
            "notes.md",
            "# House\n\nThe harbour keys hang behind the kitchen door.\n\nThe bins go out on Monday.",
            &[],
        ),
        page("file:///home/me/notes/boat/log.md", "boat/log.md", &format!("{long}Left the harbour at nine."), &[]),
    ];
    let n_opened = AtomicUsize::new(0);
    Arc::new(Shelf { source: "local", effect: Effect::Read, scheme: "file", pages, n_opened })
}

fn web() -> Arc<Shelf> {
    let pages = vec![
        page(
            "https://example.org/",
            "Example",
            "See 【0†the other】 or 【1†elsewhere†7.test】.",
            &["https://example.org/b", "7"],
        ),
        page(
            "https://example.org/b",
            "B",
            "The other page\nhas the harbour in it, 【0†here】",
            &["https://example.org/b#here"],
        ),
    ];
    let n_opened = AtomicUsize::new(0);
    Arc::new(Shelf { source: "web", effect: Effect::Send, scheme: "http", pages, n_opened })
}

/// The three tools, and what may happen to their calls.
struct Visit {
    tools: Vec<Arc<dyn Tool>>,
    policy: Policy,
}

fn visit(backends: Vec<Arc<dyn Backend>>) -> Visit {
    let policy = "version = 1\n[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"\n\
                  [[rule]]\nid = \"bad\"\nhosts = [\"evil.test\"]\ndecision = \"deny\"";
    Visit { tools: tools(Browser::new(backends)), policy: Policy::parse("test", policy).unwrap() }
}

impl Visit {
    fn tool(&self, name: &str) -> &Arc<dyn Tool> {
        self.tools.iter().find(|tool| tool.spec().id.tool == name).unwrap()
    }

    /// A call as the agent makes it.
    async fn output(&self, name: &str, arguments: Value) -> Result<Output, String> {
        let tool = self.tool(name);
        let arguments = tool.resolve(arguments);
        let (effect, context) = (tool.effect(&arguments), Label::trusted());
        let grant = match self.policy.decide(&Call { effect, context, ..tool.spec().asks(&arguments) }) {
            Decision::Allow(grant) => grant,
            Decision::Ask(_) => return Err("asked".into()),
            Decision::Deny(denial) => return Err(denial.to_string()),
        };
        tool.call(arguments, grant, &Progress::default()).await.map_err(|error| error.to_string())
    }

    async fn call(&self, name: &str, arguments: Value) -> String {
        self.output(name, arguments).await.map_or_else(|error| error, |output| output.text)
    }
}

#[tokio::test]
async fn a_question_about_the_users_files() {
    let local = local();
    let visit = visit(vec![local.clone()]);
    assert_eq!(
        visit.call("search", json!({"query": "harbour"})).await,
        "[0] harbour\n**viewing lines [0 - 3] of 3**\n\nL0: # Search results for `harbour`\nL1: \n\
         L2:   * 【0†notes.md】 The harbour keys hang behind the kitchen door.\n\
         L3:   * 【1†boat/log.md】 Left the harbour at nine."
    );
    let output = visit.output("open", json!({"id": 0})).await.unwrap();
    assert_eq!(
        output.text,
        "[1] notes.md (file:///home/me/notes/notes.md)\n**viewing lines [0 - 4] of 4**\n\n\
         L0: # House\nL1: \nL2: The harbour keys hang behind the kitchen door.\nL3: \nL4: The bins go out on Monday."
    );
    let citable = output.page.unwrap();
    assert_eq!((citable.cursor, citable.url.as_str(), &*citable.lines), (1, NOTES, &[1, 2, 3, 4, 5][..]));
    let text = visit.call("open", json!({"id": 1, "cursor": 0})).await;
    assert!(text.starts_with("[2] boat/log.md (") && text.contains("[296 - 300] of 300**\n\nL296: line 296"), "{text}");
    assert_eq!(
        visit.call("search", json!({"query": "x y z"})).await.split_once("\n\n").unwrap().1,
        "L0: No results for `x y z`"
    );
    let hits = visit.output("search", json!({"query": "harbour"})).await.unwrap().page.unwrap();
    let listed: Vec<_> = hits.listed.iter().map(|hit| (hit.first_line, hit.title.as_str(), hit.url.as_str())).collect();
    let log = "file:///home/me/notes/boat/log.md";
    assert_eq!((hits.url.as_str(), &listed[..]), ("", &[(2, "notes.md", NOTES), (3, "boat/log.md", log)][..]));
    assert!(visit.output("search", json!({"query": "x y z"})).await.unwrap().page.is_none());
    let n_opened = local.n_opened.load(Ordering::Relaxed);
    visit.call("open", json!({"id": 0, "cursor": 0})).await;
    assert_eq!(local.n_opened.load(Ordering::Relaxed), n_opened + 1, "a file is read anew");
}

#[tokio::test]
async fn a_view_begins_four_lines_before_what_was_found() {
    let visit = visit(vec![local()]);
    for (words, start) in [("line 3 ", 0), ("line 4 ", 0), ("line 5 ", 1), ("line 50 ", 46)] {
        visit.call("search", json!({"query": words})).await;
        let text = visit.call("open", json!({"id": 0})).await;
        assert!(text.contains(&format!("**viewing lines [{start} - ")), "{words}: {text}");
    }
}

#[tokio::test]
async fn pages_are_scrolled_and_each_view_has_a_cursor() {
    let visit = visit(vec![local()]);
    visit.call("search", json!({"query": "Left"})).await;
    for (arguments, header) in [
        (
            json!({"id": 0, "loc": 0}),
            "[1] boat/log.md (file:///home/me/notes/boat/log.md)\n**viewing lines [0 - 102] of 300**",
        ),
        (json!({"loc": 103}), "[2] boat/log.md (file:///home/me/notes/boat/log.md)\n**viewing lines [103 - "),
        (
            json!({"loc": 5, "num_lines": 2}),
            "[3] boat/log.md (file:///home/me/notes/boat/log.md)\n**viewing lines [5 - 6] of",
        ),
        (json!({"cursor": 0}), "[4] Left\n**viewing lines [0 - 2] of 2**"),
        (
            json!({"id": -1, "cursor": 2.0, "loc": "7", "num_lines": "1"}),
            "[5] boat/log.md (file:///home/me/notes/boat/log.md)\n**viewing lines [7 - 7]",
        ),
        (
            json!({"loc": 1, "num_lines": 1e300}),
            "[6] boat/log.md (file:///home/me/notes/boat/log.md)\n**viewing lines [1 - 300] of",
        ),
    ] {
        let text = visit.call("open", arguments.clone()).await;
        assert!(text.starts_with(header), "{arguments}: {text}");
    }
}

#[tokio::test]
async fn what_is_found_leads_to_its_line() {
    let visit = visit(vec![local()]);
    visit.call("open", json!({"id": "file:///home/me/notes/boat/log.md"})).await;
    let output = visit.output("find", json!({"pattern": "LINE 20"})).await.unwrap();
    assert!(
        output.text.starts_with(
            "[1] Find results for text: `line 20` in `boat/log.md` \
             (file:///home/me/notes/boat/log.md/find?pattern=line 20)\n**viewing lines [0 - "
        ) && output.text.contains("L0: # 【0†match at L20】\nL1: line 20 of the log\nL2: line 21"),
        "{}",
        output.text
    );
    let citable = output.page.unwrap();
    assert_eq!((citable.title.as_str(), &citable.lines[..3]), ("boat/log.md", &[21, 21, 22][..]));
    assert_eq!(
        visit.call("find", json!({"pattern": "x"})).await,
        "Cannot run `find` on search results page or find results page"
    );
    let text = visit.call("open", json!({"id": 1})).await;
    assert!(text.starts_with("[2] boat/log.md (") && text.contains("[196 - "), "{text}");
    let text = visit.call("find", json!({"pattern": "nowhere", "cursor": 0})).await;
    assert!(text.ends_with("L0: No `find` results for pattern: `nowhere`"), "{text}");
}

#[tokio::test]
async fn policy_sees_the_url_that_a_link_means() {
    let web = web();
    let visit = visit(vec![web.clone()]);
    let open = visit.tool("open").clone();
    assert_eq!(open.resolve(json!({"id": 0})), json!({"id": 0}), "there is no page yet");
    visit.call("open", json!({"id": "https://example.org/"})).await;
    for (arguments, resolved, effect) in [
        (json!({"id": 0}), json!({"id": "https://example.org/b", "cursor": 0, "link": 0}), Effect::Send),
        (json!({"id": "0"}), json!({"id": "https://example.org/b", "cursor": 0, "link": 0}), Effect::Send),
        (
            json!({"id": "the other", "loc": 3}),
            json!({"id": "https://example.org/b", "loc": 3, "cursor": 0, "link": 0}),
            Effect::Send,
        ),
        (json!({"id": 1}), json!({"id": "7", "cursor": 0, "link": 1}), Effect::Read),
        (json!({"id": 9}), json!({"id": 9}), Effect::Read),
        (
            json!({"id": "view-source:https://a.test/"}),
            json!({"id": "https://a.test/", "view_source": true}),
            Effect::Send,
        ),
        (
            json!({"view_source": true}),
            json!({"view_source": true, "id": "https://example.org/", "cursor": 0}),
            Effect::Send,
        ),
        (json!({"loc": 3}), json!({"loc": 3}), Effect::Read),
        (
            json!({"id": "https://a.test/", "cursor": 0, "link": 0}),
            json!({"id": "https://a.test/", "cursor": 0}),
            Effect::Send,
        ),
        (json!({"id": NOTES}), json!({"id": NOTES}), Effect::Read),
        (json!(["no", "object"]), json!(["no", "object"]), Effect::Read),
    ] {
        let once = open.resolve(arguments.clone());
        assert_eq!(once, resolved, "{arguments}");
        assert_eq!(open.resolve(once.clone()), once, "resolved once and for all");
        assert_eq!(open.effect(&once), effect, "{arguments}");
    }
    let error = visit.call("open", json!({"id": "https://evil.test/"})).await;
    assert!(error.contains("policy rule `bad`"), "{error}");
    let n_opened = web.n_opened.load(Ordering::Relaxed);
    visit.call("open", json!({"id": 0})).await;
    assert_eq!(web.n_opened.load(Ordering::Relaxed), n_opened + 1);
    let again = json!({"id": 0, "cursor": 0});
    assert_eq!(open.effect(&open.resolve(again.clone())), Effect::Read, "the page is in memory");
    assert!(visit.call("open", again).await.starts_with("[2] B (https://example.org/b)"));
    assert_eq!(web.n_opened.load(Ordering::Relaxed), n_opened + 1);
    assert!(visit.call("open", json!({"id": 0})).await.starts_with("[3] B (https://example.org/b)"));
    assert_eq!(web.n_opened.load(Ordering::Relaxed), n_opened + 1, "a part of the page");
    visit.call("open", json!({"id": "https://example.org/b"})).await;
    assert_eq!(web.n_opened.load(Ordering::Relaxed), n_opened + 2, "a URL is fetched anew");
}

#[tokio::test]
async fn the_source_of_a_page_is_a_page_of_its_own() {
    let visit = visit(vec![web()]);
    visit.call("open", json!({"id": "https://example.org/b"})).await;
    for arguments in [json!({"view_source": true}), json!({"id": "view-source:https://example.org/b"})] {
        let output = visit.output("open", arguments).await.unwrap();
        assert!(output.text.contains("B (view-source:https://example.org/b)"), "{}", output.text);
        assert_eq!(output.page.unwrap().url, "https://example.org/b");
    }
}

#[tokio::test]
async fn sources_are_chosen_by_name() {
    let visit = visit(vec![local(), web()]);
    assert!(visit.call("search", json!({"query": "harbour"})).await.contains("notes.md"));
    for source in ["web", " web "] {
        let text = visit.call("search", json!({"query": "harbour", "source": source})).await;
        assert!(text.contains("【0†B†example.org】 has the harbour in it, 〖0†here〗"), "{text}");
    }
    assert_eq!(
        visit.call("search", json!({"query": "harbour", "source": "news"})).await,
        "Unknown source `news`. Available sources: local, web."
    );
    assert!(
        visit.call("open", json!({"id": "https://example.org/"})).await.contains("Example"),
        "by its URL, whatever the default"
    );
    let search = visit.tool("search");
    let spec = search.spec();
    assert_eq!((spec.effect, spec.integrity), (Effect::Send, Integrity::Untrusted));
    assert_eq!(search.effect(&json!({"query": "x"})), Effect::Read);
    assert_eq!(search.effect(&json!({"query": "x", "source": "web"})), Effect::Send);
    assert!(spec.builtin.as_ref().unwrap().description.ends_with("sources=local, web (default: local)"));
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_trained_sentences() {
    let visit = visit(vec![local()]);
    for name in ["open", "find"] {
        assert_eq!(visit.call(name, json!({"id": 0, "pattern": "x"})).await, "No pages to access!");
    }
    visit.call("open", json!({"id": NOTES})).await;
    for (name, arguments, expect) in [
        ("open", json!({"id": 7}), "Invalid link id `7`."),
        ("open", json!({"id": "7"}), "Invalid link id `7`."),
        ("open", json!({"id": 3.7}), "Invalid link id `3.7`."),
        ("open", json!({"id": 1e300}), "Invalid link id `9223372036854775807`."),
        ("open", json!({"id": [1]}), "Invalid link id `[1]`."),
        ("open", json!({"id": 0, "cursor": 9}), "Cursor `9` is out of range. Available cursor indices: [0 - 0]."),
        (
            "find",
            json!({"pattern": "x", "cursor": 9}),
            "Cursor `9` is out of range. Available cursor indices: [0 - 0].",
        ),
        ("find", json!({"pattern": "x", "cursor": "one"}), "`cursor` should be an integer, not `str`"),
        ("open", json!({"loc": 400}), "Invalid location parameter: `400`. Cannot exceed page maximum of 4."),
        ("open", json!({"loc": 1.5}), "`loc` should be an integer, not `float`"),
        ("open", json!({"id": "file:///etc/passwd"}), "Error fetching URL `file:///etc/passwd`: there is no such page"),
        (
            "open",
            json!({"id": "https://example.org/"}),
            "Error fetching URL `https://example.org/`: there is no way to the web",
        ),
        (
            "open",
            json!({"id": "ftp://a/"}),
            "Error fetching URL `ftp://a/`: ftp: only http, https and file URLs can be opened",
        ),
        (
            "open",
            json!({"id": "notes.md"}),
            "Error fetching URL `notes.md`: it is no URL (relative URL without a base); a URL begins with https:// or file://",
        ),
        ("open", json!({"id": 0, "source": "web"}), "Unknown source `web`. Available sources: local."),
        ("search", json!({"query": "broken"}), "Error during search for `broken`: it is out of order"),
        ("search", json!({"query": "  "}), "Error during search for ``: the query is empty"),
        ("search", json!({"query": "x", "topn": "many"}), "`topn` should be an integer, not `str`"),
    ] {
        assert_eq!(visit.call(name, arguments.clone()).await, expect, "{arguments}");
    }
    let text = visit.call("open", json!({})).await;
    assert!(text.starts_with("[1] notes.md"), "none of these put a page on the stack: {text}");
    let long = visit.call("search", json!({"query": "x".repeat(100_000)})).await;
    assert!(long.len() < 3000 && long.contains("more than 1024 characters"), "{long}");
}

#[test]
fn each_declares_its_own_function() {
    let visit = visit(vec![local(), web()]);
    let builtins = visit.tools.iter().filter_map(|tool| tool.spec().builtin.clone());
    let functions: Vec<_> = builtins.flat_map(|builtin| builtin.functions).collect();
    assert_eq!(functions, Builtin::browser(&["local", "web"]).functions);
    let names: Vec<_> = visit.tools.iter().map(|tool| tool.spec().id.to_string()).collect();
    assert_eq!(names, ["browser.search", "browser.open", "browser.find"]);
}

#[tokio::test]
async fn a_grant_for_another_tool_opens_nothing() {
    let visit = visit(vec![local()]);
    let other = visit.tool("search").spec();
    let arguments = json!({"query": "x"});
    for name in ["open", "find"] {
        let Decision::Allow(grant) = visit.policy.decide(&other.asks(&arguments)) else { panic!("allowed") };
        let error = visit.tool(name).call(json!({"pattern": "x"}), grant, &Progress::default()).await.unwrap_err();
        assert!(matches!(error, ToolError::Unavailable(_)), "{error}");
    }
}

#[tokio::test]
async fn a_browser_without_sources_says_so() {
    let visit = visit(Vec::new());
    assert_eq!(visit.call("search", json!({"query": "x"})).await, "Unknown source ``. Available sources: .");
}

fn any_value() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "0",
        "1",
        "-1",
        "x",
        "https://example.org/",
        NOTES,
        "view-source:",
        "【0†",
        "the other",
        "NaN",
        "web",
        "true",
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..5i64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({"id": 0})),
    ]
}

fn any_call() -> impl Strategy<Value = (&'static str, Value)> {
    let names =
        ["id", "cursor", "loc", "num_lines", "view_source", "source", "query", "topn", "top_n", "pattern", "link"];
    let arguments = prop::collection::vec((prop::sample::select(names.to_vec()), any_value()), 0..5);
    let object =
        arguments.prop_map(|arguments| arguments.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    (prop::sample::select(vec!["search", "open", "find"]), prop_oneof![9 => object, 1 => any_value()])
}

proptest! {
    #[test]
    fn any_calls_in_any_order_are_answered(calls in prop::collection::vec(any_call(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let visit = visit(vec![local(), web()]);
            for (name, arguments) in calls {
                let tool = visit.tool(name);
                let resolved = tool.resolve(arguments.clone());
                assert_eq!(tool.resolve(resolved.clone()), resolved);
                let text = visit.call(name, arguments).await;
                assert!(!text.is_empty() && text.len() < 40_000);
            }
        });
    }
}
