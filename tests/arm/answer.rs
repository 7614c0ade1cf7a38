//! A whole answer of the embedded model: a prompt as the agent renders it, prefill, grammar, sampler, parser.
//!
//! What it is not: a test of the model. The tokens are those that x86-64 gives, seen with AVX2, and every other
//! processor has to give the same. Start at [`the_embedded_model_calls_the_calculator`].

use crate::engine::cpu::kernels::Kernels;
use crate::engine::models::{self, Checkpoint, Preparation};
use crate::engine::{Constrained, CpuEngine, Engine, Finish, Generation, Options, Request, SamplingParams};
use crate::harmony::{Declaration, DeveloperContent, Encoding, Message, SystemContent, Token, TurnGrammar, special};
use serde_json::{Value, json};

/// What x86-64 gives.
const EXPECTED: &[Token] = &[
    200005, 35644, 200008, 112737, 448, 81645, 12973, 9707, 13, 357, 1199, 25691, 483, 12973, 13, 200007, 200006,
    173781, 200005, 12606, 815, 316, 28, 44580, 83158, 220, 200003, 4108, 200008, 10848, 61248, 1243, 392, 1860, 425,
    220, 4146, 18583, 200012,
];

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

/// What a model writes for the user's line, greedily.
async fn written(checkpoint: Checkpoint) -> Generation {
    let options = Options { threads: Some(2), context_length: Some(1024), ..Options::default() };
    let engine = CpuEngine::open(checkpoint, options).unwrap();
    let encoding = Encoding::new();
    let request = Request {
        tokens: encoding.render_for_completion(&conversation("What is 23 * 47?")),
        n_shared: 0,
        n_lasting: 0,
        stop: encoding.stop_tokens().to_vec(),
        forbidden: encoding.forbidden_tokens(),
        max_tokens: 300,
        sampling: SamplingParams::default(),
        top_logprobs: None,
        grammar: Some(Constrained { grammar: TurnGrammar::new(&[calculator()], &[]).into(), n_written: 0 }),
        cancel: Default::default(),
    };
    engine.generate(request, &mut |_| {}).await.unwrap()
}

fn check(generation: &Generation) {
    println!("{} on {}: {:?}", Kernels::best(), std::env::consts::ARCH, generation.tokens);
    let mut parser = Encoding::new().parser_after_prompt();
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

#[tokio::test]
async fn the_embedded_model_calls_the_calculator() {
    check(&written(models::embedded().unwrap()).await);
}

/// As it lies, the embedded model has bf16 and MXFP4 rows; prepared, it is in panels, as every large model that runs.
#[tokio::test]
async fn the_embedded_model_in_panels_makes_the_same_call() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = models::embedded().unwrap();
    let prepared = models::prepare(&embedded, Preparation::default(), folder.path(), &mut |_, _| true).unwrap();
    check(&written(prepared).await);
}

#[cfg(target_arch = "aarch64")]
#[test]
fn the_kernels_of_this_processor_are_used() {
    let names: Vec<String> = Kernels::all().iter().map(Kernels::to_string).collect();
    assert_eq!(names, ["plain", "NEON"], "an emulated processor has the dot product, unless told otherwise");
}
