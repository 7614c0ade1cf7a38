//! Regular expressions over a text: finding and replacing.
//!
//! The engine takes time in proportion to the text whatever the pattern, and so has neither look-around nor
//! back-references in a pattern. Start at [`Find`] and [`Substitute`].

use regex::{Captures, Regex, RegexBuilder};
use tool_guest::page::Page;

use crate::PAGE;

/// The most bytes of a pattern: what a long one is parsed to would not fit a guest's memory.
const PATTERN: usize = 10_000;

/// The most bytes of a compiled pattern.
const COMPILED: usize = 1 << 20;

/// The most matches on a page.
const MATCHES: usize = 50;

/// The most characters that are shown of a match, and of a group in it.
const SHOWN: usize = 200;

/// The most groups of a pattern: each one is carried along at every character.
const GROUPS: usize = 100;

/// The most groups that are shown of a match.
const GROUPS_SHOWN: usize = 20;

/// A compiled pattern. `^` and `$` match at the lines' ends, which may be LF or CRLF.
pub struct Find(Regex);

impl Find {
    /// Compiles a pattern; the error is one sentence for the model.
    pub fn new(pattern: &str, ignore_case: bool) -> Result<Self, String> {
        if pattern.is_empty() {
            return Err("the pattern is empty".into());
        }
        if pattern.len() > PATTERN {
            return Err(format!("a pattern may have {PATTERN} bytes at most"));
        }
        let mut builder = RegexBuilder::new(pattern);
        builder.case_insensitive(ignore_case).multi_line(true).crlf(true).size_limit(COMPILED);
        let regex = builder.build().map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the pattern is too big; use smaller numbers of repetitions".into(),
            error => {
                // The engine draws the pattern with marks below it, and says in the last line what is wrong.
                let drawn = error.to_string();
                let last = drawn.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!("the pattern is no regular expression: {}", on_one_line(last))
            }
        })?;
        match regex.captures_len() - 1 {
            0..=GROUPS => Ok(Self(regex)),
            n => Err(format!("the pattern has {n} groups, more than {GROUPS}; write (?:...) where no group is needed")),
        }
    }

    /// The matches after the first `skip`, one a line, with their lines' numbers and their groups.
    pub fn all(&self, text: &str, skip: usize) -> Result<String, String> {
        let mut page = Page::new(skip, MATCHES, PAGE);
        let (mut line, mut counted) = (1, 0);
        for found in self.0.captures_iter(text) {
            page.offer(|| {
                let start = found.get_match().start();
                line += text[counted..start].matches('\n').count();
                counted = start;
                self.shown(&found, line)
            });
        }
        Ok(match (page.n_seen(), page.note("matches")) {
            (0, _) => "no match".into(),
            (_, Some(note)) if page.text().is_empty() => return Err(note),
            (_, Some(note)) => format!("{}\n({note})", page.text()),
            (1, None) => format!("1 match\n{}", page.text()),
            (n, None) => format!("{n} matches\n{}", page.text()),
        })
    }

    fn shown(&self, found: &Captures, line: usize) -> String {
        let mut shown = format!("line {line}: {}", on_one_line(&found[0]));
        let groups = self.0.capture_names().enumerate().zip(found.iter()).skip(1);
        for ((number, name), group) in groups.take(GROUPS_SHOWN) {
            if let Some(group) = group {
                let name = name.map_or_else(|| number.to_string(), on_one_line);
                shown.push_str(&format!(" | {name} = {}", on_one_line(group.as_str())));
            }
        }
        if found.len() > GROUPS_SHOWN + 1 {
            shown.push_str(" | ...");
        }
        shown
    }
}

/// Cut at its limit and without control characters, which would spoil the list around it.
fn on_one_line(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(SHOWN) {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    match text.chars().skip(SHOWN).count() {
        0 => shown,
        n => format!("{shown}... ({n} more characters)"),
    }
}

/// A pattern and what takes the place of its matches.
pub struct Substitute {
    find: Find,
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Group(usize),
}

impl Substitute {
    /// In the replacement `$1` or `${name}` is a group and `$$` a dollar sign, unless both are meant literally.
    pub fn new(pattern: &str, replacement: &str, is_literal: bool, ignore_case: bool) -> Result<Self, String> {
        if is_literal {
            let find = Find::new(&regex::escape(pattern), ignore_case)?;
            return Ok(Self { find, parts: vec![Part::Text(replacement.to_owned())] });
        }
        let find = Find::new(pattern, ignore_case)?;
        let parts = parts(replacement, &find.0)?;
        Ok(Self { find, parts })
    }

    /// The text with every match replaced, after a line that says how many there were. It may have `limit` bytes.
    pub fn all(&self, text: &str, limit: usize) -> Result<String, String> {
        let too_long = format!("the result has more than {limit} bytes; pass the text in parts");
        let (mut replaced, mut copied, mut n) = (String::new(), 0, 0);
        for found in self.find.0.captures_iter(text) {
            let whole = found.get_match();
            replaced.push_str(&text[copied..whole.start()]);
            for part in &self.parts {
                match part {
                    Part::Text(text) => replaced.push_str(text),
                    Part::Group(number) => replaced.push_str(found.get(*number).map_or("", |group| group.as_str())),
                }
                // Looked at after every part: a long text and a replacement of many groups would outgrow any memory.
                if replaced.len() > limit {
                    return Err(too_long);
                }
            }
            (copied, n) = (whole.end(), n + 1);
        }
        if replaced.len() + text.len() - copied > limit {
            return Err(too_long);
        }
        replaced.push_str(&text[copied..]);
        Ok(match n {
            0 => "nothing replaced: the pattern matches nowhere".into(),
            1 => format!("1 replacement:\n{replaced}"),
            n => format!("{n} replacements:\n{replaced}"),
        })
    }
}

/// Reads a replacement. A group that the pattern does not have is an error: silence would drop text.
fn parts(replacement: &str, regex: &Regex) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = replacement;
    while let Some(at) = rest.find(['$', '\\']) {
        parts.push(Part::Text(rest[..at].to_owned()));
        let (sign, after) = (&rest[at..at + 1], &rest[at + 1..]);
        let (part, used) = match (sign, group(after)) {
            ("$", _) if after.starts_with('$') => (Part::Text("$".into()), 1),
            ("$", Some((name, used))) => (Part::Group(number(name, regex)?), used),
            // Other tools write a group as \1; a backslash that cannot mean one is just that.
            ("\\", Some((name, used))) if after.starts_with(|c: char| c.is_ascii_digit()) => {
                match number(name, regex) {
                    Ok(number) => (Part::Group(number), used),
                    Err(_) => (Part::Text("\\".into()), 0),
                }
            }
            _ => (Part::Text(sign.to_owned()), 0),
        };
        parts.push(part);
        rest = &after[used..];
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

/// The name or number at the start of what follows a `$`, and how many bytes it takes.
fn group(text: &str) -> Option<(&str, usize)> {
    if let Some(braced) = text.strip_prefix('{') {
        let end = braced.find('}')?;
        return Some((&braced[..end], end + 2));
    }
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    let is_part = |c: char| if is_number { c.is_ascii_digit() } else { c.is_alphanumeric() || c == '_' };
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    (end > 0).then(|| (&text[..end], end))
}

fn number(name: &str, regex: &Regex) -> Result<usize, String> {
    let number = match name.parse() {
        Ok(number) => Some(number),
        Err(_) => regex.capture_names().position(|group| group == Some(name)),
    };
    number
        .filter(|number| *number < regex.captures_len())
        .ok_or_else(|| format!("the pattern has no group {name:?}; write $$ for a dollar sign, or set literal"))
}
