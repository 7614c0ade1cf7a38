//! What a text is recognised by: its identifiers and its rows of words.
//!
//! What it is not: it remembers and compares nothing, and a name without any sign of one (a person's first name) is a
//! word like others. It reads a text that is normalised. Start at [`identifiers`] and at [`words`]; numbers are in
//! `numbers`.

use super::numbers;
use std::hash::{BuildHasher, Hasher, RandomState};
use unicode_normalization::char::is_combining_mark;
use url::Host;

/// Characters of the shortest word that is an identifier by a digit or a sign in it.
const MIN_MIXED: usize = 5;
/// Characters of the shortest name with an ending, and of the shortest path of a URL.
const MIN_NAME: usize = 6;
/// Characters of the shortest name whose ending is of letters: `t.co`.
const MIN_HOST: usize = 4;

/// A word's share in a row, and an ideograph's: four of the one are a row, six of the other, and what lies between.
const WORD: u8 = 3;
const IDEOGRAPH: u8 = 2;
/// What a row weighs at least.
const ROW: u8 = 4 * WORD;
/// What a whole text weighs at least, if it is too short for a row.
const PAIR: u8 = 2 * WORD;

/// What English leaves of a word behind its apostrophe: no words, or three of them would be four.
const FRAGMENTS: [&str; 7] = ["s", "t", "d", "m", "ll", "re", "ve"];

/// How readily something is an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eye {
    /// What looks like one: for what is looked up, and for the user's own words.
    Wide,
    /// What surely is one, `and/or` is none: for what strangers wrote.
    Narrow,
}

/// Says each identifier of the text, some more than once. A host and a file stand for themselves, `host/path` for a
/// URL.
pub(super) fn identifiers(text: &str, eye: Eye, say: &mut dyn FnMut(&str)) {
    let is_end = |c: char| {
        matches!(
            c,
            ' ' | '\n' | '"' | '\'' | '<' | '>' | '(' | ')' | '{' | '}' | '[' | ']' | '|' | ',' | ';' | '`' | '^'
        )
    };
    for piece in text.split(is_end).filter(|piece| !piece.bytes().all(|c| c.is_ascii_alphabetic())) {
        let piece = piece.trim_end_matches(['.', ':', '!', '?', '*', '_', '-', '~', '=', '&']);
        urls(piece, say);
        for part in piece.split([':', '=', '?', '&', '*', '!', '#', '+', '$']).filter(|part| part.contains(['/', '\\']))
        {
            path(part, eye, say);
        }
        for atom in piece.split(|c| !is_atom(c)) {
            self::atom(atom, say);
        }
    }
    numbers::runs(text, say);
}

/// Each URL in a text without spaces. One that stands in another's query ends that one.
fn urls(piece: &str, say: &mut dyn FnMut(&str)) {
    let mut parts = piece.split("://").skip(1).peekable();
    while let Some(mut rest) = parts.next() {
        if parts.peek().is_some() {
            rest = rest.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
        }
        url(rest, say);
        // Text without spaces goes on behind it.
        match rest.split(is_ideograph).next() {
            Some(cut) if cut.len() < rest.len() => url(cut, say),
            _ => {}
        }
    }
}

