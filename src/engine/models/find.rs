//! Where a model comes from, and what a user's word for one means.
//!
//! What it is not: it downloads nothing and keeps no list. What other programs have stored is read and never changed.
//! Start at [`Source::find`]; [`found`] lists what there is.

mod examine;
mod folders;
mod hugging_face;
mod ollama;
mod places;

pub use places::Places;

use self::examine::{Walk, is_gguf};
use super::{Checkpoint, LoadError, gguf};
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// A model that may be opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// stapes, the demonstration model inside the program.
    #[default]
    Embedded,
    /// A directory in the official safetensors layout.
    Directory(PathBuf),
    /// A GGUF file, the first one where there are several; or a prepared model.
    File(PathBuf),
    /// Random weights of the 20b's shapes, for measuring. No word means it.
    Random,
    /// What a word means, which is looked up when it is opened: so what has nothing to do with a model needs none.
    Wanted {
        /// As the user wrote it.
        word: PathBuf,
        /// Where paths begin.
        folder: PathBuf,
        /// Where models may lie.
        places: Places,
    },
}

/// A model in one of the places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// As whoever stored it calls it: `openai/gpt-oss-20b`, `gpt-oss:20b`.
    pub name: String,
    /// The directory or the GGUF file.
    pub path: PathBuf,
    /// Who stored it.
    pub origin: Origin,
    /// What it is stored in.
    pub format: Format,
    /// Bytes of its weights; 0 where they cannot be read.
    pub n_bytes: u64,
    /// Why it cannot be used, where it cannot.
    pub fault: Option<String>,
}

/// Whose a model is: who stored it, and has to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `ossicle models pull`.
    Ossicle,
    /// The cache of Hugging Face's libraries.
    HuggingFace,
    /// LM Studio.
    LmStudio,
    /// Ollama.
    Ollama,
}

/// How a model is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The official layout: config.json and safetensors.
    Safetensors,
    /// A GGUF file.
    Gguf,
}

/// Every gpt-oss in the places, those that cannot be used included. The search is bounded: a place with more than any program
/// stores is not searched to its end.
pub fn found(places: &Places) -> Vec<Found> {
    let mut walk = Walk::default();
    let mut models = folders::own(&places.own, &mut walk);
    models.extend(places.hugging_face.iter().flat_map(|folder| hugging_face::models(folder, &mut walk)));
    models.extend(places.lm_studio.iter().flat_map(|folder| folders::lm_studio(folder, &mut walk)));
    models.extend(places.ollama.iter().flat_map(|folder| ollama::models(folder, &mut walk)));
    models
}

impl Source {
    /// What a user's word for a model means, as [`Self::find`] says when it is opened.
    pub fn wanted(word: &Path, folder: &Path, places: Places) -> Self {
        if word.as_os_str() == super::stapes::NAME {
            return Self::Embedded;
        }
        Self::Wanted { word: word.to_owned(), folder: folder.to_owned(), places }
    }

    /// What a user's word for a model means: `stapes` is the embedded one; a path that begins with `/`, `./` or `../`, or
    /// ends in `.gguf`, is a directory or a file, relative to `folder`; anything else is the name of a model in the places,
    /// or else a directory that is there. So a directory called like a model is `./stapes`, and the word means the same
    /// wherever it is said.
    pub fn find(word: &Path, folder: &Path, places: &Places) -> Result<Self, LoadError> {
        if word.as_os_str() == super::stapes::NAME {
            return Ok(Self::Embedded);
        }
        let path = folder.join(word);
        let Some(name) = word.to_str().filter(|_| !is_path(word)) else { return Ok(Self::at(path)) };
        let models = found(places);
        let named = called(&models, name);
        let usable: Vec<_> = named.iter().filter(|model| model.fault.is_none()).collect();
        match (usable[..].first(), named.first()) {
            (Some(model), _) if usable.len() == 1 => Ok(model.source()),
            (Some(_), _) => {
                let places: Vec<_> = usable.iter().map(|model| model.path.display().to_string()).collect();
                let problem = format!("{name} stands for {} models", usable.len());
                Err(LoadError::Name { problem, known: format!("give the path of one: {}", places.join(", ")) })
            }
            (None, Some(Found { name, origin, fault, .. })) => {
                let fault = fault.as_deref().unwrap_or_default();
                let problem = format!("{name}, which {origin} stored, cannot be used: {fault}");
                Err(LoadError::Name { problem, known: known(&models) })
            }
            (None, None) if path.exists() => Ok(Self::at(path)),
            (None, None) => {
                let problem = format!("there is no model {name}, and no folder {}", path.display());
                Err(LoadError::Name { problem, known: known(&models) })
            }
        }
    }

