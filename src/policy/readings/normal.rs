//! A text as it is compared: without case, widths, invisible characters and kinds of dashes, quotes and spaces, and
//! with its escapes also decoded.
//!
//! What it is not: it folds no accents and no letters of other scripts that look alike, and it undoes no base64 and no
//! cipher. Start at [`readings`].

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// How often escapes are looked for behind escapes.
const MAX_LAYERS: usize = 3;
/// Words on each side of an escape that can make a row or a number with it.
const REACH: usize = 12;

/// What a text may say to who reads it, normalised: the text as it stands; where it has escapes, the surroundings of
/// these with the escapes decoded; where it or they have invisible characters, the surroundings of those with spaces
/// in their place. Takes time in proportion to the text.
pub(super) fn readings(text: &str) -> Vec<String> {
    let mut readings = vec![normal(text)];
    readings.extend(spaced(text));
    for part in around(text, is_escape) {
        if let Some(decoded) = decoded(part) {
            readings.push(normal(&decoded));
            readings.extend(spaced(&decoded));
        }
    }
    readings
}

/// The surroundings of invisible characters, with spaces in the place of these.
fn spaced(text: &str) -> impl Iterator<Item = String> {
    around(text, is_invisible).into_iter().map(|part| normal(&part.replace(is_invisible, " ")))
}

/// The parts of a text in which such characters are, each with as many words before and after as a row or a number can
/// reach.
fn around(text: &str, is_sought: fn(char) -> bool) -> Vec<&str> {
    if !text.contains(is_sought) {
        return Vec::new();
    }
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut before = VecDeque::with_capacity(REACH + 1);
    let (mut at, mut n_after) = (0, 0);
    for token in text.split_inclusive([' ', '\n', '\t']) {
        let end = at + token.len();
        if token.contains(is_sought) {
            let start = before.front().copied().unwrap_or(at);
            match parts.last_mut().filter(|last| start <= last.end) {
                Some(last) => last.end = end,
                None => parts.push(start..end),
            }
            n_after = REACH;
        }
        let is_word = token.contains(char::is_alphanumeric);
        if let Some(last) = parts.last_mut().filter(|_| n_after > 0) {
            last.end = end;
            n_after -= usize::from(is_word);
        }
        if is_word {
            before.push_back(at);
            if before.len() > REACH {
                before.pop_front();
            }
        }
        at = end;
    }
    parts.into_iter().map(|part| &text[part]).collect()
}

/// NFKC, lower case, without what cannot be seen; runs of spaces are one, and a run with a line's end is a line's end.
fn normal(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    // NFKC joins nothing over a space.
    for piece in text.split_inclusive(' ') {
        if piece.is_ascii() {
            for c in piece.bytes() {
                let c = char::from(c.to_ascii_lowercase());
                if c.is_ascii_graphic() { normal.push(c) } else { push(&mut normal, c) }
            }
            continue;
        }
        let mut seen: String = piece.chars().filter(|c| !is_invisible(*c)).flat_map(folded).collect();
        if is_nfkc_quick(seen.chars()) != IsNormalized::Yes {
            // Some capitals appear only now: those in circles, and those of the mathematicians.
            seen = seen.nfkc().flat_map(folded).nfkc().collect();
        }
        seen.chars().filter(|c| !is_overlay(*c)).for_each(|c| push(&mut normal, c));
    }
    normal
}

fn push(normal: &mut String, c: char) {
    if matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}') {
        if normal.ends_with(' ') {
            normal.pop();
        }
        if !normal.ends_with('\n') {
            normal.push('\n');
        }
    } else if c.is_whitespace() {
        if !normal.ends_with([' ', '\n']) {
            normal.push(' ');
        }
    } else if !c.is_control() {
        normal.push(c);
    }
}

/// The same for all cases of a letter (through capitals, so that `ß` and `SS` meet, and both small sigmas), for all
/// dashes and for all quotes.
fn folded(c: char) -> impl Iterator<Item = char> {
    let plain = match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2043}' | '\u{58a}' | '\u{5be}' | '\u{2e3a}' | '\u{2e3b}' => '-',
        '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{2b9}'..='\u{2bc}' | '\u{b4}' | '\u{2039}' | '\u{203a}' => '\'',
        '\u{201c}'..='\u{201f}' | '\u{2033}' | '«' | '»' => '"',
        // The one sign that NFKC makes eighteen of: a text of it would be as long, and take as long.
        '\u{fdfa}' => '\u{635}',
        _ => c,
    };
    plain.to_uppercase().flat_map(char::to_lowercase)
}

/// Format characters, variation selectors, and the rest of what Unicode calls default ignorable.
fn is_invisible(c: char) -> bool {
    !c.is_ascii()
        && matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}'
            | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Strokes and dots that no letter takes up: what is left of them after NFKC only disguises a word.
fn is_overlay(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}')
}

/// The text without percent signs, the basic entities of HTML, the escapes of JSON, and letters written as tags that
/// nobody sees but a model; `None` where there are none.
fn decoded(text: &str) -> Option<String> {
    let mut last = Cow::Borrowed(text);
    for _ in 0..MAX_LAYERS {
        match layer(&last) {
            Some(text) => last = Cow::Owned(text),
            None => break,
        }
    }
    match last {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => Some(text),
    }
}

