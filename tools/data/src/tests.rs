//! The tools as the model calls them: the manifest's examples, round trips, and hostile data.

use serde_json::{Value, json};
use tool_guest::Failure;

use crate::{WHOLE, call};

/// What the model reads.
fn read(name: &str, arguments: &str) -> String {
    match call(name, arguments) {
        Ok(text) | Err(Failure::Failed(text) | Failure::Unknown(text)) => text,
        Err(Failure::Arguments(problem)) => format!("invalid arguments: {problem}"),
    }
}

fn given(name: &str, arguments: Value) -> String {
    read(name, &arguments.to_string())
}

#[test]
fn the_examples_of_the_manifest() {
    let manifest: toml::Table = toml::from_str(include_str!("../tool.toml")).unwrap();
    let examples = manifest["test"].as_array().unwrap();
    assert!(examples.len() > 12);
    for example in examples {
        let arguments = serde_json::to_string(&example["arguments"]).unwrap();
        let (name, expected) = (example["call"].as_str().unwrap(), example["expect"].as_str().unwrap());
        assert_eq!(read(name, &arguments), expected, "{name} {arguments}");
    }
}

#[test]
fn what_was_converted_converts_back() {
    let csv = "name,n,note\nA|b,007,\"x,\ny\"\n\"say \"\"hi\"\"\",12345678901234567890.10,\\\n,-1.5e3,true";
    for format in ["csv", "tsv", "json", "markdown"] {
        let there = given("convert", json!({"data": csv, "to": format}));
        assert_eq!(given("convert", json!({"data": there, "to": "csv"})), csv, "{format} {there}");
    }
}

#[test]
fn summaries() {
    for (data, expected) in [
        ("a\n0.1\n0.2\n0.3\n", "| a | number | 0 | 3 | 0.1 | 0.3 | 0.2 | 0.6 |"),
        ("a\n1\n1\n2\n", "| a | number | 0 | 2 | 1 | 2 | 1.33333333333 | 4 |"),
        ("a,b\nx,1\n,1\n", "| a | text | 1 | 1 | | | | |"),
        ("a\nx\n5\n", "| a | 1 number, 1 text | 0 | 2 | 5 | 5 | 5 | 5 |"),
        ("[1e30, 1]", "| value | number | 0 | 2 | too long to reckon with | | | |"),
        (
            "[79228162514264337593543950335, 1]",
            "| value | number | 0 | 2 | 1 | 79228162514264337593543950335 | too big | too big |",
        ),
        ("[null, null]", "| value | empty | 2 | 0 | | | | |"),
    ] {
        let got = given("summarise", json!({"data": data}));
        let line = got.lines().nth(3).unwrap();
        assert!(line.split_whitespace().eq(expected.split_whitespace()), "{data} gave\n{got}");
    }
    let ragged = given("summarise", json!({"data": "a,b\n1\n1,2,3\n4,5\n"}));
    assert!(ragged.starts_with("3 rows, 3 columns\n"), "{ragged}");
    assert!(ragged.ends_with("\n(rows with more or fewer cells than the first line: 2)"), "{ragged}");
}

#[test]
fn pages() {
    let data = (0..500).map(|n| format!("{n},{}\n", "x".repeat(100))).collect::<String>();
    let data = format!("n,x\n{data}");
    let first = given("convert", json!({"data": data, "to": "json"}));
    let (rows, note) = first.rsplit_once("\n]\n(rows 1 to ").unwrap();
    let n = rows.lines().count() - 1;
    assert!((200..500).contains(&n), "{n}");
    assert_eq!(note, format!("{n} of 500; for the rest call again with skip = {n})"));
    let last = given("convert", json!({"data": data, "to": "csv", "skip": 499}));
    assert_eq!(last, format!("n,x\n499,{}\n(rows 500 to 500 of 500)", "x".repeat(100)));
    let none = given("query", json!({"data": data, "skip": 500}));
    assert_eq!(none, "invalid arguments: there are only 500 rows; skip fewer than 500");
}

#[test]
fn hostile_data_gives_short_answers_soon() {
    let mega = 1 << 20;
    let keys = (0..60_000).map(|n| format!("{{\"k{n}\":1}}")).collect::<String>();
    let wide = format!("{}\n{}", vec!["x"; 500].join(","), ",".repeat(499));
    let nested = format!("{}{}{}", "[".repeat(60), vec!["0"; 200_000].join(","), "]".repeat(60));
    for data in [
        ",".repeat(mega),
        "\"".repeat(mega),
        "\n".repeat(mega),
        "a\n".repeat(mega / 2),
        format!("{}\n1", "a".repeat(500)),
        "a,b\n".to_owned() + &"1,2\n".repeat(99_000),
        format!("a\n{}", "\u{0}".repeat(mega - 2)),
        format!("a\n{}", "1".repeat(mega - 2)),
        format!("a\n{}", "1e9\n".repeat(mega / 4 - 1)),
        format!("a\r\n{}", "\u{1f600}\r\n".repeat(mega / 8)),
        format!("|a|\n|-|\n{}", "|".repeat(mega - 8)),
        format!("|a|\n|-|\n{}", "|b\n".repeat(mega / 3 - 8)),
        wide,
        keys,
        nested,
        "[".repeat(mega),
        "[[],".repeat(mega / 4),
        "{\"a\":".repeat(10_000) + &"}".repeat(10_000),
        format!("[{}0]", "0,".repeat(mega / 2 - 2)),
        format!("[{}{{}}]", "{},".repeat(mega / 3 - 2)),
        format!("{{\"a\":\"{}\"}}", "\\u0000".repeat(mega / 6 - 5)),
    ] {
        for (name, more) in [
            ("query", json!({"where": ["a contains x"], "sort": "-a", "limit": 1_000_000})),
            ("query", json!({"limit": 1_000_000})),
            ("summarise", json!({})),
            ("convert", json!({"to": "markdown"})),
            ("convert", json!({"to": "json"})),
            ("convert", json!({"to": "csv"})),
        ] {
            let mut arguments = more;
            arguments["data"] = data.clone().into();
            let began = std::time::Instant::now();
            let got = given(name, arguments);
            let start = &data[..data.floor_char_boundary(20)];
            assert!(!got.is_empty() && got.len() < WHOLE + 1000, "{name} of {start:?}: {} bytes", got.len());
            // Ten times a host's limit: against hanging, not a measurement.
            assert!(began.elapsed().as_secs() < 50, "{name} of {start:?}: {:?}", began.elapsed());
        }
    }
    assert!(matches!(call("join", "{}"), Err(Failure::Unknown(_))));
    assert!(matches!(call("query", r#"{"data":"a","path":"b"}"#), Err(Failure::Arguments(_))));
}
