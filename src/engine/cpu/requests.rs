//! The engine as its callers see it: requests, progress, reuse, cancellation.
//!
//! Runs a golden checkpoint, whose greedy tokens are known. Start at [`greedy_tokens_come_out_and_the_prefix_is_kept`].

use super::goldens::{Golden, checkpoint, golden};
use super::*;
use crate::engine::{Finish, SamplingParams};
use crate::harmony::Token;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "long"; // 376 tokens of prompt: several passes

fn engine(options: Options) -> CpuEngine {
    CpuEngine::open(checkpoint(NAME), options).unwrap()
}

fn request(tokens: &[Token], max_tokens: usize) -> Request {
    Request {
        tokens: tokens.to_vec(),
        n_shared: 0,
        n_lasting: tokens.len(),
        stop: Vec::new(),
        forbidden: Vec::new(),
        max_tokens,
        sampling: SamplingParams::default(),
        top_logprobs: None,
        grammar: None,
        cancel: CancellationToken::new(),
    }
}

async fn run(engine: &CpuEngine, request: Request) -> Generation {
    engine.generate(request, &mut |_| {}).await.unwrap()
}

#[tokio::test]
async fn greedy_tokens_come_out_and_the_prefix_is_kept() {
    let Golden { tokens, n_prompt, .. } = golden(NAME);
    let engine = engine(Options { threads: Some(2), ..Options::default() });
    assert_eq!(engine.description().name, NAME);
    let mut steps = Vec::new();
    let first = engine.generate(request(&tokens[..n_prompt], 24), &mut |step| steps.push(step)).await.unwrap();
    assert_eq!((&first.tokens[..], first.finish, first.n_reused), (&tokens[n_prompt..], Finish::Length, 0));
    let mut expected: Vec<Progress> = [0, 188, 376].map(|done| Progress::Prefill { done, total: n_prompt }).to_vec();
    expected.extend(tokens[n_prompt..].iter().copied().map(Progress::Token));
    assert_eq!(steps, expected);
    // The same again: all but the last token is known. Then from the middle: what came after is forgotten.
    for (n_prompt, n_reused) in
        [(n_prompt, n_prompt - 1), (tokens.len() - 4, tokens.len() - 5), (n_prompt + 1, n_prompt)]
    {
        let again = run(&engine, request(&tokens[..n_prompt], tokens.len() - n_prompt)).await;
        assert_eq!((&again.tokens[..], again.n_reused), (&tokens[n_prompt..], n_reused));
    }
    // Another transcript with a common beginning, and back.
    let mut other = tokens[..n_prompt].to_vec();
    other[100] = (other[100] + 1) % 160;
    assert_eq!(run(&engine, request(&other, 3)).await.n_reused, 100);
    // The first has been kept beside the other.
    let back = run(&engine, request(&tokens[..n_prompt], 24)).await;
    assert_eq!((&back.tokens[..], back.n_reused), (&tokens[n_prompt..], n_prompt - 1));
}

#[tokio::test]
async fn little_memory_takes_smaller_passes_and_gives_the_same() {
    let Golden { tokens, n_prompt, .. } = golden(NAME);
    let engine = engine(Options { low_memory: true, cache: Some(CacheFormat::F32), ..Options::default() });
    let mut done = Vec::new();
    let mut report = |step| {
        if let Progress::Prefill { done: n, .. } = step {
            done.push(n);
        }
    };
    let generation = engine.generate(request(&tokens[..n_prompt], 24), &mut report).await.unwrap();
    assert_eq!(generation.tokens, tokens[n_prompt..]);
    assert!(done.windows(2).all(|two| two[1] - two[0] <= 128) && done.contains(&256), "{done:?}");
}

