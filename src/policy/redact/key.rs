//! API keys by their beginnings and shapes, signed tokens, and the blocks of private keys.
//!
//! Not by what stands before them: that is `keyword`'s. Nothing is asked of the network about them. Start at [`find`].

use super::{Kind, Span};

/// A beginning, how many characters must follow, and which.
struct Form {
    prefix: &'static str,
    min: usize,
    is_inner: fn(u8) -> bool,
}

const fn form(prefix: &'static str, min: usize, is_inner: fn(u8) -> bool) -> Form {
    Form { prefix, min, is_inner }
}

fn alphanumeric(c: u8) -> bool {
    c.is_ascii_alphanumeric()
}

fn dashed(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_')
}

fn capital(c: u8) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit()
}

const FORMS: [Form; 38] = [
    form("sk-", 20, dashed),
    form("sk_live_", 16, alphanumeric),
    form("sk_test_", 16, alphanumeric),
    form("rk_live_", 16, alphanumeric),
    form("rk_test_", 16, alphanumeric),
    form("whsec_", 24, alphanumeric),
    form("ghp_", 30, alphanumeric),
    form("gho_", 30, alphanumeric),
    form("ghu_", 30, alphanumeric),
    form("ghs_", 30, alphanumeric),
    form("ghr_", 30, alphanumeric),
    form("github_pat_", 22, dashed),
    form("glpat-", 20, dashed),
    form("gldt-", 20, dashed),
    form("glrt-", 20, dashed),
    form("xoxb-", 10, dashed),
    form("xoxa-", 10, dashed),
    form("xoxp-", 10, dashed),
    form("xoxe-", 10, dashed),
    form("xoxr-", 10, dashed),
    form("xoxs-", 10, dashed),
    form("xapp-", 10, dashed),
    form("AKIA", 16, capital),
    form("ASIA", 16, capital),
    form("AIza", 35, dashed),
    form("GOCSPX-", 20, dashed),
    form("hf_", 30, alphanumeric),
    form("npm_", 30, alphanumeric),
    form("pypi-", 40, dashed),
    form("dop_v1_", 40, alphanumeric),
    form("shpat_", 30, alphanumeric),
    form("lin_api_", 30, alphanumeric),
    form("r8_", 30, alphanumeric),
    form("gsk_", 30, alphanumeric),
    form("xai-", 30, dashed),
    form("pplx-", 30, dashed),
    form("ATATT", 40, dashed),
    form("AGE-SECRET-KEY-", 40, capital),
];

/// Different characters that the rest of a key has at least: `sk-xxxxxxxxxxxxxxxxxxxx` is none.
const MIN_DISTINCT: usize = 8;
/// How many characters of a key are judged.
const SEEN: usize = 64;
/// What the prefixes of [`FORMS`] begin with.
const FIRST: &str = "srwgxAGhnpdl";
/// Bytes of the longest private key's block.
const MAX_BLOCK: usize = 16_384;
/// Bytes of its longest line.
const MAX_LINE: usize = 130;

/// All keys of the text. Reads each byte a few times, whatever the text.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    blocks(text, spans);
    webhooks(text, spans);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let len = bytes[at..].iter().take_while(|c| dashed(**c)).count();
        if len > 0 {
            words(text, at, at + len, spans);
            token(text, at, at + len, spans);
        }
        at += len + 1;
    }
}

/// Keys within the run of letters, digits, `-` and `_` from `at` to `end`.
fn words(text: &str, mut at: usize, end: usize, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    while at < end {
        match key(&text[at..end]) {
            Some(len) => {
                spans.push(Span { start: at, end: at + len, kind: Kind::ApiKey });
                at += len;
            }
            None => at += 1,
        }
        // A key begins where a word does.
        while at < end && bytes[at - 1].is_ascii_alphanumeric() {
            at += 1;
        }
    }
}

