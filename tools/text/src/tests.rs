//! The tools as the model calls them: the manifest's examples, tables of what they give and refuse, and hostile texts.

use serde_json::json;
use tool_guest::Failure;

use crate::{LIMIT, call};

/// What the model reads.
fn read(name: &str, arguments: &str) -> String {
    match call(name, arguments) {
        Ok(text) | Err(Failure::Failed(text) | Failure::Unknown(text)) => text,
        Err(Failure::Arguments(problem)) => format!("invalid arguments: {problem}"),
    }
}

/// The same without the words in front of a refusal.
fn given(name: &str, arguments: serde_json::Value) -> String {
    let text = read(name, &arguments.to_string());
    text.strip_prefix("invalid arguments: ").map_or(text.clone(), |problem| format!("! {problem}"))
}

#[test]
fn the_examples_of_the_manifest() {
    let manifest: toml::Table = toml::from_str(include_str!("../tool.toml")).unwrap();
    let examples = manifest["test"].as_array().unwrap();
    assert!(examples.len() > 20);
    for example in examples {
        let arguments = serde_json::to_string(&example["arguments"]).unwrap();
        let (name, expected) = (example["call"].as_str().unwrap(), example["expect"].as_str().unwrap());
        assert_eq!(read(name, &arguments), expected, "{name} {arguments}");
    }
}

#[test]
fn matches() {
    let numbers = "7 ".repeat(120);
    for (text, pattern, skip, expected) in [
        ("", "a", 0, "no match"),
        ("", "$", 0, "1 match\nline 1: "),
        ("ab", "", 0, "! the pattern is empty"),
        ("a\r\nb\r\n", "^b$", 0, "1 match\nline 2: b"),
        ("a\nb", "a\nb", 0, "1 match\nline 1: a\\nb"),
        ("x\u{0}y\u{1b}[2J", "x.*", 0, "1 match\nline 1: x\\u{0}y\\u{1b}[2J"),
        ("a1b2", r"([a-z])(\d)?(z)?", 0, "2 matches\nline 1: a1 | 1 = a | 2 = 1\nline 1: b2 | 1 = b | 2 = 2"),
        ("\u{c9}t\u{e9}", r"(?i)\u{e9}\w", 0, "1 match\nline 1: \u{c9}t"),
        ("\u{3b1}B", r"\p{Lu}", 0, "1 match\nline 1: B"),
        ("aa", r"(a)\1", 0, "! the pattern is no regular expression: backreferences are not supported"),
        (
            "a",
            &"(a)".repeat(101),
            0,
            "! the pattern has 101 groups, more than 100; write (?:...) where no group is needed",
        ),
        ("a", "a{1000000000}", 0, "! the pattern is too big; use smaller numbers of repetitions"),
        ("7 7 7", "7", 3, "! there are only 3 matches; skip fewer than 3"),
        (&numbers, "7$", 0, "no match"),
    ] {
        let arguments = json!({"text": text, "pattern": pattern, "skip": skip});
        assert_eq!(given("match", arguments), expected, "{pattern:?} in {text:?}");
    }
    let page = given("match", json!({"text": numbers, "pattern": "7", "skip": 50}));
    assert!(
        page.ends_with("\nline 1: 7\n(matches 51 to 100 of 120; for the rest call again with skip = 100)"),
        "{page}"
    );
}

#[test]
fn replacements() {
    for (text, pattern, replacement, expected) in [
        ("ab", "(a)(b)", "$2$1", "ba"),
        ("ab", "(a)(b)", r"\2\1", "ba"),
        ("ab", "(?<x>a)b", "${x}c$x", "aca"),
        ("ab", "(a)b", "${1}1", "a1"),
        ("ab", "b", "$", "a$"),
        ("ab", "b", "$$1", "a$1"),
        ("ab", "b", r"C:\1\new", r"aC:\1\new"),
        ("ab", "b", "${", "a${"),
        ("ab", "b", "${}", "! the pattern has no group \"\"; write $$ for a dollar sign, or set literal"),
        ("ab", "b", "$x", "! the pattern has no group \"x\"; write $$ for a dollar sign, or set literal"),
        ("a\nb\n", "^", "> ", "> a\n> b\n> "),
        ("\u{e9}\u{e9}", "\u{e9}", "$0\u{fc}", "\u{e9}\u{fc}\u{e9}\u{fc}"),
    ] {
        let got = given("replace", json!({"text": text, "pattern": pattern, "replacement": replacement}));
        let text = if got.starts_with('!') { &got } else { got.split_once(":\n").unwrap().1 };
        assert_eq!(text, expected, "{pattern:?} by {replacement:?} in {text:?}");
    }
    let literal =
        json!({"text": "a.b A.B", "pattern": "A.b", "replacement": "$0", "literal": true, "ignore_case": true});
    assert_eq!(given("replace", literal), "2 replacements:\n$0 $0");
}

