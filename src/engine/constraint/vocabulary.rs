//! The vocabulary as llguidance wants it, and fast: in its own order. It knows no grammar. Start at [`Vocabulary::new`].
//!
//! Left to itself the library takes half a second for 200,000 tokens: it sorts them, and it copies its trie five times to
//! index the insides of strings. So tokens get other numbers here, their [`Rank`]s in the order of their bytes, in which a
//! trie is built in passing, and the index is our own [`Insides`].

use crate::harmony::{Token, special, tokenizer};
use llguidance::earley::{BiasComputer, ParserRecognizer};
use llguidance::toktrie::{SimpleVob, TokRxInfo, TokTrie, TokenizerEnv};
use std::sync::{Arc, OnceLock};

/// A token's place among all tokens in the order of their bytes: the token ids of llguidance.
pub(super) type Rank = u32;

/// What a JSON string may contain as it stands. Nearly all of the vocabulary is such text and nothing else.
pub(super) const INSIDE: &str = r#"[^"\\\x00-\x1F\x7F]+"#;

/// o200k_harmony, with its special tokens under the names that a grammar writes: `<|start|>`.
pub(super) struct Vocabulary {
    /// By rank.
    tokens: Vec<Token>,
    /// By token.
    ranks: Vec<Rank>,
    trie: OnceLock<TokTrie>,
    /// A vocabulary of nothing, until [`complete`](Self::complete).
    nothing: TokTrie,
}

impl Vocabulary {
    /// The order alone. The library's factory insists on indexing whatever vocabulary it is given: it gets this one, with no
    /// token in it yet.
    pub(super) fn new() -> Self {
        let mut tokens: Vec<Token> = (0..special::N_VOCAB as Token).collect();
        // Eight bytes decide nearly always, and numbers are compared faster than text.
        let keys: Vec<u64> = tokens.iter().map(|&token| beginning(&word(token))).collect();
        tokens.sort_unstable_by(|&a, &b| {
            keys[a as usize].cmp(&keys[b as usize]).then_with(|| word(a).cmp(&word(b))).then(a.cmp(&b))
        });
        let mut ranks = vec![0; tokens.len()];
        for (rank, &token) in tokens.iter().enumerate() {
            ranks[token as usize] = rank as Rank;
        }
        let nothing = TokTrie::from(&TokRxInfo::new(1, 0), &[Vec::new()]);
        Self { tokens, ranks, trie: OnceLock::new(), nothing }
    }

    /// Builds the trie, and the index in its stead.
    pub(super) fn complete(self: &Arc<Self>) -> Insides {
        let trie = self.trie.get_or_init(|| {
            let words: Vec<Vec<u8>> = self.tokens.iter().map(|&token| word(token)).collect();
            TokTrie::from(&TokRxInfo::new(special::N_VOCAB as u32, self.rank(special::ENDOFTEXT)), &words)
        });
        Insides::new(self.clone(), trie)
    }

    pub(super) fn rank(&self, token: Token) -> Rank {
        // An id beyond the vocabulary stays one.
        self.ranks.get(token as usize).copied().unwrap_or(token)
    }

    pub(super) fn token(&self, rank: Rank) -> Token {
        self.tokens.get(rank as usize).copied().unwrap_or(rank)
    }
}

/// The bytes of a token; none for a reserved one, which is never allowed.
fn word(token: Token) -> Vec<u8> {
    match (tokenizer::decode_bytes(token), special::name(token)) {
        (Some(bytes), _) => bytes.to_vec(),
        (None, Some(name)) => [&[TokTrie::SPECIAL_TOKEN_MARKER], name.as_bytes()].concat(),
        (None, None) => Vec::new(),
    }
}

/// The first eight bytes as a number of the same order.
fn beginning(word: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let n_bytes = word.len().min(8);
    bytes[..n_bytes].copy_from_slice(&word[..n_bytes]);
    u64::from_be_bytes(bytes)
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        self.trie.get().unwrap_or(&self.nothing)
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<Rank> {
        match std::str::from_utf8(bytes) {
            Ok(text) => tokenizer::encode_ordinary(text).into_iter().map(|token| self.rank(token)).collect(),
            Err(_) => self.tok_trie().greedy_tokenize(bytes),
        }
    }
}

