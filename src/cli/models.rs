//! `ossicle models`: checkpoints described.

use super::report::{Failure, exit};
use super::terminal;
use crate::engine::models::{Inspection, Source};
use std::io::Write;

/// Prints what is in the model. A checkpoint with faults is described, and is a failure.
pub(super) fn inspect(source: &Source) -> Result<(), Failure> {
    let inspection = Inspection::of(source.open()?);
    write!(std::io::stdout(), "{}", terminal::block(&inspection.to_string()))?;
    if inspection.is_complete() {
        return Ok(());
    }
    Err(Failure::new(exit::NO_MODEL, "the checkpoint is not complete").help("download it again"))
}
