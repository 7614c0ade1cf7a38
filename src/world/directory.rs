//! A folder of the user's out of which no path leads: neither `..`, nor a link, nor one that is put there meanwhile.
//!
//! What it is not: permission; policy says which folders and paths a call may open. Paths are relative to the folder.
//! Start at [`Directory`].

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions, Permissions};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Blocking: callers on an async runtime move it to a blocking thread.
pub trait Directory: Send + Sync {
    /// The path without links, `.` and `..`. What is not there yet keeps its name in the folder that is.
    fn real(&self, path: &Path) -> io::Result<PathBuf>;
    /// What lies in a folder, by name: at most `limit` of it, and an error when there is more.
    fn entries(&self, path: &Path, limit: usize) -> io::Result<Vec<Entry>>;
    /// What a path is. A link that leads nowhere is something too.
    fn stat(&self, path: &Path) -> io::Result<Entry>;
    /// At most `length` bytes of a file from `offset`.
    fn read(&self, path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>>;
    /// Replaces a file in one step (a crash leaves the old bytes or the new ones), making the folders above it.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Removes a file, or a folder that is empty.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// Something that has a name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Without the folders above it. What is no UTF-8 in it is replaced.
    pub name: String,
    /// What it is; a link is what it leads to, and [`Kind::Other`] when that is outside or nowhere.
    pub kind: Kind,
    /// Of a file, in bytes.
    pub size: u64,
    /// When a file was last written, where the world knows that.
    pub modified: Option<SystemTime>,
    /// Whether the name is a link's: all else here is said of what it leads to.
    pub is_link: bool,
}

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A device, a pipe, a socket, a link that leads nowhere.
    Other,
}

/// The folder itself has no name in any.
fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| ".".into(), |name| name.to_string_lossy().into_owned())
}

/// Permissions without the bits that lend a program somebody's rights: the new bytes have not earned them.
fn plain(permissions: Permissions) -> Permissions {
    #[cfg(unix)]
    {
        use cap_std::fs::PermissionsExt;
        Permissions::from_mode(permissions.mode() & 0o777)
    }
    #[cfg(not(unix))]
    permissions
}

fn too_many(limit: usize) -> io::Error {
    io::Error::other(format!("it holds more than {limit} entries"))
}

fn no_file() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")
}

/// A folder of the machine.
pub(super) struct RealDirectory(Dir);

/// Told apart from the files beside it: a file is written under such a name first.
static N_WRITTEN: AtomicU64 = AtomicU64::new(0);

