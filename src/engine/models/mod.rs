//! Models before they run: where checkpoints lie, what is in them, and whether they are what they say.
//!
//! What it is not: nothing here computes anything with a weight; that is [`super::cpu`]. Everything is checked against the
//! headers, and every error is found, before memory of a model's size is taken.
//! Start at [`Source`], which opens a [`Checkpoint`]; [`Inspection`] describes one for people.

mod checkpoint;
mod find;
mod inspect;
mod layout;
mod prepare;
mod prepared;
mod quantise;
mod rows;
pub(crate) mod stapes;

#[cfg(test)]
pub(crate) use checkpoint::Contents;
pub use checkpoint::{Checkpoint, Tensor};
pub(crate) use checkpoint::{EmbeddingRows, Stored};
pub use find::Source;
pub use inspect::Inspection;
pub(crate) use layout::{Form, LayerPart, Part};
pub use prepare::{Preparation, can_prepare, prepare};
pub use prepared::verify;
use quantise::quantise_mxfp4;
pub(crate) use rows::Rows;

use std::io;
use std::path::{Path, PathBuf};

/// Opens the checkpoint in a directory: the official safetensors layout.
pub fn open(directory: &Path) -> Result<Checkpoint, LoadError> {
    Checkpoint::open(directory)
}

/// Opens the model inside the program.
pub fn embedded() -> Result<Checkpoint, LoadError> {
    stapes::open()
}

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
    /// A file that is cut short or is no safetensors file.
    #[error("{} is damaged or was not downloaded to its end: {problem}; download it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        problem: String,
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
        "{name} needs {} of memory for {what} and {} are free; close other programs, or ask for a shorter context",
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
    },
    /// It is larger than the machine.
    #[error(
        "{name} takes {} of memory with its context and this machine has {}; choose a smaller model, or a machine with more memory",
        amount(*needed), amount(*total)
    )]
    TooLarge {
        /// The model.
        name: String,
        /// Its weights and what they need beside them, in bytes.
        needed: u64,
        /// In bytes.
        total: u64,
    },
    /// The prepared form could not be written.
    #[error("cannot write {}: {source}; what was written is kept, and the same command goes on with it", path.display())]
    Prepare {
        /// The file.
        path: PathBuf,
        /// The system's reason.
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

/// Refuses weights that the machine cannot hold, mapped or not: each token reads them, so that a model larger than its
/// memory would be read from the disk anew for every one.
pub(crate) fn check_size(name: &str, needed: u64) -> Result<(), LoadError> {
    match Memory::of_this_machine() {
        Some(Memory { total, .. }) if needed > total => {
            Err(LoadError::TooLarge { name: name.to_owned(), needed, total })
        }
        _ => Ok(()),
    }
}

/// Refuses what does not fit into the memory that is free now.
pub(crate) fn check_memory(name: &str, what: &str, needed: u64) -> Result<(), LoadError> {
    match available_memory() {
        Some(available) if needed > available => {
            Err(LoadError::Memory { name: name.to_owned(), what: what.to_owned(), needed, available })
        }
        // Where the system does not tell, nothing is refused.
        _ => Ok(()),
    }
}

/// Refuses what does not fit on the disk of a folder, where the system tells.
fn check_room(path: &Path, needed: u64) -> Result<(), LoadError> {
    #[cfg(unix)]
    if let Some(Ok(disk)) = path.parent().map(rustix::fs::statvfs) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if needed > free {
            return Err(LoadError::NoRoom { path: path.to_owned(), needed, free });
        }
    }
    Ok(())
}

/// Bytes of memory that programs can still take, where the system tells.
pub(crate) fn available_memory() -> Option<u64> {
    Some(Memory::of_this_machine()?.available)
}

/// What memory there is, in bytes; a container's limit counts where it is the smaller.
struct Memory {
    total: u64,
    available: u64,
}

impl Memory {
    /// `None` where the system does not tell.
    fn of_this_machine() -> Option<Self> {
        let mut system = sysinfo::System::new().ok()?;
        system.refresh_memory();
        let (mut total, mut available) = (system.total_memory(), system.available_memory());
        if let Some(limits) = system.cgroup_limits() {
            (total, available) = (total.min(limits.total_memory), available.min(limits.free_memory));
        }
        (available > 0).then_some(Self { total, available })
    }
}

#[cfg(test)]
mod bad_checkpoints;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_well() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (13_761_300_984, "12.8 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(amount(bytes), text);
        }
    }

    #[test]
    fn memory_that_no_machine_has_is_refused() {
        assert!(check_memory("m", "nothing", 0).is_ok() && check_size("m", 0).is_ok());
        let error = check_size("m", 1 << 60).unwrap_err().to_string();
        assert!(error.starts_with("m takes 1024.0 PiB of memory") && error.contains("a smaller model"), "{error}");
        let error = check_memory("m", "the cache", 1 << 60).unwrap_err().to_string();
        assert!(error.starts_with("m needs 1024.0 PiB of memory for the cache and "), "{error}");
    }
}
