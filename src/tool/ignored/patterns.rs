//! The patterns of ignore files, and what they say of a path.
//!
//! What they mean is what they mean to git; nothing is read here. Start at [`Patterns::parse`] and [`hides`].

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization;

/// Patterns of all that count for one path.
pub(super) const MAX_PATTERNS: usize = 1000;

/// The patterns of one folder's file, if there is one, or why they cannot be known.
pub(super) type Found = Arc<Result<Option<Patterns>, String>>;

/// One file, read twice. A name that differs from a pattern only in the case of its letters, or in how its accents are
/// spelt, is the same name on many disks, so it is kept too.
pub(super) struct Patterns {
    exact: Gitignore,
    folded: Gitignore,
    n: usize,
}

impl Patterns {
    /// Reads a file. The error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let n = text.lines().count();
        if n > MAX_PATTERNS {
            return Err(format!("has more than {MAX_PATTERNS} lines"));
        }
        let built = |fold: fn(&str) -> String| {
            let mut builder = GitignoreBuilder::new("");
            for (n, line) in text.lines().enumerate() {
                let added = builder.add_line(None, &fold(line));
                added.map_err(|error| format!("cannot be understood in line {}: {error}", n + 1))?;
            }
            builder.build().map_err(|error| format!("cannot be understood: {error}"))
        };
        Ok(Self { exact: built(str::to_owned)?, folded: built(fold)?, n })
    }

    /// How many there are, comments and empty lines included.
    pub(super) fn n(&self) -> usize {
        self.n
    }
}

/// Patterns, and how many parts lead from the root to their folder.
pub(super) struct Below {
    pub(super) n_parts: usize,
    pub(super) found: Found,
}

/// What was found, where there is a file that can be understood.
pub(super) fn patterns(found: &Found) -> Option<&Patterns> {
    found.as_ref().as_ref().ok()?.as_ref()
}

impl Below {
    /// What they say of a path in their folder or under it; `None` is nothing.
    fn speak(&self, path: &Path, is_folder: bool, is_folded: bool) -> Option<bool> {
        let parts = path.iter().skip(self.n_parts);
        let patterns = patterns(&self.found)?;
        let spoken = match is_folded {
            false => patterns.exact.matched(parts.collect::<PathBuf>(), is_folder),
            true => patterns.folded.matched(parts.map(folded).collect::<PathBuf>(), is_folder),
        };
        (!spoken.is_none()).then(|| spoken.is_ignore())
    }
}

/// Whether patterns hide a path, the folders above which are not hidden: the nearest ones that speak of it count.
pub(super) fn hides(above: &[Below], path: &Path, is_folder: bool) -> bool {
    let is_hidden =
        |is_folded| above.iter().rev().find_map(|patterns| patterns.speak(path, is_folder, is_folded)) == Some(true);
    is_hidden(false) || is_hidden(true)
}

/// The same for all spellings that a disk may take for one: without case, and composed.
fn fold(text: &str) -> String {
    text.nfd().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}

/// The same of a name.
pub(super) fn folded(name: &OsStr) -> String {
    fold(&name.to_string_lossy())
}
