//! Passwords, tokens and keys of no known form, where the word before says what they are: `password=`, `api_key:`,
//! `Authorization: Bearer`, and the user and password of a URL.
//!
//! No guess by randomness alone: hashes and identifiers look the same. Start at [`Keywords::find`].

use super::{Kind, Span};
use regex::Regex;

/// Bytes of the longest value.
const MAX_VALUE: usize = 512;
/// What stands in the place of a value, in small letters.
const NO_VALUE: [&str; 22] = [
    "none",
    "null",
    "nil",
    "true",
    "false",
    "string",
    "str",
    "text",
    "bytes",
    "undefined",
    "required",
    "optional",
    "secret",
    "password",
    "passwort",
    "token",
    "redacted",
    "changeme",
    "example",
    "hidden",
    "your",
    "option",
];

/// Bytes of a refused value in which another word may stand.
const RETRY: usize = 64;

/// The compiled forms.
#[derive(Debug)]
pub(super) struct Keywords {
    /// A word for a password or a key, and what parts it from its value.
    before: Regex,
}

impl Keywords {
    pub(super) fn new() -> Result<Self, regex::Error> {
        // Words' boundaries are those of ASCII: the others make the automaton slow where a text is not in ASCII.
        let parted = r"(?:\s{0,2}[:=]{1,2}\s{0,2}|\s(?:is|ist|lautet)\s)";
        let password = r"(?:pass(?:word|wort|wd|phrase)|passcode|kennwort|(?-u:\b)(?:pwd|pin|pw))";
        let named = "access|private|auth|license|account|signing|encryption|master|shared";
        let key = format!("(?:api[_-]?key|secret|token|session(?:[_-]?id)?|(?:{named})[_-]?key|credential|schlüssel)");
        let option = r"--(?:password|passwd|token|api-key|secret)\s|login\s\S{1,64}\spassword\s";
        let header = r#"authorization["']?\s{0,2}[:=]\s{0,2}["']?(?:bearer|basic|token)\s{1,2}|(?-u:\b)bearer\s"#;
        let before = format!(
            r#"(?i){password}\\?["']?{parted}|{option}|{key}(?:[_-]?(?:key|id|value))?\\?["']?{parted}(?:bearer\s)?|{header}"#
        );
        Ok(Self { before: Regex::new(&before)? })
    }

    /// All values that a word announces, and the user and password of URLs.
    pub(super) fn find(&self, text: &str, spans: &mut Vec<Span>) {
        let mut at = 0;
        while let Some(found) = self.before.find_at(text, at) {
            // In a text that is itself quoted the quotes have a `\` before them.
            let from = found.end() + usize::from(text[found.end()..].starts_with("\\\""));
            let quote = text[from..].chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
            let start = from + quote.map_or(0, char::len_utf8);
            let value = value(&text[start..], quote);
            at = found.end();
            if is_value(value, &found.as_str().to_lowercase(), quote.is_some()) {
                spans.push(Span { start, end: start + value.len(), kind: Kind::ApiKey });
                at = start + value.len();
            } else if value.len() > RETRY {
                at = start + value.len();
            }
        }
        userinfo(text, spans);
    }
}

/// To the closing quote, or to what ends an unquoted value.
fn value(text: &str, quote: Option<char>) -> &str {
    let is_end = |c: char| match quote {
        Some(quote) => c == quote || c == '\n',
        None => {
            c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | ';' | ')' | '(' | '&' | '<' | '>' | '}' | ']')
        }
    };
    let ends = text.char_indices().take_while(|(at, _)| *at < MAX_VALUE).find(|(_, c)| is_end(*c)).map(|(at, _)| at);
    let len = ends
        .unwrap_or_else(|| (0..=text.len().min(MAX_VALUE)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
    let value = &text[..len];
    // A full stop is the sentence's.
    if quote.is_none() { value.trim_end_matches(['.', '!', '?', ':', '\\']) } else { value.trim_end_matches('\\') }
}

/// Whether it is a password or a key, and no word that only stands where one could. `before` is in small letters.
fn is_value(value: &str, before: &str, is_quoted: bool) -> bool {
    let is_reference =
        value.starts_with(['$', '{', '<', '*', '%', '[']) || value.contains("env.") || value.contains("ENV[");
    if value.len() < 4 || is_reference || NO_VALUE.contains(&value.to_lowercase().as_str()) {
        return false;
    }
    if before.starts_with("authorization") {
        return true;
    }
    let has_digit = value.bytes().any(|c| c.is_ascii_digit());
    let is_password = ["p", "kenn", "--p", "login"].iter().any(|word| before.starts_with(word));
    if is_password && !before.starts_with("private") {
        // An attribute, as programs have them, is no password; nor is the word after "the password is".
        let is_name = value.chars().all(|c| c.is_alphanumeric() || "._:".contains(c));
        let is_path = is_name && (value.contains("::") || value.contains('.') && !has_digit);
        let is_sentence = before.ends_with(char::is_whitespace) && !before.contains([':', '=']);
        let is_word = is_sentence && value.chars().all(char::is_alphabetic);
        return is_quoted || !is_path && !is_word;
    }
    let mut distinct: Vec<char> = value.chars().take(64).collect();
    distinct.sort_unstable();
    distinct.dedup();
    value.len() >= 10 && distinct.len() >= 7 && has_digit && value.contains(char::is_alphabetic)
}

/// `scheme://user:password@host`: the user and the password.
fn userinfo(text: &str, spans: &mut Vec<Span>) {
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let is_end = |c: &char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>');
        let authority: usize = text[start..].chars().take(256).take_while(|c| !is_end(c)).map(char::len_utf8).sum();
        let authority = &text[start..start + authority];
        let Some(len) = authority.rfind('@') else { continue };
        if authority[..len]
            .split_once(':')
            .is_some_and(|(_, password)| !password.is_empty() && !password.starts_with(['$', '{', '<']))
        {
            spans.push(Span { start, end: start + len, kind: Kind::ApiKey });
        }
    }
}