    /// What lies at a path.
    pub(super) fn at(path: PathBuf) -> Self {
        if is_gguf(&path) || path.is_file() {
            return Self::File(path);
        }
        // A folder for one GGUF, as LM Studio has them.
        match examine::only_gguf(&path) {
            Some(file) if !path.join("config.json").exists() => Self::File(file),
            _ => Self::Directory(path),
        }
    }

    /// Opens it.
    pub fn open(&self) -> Result<Checkpoint, LoadError> {
        match self {
            Self::Embedded => super::embedded(),
            Self::Directory(directory) => super::open(directory),
            Self::File(path) if super::prepared::is_prepared(path) => super::prepared::open(path),
            Self::File(path) => super::open_gguf(path),
            Self::Random => super::random::open(),
            Self::Wanted { word, folder, places } => Self::find(word, folder, places)?.open(),
        }
    }
}

/// A path, and not the name of a model.
fn is_path(word: &Path) -> bool {
    let first = word.components().next();
    word.is_absolute() || matches!(first, None | Some(Component::CurDir | Component::ParentDir)) || is_gguf(word)
}

/// Those that a word means; those of exactly that name, where there are any.
pub fn called<'a>(models: &'a [Found], word: &str) -> Vec<&'a Found> {
    let exact: Vec<_> = models.iter().filter(|model| model.name.eq_ignore_ascii_case(word)).collect();
    if exact.is_empty() { models.iter().filter(|model| model.is_called(word)).collect() } else { exact }
}

/// What there is, for messages.
fn known(models: &[Found]) -> String {
    const MOST: usize = 20;
    let usable = models.iter().filter(|model| model.fault.is_none());
    let mut names = vec![format!("{} (inside the program)", super::stapes::NAME)];
    names.extend(usable.map(|model| format!("{} ({})", model.name, model.origin)));
    let more = if names.len() > MOST { format!(" and {} more", names.len() - MOST) } else { String::new() };
    names.truncate(MOST);
    format!("there are {}{more}; the path of a folder or of a GGUF file does too", names.join(", "))
}

impl Found {
    /// How it is opened.
    pub fn source(&self) -> Source {
        match self.format {
            Format::Safetensors => Source::Directory(self.path.clone()),
            Format::Gguf => Source::File(self.path.clone()),
        }
    }

    /// Whether a shorter word means it: without the organisation, without the tag, or by the name of its file.
    fn is_called(&self, word: &str) -> bool {
        let mut words = vec![self.name.rsplit('/').next().unwrap_or_default().to_owned()];
        if self.origin == Origin::Ollama {
            words.extend(words[0].strip_suffix(":latest").map(str::to_owned));
        } else if self.format == Format::Gguf {
            words.push(gguf::stem(&self.path));
        }
        words.iter().any(|known| known.eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str(super::stapes::NAME),
            Self::Directory(path) | Self::File(path) => path.display().fmt(f),
            Self::Random => f.write_str(super::RANDOM),
            Self::Wanted { word, .. } => word.display().fmt(f),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ossicle => "Ossicle",
            Self::HuggingFace => "Hugging Face",
            Self::LmStudio => "LM Studio",
            Self::Ollama => "Ollama",
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Safetensors => "safetensors",
            Self::Gguf => "GGUF",
        })
    }
}

#[cfg(test)]
mod tests;
