//! Why a model cannot be used, in words that name the file and say what to do.
//!
//! What it is not: no error of a running engine, which is [`crate::engine::EngineError`].
//! Start at [`LoadError`].

use std::io;
use std::path::PathBuf;

/// Why no model could be loaded. `Display` names the file, says what was expected and found, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file or folder that has to be there is not.
    #[error("{} does not exist; {advice}", path.display())]
    NotFound {
        /// What was looked for.
        path: PathBuf,
        /// What to do.
        advice: &'static str,
    },
    /// The system would not let it be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A model of another kind.
    #[error("{} describes a model of type {found}, and only gpt_oss can be run; choose a gpt-oss checkpoint", path.display())]
    Foreign {
        /// The configuration.
        path: PathBuf,
        /// Its `model_type`, quoted, or a word for its absence.
        found: String,
    },
    /// A configuration that makes no sense.
    #[error("{}: {problem}; take the checkpoint's own config.json", path.display())]
    Config {
        /// The configuration.
        path: PathBuf,
        /// What is wrong, with the value found.
        problem: String,
    },
    /// A file that is cut short, or says what cannot be.
    #[error("{} is damaged or was not downloaded to its end: {problem}; download it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        problem: String,
    },
    /// A sound file of a kind that is not read.
    #[error("{}: {problem}; {advice}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        problem: String,
        /// What to do.
        advice: &'static str,
    },
    /// A name that stands for no model, or for several.
    #[error("{problem}; {known}")]
    Name {
        /// The name, and what is wrong with it.
        problem: String,
        /// What there is, or what to do.
        known: String,
    },
    /// A tensor that the configuration promises.
    #[error("{} has no tensor {tensor}, expected {expected}; {advice}", path.display())]
    MissingTensor {
        /// The file, or the folder when there are several.
        path: PathBuf,
        /// Its official name.
        tensor: String,
        /// Its type and shape.
        expected: String,
        /// What to do.
        advice: &'static str,
    },
    /// A tensor that is not what the configuration promises.
    #[error("{}: tensor {tensor} is {found}, expected {expected}; its config.json belongs to another model", path.display())]
    WrongTensor {
        /// The file it lies in.
        path: PathBuf,
        /// Its official name.
        tensor: String,
        /// Type and shape by config.json.
        expected: String,
        /// Type and shape in the file.
        found: String,
    },
    /// More context than the model was made for.
    #[error("a context of {asked} tokens was asked for, and {name} reads at most {limit}; ask for less")]
    Context {
        /// The model.
        name: String,
        /// In tokens.
        asked: usize,
        /// In tokens.
        limit: usize,
    },
    /// It does not fit.
    #[error(
        "{name} needs {} of memory for {what} and {} are free; {advice}",
        amount(*needed), amount(*available)
    )]
    Memory {
        /// The model.
        name: String,
        /// What the memory is for.
        what: String,
        /// In bytes.
        needed: u64,
        /// In bytes.
        available: u64,
        /// What to do.
        advice: &'static str,
    },
    /// It is larger than the machine.
    #[error(
        "{name} takes {} of memory with its context and this machine has {}; {advice}",
        amount(*needed), amount(*total)
    )]
    TooLarge {
        /// The model.
        name: String,
        /// Its weights and what they need beside them, in bytes.
        needed: u64,
        /// In bytes.
        total: u64,
        /// What to do.
        advice: &'static str,
    },
    /// The prepared form could not be written.
    #[error("cannot write {}: {source}; what was written is kept, and the same command goes on with it", path.display())]
    Prepare {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The prepared form could not be removed.
    #[error("cannot remove {}: {source}", path.display())]
    Remove {
        /// The file.
        path: PathBuf,
        /// Who uses it, or the system's reason.
        source: io::Error,
    },
    /// Too little is free on the disk.
    #[error(
        "{} takes {} of disk, and {} are free in its folder; make room, or choose another folder with OSSICLE_HOME or XDG_CACHE_HOME",
        path.display(), amount(*needed), amount(*free)
    )]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// In bytes.
        needed: u64,
        /// In bytes.
        free: u64,
    },
    /// The caller said so.
    #[error("interrupted; what was written is kept, and the same command goes on with it")]
    Cancelled,
    /// The engine's thread could not be started.
    #[error("the system would not start a thread: {0}; close other programs")]
    Thread(io::Error),
}

/// Bytes for people: `1.5 GiB`.
pub(crate) fn amount(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit_idx = 0;
    while value >= 999.95 && unit_idx + 1 < UNITS.len() {
        value /= 1024.0;
        unit_idx += 1;
    }
    format!("{value:.1} {}", UNITS[unit_idx])
}
