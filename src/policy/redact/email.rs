//! E-mail addresses.
//!
//! Not every address that a standard allows: no quoted local part, no host without a dot. `user@host:path` counts as an
//! address, for `anna@example.org:password` is written the same way, unless the user is one that such remotes share
//! (`git@`). Start at [`find`].

use super::{Kind, Span};

/// Bytes before and after the `@`.
const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 253;
/// Users of remotes, who are nobody.
const NOBODY: [&str; 4] = ["git", "hg", "svn", "gitea"];

/// All addresses of the text, looking at no more than [`MAX_LOCAL`] and [`MAX_DOMAIN`] bytes around each `@`.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    for (at, _) in text.match_indices('@') {
        let local = tail(&text[..at], MAX_LOCAL, |c| c.is_alphanumeric() || ".!#$%&'*+_~-".contains(c));
        let local = local.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_');
        let domain = domain(&text[at + 1..]);
        if local.is_empty() || local.ends_with('.') || !is_domain(domain) || is_picture(domain) {
            continue;
        }
        let after = &text[at + 1 + domain.len()..];
        if NOBODY.contains(&local) && after.starts_with([':', '/']) {
            continue;
        }
        spans.push(Span { start: at - local.len(), end: at + 1 + domain.len(), kind: Kind::Email });
    }
}

/// The longest end of the text, of so many bytes at most, whose characters are all of a kind.
fn tail(text: &str, max: usize, is_inside: impl Fn(char) -> bool) -> &str {
    let mut start = text.len();
    for (at, c) in text.char_indices().rev() {
        if !is_inside(c) || text.len() - at > max {
            break;
        }
        start = at;
    }
    &text[start..]
}

fn domain(text: &str) -> &str {
    let is_inside = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let len: usize = text.chars().take(MAX_DOMAIN).take_while(is_inside).map(char::len_utf8).sum();
    text[..len].trim_end_matches(['.', '-'])
}

fn is_domain(domain: &str) -> bool {
    let mut labels = domain.split('.').rev();
    let top = labels.next().unwrap_or_default();
    let is_top = top.chars().count() >= 2 && top.chars().all(char::is_alphabetic) || top.starts_with("xn--");
    let is_number = |label: Option<&str>| label.is_some_and(|label| label.bytes().all(|c| c.is_ascii_digit()));
    let mut forward = domain.split('.');
    // `node@20.1.beta` is a version.
    let is_version = is_number(forward.next()) && is_number(forward.next());
    is_top && !is_version && domain.contains('.') && domain.split('.').all(|label| !label.is_empty())
}

/// `icon@2x.png`, as files for fine screens are called.
fn is_picture(domain: &str) -> bool {
    let Some((scale, ending)) = domain.split_once('.') else { return false };
    ["1x", "2x", "3x", "4x"].contains(&scale) && ["png", "jpg", "jpeg", "webp", "gif", "svg"].contains(&ending)
}
