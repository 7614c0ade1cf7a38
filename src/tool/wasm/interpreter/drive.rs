//! What a cell sees as its disk: the granted folders, to read, and over them what it has written itself.
//!
//! What it is not: a way to the user's files. They are read under the grant of the call that reads them and never changed;
//! a file that a cell opens for writing is copied here first, and what is here lives in memory. Start at [`Drive::open`].

use super::bindings::files::wasi::filesystem::types::ErrorCode;
use crate::policy::Grant;
use crate::tool::ignored::IgnoreFiles;
use crate::tool::wasm::granted::{Unopened, opened};
use crate::tool::{Attachment, media_type};
use crate::world::{Disk, Kind};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where the granted folders and results are.
pub(super) const DATA: &str = "/mnt/data";
/// Where nothing is kept.
pub(super) const SCRATCH: &str = "/tmp";

/// Bytes that may be written, and files and folders that may be made.
const MAX_BYTES: usize = 128 << 20;
const MAX_NODES: usize = 10_000;

/// Bytes of a path, and of a name in it.
const MAX_PATH: usize = 4096;
const MAX_NAME: usize = 255;

/// Entries of one of the user's folders.
const MAX_ENTRIES: usize = 10_000;

/// Refusals that the model is told of in words; the rest are only error codes to the code.
const MAX_REFUSALS: usize = 3;

/// A file that a cell wrote.
pub(super) struct File {
    bytes: Mutex<Vec<u8>>,
    /// Whether it was written since it was last taken.
    is_new: AtomicBool,
    room: Arc<Room>,
}

/// Of the whole drive.
#[derive(Default)]
struct Room {
    /// In bytes.
    used: AtomicUsize,
    /// Whether something did not fit. The standard library knows only that a write failed: the reason does not reach it.
    was_full: AtomicBool,
}

impl Room {
    fn take(&self, n_bytes: usize) -> Result<(), ErrorCode> {
        let fits = |used: usize| used.checked_add(n_bytes).filter(|sum| *sum <= MAX_BYTES);
        self.used.fetch_update(Relaxed, Relaxed, fits).map(drop).map_err(|_| {
            self.was_full.store(true, Relaxed);
            ErrorCode::InsufficientSpace
        })
    }

    fn give_back(&self, n_bytes: usize) {
        self.used.fetch_sub(n_bytes, Relaxed);
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.room.give_back(self.bytes().len());
    }
}

impl File {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It counts as written, though nothing may have changed.
    fn touch(&self) {
        self.is_new.store(true, Relaxed);
    }

    pub(super) fn len(&self) -> usize {
        self.bytes().len()
    }

    pub(super) fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let bytes = self.bytes();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        bytes[from..from.saturating_add(length).min(bytes.len())].to_vec()
    }

    pub(super) fn write(&self, offset: Option<u64>, new: &[u8]) -> Result<(), ErrorCode> {
        let mut bytes = self.bytes();
        let from = offset.map_or(Ok(bytes.len()), usize::try_from).map_err(|_| ErrorCode::FileTooLarge)?;
        let end = from.checked_add(new.len()).ok_or(ErrorCode::FileTooLarge)?;
        let length = end.max(bytes.len());
        self.resize(&mut bytes, length)?;
        bytes[from..end].copy_from_slice(new);
        Ok(())
    }

    pub(super) fn set_len(&self, length: u64) -> Result<(), ErrorCode> {
        let length = usize::try_from(length).map_err(|_| ErrorCode::FileTooLarge)?;
        let mut bytes = self.bytes();
        self.resize(&mut bytes, length)
    }

    fn resize(&self, bytes: &mut Vec<u8>, length: usize) -> Result<(), ErrorCode> {
        if let Some(more) = length.checked_sub(bytes.len()) {
            self.room.take(more)?;
        } else {
            self.room.give_back(bytes.len() - length);
        }
        bytes.resize(length, 0);
        // Only what is counted is kept.
        bytes.shrink_to(length.next_power_of_two());
        self.touch();
        Ok(())
    }
}

enum Node {
    Folder,
    File(Arc<File>),
}

/// The user's folders, as far as the grant of the running call reaches.
pub(super) struct Below {
    pub(super) grant: Arc<Grant>,
    pub(super) disk: Arc<dyn Disk>,
    /// As they are when the call begins.
    pub(super) ignored: IgnoreFiles,
}