impl RealDirectory {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Dir::open_ambient_dir(path, ambient_authority()).map(Self)
    }

    /// An entry of which is known what it is, were it no link.
    fn entry(&self, path: &Path, name: String, own: io::Result<Metadata>) -> Entry {
        let is_link = own.as_ref().is_ok_and(Metadata::is_symlink);
        let metadata = if is_link { self.0.metadata(path) } else { own };
        let (kind, size) = match &metadata {
            Ok(metadata) if metadata.is_file() => (Kind::File, metadata.len()),
            Ok(metadata) if metadata.is_dir() => (Kind::Folder, 0),
            _ => (Kind::Other, 0),
        };
        let written = metadata.ok().filter(Metadata::is_file).and_then(|metadata| metadata.modified().ok());
        Entry { name, kind, size, modified: written.map(|time| time.into_std()), is_link }
    }

    /// Writes beside the file and puts the result in its place.
    fn replace(&self, path: &Path, beside: &Path, bytes: &[u8]) -> io::Result<()> {
        let old = match self.0.symlink_metadata(path) {
            Ok(old) if old.is_dir() => return Err(ErrorKind::IsADirectory.into()),
            Ok(old) if !old.is_file() && !old.is_symlink() => return Err(no_file()),
            Ok(old) if old.is_file() && old.permissions().readonly() => {
                return Err(io::Error::new(ErrorKind::PermissionDenied, "it may not be written"));
            }
            Ok(old) => Some(old).filter(|old| old.is_file()),
            Err(_) => None,
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        // What others may not read of the old one they may not read of the new one while it is written either.
        #[cfg(unix)]
        if old.is_some() {
            cap_std::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        let mut file = self.0.open_with(beside, &options)?;
        file.write_all(bytes)?;
        if let Some(old) = old {
            file.set_permissions(plain(old.permissions()))?;
        }
        file.sync_all()?;
        self.0.rename(beside, &self.0, path)
    }
}

impl Directory for RealDirectory {
    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        match self.0.canonicalize(or_here(path)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let name = path.file_name().ok_or(error)?;
                Ok(self.real(path.parent().unwrap_or(Path::new("")))?.join(name))
            }
            Ok(path) if path == Path::new(".") => Ok(PathBuf::new()),
            other => other,
        }
    }

    fn entries(&self, path: &Path, limit: usize) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in self.0.read_dir(or_here(path))? {
            if entries.len() == limit {
                return Err(too_many(limit));
            }
            let entry = entry?;
            let (name, own) = (entry.file_name(), entry.metadata());
            entries.push(self.entry(&path.join(&name), name.to_string_lossy().into_owned(), own));
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn stat(&self, path: &Path) -> io::Result<Entry> {
        let own = self.0.symlink_metadata(or_here(path))?;
        Ok(self.entry(or_here(path), name_of(path), Ok(own)))
    }

    fn read(&self, path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut options = OpenOptions::new();
        options.read(true);
        // A pipe whose other end nobody holds would keep us waiting at the very opening.
        #[cfg(unix)]
        cap_std::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
        let mut file = self.0.open_with(path, &options)?;
        if !file.metadata()?.is_file() {
            return Err(no_file());
        }
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new(""));
        self.0.create_dir_all(or_here(folder))?;
        let n = N_WRITTEN.fetch_add(1, Ordering::Relaxed);
        let beside = folder.join(format!(".ossicle-{}-{n}.new", std::process::id()));
        let written = self.replace(path, &beside, bytes);
        if written.is_err() {
            // The failure that is reported is the first one; a leftover file beside it is only untidy.
            let _ = self.0.remove_file(&beside);
        }
        written
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match self.0.symlink_metadata(path)?.is_dir() {
            true => self.0.remove_dir(path),
            false => self.0.remove_file(path),
        }
    }
}

/// A folder of a [`MemoryDisk`](super::MemoryDisk). One that holds nothing is not there, but for itself.
pub(super) struct MemoryDirectory {
    pub(super) files: Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>,
    pub(super) root: PathBuf,
}

/// An entry in memory, where there are neither links nor times.
fn entry(name: String, kind: Kind, size: u64) -> Entry {
    Entry { name, kind, size, modified: None, is_link: false }
}

