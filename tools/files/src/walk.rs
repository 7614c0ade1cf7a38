//! What lies below a folder, in order, to a depth: for `list` and `search`.
//!
//! Never looks into what programs keep for themselves, such as `.git`. Start at [`walk`].

use std::ops::ControlFlow;
use std::vec::IntoIter;

use crate::{Entry, Folder, Kind};

/// Folders whose contents nobody means when they say "all files".
const PASSED: [&str; 3] = [".git", "target", "node_modules"];

/// What [`Found::closed`] says of them.
pub const PASSED_OVER: &str = "not shown";

/// Something on the way.
pub struct Found<'a> {
    /// Fit for the other tools: the path of the walk's root and the names below it.
    pub path: &'a str,
    /// What lies there.
    pub entry: &'a Entry,
    /// Why nothing of what is in it follows, if it is a folder within the depth: its contents are passed over, or what
    /// the host says.
    pub closed: Option<&'a str>,
}

/// Visits what lies below a folder, each folder before its contents, until the visitor breaks off. The root itself must
/// be readable; another folder that is not is told as closed.
pub fn walk(
    folder: &dyn Folder,
    root: &str,
    depth: usize,
    visit: &mut dyn FnMut(Found) -> ControlFlow<()>,
) -> Result<(), String> {
    let mut levels: Vec<(String, IntoIter<Entry>)> = vec![(prefix(root), folder.entries(root)?.into_iter())];
    while let Some((above, entries)) = levels.last_mut() {
        let Some(entry) = entries.next() else {
            levels.pop();
            continue;
        };
        let path = format!("{above}{}", entry.name);
        let is_open = entry.kind == Kind::Folder && levels.len() < depth;
        let below = match is_open {
            false => Ok(None),
            true if PASSED.contains(&entry.name.as_str()) => Err(PASSED_OVER.to_owned()),
            true => folder.entries(&path).map(Some),
        };
        let closed = below.as_ref().err().map(String::as_str);
        if visit(Found { path: &path, entry: &entry, closed }).is_break() {
            break;
        }
        if let Ok(Some(below)) = below {
            levels.push((format!("{path}/"), below.into_iter()));
        }
    }
    Ok(())
}

/// What comes before the names in a folder: nothing for the folder in which the user works.
fn prefix(root: &str) -> String {
    let root = root.strip_prefix("./").unwrap_or(root);
    match root.trim_end_matches('/') {
        "" if root.starts_with('/') => "/".into(),
        "" | "." => String::new(),
        path => format!("{path}/"),
    }
}

/// A path on one line: control characters are written as escapes.
pub fn one_line(path: &str) -> String {
    path.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