/// An open file or folder. It is only a name: what it may do is asked again each time.
#[derive(Clone)]
pub enum Opened {
    /// A folder, by its path.
    Folder(String),
    /// A file that was written here.
    Written {
        /// Where it was opened.
        path: String,
        /// Its content, also when the name is gone.
        file: Arc<File>,
        /// Whether it was opened for writing.
        to_write: bool,
    },
    /// A file of the user's, by its path here.
    Below(String),
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct How {
    pub(super) create: bool,
    pub(super) exclusive: bool,
    pub(super) truncate: bool,
    pub(super) folder: bool,
    pub(super) write: bool,
}

/// What stands at a path.
#[derive(Clone)]
pub(super) enum Found {
    Folder,
    Written(Arc<File>),
    Below { n_bytes: u64 },
}

/// The disk of one interpreter; it outlives the interpreter.
pub struct Drive {
    written: BTreeMap<String, Node>,
    room: Arc<Room>,
    /// Names of further granted folders under [`DATA`], and where they are. The first folder is [`DATA`] itself.
    mounts: Vec<(String, PathBuf)>,
    below: Option<Below>,
    refusals: Vec<String>,
}

impl Drive {
    /// A drive over these folders.
    pub fn new(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut mounts: Vec<(String, PathBuf)> = Vec::new();
        for folder in folders {
            let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let numbered = |n: usize| if n == 1 { format!("{DATA}/{name}") } else { format!("{DATA}/{name}-{n}") };
            let is_free = |at: &String| !at.ends_with('/') && !mounts.iter().any(|(taken, _)| taken == at);
            let at = if mounts.is_empty() { Some(DATA.to_owned()) } else { (1..100).map(numbered).find(is_free) };
            mounts.extend(at.map(|at| (at, folder)));
        }
        Self { written: BTreeMap::new(), room: Arc::default(), mounts, below: None, refusals: Vec::new() }
    }

    /// The call whose grant counts from now on; none between calls.
    pub(super) fn serve(&mut self, below: Option<Below>) {
        self.below = below;
        if self.below.is_some() {
            self.refusals.clear();
        }
    }

    /// The files under `/mnt/data` that were written since this was last asked, and what was refused, in words.
    pub fn take(&mut self) -> (Vec<Attachment>, Vec<String>) {
        let file = |(path, node): (&String, &Node)| match node {
            Node::File(file) if file.is_new.swap(false, Relaxed) => {
                let (name, data) = (path.strip_prefix(DATA)?.strip_prefix('/')?.to_owned(), file.bytes().clone());
                Some(Attachment { media_type: media_type(&name, &data).into(), name, data })
            }
            _ => None,
        };
        let files = self.written.iter().filter_map(file).collect();
        let full =
            format!("{DATA} and {SCRATCH} are full: cells may keep {} MiB there; remove some files", MAX_BYTES >> 20);
        let is_full = self.room.was_full.swap(false, Relaxed);
        (files, std::mem::take(&mut self.refusals).into_iter().chain(is_full.then_some(full)).collect())
    }

    pub(super) fn find(&mut self, path: &str) -> Result<Found, ErrorCode> {
        match self.written.get(path) {
            Some(Node::Folder) => return Ok(Found::Folder),
            Some(Node::File(file)) => return Ok(Found::Written(file.clone())),
            None if path == DATA || path == SCRATCH || self.mounts.iter().any(|(at, _)| at == path) => {
                return Ok(Found::Folder);
            }
            None => {}
        }
        let entry = self.below(path, |directory, path| directory.stat(path))?;
        match entry.kind {
            Kind::File => Ok(Found::Below { n_bytes: entry.size }),
            Kind::Folder => Ok(Found::Folder),
            Kind::Other => Err(ErrorCode::NotPermitted),
        }
    }

