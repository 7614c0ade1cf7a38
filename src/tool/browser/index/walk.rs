//! The files of a folder that its index should hold, and what is left out and why.
//!
//! It reads no file. Links are not followed, and what the folder's ignore files name is not there. Start at [`walk`].

use super::kind::Kind;
use crate::world::{self, Directory, Entry};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Files of all folders together.
pub(super) const MAX_FILES: usize = 200_000;

/// Bytes of a file.
pub(super) const MAX_FILE: u64 = 10 << 20;

/// Entries of one folder.
const MAX_ENTRIES: usize = 200_000;

/// Folders in folders.
const MAX_DEPTH: usize = 64;

/// Names that are looked at, whatever they are.
const MAX_NAMES: usize = 2_000_000;

/// Why a file is not in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// No text.
    OtherKind,
    /// More than an index reads.
    TooLarge,
    /// Beyond the number of files that an index holds.
    TooMany,
    /// A link, inside or out.
    Link,
    /// A pipe, a device, a socket.
    Special,
    /// Nothing here reads PDF.
    Pdf,
    /// Its text could not be had.
    Unreadable,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherKind => write!(f, "of other kinds"),
            Self::TooLarge => write!(f, "larger than {} MiB", MAX_FILE >> 20),
            Self::TooMany => write!(f, "more than the {MAX_FILES} files that an index holds"),
            Self::Link => write!(f, "links"),
            Self::Special => write!(f, "neither files nor folders"),
            Self::Pdf => write!(f, "PDF, which nothing here reads"),
            Self::Unreadable => write!(f, "not to be read"),
        }
    }
}

/// What was left out: how often, and one of them with what there is to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut(pub BTreeMap<Reason, (usize, String)>);

impl LeftOut {
    pub(super) fn add(&mut self, reason: Reason, example: impl FnOnce() -> String) {
        self.0.entry(reason).or_insert_with(|| (0, example())).0 += 1;
    }
}

/// A file that the index should hold.
pub(super) struct File {
    /// In its folder.
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) entry: Entry,
}

/// The files of a folder by their paths, or as many as there is `room` for. `is_own` tells what belongs to the program and is
/// not looked at; `go_on` is asked now and then with the number of files so far, and a no ends it without a result.
pub(super) fn walk(
    directory: &dyn Directory,
    room: usize,
    is_own: impl Fn(&Path) -> bool,
    left_out: &mut LeftOut,
    mut go_on: impl FnMut(usize) -> bool,
) -> Option<Vec<File>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    let mut n_names = 0;
    while let Some(folder) = folders.pop() {
        if !go_on(files.len()) {
            return None;
        }
        let entries = match directory.entries(&folder, MAX_ENTRIES) {
            Ok(entries) => entries,
            Err(error) => {
                left_out.add(Reason::Unreadable, || format!("{}: {error}", shown(&folder)));
                continue;
            }
        };
        n_names += entries.len();
        if n_names > MAX_NAMES {
            left_out.add(Reason::TooMany, || shown(&folder));
            break;
        }
        for entry in entries {
            let path = folder.join(&entry.name);
            if is_own(&path) || entry.name.starts_with('.') {
                continue;
            }
            match entry.kind {
                _ if entry.is_link => left_out.add(Reason::Link, || shown(&path)),
                world::Kind::Other => left_out.add(Reason::Special, || shown(&path)),
                world::Kind::Folder if folder.iter().count() == MAX_DEPTH => {
                    left_out.add(Reason::Unreadable, || format!("{}: it lies too deep", shown(&path)));
                }
                world::Kind::Folder => folders.push(path),
                world::Kind::File => match indexed(&path, &entry, files.len() < room) {
                    Ok(kind) => files.push(File { path, kind, entry }),
                    Err(reason) => left_out.add(reason, || shown(&path)),
                },
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Some(files)
}

/// What a file is read as, or why it is not.
fn indexed(path: &Path, entry: &Entry, has_room: bool) -> Result<Kind, Reason> {
    match Kind::of(path) {
        None => Err(Reason::OtherKind),
        Some(_) if entry.size > MAX_FILE => Err(Reason::TooLarge),
        Some(_) if !has_room => Err(Reason::TooMany),
        Some(kind) => Ok(kind),
    }
}

fn shown(path: &Path) -> String {
    if path.as_os_str().is_empty() { "the folder itself".into() } else { path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::ignored::{Heeding, IgnoreFiles};
    use crate::world::{Disk, RealDisk};

    fn walked(root: &Path, room: usize) -> (Vec<File>, LeftOut) {
        let directory = RealDisk.folder(root).unwrap();
        let (ignored, mut left_out) = (IgnoreFiles::default(), LeftOut::default());
        let heeding = Heeding::new(directory.as_ref(), root, &ignored);
        let files = walk(&heeding, room, |path| path == Path::new("own"), &mut left_out, |_| true);
        (files.unwrap(), left_out)
    }

    #[cfg(unix)]
    #[test]
    fn what_belongs_into_an_index_is_found_and_the_rest_is_named() {
        use std::os::unix::fs::symlink;
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("root");
        for (path, text) in [
            ("b.md", "x"),
            ("a/c.txt", "x"),
            ("a/pic.png", "x"),
            ("own/x.md", "x"),
            (".hidden/x.md", "x"),
            ("secret/x.md", "x"),
            (".ossicleignore", "secret/\n"),
            ("broken/.ossicleignore", "{"),
            ("broken/x.md", "x"),
        ] {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), text).unwrap();
        }
        std::fs::write(base.path().join("outside.md"), "x").unwrap();
        std::fs::File::create(root.join("huge.md")).unwrap().set_len(MAX_FILE + 1).unwrap();
        for (target, link) in
            [("..", "up"), ("../outside.md", "out.md"), ("b.md", "near.md"), ("a", "a-link"), (".", "loop")]
        {
            symlink(target, root.join(link)).unwrap();
        }
        assert!(std::process::Command::new("mkfifo").arg(root.join("pipe.md")).status().unwrap().success());
        let (files, left_out) = walked(&root, MAX_FILES);
        let paths: Vec<_> = files.iter().map(|file| file.path.to_str().unwrap()).collect();
        assert_eq!(paths, ["a/c.txt", "b.md"]);
        let left: Vec<_> = left_out.0.iter().map(|(reason, (n, example))| (*reason, *n, example.as_str())).collect();
        assert_eq!(left[0], (Reason::OtherKind, 1, "a/pic.png"));
        assert_eq!(left[1], (Reason::TooLarge, 1, "huge.md"));
        assert_eq!((left[2].0, left[2].1), (Reason::Link, 5));
        assert_eq!(left[3], (Reason::Special, 1, "pipe.md"));
        assert!(left[4].0 == Reason::Unreadable && left[4].2.contains("broken/.ossicleignore"), "{left:?}");
        assert_eq!(left.len(), 5);
        let (files, left_out) = walked(&root, 1);
        assert_eq!((files.len(), left_out.0[&Reason::TooMany].0), (1, 1));
    }

    #[test]
    fn it_ends_when_it_is_told_to_and_where_folders_never_end() {
        let base = tempfile::tempdir().unwrap();
        let deep = base.path().join("d/".repeat(MAX_DEPTH + 5));
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("a.md"), "x").unwrap();
        let (files, mut left_out) = walked(base.path(), MAX_FILES);
        assert!(files.is_empty() && left_out.0[&Reason::Unreadable].1.contains("too deep"));
        let directory = RealDisk.folder(base.path()).unwrap();
        assert!(walk(directory.as_ref(), 1, |_| false, &mut left_out, |_| false).is_none());
    }
}
