//! Bytes to text: which encoding a page is in, by the rules of the web, and what is left of it after ten megabytes.
//!
//! What it is not: a guess by the language of the text. What says nothing and is not UTF-8 is read as windows-1252.
//! Start at [`decode`].

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Bytes of a page, before and after decoding.
pub(super) const MAX_INPUT: usize = 10 << 20;
/// Where a page may say its encoding.
const HEAD: usize = 4096;

/// A decoded page, and whether there was more of it.
pub(super) struct Decoded {
    pub(super) text: String,
    pub(super) is_cut: bool,
}

/// Decodes a page; what makes no sense becomes U+FFFD. `in_page` says whether the page itself may name its encoding.
pub(super) fn decode(bytes: &[u8], content_type: Option<&str>, in_page: bool) -> Decoded {
    let head = &bytes[..bytes.len().min(MAX_INPUT)];
    let is_cut = head.len() < bytes.len();
    let (text, _, _) = encoding(head, is_cut, content_type, in_page).decode(head);
    let mut text = text.into_owned();
    let is_cut = is_cut || text.len() > MAX_INPUT;
    text.truncate(text.floor_char_boundary(MAX_INPUT));
    Decoded { text, is_cut }
}

fn encoding(bytes: &[u8], is_cut: bool, content_type: Option<&str>, in_page: bool) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return encoding;
    }
    if let Some(encoding) = content_type.and_then(parameter).and_then(Encoding::for_label) {
        return encoding;
    }
    if let Some(encoding) = wide(bytes) {
        return encoding;
    }
    let head = &bytes[..bytes.len().min(HEAD)];
    if in_page && let Some(encoding) = declared(head) {
        // Who can read this declaration does not read UTF-16.
        return if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding };
    }
    let is_utf_8 = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        // Where we cut, a character may be cut in two.
        Err(error) => is_cut && error.error_len().is_none(),
    };
    if is_utf_8 { UTF_8 } else { WINDOWS_1252 }
}

/// The charset of a content type.
fn parameter(content_type: &str) -> Option<&[u8]> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']).as_bytes())
    })
}

/// UTF-16 that does not say so: every other byte of Western text is zero.
fn wide(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(512)];
    let zeros = |first: usize| head.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd, half) = (zeros(0), zeros(1), head.len() / 2);
    match half {
        0..2 => None,
        _ if odd * 10 > half * 7 && even * 10 < half => Some(UTF_16LE),
        _ if even * 10 > half * 7 && odd * 10 < half => Some(UTF_16BE),
        _ => None,
    }
}

/// What a `<meta>` or an XML declaration says.
fn declared(head: &[u8]) -> Option<&'static Encoding> {
    let lower = head.to_ascii_lowercase();
    let mut rest = lower.as_slice();
    if let Some(declaration) = rest.strip_prefix(b"<?xml") {
        let declaration = &declaration[..find(declaration, b"?>").unwrap_or(0)];
        if let Some(encoding) = label_after(declaration, b"encoding") {
            return Some(encoding);
        }
    }
    while let Some(at) = rest.iter().position(|byte| *byte == b'<') {
        rest = &rest[at..];
        if rest.starts_with(b"<!--") {
            rest = &rest[find(rest, b"-->")?..];
            continue;
        }
        if rest.starts_with(b"<meta") {
            let tag = &rest[..rest.iter().position(|byte| *byte == b'>')?];
            if let Some(encoding) = label_after(tag, b"charset") {
                return Some(encoding);
            }
        }
        rest = &rest[1..];
    }
    None
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The label in `name = "label"`, quoted or not.
fn label_after(tag: &[u8], name: &[u8]) -> Option<&'static Encoding> {
    let value = tag[find(tag, name)? + name.len()..].trim_ascii_start().strip_prefix(b"=")?;
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b';' | b'/' | b'>');
    let label = value.split(is_end).find(|word| !word.is_empty())?;
    Encoding::for_label(label)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn the_encoding_is_found_where_it_is_said() {
        let (latin, utf_8, wide) =
            (b"caf\xe9".as_slice(), "caf\u{e9}".as_bytes(), b"\xff\xfec\0a\0f\0\xe9\0".as_slice());
        let meta =
            |label: &str| [format!("<!-- <meta charset=koi8-r> --><meta charset={label}>").as_bytes(), latin].concat();
        let head = "<meta http-equiv=content-type content='text/html; charset=iso-8859-1'>".as_bytes();
        for (bytes, content_type) in [
            (utf_8.to_vec(), None),
            (latin.to_vec(), None),
            (latin.to_vec(), Some("text/html; Charset=\"ISO-8859-1\"")),
            (wide.to_vec(), Some("text/html; charset=koi8-r")),
            (wide[2..].to_vec(), None),
            (b"\0c\0a\0f\0\xe9".to_vec(), None),
            (meta("windows-1252"), None),
            ([head, latin].concat(), None),
            ([b"<?xml version='1.0' encoding='latin1'?>".as_slice(), latin].concat(), None),
            // No page that says so in letters of one byte is in UTF-16.
            ([b"<meta charset=utf-16>".as_slice(), utf_8].concat(), None),
        ] {
            let text = decode(&bytes, content_type, true).text;
            assert!(text.ends_with("caf\u{e9}"), "{content_type:?} {text}");
        }
    }

    #[test]
    fn no_more_than_ten_megabytes_are_decoded() {
        let decoded = decode(&vec![0xe9; 9 << 20], Some("text/plain; charset=latin1"), false);
        assert!(decoded.is_cut && decoded.text.len() <= super::MAX_INPUT);
        // A character cut in two does not make the rest another encoding.
        let long = "x".to_owned() + &"\u{e9}".repeat(6 << 20);
        assert!(decode(long.as_bytes(), None, true).text.starts_with("x\u{e9}"));
    }
}
