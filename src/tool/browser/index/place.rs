//! Where the index lies: a folder of its own, which only its user may look into, with one writer at a time.
//!
//! It does not know what the files in it mean. Start at [`Place`].

use super::IndexError;
use super::postings::PostingsError;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The index's folder.
#[derive(Clone, Debug)]
pub(super) struct Place(PathBuf);

/// The right to write, which the system takes back when the process ends, however it ends.
pub(super) struct Writing(File);

impl Place {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The folders that are indexed.
    pub(super) fn folders(&self) -> PathBuf {
        self.0.join("folders.toml")
    }

    /// The words.
    pub(super) fn postings(&self) -> PathBuf {
        self.0.join("words")
    }

    /// What is known of the files, as it was when the words were last changed.
    pub(super) fn records(&self, generation: u64) -> PathBuf {
        self.0.join(format!("files-{generation}.json"))
    }

    fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// The right to write, when nobody else has it. The folder is made when missing.
    pub(super) fn write(&self) -> Result<Writing, IndexError> {
        let unusable = |error| self.unusable(error);
        private(&self.0).map_err(unusable)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let lock = match options.clone().create_new(true).open(self.lock()) {
            // Nothing was looked through yet.
            Ok(new) => new.set_modified(SystemTime::UNIX_EPOCH).map(|()| new),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(self.lock()),
            Err(error) => Err(error),
        };
        let lock = lock.map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Writing(lock)),
            Err(TryLockError::WouldBlock) => Err(IndexError::Busy),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// When all folders were last looked through.
    pub(super) fn updated(&self) -> Option<SystemTime> {
        let modified = fs::metadata(self.lock()).ok()?.modified().ok()?;
        (modified > SystemTime::UNIX_EPOCH).then_some(modified)
    }

    /// Takes away everything but the names of the folders: it can be made again.
    pub(super) fn wipe(&self, _alone: &Writing) -> Result<(), IndexError> {
        self.keep_records(None)?;
        match fs::remove_dir_all(self.postings()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.unusable(error)),
            _ => Ok(()),
        }
    }

    /// Takes away the records of all generations but this one.
    pub(super) fn keep_records(&self, generation: Option<u64>) -> Result<(), IndexError> {
        let kept = generation.map(|generation| self.records(generation));
        let is_records = |path: &Path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.starts_with("files-") && (name.ends_with(".json") || name.ends_with(".new"))
        };
        for entry in fs::read_dir(&self.0).map_err(|error| self.unusable(error))? {
            let path = entry.map_err(|error| self.unusable(error))?.path();
            if is_records(&path) && kept.as_deref() != Some(&path) {
                fs::remove_file(&path).map_err(|error| self.unusable(error))?;
            }
        }
        Ok(())
    }

    /// How many bytes it takes.
    pub(super) fn n_bytes(&self) -> u64 {
        let size = |folder: &Path| -> u64 {
            let files = fs::read_dir(folder).into_iter().flatten().flatten();
            files.filter_map(|file| file.metadata().ok()).filter(fs::Metadata::is_file).map(|file| file.len()).sum()
        };
        size(&self.0) + size(&self.postings())
    }

    pub(super) fn failed(&self, error: PostingsError) -> IndexError {
        match error {
            PostingsError::Unreachable(error) => self.unusable(error),
            PostingsError::Damaged(problem) => IndexError::Damaged(problem),
        }
    }

    pub(super) fn unusable(&self, error: io::Error) -> IndexError {
        IndexError::Unusable { path: self.0.clone(), error }
    }
}

impl Writing {
    /// Notes that all folders were looked through.
    pub(super) fn mark(&self, now: SystemTime) {
        // What it is for is a word to the user.
        let _ = self.0.set_modified(now);
    }
}

/// A folder that nobody else may look into.
pub(super) fn private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        builder.mode(0o700).create(folder)?;
        let mode = fs::metadata(folder)?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(mode & 0o700))?;
        }
        Ok(())
    }
    #[cfg(not(unix))]
    builder.create(folder)
}

/// Replaces a file in one step: a crash leaves the old bytes or the new ones.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = file.with_extension("new");
    let mut written = File::create(&beside)?;
    written.write_all(bytes)?;
    written.sync_all()?;
    fs::rename(&beside, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_writes_at_a_time() {
        let base = tempfile::tempdir().unwrap();
        let place = Place::new(base.path().join("new/index"));
        assert_eq!(place.updated(), None);
        let writing = place.write().unwrap();
        assert!(matches!(place.write(), Err(IndexError::Busy)));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        writing.mark(now);
        drop(writing);
        assert_eq!(place.updated(), Some(now));
        place.write().unwrap();
        assert_eq!(place.updated(), Some(now));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_look_into_it() {
        use std::os::unix::fs::PermissionsExt;
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("index");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        Place::new(folder.clone()).write().unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
