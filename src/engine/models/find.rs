//! Where a model comes from.
//!
//! What it is not: it downloads nothing and keeps no list; a model is a directory that the user names, or the one inside
//! the program. Start at [`Source::open`].

use super::{Checkpoint, LoadError};
use std::fmt;
use std::path::{Path, PathBuf};

/// A model that may be opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// stapes, the demonstration model inside the program.
    #[default]
    Embedded,
    /// A directory in the official safetensors layout.
    Directory(PathBuf),
}

impl Source {
    /// What a user's word for a model means: `stapes` is the embedded one, anything else a directory, relative to `folder`.
    /// A directory of that name is `./stapes`, so that the word means the same wherever it is said.
    pub fn find(word: &Path, folder: &Path) -> Self {
        if word.as_os_str() == super::stapes::NAME { Self::Embedded } else { Self::Directory(folder.join(word)) }
    }

    /// Opens it.
    pub fn open(&self) -> Result<Checkpoint, LoadError> {
        match self {
            Self::Embedded => super::embedded(),
            Self::Directory(directory) => super::open(directory),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str(super::stapes::NAME),
            Self::Directory(directory) => directory.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_the_embedded_model_or_a_directory() {
        let find = |word: &str, folder: &str| Source::find(word.as_ref(), folder.as_ref());
        assert_eq!(find("stapes", ""), Source::Embedded);
        assert_eq!(find("stapes", "/etc/ossicle"), Source::Embedded);
        assert_eq!(find("./stapes", ""), Source::Directory("./stapes".into()));
        assert_eq!(find("models/20b", ""), Source::Directory("models/20b".into()));
        assert_eq!(find("20b", "/models"), Source::Directory("/models/20b".into()));
    }
}