#[tokio::test]
async fn a_generation_ends_at_a_stop_token_a_limit_or_the_end_of_the_context() {
    let Golden { tokens, n_prompt, .. } = golden(NAME);
    let (prompt, new) = tokens.split_at(n_prompt);
    let engine = engine(Options { context_length: Some(n_prompt + 10), ..Options::default() });
    let n_to_stop = new.iter().position(|token| *token == new[5]).unwrap() + 1;
    let stopped = run(&engine, Request { stop: vec![new[5]], ..request(prompt, 24) }).await;
    assert_eq!((&stopped.tokens[..], stopped.finish), (&new[..n_to_stop], Finish::Stop));
    for (max_tokens, n_new) in [(0, 0), (1, 1), (7, 7), (10, 10), (11, 10), (usize::MAX, 10)] {
        let limited = run(&engine, request(prompt, max_tokens)).await;
        assert_eq!((&limited.tokens[..], limited.finish), (&new[..n_new], Finish::Length), "at most {max_tokens}");
    }
    let full = run(&engine, request(&tokens[..n_prompt + 10], 5)).await;
    assert_eq!((full.tokens, full.finish), (Vec::new(), Finish::Length));
    for (tokens, error) in [
        (&tokens[..n_prompt + 11], "the conversation has 387 tokens and the model reads at most 386"),
        (&[], "the transcript is empty"),
        (&[3, 160], "token id 160 is outside the model's vocabulary"),
    ] {
        let message = engine.generate(request(tokens, 1), &mut |_| {}).await.unwrap_err().to_string();
        assert!(message.starts_with(error), "{message}");
    }
}

#[tokio::test]
async fn sampling_depends_on_seed_and_tokens_and_not_on_how_they_were_read() {
    let Golden { tokens, n_prompt, .. } = golden(NAME);
    let sampling = SamplingParams {
        temperature: 1.0,
        repetition_penalty: 1.3,
        escape_loops: true,
        seed: 42,
        ..SamplingParams::default()
    };
    let forbidden: Vec<Token> = (0..80).collect();
    let ask = |n_max| Request { sampling, forbidden: forbidden.clone(), ..request(&tokens[..n_prompt], n_max) };
    let one = engine(Options { threads: Some(1), ..Options::default() });
    let whole = run(&one, ask(20)).await.tokens;
    assert!(whole.iter().all(|token| *token >= 80), "forbidden: {whole:?}");
    let two = engine(Options { threads: Some(2), ..Options::default() });
    run(&two, request(&tokens[..77], 1)).await;
    let mut parts = run(&two, ask(9)).await.tokens;
    let mut rest = ask(11);
    rest.tokens.extend(&parts);
    parts.extend(run(&two, rest).await.tokens);
    assert_eq!(parts, whole);
    let unpunished = Request { sampling: SamplingParams { repetition_penalty: 1.0, ..sampling }, ..ask(20) };
    assert_ne!(run(&one, unpunished).await.tokens, whole);
    let other = Request { sampling: SamplingParams { seed: 43, ..sampling }, ..ask(20) };
    assert_ne!(run(&one, other).await.tokens, whole);
    let nothing_left = Request { forbidden: (0..160).collect(), ..request(&tokens[..3], 1) };
    let error = one.generate(nothing_left, &mut |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("every token is forbidden"), "{error}");
}

/// Against the softmax of what transformers computes.
#[tokio::test]
async fn log_probabilities_are_those_of_the_allowed_tokens_before_temperature_and_guards() {
    let Golden { tokens, n_prompt, logits } = golden(NAME);
    let engine = engine(Options { cache: Some(CacheFormat::F32), ..Options::default() });
    let greedy = Request { top_logprobs: Some(3), ..request(&tokens[..n_prompt], 24) };
    let found = run(&engine, greedy.clone()).await;
    assert_eq!(found.tokens, tokens[n_prompt..], "asking changes nothing");
    assert_eq!(found.logprobs.len(), found.tokens.len());
    for (found, logits) in found.logprobs.iter().zip(logits.chunks_exact(160).skip(n_prompt - 1)) {
        let probability = |token: Token| f64::from(logits[token as usize]).exp();
        let total: f64 = (0..160).map(probability).sum();
        let is_near = |token, logprob: f32| ((probability(token) / total).ln() - f64::from(logprob)).abs() < 1e-3;
        assert!(is_near(found.token, found.logprob) && !found.is_forced, "{found:?}");
        assert_eq!((found.top_logprobs.len(), found.top_logprobs[0].token), (3, found.token));
        assert!(found.top_logprobs.iter().all(|top| is_near(top.token, top.logprob)), "{found:?}");
    }
    let sampling = SamplingParams { temperature: 2.0, top_k: 5, repetition_penalty: 2.0, ..SamplingParams::default() };
    let forbidden: Vec<Token> = (0..80).collect();
    let odd = run(&engine, Request { sampling, forbidden, max_tokens: 1, ..greedy }).await;
    let probability = |token: Token| f64::from(logits[160 * (n_prompt - 1) + token as usize]).exp();
    let expected = (probability(odd.tokens[0]) / (80..160).map(probability).sum::<f64>()).ln();
    assert!((expected - f64::from(odd.logprobs[0].logprob)).abs() < 1e-3, "{expected}: {odd:?}");
    assert!(odd.logprobs[0].top_logprobs.iter().all(|top| top.token >= 80), "{odd:?}");
    assert!(run(&engine, request(&tokens[..n_prompt], 3)).await.logprobs.is_empty(), "nobody asked");
}

