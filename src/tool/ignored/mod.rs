//! `.ossicleignore`: what the user keeps from every tool, whatever policy allows, in the form of a `.gitignore`.
//!
//! It is not policy, which people write for tools: these files lie in the user's folders, beside what they keep, and hold for
//! whoever opens a folder through [`Heeding`]. Start there; [`IgnoreFiles`] is what has been read of them.

mod patterns;

use crate::world::{Directory, Entry, Kind};
use patterns::{Below, Found, MAX_PATTERNS, Patterns, folded, hides, patterns};
use std::collections::HashMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The file's name.
const NAME: &str = ".ossicleignore";

/// Bytes of one such file. What is longer is not understood, so it keeps everything.
const MAX_FILE: usize = 64 << 10;

/// Folders whose files are remembered, and patterns of all these together.
const MAX_FOLDERS: usize = 20_000;
const MAX_KNOWN: usize = 100_000;

/// The ignore files that were met, each read once: for a call, or for a walk through a folder. They are read anew by the next.
#[derive(Default)]
pub struct IgnoreFiles(Mutex<Known>);

#[derive(Default)]
struct Known {
    folders: HashMap<PathBuf, Found>,
    n_patterns: usize,
}

impl Known {
    /// What is known of a folder, or is found out now.
    fn entry(&mut self, folder: PathBuf, find: impl FnOnce() -> Found) -> Found {
        if let Some(found) = self.folders.get(&folder) {
            return found.clone();
        }
        let found = find();
        self.n_patterns += patterns(&found).map_or(0, Patterns::n);
        if self.folders.len() >= MAX_FOLDERS || self.n_patterns > MAX_KNOWN {
            *self = Self { folders: HashMap::new(), n_patterns: patterns(&found).map_or(0, Patterns::n) };
        }
        self.folders.insert(folder, found.clone());
        found
    }
}

/// A folder in which what its ignore files name is not there for anybody. They count from this folder down.
pub struct Heeding<'a> {
    directory: &'a dyn Directory,
    /// Absolute.
    root: &'a Path,
    files: &'a IgnoreFiles,
}

impl<'a> Heeding<'a> {
    /// `directory` is the folder at `root`.
    pub fn new(directory: &'a dyn Directory, root: &'a Path, files: &'a IgnoreFiles) -> Self {
        Self { directory, root, files }
    }

    /// The path without links, if neither it nor what it was called is kept from tools.
    fn shown(&self, path: &Path) -> io::Result<PathBuf> {
        let real = self.directory.real(path);
        if real.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
            return real;
        }
        // `..` means something only where it really leads.
        let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        if is_plain {
            self.refuse(path)?;
        }
        let real = real?;
        if !is_plain || real != path {
            self.refuse(&real)?;
        }
        Ok(real)
    }

    /// The same for a path that is to be changed. The ignore files themselves are not, lest a tool lift them.
    fn changeable(&self, path: &Path) -> io::Result<()> {
        let real = self.shown(path)?;
        match path.components().chain(real.components()).any(|part| folded(part.as_os_str()) == NAME) {
            true => Err(denied(format!("only the user changes a {NAME}"))),
            false => Ok(()),
        }
    }

    /// Fails when a path without `..` and links is kept from tools.
    fn refuse(&self, path: &Path) -> io::Result<()> {
        let Some(folder) = path.parent() else { return Ok(()) };
        let above = self.patterns_in(folder)?;
        let is_folder = || self.directory.stat(path).is_ok_and(|entry| entry.kind == Kind::Folder);
        if above.is_empty() || !hides(&above, path, is_folder()) { Ok(()) } else { Err(kept()) }
    }

    /// The patterns that count in a folder, from the root's to its own. Fails when the folder itself is kept from tools: as with
    /// git nothing below it can be taken back, so no file in there is looked at.
    fn patterns_in(&self, folder: &Path) -> io::Result<Vec<Below>> {
        let mut above: Vec<Below> = Vec::new();
        let mut at = PathBuf::new();
        for part in std::iter::once(None).chain(folder.iter().map(Some)) {
            at.extend(part);
            if part.is_some() && hides(&above, &at, true) {
                return Err(kept());
            }
            let found = self.file_in(&at);
            match &*found {
                Err(problem) => return Err(denied(problem.clone())),
                Ok(None) => {}
                Ok(Some(_)) => above.push(Below { n_parts: at.iter().count(), found }),
            }
            if above.iter().filter_map(|below| patterns(&below.found)).map(Patterns::n).sum::<usize>() > MAX_PATTERNS {
                return Err(denied(format!(
                    "more than {MAX_PATTERNS} patterns of {NAME} files count here, so nothing is shown"
                )));
            }
        }
        Ok(above)
    }

    fn file_in(&self, folder: &Path) -> Found {
        let key = self.root.join(folder);
        let mut known = self.files.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(key, || Found::new(self.read_in(folder)))
    }

    /// What cannot be read or understood keeps everything: a file that is meant to hide something must not fail open.
    fn read_in(&self, folder: &Path) -> Result<Option<Patterns>, String> {
        let path = folder.join(NAME);
        let explain = |problem: &str| {
            let path = if folder.as_os_str().is_empty() { NAME.into() } else { path.display().to_string() };
            format!("nothing here is shown to tools, because {path} {problem}; the user has to mend it")
        };
        match self.directory.stat(&path) {
            // Where no folder is, nothing lies in it.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(explain(&format!("cannot be read: {error}"))),
            // Whatever a link leads to can be written under its own name.
            Ok(entry) if entry.is_link => return Err(explain("is a link")),
            Ok(entry) if entry.kind != Kind::File => return Err(explain("is not a file")),
            Ok(_) => {}
        }
        let bytes = self.directory.read(&path, 0, MAX_FILE as u64 + 1);
        let bytes = bytes.map_err(|error| explain(&format!("cannot be read: {error}")))?;
        if bytes.len() > MAX_FILE {
            return Err(explain(&format!("has more than {MAX_FILE} bytes")));
        }
        let text = str::from_utf8(&bytes).map_err(|_| explain("is not UTF-8 text"))?;
        Patterns::parse(text).map(Some).map_err(|problem| explain(&problem))
    }
}

impl Directory for Heeding<'_> {
    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        self.shown(path)
    }

    fn entries(&self, path: &Path, limit: usize) -> io::Result<Vec<Entry>> {
        let real = self.shown(path)?;
        let above = self.patterns_in(&real)?;
        let mut entries = self.directory.entries(&real, limit)?;
        if !above.is_empty() {
            entries.retain(|entry| !hides(&above, &real.join(&entry.name), entry.kind == Kind::Folder));
        }
        Ok(entries)
    }

    fn stat(&self, path: &Path) -> io::Result<Entry> {
        self.shown(path)?;
        self.directory.stat(path)
    }

    fn read(&self, path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        self.directory.read(&self.shown(path)?, offset, length)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.changeable(path)?;
        self.directory.write(path, bytes)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.changeable(path)?;
        self.directory.remove(path)
    }
}

fn kept() -> io::Error {
    denied(format!("the user's {NAME} keeps it from tools"))
}

fn denied(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, problem)
}

#[cfg(test)]
mod tests;
