//! Values behind one layer of base64, hexadecimal or percent signs.
//!
//! One layer only: what is encoded twice, compressed or encrypted is not seen, but for the exact secrets' own codes.
//! Start at [`find`].

use super::Span;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Characters of the shortest run that is decoded: `a@b.de` in base64.
const MIN_RUN: usize = 8;
/// Characters of a line after which a run goes on in the next one.
const MIN_LINE: usize = 60;

/// What a decoded text holds, by whatever recognises it.
type Recognise<'a> = &'a dyn Fn(&str) -> Vec<Span>;

/// All runs of the text that decode to text in which something is recognised.
pub(super) fn find(text: &str, recognise: Recognise<'_>, spans: &mut Vec<Span>) {
    runs(text, recognise, spans);
    percent(text, recognise, spans);
}

fn runs(text: &str, recognise: Recognise<'_>, spans: &mut Vec<Span>) {
    let is_code = |c: u8| c.is_ascii_alphanumeric() || b"+/_-".contains(&c);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let run = |from: usize| bytes[from..].iter().take_while(|c| is_code(**c)).count();
        let (start, mut len) = (at, run(at));
        if len < MIN_RUN {
            at += len + 1;
            continue;
        }
        let mut code = text[start..start + len].to_owned();
        at += len;
        // As mails and PEM files have it, in lines of one length.
        while len >= MIN_LINE && bytes.get(at) == Some(&b'\n') {
            len = run(at + 1);
            code.push_str(&text[at + 1..at + 1 + len]);
            at += 1 + len;
        }
        let kind = decoded(&code).iter().flat_map(|plain| recognise(plain)).map(|span| span.kind).max();
        if let Some(kind) = kind {
            at += bytes[at..].iter().take_while(|c| **c == b'=').count();
            spans.push(Span { start, end: at, kind });
        }
    }
}

/// The texts that the run can stand for.
fn decoded(code: &str) -> Vec<String> {
    let hex = (code.len().is_multiple_of(2) && code.bytes().all(|c| c.is_ascii_hexdigit())).then(|| {
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default();
        code.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect::<Vec<u8>>()
    });
    let alphabet = if code.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let base64 = GeneralPurpose::new(alphabet, lenient).decode(code).ok();
    let is_readable = |text: &String| text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    let texts = hex.into_iter().chain(base64).filter_map(|bytes| String::from_utf8(bytes).ok());
    texts.filter(is_readable).collect()
}

/// A run of `%40`s and what it is without: where it begins in the decoded text and in the text, and how many there are.
struct Escape {
    plain: usize,
    start: usize,
    n_bytes: usize,
}

/// The text without its percent signs; what is recognised in it counts where such a sign was.
fn percent(text: &str, recognise: Recognise<'_>, spans: &mut Vec<Span>) {
    let (plain, escapes) = unescaped(text);
    if escapes.is_empty() {
        return;
    }
    for span in recognise(&plain) {
        let touched = escapes.partition_point(|escape| escape.plain + escape.n_bytes <= span.start);
        if escapes.get(touched).is_some_and(|escape| escape.plain < span.end) {
            let (start, end) = (source(&escapes, span.start), source(&escapes, span.end));
            spans.push(Span { start, end, kind: span.kind });
        }
    }
}

fn unescaped(text: &str) -> (String, Vec<Escape>) {
    let digit = |at: usize| text.as_bytes().get(at).and_then(|c| char::from(*c).to_digit(16));
    let byte = |at: usize| u8::try_from(digit(at + 1)? * 16 + digit(at + 2)?).ok();
    let (mut plain, mut escapes) = (String::new(), Vec::new());
    let mut copied = 0;
    while let Some(start) = text[copied..].find('%').map(|found| copied + found) {
        let mut bytes = Vec::new();
        while let Some(next) =
            byte(start + 3 * bytes.len()).filter(|_| text.as_bytes()[start + 3 * bytes.len()] == b'%')
        {
            bytes.push(next);
            if start + 3 * bytes.len() >= text.len() {
                break;
            }
        }
        plain.push_str(&text[copied..start]);
        let n_bytes = bytes.len();
        match String::from_utf8(bytes).ok().filter(|_| n_bytes > 0) {
            Some(decoded) => {
                escapes.push(Escape { plain: plain.len(), start, n_bytes });
                plain.push_str(&decoded);
            }
            None => plain.push_str(&text[start..start + (3 * n_bytes).max(1)]),
        }
        copied = start + (3 * n_bytes).max(1);
    }
    plain.push_str(&text[copied..]);
    (plain, escapes)
}

/// The place in the text of a place in the decoded text.
fn source(escapes: &[Escape], plain: usize) -> usize {
    let n_before = escapes.partition_point(|escape| escape.plain <= plain);
    let Some(escape) = n_before.checked_sub(1).and_then(|idx| escapes.get(idx)) else { return plain };
    let inside = (plain - escape.plain).min(escape.n_bytes);
    escape.start + 3 * inside + (plain - escape.plain - inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_without_percent_signs_is_found_again() {
        let text = "a%40b%C3%A9c %zz %4 100% %41";
        let (plain, escapes) = unescaped(text);
        assert_eq!(plain, "a@béc %zz %4 100% A");
        for (at, c) in plain.char_indices() {
            let start = source(&escapes, at);
            let end = source(&escapes, at + c.len_utf8());
            let part = &text[start..end];
            assert!(part == c.to_string() || part.starts_with('%'), "{c} {part}");
        }
        assert_eq!(unescaped("%ff%fe%").0, "%ff%fe%", "no text behind it");
    }
}
