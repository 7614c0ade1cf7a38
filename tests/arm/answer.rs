//! A whole answer of the embedded model: a prompt as the agent renders it, prefill, grammar, sampler, parser.
//!
//! What it is not: a test of the model. The tokens are those that x86-64 gives with each of its sets of instructions, and
//! every other processor has to give the same. Start at [`the_embedded_model_calls_the_calculator`].

use crate::engine::cpu::kernels::Kernels;
use crate::engine::{Constrained, CpuEngine, Engine, Finish, Options, Request, SamplingParams, models};
use crate::harmony::{Declaration, DeveloperContent, Encoding, Message, SystemContent, Token, TurnGrammar, special};
use serde_json::{Value, json};

/// What x86-64 gives.
const EXPECTED: &[Token] = &[];

/// The calculator as its package declares it.
fn calculator() -> Declaration {
    let tools: Value = serde_json::from_str(include_str!("../../tools/calc/tools.json")).unwrap();
    let text = |field: &str| tools[0][field].as_str().unwrap().to_owned();
    Declaration {
        name: text("name"),
        description: text("description"),
        parameters: Some(tools[0]["parameters"].clone()),
    }
}

/// The agent's opening and the user's line.
fn conversation(line: &str) -> Vec<Message> {
    // The template's text for a user without a project.
    let (instructions, _) = include_str!("../../prompts/developer.md").split_once("\n{%-").unwrap();
    let system =
        SystemContent { current_date: Some("2026-01-31".into()), functions_declared: true, ..SystemContent::default() };
    let developer = DeveloperContent {
        instructions: Some(instructions.into()),
        functions: vec![calculator()],
        ..DeveloperContent::default()
    };
    vec![Message::system(system), Message::developer(developer), Message::user(line)]
}

#[tokio::test]
async fn the_embedded_model_calls_the_calculator() {
    let options = Options { threads: Some(2), context_length: Some(1024), ..Options::default() };
    let engine = CpuEngine::open(models::embedded().unwrap(), options).unwrap();
    let encoding = Encoding::new();
    let grammar = TurnGrammar::new(&[calculator()], &[]);
    let request = Request {
        tokens: encoding.render_for_completion(&conversation("What is 23 * 47?")),
        n_shared: 0,
        n_lasting: 0,
        stop: encoding.stop_tokens().to_vec(),
        forbidden: encoding.forbidden_tokens(),
        max_tokens: 300,
        sampling: SamplingParams::default(),
        grammar: Some(Constrained { grammar: grammar.into(), n_written: 0 }),
        cancel: Default::default(),
    };
    let n_prompt = request.tokens.len();
    let generation = engine.generate(request, &mut |_| {}).await.unwrap();
    println!(
        "{} on {}: {n_prompt} tokens read, written: {:?}",
        Kernels::best(),
        std::env::consts::ARCH,
        generation.tokens
    );
    let mut parser = encoding.parser_after_prompt();
    for token in &generation.tokens {
        parser.push(*token);
    }
    let call = parser.finish().pop().unwrap().message;
    assert_eq!((generation.finish, generation.tokens.last()), (Finish::Stop, Some(&special::CALL)));
    assert_eq!(call.recipient.as_deref(), Some("functions.calc"));
    let arguments: Value = serde_json::from_str(call.text().unwrap()).unwrap();
    assert_eq!(arguments, json!({ "expression": "23 * 47" }));
    assert_eq!(generation.tokens, EXPECTED);
}

#[cfg(target_arch = "aarch64")]
#[test]
fn the_kernels_of_this_processor_are_used() {
    let names: Vec<String> = Kernels::all().iter().map(Kernels::to_string).collect();
    assert_eq!(names, ["plain", "NEON"], "an emulated processor has the dot product, unless told otherwise");
}
