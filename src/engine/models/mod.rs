//! Models before they run: where checkpoints lie, what is in them, and whether they are what they say.
//!
//! What it is not: nothing here computes anything with a weight; that is [`super::cpu`]. Everything is checked against the
//! headers, and every error is found, before memory of a model's size is taken.
//! Start at [`Source`], which opens a [`Checkpoint`]; [`Inspection`] describes one for people.

mod adapter;
mod checkpoint;
mod dequantised;
mod error;
mod find;
mod float;
mod forms;
mod gguf;
mod gguf_parts;
mod inspect;
mod layout;
mod mxfp4;
mod prepare;
mod prepared;
pub mod pull;
mod random;
mod rows;
pub(crate) mod stapes;

pub(crate) use adapter::LowRank;
#[cfg(test)]
pub(crate) use checkpoint::Contents;
pub use checkpoint::{Checkpoint, Tensor};
pub(crate) use checkpoint::{EmbeddingRows, Storage, Stored};
pub use error::LoadError;
pub(crate) use error::amount;
pub use find::{Format, Found, Origin, Places, Source, called, found};
pub use forms::{Original, PreparedForm, prepared_forms};
use gguf::Gguf;
pub use inspect::Inspection;
pub(crate) use layout::{Form, LayerPart, Part};
use mxfp4::quantise_mxfp4;
pub use prepare::{Preparation, can_prepare, check_fits, prepare, prepared_path};
pub use prepared::verify;
pub use random::RANDOM;
pub(crate) use rows::Rows;

use std::path::Path;

/// Opens the checkpoint in a directory: the official safetensors layout.
pub fn open(directory: &Path) -> Result<Checkpoint, LoadError> {
    Checkpoint::open(directory)
}

/// Opens a model in a GGUF file, or in several of which this is one.
pub fn open_gguf(path: &Path) -> Result<Checkpoint, LoadError> {
    Checkpoint::of_gguf(Gguf::open(path)?)
}

/// Opens the model inside the program.
pub fn embedded() -> Result<Checkpoint, LoadError> {
    stapes::open()
}

/// What to do about a model that is larger than the machine.
pub(crate) const SMALLER: &str = "choose a smaller model, or a machine with more memory";

/// Refuses weights that the machine cannot hold, mapped or not: each token reads them, so that a model larger than its
/// memory would be read from the disk anew for every one.
pub(crate) fn check_size(name: &str, needed: u64, advice: &'static str) -> Result<(), LoadError> {
    match Memory::of_this_machine() {
        Some(Memory { total, .. }) if needed > total => {
            Err(LoadError::TooLarge { name: name.to_owned(), needed, total, advice })
        }
        _ => Ok(()),
    }
}

/// What to do about a context that does not fit into memory.
pub(crate) const SHORTER: &str = "close other programs, or ask for a shorter context";

/// Refuses what does not fit into the memory that is free now.
pub(crate) fn check_memory(name: &str, what: &str, needed: u64, advice: &'static str) -> Result<(), LoadError> {
    match available_memory() {
        Some(available) if needed > available => {
            Err(LoadError::Memory { name: name.to_owned(), what: what.to_owned(), needed, available, advice })
        }
        // Where the system does not tell, nothing is refused.
        _ => Ok(()),
    }
}

/// Refuses what does not fit on the disk of a file's folder, where the system tells.
fn check_room(path: &Path, needed: u64) -> Result<(), LoadError> {
    match free_space(path.parent().unwrap_or(path)) {
        Some(free) if needed > free => Err(LoadError::NoRoom { path: path.to_owned(), needed, free }),
        _ => Ok(()),
    }
}

/// Bytes that can still be written where a folder is or would be made, where the system tells.
pub(crate) fn free_space(folder: &Path) -> Option<u64> {
    let folder = std::path::absolute(folder).ok()?;
    let there = folder.ancestors().find(|above| above.is_dir())?;
    fs4::available_space(there).ok()
}

/// Bytes of memory that there are, where the system tells.
pub(crate) fn total_memory() -> Option<u64> {
    Some(Memory::of_this_machine()?.total)
}

/// Bytes of memory that programs can still take, where the system tells.
fn available_memory() -> Option<u64> {
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
        assert!(check_memory("m", "nothing", 0, SHORTER).is_ok() && check_size("m", 0, SMALLER).is_ok());
        let error = check_size("m", 1 << 60, SMALLER).unwrap_err().to_string();
        assert!(error.starts_with("m takes 1024.0 PiB of memory") && error.contains("a smaller model"), "{error}");
        let error = check_memory("m", "the cache", 1 << 60, SHORTER).unwrap_err().to_string();
        assert!(error.starts_with("m needs 1024.0 PiB of memory for the cache and "), "{error}");
    }

    #[test]
    fn free_space_is_that_of_the_nearest_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_space(&folder.path().join("not/there/yet")).is_some_and(|n| n > 0));
    }
}
