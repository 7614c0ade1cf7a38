//! A file that is still coming: its bytes so far on the disk, and their hash so far in memory.
//!
//! It knows nothing of hubs. Its name holds the hash that its end will have, so that what came of one file is never taken for
//! the beginning of another. Start at [`Partial::open`]; blocking: callers on an async runtime move it to a blocking thread.

use super::PullError;
use super::listing::{Hash, RemoteFile};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What the names of files that are still coming end with.
pub(super) const ENDING: &str = ".part";

/// Digits of the hash in such a name.
const N_DIGITS: usize = 16;

/// How much is read at once when bytes that are there are hashed.
const CHUNK: usize = 4 << 20;

/// The bytes of a file, hashed one after the other.
pub(super) enum Hasher {
    Sha256(Sha256),
    Git(Sha1),
}

impl Hasher {
    /// One for the bytes of this file.
    pub(super) fn new(file: &RemoteFile) -> Self {
        match file.hash {
            Hash::Sha256(_) => Self::Sha256(Sha256::new()),
            // Git names a blob by its bytes behind its kind and its length.
            Hash::Git(_) => Self::Git(Sha1::new_with_prefix(format!("blob {}\0", file.n_bytes))),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Git(hasher) => hasher.update(bytes),
        }
    }

    /// Compares it with what the hub said.
    pub(super) fn check(self, file: &RemoteFile) -> Result<(), PullError> {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let found = match self {
            Self::Sha256(hasher) => hex(&hasher.finalize()),
            Self::Git(hasher) => hex(&hasher.finalize()),
        };
        let expected = file.hash.hex();
        match found == expected {
            true => Ok(()),
            false => Err(PullError::WrongHash { file: file.name.clone(), expected: expected.into(), found }),
        }
    }
}

/// A file that is still coming.
pub(super) struct Partial {
    file: File,
    path: PathBuf,
    wanted: RemoteFile,
    hasher: Hasher,
    /// Of the bytes that are there, those that have been hashed.
    n_hashed: u64,
    /// In the file.
    n_bytes: u64,
}

impl Partial {
    /// Where it lies.
    pub(super) fn path(folder: &Path, wanted: &RemoteFile) -> PathBuf {
        folder.join(format!("{}.{}{ENDING}", wanted.name, &wanted.hash.hex()[..N_DIGITS]))
    }

    /// Opens it with what is there already, or begins it.
    pub(super) fn open(folder: &Path, wanted: &RemoteFile) -> io::Result<Self> {
        let path = Self::path(folder, wanted);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let mut n_bytes = file.metadata()?.len();
        if n_bytes > wanted.n_bytes {
            // Nothing of ours is longer than it should be.
            file.set_len(0)?;
            n_bytes = 0;
        }
        Ok(Self { file, path, hasher: Hasher::new(wanted), wanted: wanted.clone(), n_hashed: 0, n_bytes })
    }

    /// Bytes in the file, and those of them that are hashed.
    pub(super) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Of the bytes that are there, those that have been hashed.
    pub(super) fn n_hashed(&self) -> u64 {
        self.n_hashed
    }

    /// Hashes some more of what was there when it was opened.
    pub(super) fn hash_more(&mut self) -> io::Result<()> {
        let n = CHUNK.min(usize::try_from(self.n_bytes - self.n_hashed).unwrap_or(CHUNK));
        let mut bytes = vec![0; n];
        self.file.seek(SeekFrom::Start(self.n_hashed))?;
        self.file.read_exact(&mut bytes)?;
        self.hasher.update(&bytes);
        self.n_hashed += n as u64;
        Ok(())
    }

    /// Adds bytes behind those that are there, all of which have been hashed.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.n_bytes))?;
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.n_bytes += bytes.len() as u64;
        self.n_hashed = self.n_bytes;
        Ok(())
    }

    /// Begins anew.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        (self.n_bytes, self.n_hashed, self.hasher) = (0, 0, Hasher::new(&self.wanted));
        Ok(())
    }

    /// Gives the file its own name when it has the hash that it should have, and removes it when not.
    pub(super) fn finish(self, place: &Path) -> Result<(), PullError> {
        let Self { file, path, wanted, hasher, .. } = self;
        if let Err(error) = hasher.check(&wanted) {
            drop(file);
            fs::remove_file(&path).map_err(|source| PullError::Disk { path, source })?;
            return Err(error);
        }
        let disk = |source| PullError::Disk { path: place.to_owned(), source };
        file.sync_all().map_err(disk)?;
        drop(file);
        fs::rename(&path, place).map_err(disk)
    }
}

