//! How the next token is chosen from a row of logits.
//!
//! What it is not: it holds no random state. The draw for a position is a function of the seed and that position alone,
//! so that the same seed and the same tokens in give the same tokens out, however the work before was split.
//! Start at [`Sampler::sample`]; `repetition` has the guards, and [`Row`] the probabilities before all of it.

mod repetition;
mod row;

pub use row::{MAX_TOP_LOGPROBS, Row, TokenLogprob, TopLogprob};

use crate::harmony::Token;
use repetition::Guard;
use std::cmp::Ordering;

/// How the next token is chosen. First come the guards, `escape_loops` and `repetition_penalty`, then the filters in this
/// order: temperature, `min_p`, `top_k`, `top_p`.
///
/// The guards look at the message that is being written, if it is words for people: reasoning, a remark or an answer. Names
/// and arguments in calls, headers, content of a declared type and the tokens of the format they leave alone, and what the
/// prompt or an earlier message says is no repetition. What a grammar forbids stays forbidden, whatever they say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingParams {
    /// 0 is greedy.
    pub temperature: f32,
    /// Nucleus: 1 keeps all.
    pub top_p: f32,
    /// 0 keeps all.
    pub top_k: usize,
    /// Relative to the most probable token: 0 keeps all.
    pub min_p: f32,
    /// Makes each of the message's last 64 tokens less probable, as transformers does: a positive logit is divided by it, a
    /// negative one multiplied. 1 changes nothing, and neither does what is no positive number.
    pub repetition_penalty: f32,
    /// Whether a loop in the reasoning is left: once it ends in one piece of up to 128 tokens again and again, at least three
    /// times and for 96 tokens, one token comes that is not of that piece. Three times in a generation at most.
    pub escape_loops: bool,
    /// The same seed and the same tokens in give the same tokens out.
    pub seed: u64,
}

impl Default for SamplingParams {
    /// Greedy, without guards.
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            escape_loops: false,
            seed: 0,
        }
    }
}

/// A token that may still be chosen. The weight is its logit first, then its probability relative to the best one.
#[derive(Clone, Copy)]
struct Candidate {
    weight: f32,
    token: Token,
}

impl Candidate {
    /// The more probable first, and of equals the lower id.
    fn order(&self, other: &Self) -> Ordering {
        other.weight.total_cmp(&self.weight).then(self.token.cmp(&other.token))
    }
}

/// Chooses the tokens of one generation; owns the scratch of a vocabulary that it needs.
pub struct Sampler {
    params: SamplingParams,
    guard: Guard,
    candidates: Vec<Candidate>, // [<= n_vocab]
}

impl Sampler {
    /// A sampler for rows of `n_vocab` logits.
    pub fn new(params: SamplingParams, n_vocab: usize) -> Self {
        let greedy = params.temperature <= 0.0;
        let candidates = Vec::with_capacity(if greedy { 0 } else { n_vocab });
        Self { params, guard: Guard::default(), candidates }
    }

    /// The token that follows `transcript`, all tokens before it.
    ///
    /// `None` when every id is forbidden or no logit is a number.
    pub fn sample(&mut self, row: &Row<'_>, transcript: &[Token]) -> Option<Token> {
        let guarded = self.guard.apply(&self.params, row, transcript);
        let row = row.with(guarded.unwrap_or(row.logits()));
        let best_idx = allowed_best(&row)?;
        if self.params.temperature <= 0.0 {
            return Some(row.token(best_idx));
        }
        collect(&self.params, &row, row.logits()[best_idx], &mut self.candidates);
        let top_k = self.params.top_k;
        if top_k > 0 && top_k < self.candidates.len() {
            self.candidates.select_nth_unstable_by(top_k - 1, Candidate::order);
            self.candidates.truncate(top_k);
            self.candidates.sort_unstable_by(Candidate::order);
        }
        let total = self.nucleus();
        Some(self.draw(total * uniform(self.params.seed, transcript.len() as u64)))
    }

