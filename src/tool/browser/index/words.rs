//! What counts as a word: how texts and queries are cut and folded, so that what is meant to match does.
//!
//! It is no language's own: letters lose their case and their accents, English endings are cut off, and scripts without spaces
//! are cut into single signs and pairs of them. Start at [`analyzer`]; [`words`] is the part that is ours.

use tantivy::tokenizer::{Language, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer};
use unicode_normalization::UnicodeNormalization;

/// In characters. What is longer (a hash, a picture in base64) is nobody's word.
const MAX_WORD: usize = 64;

/// The name under which the analyzer is known to the index.
pub(super) const ANALYZER: &str = "words";

/// What cuts texts; for a query, single signs that stand in a pair too are left out.
pub(super) fn analyzer(is_query: bool) -> TextAnalyzer {
    TextAnalyzer::builder(Words { is_query }).filter(Stemmer::new(Language::English)).build()
}

/// All words of a text, as they are compared.
pub(super) fn analyzed(analyzer: &mut TextAnalyzer, text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    analyzer.token_stream(text).process(&mut |token| tokens.push(token.clone()));
    tokens
}

#[derive(Clone, Copy)]
struct Words {
    is_query: bool,
}

impl Tokenizer for Words {
    type TokenStream<'a> = Cut;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Cut {
        Cut { tokens: words(text, self.is_query), n_given: 0 }
    }
}

/// The words of a text, one after the other.
struct Cut {
    tokens: Vec<Token>,
    n_given: usize,
}

impl TokenStream for Cut {
    fn advance(&mut self) -> bool {
        self.n_given += 1;
        self.n_given <= self.tokens.len()
    }

    fn token(&self) -> &Token {
        &self.tokens[self.n_given - 1]
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.tokens[self.n_given - 1]
    }
}

/// How a character stands with its neighbours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Between words.
    Gap,
    /// Of a script in which spaces part words.
    Spaced,
    /// Of one in which they do not.
    Unspaced,
}

/// A text's words in order, folded and not yet stemmed.
fn words(text: &str, is_query: bool) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut position = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((from, c)) = chars.next() {
        let kind = kind(c, Kind::Gap);
        if kind == Kind::Gap {
            continue;
        }
        let mut to = from + c.len_utf8();
        while let Some((at, c)) = chars.next_if(|(_, c)| self::kind(*c, kind) == kind) {
            to = at + c.len_utf8();
        }
        match kind {
            Kind::Unspaced => position = grams(text, (from, to), position, is_query, &mut tokens),
            _ => {
                let word = folded(&text[from..to]);
                if !word.is_empty() && word.chars().count() <= MAX_WORD {
                    tokens.push(token(word, (from, to), position));
                }
                position += 1;
            }
        }
    }
    tokens
}

/// Each sign of a run, and each pair of neighbours: whoever looks for two signs finds them, wherever a word may begin. The
/// position after them is returned.
fn grams(text: &str, run: (usize, usize), position: usize, is_query: bool, tokens: &mut Vec<Token>) -> usize {
    let signs: Vec<(usize, char)> = text[run.0..run.1].char_indices().map(|(at, c)| (run.0 + at, c)).collect();
    let end = |n: usize| signs.get(n).map_or(run.1, |(at, _)| *at);
    let composed = |text: &str| text.nfkc().flat_map(char::to_lowercase).collect::<String>();
    for (n, (from, _)) in signs.iter().enumerate() {
        if !is_query || signs.len() == 1 {
            tokens.push(token(composed(&text[*from..end(n + 1)]), (*from, end(n + 1)), position + n));
        }
        if n + 1 < signs.len() {
            tokens.push(token(composed(&text[*from..end(n + 2)]), (*from, end(n + 2)), position + n));
        }
    }
    position + signs.len()
}

fn token(text: String, (offset_from, offset_to): (usize, usize), position: usize) -> Token {
    Token { offset_from, offset_to, position, text, position_length: 1 }
}

