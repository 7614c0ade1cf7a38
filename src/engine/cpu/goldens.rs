//! The engine against transformers, on the checkpoints under `tests/fixtures/engine`.
//!
//! What it is not: a test of speed or of bad files. Start at [`check`].

use super::forward::{MAX_BATCH, Model, State};
use super::kernels::{Kernels, pool::Pool};
use super::kv_cache::{CacheFormat, KvCache};
use super::weights::Weights;
use crate::engine::models::{self, Checkpoint, Preparation};
use crate::engine::sampler::{Row, Sampler, SamplingParams};
use crate::harmony::Token;
use safetensors::SafeTensors;
use std::path::PathBuf;

/// No logit differs by more; they spread over about 1.3, and both sides compute in f32.
const TOLERANCE: f32 = 1e-4;

pub(crate) const CHECKPOINTS: [&str; 6] = ["grouped", "one_kv_head", "odd_sizes", "sharded", "full_first", "long"];

pub(crate) fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/engine").join(name)
}

pub(crate) fn checkpoint(name: &str) -> Checkpoint {
    models::open(&folder(name)).unwrap()
}

pub(crate) struct Golden {
    pub(crate) tokens: Vec<Token>, // [T] the prompt and the greedy tokens after it
    pub(crate) logits: Vec<f32>,   // [T][n_vocab]
    pub(crate) n_prompt: usize,
}

pub(crate) fn golden(name: &str) -> Golden {
    let bytes = std::fs::read(folder(name).join("golden.safetensors")).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let n_prompt = header.metadata().as_ref().unwrap()["n_prompt"].parse().unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let words = |name: &str| tensors.tensor(name).unwrap().data().as_chunks::<4>().0.to_vec();
    let tokens = words("tokens").into_iter().map(Token::from_le_bytes).collect();
    let logits = words("logits").into_iter().map(f32::from_le_bytes).collect();
    Golden { tokens, logits, n_prompt }
}

/// All logits of the tokens, read in passes of the given sizes, over and over. [T][n_vocab]
fn run(model: &Model, tokens: &[Token], passes: &[usize], n_threads: usize, format: CacheFormat) -> Vec<f32> {
    let mut cache = KvCache::new(&model.config, tokens.len(), format);
    let mut state = State::new(&model.config, MAX_BATCH);
    let mut pool = Pool::new(n_threads).unwrap();
    let mut logits = Vec::new();
    let mut sizes = passes.iter().cycle();
    let mut rest = tokens;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        model.forward(batch, &mut cache, &mut state, &mut pool, &mut |_| false).unwrap();
        for idx in 0..batch.len() {
            logits.extend_from_slice(model.logits(idx, &mut state, &mut pool));
        }
        rest = after;
    }
    logits
}

/// Logits within the tolerance at every position, the greedy tokens equal, and the same bits however the work is split.
fn check(name: &str) {
    check_opened(name, &|| checkpoint(name));
}

/// The same for a model that is opened in another way.
fn check_opened(name: &str, open: &dyn Fn() -> Checkpoint) {
    let golden = golden(name);
    for kernels in Kernels::all() {
        let opened = open();
        let weights = Weights::open(&opened).unwrap();
        let model = Model::new(opened.config, weights, kernels);
        let logits = run(&model, &golden.tokens, &[MAX_BATCH], 1, CacheFormat::F32);
        assert_eq!(logits.len(), golden.logits.len());
        let difference = logits.iter().zip(&golden.logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name}, {kernels:?}: largest difference {difference:.1e}");
        assert!(difference <= TOLERANCE, "{name} with {kernels:?}: {difference}");
        let mut sampler = Sampler::new(SamplingParams::default(), model.config.n_vocab);
        for (position, logits) in logits.chunks_exact(model.config.n_vocab).enumerate().skip(golden.n_prompt - 1) {
            let expected = golden.tokens.get(position + 1).copied();
            let token = sampler.sample(&Row::Whole { logits, forbidden: &[] }, &golden.tokens[..=position]);
            assert!(expected.is_none() || token == expected, "{name} with {kernels:?}: greedy token {position}");
        }
        for (passes, n_threads) in [(&[1][..], 1), (&[1], 2), (&[7, 64, 1, 13], 1), (&[7, 64, 1, 13], 2), (&[64], 3)] {
            let again = run(&model, &golden.tokens, passes, n_threads, CacheFormat::F32);
            assert!(
                again == logits,
                "{name} with {kernels:?}: other bits in passes of {passes:?} on {n_threads} threads"
            );
        }
    }
}

