//! What the grammar costs and saves: `cargo bench --bench grammar`. Compiling for 2, 20 and 60 tools, the time of a mask, the
//! share of tokens that are forced, and whole turns of the embedded model with and without it.

use ossicle::engine::constraint::{CompiledGrammar, Constraint, Next, warm};
use ossicle::engine::cpu::CpuEngine;
use ossicle::engine::{Constrained, Engine, Request, SamplingParams, models};
use ossicle::harmony::{
    Declaration, DeveloperContent, Encoding, Message, SystemContent, Token, TurnGrammar, tokenizer,
};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn tools(n: usize) -> Vec<Declaration> {
    let tool = |idx: usize| Declaration {
        name: format!("{}_{idx}", ["get_weather", "find_order", "write_note", "translate"][idx % 4]),
        description: "Does what its name says.".into(),
        parameters: Some(json!({
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "unit": {"enum": ["metric", "imperial"]},
                "limit": {"type": "integer", "minimum": 1, "maximum": 100},
                "tags": {"type": "array", "items": {"type": "string"}},
                "range": {
                    "type": "object",
                    "properties": {"from": {"type": "string", "format": "date"}, "to": {"type": "string", "format": "date"}},
                    "required": ["from", "to"],
                    "additionalProperties": false
                }
            },
            "required": ["text"],
            "additionalProperties": false
        })),
    };
    (0..n).map(tool).collect()
}

/// A turn as a model writes it: reasoning, then a call with every kind of argument.
fn turn(encoding: &Encoding) -> Vec<Token> {
    let thought = "The user wants the order of last week. I look for it with find_order_1, in metric units, and keep the list \
                   short: three results are enough.";
    let arguments = r#"{"text": "order of the week before Christmas", "unit": "metric", "limit": 3, "tags": ["order", "late"],
        "range": {"from": "2026-12-01", "to": "2026-12-24"}}"#;
    let arguments = serde_json::from_str::<serde_json::Value>(arguments).expect("it is JSON").to_string();
    let mut tokens = Vec::new();
    encoding.render(&Message::assistant(ossicle::harmony::Channel::Analysis, thought), &mut tokens);
    encoding.render(&Message::call("functions.find_order_1", arguments), &mut tokens);
    tokens.split_off(encoding.generation_prompt().len())
}

fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * share) as usize]
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    tokenizer::warm();
    let tokenizer = start.elapsed();
    warm();
    println!("vocabulary: tokenizer {tokenizer:.0?}, tables of the grammar {:.0?} more", start.elapsed() - tokenizer);

    let encoding = Encoding::new();
    for n in [2, 20, 60] {
        let mut times = Vec::new();
        for _ in 0..10 {
            let grammar = Arc::new(TurnGrammar::new(&tools(n), &[]));
            let start = Instant::now();
            CompiledGrammar::new(grammar)?;
            times.push(start.elapsed());
        }
        let compiled = CompiledGrammar::new(Arc::new(TurnGrammar::new(&tools(n), &[])))?;
        let (mut masks, mut n_forced, mut n_tokens) = (Vec::new(), 0, 0);
        for _ in 0..20 {
            let mut constraint = Constraint::start(&compiled, &[]).ok_or("the grammar cannot begin")?;
            let turn = turn(&encoding);
            let mut idx = 0;
            while idx < turn.len() {
                let start = Instant::now();
                let forced = match constraint.next(10_000)? {
                    Next::Forced(run) => run.len(),
                    Next::Choice(_) => 0,
                    Next::End => return Err("the turn is whole too early".into()),
                };
                masks.push(start.elapsed());
                for &token in &turn[idx..idx + forced.max(1)] {
                    constraint.settle(token, 10_000)?;
                }
                (n_forced, n_tokens, idx) = (n_forced + forced, n_tokens + forced.max(1), idx + forced.max(1));
            }
        }
        println!(
            "{n} tools: compiled and tried in {:.1?}; what may follow: p50 {:.1?}, p99 {:.1?}; {:.0} % of the tokens forced",
            percentile(&mut times, 0.5),
            percentile(&mut masks, 0.5),
            percentile(&mut masks, 0.99),
            100.0 * n_forced as f64 / n_tokens as f64
        );
    }
    whole_turns(&encoding).await
}

/// The embedded model, the same request free and held to the grammar, in turn.
async fn whole_turns(encoding: &Encoding) -> Result<(), Box<dyn std::error::Error>> {
    let engine = CpuEngine::open(models::embedded()?, Default::default())?;
    let functions = vec![Declaration {
        name: "calc".into(),
        description: "Evaluate an arithmetic expression exactly.".into(),
        parameters: Some(json!({
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"],
            "additionalProperties": false
        })),
    }];
    let grammar = Arc::new(TurnGrammar::new(&functions, &[]));
    let tokens = encoding.render_for_completion(&[
        Message::system(SystemContent { functions_declared: true, ..SystemContent::default() }),
        Message::developer(DeveloperContent { functions, ..DeveloperContent::default() }),
        Message::user("What is 23 * 47?"),
    ]);
    let mut times = [Vec::new(), Vec::new()];
    let mut counts = [(0, 0); 2];
    for round in 0..40 {
        let is_held = round % 2 == 1;
        let request = Request {
            tokens: tokens.clone(),
            n_shared: 0,
            n_lasting: 0,
            stop: encoding.stop_tokens().to_vec(),
            forbidden: encoding.forbidden_tokens(),
            max_tokens: 1_000,
            sampling: SamplingParams::default(),
            top_logprobs: None,
            grammar: is_held.then(|| Constrained { grammar: grammar.clone(), n_written: 0 }),
            cancel: Default::default(),
        };
        let start = Instant::now();
        let generation = engine.generate(request, &mut |_| {}).await?;
        times[usize::from(is_held)].push(start.elapsed());
        counts[usize::from(is_held)] = (generation.tokens.len(), generation.n_forced);
    }
    let [free, held] = &mut times;
    let (free, held) = (percentile(free, 0.5), percentile(held, 0.5));
    println!(
        "a turn of stapes: free {free:.1?} ({} tokens), held {held:.1?} ({} tokens, {} forced), ratio {:.2}",
        counts[0].0,
        counts[1].0,
        counts[1].1,
        held.as_secs_f64() / free.as_secs_f64()
    );
    Ok(())
}
