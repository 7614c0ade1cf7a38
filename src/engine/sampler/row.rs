//! The logits of a next token, with what may come of them, and what they say as probabilities.
//!
//! What it is not: it chooses nothing, and it knows neither temperature nor guards. Start at [`Row`]; [`Row::logprob`] is
//! for who asks how sure a model was.

use crate::harmony::Token;

/// No more alternatives than so many are given for a token, as in OpenAI's API.
pub const MAX_TOP_LOGPROBS: usize = 20;

/// The logits of one next token.
#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    /// Those of the whole vocabulary.
    Whole {
        /// `[n_vocab]`
        logits: &'a [f32],
        /// Ids that must not come out, ascending.
        forbidden: &'a [Token],
    },
    /// Those of the few tokens that are allowed, where no others were computed.
    Few {
        /// `[tokens.len()]`
        logits: &'a [f32],
        /// The ids, ascending.
        tokens: &'a [Token],
    },
}

/// A written token's log-probability: natural logarithms of the model's own distribution over the tokens that were allowed
/// in its place. What a grammar or the request forbids has no share in it; temperature, cuts and guards against repetition
/// come later and change nothing of it. So a token's value says how sure the model was among what it could say there.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token that was written.
    pub token: Token,
    /// At most 0; negative infinity where it is impossible. 0 when it was forced.
    pub logprob: f32,
    /// It was not chosen: the grammar left no choice, or led out of what had gone on for too long. There are no others then.
    pub is_forced: bool,
    /// The most probable tokens, the best first and of equals the lower id; the written one need not be among them.
    pub top_logprobs: Vec<TopLogprob>,
}

/// A token that could have been written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopLogprob {
    /// Which.
    pub token: Token,
    /// As in [`TokenLogprob`].
    pub logprob: f32,
}

impl TokenLogprob {
    /// Of a token that was not chosen.
    pub(crate) fn forced(token: Token) -> Self {
        Self { token, logprob: 0.0, is_forced: true, top_logprobs: Vec::new() }
    }
}

