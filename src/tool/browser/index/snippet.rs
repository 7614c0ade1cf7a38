//! The line of a passage that shows best why it was found, and the words around it.
//!
//! It changes no text but to shorten it. Start at [`best`].

use super::words::{analyzed, analyzer};
use std::collections::BTreeSet;

/// In bytes, of a snippet.
const MAX_SNIPPET: usize = 240;

/// What is shown of a passage.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Best {
    /// The line in it, from 0; `None` when no line has a word of what is sought.
    pub(super) line: Option<usize>,
    /// A few words of it.
    pub(super) snippet: String,
}

/// The first of the lines that have most of the words. A heading is shown with what follows it.
pub(super) fn best(passage: &str, words: &BTreeSet<&str>) -> Best {
    let mut analyzer = analyzer(false);
    let lines: Vec<&str> = passage.split('\n').collect();
    let (mut line, mut at, mut most) = (0, 0, 0);
    for (n, text) in lines.iter().enumerate() {
        let tokens = analyzed(&mut analyzer, text);
        let met: BTreeSet<_> =
            tokens.iter().map(|token| token.text.as_str()).filter(|word| words.contains(word)).collect();
        if met.len() > most {
            most = met.len();
            line = n;
            at = tokens.iter().find(|token| met.contains(token.text.as_str())).map_or(0, |token| token.offset_from);
        }
    }
    if most == 0 {
        let text = lines.iter().map(|line| plain(line)).find(|line| !line.is_empty()).unwrap_or_default();
        return Best { line: None, snippet: cut(text, 0) };
    }
    let text = plain(lines[line]);
    let next = lines[line + 1..].iter().map(|line| plain(line)).find(|line| !line.is_empty());
    let snippet = match next {
        Some(next) if lines[line].starts_with('#') => cut(&format!("{text}: {next}"), 0),
        _ => cut(text, at.saturating_sub(lines[line].len() - lines[line].trim_start().len())),
    };
    Best { line: Some(line), snippet }
}

/// A line without what marks it as a heading, a quotation or an item of a list.
fn plain(line: &str) -> &str {
    line.trim().trim_start_matches(['#', '>', '*', '-', '+', ' ', '\t']).trim()
}

/// A text that is not too long, with what stands at a byte of it.
fn cut(text: &str, at: usize) -> String {
    if text.len() <= MAX_SNIPPET {
        return text.to_owned();
    }
    // A third of it stands before.
    let from = match at.checked_sub(MAX_SNIPPET / 3) {
        None | Some(0) => 0,
        Some(from) => {
            let from = text.floor_char_boundary(from.min(text.len()));
            from + text[from..].find(' ').filter(|n| *n < MAX_SNIPPET / 4).map_or(0, |n| n + 1)
        }
    };
    let to = text.floor_char_boundary((from + MAX_SNIPPET).min(text.len()));
    let to = match text[from..to].rfind(' ') {
        Some(n) if to < text.len() && n > MAX_SNIPPET / 2 => from + n,
        _ => to,
    };
    let (before, after) = (if from > 0 { "… " } else { "" }, if to < text.len() { " …" } else { "" });
    format!("{before}{}{after}", text[from..to].trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::browser::index::query::Sought;

    #[track_caller]
    fn check(passage: &str, query: &str, line: Option<usize>, snippet: &str) {
        let sought = Sought::parse(query);
        assert_eq!(best(passage, &sought.words()), Best { line, snippet: snippet.into() }, "{query}");
    }

    #[test]
    fn the_line_with_most_of_the_words_is_shown() {
        let passage = "# House\n\nKeys are in the box.\n* The harbour keys hang behind the door.\nharbour";
        check(passage, "harbour keys", Some(3), "The harbour keys hang behind the door.");
        check(passage, "box", Some(2), "Keys are in the box.");
        check(passage, "houses", Some(0), "House: Keys are in the box.");
        check(passage, "absent", None, "House");
        check("", "absent", None, "");
    }

    #[test]
    fn a_long_line_is_shown_around_the_word() {
        let line = format!("{}needle {}", "before ".repeat(100), "after ".repeat(100));
        let shown = best(&line, &["needl"].into());
        assert!(shown.snippet.contains("needle") && shown.snippet.len() <= MAX_SNIPPET + 10, "{}", shown.snippet);
        assert!(shown.snippet.starts_with("… before") && shown.snippet.ends_with("after …"), "{}", shown.snippet);
    }

    proptest::proptest! {
        #[test]
        fn every_passage_has_a_snippet(passage in "(?s)[a-cé東京# \n]{0,400}", word in "[a-cé東]{1,2}") {
            let sought = Sought::parse(&word);
            let shown = best(&passage, &sought.words());
            assert!(shown.snippet.len() <= MAX_SNIPPET + 10);
            assert!(shown.line.is_none_or(|line| line < passage.split('\n').count()));
        }
    }
}
