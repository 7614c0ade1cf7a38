//! The folders that are indexed, as the user named them: a small file beside the index, which people may read.
//!
//! It knows nothing of what is in them. Start at [`Folders::read`] and [`Folders::checked`].

use super::IndexError;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

const HEAD: &str =
    "# The folders that `ossicle index` holds. Change them with `ossicle index add` and `ossicle index remove`.\n";

/// The file.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Folders {
    #[serde(default)]
    folder: Vec<Folder>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Folder {
    /// Absolute, and no link.
    path: PathBuf,
}

impl Folders {
    /// Those in the file; none when there is no file.
    pub(super) fn read(file: &Path) -> Result<Self, IndexError> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(Self::default());
            }
            Err(error) => return Err(IndexError::Unusable { path: file.to_owned(), error }),
        };
        let folders: Self = toml::from_str(&text)
            .map_err(|error| IndexError::Folders { path: file.to_owned(), problem: error.message().to_owned() })?;
        match folders.folder.iter().find(|folder| !folder.path.is_absolute()) {
            None => Ok(folders),
            Some(folder) => Err(IndexError::Folders {
                path: file.to_owned(),
                problem: format!("{} is no absolute path", folder.path.display()),
            }),
        }
    }

    /// Replaces the file in one step.
    pub(super) fn write(&self, file: &Path) -> Result<(), IndexError> {
        let unusable = |error: io::Error| IndexError::Unusable { path: file.to_owned(), error };
        let text = toml::to_string(self).map_err(|error| unusable(io::Error::other(error)))?;
        super::place::replace(file, (HEAD.to_owned() + &text).as_bytes()).map_err(unusable)
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.folder.iter().map(|folder| folder.path.clone()).collect()
    }

    /// A folder that can be added: one that is there, and neither in one that is indexed nor around one.
    pub(super) fn checked(&self, folder: &Path) -> Result<PathBuf, IndexError> {
        let path = match folder.canonicalize() {
            Ok(path) if path.is_dir() => path,
            Ok(path) => return Err(IndexError::NotAFolder(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(IndexError::NoFolder(folder.to_owned()));
            }
            Err(error) => return Err(IndexError::Unusable { path: folder.to_owned(), error }),
        };
        if path.to_str().is_none() {
            return Err(IndexError::NotUtf8(path));
        }
        for known in self.folder.iter().map(|folder| folder.path.clone()) {
            if known == path {
                return Err(IndexError::Already(path));
            }
            if path.starts_with(&known) {
                return Err(IndexError::Inside { path, outer: known });
            }
            if known.starts_with(&path) {
                return Err(IndexError::Around { path, inner: known });
            }
        }
        Ok(path)
    }

    pub(super) fn add(&mut self, path: PathBuf) {
        self.folder.push(Folder { path });
    }

    /// Takes a folder out, as it was named or as it is really called; one that is gone still has its name.
    pub(super) fn remove(&mut self, folder: &Path) -> Result<PathBuf, IndexError> {
        let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let names = [folder.canonicalize().ok(), Some(absolute)];
        let found = self.folder.iter().position(|known| names.iter().flatten().any(|name| *name == known.path));
        match found {
            Some(n) => Ok(self.folder.remove(n).path),
            None => Err(IndexError::NotIndexed(folder.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_neither_overlap_nor_repeat() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().canonicalize().unwrap().join(name);
        std::fs::create_dir_all(at("a/b/c")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        let mut folders = Folders::default();
        folders.add(folders.checked(&at("a/./b")).unwrap());
        assert!(matches!(folders.checked(&at("a/b")), Err(IndexError::Already(_))));
        assert!(matches!(folders.checked(&at("a/b/c/..")), Err(IndexError::Already(_))));
        assert!(matches!(folders.checked(&at("a/b/c")), Err(IndexError::Inside { .. })));
        assert!(matches!(folders.checked(&at("a")), Err(IndexError::Around { .. })));
        assert!(matches!(folders.checked(&at("absent")), Err(IndexError::NoFolder(_))));
        assert!(matches!(folders.checked(&at("file")), Err(IndexError::NotAFolder(_))));

        let file = at("folders.toml");
        folders.write(&file).unwrap();
        let mut read = Folders::read(&file).unwrap();
        assert_eq!(read.paths(), [at("a/b")]);
        assert!(matches!(read.remove(&at("a")), Err(IndexError::NotIndexed(_))));
        std::fs::remove_dir_all(at("a")).unwrap();
        assert_eq!(read.remove(&at("a/b")).unwrap(), at("a/b"));
        assert!(read.paths().is_empty());
    }

    #[test]
    fn a_file_that_makes_no_sense_is_named() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("folders.toml");
        assert!(Folders::read(&file).unwrap().paths().is_empty());
        for text in ["[[folder]]\npath = 3", "[[folder]]\npath = \"notes\"", "folders = []", "\u{0}"] {
            std::fs::write(&file, text).unwrap();
            assert!(Folders::read(&file).unwrap_err().to_string().contains("folders.toml"), "{text}");
        }
    }
}
