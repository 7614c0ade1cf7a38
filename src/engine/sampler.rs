//! How the next token is chosen from a row of logits.
//!
//! What it is not: it holds no random state. The draw for a position is a function of the seed and that position alone,
//! so that the same seed and the same tokens in give the same tokens out, however the work before was split.
//! Start at [`Sampler::sample`].

use crate::harmony::Token;
use std::cmp::Ordering;

/// How the next token is chosen. The filters apply in this order: temperature, `min_p`, `top_k`, `top_p`.
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
    /// The same seed and the same tokens in give the same tokens out.
    pub seed: u64,
}

impl Default for SamplingParams {
    /// Greedy.
    fn default() -> Self {
        Self { temperature: 0.0, top_p: 1.0, top_k: 0, min_p: 0.0, seed: 0 }
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

/// Chooses tokens; owns the scratch that it needs, so that choosing allocates nothing.
pub struct Sampler {
    params: SamplingParams,
    candidates: Vec<Candidate>, // [<= n_vocab]
}

impl Sampler {
    /// A sampler for rows of `n_vocab` logits.
    pub fn new(params: SamplingParams, n_vocab: usize) -> Self {
        let greedy = params.temperature <= 0.0;
        Self { params, candidates: Vec::with_capacity(if greedy { 0 } else { n_vocab }) }
    }

    /// The token at `position` of the transcript. `logits`: `[n_vocab]`; `forbidden`: sorted ids that must not come out.
    ///
    /// `None` when every id is forbidden or no logit is a number.
    pub fn sample(&mut self, logits: &[f32], forbidden: &[Token], position: usize) -> Option<Token> {
        if self.params.temperature <= 0.0 {
            return greedy(logits, forbidden);
        }
        let best = logits[greedy(logits, forbidden)? as usize];
        self.collect(logits, forbidden, best);
        let top_k = self.params.top_k;
        if top_k > 0 && top_k < self.candidates.len() {
            self.candidates.select_nth_unstable_by(top_k - 1, Candidate::order);
            self.candidates.truncate(top_k);
            self.candidates.sort_unstable_by(Candidate::order);
        }
        let total = self.nucleus();
        Some(self.draw(total * uniform(self.params.seed, position as u64)))
    }

    /// Fills the candidates, in the order of their ids, with their probabilities relative to the best logit's.
    fn collect(&mut self, logits: &[f32], forbidden: &[Token], best: f32) {
        let mut forbidden = forbidden.iter().peekable();
        self.candidates.clear();
        for (token, &logit) in (0..).zip(logits) {
            while forbidden.next_if(|&&id| id < token).is_some() {}
            if forbidden.peek() == Some(&&token) || logit.is_nan() {
                continue;
            }
            // The best token's own weight is 1, also at a temperature so low that the quotient overflows.
            let weight = if logit == best { 1.0 } else { ((logit - best) / self.params.temperature).exp() };
            // The best one stays whatever a caller asks of `min_p`.
            if logit == best || (weight >= self.params.min_p && weight > 0.0) {
                self.candidates.push(Candidate { weight, token });
            }
        }
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

    const SOME: SamplingParams = SamplingParams { temperature: 1.0, top_p: 1.0, top_k: 0, min_p: 0.0, seed: 7 };

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
            assert_eq!(sampler.sample(logits, forbidden, 0), expected, "{logits:?} without {forbidden:?}");
            let mut cold = Sampler::new(SamplingParams { temperature: 1e-38, ..SOME }, logits.len());
            let token = cold.sample(logits, forbidden, 0);
            assert_eq!(token.map(|id| logits[id as usize]), expected.map(|id| logits[id as usize]), "nearly cold");
        }
    }

    /// How often each token comes out over many positions.
    fn counts(params: SamplingParams, logits: &[f32], forbidden: &[Token]) -> Vec<usize> {
        let mut sampler = Sampler::new(params, logits.len());
        let mut counts = vec![0; logits.len()];
        for position in 0..20_000 {
            counts[sampler.sample(logits, forbidden, position).unwrap() as usize] += 1;
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
        let there: Vec<_> = (0..50).map(|position| forward.sample(&logits, &[], position)).collect();
        let mut back: Vec<_> = (0..50).rev().map(|position| backward.sample(&logits, &[], position)).collect();
        back.reverse();
        assert_eq!(there, back);
        let mut other = Sampler::new(SamplingParams { seed: 8, ..SOME }, 100);
        assert_ne!(there, (0..50).map(|position| other.sample(&logits, &[], position)).collect::<Vec<_>>());
    }
}