    /// Cuts the candidates down to the smallest set that holds `top_p` of the probability; returns what it weighs.
    fn nucleus(&mut self) -> f64 {
        let total: f64 = self.candidates.iter().map(|candidate| f64::from(candidate.weight)).sum();
        if self.params.top_p >= 1.0 {
            return total;
        }
        let wanted = total * f64::from(self.params.top_p.max(0.0));
        // Sorting a whole vocabulary costs more than a small model's step: sort a head of it, and more only if needed.
        let mut n_head = 256;
        loop {
            let n_head_now = n_head.min(self.candidates.len());
            if n_head_now < self.candidates.len() {
                self.candidates.select_nth_unstable_by(n_head_now - 1, Candidate::order);
            }
            self.candidates[..n_head_now].sort_unstable_by(Candidate::order);
            let mut kept = 0.0;
            for idx in 0..n_head_now {
                kept += f64::from(self.candidates[idx].weight);
                if kept >= wanted {
                    self.candidates.truncate(idx + 1);
                    return kept;
                }
            }
            if n_head_now == self.candidates.len() {
                return kept;
            }
            n_head *= 16;
        }
    }

    /// The candidate under `point`, a place on the line of all their weights laid end to end.
    fn draw(&self, mut point: f64) -> Token {
        let mut last = self.candidates[0].token; // there is always the best one
        for candidate in &self.candidates {
            last = candidate.token;
            point -= f64::from(candidate.weight);
            if point < 0.0 {
                break;
            }
        }
        last
    }
}

/// Fills the candidates, in the order of their ids, with their probabilities relative to the best logit's.
fn collect(params: &SamplingParams, row: &Row<'_>, best: f32, candidates: &mut Vec<Candidate>) {
    candidates.clear();
    for (token, logit) in row.allowed() {
        // The best token's own weight is 1, also at a temperature so low that the quotient overflows.
        let weight = if logit == best { 1.0 } else { ((logit - best) / params.temperature).exp() };
        // The best one stays whatever a caller asks of `min_p`.
        if logit == best || (weight >= params.min_p && weight > 0.0) {
            candidates.push(Candidate { weight, token });
        }
    }
}

/// Where the highest logit of an allowed token is; of equals the lowest.
fn allowed_best(row: &Row<'_>) -> Option<usize> {
    greedy(row.logits(), row.forbidden()).map(|idx| idx as usize)
}

/// The highest logit's id; of equals the lowest.
fn greedy(logits: &[f32], forbidden: &[Token]) -> Option<Token> {
    let mut best = None;
    let mut start = 0;
    for &end in forbidden.iter().chain([&Token::MAX]) {
        let end = logits.len().min(end as usize);
        if start < end {
            greedy_in(&logits[start..end], start as Token, &mut best);
        }
        start = start.max(end + 1);
    }
    best.map(|(_, token)| token)
}

/// Looks for something better than `best` among the logits of the ids from `first_id` on.
fn greedy_in(logits: &[f32], first_id: Token, best: &mut Option<(f32, Token)>) {
    // Whole stretches are passed over by their highest logit, which the compiler finds eight at a time.
    let mut first_id = first_id;
    for stretch in logits.chunks(64) {
        let mut highest = [f32::NEG_INFINITY; 8];
        let (eights, rest) = stretch.as_chunks::<8>();
        for eight in eights {
            highest
                .iter_mut()
                .zip(eight)
                .for_each(|(highest, logit)| *highest = if logit > highest { *logit } else { *highest });
        }
        let highest = highest.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
        if best.is_none_or(|(best, _)| highest > best) {
            for (id, &logit) in (first_id..).zip(stretch) {
                if best.map_or(!logit.is_nan(), |(highest, _)| logit > highest) {
                    *best = Some((logit, id));
                }
            }
        }
        first_id += stretch.len() as Token;
    }
}

