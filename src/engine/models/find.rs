//! Where a model comes from.
//!
//! What it is not: it downloads nothing and keeps no list; a model is a directory that the user names, or the one inside
//! the program. Start at [`Source::open`].

use super::{Checkpoint, LoadError};
use std::path::PathBuf;

/// A model that may be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// stapes, the demonstration model inside the program.
    Embedded,
    /// A directory in the official safetensors layout.
    Directory(PathBuf),
}

impl Source {
    /// What a user's word for a model means: `stapes` is the embedded one, anything else a directory.
    pub fn find(word: &str) -> Self {
        if word == super::stapes::NAME && !PathBuf::from(word).is_dir() {
            Self::Embedded
        } else {
            Self::Directory(word.into())
        }
    }

    /// Opens it.
    pub fn open(&self) -> Result<Checkpoint, LoadError> {
        match self {
            Self::Embedded => super::embedded(),
            Self::Directory(directory) => super::open(directory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_the_embedded_model_or_a_directory() {
        assert_eq!(Source::find("stapes"), Source::Embedded);
        assert_eq!(Source::find("models/20b"), Source::Directory("models/20b".into()));
    }
}
