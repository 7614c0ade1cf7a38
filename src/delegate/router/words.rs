//! A line of the user's as the rules of [`super::class`] read it: small letters, and only what the user says
//! themselves.
//!
//! No grammar and no model: what is quoted, pasted or code is somebody else's words. Start at [`Words::of`].

/// Bytes that are read of a line. What a user wants stands at its beginning or at its end.
const MAX_READ: usize = 2_000;
/// What parts the phrases of a list.
const LISTED: &str = ", ";
/// Words in quotes from which on they are somebody else's.
const MIN_QUOTED: usize = 3;

/// The words of a line, small, with single spaces between, before and after: ` draw a cat `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words(String);

impl Words {
    /// Reads the beginning and the end of a line.
    pub(super) fn of(line: &str) -> Self {
        let own = own(&ends(line));
        let mut words = String::from(" ");
        for c in own.chars().flat_map(char::to_lowercase) {
            // The points of `photo.png` and `cloud.ask` belong to the word.
            if c.is_alphanumeric() || matches!(c, '.' | '_' | '\'' | '/' | '~') {
                words.push(c);
            } else {
                words.push(' ');
                if matches!(c, ':' | '!' | '?' | ',' | ';') {
                    words.push(c);
                    words.push(' ');
                }
            }
        }
        let mut plain = String::from(" ");
        for word in words.split(' ').map(|word| word.trim_end_matches('.')).filter(|word| !word.is_empty()) {
            plain.push_str(word.strip_suffix('\'').unwrap_or(word).trim_start_matches('\''));
            plain.push(' ');
        }
        Self(plain)
    }

    /// Whether one of these, parted by `, `, stands in it, as whole words. `*` at the end of one stands for the rest
    /// of a word.
    pub(super) fn has(&self, phrases: &str) -> bool {
        phrases.split(LISTED).any(|phrase| self.find(phrase).is_some())
    }

    /// Whether it begins with one of these, `please` and the like aside.
    pub(super) fn begins(&self, phrases: &str) -> bool {
        const POLITE: &str = "please can could would you now hey bitte kannst könntest du mir me , i ok";
        let mut rest = self.0.as_str();
        loop {
            let word = rest.trim_start().split(' ').next().unwrap_or_default();
            let from_here = Self(format!(" {}", rest.trim_start()));
            if phrases.split(LISTED).any(|phrase| from_here.find(phrase) == Some(0)) {
                return true;
            }
            if word.is_empty() || !POLITE.split(' ').any(|polite| polite == word) {
                return false;
            }
            rest = &rest.trim_start()[word.len()..];
        }
    }

    /// Whether a word of the first stands before one of the second, with so many words between at most. `*` stands for
    /// the rest of a word, at its end or at its beginning.
    pub(super) fn has_near(&self, first: &str, second: &str, max_between: usize) -> bool {
        let words: Vec<&str> = self.0.split_whitespace().collect();
        let is_any = |word: &str, of: &str| {
            of.split(LISTED).any(|phrase| match (phrase.strip_suffix('*'), phrase.strip_prefix('*')) {
                (Some(stem), _) => word.starts_with(stem),
                (None, Some(end)) => word.ends_with(end),
                (None, None) => word == phrase,
            })
        };
        words.iter().enumerate().filter(|(_, word)| is_any(word, first)).any(|(at, _)| {
            let near = words[at + 1..].iter().take(max_between + 1);
            near.take_while(|word| !matches!(**word, ":" | "?" | "!" | ";")).any(|word| is_any(word, second))
        })
    }

    /// Each of them.
    pub(super) fn each(&self) -> impl Iterator<Item = &str> {
        self.0.split_whitespace()
    }

    /// How many words it has.
    pub(super) fn len(&self) -> usize {
        self.0.split_whitespace().count()
    }

    fn find(&self, phrase: &str) -> Option<usize> {
        let (stem, is_whole) = phrase.strip_suffix('*').map_or((phrase, true), |stem| (stem, false));
        let is_end = |at: usize| !is_whole || self.0[at + stem.len()..].starts_with(' ');
        let mut found = self.0.match_indices(stem).map(|(at, _)| at);
        found.find(|at| self.0[..*at].ends_with(' ') && is_end(*at)).map(|at| at - 1)
    }
}

/// The first and the last bytes of a long line.
fn ends(line: &str) -> String {
    if line.len() <= MAX_READ {
        return line.to_owned();
    }
    let half = MAX_READ / 2;
    let first = (0..=half).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    let last = (line.len() - half..=line.len()).find(|at| line.is_char_boundary(*at)).unwrap_or(line.len());
    format!("{}\n{}", &line[..first], &line[last..])
}

/// Without fenced code, quoted lines, `<stdin>` blocks, and quotations of some length.
fn own(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let (mut is_fenced, mut is_input) = (false, false);
    for part in line.split_inclusive('\n') {
        let trimmed = part.trim_start();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            is_fenced = !is_fenced;
            continue;
        }
        is_input |= trimmed.starts_with("<stdin>");
        if !is_fenced && !is_input && !trimmed.starts_with('>') {
            kept.push_str(part);
        }
        is_input &= !part.contains("</stdin>");
    }
    without_quotations(&kept)
}

fn without_quotations(text: &str) -> String {
    const PAIRS: [(char, char); 6] = [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('»', '«'), ('\'', '\'')];
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let is_open = c != '\'' || kept.is_empty() || kept.ends_with(|c: char| c.is_whitespace() || c == '(');
        let close = PAIRS.iter().find(|(open, _)| *open == c && is_open).map(|(_, close)| *close);
        // An apostrophe closes nothing.
        let is_end = |at: usize, end: char| end != '\'' || !after[at + 1..].starts_with(char::is_alphanumeric);
        let closed = close
            .and_then(|end| after.match_indices(end).map(|(at, _)| at).find(|at| is_end(*at, end)).map(|at| (at, end)));
        match closed {
            Some((at, end)) if after[..at].split_whitespace().count() >= MIN_QUOTED => {
                kept.push(' ');
                rest = &after[at + end.len_utf8()..];
            }
            _ => {
                kept.push(c);
                rest = after;
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_users_own_words_are_read() {
        for (line, expect) in [
            ("Draw a cat!", " draw a cat ! "),
            ("Edit photo.png, please.", " edit photo.png , please "),
            ("What does \"draw a picture\" mean?", " what does mean ? "),
            ("Say 'no' to it, it's John's.", " say no to it , it's john's "),
            ("Look:\n> draw a cat\nand", " look : and "),
            ("a\n```\ndraw\n```\nb", " a b "),
            ("<stdin>\nask the cloud\n</stdin>\nGo", " go "),
            ("„Nutze die Cloud bitte.“ Was heißt das?", " was heißt das ? "),
            ("", " "),
        ] {
            assert_eq!(Words::of(line).0, expect, "{line}");
        }
        let long = format!("Draw a cat {} with a hat", "x".repeat(1_000_000));
        assert!(Words::of(&long).has("draw") && Words::of(&long).has("hat"));
    }

    #[test]
    fn phrases_are_whole_words() {
        let words = Words::of("Could you please draw me two cats?");
        assert!(words.has("two cats") && words.has("cat*") && !words.has("cat"));
        assert!(words.begins("draw") && !words.begins("cats"));
        assert!(words.has_near("draw", "cats", 2) && !words.has_near("draw", "cats", 1));
        assert_eq!(words.len(), 8);
    }
}