/// A number in [0, 1) for this position alone: two rounds of SplitMix64 (Steele, Lea, Flood 2014).
fn uniform(seed: u64, position: u64) -> f64 {
    let mix = |x: u64| {
        let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    };
    (mix(mix(seed) ^ position) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SOME: SamplingParams = SamplingParams {
        temperature: 1.0,
        top_p: 1.0,
        top_k: 0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        escape_loops: false,
        seed: 7,
    };

    /// What comes at a position of a transcript of no matter what.
    fn sample(sampler: &mut Sampler, logits: &[f32], forbidden: &[Token], position: usize) -> Option<Token> {
        sampler.sample(&Row::Whole { logits, forbidden }, &[0; 20_000][..position])
    }

    #[test]
    fn greedy_takes_the_highest_allowed_and_of_equals_the_lowest() {
        let cases: [(&[f32], &[Token], Option<Token>); 7] = [
            (&[0.0, 3.0, 3.0, 1.0], &[], Some(1)),
            (&[0.0, 3.0, 3.0, 1.0], &[1], Some(2)),
            (&[0.0, 3.0, 3.0, 1.0], &[0, 1, 2], Some(3)),
            (&[f32::NAN, -5.0], &[], Some(1)),
            (&[f32::NEG_INFINITY, f32::NEG_INFINITY], &[0], Some(1)),
            (&[1.0, 2.0], &[0, 1, 9], None),
            (&[f32::NAN], &[], None),
        ];
        for (logits, forbidden, expected) in cases {
            let mut sampler = Sampler::new(SamplingParams::default(), logits.len());
            assert_eq!(sample(&mut sampler, logits, forbidden, 0), expected, "{logits:?} without {forbidden:?}");
            let mut cold = Sampler::new(SamplingParams { temperature: 1e-38, ..SOME }, logits.len());
            let token = sample(&mut cold, logits, forbidden, 0);
            assert_eq!(token.map(|id| logits[id as usize]), expected.map(|id| logits[id as usize]), "nearly cold");
        }
    }

    /// How often each token comes out over many positions.
    fn counts(params: SamplingParams, logits: &[f32], forbidden: &[Token]) -> Vec<usize> {
        let mut sampler = Sampler::new(params, logits.len());
        let mut counts = vec![0; logits.len()];
        for position in 0..20_000 {
            counts[sample(&mut sampler, logits, forbidden, position).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn frequencies_follow_the_softmax_of_what_the_filters_leave() {
        let logits: Vec<f32> = [0.1f32, 0.4, 0.2, 0.3].iter().map(|p| p.ln()).collect();
        let cases: [(SamplingParams, &[Token], [f64; 4]); 9] = [
            (SOME, &[], [0.1, 0.4, 0.2, 0.3]),
            (SOME, &[1], [0.1 / 0.6, 0.0, 0.2 / 0.6, 0.3 / 0.6]),
            (SamplingParams { temperature: 0.5, ..SOME }, &[], [0.01 / 0.3, 0.16 / 0.3, 0.04 / 0.3, 0.09 / 0.3]),
            (SamplingParams { top_k: 2, ..SOME }, &[], [0.0, 0.4 / 0.7, 0.0, 0.3 / 0.7]),
            (SamplingParams { top_p: 0.8, ..SOME }, &[], [0.0, 0.4 / 0.9, 0.2 / 0.9, 0.3 / 0.9]),
            (SamplingParams { top_p: 0.0, ..SOME }, &[], [0.0, 1.0, 0.0, 0.0]),
            (SamplingParams { min_p: 0.6, ..SOME }, &[], [0.0, 0.4 / 0.7, 0.0, 0.3 / 0.7]),
            (SamplingParams { min_p: 1.5, ..SOME }, &[], [0.0, 1.0, 0.0, 0.0]),
            (SamplingParams { min_p: f32::NAN, ..SOME }, &[], [0.0, 1.0, 0.0, 0.0]),
        ];
        for (params, forbidden, expected) in cases {
            for (count, share) in counts(params, &logits, forbidden).iter().zip(expected) {
                let seen = *count as f64 / 20_000.0;
                assert!((seen - share).abs() < 0.015, "{params:?}: {seen} instead of {share}");
            }
        }
    }

    #[test]
    fn a_flat_row_needs_more_than_the_first_head_of_the_nucleus() {
        let logits = vec![0.0; 1_000];
        let counts = counts(SamplingParams { top_p: 0.5, ..SOME }, &logits, &[]);
        assert!(counts[500..].iter().all(|&count| count == 0), "the upper half of equals has the higher ids");
        assert!(counts[..500].iter().filter(|&&count| count > 0).count() > 490);
    }

    #[test]
    fn the_draw_depends_on_seed_and_position_alone() {
        let logits: Vec<f32> = (0..100).map(|idx| (idx % 10) as f32 * 0.1).collect();
        let mut forward = Sampler::new(SOME, 100);
        let mut backward = Sampler::new(SOME, 100);
        let there: Vec<_> = (0..50).map(|position| sample(&mut forward, &logits, &[], position)).collect();
        let mut back: Vec<_> = (0..50).rev().map(|position| sample(&mut backward, &logits, &[], position)).collect();
        back.reverse();
        assert_eq!(there, back);
        let mut other = Sampler::new(SamplingParams { seed: 8, ..SOME }, 100);
        assert_ne!(there, (0..50).map(|position| sample(&mut other, &logits, &[], position)).collect::<Vec<_>>());
    }

    #[test]
    fn few_tokens_are_drawn_like_a_whole_row_without_the_others() {
        let logits: Vec<f32> = (0..100).map(|idx| (idx % 10) as f32 * 0.1).collect();
        let tokens: Vec<Token> = (0..100).step_by(3).collect();
        let few: Vec<f32> = tokens.iter().map(|&token| logits[token as usize]).collect();
        let forbidden: Vec<Token> = (0..100).filter(|id| id % 3 != 0).collect();
        for params in [SOME, SamplingParams { top_k: 5, repetition_penalty: 3.0, ..SOME }, SamplingParams::default()] {
            let (mut one, mut other) = (Sampler::new(params, 100), Sampler::new(params, 100));
            let transcript: Vec<Token> = (0..200).map(|idx| idx * 7 % 100).collect();
            for n in 0..200 {
                let token = one.sample(&Row::Few { logits: &few, tokens: &tokens }, &transcript[..n]);
                let row = Row::Whole { logits: &logits, forbidden: &forbidden };
                assert_eq!(token, other.sample(&row, &transcript[..n]), "{params:?}");
            }
        }
    }

    /// What a sampler writes that is always given the same row.
    fn written(params: SamplingParams, logits: &[f32], n: usize) -> Vec<Token> {
        let mut sampler = Sampler::new(params, logits.len());
        let mut transcript = Vec::new();
        for _ in 0..n {
            let token = sampler.sample(&Row::Whole { logits, forbidden: &[] }, &transcript).unwrap();
            transcript.push(token);
        }
        transcript
    }

    #[test]
    fn a_loop_is_left_by_a_penalty_or_an_escape() {
        let logits = [1.0, 1.9, 1.1, -3.0];
        let greedy = SamplingParams::default();
        assert_eq!(written(greedy, &logits, 120), [1; 120]);
        let penalised = written(SamplingParams { repetition_penalty: 2.0, ..greedy }, &logits, 120);
        assert_eq!(penalised[..4], [1, 2, 0, 1]);
        let escaped = written(SamplingParams { escape_loops: true, ..greedy }, &logits, 4 * 97 + 50);
        let others: Vec<usize> = (0..escaped.len()).filter(|&idx| escaped[idx] != 1).collect();
        assert_eq!(others, [96, 96 + 97, 96 + 2 * 97], "and not for ever");
        assert!(others.iter().all(|&idx| escaped[idx] == 2), "by the best of the others");
    }

    proptest! {
        #[test]
        fn a_penalty_of_1_changes_nothing(
            logits in proptest::collection::vec(-9.0..9.0f32, 2..30), seed in any::<u64>(), temperature in 0.0..2.0f32,
        ) {
            let params = SamplingParams { temperature, seed, ..SOME };
            let with = SamplingParams { repetition_penalty: 1.0, escape_loops: true, ..params };
            // Less than a loop.
            prop_assert_eq!(written(params, &logits, 95), written(with, &logits, 95));
        }

        #[test]
        fn the_same_tokens_in_give_the_same_out_wherever_a_sampler_begins(
            logits in proptest::collection::vec(-2.0..2.0f32, 2..30), seed in any::<u64>(), begins_at in 0usize..80,
        ) {
            let params = SamplingParams { seed, repetition_penalty: 1.5, ..SOME };
            let whole = written(params, &logits, 80);
            let mut sampler = Sampler::new(params, logits.len());
            for n in begins_at..80 {
                let token = sampler.sample(&Row::Whole { logits: &logits, forbidden: &[] }, &whole[..n]);
                prop_assert_eq!(token, Some(whole[n]));
            }
        }
    }
}
