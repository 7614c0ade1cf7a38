//! The tool `write`: a whole file, new or in another's place.
//!
//! Changes nothing of the text, its line ends neither. All of it is [`write`].

use serde::Deserialize;
use tool_guest::Failure;

use crate::list::size;
use crate::walk::one_line;
use crate::{Folder, count};

/// Its arguments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    path: String,
    text: String,
}

/// Writes a file, and says whether there was one.
pub fn write(folder: &dyn Folder, Write { path, text }: &Write) -> Result<String, Failure> {
    let before = folder.stat(path).ok();
    folder.write(path, text.as_bytes()).map_err(Failure::Failed)?;
    let now = format!("{}, {}", count(text.lines().count() as u64, "line"), size(text.len() as u64));
    Ok(match before {
        Some(before) => format!("replaced {}: {now} (before: {})", one_line(path), size(before.size)),
        None => format!("created {}: {now}", one_line(path)),
    })
}
