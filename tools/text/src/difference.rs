//! The difference of two texts, line by line, in the unified form.
//!
//! Says nothing of differences within a line. The crate's own unified form is not used: it brings five algorithms, and
//! this package needs one. Start at [`unified`].

use std::ops::Range;

use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::{ChangeTag, DiffOp};
use tool_guest::page::Page;

use crate::PAGE;

/// The most lines of a text: two long ones that have nothing in common take long to compare.
const COMPARED: usize = 20_000;

/// The most lines of a difference on a page.
const LINES: usize = 400;

/// The most characters of a line.
const LINE: usize = 2000;

/// How many lines that are the same stand before and after a difference.
const CONTEXT: usize = 3;

/// The lines of the unified difference after the first `skip`. Line ends are compared as such only when nothing else
/// differs: two texts from two systems would differ in every line.
pub fn unified(old: &str, new: &str, skip: usize) -> Result<String, String> {
    if old == new {
        return Ok("the texts are the same".into());
    }
    let (old, new) = (old.replace("\r\n", "\n"), new.replace("\r\n", "\n"));
    if old == new {
        return Ok("the texts differ only in their line ends (CRLF and LF)".into());
    }
    // That the last line has no end is worth a word only where it is a difference.
    let is_end_noted = old.ends_with('\n') != new.ends_with('\n');
    let mut page = Page::new(skip, LINES, PAGE);
    page.offer(|| "--- old".into());
    page.offer(|| "+++ new".into());
    let (old, new) = (old.split_inclusive('\n').collect::<Vec<_>>(), new.split_inclusive('\n').collect::<Vec<_>>());
    if old.len().max(new.len()) > COMPARED {
        return Err(format!("a text may have {COMPARED} lines at most; compare parts of the texts"));
    }
    for hunk in similar::group_diff_ops(operations(&old, &new), CONTEXT) {
        page.offer(|| header(&hunk));
        for change in hunk.iter().flat_map(|operation| operation.iter_changes(&old[..], &new[..])) {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            let line = change.value();
            page.offer(|| format!("{sign}{}", cut(line.trim_end_matches('\n'))));
            if is_end_noted && !line.ends_with('\n') {
                page.offer(|| "\\ No newline at end of file".into());
            }
        }
    }
    Ok(match page.note("lines") {
        None => page.text().to_owned(),
        Some(note) if page.text().is_empty() => return Err(note),
        Some(note) => format!("{}\n({note})", page.text()),
    })
}

fn operations(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let mut found = Compact::new(Replace::new(Capture::new()), old, new);
    let Ok(()) = myers::diff(&mut found, old, 0..old.len(), new, 0..new.len());
    found.into_inner().into_inner().into_ops()
}

fn header(hunk: &[DiffOp]) -> String {
    let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { return String::new() };
    let old = span(first.old_range().start..last.old_range().end);
    let new = span(first.new_range().start..last.new_range().end);
    format!("@@ -{old} +{new} @@")
}

/// The lines counted from 1; of no lines, the one before them.
fn span(lines: Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => (lines.start + 1).to_string(),
        n => format!("{},{n}", lines.start + 1),
    }
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}... ({} more characters)", &line[..end], line[end..].chars().count()),
    }
}
