//! What keeps a model from saying the same thing again and again: a penalty on words that it has just used, and a way out
//! of a loop. Both look at the message that is being written, and at nothing before it.
//!
//! What it is not: it stops nothing. A loop that goes on all the same is for the caller to end. Start at [`Guard::apply`].
//!
//! An agent copies: names and arguments from its prompt and its thoughts into calls, where one wrong character breaks the
//! call. So the guards never touch a header, what is sent to a recipient, content of a declared type, or a token of the
//! format, and what stands in other messages costs nothing. For the same reason there is nothing here that punishes a
//! sequence because it occurred before (`no_repeat_ngram_size`, DRY): it would punish exact quotation. A loop is told from
//! a quotation by having nothing in between.

use super::{Row, SamplingParams, allowed_best};
use crate::harmony::special::{CONSTRAIN, MESSAGE, N_TEXT, START, is_terminator};
use crate::harmony::{Channel, Token, tokenizer};

/// The penalty is on the last so many tokens, what llama.cpp calls `repeat_last_n` and has so by default.
const PENALISED: usize = 64;

/// A loop is one piece of at most so many tokens, so many times one after the other, and at least so many tokens in all.
/// That is well before an agent gives up a thought, and more than a list or a table in a thought has of the same.
const MAX_PIECE: usize = 128;
const MIN_TIMES: usize = 3;
const MIN_LOOP: usize = 96;

/// So many loops of a generation are left. A model that has come back to them so often would only take longer.
const MAX_ESCAPES: usize = 3;

/// The guards of one generation; owns the scratch that they need.
#[derive(Default)]
pub(super) struct Guard {
    logits: Vec<f32>, // [the row's], when a guard has changed any
    n_escapes: usize,
}

impl Guard {
    /// The row's logits as the guards leave them; `None` when they have nothing to say. What a row does not allow stays so,
    /// and of what it allows something is left.
    pub(super) fn apply(&mut self, params: &SamplingParams, row: &Row<'_>, transcript: &[Token]) -> Option<&[f32]> {
        let penalty = Some(params.repetition_penalty).filter(|&p| p.is_finite() && p > 0.0 && p != 1.0);
        let may_escape = params.escape_loops && self.n_escapes < MAX_ESCAPES;
        if penalty.is_none() && !may_escape {
            return None;
        }
        let words = Words::at_end(transcript)?;
        let piece = if may_escape && words.are_thoughts { piece_of_loop(words.tokens) } else { &[] };
        let is_left = !piece.is_empty() && self.escape(row, piece);
        if !is_left {
            penalty?;
            self.copy(row);
        }
        if let Some(penalty) = penalty {
            self.penalise(row, last(words.tokens, PENALISED), penalty);
        }
        Some(&self.logits)
    }

    fn copy(&mut self, row: &Row<'_>) {
        self.logits.clear();
        self.logits.extend_from_slice(row.logits());
    }

    /// Takes out all that the loop is made of, so that the next word is a new one; `false` when nothing else is allowed.
    fn escape(&mut self, row: &Row<'_>, piece: &[Token]) -> bool {
        self.copy(row);
        for idx in piece.iter().filter_map(|&token| row.idx(token)) {
            self.logits[idx] = f32::NEG_INFINITY;
        }
        let is_left = allowed_best(&row.with(&self.logits)).is_some_and(|idx| self.logits[idx] > f32::NEG_INFINITY);
        self.n_escapes += usize::from(is_left);
        is_left
    }