/// A file that is there under its own name, hashed piece by piece to see whether it is the one that is wanted.
pub(super) struct Present {
    file: File,
    hasher: Hasher,
    n_hashed: u64,
}

impl Present {
    /// The file, when it has the right length.
    pub(super) fn open(place: &Path, wanted: &RemoteFile) -> Option<Self> {
        let file = File::open(place).ok()?;
        let metadata = file.metadata().ok()?;
        let is_fit = metadata.is_file() && metadata.len() == wanted.n_bytes;
        is_fit.then(|| Self { file, hasher: Hasher::new(wanted), n_hashed: 0 })
    }

    /// Bytes hashed so far.
    pub(super) fn n_hashed(&self) -> u64 {
        self.n_hashed
    }

    /// Hashes some more; false at the end.
    pub(super) fn hash_more(&mut self) -> io::Result<bool> {
        let mut bytes = Vec::with_capacity(CHUNK);
        (&self.file).take(CHUNK as u64).read_to_end(&mut bytes)?;
        self.hasher.update(&bytes);
        self.n_hashed += bytes.len() as u64;
        Ok(!bytes.is_empty())
    }

    /// Whether its bytes were those that are wanted.
    pub(super) fn is(self, wanted: &RemoteFile) -> bool {
        self.hasher.check(wanted).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(bytes: &[u8]) -> RemoteFile {
        let hash = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        RemoteFile { name: "w.safetensors".into(), n_bytes: bytes.len() as u64, hash: Hash::Sha256(hash) }
    }

    #[test]
    fn git_names_a_blob_as_git_does() {
        // `printf 'hello\n' | git hash-object --stdin`, and the empty blob, which every repository knows.
        for (bytes, sha1) in [
            (&b"hello\n"[..], "ce013625030ba8dba906f756967f9e9ca394464a"),
            (b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        ] {
            let file = RemoteFile { name: "x".into(), n_bytes: bytes.len() as u64, hash: Hash::Git(sha1.into()) };
            let mut hasher = Hasher::new(&file);
            hasher.update(bytes);
            assert!(hasher.check(&file).is_ok());
        }
    }

    #[test]
    fn what_was_there_counts_in_the_hash() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("w.safetensors");
        let file = wanted(b"one two three");
        let mut partial = Partial::open(folder.path(), &file).unwrap();
        partial.append(b"one ").unwrap();
        drop(partial);
        let mut partial = Partial::open(folder.path(), &file).unwrap();
        assert_eq!((partial.n_bytes(), partial.n_hashed()), (4, 0));
        partial.hash_more().unwrap();
        partial.append(b"two three").unwrap();
        partial.finish(&place).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"one two three");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");

        // Of another file under the same name nothing is taken over.
        let mut other = Partial::open(folder.path(), &wanted(b"one two four!")).unwrap();
        assert_eq!(other.n_bytes(), 0);
        other.append(b"something else").unwrap();
        let error = other.finish(&place).unwrap_err().to_string();
        assert!(error.contains("is not what the hub said"), "{error}");
        assert_eq!(fs::read(&place).unwrap(), b"one two three", "what was good stays");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "what was wrong is removed");
    }

    #[test]
    fn a_present_file_is_told_by_its_length_and_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("w");
        for (bytes, is_it) in [(&b"abc"[..], true), (b"abd", false), (b"abcd", false), (b"", false)] {
            fs::write(&place, bytes).unwrap();
            let file = wanted(b"abc");
            let found = Present::open(&place, &file).is_some_and(|mut present| {
                while present.hash_more().unwrap() {}
                present.is(&file)
            });
            assert_eq!(found, is_it, "{bytes:?}");
        }
        assert!(Present::open(folder.path(), &wanted(b"abc")).is_none(), "a folder is no file");
    }
}