/// Which tokens may come next. Where any text of a string's inside may, most of the answer is known beforehand and only the
/// rest of the vocabulary is looked at.
pub(super) struct Insides {
    vocabulary: Arc<Vocabulary>,
    /// The tokens that match [`INSIDE`], by rank and by token.
    inside: SimpleVob,
    inside_tokens: Vec<u32>, // bit b of word w is the token 32 w + b
    /// The trie of all others.
    rest: TokTrie,
}

impl Insides {
    fn new(vocabulary: Arc<Vocabulary>, trie: &TokTrie) -> Self {
        let mut inside = trie.alloc_token_set();
        let mut rest = trie.alloc_token_set();
        let mut inside_tokens = vec![0; special::N_VOCAB.div_ceil(32)];
        for rank in 0..special::N_VOCAB as Rank {
            if is_inside(trie.token(rank)) {
                inside.allow_token(rank);
                set(&mut inside_tokens, vocabulary.token(rank));
            } else {
                rest.allow_token(rank);
            }
        }
        let rest = trie.filter(&rest);
        Self { vocabulary, inside, inside_tokens, rest }
    }

    /// A set of ranks as a set of tokens.
    pub(super) fn tokens(&self, ranks: &SimpleVob, into: &mut Vec<u32>) {
        let (words, inside) = (ranks.as_slice(), self.inside.as_slice());
        let has_inside =
            words.len() >= inside.len() && words.iter().zip(inside).all(|(word, inside)| word & inside == *inside);
        into.clear();
        if has_inside {
            into.extend_from_slice(&self.inside_tokens);
        } else {
            into.resize(self.inside_tokens.len(), 0);
        }
        for (word_idx, &word) in words.iter().enumerate() {
            let known = if has_inside { inside.get(word_idx).copied().unwrap_or(0) } else { 0 };
            let mut left = word & !known;
            while left != 0 {
                set(into, self.vocabulary.token(32 * word_idx as Rank + left.trailing_zeros()));
                left &= left - 1;
            }
        }
    }
}

fn set(words: &mut [u32], token: Token) {
    words[token as usize / 32] |= 1 << (token % 32);
}

/// Whether the bytes match [`INSIDE`].
fn is_inside(bytes: &[u8]) -> bool {
    let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..=0x1F | 0x7F);
    !bytes.is_empty() && bytes.iter().all(is_plain) && std::str::from_utf8(bytes).is_ok()
}

impl BiasComputer for Insides {
    fn compute_bias(&self, parser: &mut ParserRecognizer<'_>, start: &[u8]) -> SimpleVob {
        /// States of the lexer that are tried before it is unknown.
        const BUDGET: u64 = 1000;
        let mut set = self.trie().alloc_token_set();
        let state = parser.lexer_state();
        let is_any_inside = start.is_empty()
            && parser.lexer_mut().subsume_possible(state)
            && parser.lexer_mut().check_subsume(state, 0, BUDGET, None).unwrap_or(false);
        if is_any_inside {
            set.or(&self.inside);
            self.rest.add_bias(parser, &mut set, start);
        } else {
            self.trie().add_bias(parser, &mut set, start);
        }
        set
    }

    fn trie(&self) -> &TokTrie {
        self.vocabulary.tok_trie()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_in_the_order_of_the_bytes() {
        let vocabulary = Vocabulary::new();
        assert!(vocabulary.tokens.iter().map(|&token| word(token)).is_sorted());
        let there_and_back = |token| vocabulary.token(vocabulary.rank(token));
        assert!((0..special::N_VOCAB as Token + 9).all(|token| there_and_back(token) == token));
    }

    #[test]
    fn what_lies_inside_a_string_is_what_the_pattern_says() {
        let mut pattern = llguidance::derivre::Regex::new(INSIDE).unwrap();
        let n_inside = (0..special::N_VOCAB as Token)
            .filter(|&token| {
                let word = word(token);
                assert_eq!(is_inside(&word), !word.is_empty() && pattern.is_match_bytes(&word), "{word:?}");
                is_inside(&word)
            })
            .count();
        assert!(n_inside > 180_000, "{n_inside}");
    }
}
