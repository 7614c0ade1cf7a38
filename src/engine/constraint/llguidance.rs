//! The library that masks tokens. With the [`vocabulary`](super::vocabulary) the only file that names llguidance.
//!
//! The vocabulary's tables take about a tenth of a second to build. A program in a hurry calls [`warm`] on a thread of its
//! own while the model loads. Start at [`Matcher`].

use super::vocabulary::{INSIDE, Insides, Vocabulary};
use super::{Allowed, GrammarError};
use crate::harmony::Token;
use llguidance::ParserFactory;
use llguidance::api::{ParserLimits, StopReason, TopLevelGrammar};
use llguidance::toktrie::{InferenceCapabilities, TokEnv};
use std::sync::{Arc, LazyLock};

/// Builds the tables now instead of at the first grammar.
pub fn warm() {
    LazyLock::force(&TABLES);
}

struct Tables {
    factory: ParserFactory,
    vocabulary: Arc<Vocabulary>,
    insides: Arc<Insides>,
}

static TABLES: LazyLock<Result<Tables, String>> = LazyLock::new(|| {
    let vocabulary = Arc::new(Vocabulary::new());
    let env: TokEnv = vocabulary.clone();
    let capabilities = InferenceCapabilities { ff_tokens: true, ..InferenceCapabilities::default() };
    let mut factory =
        ParserFactory::new(&env, capabilities, &[INSIDE.to_owned()]).map_err(|error| error.to_string())?;
    factory.quiet();
    *factory.limits_mut() = ParserLimits { verbose_errors: false, ..ParserLimits::default() };
    let insides = Arc::new(vocabulary.complete());
    Ok(Tables { factory, vocabulary, insides })
});

fn tables() -> Result<&'static Tables, String> {
    TABLES.as_ref().map_err(Clone::clone)
}

/// A compiled grammar and how far tokens have come in it.
#[derive(Clone)]
pub(super) struct Matcher {
    matcher: llguidance::Matcher,
    tables: &'static Tables,
}

/// Room for a set of tokens.
#[derive(Clone, Default)]
pub(super) struct Mask {
    words: Vec<u32>, // bit b of word w is the token 32 w + b
    n: usize,
}

impl Mask {
    pub(super) fn allowed(&self) -> Allowed<'_> {
        Allowed { words: &self.words, n: self.n }
    }
}

impl Matcher {
    /// Compiles a grammar in the library's language, or says why not.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let tables = tables()?;
        let parser = tables.factory.create_parser(TopLevelGrammar::from_lark(text.to_owned())).map(|mut parser| {
            parser.bias_computer = tables.insides.clone();
            parser
        });
        let matcher = llguidance::Matcher::new(parser);
        match matcher.get_error() {
            Some(problem) => Err(problem),
            None => Ok(Self { matcher, tables }),
        }
    }

    /// A copy that shares nothing.
    pub(super) fn apart(&self) -> Self {
        Self { matcher: self.matcher.deep_clone(), tables: self.tables }
    }

    /// The tokens that must come next, as the tokenizer would write them.
    pub(super) fn forced(&mut self) -> Result<Vec<Token>, GrammarError> {
        let ranks = self.matcher.compute_ff_tokens();
        self.check()?;
        Ok(ranks.into_iter().map(|rank| self.tables.vocabulary.token(rank)).collect())
    }

    pub(super) fn accept(&mut self, token: Token) -> bool {
        self.matcher.try_consume_tokens(&[self.tables.vocabulary.rank(token)]).is_ok_and(|n| n == 1)
    }

    /// Whether nothing may follow.
    pub(super) fn is_at_end(&self) -> Result<bool, GrammarError> {
        self.check()?;
        Ok(self.matcher.is_stopped())
    }

    pub(super) fn mask(&mut self, into: &mut Mask) -> Result<(), GrammarError> {
        let ranks = self.matcher.compute_mask().map_err(|error| GrammarError::Stopped(error.to_string()))?;
        self.tables.insides.tokens(&ranks, &mut into.words);
        into.n = ranks.num_set();
        Ok(())
    }

    fn check(&self) -> Result<(), GrammarError> {
        if let Some(problem) = self.matcher.get_error() {
            return Err(GrammarError::Stopped(problem));
        }
        match self.matcher.stop_reason() {
            reason if reason.is_ok() => Ok(()),
            reason => Err(GrammarError::Stopped(reason_text(reason))),
        }
    }
}

fn reason_text(reason: StopReason) -> String {
    match reason {
        StopReason::LexerTooComplex | StopReason::ParserTooComplex => "a schema or a pattern is too complex".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harmony::{special, tokenizer};

    /// The mask is made by us and the library judges single tokens by itself: they agree on every token, wherever there is a
    /// choice (where there is none, the mask has the one token that the tokenizer would write, and a judge takes others too).
    #[test]
    fn what_is_allowed_is_what_would_be_accepted() {
        let text = r#"start: "a" ("[" TEXT "]" | WORD | %json {"type": "object", "properties": {"ab": {"type": "string"},
            "n": {"type": "integer"}}, "required": ["ab"]}) <|end|>
            TEXT: /(.|\n)*/
            WORD: /[a-z]{1,3}\u00e9?/"#;
        let mut n_allowed = Vec::new();
        for written in
            ["", "a", "a[", "a[ \u{1f9b4}", "az", "a{", "a{\"ab\": \"", "a{\"ab\": \"x\\", "a{\"ab\": \"x\"}"]
        {
            let mut matcher = Matcher::compile(text).unwrap();
            for token in tokenizer::encode_ordinary(written) {
                assert!(matcher.accept(token), "{written}");
            }
            let mut mask = Mask::default();
            matcher.mask(&mut mask).unwrap();
            let allowed = mask.allowed();
            for token in 0..special::N_VOCAB as Token {
                let rank = matcher.tables.vocabulary.rank(token);
                let is_accepted = matcher.matcher.validate_tokens(&[rank]).unwrap() == 1;
                assert_eq!(allowed.contains(token), is_accepted, "{written}: {token}");
            }
            assert_eq!(allowed.iter().count(), allowed.n_tokens(), "{written}");
            n_allowed.push(allowed.n_tokens());
        }
        assert!(n_allowed.iter().any(|n| *n > 150_000) && n_allowed.iter().any(|n| *n < 100), "{n_allowed:?}");
    }
}
