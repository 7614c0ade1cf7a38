//! The library that masks tokens, and the vocabulary as it wants it. The only file that names llguidance.
//!
//! The vocabulary's tables take some tenths of a second to build. A program in a hurry calls [`warm`] on a thread of its own
//! while the model loads. Start at [`Matcher`].

use super::{Allowed, GrammarError};
use crate::harmony::{Token, special, tokenizer};
use llguidance::api::{StopReason, TopLevelGrammar};
use llguidance::toktrie::{InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie, TokenizerEnv};
use llguidance::{ParserFactory, api::ParserLimits};
use std::sync::{Arc, LazyLock};

/// Builds the tables now instead of at the first grammar.
pub fn warm() {
    LazyLock::force(&FACTORY);
}

static FACTORY: LazyLock<Result<ParserFactory, String>> = LazyLock::new(|| {
    let vocabulary: TokEnv = Arc::new(Vocabulary::new());
    let capabilities = InferenceCapabilities { ff_tokens: true, ..InferenceCapabilities::default() };
    // The tokens of a string's inside, whose mask is kept ready: it is most of the vocabulary.
    let slices = [r#"[^"\\\x00-\x1F\x7F]+"#.to_owned()];
    let mut factory = ParserFactory::new(&vocabulary, capabilities, &slices).map_err(|error| error.to_string())?;
    factory.quiet();
    *factory.limits_mut() = ParserLimits { verbose_errors: false, ..ParserLimits::default() };
    Ok(factory)
});

/// o200k_harmony, with its special tokens under the names that a grammar writes: `<|start|>`.
struct Vocabulary {
    trie: TokTrie,
}

impl Vocabulary {
    fn new() -> Self {
        let words: Vec<Vec<u8>> = (0..special::N_VOCAB as Token)
            .map(|token| match (tokenizer::decode_bytes(token), special::name(token)) {
                (Some(bytes), _) => bytes.to_vec(),
                (None, Some(name)) => [&[TokTrie::SPECIAL_TOKEN_MARKER], name.as_bytes()].concat(),
                // Reserved: never allowed.
                (None, None) => Vec::new(),
            })
            .collect();
        let info = TokRxInfo::new(special::N_VOCAB as u32, special::ENDOFTEXT);
        Self { trie: TokTrie::from(&info, &words) }
    }
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<Token> {
        match std::str::from_utf8(bytes) {
            Ok(text) => tokenizer::encode_ordinary(text),
            Err(_) => self.trie.greedy_tokenize(bytes),
        }
    }
}

/// A compiled grammar and how far tokens have come in it.
#[derive(Clone)]
pub(super) struct Matcher(llguidance::Matcher);

/// Room for a set of tokens.
#[derive(Clone, Default)]
pub(super) struct Mask {
    set: SimpleVob,
}

impl Mask {
    pub(super) fn allowed(&self) -> Allowed<'_> {
        Allowed { words: self.set.as_slice(), n: self.set.num_set() }
    }
}

impl Matcher {
    /// Compiles a grammar in the library's language, or says why not.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let factory = FACTORY.as_ref().map_err(Clone::clone)?;
        let parser = factory.create_parser(TopLevelGrammar::from_lark(text.to_owned()));
        let matcher = llguidance::Matcher::new(parser);
        match matcher.get_error() {
            Some(problem) => Err(problem),
            None => Ok(Self(matcher)),
        }
    }

    /// A copy that shares nothing.
    pub(super) fn apart(&self) -> Self {
        Self(self.0.deep_clone())
    }

    /// The tokens that must come next, as the tokenizer would write them.
    pub(super) fn forced(&mut self) -> Result<Vec<Token>, GrammarError> {
        let tokens = self.0.compute_ff_tokens();
        self.check().map(|()| tokens)
    }

    pub(super) fn accept(&mut self, token: Token) -> bool {
        self.0.try_consume_tokens(&[token]).is_ok_and(|n| n == 1)
    }

    /// Whether nothing may follow.
    pub(super) fn is_at_end(&self) -> Result<bool, GrammarError> {
        self.check()?;
        Ok(self.0.is_stopped())
    }

    pub(super) fn mask(&mut self, into: &mut Mask) -> Result<(), GrammarError> {
        into.set = self.0.compute_mask().map_err(|error| GrammarError::Stopped(error.to_string()))?;
        Ok(())
    }

    fn check(&self) -> Result<(), GrammarError> {
        if let Some(problem) = self.0.get_error() {
            return Err(GrammarError::Stopped(problem));
        }
        match self.0.stop_reason() {
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
