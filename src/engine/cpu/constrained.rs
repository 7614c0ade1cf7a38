//! The engine under a grammar: a model of random weights, which knows nothing, writes whole turns that parse, name a declared
//! tool and fit its schema. Start at [`random_weights_write_whole_turns`].

use super::config::ModelConfig;
use super::forward::State;
use super::kv_cache::KvCache;
use super::*;
use crate::engine::models::{self, Contents, Form, Part, Preparation, Tensor};
use crate::engine::{Constrained, Finish, SamplingParams};
use crate::harmony::{Body, Caps, Channel, Declaration, Encoding, Message, TurnGrammar, special};
use safetensors::Dtype;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The true vocabulary on a small body.
const CONFIG: &str = r#"{
    "model_type": "gpt_oss", "vocab_size": 201088, "hidden_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32, "num_local_experts": 4, "num_experts_per_tok": 2,
    "intermediate_size": 64, "sliding_window": 32, "layer_types": ["sliding_attention", "full_attention"],
    "rms_norm_eps": 1e-5, "swiglu_limit": 7.0, "rope_theta": 150000.0, "max_position_embeddings": 131072,
    "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false,
        "original_max_position_embeddings": 4096}
}"#;

/// Weights from a seed: bf16 numbers between -1 and 1, and MXFP4 blocks of any values with small scales.
fn checkpoint(seed: u64) -> Checkpoint {
    let path = Path::new("random");
    let config = ModelConfig::parse(CONFIG, path).unwrap();
    let mut state = seed;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let mut make = |(name, Form { dtype, shape }): (String, Form)| {
        let n = shape.iter().product::<usize>();
        let bytes: Vec<u8> = match dtype {
            Dtype::U8 if name.ends_with("scales") => (0..n).map(|_| 120 + (random() % 4) as u8).collect(),
            Dtype::U8 => (0..n).map(|_| random() as u8).collect(),
            _ => (0..n)
                .flat_map(|_| half::bf16::from_f32(random() as f32 / f32::powi(2.0, 30) - 1.0).to_le_bytes())
                .collect(),
        };
        (name, Tensor::made(Form { dtype, shape }, path, Arc::new(bytes)))
    };
    let tensors: BTreeMap<_, _> = Part::all(&config).flat_map(|part| part.tensors(&config)).map(&mut make).collect();
    Checkpoint {
        name: "random".into(),
        notice: None,
        path: path.to_owned(),
        embedding: None,
        n_shards: 1,
        n_parameters: Part::all(&config).map(|part| part.n_parameters(&config)).sum(),
        key: [0; 32],
        config,
        contents: Contents::Tensors(tensors),
        adapter: None,
    }
}

fn function(name: &str, parameters: Value) -> Declaration {
    Declaration { name: name.into(), description: "-".into(), parameters: Some(parameters) }
}

