//! Addresses of the network. Those that are the same everywhere (`127.0.0.1`, `::1`, `0.0.0.0`) say nothing of anybody
//! and stay; four numbers after a word for a version stay too. Start at [`find`].

use super::{Kind, Span, ends_with_word};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Bytes of the longest address as text.
const MAX_LEN: usize = 45;
/// What four numbers are not an address after.
const VERSION: [&str; 5] = ["version", "release", "v", "build", "firmware"];

/// All addresses of the text: words of hexadecimal digits, dots and colons that parse as one.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    let is_inside = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b':' | b'_');
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !is_inside(bytes[at]) {
            at += 1;
            continue;
        }
        let len = bytes[at..].iter().take_while(|c| is_inside(**c)).count();
        let word = text[at..at + len].trim_end_matches(['.', ':']);
        if let Some((from, len)) = address(word, &text[..at]) {
            spans.push(Span { start: at + from, end: at + from + len, kind: Kind::Ip });
        }
        at += len;
    }
}

/// Where the address is in the word; it may have a port.
fn address(word: &str, before: &str) -> Option<(usize, usize)> {
    if word.len() > MAX_LEN + 6 || !word.contains(['.', ':']) {
        return None;
    }
    let from = word.bytes().take_while(|c| *c == b'.').count();
    let word = &word[from..];
    let host = if word.matches(':').count() == 1 { word.split(':').next().unwrap_or_default() } else { word };
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        let is_version = VERSION.iter().any(|version| ends_with_word(before.trim_end(), version));
        let is_nobodys = address.is_loopback() || address.is_unspecified() || address.is_broadcast();
        return (!is_version && !is_nobodys && address.octets()[0] != 0).then_some((from, host.len()));
    }
    let address = word.parse::<Ipv6Addr>().ok()?;
    let n_groups = word.split(':').filter(|group| !group.is_empty()).count();
    // `dead::beef` may be a path of a program.
    let is_certain = n_groups >= 3 && word.bytes().any(|c| c.is_ascii_digit());
    (is_certain && !address.is_loopback() && !address.is_unspecified()).then_some((from, word.len()))
}
