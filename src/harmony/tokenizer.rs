//! Text to token ids and back in o200k_harmony, whose text part is o200k_base. Not here: special tokens, which have no
//! text and which no text becomes. Start at [`encode_ordinary`] and [`decode_bytes`].
//!
//! The tables are built on first use (about 50 ms); a program that is in a hurry calls [`warm`] on a thread of its own.

use super::{Token, special::N_TEXT};

/// Builds the tables now instead of on first use.
pub fn warm() {
    bpe_openai::o200k_base();
}

/// The tokens of a text. Whatever the text contains, `<|start|>` written out included, they are ordinary tokens.
pub fn encode_ordinary(text: &str) -> Vec<Token> {
    bpe_openai::o200k_base().encode(text)
}

/// The bytes of a token; `None` for special, reserved and unknown ids. A token may end in the middle of a character.
pub fn decode_bytes(token: Token) -> Option<&'static [u8]> {
    (token < N_TEXT).then(|| bpe_openai::o200k_base().bpe.token_bytes(token))
}

/// The text of tokens for people to read: invalid UTF-8 becomes U+FFFD, and ids without bytes are left out.
pub fn decode_lossy(tokens: &[Token]) -> String {
    let bytes: Vec<u8> = tokens.iter().filter_map(|&token| decode_bytes(token)).flatten().copied().collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harmony::special;

    #[test]
    fn the_ids_that_the_format_is_written_in() {
        for (text, ids) in [
            (" to", &[316][..]),
            ("=", &[28]),
            ("assistant", &[173_781]),
            ("analysis", &[35_644]),
            ("final", &[17_196]),
            ("commentary", &[12_606, 815]),
            ("", &[]),
        ] {
            assert_eq!(encode_ordinary(text), ids, "{text:?}");
        }
    }

    #[test]
    fn markup_in_text_stays_text() {
        for text in ["<|start|>", "<|endoftext|>", "<|reserved_200000|>", "a<|call|>b"] {
            let ids = encode_ordinary(text);
            assert!(ids.iter().all(|&id| id < N_TEXT), "{text}: {ids:?}");
            assert_eq!(decode_lossy(&ids), text);
        }
    }

    #[test]
    fn only_text_has_bytes() {
        assert_eq!(decode_bytes(0), Some(&b"!"[..]));
        assert!(decode_bytes(N_TEXT - 1).is_some());
        for token in [N_TEXT, special::ENDOFTEXT, special::START, 201_087, 201_088, Token::MAX] {
            assert_eq!(decode_bytes(token), None, "{token}");
        }
    }
}