/// The length of the key that the word begins with. Reads far only where there is one.
fn key(word: &str) -> Option<usize> {
    if !word.starts_with(|c| FIRST.contains(c)) {
        return None;
    }
    let form = FORMS.iter().find(|form| word.starts_with(form.prefix))?;
    let body = &word.as_bytes()[form.prefix.len()..];
    let len = |max: usize| body.iter().take(max).take_while(|c| (form.is_inner)(**c)).count();
    let n_first = len(SEEN);
    (n_first >= form.min && is_random(&body[..n_first])).then(|| form.prefix.len() + len(usize::MAX))
}

/// Digits among many different characters, as chance makes them and people do not.
fn is_random(body: &[u8]) -> bool {
    let mut seen = [false; 256];
    body.iter().for_each(|c| seen[usize::from(*c)] = true);
    seen.iter().filter(|is_seen| **is_seen).count() >= MIN_DISTINCT && body.iter().any(u8::is_ascii_digit)
}

/// A signed token (JWT) whose first part is the run from `start` to `end`: three parts, the first two JSON objects.
fn token(text: &str, start: usize, end: usize, spans: &mut Vec<Span>) {
    // A run that only ends with the first part: `token_eyJ...`.
    let Some(from) = text[start..end].find("eyJ").map(|at| start + at) else { return };
    let part = |from: usize| {
        let rest = text.get(from..)?.strip_prefix('.')?;
        let len = rest.bytes().take_while(|c| dashed(*c)).count();
        (len > 0).then_some(from + 1 + len)
    };
    let Some(second) = part(end).filter(|second| end - from >= 12 && text[end + 1..*second].starts_with("eyJ")) else {
        return;
    };
    spans.push(Span { start: from, end: part(second).unwrap_or(second), kind: Kind::ApiKey });
}

/// Addresses that whoever has them may post to: the part after the host.
fn webhooks(text: &str, spans: &mut Vec<Span>) {
    for host in ["hooks.slack.com/services/", "discord.com/api/webhooks/"] {
        for (at, _) in text.match_indices(host) {
            let start = at + host.len();
            let len = text[start..].bytes().take(MAX_LINE).take_while(|c| dashed(*c) || *c == b'/').count();
            if len > 0 {
                spans.push(Span { start, end: start + len, kind: Kind::ApiKey });
            }
        }
    }
}

/// `-----BEGIN ... PRIVATE KEY-----` to its end; what is cut off goes to the end of its lines.
fn blocks(text: &str, spans: &mut Vec<Span>) {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    // Where the next end is, looked for once only.
    let mut next_end = Some(0);
    let mut at = 0;
    while let Some(start) = text[at..].find(BEGIN).map(|found| at + found) {
        at = start + BEGIN.len();
        let title = &text[at..floor(text, at + 64)];
        let Some(n_title) = title.find("-----").filter(|len| title[..*len].contains("PRIVATE KEY")) else { continue };
        let from = at + n_title + 5;
        if next_end.is_some_and(|end| end < from) {
            next_end = text[from..].find(END).map(|found| from + found);
        }
        let closed = next_end.filter(|end| end - from <= MAX_BLOCK).map(|end| {
            let tail = &text[end..floor(text, end + 80)];
            end + tail[END.len()..].find("-----").map_or(tail.len(), |len| END.len() + len + 5)
        });
        let end = closed.unwrap_or_else(|| lines(text, from));
        spans.push(Span { start, end, kind: Kind::ApiKey });
        at = end;
    }
}

/// Where the lines from here on end that are base64 or a header, as a block has them.
fn lines(text: &str, from: usize) -> usize {
    let mut end = from;
    while end < text.len() && end - from < MAX_BLOCK {
        let near = &text[end..floor(text, end + MAX_LINE)];
        let line = near.split_inclusive('\n').next().unwrap_or(near);
        let is_whole = line.ends_with('\n') || end + line.len() == text.len();
        if !is_whole || !line.trim().bytes().all(|c| c.is_ascii_alphanumeric() || b"+/=\\-:, ".contains(&c)) {
            break;
        }
        end += line.len();
    }
    end
}

/// The place, or the character's beginning before it.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
