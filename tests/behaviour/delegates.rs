//! The user ... delegates: what the local model cannot do goes to a hosted one, here a server of the tests' own.

use crate::home::{Home, Ran, Run};
use crate::mock::plan::{Fault, Planned};
use crate::mock::{KEY, Mock};
use std::process::{Command, Stdio};

/// A home with a key, and the server that takes it.
struct Cloud {
    home: Home,
    mock: Mock,
}

impl Cloud {
    fn new() -> Self {
        Self { home: Home::new(), mock: Mock::start(0).unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.env("OPENAI_API_KEY", KEY).env("OPENAI_BASE_URL", self.mock.url()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).ran()
    }

    /// With a yes to everything.
    fn call(&self, tool: &str, arguments: &str) -> Ran {
        self.run(&["--approve", "always", "tool", "call", tool, arguments])
    }

    fn plan(&self, path: &str, n: u32, fault: Fault) {
        self.mock.store().plan(Planned { method: Some("POST".into()), path: Some(path.into()), n, fault });
    }

    fn n_charged(&self) -> usize {
        self.mock.store().charged().len()
    }

    fn received(&self) -> String {
        String::from_utf8_lossy(self.mock.store().bytes()).into_owned()
    }

    fn out(&self, arguments: &[&str]) -> String {
        self.run(arguments).exits(0).stdout
    }
}

#[test]
fn and_gets_the_picture_that_they_asked_for() {
    let cloud = Cloud::new();
    let ran = cloud.run(&["run", "--approve", "always", "Draw me a logo with a fox"]).exits(0);
    assert!(ran.stderr.contains("cloud.image") && ran.stderr.contains("picture.png"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "Here is the picture: picture.png\n");
    let sessions = std::fs::read_dir(cloud.home.path().join("data/attachments")).unwrap();
    let folder = sessions.map(|entry| entry.unwrap().path()).next().unwrap();
    let picture = std::fs::read(folder.join("1-1-picture.png")).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    assert_eq!(cloud.n_charged(), 1);
    assert!(cloud.received().contains("a logo with a fox"));
    let budget = cloud.out(&["cloud", "budget"]);
    assert!(budget.contains("today      $0.013 of at most $3.00; $0.00 of it only reserved"), "{budget}");
    let ledger = cloud.out(&["cloud", "ledger"]);
    for words in [
        "gpt-image-2.6-flare at 127.0.0.1: $0.013 reserved",
        "rule cloud, approved",
        "POST http://127.0.0.1",
        "done: cost $0.013",
    ] {
        assert!(ledger.contains(words), "{words} in {ledger}");
    }
}

#[test]
fn and_nothing_leaves_without_a_yes_or_a_key() {
    let cloud = Cloud::new();
    let ran = cloud.run(&["tool", "call", "cloud.image", r#"{"prompt":"a fox"}"#]).exits(4);
    assert!(ran.stderr.contains("`cloud`"), "{}", ran.stderr);
    assert_eq!(cloud.received(), "");
    for policy in ["strict", "offline", "automation"] {
        let ran =
            cloud.run(&["--policy", policy, "--approve", "always", "tool", "call", "cloud.image", r#"{"prompt":"a"}"#]);
        assert!(ran.exits(2).stderr.contains("there is no tool cloud.image"), "{policy}");
    }
    let ran = cloud.home.run(&["--approve", "always", "tool", "call", "cloud.image", r#"{"prompt":"a fox"}"#]).exits(2);
    assert!(ran.stderr.contains("there is no tool cloud.image"), "{}", ran.stderr);
    assert_eq!(cloud.received(), "");
    let mut wrong = cloud.command(&["tool", "call", "calc", r#"{"expression":"1+1"}"#]);
    let ran = wrong.env("OPENAI_API_KEY", "two words").ran().exits(0);
    assert!(ran.stderr.contains("is no key") && !ran.stderr.contains("two words"), "{}", ran.stderr);
}

#[test]
fn and_what_is_theirs_stays_here_and_is_in_the_answer_all_the_same() {
    let cloud = Cloud::new();
    let question = "Write to anna.berg@example.org, IBAN DE89370400440532013000, with the key sk-proj-Ab12Cd34Ef56Gh78Ij90Kl12Mn34 and hunter2-is-not-it.";
    let arguments = serde_json::json!({ "question": question }).to_string();
    let mut command = cloud.command(&["--approve", "always", "tool", "call", "cloud.ask", &arguments]);
    let ran = command.env("MY_PASSWORD", "hunter2-is-not-it").ran().exits(0);
    assert!(ran.stdout.contains(question), "{}", ran.stdout);
    let received = cloud.received();
    for secret in ["anna.berg", "DE8937", "sk-proj-Ab12", "hunter2"] {
        assert!(!received.contains(secret), "{secret} left");
    }
    assert!(received.contains("⟦EMAIL_1⟧") || received.contains("EMAIL_1"), "{received}");
    // The ledger knows that there were some, and not which.
    let ledger = cloud.out(&["cloud", "ledger", "--json"]);
    assert!(ledger.contains("EMAIL_1") && !ledger.contains("anna.berg"), "{ledger}");
    assert!(!cloud.home.journal().contains(KEY), "the key is nowhere");
}

#[test]
fn and_a_limit_in_money_holds() {
    let cloud = Cloud::new();
    let rule = "[[rule]]\nid = \"c\"\ntools = [\"cloud.*\"]\ndecision = \"allow\"\n";
    cloud.home.write("p.toml", &format!("version = 1\n[budget]\nper_call = \"$0.02\"\nper_day = \"$0.02\"\n{rule}"));
    let call = |arguments| cloud.run(&["--policy", "p.toml", "tool", "call", "cloud.image", arguments]);
    call(r#"{"prompt":"a fox"}"#).exits(0);
    let ran = call(r#"{"prompt":"a wolf"}"#).exits(1);
    assert!(ran.stderr.contains("$0.013") && ran.stderr.contains("today"), "{}", ran.stderr);
    let ran = call(r#"{"prompt":"a bear","quality":"high"}"#).exits(4);
    assert!(ran.stderr.contains("budget.per_call"), "{}", ran.stderr);
    assert_eq!(cloud.n_charged(), 1);
}

#[test]
fn and_what_nobody_knows_the_end_of_is_neither_repeated_nor_forgotten() {
    let cloud = Cloud::new();
    cloud.plan("/images/generations", 1, Fault::ResetAfterBilling);
    let ran = cloud.call("cloud.image", r#"{"prompt":"a fox"}"#).exits(1);
    assert!(ran.stderr.contains("not known") && ran.stderr.contains("unknown"), "{}", ran.stderr);
    assert_eq!(cloud.n_charged(), 1);
    let budget = cloud.out(&["cloud", "budget"]);
    assert!(budget.contains("$0.013 of at most $3.00; $0.013 of it only reserved"), "{budget}");
    assert!(cloud.out(&["cloud", "queue", "list"]).contains("unknown"));
}

#[test]
fn and_a_refusal_is_the_last_word() {
    let cloud = Cloud::new();
    cloud.plan("/responses", 1, Fault::Refusal);
    let ran = cloud.call("cloud.ask", r#"{"question":"something bad"}"#).exits(0);
    assert!(ran.stdout.contains("refuses; this is its final answer"), "{}", ran.stdout);
    cloud.plan("/images/generations", 1, Fault::ContentPolicy);
    let ran = cloud.call("cloud.image", r#"{"prompt":"something bad"}"#).exits(1);
    assert!(ran.stderr.contains("content policy"), "{}", ran.stderr);
    let paths: Vec<String> = cloud.mock.store().requests().iter().map(|request| request.path.clone()).collect();
    let asked = paths.iter().filter(|path| path.ends_with("/responses") || path.ends_with("/generations")).count();
    assert_eq!(asked, 2, "neither was tried again");
}

#[test]
fn and_it_is_done_later_when_there_is_no_way_out() {
    let cloud = Cloud::new();
    let ran = cloud
        .run(&["--offline", "--approve", "always", "tool", "call", "cloud.image", r#"{"prompt":"a fox"}"#])
        .exits(0);
    assert!(ran.stdout.contains("It waits as task"), "{}", ran.stdout);
    // Nobody listens there.
    let mut cut_off = cloud.command(&["--approve", "always", "tool", "call", "cloud.ask", r#"{"question":"why?"}"#]);
    let ran = cut_off.env("OPENAI_BASE_URL", "http://127.0.0.1:9/v1").ran().exits(0);
    assert!(ran.stdout.contains("cannot be reached") && ran.stdout.contains("It waits"), "{}", ran.stdout);
    assert_eq!(cloud.received(), "");
    let list = cloud.out(&["cloud", "queue", "list"]);
    assert_eq!(list.matches("waiting").count(), 2, "{list}");
    cloud.run(&["--offline", "cloud", "queue", "drain"]).exits(5);
    let ran = cloud.run(&["--approve", "always", "cloud", "queue", "drain"]).exits(0);
    assert!(ran.stderr.contains("picture.png") && ran.stderr.contains("why?"), "{}", ran.stderr);
    assert_eq!(cloud.n_charged(), 2);
    cloud.run(&["--approve", "always", "cloud", "queue", "drain"]).exits(0);
    assert_eq!(cloud.n_charged(), 2, "once is enough");
    let list = cloud.out(&["cloud", "queue", "list"]);
    assert!(list.matches("done").count() == 2 && !list.contains("waiting"), "{list}");
}

#[test]
fn and_takes_back_what_waits() {
    let cloud = Cloud::new();
    cloud.run(&["--offline", "--approve", "always", "tool", "call", "cloud.image", r#"{"prompt":"a fox"}"#]).exits(0);
    let list = cloud.out(&["cloud", "queue", "list"]);
    let task = list.split(' ').next().unwrap();
    assert!(cloud.out(&["cloud", "queue", "show", task]).contains("a fox"));
    cloud.run(&["cloud", "queue", "cancel", task]).exits(0);
    assert!(cloud.run(&["cloud", "queue", "cancel", task]).exits(2).stderr.contains("is cancelled"));
    cloud.run(&["--approve", "always", "cloud", "queue", "drain"]).exits(0);
    assert_eq!(cloud.received(), "");
    assert!(cloud.run(&["cloud", "queue", "show", "nothing"]).exits(2).stderr.contains("no task"));
}

#[test]
fn and_can_prove_what_was_sent() {
    let cloud = Cloud::new();
    cloud.call("cloud.image", r#"{"prompt":"a fox"}"#).exits(0);
    assert!(cloud.out(&["cloud", "ledger", "--verify"]).contains("lines, all as they were written"));
    let database = cloud.home.path().join("data/sessions.sqlite");
    let connection = rusqlite::Connection::open(database).unwrap();
    connection.execute("UPDATE ledger SET body = replace(body, '13000', '1') WHERE seq = 1", []).unwrap();
    let ran = cloud.run(&["cloud", "ledger", "--verify"]).exits(1);
    assert!(ran.stderr.contains("changed at line 1"), "{}", ran.stderr);
}

#[test]
fn and_has_their_recordings_and_pictures_looked_at() {
    let cloud = Cloud::new();
    cloud.home.write("work/talk.mp3", "ID3 not really");
    image::RgbaImage::new(64, 64).save(cloud.home.path().join("work/cat.png")).unwrap();
    let call = |tool, arguments| {
        let mut command = cloud.command(&["--approve", "always", "tool", "call", tool, arguments]);
        command.current_dir(cloud.home.path().join("work")).ran()
    };
    assert!(!call("cloud.transcribe", r#"{"audio":"talk.mp3"}"#).exits(0).stdout.trim().is_empty());
    assert!(
        call("cloud.see", r#"{"image":"cat.png","question":"What is it?"}"#).exits(0).stdout.contains("What is it?")
    );
    call("cloud.edit_image", r#"{"image":"cat.png","prompt":"a hat on it"}"#).exits(0);
    assert_eq!(cloud.n_charged(), 3);
    assert_eq!(call("cloud.speak", r#"{"text":"Good morning."}"#).exits(0).stdout, "saved as speech.wav\n");
    assert_eq!(cloud.n_charged(), 4);
    let ran = call("cloud.see", r#"{"image":"/etc/passwd","question":"Who?"}"#).exits(1);
    assert!(ran.stderr.contains("no folder that was granted"), "{}", ran.stderr);
    assert!(call("cloud.see", r#"{"image":"dog.png","question":"Who?"}"#).exits(1).stderr.contains("dog.png"));
    // Not by its name, but by its bytes.
    cloud.home.write("work/notes.png", "the harbour keys hang behind the door");
    assert!(call("cloud.see", r#"{"image":"notes.png","question":"?"}"#).exits(1).stderr.contains("no picture"));
    assert!(
        call("cloud.transcribe", r#"{"audio":"talk.mp3","language":"all my secrets"}"#)
            .exits(1)
            .stderr
            .contains("language")
    );
    let received = cloud.received();
    for words in ["harbour keys", "all my secrets", "cat.png", "talk.mp3"] {
        assert!(!received.contains(words), "{words} left");
    }
    assert_eq!(cloud.n_charged(), 4);
}

#[test]
fn and_loses_nothing_that_waits_to_a_wrong_key_or_a_dead_line() {
    let cloud = Cloud::new();
    cloud.run(&["--offline", "--approve", "always", "tool", "call", "cloud.ask", r#"{"question":"why?"}"#]).exits(0);
    let drain = |variable, value: &str| {
        let mut command = cloud.command(&["--approve", "always", "cloud", "queue", "drain"]);
        command.env(variable, value).ran()
    };
    let ran = drain("OPENAI_API_KEY", "sk-another-0123456789").exits(1);
    assert!(ran.stderr.contains("does not accept the key") && ran.stderr.contains("1 of them"), "{}", ran.stderr);
    cloud.plan("/conversations", 9, Fault::Unavailable);
    let ran = cloud.run(&["--policy", "automation", "cloud", "queue", "drain"]);
    assert_ne!(ran.code, Some(0), "nobody may say yes");
    // To another server than the one that it was wanted of.
    let ran = drain("OPENAI_BASE_URL", "http://localhost:9/v1").exits(1);
    assert!(ran.stderr.contains("it was wanted of"), "{}", ran.stderr);
    let list = cloud.out(&["cloud", "queue", "list"]);
    assert!(list.contains("waiting") && list.lines().count() == 1, "{list}");
    assert_eq!(cloud.n_charged(), 0);
}

#[test]
fn and_finds_what_was_paid_for_again() {
    let cloud = Cloud::new();
    let ran = cloud.call("cloud.image", r#"{"prompt":"a fox"}"#).exits(0);
    assert_eq!(ran.stdout, "saved as picture.png\n");
    assert!(ran.stderr.contains("/1-1-picture.png"), "{}", ran.stderr);
    let list = cloud.out(&["cloud", "queue", "list"]);
    let task = list.split(' ').next().unwrap();
    assert!(cloud.out(&["cloud", "queue", "show", task]).contains("picture.png (image/png"));
    assert!(cloud.run(&["cloud", "queue", "save", task]).exits(0).stderr.contains("saved ./picture.png"));
    assert!(std::fs::read(cloud.home.path().join("picture.png")).unwrap().starts_with(b"\x89PNG"));
    assert!(cloud.run(&["cloud", "queue", "save", task]).exits(1).stderr.contains("picture.png"));
}

#[test]
fn and_says_what_an_unknown_task_has_cost() {
    let cloud = Cloud::new();
    cloud.plan("/images/generations", 1, Fault::ResetAfterBilling);
    cloud.call("cloud.image", r#"{"prompt":"a fox"}"#).exits(1);
    let list = cloud.out(&["cloud", "queue", "list"]);
    let task = list.split(' ').next().unwrap();
    assert!(cloud.run(&["cloud", "queue", "settle", task, "much"]).exits(2).stderr.contains("$0.06"));
    cloud.run(&["cloud", "queue", "settle", task, "$0.01"]).exits(0);
    assert!(cloud.out(&["cloud", "budget"]).contains("$0.01 of at most $3.00; $0.00"));
    cloud.run(&["cloud", "queue", "settle", task, "$0"]).exits(2);
}

#[test]
fn and_keeps_nothing_of_an_ephemeral_session_but_what_it_cost() {
    let cloud = Cloud::new();
    let call = |more: &[&str], tool, arguments| {
        cloud.run(&[&["--ephemeral", "--approve", "always"], more, &["tool", "call", tool, arguments]].concat())
    };
    let ran = call(&[], "cloud.image", r#"{"prompt":"a fox"}"#).exits(1);
    assert!(ran.stderr.contains("keeps no files"), "{}", ran.stderr);
    call(&["--offline"], "cloud.ask", r#"{"question":"who is the thin man?"}"#).exits(1);
    call(&[], "cloud.ask", r#"{"question":"who is the thin man?"}"#).exits(0);
    assert_eq!(cloud.n_charged(), 1);
    let budget = cloud.out(&["cloud", "budget"]);
    assert!(budget.contains("today      $0.00") && !budget.contains("today      $0.00 "), "{budget}");
}

#[test]
fn and_asks_why_a_call_is_answered_as_it_is() {
    let cloud = Cloud::new();
    let why = |arguments: &[&str]| cloud.out(&[&["policy", "explain"], arguments].concat());
    let text = why(&["cloud.image", r#"{"prompt":"a fox"}"#]);
    assert!(
        text.contains("cloud.image: ask, by `cloud`") && text.contains("without `cloud` it would be deny"),
        "{text}"
    );
    let text = why(&["--untrusted-argument", "files.write", r#"{"path":"a.md","text":"x"}"#]);
    assert!(text.contains("ask") && text.contains("`strangers`") && text.contains("`writing`"), "{text}");
    let text = why(&["fetch.fetch", r#"{"url":"https://example.org/"}"#]);
    assert!(text.contains("ask, by `sending`") && text.contains("without `sending` it would be deny"), "{text}");
    assert!(cloud.run(&["policy", "explain", "nobody.nothing"]).exits(2).stderr.contains("no tool"));
    assert!(cloud.run(&["policy", "explain", "calc", "{"]).exits(2).stderr.contains("no JSON"));
    assert!(cloud.run(&["policy", "check", "strict"]).exits(0).stderr.contains("all its examples hold"));
    cloud
        .home
        .write("p.toml", "version = 1\n[[rule]]\nid = \"typo\"\ntools = [\"fiels.write\"]\ndecision = \"deny\"\n");
    assert!(cloud.run(&["policy", "check", "p.toml"]).exits(2).stderr.contains("fiels.write"));
}

#[test]
fn and_a_project_makes_stricter_and_not_laxer() {
    let cloud = Cloud::new();
    let rules =
        "[[rule]]\nid = \"project\"\neffects = [\"pure\", \"read\", \"cloud\", \"write\"]\ndecision = \"allow\"\n";
    cloud.home.write(".ossicle/policy.toml", &format!("version = 1\n[budget]\nper_call = \"$0.01\"\n{rules}"));
    cloud.run(&["tool", "call", "cloud.ask", r#"{"question":"why?"}"#]).exits(4);
    let ran = cloud.call("cloud.image", r#"{"prompt":"a fox"}"#).exits(4);
    assert!(ran.stderr.contains("budget.per_call"), "{}", ran.stderr);
    cloud.call("cloud.image", r#"{"prompt":"a fox","quality":"low"}"#).exits(0);
    cloud.home.write(".ossicle/policy.toml", "version = 9");
    assert!(cloud.run(&["tool", "list"]).exits(2).stderr.contains("version 9"));
}

#[test]
fn and_sees_where_a_line_would_go_before_it_goes() {
    let cloud = Cloud::new();
    let explain = |words: &str| cloud.out(&["route", "explain", words]);
    let text = explain("Draw me a logo with a fox for anna.berg@example.org");
    for words in [
        "ask: you are asked",
        "0 capability",
        "policy rule: cloud",
        "+ Draw me a logo with a fox for ⟦EMAIL_1⟧",
        "price: $0.01",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    assert_eq!(text, explain("Draw me a logo with a fox for anna.berg@example.org"), "the same for the same");
    assert!(explain("What is 23 * 47?").contains("stay: the local model answers"));
    assert_eq!(cloud.received(), "");
}
