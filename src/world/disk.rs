//! The user's files as tools see them: whole files, named by absolute path, and folders.
//!
//! Which path a tool may name is decided by policy before it gets here; this is only the hand that does it.

use super::directory::{Directory, MemoryDirectory, RealDirectory};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Reads and writes whole files. Blocking: callers on an async runtime move it to a blocking thread.
pub trait Disk: Send + Sync {
    /// The bytes of the file, refused when it holds more than `limit` bytes.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;
    /// Replaces the file in one step (a crash leaves the old bytes or the new ones), making its folder when missing.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// A folder, to work in.
    fn folder(&self, path: &Path) -> io::Result<Box<dyn Directory>>;
}

fn too_large(path: &Path, limit: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("{} holds more than {limit} bytes", path.display()))
}

/// The machine's file system.
pub struct RealDisk;

impl Disk for RealDisk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        use io::Read;
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit { Err(too_large(path, limit)) } else { Ok(bytes) }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        use io::Write;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.new", std::process::id()));
        let beside = PathBuf::from(beside);
        let written = std::fs::File::create(&beside).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&beside, path)
        });
        if written.is_err() {
            // The failure that is reported is the first one; a leftover file beside it is only untidy.
            let _ = std::fs::remove_file(&beside);
        }
        written
    }

    fn folder(&self, path: &Path) -> io::Result<Box<dyn Directory>> {
        Ok(Box::new(RealDirectory::open(path)?))
    }
}

/// Files in memory.
#[derive(Default)]
pub struct MemoryDisk(Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>);

impl Disk for MemoryDisk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let files = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let bytes = files.get(path).ok_or(io::ErrorKind::NotFound)?;
        if bytes.len() as u64 > limit { Err(too_large(path, limit)) } else { Ok(bytes.clone()) }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        files.insert(path.to_owned(), bytes.to_owned());
        Ok(())
    }

    fn folder(&self, path: &Path) -> io::Result<Box<dyn Directory>> {
        Ok(Box::new(MemoryDirectory { files: self.0.clone(), root: path.to_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(disk: &dyn Disk, folder: &Path) {
        let path = folder.join("new/notes.md");
        assert_eq!(disk.read(&path, 10).unwrap_err().kind(), io::ErrorKind::NotFound);
        disk.write(&path, b"one").unwrap();
        disk.write(&path, b"three").unwrap();
        assert_eq!(disk.read(&path, 5).unwrap(), b"three");
        assert_eq!(disk.read(&path, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn real_and_memory_disks_behave_alike() {
        let folder = tempfile::tempdir().unwrap();
        check(&RealDisk, folder.path());
        assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 1, "no leftover beside the file");
        check(&MemoryDisk::default(), Path::new("/memory"));
    }
}
