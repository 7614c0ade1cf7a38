//! Where pulled models lie: a folder for each repository, and in it `pulled.json`, which is written last.
//!
//! What it is not: it fetches nothing, and finds no models that other programs keep. A folder without the manifest is not
//! complete. Start at [`Pulled::read`]; [`Lock`] keeps a second process out.

use super::listing::{Hash, RemoteFile};
use super::names::check_kept;
use super::partial::ENDING;
use super::{PullError, Repo};
use crate::world::{Disk, RealDisk};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// The manifest's name.
const MANIFEST: &str = "pulled.json";

/// Its length, in bytes, and the form that is written.
const MAX_MANIFEST: u64 = 1 << 20;
const VERSION: u32 = 1;

/// What was pulled into a folder, to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulled {
    version: u32,
    /// `ORG/NAME`.
    pub repo: String,
    /// The hub's address.
    pub hub: String,
    /// The commit.
    pub revision: String,
    /// The licence's name, when the repository gives one.
    pub licence: Option<String>,
    /// In the folder.
    pub files: Vec<PulledFile>,
}

/// A file of a pulled model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PulledFile {
    /// In the folder.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// `sha256:...` of its bytes, or `git:...`, the SHA-1 of git's blob.
    pub hash: String,
}

impl PulledFile {
    pub(super) fn of(file: &RemoteFile) -> Self {
        let hash = match &file.hash {
            Hash::Sha256(hex) => format!("sha256:{hex}"),
            Hash::Git(hex) => format!("git:{hex}"),
        };
        Self { name: file.name.clone(), size: file.n_bytes, hash }
    }

    fn is_there(&self, folder: &Path) -> bool {
        fs::metadata(folder.join(&self.name)).is_ok_and(|found| found.is_file() && found.len() == self.size)
    }
}

impl Pulled {
    pub(super) fn new(repo: &Repo, hub: String, revision: &str, licence: Option<String>, files: &[RemoteFile]) -> Self {
        let files = files.iter().map(PulledFile::of).collect();
        Self { version: VERSION, repo: repo.to_string(), hub, revision: revision.into(), licence, files }
    }

    /// What the manifest of a folder says. `None` when there is none that can be read: then the folder is not complete.
    pub fn read(folder: &Path) -> Option<Self> {
        let bytes = RealDisk.read(&folder.join(MANIFEST), MAX_MANIFEST).ok()?;
        let pulled: Self = serde_json::from_slice(&bytes).ok()?;
        let is_good = pulled.version == VERSION && pulled.files.iter().all(|file| check_kept(&file.name).is_ok());
        is_good.then_some(pulled)
    }

    /// Whether all its files are in the folder, with the lengths that they should have.
    pub fn is_whole(&self, folder: &Path) -> bool {
        self.files.iter().all(|file| file.is_there(folder))
    }

    /// Of all files together.
    pub fn n_bytes(&self) -> u64 {
        self.files.iter().fold(0u64, |sum, file| sum.saturating_add(file.size))
    }

    /// Whether this very file is in it.
    pub(super) fn holds(&self, file: &RemoteFile) -> bool {
        self.files.contains(&PulledFile::of(file))
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), PullError> {
        let path = folder.join(MANIFEST);
        let written = serde_json::to_vec_pretty(self).map_err(io::Error::from);
        written.and_then(|bytes| RealDisk.write(&path, &bytes)).map_err(|source| PullError::Disk { path, source })
    }

    /// From now on the folder is not complete.
    pub(super) fn withdraw(folder: &Path) -> Result<(), PullError> {
        remove(&folder.join(MANIFEST))
    }
}

