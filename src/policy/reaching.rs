//! Rules of paths and hosts, at the decision and under the grant.

use super::*;
use serde_json::json;
use std::path::Path;

const POLICY: &str = r#"
version = 1
[egress]
allow_hosts = ["example.org", "example.net"]
allow_local = ["127.0.0.1:8080"]
[[rule]]
id = "here"
tools = ["files.*"]
within = ["$WORKSPACE", "/srv"]
decision = "allow"
[[rule]]
id = "careful"
within = ["$WORKSPACE/private"]
decision = "ask"
[[rule]]
id = "never"
within = ["$WORKSPACE/private/keys", "~/.ssh"]
decision = "deny"
[[rule]]
id = "site"
tools = ["fetch.*"]
hosts = ["example.org", "example.net", "elsewhere.test"]
decision = "allow"
[[rule]]
id = "not-that"
hosts = ["bad.example.org"]
decision = "deny"
[[test]]
call = { tool = "files.read", path = "a" }
expect = "allow"
[[test]]
call = { tool = "files.read", path = "~/.ssh/id" }
expect = "deny"
[[test]]
call = { tool = "fetch.fetch", url = "https://www.example.org/a" }
expect = "allow"
"#;

fn policy() -> Policy {
    let places = Places { workspace: "/w".into(), home: "/h".into(), own: vec!["/w/own".into()] };
    Policy::parse("test", POLICY).unwrap().at(places, Path::to_path_buf)
}

fn decide(tool: &str, effect: Effect, arguments: Value) -> Decision {
    let folder = |path: &str, is_writable| Folder { path: path.into(), is_writable };
    let wants = Capabilities {
        folders: vec![folder("/w", true), folder("/w/fixed", false), folder("/h", false)],
        hosts: vec![HostPattern::parse("*").unwrap()],
        ..Capabilities::default()
    };
    let targets = Targets { paths: vec!["path".into()], urls: vec!["url".into()] };
    let targets = if effect == Effect::Send { Targets { paths: Vec::new(), ..targets } } else { targets };
    policy().decide(&Call {
        tool: &tool.parse().unwrap(),
        effect,
        arguments: &arguments,
        wants: &wants,
        targets: &targets,
        context: Label::trusted(),
        argument: Taint::trusted(),
        quote: None,
    })
}

fn answer(decision: &Decision) -> String {
    match decision {
        Decision::Allow(grant) => format!("allow {}", grant.rule()),
        Decision::Ask(pending) => format!("ask {}", pending.rule()),
        Decision::Deny(denial) => format!("deny {}", denial.rule),
    }
}

#[test]
fn a_call_is_decided_by_where_it_says_that_it_reaches() {
    for (tool, arguments, expect) in [
        ("files.read", json!({"path": "a.txt"}), "allow here"),
        ("files.read", json!({}), "allow here"),
        ("files.read", json!({"path": "/srv/x"}), "allow here"),
        ("files.read", json!({"path": "/etc/passwd"}), "deny default"),
        ("files.read", json!({"path": "../etc/passwd"}), "deny default"),
        ("files.read", json!({"path": "private/a"}), "ask careful"),
        ("files.read", json!({"path": "x/../private/keys/id"}), "deny never"),
        ("files.read", json!({"path": "/h/.ssh/id"}), "deny never"),
        // One that is allowed does not carry one that is not.
        ("files.read", json!({"path": ["a", "private/b"]}), "ask careful"),
        ("files.read", json!({"path": ["a", "/etc/passwd"]}), "deny default"),
        ("files.read", json!({"path": ["private/a", "private/keys/b"]}), "deny never"),
        ("other.read", json!({"path": "a.txt"}), "deny default"),
        // An ask permits what it covers.
        ("other.read", json!({"path": "private/a"}), "ask careful"),
        ("other.read", json!({"path": ["private/a", "a"]}), "deny default"),
    ] {
        assert_eq!(answer(&decide(tool, Effect::Read, arguments.clone())), expect, "{tool} {arguments}");
    }
    for (url, expect) in [
        ("https://example.org/", "allow site"),
        ("https://EXAMPLE.org./x", "allow site"),
        ("https://a.bad.example.org/", "deny not-that"),
        ("https://other.test/", "deny default"),
        ("example.org/no-scheme", "deny default"),
        ("nonsense", "deny default"),
        ("", "deny default"),
    ] {
        assert_eq!(answer(&decide("fetch.fetch", Effect::Send, json!({"url": url}))), expect, "{url}");
    }
}

