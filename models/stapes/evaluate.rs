//! The gate of the embedded model: whole turns, greedy, with the real engine and the real parser; free, or held to the grammar.
//! `cargo run --release --example stapes_evaluate -- [--grammar] [-m FOLDER] held-out.jsonl ...`, files made by `generate.py`.
//!
//! A turn's call is right when the recipient is the expected one and the arguments are equal as JSON; where no call is
//! expected, when there is none. Its answer is right when the final text is exactly the expected one.

mod dialogue;

use dialogue::{Branch, Bundle, Turn};
use ossicle::engine::cpu::CpuEngine;
use ossicle::engine::{Constrained, Engine, Request, SamplingParams, models};
use ossicle::harmony::{Channel, Encoding, Message, Token};
use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

type Failure = Box<dyn std::error::Error>;

#[derive(Clone, Copy, Default)]
struct Score {
    n: usize,
    calls: usize,
    answers: usize,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_constrained = arguments.first().is_some_and(|first| first == "--grammar");
    if is_constrained {
        arguments.remove(0);
    }
    let checkpoint = if arguments.first().is_some_and(|first| first == "-m") {
        let folder = arguments.drain(..2).nth(1).ok_or("-m needs a folder")?;
        models::open(Path::new(&folder))?
    } else {
        models::embedded()?
    };
    let engine = CpuEngine::open(checkpoint, Default::default())?;
    let show = std::env::var_os("SHOW_MISTAKES").is_some();
    println!("| file | kind | turns | call exact | answer exact |\n|---|---|---|---|---|");
    for path in arguments {
        let mut scores: BTreeMap<String, Score> = BTreeMap::new();
        for line in std::io::BufReader::new(std::fs::File::open(&path)?).lines() {
            let bundle: Bundle = serde_json::from_str(&line?)?;
            let prefix = bundle.prefix(&Encoding::new());
            let grammar = is_constrained.then(|| Constrained { grammar: bundle.grammar().into(), n_written: 0 });
            let writer = Writer { engine: &engine, grammar };
            for branch in &bundle.branches {
                let (call, answer) = grade(&writer, &prefix, branch, show).await?;
                let kind = branch.category.split('.').next().unwrap_or_default();
                for key in ["all", kind] {
                    let score = scores.entry(key.into()).or_default();
                    *score = Score {
                        n: score.n + 1,
                        calls: score.calls + usize::from(call),
                        answers: score.answers + usize::from(answer),
                    };
                }
            }
        }
        let name = Path::new(&path).file_stem().unwrap_or_default().to_string_lossy();
        for (kind, Score { n, calls, answers }) in scores {
            let share = |right: usize| 100.0 * right as f64 / n as f64;
            println!("| {name} | {kind} | {n} | {:.1} % | {:.1} % |", share(calls), share(answers));
        }
    }
    Ok(())
}

/// Lets the model take the branch's last turn, with the expected results of its calls.
async fn grade(writer: &Writer<'_>, prefix: &[Token], branch: &Branch, show: bool) -> Result<(bool, bool), Failure> {
    let encoding = Encoding::new();
    let (mut tokens, mut goes_on) = (prefix.to_vec(), false);
    let turn_start = branch.messages.iter().rposition(|turn| turn.role == "user").unwrap_or(0);
    let (before, turn) = branch.messages.split_at(turn_start + 1);
    for message in before {
        message.render(&encoding, &mut goes_on, &mut tokens);
    }
    for token in &mut tokens[prefix.len()..] {
        *token &= dialogue::LEARNT - 1;
    }
    let mut calls_right = true;
    // Its reasoning is the model's own affair; a built-in is called, and answers, on the same channel.
    let counts = |message: &&Turn| {
        message.channel.as_deref() != Some("analysis") || message.to.is_some() || message.role != "assistant"
    };
    for expected in turn.iter().filter(counts) {
        if expected.role != "assistant" {
            expected.render(&encoding, &mut goes_on, &mut tokens);
            continue;
        }
        let said = writer.generate(&encoding, &mut tokens).await?;
        let right = fits(&said, expected);
        if show && !right {
            let text = |message: &Message| format!("{:?} {:?}", message.recipient, message.text());
            eprintln!(
                "{}: {:?}\n  expected {:?} {:?}\n  said {}",
                branch.category,
                before.last().map(|m| &m.text),
                expected.to,
                expected.text,
                said.as_ref().map(text).unwrap_or_default()
            );
        }
        if expected.to.is_some() {
            calls_right &= right;
            if !right {
                return Ok((false, false));
            }
        } else {
            let called = said.as_ref().is_some_and(|message| message.recipient.is_some());
            return Ok((calls_right && !called, right));
        }
    }
    Ok((calls_right, calls_right))
}

struct Writer<'a> {
    engine: &'a CpuEngine,
    grammar: Option<Constrained>,
}

impl Writer<'_> {
    /// One generation, appended; its call or its answer.
    async fn generate(&self, encoding: &Encoding, tokens: &mut Vec<Token>) -> Result<Option<Message>, Failure> {
        tokens.extend(encoding.generation_prompt());
        let request = Request {
            tokens: tokens.clone(),
            n_shared: 0,
            n_lasting: 0,
            stop: encoding.stop_tokens().to_vec(),
            forbidden: encoding.forbidden_tokens(),
            max_tokens: 300,
            sampling: SamplingParams::default(),
            top_logprobs: None,
            grammar: self.grammar.clone(),
            cancel: Default::default(),
        };
        let generation = self.engine.generate(request, &mut |_| {}).await?;
        let mut parser = encoding.parser_after_prompt();
        for token in &generation.tokens {
            parser.push(*token);
        }
        tokens.extend(generation.tokens);
        let mut said = parser.finish().into_iter().map(|parsed| parsed.message);
        Ok(said.rfind(|message| message.recipient.is_some() || message.channel == Some(Channel::Final)))
    }
}

fn fits(said: &Option<Message>, expected: &Turn) -> bool {
    let Some(said) = said else { return false };
    let text = said.text().unwrap_or_default();
    if said.recipient != expected.to {
        return false;
    }
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    match json(&expected.text) {
        Some(arguments) if expected.to.as_deref() != Some("python") && expected.to.is_some() => {
            json(text) == Some(arguments)
        }
        _ => text == expected.text,
    }
}
