//! The tool `search`: the lines of text files that match a regular expression or contain a text.
//!
//! Matches within a line, never across lines, and tells of no binary file. Start at [`search`].

use std::ops::ControlFlow;

use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;
use tool_guest::Failure;

use crate::lines::{Line, Lines, shown};
use crate::list::size;
use crate::walk::{PASSED_OVER, one_line, walk};
use crate::{Folder, Kind, count};

const MAX_RESULTS: u64 = 100;
/// So many bytes of results are shown.
const MAX_SHOWN: usize = 16_000;
/// So many characters of a line are shown.
const MAX_LINE: usize = 200;
/// So many bytes of files are searched in one call, and so many folders and files are visited.
const MAX_READ: u64 = 256 << 20;
const MAX_VISITED: u64 = 100_000;
const MAX_DEPTH: usize = 64;
/// Of a compiled expression, in bytes.
const MAX_PATTERN: usize = 1 << 20;

/// Its arguments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    pattern: String,
    path: Option<String>,
    name: Option<String>,
    plain: Option<bool>,
}

/// Finds lines below a path as `path:line: text`.
pub fn search(folder: &dyn Folder, search: &Search) -> Result<String, Failure> {
    let path = search.path.as_deref().unwrap_or(".");
    let (pattern, is_plain) = pattern(&search.pattern, search.plain.unwrap_or(false))?;
    let name = search.name.as_deref().map(name_filter).transpose()?;
    let mut hunt = Hunt { folder, pattern, text: String::new(), n_results: 0, n_files: 0, n_read: 0, ended: None };
    let entry = folder.stat(path).map_err(Failure::Failed)?;
    if entry.kind == Kind::Folder {
        let (mut n_visited, mut n_closed) = (0, 0);
        let walked = walk(folder, path, MAX_DEPTH, &mut |found| {
            n_visited += 1;
            n_closed += u64::from(found.closed.is_some_and(|why| why != PASSED_OVER));
            if found.entry.kind == Kind::File
                && name.as_ref().is_none_or(|name| name.fits(found.path, &found.entry.name))
            {
                n_closed += u64::from(hunt.file(found.path).is_err());
            }
            if n_visited == MAX_VISITED {
                hunt.ended = Some(format!("only the first {} were searched", count(MAX_VISITED, "path")));
            }
            if hunt.ended.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        walked.map_err(Failure::Failed)?;
        if n_closed > 0 && hunt.ended.is_none() {
            hunt.ended = Some(format!("{} could not be read", count(n_closed, "path")));
        }
    } else if let Some(kind) = hunt.file(path).map_err(Failure::Failed)? {
        return Err(Failure::Failed(format!("{} is {kind}; search reads text only", one_line(path))));
    }
    Ok(hunt.told(search, is_plain))
}

/// The expression, and whether the pattern is taken as plain text: asked for, or because it is no expression.
fn pattern(pattern: &str, is_plain: bool) -> Result<(Regex, bool), Failure> {
    if pattern.is_empty() {
        return Err(Failure::Arguments("the pattern is empty; list shows the files".into()));
    }
    if pattern.contains('\n') {
        return Err(Failure::Arguments("the pattern has more than one line; search for one of them".into()));
    }
    let built = |text: &str| RegexBuilder::new(text).size_limit(MAX_PATTERN).build();
    let literal = || built(&regex::escape(pattern));
    let built = match is_plain {
        true => literal().map(|regex| (regex, true)),
        false => match built(pattern) {
            Err(regex::Error::Syntax(_)) => literal().map(|regex| (regex, true)),
            other => other.map(|regex| (regex, false)),
        },
    };
    built.map_err(|_| Failure::Arguments("the pattern is too big; use a shorter one with fewer repetitions".into()))
}

/// Which files are searched.
struct Names {
    glob: String,
    /// With a `/` it is about the path, and else about the last name of it.
    is_path: bool,
}

impl Names {
    fn fits(&self, path: &str, name: &str) -> bool {
        fast_glob::glob_match(&self.glob, if self.is_path { path } else { name })
    }
}

fn name_filter(glob: &str) -> Result<Names, Failure> {
    let glob = glob.strip_prefix("./").unwrap_or(glob);
    fast_glob::validate(glob).map_err(|_| {
        let short: String = glob.chars().take(60).collect();
        Failure::Arguments(format!("{short:?} is not a name pattern; write it like *.rs or src/**/*.{{md,txt}}"))
    })?;
    Ok(Names { glob: glob.to_owned(), is_path: glob.contains('/') })
}

struct Hunt<'a> {
    folder: &'a dyn Folder,
    pattern: Regex,
    text: String,
    n_results: u64,
    n_files: u64,
    n_read: u64,
    /// Why this is not all.
    ended: Option<String>,
}

impl Hunt<'_> {
    /// Searches a file; what it is, if it is no text.
    fn file(&mut self, path: &str) -> Result<Option<&'static str>, String> {
        let mut lines = Lines::open(self.folder, path)?;
        let binary = lines.binary();
        if binary.is_none() {
            self.n_files += 1;
            let mut number = 0u64;
            while let Some(line) = lines.next_line()? {
                number += 1;
                if self.pattern.is_match(line.bytes) {
                    self.found(path, number, &line);
                }
                if self.ended.is_some() {
                    break;
                }
                if self.n_read + lines.n_read() > MAX_READ {
                    self.ended = Some(format!("only {} were searched; name a smaller path", size(MAX_READ)));
                }
            }
        }
        self.n_read += lines.n_read();
        Ok(binary)
    }

    fn found(&mut self, path: &str, number: u64, line: &Line) {
        // A match far along a long line is shown with a little of what is before it.
        let start = self.pattern.find(line.bytes).map_or(0, |found| found.start());
        let skipped = if start > MAX_LINE { floor(line.bytes, start - 40) } else { 0 };
        let rest = Line { bytes: &line.bytes[skipped..], ..*line };
        let (text, _) = shown(&rest, MAX_LINE);
        let dots = if skipped > 0 { "…" } else { "" };
        let result = format!("{}:{number}: {dots}{text}\n", one_line(path));
        if self.n_results == MAX_RESULTS || (self.text.len() + result.len() > MAX_SHOWN && self.n_results > 0) {
            self.ended = Some("there are more results; narrow the pattern, path or name".into());
            return;
        }
        self.text.push_str(&result);
        self.n_results += 1;
    }

    fn told(self, Search { pattern, .. }: &Search, is_plain: bool) -> String {
        let mut notes = Vec::new();
        if is_plain && !matches!(pattern.as_str(), plain if regex::escape(plain) == plain) {
            notes.push("searched as plain text".to_owned());
        }
        notes.extend(self.ended);
        let notes = if notes.is_empty() { String::new() } else { format!("; {}", notes.join("; ")) };
        let (results, files) = (count(self.n_results, "result"), count(self.n_files, "file"));
        format!("{}[{results} in {files}{notes}]", self.text)
    }
}

/// The nearest place not after this one where a character begins.
fn floor(bytes: &[u8], place: usize) -> usize {
    (place.saturating_sub(3)..=place).rev().find(|at| bytes[*at] & 0xc0 != 0x80).unwrap_or(place)
}