#[test]
fn what_a_call_opens_is_asked_about_again() {
    let Decision::Allow(grant) = decide("files.edit", Effect::Write, json!({"path": "a.txt"})) else {
        panic!("allowed")
    };
    for (path, to_write, expect) in [
        ("/w/a.txt", true, Ok(())),
        ("/w/b.txt", true, Ok(())),
        ("/w/fixed/a", false, Ok(())),
        ("/w/fixed/a", true, Err("may only be read")),
        ("/h/notes", false, Err("rule `default`")),
        ("/etc/passwd", false, Err("in no folder")),
        ("/w2/a", false, Err("in no folder")),
        ("/w/private/a", false, Err("rule `careful`")),
        ("/w/private/keys/a", false, Err("rule `never`")),
        ("/w/own/x", false, Err("program's own")),
    ] {
        let opened = grant.may_open(Path::new(path), to_write).map(|_| ());
        match expect {
            Ok(()) => assert_eq!(opened, Ok(()), "{path}"),
            Err(words) => assert!(opened.as_ref().is_err_and(|error| error.contains(words)), "{path}: {opened:?}"),
        }
    }
    let Decision::Allow(grant) = decide("files.read", Effect::Read, json!({"path": "a"})) else { panic!("allowed") };
    assert!(grant.may_open(Path::new("/w/a"), true).is_err(), "it says that it reads");
    assert!(
        grant.may_reach(&Url::parse("https://example.org/").unwrap()).is_err(),
        "nothing leaves for one that reads"
    );
}

#[tokio::test]
async fn a_yes_covers_what_the_call_named() {
    struct Yes;
    #[async_trait::async_trait]
    impl Approver for Yes {
        async fn approve(&self, _: &Pending) -> Approval {
            Approval::Yes
        }
    }
    let Decision::Ask(pending) = decide("files.read", Effect::Read, json!({"path": "private/a"})) else {
        panic!("asked")
    };
    let grant = pending.ask(&Yes).await.unwrap();
    for (path, expect) in [
        ("/w/private/a", true),
        ("/w/private/a/below", true),
        ("/w/private/b", false),
        ("/w/private/keys", false),
        ("/w/public", true),
    ] {
        assert_eq!(grant.may_open(Path::new(path), false).is_ok(), expect, "{path}");
    }
}

#[test]
fn a_host_must_be_wanted_allowed_and_by_the_rules() {
    let Decision::Allow(grant) = decide("fetch.fetch", Effect::Send, json!({"url": "https://example.org/"})) else {
        panic!("allowed")
    };
    for (url, expect) in [
        ("https://example.org/a", ""),
        ("https://www.example.net/", ""),
        ("https://x.bad.example.org/", "rule `not-that`"),
        ("https://elsewhere.test/", "not among the hosts"),
        ("https://other.test/", "not among the hosts"),
    ] {
        match grant.may_reach(&Url::parse(url).unwrap()) {
            Ok(()) => assert_eq!(expect, "", "{url}"),
            Err(error) => assert!(!expect.is_empty() && error.contains(expect), "{url}: {error}"),
        }
    }
    for (url, expect) in [
        ("http://127.0.0.1:8080/", true),
        ("http://127.0.0.1:8081/", false),
        ("http://localhost:8080/", false),
        ("http://127.0.0.1/", false),
    ] {
        assert_eq!(grant.may_reach_locally(&Url::parse(url).unwrap()), expect, "{url}");
    }
}

#[test]
fn mistakes_in_places_and_hosts_are_pointed_at() {
    let rule = |more: &str| format!("version = 1\n[[rule]]\nid = \"a\"\n{more}\ndecision = \"allow\"\n");
    for (text, at, words) in [
        (rule("within = [\"src\"]"), "\"src\"", "no place"),
        (rule("within = [\"$HOEM/x\"]"), "\"$HOEM/x\"", "no place"),
        (rule("within = []"), "[]", "empty list"),
        (rule("hosts = [\"https://x.org\"]"), "\"https://x.org\"", "no host"),
        ("version = 1\n[egress]\nallow_local = [\"127.0.0.1\"]".into(), "\"127.0.0.1\"", "host and port"),
        ("version = 1\n[egress]\nallow_hosts = [\"a b\"]".into(), "\"a b\"", "no host"),
        ("version = 1\n[[test]]\ncall = { tool = \"a.b\", url = \"x\" }\nexpect = \"deny\"".into(), "\"x\"", "no URL"),
    ] {
        let error = Policy::parse("p", &text).unwrap_err();
        assert_eq!(&text[error.span()], at, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
}
