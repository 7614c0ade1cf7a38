//! What a generation is watched for while it runs: a model that says the same thing without end, and one that thinks
//! without end. What then happens is the loop's matter. Start at [`Watch::push`].

use crate::harmony::{Channel, Token};

/// So many tokens, at least four times the same, are no table and no pattern any more.
const N_REPEATED: usize = 512;
const MAX_PERIOD: usize = N_REPEATED / 4;

/// Tokens between two looks.
const LOOK_EVERY: usize = 64;

/// Why a generation was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Its last [`N_REPEATED`] tokens are one piece again and again.
    Repetition,
    /// It has thought longer than it may.
    Reasoning,
}

/// Watches one generation.
pub(super) struct Watch {
    tokens: Vec<Token>,
    n_reasoning: usize,
    max_reasoning: usize,
}

impl Watch {
    /// For a generation that may think for so many tokens.
    pub(super) fn new(max_reasoning: usize) -> Self {
        Self { tokens: Vec::new(), n_reasoning: 0, max_reasoning }
    }

    /// Takes the next token and the channel of the text that it added, where it added any.
    pub(super) fn push(&mut self, token: Token, channel: Option<Channel>) -> Option<Cut> {
        self.tokens.push(token);
        self.n_reasoning += usize::from(channel == Some(Channel::Analysis));
        if self.n_reasoning > self.max_reasoning {
            return Some(Cut::Reasoning);
        }
        let is_time = self.tokens.len() >= N_REPEATED && self.tokens.len().is_multiple_of(LOOK_EVERY);
        (is_time && repeats(&self.tokens[self.tokens.len() - N_REPEATED..])).then_some(Cut::Repetition)
    }
}

/// Whether all of it is one piece of at most [`MAX_PERIOD`] tokens again and again.
fn repeats(tokens: &[Token]) -> bool {
    (1..=MAX_PERIOD).any(|period| tokens[period..].iter().zip(tokens).all(|(later, earlier)| later == earlier))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many of the tokens it is cut.
    fn cut(tokens: impl IntoIterator<Item = Token>) -> Option<usize> {
        let mut watch = Watch::new(usize::MAX);
        tokens.into_iter().position(|token| watch.push(token, None) == Some(Cut::Repetition)).map(|idx| idx + 1)
    }

    #[test]
    fn a_piece_again_and_again_is_a_repetition() {
        for period in [1, 2, 7, 100, 128] {
            let n_tokens = cut((0..10_000).map(|n| n % period)).unwrap();
            assert_eq!(n_tokens, N_REPEATED, "{period}");
        }
        let text_before = (0..1000).map(|n| n * n + 17).chain(std::iter::repeat_n(5, 2000));
        assert!(cut(text_before).is_some_and(|n_tokens| n_tokens < 1000 + N_REPEATED + LOOK_EVERY));
    }

    #[test]
    fn what_goes_on_is_none() {
        assert_eq!(cut(0..10_000), None);
        // A table: each row is like the last and has a number of its own.
        assert_eq!(cut((0..10_000).map(|n| if n % 8 == 0 { n } else { n % 8 })), None);
        assert_eq!(cut(std::iter::repeat_n(3, 500)), None);
    }

    #[test]
    fn only_reasoning_counts_as_reasoning() {
        let mut watch = Watch::new(2);
        let channels = [Some(Channel::Final), Some(Channel::Analysis), None, Some(Channel::Analysis)];
        for (n, channel) in channels.into_iter().enumerate() {
            assert_eq!(watch.push(n as Token, channel), None);
        }
        assert_eq!(watch.push(9, Some(Channel::Analysis)), Some(Cut::Reasoning));
    }
}