/// Removes a file that need not be there.
pub(super) fn remove(path: &Path) -> Result<(), PullError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(PullError::Disk { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Removes what was still coming of other revisions of these files, which is of no use once they are there.
pub(super) fn sweep(folder: &Path, files: &[RemoteFile]) -> Result<(), PullError> {
    let is_theirs = |name: &str| {
        let stem = name.strip_suffix(ENDING).and_then(|stem| stem.rsplit_once('.')).map(|(stem, _)| stem);
        stem.is_some_and(|stem| files.iter().any(|file| file.name == stem))
    };
    let entries = fs::read_dir(folder).map_err(|source| PullError::Disk { path: folder.to_owned(), source })?;
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(is_theirs) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Keeps other processes out of a repository's folder until it is dropped, or the process ends, however that comes about.
pub(super) struct Lock {
    _held: File,
}

impl Lock {
    /// Takes it, and makes the folder where it lies.
    pub(super) fn take(models: &Path, repo: &Repo) -> Result<Self, PullError> {
        // Beside the folder, and never removed: a lock on a file that has lost its name keeps nobody out.
        let path = models.join(format!(".{}.lock", repo.folder()));
        let disk = |source| PullError::Disk { path: path.clone(), source };
        fs::create_dir_all(models).map_err(disk)?;
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(disk)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(PullError::Busy { repo: repo.to_string(), process: owner(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(disk(source)),
        }
        let named = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        named.map_err(disk)?;
        Ok(Self { _held: file })
    }
}

/// The process that wrote its number into the file, for people.
fn owner(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_kept_out_and_told_of_the_first() {
        let (folder, repo) = (tempfile::tempdir().unwrap(), "me/x".parse().unwrap());
        let lock = Lock::take(folder.path(), &repo).unwrap();
        let error = Lock::take(folder.path(), &repo).err().unwrap().to_string();
        assert!(error.contains(&format!("already by process {}", std::process::id())), "{error}");
        assert!(Lock::take(folder.path(), &"me/y".parse().unwrap()).is_ok(), "another repository is free");
        drop(lock);
        assert!(Lock::take(folder.path(), &repo).is_ok());
    }

    #[test]
    fn a_folder_is_complete_when_its_manifest_says_so_and_its_files_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = RemoteFile { name: "w".into(), n_bytes: 3, hash: Hash::Git("0".repeat(40)) };
        let pulled = Pulled::new(
            &"me/x".parse().unwrap(),
            "https://hub.test/".into(),
            "c0ffee",
            None,
            std::slice::from_ref(&file),
        );
        assert_eq!(Pulled::read(folder.path()), None);
        pulled.write(folder.path()).unwrap();
        assert_eq!(Pulled::read(folder.path()), Some(pulled.clone()));
        assert!(pulled.holds(&file) && !pulled.is_whole(folder.path()));
        fs::write(folder.path().join("w"), "abc").unwrap();
        assert!(pulled.is_whole(folder.path()));
        Pulled::withdraw(folder.path()).unwrap();
        Pulled::withdraw(folder.path()).unwrap();
        assert_eq!(Pulled::read(folder.path()), None);
    }

    #[test]
    fn a_manifest_that_leads_elsewhere_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let text = |version: u32, name: &str| {
            format!(
                r#"{{"version":{version},"repo":"a/b","hub":"h","revision":"c","licence":null,
                    "files":[{{"name":"{name}","size":1,"hash":"git:0"}}]}}"#
            )
        };
        for (text, is_good) in [
            (text(1, "w"), true),
            (text(2, "w"), false),
            (text(1, "../w"), false),
            (text(1, "/etc/passwd"), false),
            ("{".into(), false),
            ("[".repeat(100_000), false),
        ] {
            fs::write(folder.path().join(MANIFEST), &text).unwrap();
            assert_eq!(Pulled::read(folder.path()).is_some(), is_good, "{text:.80}");
        }
    }

    #[test]
    fn what_was_still_coming_of_other_revisions_is_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["w.gguf", "w.gguf.0123456789abcdef.part", "v.gguf.0123456789abcdef.part", "w.gguf.part", "part"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let file = RemoteFile { name: "w.gguf".into(), n_bytes: 1, hash: Hash::Git("0".repeat(40)) };
        sweep(folder.path(), &[file]).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["part", "v.gguf.0123456789abcdef.part", "w.gguf", "w.gguf.part"]);
    }
}
