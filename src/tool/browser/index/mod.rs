//! Search without a network: an index of the words in folders that the user named, kept on this machine.
//!
//! It is brought up to date when it is told to, and when a session first searches, if that takes no time. It sends nothing and
//! follows no link, and what `.ossicleignore` files name is not in it. Start at [`Index`]; as a source of the browser it is in
//! `backend`, how it changes in `update`, what is found in `query` and `postings`.

mod backend;
mod find;
mod folders;
mod kind;
mod passage;
mod place;
mod postings;
mod query;
mod record;
mod snippet;
mod update;
mod walk;
mod words;

pub use walk::{LeftOut, Reason};

use super::backend::PdfReader;
use crate::world::World;
use find::Session;
use folders::Folders;
use place::Place;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use update::{Care, Opened, Update};

/// The index of a user. Cheap to clone. All that is not async blocks: callers on an async runtime move it to a blocking thread.
#[derive(Clone)]
pub struct Index(Arc<Shared>);

struct Shared {
    place: Place,
    world: World,
    pdf: Option<PdfReader>,
    own: Vec<PathBuf>,
    /// As they were when the index was opened: a session's grants speak of them.
    folders: Vec<PathBuf>,
    session: Mutex<Session>,
}

/// How far an update is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The folders are looked through; so many files were found.
    Looking(usize),
    /// The `n`th of so many files, from 0, is read.
    Reading {
        /// Which.
        n: usize,
        /// How many there are.
        of: usize,
        /// Its absolute path.
        file: &'a str,
    },
    /// The words of what is gone are taken off the disk.
    Cleaning,
}

/// What an update did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files in the index, of the folders that were looked through, and their bytes.
    pub n_files: usize,
    /// See [`Self::n_files`].
    pub n_bytes: u64,
    /// Files that are new in it.
    pub n_added: usize,
    /// Files that have changed.
    pub n_changed: usize,
    /// Files that are gone, or are now kept from tools.
    pub n_removed: usize,
    /// What is not in it.
    pub left_out: LeftOut,
    /// Whether it came to its end.
    pub is_complete: bool,
}

/// A folder of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexed {
    /// Absolute.
    pub path: PathBuf,
    /// Files in the index.
    pub n_files: usize,
    /// Their bytes.
    pub n_bytes: u64,
}

/// Why the index could not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Its files cannot be read or written.
    #[error("the index in {} cannot be used: {error}", path.display())]
    Unusable {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What names its folders makes no sense.
    #[error("{} cannot be understood: {problem}", path.display())]
    Folders {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// It is not as it was written.
    #[error("the index is damaged ({0}); `ossicle index update` makes it anew")]
    Damaged(String),
    /// Somebody else writes.
    #[error("another process is updating the index")]
    Busy,
    /// No such folder.
    #[error("there is no folder {}", .0.display())]
    NoFolder(PathBuf),
    /// It is something else.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// Its name is not UTF-8.
    #[error("{} cannot be indexed: its name is not UTF-8", .0.display())]
    NotUtf8(PathBuf),
    /// It belongs to the program.
    #[error("{} cannot be indexed: it is the program's own", .0.display())]
    Own(PathBuf),
    /// It is there already.
    #[error("{} is indexed already", .0.display())]
    Already(PathBuf),
    /// A folder around it is.
    #[error("{} is indexed already, as a part of {}", path.display(), outer.display())]
    Inside {
        /// It.
        path: PathBuf,
        /// The folder around it.
        outer: PathBuf,
    },
    /// A folder in it is.
    #[error("a part of {} is indexed already: {}", path.display(), inner.display())]
    Around {
        /// It.
        path: PathBuf,
        /// The folder in it.
        inner: PathBuf,
    },
    /// It never was.
    #[error("{} is not indexed", .0.display())]
    NotIndexed(PathBuf),
}

impl Index {
    /// The index in the folder `place`, which need not be there yet. Without `pdf` files of that kind are left out. `own` are
    /// folders of the program's own, which no index holds.
    pub fn open(place: PathBuf, world: World, pdf: Option<PdfReader>, own: Vec<PathBuf>) -> Result<Self, IndexError> {
        let place = Place::new(place);
        let folders = Folders::read(&place.folders())?.paths();
        Ok(Self(Arc::new(Shared { place, world, pdf, own, folders, session: Mutex::default() })))
    }

    /// The folders that it holds, absolute, as they were when it was opened.
    pub fn folders(&self) -> &[PathBuf] {
        &self.0.folders
    }

    /// Adds a folder and what is in it. `go_on` hears how far it is; a no stops it, and a later update goes on.
    pub fn add(&self, folder: &Path, go_on: &mut dyn FnMut(Step<'_>) -> bool) -> Result<Summary, IndexError> {
        let Shared { place, own, .. } = &*self.0;
        let writing = place.write()?;
        let mut folders = Folders::read(&place.folders())?;
        let path = folders.checked(folder)?;
        if own.iter().any(|own| path.starts_with(own)) {
            return Err(IndexError::Own(path));
        }
        folders.add(path.clone());
        folders.write(&place.folders())?;
        self.0.update(true).run(&writing, &folders.paths(), &[path], Care::Thorough, go_on)
    }

    /// Makes it hold what its folders hold now. What is damaged is made anew.
    pub fn update(&self, go_on: &mut dyn FnMut(Step<'_>) -> bool) -> Result<Summary, IndexError> {
        let place = &self.0.place;
        let writing = place.write()?;
        let folders = Folders::read(&place.folders())?.paths();
        self.0.update(true).run(&writing, &folders, &folders, Care::Thorough, go_on)
    }

    /// Takes a folder out, with all words that only it had, and returns its path. The folder itself stays as it is.
    pub fn remove(&self, folder: &Path, go_on: &mut dyn FnMut(Step<'_>) -> bool) -> Result<PathBuf, IndexError> {
        let place = &self.0.place;
        let writing = place.write()?;
        let mut folders = Folders::read(&place.folders())?;
        let removed = folders.remove(folder)?;
        folders.write(&place.folders())?;
        match folders.paths() {
            left if left.is_empty() => place.wipe(&writing)?,
            left => {
                self.0.update(true).run(&writing, &left, &[], Care::Thorough, go_on)?;
            }
        }
        Ok(removed)
    }

    /// Its folders as they are now.
    pub fn list(&self) -> Result<Vec<Indexed>, IndexError> {
        let place = &self.0.place;
        let opened = Opened::found(place, false).map_err(|error| place.failed(error))?;
        let of_folder = |path: PathBuf| {
            let records = opened.iter().flat_map(|opened| opened.records.under(path.to_str().unwrap_or_default()));
            let (n_files, n_bytes) = records
                .filter(|(_, record)| record.problem.is_none())
                .fold((0, 0), |(n_files, n_bytes), (_, record)| (n_files + 1, n_bytes + record.size));
            Indexed { path, n_files, n_bytes }
        };
        Ok(Folders::read(&place.folders())?.paths().into_iter().map(of_folder).collect())
    }

    /// When all its folders were last looked through; `None` when they never were.
    pub fn updated(&self) -> Option<SystemTime> {
        self.0.place.updated()
    }

    /// How many bytes it takes on the disk.
    pub fn n_bytes(&self) -> u64 {
        self.0.place.n_bytes()
    }
}

impl Shared {
    fn update(&self, is_checked: bool) -> Update<'_> {
        let Self { place, world, pdf, own, .. } = self;
        Update { place, world, pdf: pdf.as_ref(), own, is_checked }
    }
}

#[cfg(test)]
mod tests;
