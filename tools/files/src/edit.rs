//! The tool `edit`: an exact piece of a text file replaced by another.
//!
//! Guesses nothing: a piece that is not there, or there more than once, changes nothing, and the error says how to find
//! the right one. Works on bytes, so what is not UTF-8 elsewhere in the file stays. Start at [`edit`].

use serde::Deserialize;
use tool_guest::Failure;

use crate::lines::binary;
use crate::list::size;
use crate::walk::one_line;
use crate::{Folder, Kind, count};

/// The longest file, in bytes: as much as the host reads and writes at once.
const MAX_FILE: u32 = 8 << 20;
/// So many line numbers are named.
const MAX_NAMED: usize = 10;

/// Its arguments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    path: String,
    old: String,
    new: String,
    all: Option<bool>,
}

/// Replaces the one place of `old`, or all of them.
pub fn edit(folder: &dyn Folder, Edit { path, old, new, all }: &Edit) -> Result<String, Failure> {
    let named = one_line(path);
    if old.is_empty() {
        return Err(Failure::Arguments("old is empty; give the text to replace, or use write for a whole file".into()));
    }
    if old == new {
        return Err(Failure::Arguments("old and new are the same; there is nothing to change".into()));
    }
    let file = whole(folder, path)?;
    let (old, new, places) = places(&file, old, new);
    let lines = numbers(&file, &places);
    match places.len() {
        0 => return Err(Failure::Failed(absent(&named, &file, &old))),
        n if n > 1 && !all.unwrap_or(false) => {
            return Err(Failure::Failed(format!(
                "old is in {named} {n} times, at lines {lines}; give more of the text around it, or all = true"
            )));
        }
        _ => {}
    }
    let mut edited = Vec::with_capacity(file.len());
    let mut from = 0;
    for place in &places {
        edited.extend_from_slice(&file[from..*place]);
        edited.extend_from_slice(new.as_bytes());
        from = place + old.len();
    }
    edited.extend_from_slice(&file[from..]);
    folder.write(path, &edited).map_err(Failure::Failed)?;
    let line = if places.len() == 1 { "line" } else { "lines" };
    Ok(format!("edited {named}: {} at {line} {lines}", count(places.len() as u64, "place")))
}

fn whole(folder: &dyn Folder, path: &str) -> Result<Vec<u8>, Failure> {
    let named = one_line(path);
    let entry = folder.stat(path).map_err(Failure::Failed)?;
    if entry.kind == Kind::Folder {
        return Err(Failure::Failed(format!("{named} is a folder; edit takes a file")));
    }
    if entry.size > MAX_FILE.into() {
        let problem = format!("{named} is {} long; edit takes files of at most 8 MiB", size(entry.size));
        return Err(Failure::Failed(problem));
    }
    let file = folder.read(path, 0, MAX_FILE).map_err(Failure::Failed)?;
    match binary(&file) {
        Some(kind) => Err(Failure::Failed(format!("{named} is {kind}; edit takes text only"))),
        None => Ok(file),
    }
}

/// Where `old` is, with both texts in the file's line ends. `read` shows no CR, so a model writes none.
fn places(file: &[u8], old: &str, new: &str) -> (String, String, Vec<usize>) {
    let n_crlf = found(file, b"\r\n").len();
    let n_lf = file.iter().filter(|byte| **byte == b'\n').count();
    let lf = |text: &str| text.replace("\r\n", "\n");
    let crlf = |text: &str| lf(text).replace('\n', "\r\n");
    let as_it_is = (old.to_owned(), new.to_owned());
    let tried = match n_crlf {
        0 => vec![as_it_is, (lf(old), lf(new))],
        _ if n_crlf == n_lf => vec![(crlf(old), crlf(new))],
        _ => vec![as_it_is, (crlf(old), crlf(new)), (lf(old), lf(new))],
    };
    for (old, new) in tried {
        let places = found(file, old.as_bytes());
        if !places.is_empty() {
            return (old, new, places);
        }
    }
    (old.to_owned(), new.to_owned(), Vec::new())
}

/// Where a piece begins, without overlaps.
fn found(file: &[u8], piece: &[u8]) -> Vec<usize> {
    memchr::memmem::find_iter(file, piece).collect()
}

/// The number of the line in which a place is.
fn number(file: &[u8], place: usize) -> usize {
    1 + file[..place].iter().filter(|byte| **byte == b'\n').count()
}

fn numbers(file: &[u8], places: &[usize]) -> String {
    let named: Vec<String> = places.iter().take(MAX_NAMED).map(|place| number(file, *place).to_string()).collect();
    let more = if places.len() > MAX_NAMED { ", ..." } else { "" };
    format!("{}{more}", named.join(", "))
}

/// What to do about a piece that is not there.
fn absent(named: &str, file: &[u8], old: &str) -> String {
    if old.lines().all(|line| line.split_once(": ").is_some_and(|(number, _)| number.parse::<u64>().is_ok())) {
        return format!("old is not in {named}; leave out the line numbers that read shows");
    }
    if let Some((first, last)) = near(file, old, |byte| byte) {
        return format!(
            "old is not in {named}, but {} with only the blanks different; read there and copy exactly",
            at(first, last)
        );
    }
    if let Some((first, last)) = near(file, old, |byte| byte.to_ascii_lowercase()) {
        return format!(
            "old is not in {named}, but {} in other case of letters; read there and copy exactly",
            at(first, last)
        );
    }
    let start = old.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    match found(file, start.as_bytes()).as_slice() {
        places @ [_, ..] if !start.is_empty() => format!(
            "old is not in {named}; its first line is, at line {}, but not what follows; read there and copy exactly",
            numbers(file, places)
        ),
        _ => format!("old is not in {named}; read it and copy the text to replace exactly"),
    }
}

fn at(first: usize, last: usize) -> String {
    if first == last { format!("it is at line {first}") } else { format!("it is at lines {first}-{last}") }
}

/// The first and last line where a piece is when blanks do not count and each byte is seen in another way.
fn near(file: &[u8], old: &str, seen: impl Fn(u8) -> u8) -> Option<(usize, usize)> {
    let inked = |bytes: &[u8]| -> Vec<u8> {
        bytes.iter().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| seen(*byte)).collect()
    };
    let piece = inked(old.as_bytes());
    if piece.is_empty() {
        return None;
    }
    let start = memchr::memmem::find(&inked(file), &piece)?;
    let mut places = (0..file.len()).filter(|place| !file[*place].is_ascii_whitespace()).skip(start);
    let first = places.next()?;
    let last = if piece.len() > 1 { places.nth(piece.len() - 2)? } else { first };
    Some((number(file, first), number(file, last)))
}
