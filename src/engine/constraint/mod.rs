//! A [`TurnGrammar`] made executable: which tokens may come next, which must, and how a turn is brought to its end.
//!
//! What it is not: it samples nothing and runs no model. The grammar language is `lark`'s matter; the library that masks
//! tokens is named in `llguidance` and `vocabulary` alone. Start at [`CompiledGrammar::new`] and [`Constraint::next`].

mod closing;
#[cfg(test)]
mod instances;
mod json;
mod lark;
mod llguidance;
mod region;
mod schema;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use llguidance::warm;
pub use schema::Inexpressible;

use crate::harmony::{CallGrammar, Channel, Encoding, Token, TurnGrammar, special, tokenizer};
use closing::close;
use llguidance::{Mask, Matcher};
use region::Regions;
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;

/// A grammar that is ready for use. Compiled once for a set of tools; costs little to copy.
#[derive(Clone)]
pub struct CompiledGrammar {
    matcher: Matcher,
    grammar: Arc<TurnGrammar>,
    /// For each pattern of the schemas a text that satisfies it, where one was found.
    witnesses: Arc<Vec<Vec<Token>>>,
}

/// Why a grammar cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// What is sent to a recipient, or the answer's format, cannot be turned into a grammar.
    #[error("the schema of {of} cannot be enforced while a model writes: {reason}")]
    Schema {
        /// The recipient, or `the answer`.
        of: String,
        /// Where and why.
        reason: Inexpressible,
    },
    /// No text at all fits.
    #[error("nothing can be written: there is no tool to call, and no answer is allowed")]
    Empty,
    /// Each part compiles and the whole does not.
    #[error("the tools' schemas make a grammar that is too large: {0}")]
    TooLarge(String),
    /// It ran out of its bounds while a model wrote.
    #[error("the grammar could not be followed further: {0}")]
    Stopped(String),
}

/// What comes next.
#[derive(Debug)]
pub enum Next<'a> {
    /// These tokens and no others, in this order.
    Forced(Vec<Token>),
    /// One of these.
    Choice(Allowed<'a>),
    /// Nothing: the turn is whole.
    End,
}

/// A set of tokens. Never empty.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<'a> {
    words: &'a [u32], // bit b of word w is the token 32 w + b
    n: usize,
}

impl Allowed<'_> {
    /// How many there are.
    pub fn n_tokens(&self) -> usize {
        self.n
    }

    /// Whether the token is among them.
    pub fn contains(&self, token: Token) -> bool {
        self.words.get(token as usize / 32).is_some_and(|word| word >> (token % 32) & 1 == 1)
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Token> {
        self.words.iter().enumerate().flat_map(|(word_idx, &word)| bits(word_idx, word))
    }

    /// All others of a vocabulary of `n_vocab`, ascending.
    pub fn others(&self, n_vocab: usize) -> impl Iterator<Item = Token> {
        let n_words = n_vocab.div_ceil(32);
        let words = self.words.iter().copied().chain(std::iter::repeat(0)).take(n_words);
        let all = words.enumerate().flat_map(|(word_idx, word)| bits(word_idx, !word));
        all.take_while(move |&token| (token as usize) < n_vocab)
    }
}

/// The tokens that a word of the set stands for.
fn bits(word_idx: usize, mut word: u32) -> impl Iterator<Item = Token> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(32 * word_idx as Token + bit)
    })
}

impl CompiledGrammar {
    /// Compiles it. Takes milliseconds, and about a tenth of a second more the first time in a process unless [`warm`] was
    /// called before.
    pub fn new(grammar: Arc<TurnGrammar>) -> Result<Self, GrammarError> {
        if grammar.calls.is_empty() && grammar.answer.is_none() {
            return Err(GrammarError::Empty);
        }
        // Compiling descends into schemas, which may be nested deeper than a small stack bears.
        let compile = || Self::compile(grammar);
        thread::scope(|scope| {
            let thread = thread::Builder::new().name("grammar".into()).stack_size(STACK).spawn_scoped(scope, compile);
            let crashed = || GrammarError::Stopped("its compiler crashed; this is a bug".into());
            thread.map_err(|error| GrammarError::Stopped(error.to_string()))?.join().unwrap_or_else(|_| Err(crashed()))
        })
    }

    fn compile(grammar: Arc<TurnGrammar>) -> Result<Self, GrammarError> {
        match Matcher::compile(&lark::turn(&grammar)?) {
            Ok(matcher) => Self { matcher, witnesses: Arc::new(schema::witnesses(&grammar)), grammar }.tried(),
            Err(problem) => Err(schema::blame(&grammar).unwrap_or(GrammarError::TooLarge(problem))),
        }
    }

