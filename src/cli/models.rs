//! `ossicle models`: checkpoints described.

use super::report::{Failure, exit};
use super::terminal;
use crate::engine::models::{self, Inspection};
use std::io::Write;
use std::path::Path;

/// Prints what is in the folder, or in the embedded model. A checkpoint with faults is described, and is a failure.
pub(super) fn inspect(folder: Option<&Path>) -> Result<(), Failure> {
    let inspection = match folder {
        Some(folder) => models::inspect(folder)?,
        None => Inspection::of(models::embedded()?),
    };
    write!(std::io::stdout(), "{}", terminal::block(&inspection.to_string()))?;
    if inspection.is_complete() {
        return Ok(());
    }
    Err(Failure::new(exit::NO_MODEL, "the checkpoint is not complete").help("download it again"))
}