/// Sets of tools that differ in size and in what their schemas ask for.
fn tool_sets() -> Vec<Vec<Declaration>> {
    let object = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    let city = object(json!({"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}}), json!(["city"]));
    let order = object(
        json!({
            "items": {"type": "array", "minItems": 1, "items": object(
                json!({"sku": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{2,4}$"}, "n": {"type": "number"}}),
                json!(["sku", "n"]),
            )},
            "express": {"type": ["boolean", "null"]},
            "size": {"enum": ["S", "M", "extra large"]},
        }),
        json!(["items", "size"]),
    );
    let many = (0..20).map(|idx| function(&format!("tool_{idx}"), object(json!({"x": {"type": "string"}}), json!([]))));
    vec![
        vec![function("weather", city.clone())],
        vec![function("weather", city), function("order", order)],
        many.collect(),
    ]
}

fn request(grammar: &Arc<TurnGrammar>, seed: u64, max_tokens: usize) -> Request {
    let encoding = Encoding::new();
    Request {
        tokens: encoding.generation_prompt(),
        n_shared: 0,
        n_lasting: 0,
        stop: encoding.stop_tokens().to_vec(),
        forbidden: encoding.forbidden_tokens(),
        max_tokens,
        sampling: SamplingParams { temperature: 1.0, seed, ..SamplingParams::default() },
        top_logprobs: None,
        grammar: Some(Constrained { grammar: grammar.clone(), n_written: 0 }),
        cancel: Default::default(),
    }
}

/// The last message of a turn, all of whose messages are well-formed.
fn parsed(generation: &Generation) -> Message {
    assert_eq!(generation.finish, Finish::Stop);
    let mut parser = Encoding::new().parser_after_prompt();
    for token in &generation.tokens {
        parser.push(*token);
    }
    let messages = parser.finish();
    assert!(messages.iter().all(|parsed| parsed.message.diagnostics.is_empty()), "{messages:?}");
    let back: Vec<_> = messages.iter().flat_map(|parsed| parsed.tokens.iter().copied()).collect();
    assert_eq!(back, generation.tokens, "not one token is lost");
    messages.last().unwrap().message.clone()
}

#[tokio::test]
async fn random_weights_write_whole_turns() {
    let deep = std::env::var("OSSICLE_DEEP").is_ok_and(|value| value == "1");
    let n_turns = if deep { 2_000 } else { 100 };
    let engine =
        CpuEngine::open(checkpoint(1), Options { threads: Some(2), context_length: Some(512), ..Options::default() })
            .unwrap();
    let tight = Caps {
        n_blocks: 2,
        analysis: 20,
        preamble: 10,
        answer: 20,
        string: 8,
        number: 3,
        n_items: 3,
        ..Caps::default()
    };
    let sets = tool_sets();
    let grammars: Vec<_> =
        sets.iter().map(|set| Arc::new(TurnGrammar { caps: tight, ..TurnGrammar::new(set, &[]) })).collect();
    // What calls nothing half of the time would be of little use here: every other turn has to call.
    let calling: Vec<_> =
        grammars.iter().map(|grammar| Arc::new(TurnGrammar { answer: None, ..(**grammar).clone() })).collect();
    let mut n_calls = 0;
    for turn in 0..n_turns {
        let set_idx = turn % sets.len();
        let grammar = if turn % 2 == 0 { &grammars[set_idx] } else { &calling[set_idx] };
        let generation = engine.generate(request(grammar, turn as u64, 300), &mut |_| {}).await.unwrap();
        let last = parsed(&generation);
        let Some(recipient) = &last.recipient else {
            assert_eq!(last.channel, Some(Channel::Final));
            continue;
        };
        n_calls += 1;
        let tool = sets[set_idx].iter().find(|tool| *recipient == format!("functions.{}", tool.name)).expect(recipient);
        let arguments: Value = serde_json::from_str(last.text().unwrap()).unwrap();
        let schema = tool.parameters.as_ref().unwrap();
        assert!(jsonschema::is_valid(schema, &arguments), "{arguments}");
        assert!(generation.n_forced > 0);
    }
    assert!(n_calls >= n_turns / 2, "{n_calls} calls");
}

#[tokio::test]
async fn a_structured_answer_fits_and_a_budget_is_kept() {
    let engine =
        CpuEngine::open(checkpoint(2), Options { threads: Some(2), context_length: Some(512), ..Options::default() })
            .unwrap();
    let schema = json!({
        "type": "object",
        "properties": {"names": {"type": "array", "items": {"type": "string"}}, "n": {"type": "integer"}},
        "required": ["names", "n"],
        "additionalProperties": false,
    });
    let grammar = Arc::new(TurnGrammar::new(&[], &[]).with_response_format(schema.clone()));
    engine.prepare(&grammar).unwrap();
    for (seed, budget) in (0..12).map(|seed| (seed, 40 + 20 * seed as usize)) {
        let generation = engine.generate(request(&grammar, seed, budget), &mut |_| {}).await.unwrap();
        let answer: Value = serde_json::from_str(parsed(&generation).text().unwrap()).unwrap();
        assert!(jsonschema::is_valid(&schema, &answer), "{answer}");
        assert!(generation.tokens.len() <= budget);
    }
}

/// What was forced has no choice and says so; what was chosen shares all that there is with the others that were allowed.
#[tokio::test]
async fn log_probabilities_are_those_within_the_grammar() {
    let engine =
        CpuEngine::open(checkpoint(5), Options { threads: Some(2), context_length: Some(512), ..Options::default() })
            .unwrap();
    let schema = json!({"enum": ["red", "green", "blue"]});
    let grammar = TurnGrammar::new(&[], &[]).with_response_format(schema);
    let grammar =
        Arc::new(TurnGrammar { caps: Caps { n_blocks: 1, analysis: 5, preamble: 5, ..Caps::default() }, ..grammar });
    for seed in 0..3 {
        let asked = Request { top_logprobs: Some(20), ..request(&grammar, seed, 40) };
        let generation = engine.generate(asked, &mut |_| {}).await.unwrap();
        let forced = generation.logprobs.iter().filter(|found| found.is_forced);
        assert!(forced.clone().all(|found| found.logprob == 0.0 && found.top_logprobs.is_empty()));
        assert!(generation.n_forced > 0 && forced.count() == generation.n_forced);
        let written: Vec<_> = generation.logprobs.iter().map(|found| found.token).collect();
        assert_eq!(written, generation.tokens);
        let n_alternatives = |found: &&crate::engine::TokenLogprob| (2..20).contains(&found.top_logprobs.len());
        for found in generation.logprobs.iter().filter(n_alternatives) {
            let total: f64 = found.top_logprobs.iter().map(|top| f64::from(top.logprob).exp()).sum();
            assert!((total - 1.0).abs() < 1e-5, "all that was allowed: {found:?}");
            let own = found.top_logprobs.iter().find(|top| top.token == found.token).unwrap();
            assert_eq!(own.logprob, found.logprob);
        }
        assert!(generation.logprobs.iter().any(|found| n_alternatives(&found)), "{:?}", generation.logprobs);
    }
}

#[tokio::test]
async fn a_grammar_that_does_not_compile_or_fit_the_prompt_is_an_error() {
    let engine =
        CpuEngine::open(checkpoint(3), Options { threads: Some(1), context_length: Some(64), ..Options::default() })
            .unwrap();
    let schema = json!({"not": {"type": "string"}});
    let bad = Arc::new(TurnGrammar { answer: Some(Body::Json(schema)), ..TurnGrammar::new(&[], &[]) });
    assert!(engine.prepare(&bad).is_err());
    let refused = engine.generate(request(&bad, 0, 9), &mut |_| {}).await.unwrap_err();
    assert!(matches!(&refused, EngineError::Grammar(GrammarError::Schema { .. })), "{refused}");
    let good = Arc::new(TurnGrammar::new(&[], &[]));
    let mut wrong = request(&good, 0, 9);
    wrong.tokens.push(special::MESSAGE);
    wrong.grammar = Some(Constrained { grammar: good, n_written: 1 });
    let refused = engine.generate(wrong, &mut |_| {}).await.unwrap_err();
    assert!(matches!(refused, EngineError::NotInGrammar), "{refused}");
}

#[test]
fn some_rows_of_the_head_are_those_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let prepared = models::prepare(&checkpoint(4), Preparation::default(), folder.path(), &mut |_, _| true).unwrap();
    let as_it_lies = checkpoint(4);
    let all = Kernels::all().into_iter().flat_map(|kernels| [(&as_it_lies, kernels), (&prepared, kernels)]);
    for (checkpoint, kernels) in all {
        let weights = Weights::open(checkpoint).unwrap();
        let model = Model::new(prepared.config.clone(), weights, kernels);
        let mut cache = KvCache::new(&model.config, 8, CacheFormat::F16);
        let mut state = State::new(&model.config, 8);
        let mut pool = Pool::new(2).unwrap();
        model.forward(&[5, 6, 7], &mut cache, &mut state, &mut pool, &mut |_| false).unwrap();
        let whole = model.logits(2, &mut state, &mut pool).to_vec();
        let few: Vec<crate::harmony::Token> = (0..5_000).map(|idx| idx * 40).collect();
        for tokens in [&few[..], &few[..7], &[201_087]] {
            let some = model.logits_of(tokens, 2, &mut state, &mut pool);
            let expected: Vec<f32> = tokens.iter().map(|&token| whole[token as usize]).collect();
            assert_eq!(some, expected);
        }
    }
}
