//! The tool `read`: a part of a text file, with the numbers of its lines.
//!
//! Shows nothing of a binary file. All of it is [`read`].

use serde::Deserialize;
use tool_guest::Failure;

use crate::lines::{Lines, shown};
use crate::list::size;
use crate::walk::one_line;
use crate::{Folder, Kind, count};

const LINES: u64 = 200;
/// So many bytes of lines are shown at once.
const MAX_SHOWN: usize = 16_000;
/// So many characters of a line are shown.
const MAX_LINE: usize = 2000;
/// The lines of a longer file are not counted, in bytes.
const MAX_COUNTED: u64 = 32 << 20;

/// Its arguments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    path: String,
    from: Option<u64>,
    lines: Option<u64>,
}

/// Shows lines of a file as `12: text`, and last which lines these are.
pub fn read(folder: &dyn Folder, Read { path, from, lines }: &Read) -> Result<String, Failure> {
    let (from, wanted) = (from.unwrap_or(1).max(1), lines.unwrap_or(LINES).max(1));
    let named = one_line(path);
    let entry = folder.stat(path).map_err(Failure::Failed)?;
    if entry.kind == Kind::Folder {
        return Err(Failure::Failed(format!("{named} is a folder; list shows what is in it")));
    }
    let mut lines = Lines::open(folder, path).map_err(Failure::Failed)?;
    if let Some(kind) = lines.binary() {
        return Err(Failure::Failed(format!("{named} is {kind}, {} long; read shows text only", size(entry.size))));
    }
    let (mut text, mut n_lines, mut last) = (String::new(), 0, None);
    let (mut is_valid, mut n_crlf, mut is_full) = (true, 0, false);
    while let Some(line) = lines.next_line().map_err(Failure::Failed)? {
        n_lines += 1;
        if n_lines < from {
            continue;
        }
        is_full = is_full || n_lines - from >= wanted;
        if !is_full {
            let (shown, is_utf8) = shown(&line, MAX_LINE);
            let numbered = format!("{n_lines}: {shown}\n");
            is_full = text.len() + numbered.len() > MAX_SHOWN && last.is_some();
            if !is_full {
                text.push_str(&numbered);
                last = Some(n_lines);
                is_valid &= is_utf8;
                n_crlf += u64::from(line.is_crlf);
            }
        }
        if is_full && entry.size > MAX_COUNTED {
            break;
        }
    }
    let Some(last) = last else {
        return match n_lines {
            0 => Ok(format!("{named} is empty")),
            _ => Err(Failure::Arguments(format!("{named} has only {}; from is {from}", count(n_lines, "line")))),
        };
    };
    let mut end = match (last == n_lines, is_full && entry.size > MAX_COUNTED) {
        (true, _) if from == 1 => format!("[all {} of {named}", count(n_lines, "line")),
        (true, _) => format!("[lines {from}-{last} of {n_lines}, the end"),
        (false, false) => format!("[lines {from}-{last} of {n_lines}; read on with from = {}", last + 1),
        (false, true) => format!("[lines {from}-{last} of {}; read on with from = {}", size(entry.size), last + 1),
    };
    if n_crlf > 0 {
        end.push_str("; line ends are CR LF");
    }
    if !is_valid {
        end.push_str("; bytes that are not UTF-8 are shown as \u{fffd}");
    }
    Ok(format!("{text}{end}]"))
}