impl<'a> Row<'a> {
    /// The logits, whatever ids they are of.
    pub(super) fn logits(&self) -> &'a [f32] {
        match *self {
            Self::Whole { logits, .. } | Self::Few { logits, .. } => logits,
        }
    }

    /// The same tokens with other logits.
    pub(super) fn with<'b>(self, logits: &'b [f32]) -> Row<'b>
    where
        'a: 'b,
    {
        match self {
            Self::Whole { forbidden, .. } => Row::Whole { logits, forbidden },
            Self::Few { tokens, .. } => Row::Few { logits, tokens },
        }
    }

    /// Places among the logits whose tokens must not come out, ascending.
    pub(super) fn forbidden(&self) -> &'a [Token] {
        match *self {
            Self::Whole { forbidden, .. } => forbidden,
            Self::Few { .. } => &[],
        }
    }

    /// The token that the logit at `idx` is of.
    pub(super) fn token(&self, idx: usize) -> Token {
        match self {
            Self::Whole { .. } => idx as Token,
            Self::Few { tokens, .. } => tokens[idx],
        }
    }

    /// Where the token's logit is, if there is one.
    pub(super) fn idx(&self, token: Token) -> Option<usize> {
        match self {
            Self::Whole { logits, .. } => Some(token as usize).filter(|&idx| idx < logits.len()),
            Self::Few { tokens, .. } => tokens.binary_search(&token).ok(),
        }
    }

    /// What may come out, with its logit, ascending by id. What is no number may not.
    pub(super) fn allowed(&self) -> impl Iterator<Item = (Token, f32)> {
        let mut forbidden = self.forbidden().iter().peekable();
        (0..).zip(self.logits()).filter_map(move |(idx, &logit)| {
            while forbidden.next_if(|&&id| id < idx).is_some() {}
            let is_allowed = forbidden.peek() != Some(&&idx) && !logit.is_nan();
            is_allowed.then(|| (self.token(idx as usize), logit))
        })
    }

    /// How probable `token` was, and the `n_top` most probable ones, at most [`MAX_TOP_LOGPROBS`].
    pub fn logprob(&self, token: Token, n_top: usize) -> TokenLogprob {
        let best = self.allowed().map(|(_, logit)| logit).fold(f32::NEG_INFINITY, f32::max);
        // The best one is 0 below itself, also where it is infinite.
        let below = |logit: f32| if logit == best { 0.0 } else { f64::from(logit) - f64::from(best) };
        let total = self.allowed().map(|(_, logit)| below(logit).exp()).sum::<f64>().ln();
        let logprob = |logit| (below(logit) - total) as f32;
        let own = self.allowed().find(|&(allowed, _)| allowed == token);
        let top = self.highest(n_top.min(MAX_TOP_LOGPROBS)).into_iter();
        TokenLogprob {
            token,
            logprob: own.map_or(f32::NEG_INFINITY, |(_, logit)| logprob(logit)),
            is_forced: false,
            top_logprobs: top.map(|(token, logit)| TopLogprob { token, logprob: logprob(logit) }).collect(),
        }
    }

    /// The `n` allowed tokens with the highest logits, the highest first.
    fn highest(&self, n: usize) -> Vec<(Token, f32)> {
        let mut highest: Vec<(Token, f32)> = Vec::with_capacity(n + 1);
        for (token, logit) in self.allowed() {
            if highest.len() < n || highest.last().is_some_and(|&(_, lowest)| logit > lowest) {
                let place = highest.partition_point(|&(_, other)| other >= logit);
                highest.insert(place, (token, logit));
                highest.truncate(n);
            }
        }
        highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// A row as it might come, and what must not come out of it.
    fn rows() -> impl Strategy<Value = (Vec<f32>, Vec<Token>)> {
        vec((-30.0..30.0f32, any::<bool>()), 1..60).prop_filter_map("something is allowed", |row| {
            let forbidden: Vec<Token> = (0..).zip(&row).filter(|(_, (_, is))| *is).map(|(id, _)| id).collect();
            (forbidden.len() < row.len()).then(|| (row.iter().map(|(logit, _)| *logit).collect(), forbidden))
        })
    }

    /// The softmax of what is allowed, as anybody would write it down.
    fn naive(logits: &[f32], forbidden: &[Token]) -> Vec<f64> {
        let weight = |(id, logit): (Token, &f32)| if forbidden.contains(&id) { 0.0 } else { f64::from(*logit).exp() };
        let weights: Vec<f64> = (0..).zip(logits).map(weight).collect();
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| (weight / total).ln()).collect()
    }

    proptest! {
        #[test]
        fn a_tokens_logprob_is_that_of_a_naive_softmax((logits, forbidden) in rows()) {
            let row = Row::Whole { logits: &logits, forbidden: &forbidden };
            let expected = naive(&logits, &forbidden);
            let mut total = 0.0;
            for (token, logit) in row.allowed() {
                let found = row.logprob(token, 0);
                prop_assert!((f64::from(found.logprob) - expected[token as usize]).abs() < 1e-4, "{logit}: {found:?}");
                prop_assert!(found.top_logprobs.is_empty() && !found.is_forced);
                total += f64::from(found.logprob).exp();
            }
            prop_assert!((total - 1.0).abs() < 1e-4, "they sum to {total}");
        }

        #[test]
        fn few_rows_say_what_the_whole_says_of_the_same_tokens((logits, forbidden) in rows(), n_top in 0usize..25) {
            let whole = Row::Whole { logits: &logits, forbidden: &forbidden };
            let (tokens, few): (Vec<Token>, Vec<f32>) = whole.allowed().unzip();
            let few = Row::Few { logits: &few, tokens: &tokens };
            for &token in &tokens {
                prop_assert_eq!(few.logprob(token, n_top), whole.logprob(token, n_top));
            }
        }

        #[test]
        fn the_top_ones_are_the_most_probable_in_order((logits, forbidden) in rows(), n_top in 0usize..25) {
            let row = Row::Whole { logits: &logits, forbidden: &forbidden };
            let mut all: Vec<TopLogprob> =
                row.allowed().map(|(token, _)| TopLogprob { token, logprob: row.logprob(token, 0).logprob }).collect();
            all.sort_by(|a, b| logits[b.token as usize].total_cmp(&logits[a.token as usize]).then(a.token.cmp(&b.token)));
            all.truncate(n_top.min(MAX_TOP_LOGPROBS));
            prop_assert_eq!(row.logprob(0, n_top).top_logprobs, all);
        }
    }

    #[test]
    fn what_is_no_number_or_not_finite_is_no_trouble() {
        const NEVER: f32 = f32::NEG_INFINITY;
        let half = 0.5f32.ln();
        let cases: [(&[f32], &[Token], Token, f32); 10] = [
            (&[f32::NAN, 1.0, 1.0], &[], 1, half),
            (&[f32::INFINITY, 1.0], &[], 0, 0.0),
            (&[f32::INFINITY, 1.0], &[], 1, NEVER),
            (&[NEVER, NEVER], &[], 1, half),
            (&[NEVER, 3.0], &[], 0, NEVER),
            (&[5.0, 3.0], &[0], 1, 0.0),
            (&[5.0, 3.0], &[0], 0, NEVER),
            (&[f32::NAN, 1.0], &[], 0, NEVER),
            (&[NEVER, NEVER], &[0], 0, NEVER),
            (&[3e38, -3e38], &[], 0, 0.0),
        ];
        for (logits, forbidden, token, expected) in cases {
            let found = Row::Whole { logits, forbidden }.logprob(token, 2);
            assert_eq!(found.logprob, expected, "{logits:?}");
            assert!(found.top_logprobs.iter().all(|top| !top.logprob.is_nan()), "{found:?}");
        }
        let few = Row::Few { logits: &[1.0], tokens: &[7] };
        assert_eq!((few.logprob(7, 1).logprob, few.logprob(6, 1).logprob), (0.0, NEVER));
    }
}
