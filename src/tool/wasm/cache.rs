//! Compiled components, kept between runs.
//!
//! A compiled component is native code: whoever can put one here can run anything. The folder is the user's alone, and
//! every entry has a MAC beside it, under a key of this folder; one that does not fit is made anew.

use memmap2::Mmap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const KEY_FILE: &str = "key";
const KEY_BYTES: usize = 32;

/// A folder of compiled components.
pub(super) struct Cache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
}

impl Cache {
    /// Opens the folder, making it and its key when missing. `random` is asked for a new key's bits. A key that others
    /// could have put there is not used: with it, no entry is either.
    pub(super) fn open(folder: &Path, random: impl Fn() -> u64) -> io::Result<Self> {
        make_private(folder)?;
        let path = folder.join(KEY_FILE);
        let key = match read_private(&path).and_then(|bytes| bytes.try_into().ok()) {
            Some(key) => key,
            None => {
                let mut key = [0; KEY_BYTES];
                for part in key.chunks_mut(8) {
                    part.copy_from_slice(&random().to_le_bytes()[..part.len()]);
                }
                write_private(&path, &key)?;
                key
            }
        };
        Ok(Self { folder: folder.to_owned(), key })
    }

    /// The file with the compiled form of the component with this hash, by this compiler, when it is there and untouched. It is
    /// given as a file because a large one need not be read as a whole.
    pub(super) fn load(&self, hash: &str, compiler: u64) -> Option<PathBuf> {
        let name = name(hash, compiler);
        let path = self.folder.join(&name);
        let mac: [u8; blake3::OUT_LEN] = fs::read(mac_of(&path)).ok()?.try_into().ok()?;
        let file = fs::File::open(&path).ok()?;
        // SAFETY: nobody but this user can change the file, and a program of theirs that does could as well change this one.
        let compiled = unsafe { Mmap::map(&file) }.ok()?;
        if self.mac(&name, &compiled) == blake3::Hash::from_bytes(mac) {
            return Some(path);
        }
        tracing::warn!(name, "a compiled tool in the cache is not what was put there; it is made anew");
        None
    }

    /// Keeps a compiled form. A failure costs time at the next start and nothing else.
    pub(super) fn store(&self, hash: &str, compiler: u64, compiled: &[u8]) {
        let name = name(hash, compiler);
        let (mac, path) = (self.mac(&name, compiled), self.folder.join(&name));
        let written = write_private(&path, compiled).and_then(|()| write_private(&mac_of(&path), mac.as_bytes()));
        if let Err(error) = written {
            tracing::warn!(%error, "a compiled tool was not kept");
        }
    }

    /// Over the name too: an entry under another's name is another component's code.
    fn mac(&self, name: &str, compiled: &[u8]) -> blake3::Hash {
        let mut mac = blake3::Hasher::new_keyed(&self.key);
        mac.update(name.as_bytes());
        mac.update(compiled);
        // Compared in constant time.
        mac.finalize()
    }
}

fn mac_of(path: &Path) -> PathBuf {
    path.with_extension("mac")
}

fn name(hash: &str, compiler: u64) -> String {
    format!("{hash}-{compiler:016x}")
}

fn make_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// The bytes of a file that nobody but its owner can write or read.
fn read_private(path: &Path) -> Option<Vec<u8>> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (file, folder) = (fs::symlink_metadata(path).ok()?, fs::metadata(path.parent()?).ok()?);
        if !file.is_file() || file.mode() & 0o077 != 0 || file.uid() != folder.uid() {
            return None;
        }
    }
    fs::read(path).ok()
}

/// Writes beside the file and renames, so that nobody reads half of it.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    drop(file);
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_entry(folder: &Path) -> PathBuf {
        let mut entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.find(|path| path.file_name().unwrap() != KEY_FILE && path.extension().is_none()).unwrap()
    }

    #[test]
    fn what_was_kept_comes_back_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Cache::open(folder.path(), || 7).unwrap();
        open().store("source", 1, b"native code");
        assert_eq!(fs::read(open().load("source", 1).unwrap()).unwrap(), b"native code");
        assert_eq!(open().load("source", 2), None, "another compiler");
        assert_eq!(open().load("other", 1), None);
    }

    #[test]
    fn a_forged_entry_is_not_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), || 7).unwrap();
        cache.store("source", 1, b"native code");
        let path = only_entry(folder.path());
        let good = fs::read(&path).unwrap();
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for bad in [&flipped[..], &good[..10], &[], &[0; 64]] {
            fs::write(&path, bad).unwrap();
            assert_eq!(cache.load("source", 1), None);
        }
        let other = folder.path().join(name("other", 1));
        fs::write(&other, &good).unwrap();
        fs::copy(mac_of(&path), mac_of(&other)).unwrap();
        assert_eq!(cache.load("other", 1), None, "a true entry under another's name");
    }

    #[cfg(unix)]
    #[test]
    fn the_folder_and_its_files_are_the_users_alone() {
        use std::os::unix::fs::PermissionsExt;
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("new/tools");
        Cache::open(&folder, || 7).unwrap().store("source", 1, b"native code");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join(KEY_FILE)), mode(&only_entry(&folder))), (0o700, 0o600, 0o600));
        fs::set_permissions(folder.join(KEY_FILE), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(
            Cache::open(&folder, || 8).unwrap().load("source", 1),
            None,
            "a key that others could read is not used"
        );
    }
}
