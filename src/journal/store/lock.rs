//! One writer for a session: a lock on a file of its own, which the system gives back when the process ends,
//! however it ends. So no lock is ever stale, and none needs a clock or a look at other processes.

use super::JournalError;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Holds a session's file until it is dropped.
pub(super) struct SessionLock {
    path: PathBuf,
    file: File,
}

impl SessionLock {
    /// Locks `session` in `folder`, which is made when missing.
    pub(super) fn take(folder: &Path, session: &str) -> Result<Self, JournalError> {
        let not_writable =
            |error: io::Error| JournalError::NotWritable { path: folder.to_owned(), cause: error.to_string() };
        fs::create_dir_all(folder).map_err(not_writable)?;
        let path = folder.join(session);
        loop {
            let mut options = OpenOptions::new();
            let mut file =
                options.read(true).write(true).create(true).truncate(false).open(&path).map_err(not_writable)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(JournalError::Locked { session: session.to_owned(), process: owner(&mut file) });
                }
                Err(TryLockError::Error(error)) => return Err(not_writable(error)),
            }
            // The owner before us may have removed the file between our opening and our locking it: then the lock is one
            // on a file that nobody will ever meet again.
            if !is_at(&file, &path) {
                continue;
            }
            let named =
                file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
            named.map_err(not_writable)?;
            return Ok(Self { path, file });
        }
    }
}

impl Drop for SessionLock {
    fn drop(&mut self) {
        // A file that stays is only untidy.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// The process that wrote its number into the file, for people.
fn owner(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn at_any_moment_one_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if let Ok(lock) = SessionLock::take(folder.path(), "s") {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold one lock");
                            taken.fetch_add(1, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
        assert!(taken.load(Ordering::SeqCst) > 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
