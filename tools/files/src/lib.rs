//! The tools over the user's folders: `list`, `read`, `search`, `write` and `edit`.
//!
//! Decides nothing about what may be touched: the host checks every path, and what it says of one is handed on. Start
//! at [`call`]; each tool has a file of its own, and [`lines`] is how those that read see text.

pub mod edit;
pub mod lines;
pub mod list;
pub mod read;
pub mod search;
pub mod walk;
pub mod write;

use tool_guest::Failure;

/// What a path can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A device, a socket and the like.
    Other,
}

/// What lies in a folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Without the folders above it.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Of a file, in bytes.
    pub size: u64,
}

/// The folders that the package was granted. Errors are for the model.
pub trait Folder {
    /// What lies in a folder, by name.
    fn entries(&self, path: &str) -> Result<Vec<Entry>, String>;
    /// What a path is.
    fn stat(&self, path: &str) -> Result<Entry, String>;
    /// At most so many bytes of a file from an offset; fewer only at its end.
    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, String>;
    /// Writes or replaces a file.
    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), String>;
}

/// Runs the tool of this name on the folders.
pub fn call(folder: &dyn Folder, name: &str, arguments: &str) -> Result<String, Failure> {
    match name {
        "list" => list::list(folder, &tool_guest::arguments(arguments)?),
        "read" => read::read(folder, &tool_guest::arguments(arguments)?),
        "search" => search::search(folder, &tool_guest::arguments(arguments)?),
        "write" => write::write(folder, &tool_guest::arguments(arguments)?),
        "edit" => edit::edit(folder, &tool_guest::arguments(arguments)?),
        _ => Err(tool_guest::unknown(name)),
    }
}

/// A number and its noun: `1 line`, `2 lines`.
pub fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(target_family = "wasm")]
mod export {
    //! The component's side of `wit/tool.wit`.

    use crate::{Entry, Kind};
    use tool_guest::host::folder;
    use tool_guest::{Failure, Output};

    struct Tools;

    impl tool_guest::Package for Tools {
        const TOOLS: &'static str = include_str!("../tools.json");

        fn call(name: &str, arguments: &str) -> Result<Output, Failure> {
            crate::call(&Granted, name, arguments).map(Output::from)
        }
    }

    struct Granted;

    fn entry(folder::Entry { name, kind, size }: folder::Entry) -> Entry {
        let kind = match kind {
            folder::Kind::File => Kind::File,
            folder::Kind::Folder => Kind::Folder,
            folder::Kind::Other => Kind::Other,
        };
        Entry { name, kind, size }
    }

    impl crate::Folder for Granted {
        fn entries(&self, path: &str) -> Result<Vec<Entry>, String> {
            Ok(folder::entries(path)?.into_iter().map(entry).collect())
        }

        fn stat(&self, path: &str) -> Result<Entry, String> {
            folder::stat(path).map(entry)
        }

        fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, String> {
            folder::read(path, offset, length)
        }

        fn write(&self, path: &str, bytes: &[u8]) -> Result<(), String> {
            folder::write(path, bytes)
        }
    }

    tool_guest::export!(Tools);
}

#[cfg(test)]
mod tests;