#[tokio::test]
async fn cancelling_keeps_what_was_made_and_spoils_nothing() {
    let Golden { tokens, n_prompt, .. } = golden(NAME);
    let engine = engine(Options::default());
    let already = request(&tokens[..n_prompt], 24);
    already.cancel.cancel();
    let generation = run(&engine, already).await;
    let (tokens_so_far, logprobs, finish) = (Vec::new(), Vec::new(), Finish::Cancelled);
    assert_eq!(generation, Generation { tokens: tokens_so_far, finish, n_reused: 0, n_forced: 0, logprobs });
    let during = request(&tokens[..n_prompt], usize::MAX);
    let cancel = during.cancel.clone();
    let mut n_seen = 0;
    let mut cancel_at_the_third = |step| {
        n_seen += usize::from(matches!(step, Progress::Token(_)));
        if n_seen == 3 {
            cancel.cancel();
        }
    };
    let generation = engine.generate(during, &mut cancel_at_the_third).await.unwrap();
    assert_eq!(generation.finish, Finish::Cancelled);
    assert_eq!(generation.tokens[..3], tokens[n_prompt..][..3]);
    assert_eq!(run(&engine, request(&tokens[..n_prompt], 24)).await.tokens, tokens[n_prompt..]);
}

#[tokio::test]
async fn a_caller_that_goes_away_frees_the_engine() {
    let Golden { tokens, n_prompt, .. } = golden(NAME);
    let engine = engine(Options::default());
    let long = request(&tokens[..n_prompt], usize::MAX);
    let gone = tokio::time::timeout(Duration::from_millis(30), engine.generate(long, &mut |_| {})).await;
    assert!(gone.is_err(), "3,700 tokens take longer");
    let next = run(&engine, request(&tokens[..n_prompt], 24));
    let next =
        tokio::time::timeout(Duration::from_secs(10), next).await.expect("the abandoned request is not waited for");
    assert_eq!(next.tokens, tokens[n_prompt..]);
}

/// Conversations with a common beginning that go on, go back and are left, with rings that wrap, in every format, over
/// several engines that share a folder of snapshots: each request gives what it gives alone.
#[tokio::test]
async fn many_conversations_give_what_each_gives_alone() {
    let mut state = 7u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let folder = tempfile::tempdir().unwrap();
    for format in [CacheFormat::F32, CacheFormat::F16, CacheFormat::Int8] {
        let clock = std::sync::Arc::new(crate::world::SystemClock::new());
        let folder = folder.path().to_owned();
        let store = SnapshotStore { folder, most_bytes: 40_000_000, least_free: 0, clock };
        let options = Options { cache: Some(format), context_length: Some(2000), ..Options::default() };
        let alone = Options { threads: Some(1), n_sessions: Some(1), ..options.clone() };
        let together = Options { threads: Some(2), n_sessions: Some(2), snapshots: Some(store), ..options };
        let shared: Vec<Token> = (0..200).map(|_| random(160) as Token).collect();
        let mut conversations = vec![shared.clone(); 3];
        let mut n_reused = 0;
        for _ in 0..3 {
            let engine = engine(together.clone());
            for _ in 0..6 {
                let tokens = &mut conversations[random(3)];
                match random(3) {
                    0 => tokens.truncate(shared.len() + random(tokens.len() - shared.len() + 1)),
                    _ => {
                        let n_new = [3, 40, 700][random(3)].min(1990 - tokens.len());
                        tokens.extend((0..n_new).map(|_| random(160) as Token));
                    }
                }
                let sampling = SamplingParams { temperature: 1.0, seed: 3, ..SamplingParams::default() };
                let ask = Request { sampling, n_shared: shared.len(), n_lasting: tokens.len(), ..request(tokens, 4) };
                let found = run(&engine, ask.clone()).await;
                let expected = run(&self::engine(alone.clone()), ask).await;
                assert_eq!(
                    found.tokens,
                    expected.tokens,
                    "{format:?}, {} tokens, {} reused",
                    tokens.len(),
                    found.n_reused
                );
                n_reused += found.n_reused;
                tokens.extend(&found.tokens);
            }
        }
        assert!(n_reused > 2000, "little was reused: {n_reused}");
    }
}