    pub(super) fn open(&mut self, path: &str, how: How) -> Result<Opened, ErrorCode> {
        let found = match self.find(path) {
            Err(ErrorCode::NoEntry) if how.create && !how.folder => {
                let file = self.make_file(path)?;
                return Ok(Opened::Written { path: path.into(), file, to_write: true });
            }
            found => found?,
        };
        if how.create && how.exclusive {
            return Err(ErrorCode::Exist);
        }
        match found {
            Found::Folder if how.write || how.truncate => Err(ErrorCode::IsDirectory),
            Found::Folder => Ok(Opened::Folder(path.into())),
            _ if how.folder => Err(ErrorCode::NotDirectory),
            Found::Written(file) => {
                if how.truncate {
                    file.set_len(0)?;
                }
                Ok(Opened::Written { path: path.into(), file, to_write: how.write })
            }
            Found::Below { .. } if !how.write && !how.truncate => Ok(Opened::Below(path.into())),
            Found::Below { n_bytes } => {
                let n_bytes = if how.truncate { 0 } else { n_bytes };
                if n_bytes > MAX_BYTES as u64 {
                    self.room.was_full.store(true, Relaxed);
                    return Err(ErrorCode::InsufficientSpace);
                }
                let old = match n_bytes {
                    0 => Vec::new(),
                    n_bytes => self.read_below(path, 0, n_bytes)?,
                };
                let file = self.new_file();
                file.write(None, &old)?;
                file.is_new.store(how.truncate, Relaxed);
                self.make_room(path)?;
                self.written.insert(path.into(), Node::File(file.clone()));
                Ok(Opened::Written { path: path.into(), file, to_write: how.write })
            }
        }
    }

    fn make_file(&mut self, path: &str) -> Result<Arc<File>, ErrorCode> {
        self.make_room(path)?;
        let file = self.new_file();
        self.written.insert(path.into(), Node::File(file.clone()));
        Ok(file)
    }

    /// An empty one, not yet anywhere.
    fn new_file(&self) -> Arc<File> {
        Arc::new(File { bytes: Mutex::default(), is_new: true.into(), room: self.room.clone() })
    }

    /// Whether one more thing can be made there.
    fn make_room(&mut self, path: &str) -> Result<(), ErrorCode> {
        let above = path.rsplit_once('/').map(|(above, _)| above).ok_or(ErrorCode::NotPermitted)?;
        match self.find(above)? {
            Found::Folder if self.written.len() < MAX_NODES => Ok(()),
            Found::Folder => Err(ErrorCode::InsufficientSpace),
            _ => Err(ErrorCode::NotDirectory),
        }
    }

    pub(super) fn make_folder(&mut self, path: &str) -> Result<(), ErrorCode> {
        match self.find(path) {
            Err(ErrorCode::NoEntry) => {}
            Ok(_) => return Err(ErrorCode::Exist),
            Err(error) => return Err(error),
        }
        self.make_room(path)?;
        self.written.insert(path.into(), Node::Folder);
        Ok(())
    }

    /// Removes what was written; a file of the user's that it covered is seen again.
    pub(super) fn remove(&mut self, path: &str, folder: bool) -> Result<(), ErrorCode> {
        match self.find(path)? {
            Found::Folder if !folder => return Err(ErrorCode::IsDirectory),
            Found::Folder if !self.entries(path)?.is_empty() => return Err(ErrorCode::NotEmpty),
            Found::Written(_) | Found::Below { .. } if folder => return Err(ErrorCode::NotDirectory),
            _ => {}
        }
        match self.written.remove(path) {
            Some(_) => Ok(()),
            None => Err(self.refuse(path, "it is the user's own and cannot be removed from here")),
        }
    }

    pub(super) fn rename(&mut self, old: &str, new: &str) -> Result<(), ErrorCode> {
        let is_folder = matches!(self.find(old)?, Found::Folder);
        if !self.written.contains_key(old) {
            return Err(self.refuse(old, "it is the user's own and cannot be renamed from here: copy it"));
        }
        if old == new {
            return Ok(());
        }
        let under = format!("{old}/");
        if new.starts_with(&under) {
            return Err(ErrorCode::Invalid);
        }
        match self.find(new) {
            Ok(Found::Folder) if !is_folder => return Err(ErrorCode::IsDirectory),
            Ok(Found::Folder) if !self.entries(new)?.is_empty() => return Err(ErrorCode::NotEmpty),
            Ok(Found::Written(_) | Found::Below { .. }) if is_folder => return Err(ErrorCode::NotDirectory),
            Ok(_) => {}
            Err(ErrorCode::NoEntry) => self.make_room(new)?,
            Err(error) => return Err(error),
        }
        let moved = |path: &String| Some((path.clone(), format!("{new}{}", path.strip_prefix(old)?)));
        let moving = self.written.keys().filter(|path| *path == old || path.starts_with(&under)).filter_map(moved);
        let moving: Vec<_> = moving.collect();
        if moving.iter().any(|(_, to)| to.len() > MAX_PATH) {
            return Err(ErrorCode::NameTooLong);
        }
        for (path, to) in moving {
            if let Some(node) = self.written.remove(&path) {
                if let Node::File(file) = &node {
                    file.touch();
                }
                self.written.insert(to, node);
            }
        }
        Ok(())
    }

