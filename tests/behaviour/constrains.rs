//! The user ... constrains: what an answer looks like, and whether a model is held to its tools at all.

use crate::home::Home;

const SCHEMA: &str = r#"{
    "type": "object",
    "properties": {"colour": {"enum": ["red", "green"]}, "n": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["colour", "n"],
    "additionalProperties": false
}"#;

#[test]
fn the_answer_to_a_schema() {
    let home = Home::new();
    home.write("schema.json", SCHEMA);
    let ran = home.run(&["run", "--output-schema", "schema.json", "Hello"]).exits(0);
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(answer["colour"].is_string() && answer["n"].is_u64(), "{answer}");
    // The model, which knows only its own sentences, answers in words when it is let.
    let free = home.run(&["run", "--no-grammar", "--output-schema", "schema.json", "Hello"]).exits(7);
    assert!(free.stdout.is_empty() && free.stderr.contains("does not fit the schema"), "{}", free.stderr);
    let lines =
        home.run(&["run", "--json", "--no-grammar", "--output-schema", "schema.json", "Hello"]).exits(7).lines();
    assert_eq!(lines[lines.len() - 1]["type"], "turn.failed");
}

#[test]
fn with_a_schema_that_is_none() {
    let home = Home::new();
    home.write("text.json", "three");
    home.write("beyond.json", r#"{"type": "object", "properties": {"a": {"not": {}}}}"#);
    home.write("elsewhere.json", r#"{"$ref": "http://127.0.0.1:9/schema.json"}"#);
    for (file, words) in [
        ("absent.json", "absent.json"),
        ("text.json", "no schema"),
        ("beyond.json", "a/not"),
        ("elsewhere.json", "elsewhere.json"),
        ("/dev/zero", "more than 1 MiB"),
    ] {
        let ran = home.run(&["run", "--output-schema", file, "Hello"]).exits(2);
        assert!(ran.stderr.contains(words), "{file}: {}", ran.stderr);
        assert!(ran.stdout.is_empty());
    }
}

#[test]
fn nothing() {
    let home = Home::new();
    for flags in [&["--no-grammar"][..], &[]] {
        let ran = home.run(&[&["run", "What is 23 * 47?"], flags].concat()).exits(0);
        assert!(ran.stdout.contains("1081"), "{flags:?}: {}", ran.stdout);
    }
}