/// What a character is, after one of `before`: a mark belongs to what it stands on.
fn kind(c: char, before: Kind) -> Kind {
    match c {
        '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}' => before,
        c if c.is_ascii() => {
            if c.is_ascii_alphanumeric() {
                Kind::Spaced
            } else {
                Kind::Gap
            }
        }
        // Thai and Lao; Myanmar; Khmer; Hangul's letters.
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{1100}'..='\u{11ff}'
            if c.is_alphanumeric() =>
        {
            Kind::Unspaced
        }
        // Marks and vowel signs of these are signs too.
        '\u{e31}'..='\u{e4e}' | '\u{102b}'..='\u{103e}' | '\u{17b4}'..='\u{17d3}' => Kind::Unspaced,
        // Kana, Bopomofo, Hangul, Han with its extensions, and the half and full widths of kana.
        '\u{3005}'..='\u{3007}'
        | '\u{3041}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{3ffff}' => Kind::Unspaced,
        c if c.is_alphanumeric() => Kind::Spaced,
        // A virama joins what a reader sees as one.
        '\u{94d}' | '\u{9cd}' | '\u{a4d}' | '\u{acd}' | '\u{b4d}' | '\u{bcd}' | '\u{c4d}' | '\u{ccd}' | '\u{d4d}' => {
            before
        }
        _ => Kind::Gap,
    }
}

/// A word without case and accents.
fn folded(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(word.len());
    for c in word.chars().flat_map(char::to_lowercase).nfkd() {
        match c {
            '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}' => {}
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'đ' | 'ð' => folded.push('d'),
            'ł' => folded.push('l'),
            'ı' => folded.push('i'),
            'þ' => folded.push_str("th"),
            'ς' => folded.push('σ'),
            // Compatibility decomposition gives capitals and signs too.
            c => folded.extend(c.to_lowercase()),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str, is_query: bool) -> Vec<String> {
        analyzed(&mut analyzer(is_query), text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn what_is_meant_to_match_is_the_same_word() {
        for (a, b) in [
            ("Harbour", "harbour"),
            ("keys", "key"),
            ("hanging", "hang"),
            ("Café", "cafe"),
            ("cafe\u{301}", "café"),
            ("Straße", "STRASSE"),
            ("Łódź", "lodz"),
            ("ΟΔΟΣ", "οδός"),
            ("ёлка", "Елка"),
            ("ＡＢＣ", "abc"),
            ("İstanbul", "istanbul"),
            ("ﬁsh", "fish"),
            ("ｶﾅ", "カナ"),
        ] {
            assert_eq!(terms(a, true), terms(b, true), "{a} {b}");
        }
        assert_ne!(terms("harbour", true), terms("harvest", true));
    }

    #[test]
    fn texts_are_cut_where_words_end() {
        for (text, expect) in [
            ("", &[][..]),
            ("a-b_c.md", &["a", "b", "c", "md"]),
            ("the boat's log, 2024-05-01", &["the", "boat", "s", "log", "2024", "05", "01"]),
            ("【0†x】", &["0", "x"]),
            ("हिन्दी भाषा", &["हिन्दी", "भाषा"]),
            ("東京都 x", &["東", "東京", "京", "京都", "都", "x"]),
            ("猫", &["猫"]),
        ] {
            assert_eq!(terms(text, false), expect, "{text}");
        }
        assert_eq!(terms("東京都", true), ["東京", "京都"]);
        assert_eq!(terms("猫", true), ["猫"]);
        assert!(terms(&"x".repeat(MAX_WORD + 1), false).is_empty());
    }

    #[test]
    fn positions_tell_neighbours() {
        let positions = |text: &str| -> Vec<_> {
            analyzed(&mut analyzer(false), text).into_iter().map(|token| token.position).collect()
        };
        assert_eq!(positions("a b, c"), [0, 1, 2]);
        assert_eq!(positions(&format!("a {} c", "x".repeat(99))), [0, 2]);
        assert_eq!(positions("東京 x"), [0, 0, 1, 2]);
    }

    proptest::proptest! {
        #[test]
        fn offsets_are_where_the_words_stand(text in "\\PC{0,60}", is_query in proptest::bool::ANY) {
            let mut position = 0;
            for token in analyzed(&mut analyzer(is_query), &text) {
                assert!(text.get(token.offset_from..token.offset_to).is_some_and(|word| !word.is_empty()));
                assert!(token.position >= position && !token.text.is_empty());
                position = token.position;
            }
        }

        /// A query is cut as the text is, so that a text is found by its own words.
        #[test]
        fn a_query_has_only_words_of_its_text(text in "[a-zé 東京都ก้าวคำ한국]{0,30}") {
            let whole = terms(&text, false);
            assert!(terms(&text, true).iter().all(|word| whole.contains(word)), "{text}");
        }
    }
}