impl MemoryDirectory {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<PathBuf, Vec<u8>>) -> T) -> T {
        work(&mut self.files.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Directory for MemoryDirectory {
    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        let mut real = PathBuf::new();
        for part in path.components() {
            let is_inside = match part {
                Component::Normal(name) => {
                    real.push(name);
                    true
                }
                Component::CurDir => true,
                Component::ParentDir => real.pop(),
                Component::RootDir | Component::Prefix(_) => false,
            };
            if !is_inside {
                return Err(io::Error::new(ErrorKind::PermissionDenied, "a path led outside of the filesystem"));
            }
        }
        Ok(real)
    }

    fn entries(&self, path: &Path, limit: usize) -> io::Result<Vec<Entry>> {
        let at = self.root.join(self.real(path)?);
        if self.stat(path)?.kind == Kind::File {
            return Err(ErrorKind::NotADirectory.into());
        }
        let mut entries = BTreeMap::new();
        self.with(|files| {
            for (file, bytes) in files.iter() {
                let Ok(under) = file.strip_prefix(&at) else { continue };
                let mut parts = under.components();
                let Some(name) = parts.next().map(|part| part.as_os_str().to_string_lossy().into_owned()) else {
                    continue;
                };
                let (kind, size) =
                    if parts.next().is_none() { (Kind::File, bytes.len() as u64) } else { (Kind::Folder, 0) };
                entries.insert(name.clone(), entry(name, kind, size));
            }
        });
        if entries.len() > limit { Err(too_many(limit)) } else { Ok(entries.into_values().collect()) }
    }

    fn stat(&self, path: &Path) -> io::Result<Entry> {
        let real = self.real(path)?;
        let (at, name) = (self.root.join(&real), name_of(&real));
        self.with(|files| match files.get(&at) {
            Some(bytes) => Ok(entry(name, Kind::File, bytes.len() as u64)),
            None if at == self.root || files.keys().any(|file| file.starts_with(&at)) => {
                Ok(entry(name, Kind::Folder, 0))
            }
            None => Err(ErrorKind::NotFound.into()),
        })
    }

    fn read(&self, path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        if self.stat(path)?.kind != Kind::File {
            return Err(no_file());
        }
        let at = self.root.join(self.real(path)?);
        self.with(|files| {
            let bytes = files.get(&at).ok_or(ErrorKind::NotFound)?;
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let to = from.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)).min(bytes.len());
            Ok(bytes[from..to].to_vec())
        })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if self.stat(path).is_ok_and(|entry| entry.kind == Kind::Folder) {
            return Err(ErrorKind::IsADirectory.into());
        }
        let at = self.root.join(self.real(path)?);
        self.with(|files| files.insert(at, bytes.to_vec()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.stat(path)?.kind == Kind::Folder {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        let at = self.root.join(self.real(path)?);
        self.with(|files| files.remove(&at));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(directory: &dyn Directory) {
        let path = Path::new;
        directory.write(path("a/b.txt"), b"hello").unwrap();
        directory.write(path("a/b.txt"), b"hello there").unwrap();
        directory.write(path("z.txt"), b"").unwrap();
        assert_eq!(directory.read(path("a/b.txt"), 6, 3).unwrap(), b"the");
        assert_eq!(directory.read(path("a/b.txt"), 100, 3).unwrap(), b"");
        assert_eq!(directory.read(path("a"), 0, 3).unwrap_err().to_string(), no_file().to_string());
        assert_eq!(directory.read(path("absent"), 0, 3).unwrap_err().kind(), ErrorKind::NotFound);
        let names = |at: &str| -> Vec<_> {
            directory
                .entries(path(at), 9)
                .unwrap()
                .into_iter()
                .map(|entry| (entry.name, entry.kind, entry.size))
                .collect()
        };
        assert_eq!(names(""), [("a".into(), Kind::Folder, 0), ("z.txt".into(), Kind::File, 0)]);
        assert_eq!(names("a"), [("b.txt".into(), Kind::File, 11)]);
        assert!(directory.entries(path(""), 1).is_err());
        assert_eq!(directory.stat(path("a")).unwrap(), entry("a".into(), Kind::Folder, 0));
        assert_eq!(directory.stat(path("")).unwrap().kind, Kind::Folder);
        assert_eq!(directory.real(path("./a/../a/new.txt")).unwrap(), path("a/new.txt"));
        assert_eq!(directory.real(path(".")).unwrap(), path(""));
        for outside in ["..", "../x", "a/../../x", "/etc/passwd"] {
            assert_eq!(directory.real(path(outside)).unwrap_err().kind(), ErrorKind::PermissionDenied, "{outside}");
        }
        assert_eq!(directory.write(path("a"), b"").unwrap_err().kind(), ErrorKind::IsADirectory);
        assert!(directory.remove(path("a")).is_err());
        directory.remove(path("a/b.txt")).unwrap();
        assert_eq!(directory.read(path("a/b.txt"), 0, 1).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn real_and_memory_folders_behave_alike() {
        let folder = tempfile::tempdir().unwrap();
        check(&RealDirectory::open(folder.path()).unwrap());
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{left:?}");
        check(&MemoryDirectory { files: Arc::default(), root: "/w".into() });
    }

    #[cfg(unix)]
    #[test]
    fn links_pipes_and_devices_lead_nowhere() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("root");
        std::fs::create_dir_all(root.join("inside")).unwrap();
        std::fs::write(base.path().join("secret"), "s").unwrap();
        std::fs::write(root.join("inside/ok"), "ok").unwrap();
        for (target, link) in [
            ("../secret", "up"),
            ("/etc/passwd", "absolute"),
            ("..", "parent"),
            ("inside", "near"),
            ("loop", "loop"),
            ("nowhere", "dangling"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        assert!(std::process::Command::new("mkfifo").arg(root.join("pipe")).status().unwrap().success());
        let directory = RealDirectory::open(&root).unwrap();
        for path in ["up", "absolute", "parent/secret", "loop", "dangling", "pipe", "inside/ok\0", "inside\n"] {
            assert!(directory.read(Path::new(path), 0, 9).is_err(), "{path}");
        }
        assert_eq!(directory.read(Path::new("near/ok"), 0, 9).unwrap(), b"ok");
        assert_eq!(directory.real(Path::new("near/ok")).unwrap(), Path::new("inside/ok"), "rules see where it leads");
        let entries = directory.entries(Path::new(""), 99).unwrap();
        let found = |name: &str| entries.iter().find(|entry| entry.name == name).unwrap();
        for (name, is_link, kind) in [
            ("near", true, Kind::Folder),
            ("up", true, Kind::Other),
            ("loop", true, Kind::Other),
            ("inside", false, Kind::Folder),
            ("pipe", false, Kind::Other),
        ] {
            assert_eq!((found(name).is_link, found(name).kind), (is_link, kind), "{name}");
        }
        assert!(directory.stat(Path::new("near")).unwrap().is_link);
        assert_eq!(directory.stat(Path::new("dangling")).unwrap(), *found("dangling"));
        assert!(directory.stat(Path::new("inside/ok")).unwrap().modified.is_some());
        for path in ["parent/new", "up/x", "absolute", "pipe", "a\0b"] {
            let written = directory.real(Path::new(path)).and_then(|real| directory.write(&real, b"x"));
            assert!(written.is_err(), "{path}");
        }
        // A link that leads nowhere is replaced, not followed.
        let real = directory.real(Path::new("dangling")).unwrap();
        directory.write(&real, b"x").unwrap();
        assert!(!root.join("nowhere").exists() && root.join("dangling").is_file());
        assert_eq!(std::fs::read(base.path().join("secret")).unwrap(), b"s");
        // What could be run can still be run.
        std::fs::set_permissions(root.join("inside/ok"), std::fs::Permissions::from_mode(0o755)).unwrap();
        directory.write(Path::new("inside/ok"), b"new").unwrap();
        assert_eq!(std::fs::metadata(root.join("inside/ok")).unwrap().permissions().mode() & 0o777, 0o755);
        // What may not be written is not replaced either.
        std::fs::set_permissions(root.join("inside/ok"), std::fs::Permissions::from_mode(0o444)).unwrap();
        assert!(directory.write(Path::new("inside/ok"), b"newer").is_err());
        assert_eq!(std::fs::read(root.join("inside/ok")).unwrap(), b"new");
    }

    /// While a folder and a link to the outside take turns under one name, nothing outside is ever read or written.
    #[cfg(unix)]
    #[test]
    fn a_link_put_there_meanwhile_is_not_followed() {
        use std::sync::atomic::AtomicBool;
        let base = tempfile::tempdir().unwrap();
        let (root, outside) = (base.path().join("root"), base.path().join("outside"));
        for folder in [&root.join("real"), &outside] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::write(outside.join("file"), "secret").unwrap();
        std::fs::write(root.join("real/file"), "public").unwrap();
        std::os::unix::fs::symlink(&outside, root.join("evil")).unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    for from in ["real", "evil"] {
                        std::fs::rename(root.join(from), root.join("turn")).unwrap();
                        std::thread::yield_now();
                        std::fs::rename(root.join("turn"), root.join(from)).unwrap();
                    }
                }
            });
            let directory = RealDirectory::open(&root).unwrap();
            for _ in 0..2000 {
                if let Ok(bytes) = directory.read(Path::new("turn/file"), 0, 99) {
                    assert_eq!(bytes, b"public");
                }
                // The folder may be gone, and is made: then the rename above would fail, so only what is there is written.
                let _ = directory.replace(Path::new("turn/made"), Path::new("turn/made.new"), b"x");
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1, "nothing was written outside");
    }
}
