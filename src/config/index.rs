//! The index of the user's folders: where it lies, and what reads the documents in them.

use super::pdf::pdf_reader;
use super::wiring::real;
use super::{ConfigError, Paths};
use crate::tool::browser::index::Index;
use crate::world::World;

/// The index, if it holds any folder: a source of the browser.
pub fn index(paths: &Paths) -> Result<Option<Index>, ConfigError> {
    Ok(Some(new_index(paths)?).filter(|index| !index.folders().is_empty()))
}

/// The index, though it may hold nothing yet. Nothing is written before a folder is added.
pub fn new_index(paths: &Paths) -> Result<Index, ConfigError> {
    let own = paths.all().iter().map(|folder| real(folder)).collect();
    Ok(Index::open(paths.index(), World::real(), pdf_reader(paths), own)?)
}