    /// Itself, when each call and the answer can be written to its end: a schema may compile and contradict itself, or ask
    /// for more than can be followed.
    fn tried(self) -> Result<Self, GrammarError> {
        let call = |call: &CallGrammar| {
            let mut header = vec![special::CHANNEL];
            header.extend(tokenizer::encode_ordinary(&format!("{} to={}", call.channel.as_str(), call.recipient)));
            header.push(special::MESSAGE);
            (call.recipient.clone(), header)
        };
        let answer = || ("the answer".to_owned(), Encoding::new().header(Channel::Final));
        let start = Constraint::start(&self, &[]).ok_or(GrammarError::Empty)?;
        for (of, header) in self.grammar.calls.iter().map(call).chain(self.grammar.answer.iter().map(|_| answer())) {
            let mut constraint = start.clone();
            if constraint.follow(&header).is_err() || close(&constraint, MAX_SHORTEST).is_none() {
                let why = "nothing that fits can be written to its end; it contradicts itself, or asks for too much";
                return Err(GrammarError::Schema {
                    of,
                    reason: Inexpressible { path: String::new(), why: why.into() },
                });
            }
        }
        Ok(self)
    }
}

/// Bytes of stack for compiling.
const STACK: usize = 64 << 20;

/// A call or an answer whose shortest form takes more tokens is refused beforehand.
const MAX_SHORTEST: usize = 2_048;

/// The state of one generation.
#[derive(Clone)]
pub struct Constraint {
    matcher: Matcher,
    regions: Regions,
    witnesses: Arc<Vec<Vec<Token>>>,
    /// A way out from here, once one was looked for: the turn closes within the budget as long as it is followed.
    way: Option<VecDeque<Token>>,
    mask: Mask,
}

fn no_way() -> GrammarError {
    GrammarError::Stopped("a token was taken that it does not allow".into())
}

/// With so many tokens left, or fewer, a token is taken only when the turn can still be closed after it.
const CAREFUL: usize = 2 * MAX_SHORTEST;

impl Constraint {
    /// The state after `written`, what the prompt already holds of the turn: a header, or nothing.
    ///
    /// `None` when the grammar does not allow that.
    pub fn start(compiled: &CompiledGrammar, written: &[Token]) -> Option<Self> {
        let mut constraint = Self {
            // What one generation spends of the library's bounds is no other's.
            matcher: compiled.matcher.apart(),
            regions: Regions::new(compiled.grammar.clone()),
            witnesses: compiled.witnesses.clone(),
            way: None,
            mask: Mask::default(),
        };
        written.iter().all(|&token| constraint.accept(token)).then_some(constraint)
    }

    /// What may follow, when at most `n_left` more tokens are to be generated.
    pub fn next(&mut self, n_left: usize) -> Result<Next<'_>, GrammarError> {
        let forced = self.matcher.forced()?;
        if !forced.is_empty() {
            return Ok(Next::Forced(forced));
        }
        if self.matcher.is_at_end()? {
            return Ok(Next::End);
        }
        if self.regions.is_full() {
            self.way = self.way.take().or_else(|| close(self, n_left));
            if let Some(first) = self.way.as_ref().and_then(|way| way.front().copied()) {
                return Ok(Next::Forced(vec![first]));
            }
        }
        self.matcher.mask(&mut self.mask)?;
        Ok(Next::Choice(self.mask.allowed()))
    }

    /// Takes a token; `false` when it is not allowed.
    pub fn accept(&mut self, token: Token) -> bool {
        let is_allowed = self.matcher.accept(token);
        if is_allowed {
            self.regions.push(token);
            self.way = self.way.take().filter(|way| way.front() == Some(&token)).map(|mut way| {
                way.pop_front();
                way
            });
        }
        is_allowed
    }

    /// Takes tokens that [`Self::next`] has forced.
    pub fn follow(&mut self, tokens: &[Token]) -> Result<(), GrammarError> {
        tokens.iter().all(|&token| self.accept(token)).then_some(()).ok_or_else(no_way)
    }

    /// Takes an allowed token, or in its place the next one of a short way out, when after it the turn could not be closed
    /// in the `n_left` tokens that are left before it. Returns the one taken.
    pub fn settle(&mut self, token: Token, n_left: usize) -> Result<Token, GrammarError> {
        let spoils = self.regions.is_spoilt_by(token);
        if n_left > CAREFUL && !spoils {
            return self.accept(token).then_some(token).ok_or_else(no_way);
        }
        if !spoils {
            let mut after = self.clone();
            if after.accept(token) {
                after.way = close(&after, n_left - 1);
                if after.way.is_some() {
                    *self = after;
                    return Ok(token);
                }
            }
        }
        self.way = self.way.take().or_else(|| close(self, n_left));
        let token = match self.way.as_ref().and_then(|way| way.front().copied()) {
            Some(first) => first,
            None if spoils => return Err(GrammarError::Stopped("no allowed token leads to an end".into())),
            // The budget was too small from the beginning: the turn goes on and is cut off.
            None => token,
        };
        self.accept(token).then_some(token).ok_or_else(no_way)
    }
}
