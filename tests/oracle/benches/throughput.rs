//! Rendering and parsing one long conversation, ours and the reference's, turn by turn in one run. Prints tokens per second
//! and the ratio of the fastest rounds.

use openai_harmony::{StreamableParser, chat::Role};
use oracle::{
    harmony::{Builtin, Channel, Declaration, DeveloperContent, Encoding, Message, SystemContent, Token},
    reference,
};
use serde_json::json;
use std::{hint::black_box, time::Instant};

const ROUNDS: usize = 15;

fn main() {
    let messages = conversation();
    let theirs = reference::conversation(&messages);
    let ours = Encoding::reference();
    let ids = ours.render_conversation(&messages);
    assert_eq!(ids, reference::encoding().render_conversation(&theirs, None).unwrap());
    println!("one conversation of {} messages, {} tokens; the fastest of {ROUNDS} rounds", messages.len(), ids.len());
    compare(
        "render",
        ids.len(),
        || {
            black_box(ours.render_conversation(&messages));
        },
        || {
            black_box(reference::encoding().render_conversation(&theirs, None).unwrap());
        },
    );
    compare(
        "parse",
        ids.len(),
        || {
            black_box(parse(&ids));
        },
        || {
            black_box(parse_theirs(&ids));
        },
    );
}

/// What a program does with each token: it shows what was added.
fn parse(ids: &[Token]) -> usize {
    let mut parser = Encoding::new().parser();
    let n_bytes: usize = ids.iter().filter_map(|&id| parser.push(id).map(|delta| delta.text.len())).sum();
    n_bytes + parser.finish().len()
}

fn parse_theirs(ids: &[Token]) -> usize {
    let mut parser = StreamableParser::new(reference::encoding().clone(), None::<Role>).unwrap();
    let mut n_bytes = 0;
    for &id in ids {
        parser.process(id).unwrap();
        n_bytes += parser.last_content_delta().unwrap().map_or(0, |delta| delta.len());
    }
    n_bytes + parser.messages().len()
}

fn compare(what: &str, n_tokens: usize, mut ours: impl FnMut(), mut theirs: impl FnMut()) {
    let (mut fastest, mut fastest_theirs) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        fastest = fastest.min(timed(&mut ours));
        fastest_theirs = fastest_theirs.min(timed(&mut theirs));
    }
    println!(
        "{what}: {:.2} M tokens/s, the reference {:.2} M tokens/s: {:.1} times",
        n_tokens as f64 / fastest / 1e6,
        n_tokens as f64 / fastest_theirs / 1e6,
        fastest_theirs / fastest
    );
}

fn timed(run: &mut impl FnMut()) -> f64 {
    let started = Instant::now();
    run();
    started.elapsed().as_secs_f64()
}

/// Thirty turns with reasoning, a call, its result and an answer, under a frame with twenty functions.
fn conversation() -> Vec<Message> {
    let functions: Vec<_> = (0..20)
        .map(|n| Declaration {
            name: format!("look_up_{n}"),
            description: "Looks something up in one of the tables.".into(),
            parameters: Some(json!({
                "type": "object",
                "properties": {
                    "table": {"type": "string", "enum": ["birds", "bones", "stars"], "description": "Where to look."},
                    "key": {"type": "string"},
                    "limit": {"type": "integer", "default": 10},
                },
                "required": ["table", "key"],
            })),
        })
        .collect();
    let mut messages = vec![
        Message::system(SystemContent {
            builtins: vec![Builtin::browser(&["web"]), Builtin::python(60)],
            functions_declared: true,
            ..SystemContent::default()
        }),
        Message::developer(DeveloperContent {
            instructions: Some("Answer in plain words and name the table that you looked in.".into()),
            functions,
            ..DeveloperContent::default()
        }),
    ];
    for turn in 0..30 {
        let rows = (0..20).map(|row| format!("{row},row {row} of turn {turn},{}\n", row * turn * 37));
        let rows: String = rows.collect();
        messages.extend([
            Message::user(format!("What do the tables say about number {turn}, and is it more than before?")),
            Message::assistant(
                Channel::Analysis,
                "The user wants a comparison. I need the rows first; after that I can say which one is larger and by how much.",
            ),
            Message::call(
                format!("functions.look_up_{}", turn % 20),
                format!("{{\"table\": \"bones\", \"key\": \"n{turn}\", \"limit\": 20}}"),
            ),
            Message::tool(format!("functions.look_up_{}", turn % 20), Channel::Commentary, rows),
            Message::assistant(
                Channel::Final,
                format!("The table of bones has twenty rows about number {turn}; the largest value is {}.", 19 * turn * 37),
            ),
        ]);
    }
    messages
}
