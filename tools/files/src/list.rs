//! The tool `list`: paths and sizes below a folder.
//!
//! A flat list and no drawing of a tree: each path is what the other tools take. All of it is [`list`].

use std::ops::ControlFlow;

use serde::Deserialize;
use tool_guest::Failure;

use crate::walk::{one_line, walk};
use crate::{Entry, Folder, Kind, count};

/// So many bytes of paths are shown.
pub(crate) const MAX_SHOWN: usize = 16_000;
/// So many entries are counted.
const MAX_COUNTED: u64 = 20_000;

/// Its arguments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    path: Option<String>,
    depth: Option<usize>,
}

/// Lists what is in a folder, and what is in its folders down to the depth.
pub fn list(folder: &dyn Folder, List { path, depth }: &List) -> Result<String, Failure> {
    let path = path.as_deref().unwrap_or(".");
    let depth = depth.unwrap_or(1).clamp(1, 16);
    let (mut text, mut n_found, mut n_shown) = (String::new(), 0, 0);
    let walked = walk(folder, path, depth, &mut |found| {
        n_found += 1;
        let line = line(found.path, found.entry, found.closed);
        if n_shown + 1 == n_found && text.len() + line.len() < MAX_SHOWN {
            text.push_str(&line);
            n_shown += 1;
        }
        if n_found < MAX_COUNTED { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    if let Err(problem) = walked {
        // A path that names a file is no mistake worth another call.
        return match folder.stat(path) {
            Ok(entry) if entry.kind != Kind::Folder => Ok(line(path, &entry, None).trim_end().to_owned()),
            _ => Err(Failure::Failed(problem)),
        };
    }
    if n_found == 0 {
        return Ok(format!("{} is empty", one_line(path)));
    }
    if n_shown < n_found {
        let more = if n_found < MAX_COUNTED { (n_found - n_shown).to_string() } else { "many".into() };
        text.push_str(&format!("[{} shown, {more} more; list a folder below, or less deep]", count(n_shown, "line")));
    }
    Ok(text.trim_end().to_owned())
}

fn line(path: &str, entry: &Entry, closed: Option<&str>) -> String {
    let path = one_line(path);
    match (entry.kind, closed) {
        (Kind::File, _) => format!("{path} ({})\n", size(entry.size)),
        (Kind::Folder, None) => format!("{path}/\n"),
        (Kind::Folder, Some(why)) => format!("{path}/ ({why})\n"),
        (Kind::Other, _) => format!("{path} (neither file nor folder)\n"),
    }
}

/// A size in three digits or so: `512 B`, `1.2 kB`, `34 MB`.
pub fn size(n_bytes: u64) -> String {
    let mut value = n_bytes as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if unit == "B" || value >= 9.95 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}
