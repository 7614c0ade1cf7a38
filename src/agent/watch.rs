//! What a generation is watched for while it runs: a model that says the same thing without end, and one that thinks
//! without end. What then happens is the loop's matter. Start at [`Watch::push`].

use crate::harmony::{Channel, Delta, Token};

/// So many tokens of one piece again and again are enough in reasoning and in remarks. An answer or the arguments of a call
/// may want a long row of the same (a matrix of zeros), so there it takes more.
const N_IN_REASONING: usize = 512;
const N_IN_ANSWER: usize = 4_096;

/// The longest piece that is looked for, in tokens.
const MAX_PERIOD: usize = 128;

/// Tokens between two looks.
const LOOK_EVERY: usize = 64;

/// Why a generation was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It ends in one piece again and again.
    Repetition,
    /// It has thought longer than it may.
    Reasoning,
}

/// Watches one generation.
pub(super) struct Watch {
    tokens: Vec<Token>,
    /// How many of them may repeat, where the model is now.
    n_repeated: usize,
    n_reasoning: usize,
    max_reasoning: usize,
}

impl Watch {
    /// For a generation that may think for so many tokens.
    pub(super) fn new(max_reasoning: usize) -> Self {
        Self { tokens: Vec::new(), n_repeated: N_IN_REASONING, n_reasoning: 0, max_reasoning }
    }

    /// Takes the next token and the text that it added, where it added any.
    pub(super) fn push(&mut self, token: Token, delta: Option<&Delta<'_>>) -> Option<Cut> {
        self.tokens.push(token);
        if let Some(delta) = delta {
            let is_call = delta.recipient.is_some();
            let is_wanted = is_call || delta.channel == Some(Channel::Final);
            self.n_repeated = if is_wanted { N_IN_ANSWER } else { N_IN_REASONING };
            self.n_reasoning += usize::from(!is_call && delta.channel == Some(Channel::Analysis));
        }
        if self.n_reasoning > self.max_reasoning {
            return Some(Cut::Reasoning);
        }
        let is_time = self.tokens.len().is_multiple_of(LOOK_EVERY);
        let first = self.tokens.len().checked_sub(self.n_repeated).filter(|_| is_time)?;
        repeats(&self.tokens[first..]).then_some(Cut::Repetition)
    }
}

/// Whether all of it is one piece of at most [`MAX_PERIOD`] tokens again and again.
fn repeats(tokens: &[Token]) -> bool {
    (1..=MAX_PERIOD).any(|period| tokens[period..].iter().zip(tokens).all(|(later, earlier)| later == earlier))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harmony::Role;

    fn delta(channel: Channel, recipient: Option<&str>) -> Delta<'_> {
        Delta { role: Role::Assistant, channel: Some(channel), recipient, text: "x" }
    }

    /// After how many of the tokens it is cut.
    fn cut(delta: Delta<'_>, tokens: impl IntoIterator<Item = Token>) -> Option<usize> {
        let mut watch = Watch::new(usize::MAX);
        let is_cut = |token| watch.push(token, Some(&delta)) == Some(Cut::Repetition);
        tokens.into_iter().position(is_cut).map(|idx| idx + 1)
    }

    fn thinking(tokens: impl IntoIterator<Item = Token>) -> Option<usize> {
        cut(delta(Channel::Analysis, None), tokens)
    }

    #[test]
    fn a_piece_again_and_again_is_a_repetition() {
        for period in [1, 2, 7, 100, 128] {
            assert_eq!(thinking((0..10_000).map(|n| n % period)), Some(N_IN_REASONING), "{period}");
        }
        let text_before = (0..1000).map(|n| n * n + 17).chain(std::iter::repeat_n(5, 2000));
        assert!(thinking(text_before).is_some_and(|n_tokens| n_tokens < 1000 + N_IN_REASONING + LOOK_EVERY));
        for wanted in [delta(Channel::Final, None), delta(Channel::Analysis, Some("python"))] {
            assert_eq!(cut(wanted, std::iter::repeat_n(7, 10_000)), Some(N_IN_ANSWER));
        }
    }

    #[test]
    fn what_goes_on_is_none() {
        assert_eq!(thinking(0..10_000), None);
        // A table: each row is like the last and has a number of its own.
        assert_eq!(thinking((0..10_000).map(|n| if n % 8 == 0 { n } else { n % 8 })), None);
        assert_eq!(thinking(std::iter::repeat_n(3, 500)), None);
    }

    #[test]
    fn only_reasoning_counts_as_reasoning() {
        let mut watch = Watch::new(2);
        let (thought, answer) = (delta(Channel::Analysis, None), delta(Channel::Final, None));
        let call = delta(Channel::Analysis, Some("python"));
        for (n, delta) in [Some(&answer), Some(&thought), None, Some(&call), Some(&thought)].into_iter().enumerate() {
            assert_eq!(watch.push(n as Token, delta), None);
        }
        assert_eq!(watch.push(9, Some(&thought)), Some(Cut::Reasoning));
    }
}