#[test]
fn differences() {
    for (old, new, expected) in [
        ("", "", "the texts are the same"),
        ("", "a", "--- old\n+++ new\n@@ -0,0 +1 @@\n+a"),
        ("a\r\nb", "a\nc", "--- old\n+++ new\n@@ -1,2 +1,2 @@\n a\n-b\n+c"),
        (
            "1\n2\n3\n4\n5\n6\n7\n8\n9",
            "1\n2\n3\n4\n5\n6\n7\n8\n9!",
            "--- old\n+++ new\n@@ -6,4 +6,4 @@\n 6\n 7\n 8\n-9\n+9!",
        ),
        ("a", "a\n", "--- old\n+++ new\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a"),
    ] {
        assert_eq!(given("diff", json!({"old": old, "new": new})), expected, "{old:?} {new:?}");
    }
    let old = (0..1000).map(|n| format!("{n}\n")).collect::<String>();
    let page = given("diff", json!({"old": old, "new": "", "skip": 400}));
    assert!(page.starts_with("-397\n-398\n"), "{page}");
    assert!(page.ends_with("\n(lines 401 to 800 of 1003; for the rest call again with skip = 800)"), "{page}");
}

#[test]
fn encodings() {
    let text = "<a href='?x=1&y'>\u{fc}\u{0}\n\u{1f600}</a>";
    for encoding in ["base64", "base64url", "hex", "url", "html"] {
        let encoded = given("encode", json!({"text": text, "encoding": encoding}));
        assert_ne!(encoded, text);
        let decoded = given("encode", json!({"text": encoded, "encoding": encoding, "decode": true}));
        assert_eq!(decoded, text, "{encoding}");
    }
    for (encoding, code, expected) in [
        ("base64", "YW\n Jj", "abc"),
        ("base64", "YQ", "a"),
        ("base64", "", ""),
        ("base64", "a*b", "! the text is not base64: Invalid symbol 42, offset 1"),
        ("base64url", "4pyT_w", "! this decodes to 4 bytes that are no UTF-8 text: e29c93ff"),
        ("hex", "61 6B", "ak"),
        ("hex", "0x61", "! the text is not hex: 'x' is no hexadecimal digit"),
        ("hex", "\u{fc}\u{fc}", "! the text is not hex: '\u{fc}' is no hexadecimal digit"),
        ("url", "a%zz%2", "a%zz%2"),
        ("url", "%ff", "! this decodes to 1 bytes that are no UTF-8 text: ff"),
        ("html", "&nope; & &amp;amp; &#xD800;", "&nope; & &amp; &#xD800;"),
    ] {
        let decoded = given("encode", json!({"text": code, "encoding": encoding, "decode": true}));
        assert_eq!(decoded, expected, "{encoding} {code:?}");
    }
}

#[test]
fn hostile_texts_give_short_answers_soon() {
    let long = "a".repeat(LIMIT);
    let lines = "ab\n".repeat(LIMIT / 3);
    let other = (0..20_000).map(|n| format!("{n}\n")).collect::<String>();
    let reverse = (0..20_000).rev().map(|n| format!("{n}\n")).collect::<String>();
    for (name, arguments) in [
        ("match", json!({"text": long, "pattern": "(a+)+$"})),
        ("match", json!({"text": &long[..5000], "pattern": "(a)".repeat(5000)})),
        ("match", json!({"text": &long[..5000], "pattern": "(a)".repeat(100)})),
        ("match", json!({"text": long, "pattern": "."})),
        ("match", json!({"text": lines, "pattern": "(?s).*"})),
        ("match", json!({"text": "a", "pattern": "(".repeat(LIMIT)})),
        ("match", json!({"text": "a", "pattern": "(".repeat(10_000)})),
        ("match", json!({"text": "a", "pattern": "a|".repeat(5_000)})),
        ("match", json!({"text": "\u{1}".repeat(LIMIT), "pattern": "(((((.+)))))"})),
        ("replace", json!({"text": long, "pattern": "a+", "replacement": "$0".repeat(LIMIT / 2)})),
        ("replace", json!({"text": lines, "pattern": "b", "replacement": ""})),
        ("diff", json!({"old": long, "new": lines})),
        ("diff", json!({"old": other, "new": reverse})),
        ("diff", json!({"old": other, "new": lines})),
        ("encode", json!({"text": long, "encoding": "hex"})),
        ("encode", json!({"text": "\u{0}".repeat(LIMIT), "encoding": "url"})),
        ("hash", json!({"text": long})),
    ] {
        let began = std::time::Instant::now();
        let got = given(name, arguments);
        assert!(got.len() < 60_000, "{name}: {} bytes", got.len());
        // Ten times a host's limit: against hanging, not a measurement.
        assert!(began.elapsed().as_secs() < 50, "{name}: {:?}", began.elapsed());
    }
    for name in ["match", "replace", "diff", "hash", "encode"] {
        let text = "a".repeat(LIMIT + 1);
        let got = match name {
            "diff" => given(name, json!({"old": "", "new": text})),
            "encode" => given(name, json!({"text": text, "encoding": "url"})),
            "hash" => given(name, json!({"text": text})),
            "match" => given(name, json!({"text": text, "pattern": "a"})),
            _ => given(name, json!({"text": text, "pattern": "a", "replacement": ""})),
        };
        assert_eq!(got, "! a text may have 1 MiB at most; pass a part of it", "{name}");
    }
    assert!(matches!(call("find", "{}"), Err(Failure::Unknown(_))));
    assert!(matches!(call("hash", r#"{"text":"a","more":1}"#), Err(Failure::Arguments(_))));
}