    /// As transformers has it: a positive logit is divided, a negative one multiplied, once for each token.
    fn penalise(&mut self, row: &Row<'_>, used: &[Token], penalty: f32) {
        for (n, &token) in used.iter().enumerate() {
            if let Some(idx) = row.idx(token).filter(|_| !used[..n].contains(&token)) {
                let logit = &mut self.logits[idx];
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }
}

/// What a model has written of words for people: the content so far of a message to nobody in particular.
struct Words<'a> {
    tokens: &'a [Token],
    are_thoughts: bool,
}

impl<'a> Words<'a> {
    /// Those at the end of the transcript; `None` where something else is being written. In a transcript without a mark of
    /// harmony everything is words.
    fn at_end(transcript: &'a [Token]) -> Option<Self> {
        let Some(mark) = transcript.iter().rposition(|&token| token >= N_TEXT) else {
            return Some(Self { tokens: transcript, are_thoughts: true });
        };
        let (before, tokens) = (&transcript[..mark], &transcript[mark + 1..]);
        if transcript[mark] != MESSAGE {
            return None;
        }
        let begins = |&token: &Token| token == START || is_terminator(token) || token == MESSAGE;
        let header = &before[before.iter().rposition(begins).map_or(0, |idx| idx + 1)..];
        // The marks in a header stand between words.
        let words = header.split(|&token| token >= N_TEXT).map(tokenizer::decode_lossy).collect::<Vec<_>>().join(" ");
        let is_exact = header.contains(&CONSTRAIN) || words.contains("to=");
        let are_thoughts = words.split_whitespace().any(|word| word == Channel::Analysis.as_str());
        (!is_exact).then_some(Self { tokens, are_thoughts })
    }
}

/// The piece that the tokens end in again and again; empty when they do not.
fn piece_of_loop(tokens: &[Token]) -> &[Token] {
    let is_loop_of = |n_piece: usize| {
        let end = &tokens[tokens.len().checked_sub(MIN_LOOP.max(MIN_TIMES * n_piece))?..];
        (end[n_piece..] == end[..end.len() - n_piece]).then(|| &end[..n_piece])
    };
    (1..=MAX_PIECE).find_map(is_loop_of).unwrap_or_default()
}

fn last(tokens: &[Token], n: usize) -> &[Token] {
    &tokens[tokens.len().saturating_sub(n)..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harmony::special::{CALL, CHANNEL, END};
    use proptest::{collection::vec, prelude::*};

    const FREE: SamplingParams = SamplingParams {
        temperature: 0.0,
        top_p: 1.0,
        top_k: 0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        escape_loops: true,
        seed: 0,
    };
    const PENALTY: SamplingParams = SamplingParams { repetition_penalty: 2.0, escape_loops: false, ..FREE };

    /// A message that is being written, after another one in which `5` was said.
    fn writing(header: &str, is_typed: bool, content: &[Token]) -> Vec<Token> {
        let mut transcript = vec![START, CHANNEL, MESSAGE, 5, 5, END, START];
        transcript.extend(tokenizer::encode_ordinary("assistant"));
        transcript.push(CHANNEL);
        transcript.extend(tokenizer::encode_ordinary(header));
        transcript.extend(is_typed.then_some(CONSTRAIN));
        transcript.push(MESSAGE);
        transcript.extend(content);
        transcript
    }

    fn guarded(params: SamplingParams, logits: &[f32], transcript: &[Token]) -> Vec<f32> {
        let row = Row::Whole { logits, forbidden: &[] };
        Guard::default().apply(&params, &row, transcript).unwrap_or(logits).to_vec()
    }

    #[test]
    fn what_was_just_said_is_penalised_and_nothing_else() {
        let logits = [4.0, -4.0, 0.0, 4.0, f32::NEG_INFINITY, 4.0];
        let penalised = [2.0, -8.0, 0.0, 4.0, f32::NEG_INFINITY, 4.0];
        let said: [Token; 6] = [0, 1, 0, 2, 4, 100_000];
        for (header, is_typed, is_guarded) in [
            ("analysis", false, true),
            ("final", false, true),
            ("commentary", false, true),
            ("commentary to=functions.calc", false, false),
            ("analysis to=python code", false, false),
            ("final", true, false),
        ] {
            let expected = if is_guarded { penalised } else { logits };
            assert_eq!(guarded(PENALTY, &logits, &writing(header, is_typed, &said)), expected, "{header}");
        }
        for end in [CHANNEL, START, END, CALL] {
            let mut transcript = writing("analysis", false, &said);
            transcript.push(end);
            transcript.push(0);
            assert_eq!(guarded(PENALTY, &logits, &transcript), logits, "a header is nobody's words");
        }
        assert_eq!(guarded(PENALTY, &logits, &said), penalised, "without marks all is words");
        let mut to_recipient_first = vec![START];
        to_recipient_first.extend(tokenizer::encode_ordinary("assistant to=functions.calc"));
        to_recipient_first.push(CHANNEL);
        to_recipient_first.extend(tokenizer::encode_ordinary("commentary json"));
        to_recipient_first.extend([MESSAGE, 0, 1]);
        assert_eq!(guarded(PENALTY, &logits, &to_recipient_first), logits);
    }

    #[test]
    fn the_penalty_forgets_what_was_said_long_before() {
        let logits = [1.0; 100];
        let said: Vec<Token> = (0..100).collect();
        let expected: Vec<f32> = (0..100).map(|id| if id < 100 - PENALISED { 1.0 } else { 0.5 }).collect();
        assert_eq!(guarded(PENALTY, &logits, &writing("final", false, &said)), expected);
    }

    #[test]
    fn a_penalty_that_is_no_number_above_0_is_none() {
        for penalty in [1.0, 0.0, -1.0, f32::NAN, f32::INFINITY] {
            let params = SamplingParams { repetition_penalty: penalty, ..PENALTY };
            assert_eq!(guarded(params, &[3.0, -3.0], &[0, 1]), [3.0, -3.0], "{penalty}");
        }
    }

    #[test]
    fn a_loop_of_thoughts_is_left() {
        let logits: Vec<f32> = (0..200).map(|id| 200.0 - id as f32).collect();
        for (n_piece, n) in [(1, 96), (2, 96), (7, 96), (50, 150), (128, 384)] {
            let around: Vec<Token> = (0..n + 3).map(|idx| idx % n_piece).collect();
            let after = |content: &[Token]| guarded(FREE, &logits, &writing("analysis", false, content));
            let left = after(&around[..n as usize]);
            let is_out = |id: usize| (id as Token) < n_piece;
            assert!((0..200).all(|id| (left[id] == f32::NEG_INFINITY) == is_out(id)), "{n_piece}");
            assert_eq!(after(&around[..n as usize - 1]), logits, "{n_piece}: not yet a loop");
            let mut with_text_before = vec![199; 20];
            with_text_before.extend(&around);
            assert_ne!(after(&with_text_before), logits, "{n_piece}");
            let not_a_thought = guarded(FREE, &logits, &writing("final", false, &around));
            assert_eq!(not_a_thought, logits, "an answer may want a row of the same");
            let unasked = SamplingParams { escape_loops: false, ..FREE };
            assert_eq!(guarded(unasked, &logits, &writing("analysis", false, &around)), logits);
        }
        // A table: each row is like the last and has a number of its own.
        let table: Vec<Token> = (0..400).map(|n| if n % 8 == 0 { n } else { n % 8 }).collect();
        assert_eq!(guarded(FREE, &logits, &writing("analysis", false, &table)), logits);
    }

    #[test]
    fn the_mask_wins_and_only_some_loops_are_left() {
        let around: Vec<Token> = [3, 4].repeat(60);
        let mut guard = Guard::default();
        let nothing_else = Row::Few { logits: &[1.0, 2.0], tokens: &[3, 4] };
        assert_eq!(guard.apply(&FREE, &nothing_else, &around), None);
        let forbidden = Row::Whole { logits: &[9.0, 9.0, 9.0, 1.0, 2.0], forbidden: &[0, 1, 2] };
        assert_eq!(guard.apply(&FREE, &forbidden, &around), None);
        let both = SamplingParams { repetition_penalty: 2.0, ..FREE };
        assert_eq!(guard.apply(&both, &nothing_else, &around), Some(&[0.5, 1.0][..]));
        let more = Row::Few { logits: &[1.0, 2.0, -1.0], tokens: &[3, 4, 7] };
        let out = [f32::NEG_INFINITY, f32::NEG_INFINITY, -1.0];
        for _ in 0..MAX_ESCAPES {
            assert_eq!(guard.apply(&FREE, &more, &around), Some(&out[..]));
        }
        assert_eq!(guard.apply(&FREE, &more, &around), None, "it comes back again and again");
    }

    proptest! {
        #[test]
        fn whatever_the_transcript_something_allowed_is_left(
            logits in vec(prop_oneof![Just(f32::NAN), Just(f32::NEG_INFINITY), Just(f32::INFINITY), -9.0..9.0f32], 1..8),
            transcript in vec(prop_oneof![4 => 0u32..8, 1 => N_TEXT..201_100], 0..300),
            times in 1usize..40, repetition_penalty in -1.0..3.0f32,
        ) {
            let row = Row::Whole { logits: &logits, forbidden: &[0] };
            let params = SamplingParams { repetition_penalty, ..FREE };
            let transcript = transcript.repeat(times);
            let before = allowed_best(&row);
            let mut guard = Guard::default();
            let guarded = guard.apply(&params, &row, &transcript).unwrap_or(&logits);
            prop_assert_eq!(guarded.len(), logits.len());
            prop_assert_eq!(allowed_best(&row.with(guarded)).is_some(), before.is_some());
        }
    }
}