/// The same for the form that models run in: int8 inputs, attention and head in Q8, a cache in half precision or in int8.
/// At most positions the logits differ by no more than 0.08 of how far they spread, and at 9 in 10 by no more than 0.25;
/// bits are the same however a pass is split.
fn check_prepared(name: &str, format: CacheFormat) {
    let golden = golden(name);
    let folder = tempfile::tempdir().unwrap();
    let open = || models::prepare(&checkpoint(name), Preparation::default(), folder.path(), &mut |_, _| true).unwrap();
    let mut expected: Option<Vec<f32>> = None;
    for kernels in Kernels::all() {
        let opened = open();
        let weights = Weights::open(&opened).unwrap();
        assert!(weights.are_in_panels());
        let model = Model::new(opened.config, weights, kernels);
        let logits = run(&model, &golden.tokens, &[MAX_BATCH], 1, format);
        let mean = golden.logits.iter().sum::<f32>() / golden.logits.len() as f32;
        let spread =
            (golden.logits.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / golden.logits.len() as f32).sqrt();
        // Rounding sometimes sends a token to another expert, and its logits elsewhere: so positions are looked at one by one.
        let mut errors: Vec<f32> =
            (logits.chunks_exact(model.config.n_vocab).zip(golden.logits.chunks(model.config.n_vocab)))
                .map(|(found, expected)| {
                    let squares = found.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
                    (squares / found.len() as f32).sqrt() / spread
                })
                .collect();
        errors.sort_by(f32::total_cmp);
        let [median, most] = [errors.len() / 2, errors.len() * 9 / 10].map(|idx| errors[idx]);
        println!(
            "{name}, {kernels:?}, {format:?}: errors of {median:.4} (median) and {most:.4} (9 in 10) of the spread"
        );
        assert!(median <= 0.08 && most <= 0.25, "{name} with {kernels:?}: {median}, {most}");
        for (passes, n_threads) in [(&[1][..], 2), (&[7, 64, 1, 13], 1), (&[7, 64, 1, 13], 3)] {
            let again = run(&model, &golden.tokens, passes, n_threads, format);
            assert!(again == logits, "{name} with {kernels:?}: other bits in passes of {passes:?}");
        }
        let expected = expected.get_or_insert_with(|| logits.clone());
        // The router and the norms of the plain set sum in another order.
        let differ = logits.iter().zip(expected).map(|(a, b)| (a - *b).abs()).fold(0.0, f32::max);
        assert!(differ < 0.2 * spread, "{name} with {kernels:?}: {differ} from the reference");
    }
}

#[test]
fn prepared_models_agree_with_transformers() {
    for name in ["grouped", "one_kv_head", "sharded", "full_first", "long"] {
        check_prepared(name, CacheFormat::F16);
        check_prepared(name, CacheFormat::Int8);
    }
}

#[test]
fn a_gguf_agrees_with_transformers() {
    check_opened("grouped", &|| models::open_gguf(&folder("gguf/bf16.gguf")).unwrap());
}

#[test]
fn what_transformers_saves_agrees_with_transformers() {
    for name in ["custom/saved", "custom/tuned"] {
        check(name);
    }
}

#[test]
fn adapters_agree_with_peft() {
    for name in ["custom/lora_attention", "custom/lora_experts", "custom/lora_rslora", "custom/lora_swapped"] {
        check_opened(name, &|| checkpoint("grouped").adapted(&folder(name)).unwrap());
    }
}

#[test]
fn grouped_heads_agree_with_transformers() {
    check("grouped");
}

#[test]
fn one_key_head_and_four_of_eight_experts_agree_with_transformers() {
    check("one_kv_head");
}

#[test]
fn sizes_that_fill_no_register_agree_with_transformers() {
    check("odd_sizes");
}

#[test]
fn two_shards_agree_with_transformers() {
    check("sharded");
}

#[test]
fn other_layer_types_and_the_newer_configuration_agree_with_transformers() {
    check("full_first");
}

#[test]
fn six_times_the_original_context_agrees_with_transformers() {
    check("long");
}

#[test]
fn each_golden_reaches_beyond_its_window_and_its_original_context() {
    for name in CHECKPOINTS {
        let (config, golden) = (checkpoint(name).config, golden(name));
        assert!(golden.n_prompt > config.window, "{name}");
        assert!(golden.n_prompt as f64 > config.rope.original_context, "{name}");
        assert_eq!(golden.tokens.len(), golden.n_prompt + 24, "{name}");
    }
}