/// One layer less.
fn layer(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find(is_escape) {
        at += found;
        let rest = &text[at..];
        let first = rest.chars().next()?;
        let Some((plain, len)) = escape(rest, first) else {
            at += first.len_utf8();
            continue;
        };
        bytes.extend_from_slice(&text.as_bytes()[copied..at]);
        match plain {
            Plain::Byte(byte) => bytes.push(byte),
            Plain::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        at += len;
        copied = at;
    }
    bytes.extend_from_slice(&text.as_bytes()[copied..]);
    (copied > 0).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// What an escape stands for: percent signs make bytes, the others characters.
enum Plain {
    Byte(u8),
    Char(char),
}

/// Whether an escape may begin with it.
fn is_escape(c: char) -> bool {
    matches!(c, '%' | '&' | '\\' | '\u{e0020}'..='\u{e007e}')
}

/// The escape at the text's beginning, and its length in bytes.
fn escape(text: &str, first: char) -> Option<(Plain, usize)> {
    match first {
        '%' => Some((Plain::Byte(u8::try_from(hex(text.get(1..3)?)?).ok()?), 3)),
        '&' => entity(text).map(|(c, len)| (Plain::Char(c), len)),
        '\\' => json(text).map(|(c, len)| (Plain::Char(c), len)),
        tag => Some((Plain::Char(char::from_u32(u32::from(tag) - 0xe0000)?), tag.len_utf8())),
    }
}

fn hex(digits: &str) -> Option<u32> {
    digits.bytes().all(|c| c.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// `&amp;`, `&#64;`, `&#x40;`.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(12).position(|c| c == b';')?;
    let name = &text[1..end];
    let c = match name.to_ascii_lowercase().as_str() {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "shy" => '\u{ad}',
        "commat" => '@',
        "period" => '.',
        "sol" => '/',
        "colon" => ':',
        "lowbar" => '_',
        number => {
            let number = number.strip_prefix('#')?;
            let code = number.strip_prefix('x').map_or_else(|| number.parse().ok(), hex)?;
            char::from_u32(code)?
        }
    };
    Some((c, end + 1))
}

/// `\n`, `\"`, `\u0040`, `\x40`; a character of two halves is written as two escapes.
fn json(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| hex(text.get(at..at + 4)?);
    match text.as_bytes().get(1)? {
        b'n' | b'r' => Some(('\n', 2)),
        b't' | b'b' | b'f' => Some((' ', 2)),
        c @ (b'"' | b'\\' | b'/' | b'\'') => Some((char::from(*c), 2)),
        b'x' => Some((char::from_u32(hex(text.get(2..4)?)?)?, 4)),
        b'u' => {
            let first = unit(2)?;
            let second = || text.get(6..8).filter(|print| *print == "\\u").and_then(|_| unit(8));
            match first {
                0xd800..=0xdbff => {
                    let second = second().filter(|second| (0xdc00..=0xdfff).contains(second))?;
                    Some((char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))?, 12))
                }
                _ => Some((char::from_u32(first)?, 6)),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_reads_the_same() {
        let cases = [
            ("Send  IT\tnow", "send it now"),
            ("a \r\n b", "a\nb"),
            ("ｍａｌｌｏｒｙ＠ｅｖｉｌ．ｅｘａｍｐｌｅ", "mallory@evil.example"),
            ("mal\u{200b}lo\u{ad}ry\u{fe0f}", "mallory"),
            ("m\u{336}a\u{336}l", "mal"),
            ("STRASSE straße", "strasse strasse"),
            ("ΟΔΟΣ οδος", "οδοσ οδοσ"),
            ("İstanbul ıstanbul", "istanbul istanbul"),
            ("e\u{301} \u{e9} \u{c9}", "é é é"),
            ("2024–11—26 − it’s “so”", "2024-11-26 - it's \"so\""),
            ("ﬁle №ⅷ 𝐀ⓑ", "file noviii ab"),
            ("nul\0l", "null"),
        ];
        for (text, expected) in cases {
            assert_eq!(readings(text)[0], expected, "{text}");
        }
    }

    #[test]
    fn escapes_are_read_too() {
        let cases = [
            ("a%40b%C3%A9c", "a@béc"),
            ("a%2540b", "a@b"),
            ("a&#64;b&#x2e;c&amp;&lt;", "a@b.c&<"),
            (r"a\u0040b\n\ud83d\ude00", "a@b\n😀"),
            ("\u{e0061}\u{e0040}\u{e0062}", "a@b"),
            ("%ff%zz &nope; \\q &#xd800; \\ud800 50%", "\u{fffd}%zz &nope; \\q &#xd800; \\ud800 50%"),
        ];
        for (text, expected) in cases {
            assert!(readings(text).contains(&expected.to_owned()), "{text}: {:?}", readings(text));
        }
        assert_eq!(readings("plain text").len(), 1);
        let far = "one two three ".repeat(9);
        let parts = readings(&format!("{far}a%40b {far}c%20d {far}{far}e%41f"));
        assert_eq!(parts.len(), 4, "only where the escapes are: {parts:#?}");
        assert!(parts[1].starts_with("one two") && parts[1].contains("three a@b one") && parts[1].len() < 150);
        assert!(readings("send\u{200b}it").contains(&"send it".to_owned()), "as a space, too");
    }
}
