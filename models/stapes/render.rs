//! Turns dialogues into token ids and loss masks: JSON lines from `generate.py` on stdin, a binary corpus on stdout.
//! `cargo run --release --example stapes_render < dialogues.jsonl > corpus.bin`
//!
//! A bundle is written as little-endian u32: the prefix's length and ids, the number of branches, and for each branch its
//! length and its ids, the highest bit set in the ids that the model has to learn.

use ossicle::harmony::{
    Author, Builtin, Channel, Content, Declaration, DeveloperContent, Encoding, Message, ReasoningEffort, Role,
    SystemContent, Token, special,
};
use serde::Deserialize;
use serde_json::Value;
use std::io::{BufRead, BufWriter, Write};

const LEARNT: u32 = 1 << 31;

#[derive(Deserialize)]
struct Bundle {
    system: System,
    developer: Developer,
    branches: Vec<Branch>,
}

#[derive(Deserialize)]
struct System {
    date: String,
    effort: String,
    #[serde(default)]
    builtins: Vec<Namespace>,
}

#[derive(Deserialize)]
struct Namespace {
    name: String,
    description: String,
    functions: Vec<Function>,
}

#[derive(Deserialize)]
struct Developer {
    instructions: Option<String>,
    functions: Vec<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    description: String,
    parameters: Option<Value>,
}

#[derive(Deserialize)]
struct Branch {
    messages: Vec<Turn>,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    name: Option<String>,
    channel: Option<String>,
    to: Option<String>,
    #[serde(rename = "type")]
    content_type: Option<String>,
    text: String,
    /// Part of a finished turn: read, not learnt.
    #[serde(default)]
    history: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let encoding = Encoding::new();
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let bundle: Bundle = serde_json::from_str(&line?)?;
        let prefix = prefix(&encoding, bundle.system, bundle.developer);
        write_ids(&mut out, &prefix)?;
        out.write_all(&(bundle.branches.len() as u32).to_le_bytes())?;
        for branch in bundle.branches {
            write_ids(&mut out, &render_branch(&encoding, branch))?;
        }
    }
    Ok(out.flush()?)
}

fn write_ids(out: &mut impl Write, ids: &[u32]) -> std::io::Result<()> {
    out.write_all(&(ids.len() as u32).to_le_bytes())?;
    ids.iter().try_for_each(|id| out.write_all(&id.to_le_bytes()))
}

fn prefix(encoding: &Encoding, system: System, developer: Developer) -> Vec<Token> {
    let declared = |functions: Vec<Function>| {
        let declare = |f: Function| Declaration { name: f.name, description: f.description, parameters: f.parameters };
        functions.into_iter().map(declare).collect::<Vec<_>>()
    };
    let effort = match system.effort.as_str() {
        "low" => ReasoningEffort::Low,
        "high" => ReasoningEffort::High,
        _ => ReasoningEffort::Medium,
    };
    let builtin = |n: Namespace| Builtin { name: n.name, description: n.description, functions: declared(n.functions) };
    encoding.render_conversation(&[
        Message::system(SystemContent {
            current_date: Some(system.date),
            reasoning_effort: effort,
            builtins: system.builtins.into_iter().map(builtin).collect(),
            functions_declared: !developer.functions.is_empty(),
            ..SystemContent::default()
        }),
        Message::developer(DeveloperContent {
            instructions: developer.instructions,
            functions: declared(developer.functions),
        }),
    ])
}

fn render_branch(encoding: &Encoding, branch: Branch) -> Vec<u32> {
    let mut ids = Vec::new();
    let mut model_goes_on = false;
    for turn in branch.messages {
        let learnt = if turn.history { 0 } else { LEARNT };
        if turn.role == "assistant" {
            // The runtime writes `<|start|>assistant` when the model's turn begins, the model itself after its reasoning.
            let header = if model_goes_on { learnt } else { 0 };
            ids.extend(encoding.generation_prompt().iter().map(|id| id | header));
            ids.extend(said(&turn).iter().map(|id| id | learnt));
            model_goes_on = turn.to.is_none() && turn.channel.as_deref() != Some("final");
        } else {
            let author = match turn.role.as_str() {
                "user" => Author::from(Role::User),
                _ => Author { role: Role::Tool, name: turn.name },
            };
            let is_tool = author.role == Role::Tool;
            let message = Message {
                recipient: is_tool.then(|| "assistant".into()),
                channel: turn.channel.as_deref().map(channel),
                author,
                content_type: None,
                content: Content::Text(turn.text),
                diagnostics: Vec::new(),
            };
            encoding.render(&message, &mut ids);
            model_goes_on = false;
        }
    }
    ids
}

/// What the model writes after `<|start|>assistant`: models put the recipient behind the channel, the renderer before it.
fn said(turn: &Turn) -> Vec<Token> {
    let text = |text: &str| ossicle::harmony::tokenizer::encode_ordinary(text);
    let mut ids = vec![special::CHANNEL];
    ids.extend(text(channel(turn.channel.as_deref().unwrap_or_default()).as_str()));
    if let Some(recipient) = &turn.to {
        ids.extend(text(&format!(" to={recipient}")));
        match turn.content_type.as_deref() {
            Some("json") => {
                ids.extend(text(" "));
                ids.push(special::CONSTRAIN);
                ids.extend(text("json"));
            }
            Some(other) => ids.extend(text(&format!(" {other}"))),
            None => {}
        }
    }
    ids.push(special::MESSAGE);
    ids.extend(text(&turn.text));
    ids.push(match (&turn.to, turn.channel.as_deref(), turn.history) {
        (Some(_), _, _) => special::CALL,
        (None, Some("final"), false) => special::RETURN,
        _ => special::END,
    });
    ids
}

fn channel(name: &str) -> Channel {
    match name {
        "analysis" => Channel::Analysis,
        "commentary" => Channel::Commentary,
        _ => Channel::Final,
    }
}