    /// Names in a folder, and whether each is one itself.
    pub(super) fn entries(&mut self, path: &str) -> Result<Vec<(String, bool)>, ErrorCode> {
        let mut entries = BTreeMap::new();
        match self.below(path, |directory, path| directory.entries(path, MAX_ENTRIES)) {
            Ok(below) => entries.extend(
                below
                    .into_iter()
                    .filter(|entry| entry.kind != Kind::Other)
                    .map(|entry| (entry.name, entry.kind == Kind::Folder)),
            ),
            Err(ErrorCode::NoEntry) => {}
            Err(error) => return Err(error),
        }
        let under = format!("{path}/");
        let child = |path: &String| path.strip_prefix(&under).filter(|name| !name.contains('/')).map(str::to_owned);
        entries.extend(self.mounts.iter().filter_map(|(at, _)| Some((child(at)?, true))));
        let written = self.written.range(under.clone()..).take_while(|(path, _)| path.starts_with(&under));
        entries.extend(written.filter_map(|(path, node)| Some((child(path)?, matches!(node, Node::Folder)))));
        Ok(entries.into_iter().collect())
    }

    pub(super) fn read_below(&mut self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>, ErrorCode> {
        self.below(path, move |directory, path| directory.read(path, offset, length))
    }

    /// Works on what the user has at this path, if the running call's grant lets it.
    fn below<T>(
        &mut self,
        path: &str,
        work: impl FnOnce(&dyn crate::world::Directory, &Path) -> io::Result<T>,
    ) -> Result<T, ErrorCode> {
        let holds = |(at, _): &&(String, PathBuf)| {
            path == at || path.strip_prefix(at).is_some_and(|rest| rest.starts_with('/'))
        };
        let mount = self.mounts.iter().filter(holds).max_by_key(|(at, _)| at.len());
        let (Some((at, folder)), Some(below)) = (mount, &self.below) else { return Err(ErrorCode::NoEntry) };
        let real = folder.join(path[at.len()..].trim_start_matches('/'));
        let Some(real) = real.to_str() else { return Err(ErrorCode::NoEntry) };
        match opened(below.disk.as_ref(), &below.grant, &below.ignored, real, false, work) {
            Ok(value) => Ok(value),
            Err(Unopened::Refused(reason)) => Err(self.refuse(path, &reason)),
            Err(Unopened::Failed(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(self.refuse(path, &error.to_string()))
            }
            Err(Unopened::Failed(error)) => Err(code(&error)),
        }
    }

    fn refuse(&mut self, path: &str, reason: &str) -> ErrorCode {
        let words = format!("{path}: {reason}");
        if self.refusals.len() < MAX_REFUSALS && !self.refusals.contains(&words) {
            self.refusals.push(words);
        }
        ErrorCode::NotPermitted
    }
}

/// The path that a name means in a folder: absolute, without `.` and `..`, not above the folder that was opened first.
pub(super) fn joined(folder: &str, name: &str) -> Result<String, ErrorCode> {
    if name.len() > MAX_PATH {
        return Err(ErrorCode::NameTooLong);
    }
    if name.starts_with('/') || name.contains('\0') {
        return Err(ErrorCode::NotPermitted);
    }
    let root = if folder.starts_with(DATA) { DATA } else { SCRATCH };
    let mut path = folder.to_owned();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." if path == root => return Err(ErrorCode::NotPermitted),
            ".." => path.truncate(path.rfind('/').unwrap_or_default()),
            part if part.len() > MAX_NAME => return Err(ErrorCode::NameTooLong),
            part => {
                path.push('/');
                path.push_str(part);
            }
        }
    }
    if path.len() > MAX_PATH { Err(ErrorCode::NameTooLong) } else { Ok(path) }
}

fn code(error: &io::Error) -> ErrorCode {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorCode::NoEntry,
        io::ErrorKind::PermissionDenied => ErrorCode::NotPermitted,
        io::ErrorKind::NotADirectory => ErrorCode::NotDirectory,
        io::ErrorKind::IsADirectory => ErrorCode::IsDirectory,
        io::ErrorKind::InvalidInput => ErrorCode::NotPermitted,
        io::ErrorKind::InvalidFilename => ErrorCode::NameTooLong,
        _ => ErrorCode::Io,
    }
}