/// A URL behind its `://`: its host, its path and the whole of it.
fn url(rest: &str, say: &mut dyn FnMut(&str)) {
    let (authority, rest) = rest.split_at(rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.trim_end_matches(|c: char| c.is_ascii_digit()).strip_suffix(':').unwrap_or(host);
    // Names of other scripts and addresses as one number have one form only.
    let host = Host::parse(host).map_or_else(|_| host.to_owned(), |host| host.to_string());
    let host = without_www(host.trim_end_matches('.'));
    if host.is_empty() {
        return;
    }
    say(host);
    let (path, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let parts = parts(path);
    let whole = if parts.is_empty() { host.to_owned() } else { format!("{host}/{parts}") };
    say(&whole);
    if !query.is_empty() {
        say(&format!("{whole}{query}"));
    }
    if path.chars().count() >= MIN_NAME {
        say(&in_place(&parts));
    }
}

/// The parts of a path, between single slashes.
fn parts(path: &str) -> String {
    let parts = path.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}

/// A path that cannot be taken for a word.
fn in_place(parts: &str) -> String {
    if parts.contains('/') { parts.to_owned() } else { format!("/{parts}") }
}

/// A path of two parts or more, wherever it begins. The name at its end is found as an atom.
fn path(part: &str, eye: Eye, say: &mut dyn FnMut(&str)) {
    let parts = parts(part);
    let n_parts = parts.split('/').count();
    let is_anchored = part.starts_with(['/', '\\', '~', '.']);
    let is_named = parts.split('/').next_back().is_some_and(|name| name.contains('.'));
    let is_hosted = parts.split('/').next().is_some_and(|host| host.contains('.'));
    if n_parts >= 2 && (eye == Eye::Wide || n_parts > 2 || is_anchored || is_named || is_hosted) {
        say(without_www(&parts));
    } else if n_parts == 1 && eye == Eye::Wide && is_anchored && part.chars().count() >= MIN_NAME {
        say(&in_place(&parts));
    }
}

/// A word with what addresses and names of files have inside.
fn atom(atom: &str, say: &mut dyn FnMut(&str)) {
    let atom = atom.trim_matches(['.', '-', '_', '+']).trim_end_matches(['@', '#']);
    if !atom.bytes().any(|c| c.is_ascii_digit() || b"@#.-_".contains(&c)) && atom.is_ascii() {
        return;
    }
    let is_long = |text: &str, least: usize| text.chars().take(least).count() == least;
    if atom.contains('@') && is_long(atom, MIN_MIXED) {
        say(atom);
    }
    for name in atom.split(['@', '+']).filter(|name| is_name(name)) {
        say(without_www(name));
    }
    for part in atom.split(['@', '+', '.']) {
        let has = |is: fn(char) -> bool| part.contains(is);
        let is_mixed = has(char::is_alphabetic) && has(|c| c.is_numeric() || matches!(c, '_' | '-' | '#'));
        if is_mixed && is_long(part, MIN_MIXED) {
            say(part);
        }
    }
}

/// `evil.example`, `notes.tar.gz`; no `3.5` and no `e.g.`.
fn is_name(name: &str) -> bool {
    let Some((before, ending)) = name.trim_matches('.').rsplit_once('.') else { return false };
    let len = name.chars().count();
    let is_word = ending.chars().count() >= 2 && ending.chars().all(char::is_alphabetic);
    !before.is_empty() && (is_word && len >= MIN_HOST || ending.contains(char::is_alphabetic) && len >= MIN_NAME)
}

fn without_www(host: &str) -> &str {
    host.strip_prefix("www.").unwrap_or(host)
}

/// The names above a host's, its own registrar's included: `evil.example` of `a.evil.example`.
pub(super) fn above(host: &str) -> impl Iterator<Item = &str> {
    let is_host = host.len() <= 253 && !host.contains(['/', '@']);
    let names =
        std::iter::successors(Some(host).filter(|_| is_host), |name| name.split_once('.').map(|(_, above)| above));
    names.skip(1).take_while(|above| above.contains('.'))
}

fn is_atom(c: char) -> bool {
    is_letter(c) && !is_ideograph(c) || matches!(c, '_' | '-' | '@' | '#' | '.' | '+')
}

fn is_letter(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() } else { c.is_alphanumeric() || is_combining_mark(c) }
}

/// A sign of a script without spaces between words: Chinese, Japanese, Thai, Lao, Burmese, Khmer and their neighbours.
fn is_ideograph(c: char) -> bool {
    c >= '\u{e00}'
        && matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{1950}'..='\u{19df}'
        | '\u{1a20}'..='\u{1aad}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3031}'..='\u{303c}'
        | '\u{3041}'..='\u{312f}' | '\u{31a0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{a000}'..='\u{a48c}' | '\u{f900}'..='\u{faff}' | '\u{1b000}'..='\u{1b2ff}' | '\u{20000}'..='\u{3ffff}')
}

/// A word, and its share in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    hash: u64,
    weight: u8,
}

/// The words of the text in their order; each ideograph is one.
pub(super) fn words(text: &str, keys: &RandomState) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word = |text: &str, weight| words.push(Word { hash: keys.hash_one(text), weight });
    let mut start = None;
    let mut is_behind_apostrophe = false;
    let mut last = ' ';
    // A space at the end, so that the last word ends too.
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let is_inside = is_letter(c) && !is_ideograph(c);
        match start {
            None if is_inside => {
                is_behind_apostrophe = last == '\'' && text[..at - 1].ends_with(is_letter);
                start = Some(at);
            }
            Some(from) if !is_inside => {
                if !(is_behind_apostrophe && FRAGMENTS.contains(&&text[from..at])) {
                    word(&text[from..at], WORD);
                }
                start = None;
            }
            _ => {}
        }
        if is_ideograph(c) && is_letter(c) {
            word(&text[at..at + c.len_utf8()], IDEOGRAPH);
        }
        last = c;
    }
    words
}

/// Which rows of words are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// All: those that are long enough to be recognised anywhere, and what can be the whole of a short text.
    Every,
    /// The long ones, and the whole of a text that is too short for one.
    OfArgument,
}

/// Says the hash of each row.
pub(super) fn rows(words: &[Word], keys: &RandomState, rows: Rows, say: &mut dyn FnMut(u64)) {
    for from in 0..words.len() {
        let mut hasher = keys.build_hasher();
        let mut weight = 0;
        for (idx, word) in words.iter().enumerate().skip(from) {
            hasher.write_u64(word.hash);
            weight += word.weight;
            let is_whole = from == 0 && idx + 1 == words.len();
            if weight >= ROW || weight >= PAIR && (rows == Rows::Every || is_whole) {
                say(hasher.finish());
            }
            if weight >= ROW {
                break;
            }
        }
    }
}
