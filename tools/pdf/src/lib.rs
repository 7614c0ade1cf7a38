//! The tool `text`: what is written in a PDF file, page by page.
//!
//! What it is not: a picture of the pages; where things stand is lost, but for paragraphs, and scanned pages have no text.
//! A damaged or hostile file may end the call: the host takes that, and its limits, as an answer. Start at [`call`];
//! [`document`] opens a file, [`glyphs`] collects what is on a page and [`lines`] puts it together.

pub mod document;
pub mod glyphs;
pub mod lines;

use document::Document;
use serde::Deserialize;
use tool_guest::Failure;

/// Bytes of a file.
const MAX_FILE: u64 = 32 << 20;
/// Bytes that are read at once.
const CHUNK: u32 = 4 << 20;
/// Bytes of text that a model reads at once, in whole pages; a longer page is cut.
const MAX_SHOWN: usize = 16_000;
/// Bytes of text of a whole file.
const MAX_TEXT: usize = 4 << 20;

/// The folders that the package was granted. Errors are for the model.
pub trait Folder {
    /// How long a file is, in bytes; `None` when it is none.
    fn size(&self, path: &str) -> Result<Option<u64>, String>;
    /// At most so many bytes of a file from an offset; fewer only at its end.
    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, String>;
}

/// Arguments of `text`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    path: String,
    first_page: Option<usize>,
    last_page: Option<usize>,
}

/// Runs the tool of this name. The host has one more that it tells nobody of: `all`, whose arguments are the file itself in
/// base64, and which gives all pages with a form feed between them.
pub fn call(folder: &dyn Folder, name: &str, arguments: &str) -> Result<String, Failure> {
    match name {
        "text" => text(folder, &tool_guest::arguments(arguments)?),
        "all" => all(arguments),
        _ => Err(tool_guest::unknown(name)),
    }
}

fn text(folder: &dyn Folder, arguments: &Text) -> Result<String, Failure> {
    let bytes = read(folder, &arguments.path).map_err(Failure::Failed)?;
    let document =
        Document::open(bytes).map_err(|problem| Failure::Failed(format!("{}: {problem}", arguments.path)))?;
    let n_pages = document.n_pages();
    let first = arguments.first_page.unwrap_or(1).max(1);
    let last = arguments.last_page.unwrap_or(n_pages).min(n_pages);
    if first > n_pages || last < first {
        let pages = if n_pages == 1 { "1 page".to_owned() } else { format!("{n_pages} pages") };
        return Err(Failure::Arguments(format!(
            "{} has {pages}; there are no pages {first} to {last}",
            arguments.path
        )));
    }
    let mut shown = String::new();
    let mut end = first;
    for page in first..=last {
        let text = document.page(page - 1).unwrap_or_default();
        let text = if text.is_empty() { "(no text)" } else { text.as_str() };
        if page > first && shown.len() + text.len() > MAX_SHOWN {
            break;
        }
        let cut = text.floor_char_boundary(MAX_SHOWN);
        let note = if cut < text.len() { "\n[the rest of this page is left out]" } else { "" };
        shown.push_str(&format!("[page {page}]\n{}{note}\n\n", &text[..cut]));
        end = page;
    }
    let rest = if end < last { format!("; read on with first_page = {}", end + 1) } else { String::new() };
    let pages = if first == end { format!("page {first}") } else { format!("pages {first}-{end}") };
    Ok(format!("{shown}[{pages} of {n_pages}{rest}]"))
}

fn read(folder: &dyn Folder, path: &str) -> Result<Vec<u8>, String> {
    let size = folder.size(path)?.ok_or_else(|| format!("{path} is no file"))?;
    if size > MAX_FILE {
        return Err(format!("{path} is larger than {} MiB", MAX_FILE >> 20));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    while (bytes.len() as u64) < size {
        let chunk = folder.read(path, bytes.len() as u64, CHUNK)?;
        if chunk.is_empty() {
            break;
        }
        bytes.extend(chunk);
    }
    Ok(bytes)
}

fn all(arguments: &str) -> Result<String, Failure> {
    let bytes = decoded(arguments).ok_or_else(|| Failure::Arguments("no base64".into()))?;
    let document = Document::open(bytes).map_err(|problem| Failure::Failed(problem.into()))?;
    let mut text = String::new();
    for page in 0..document.n_pages() {
        if page > 0 {
            text.push('\x0c');
        }
        text.push_str(&document.page(page).unwrap_or_default());
        if text.len() > MAX_TEXT {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
            break;
        }
    }
    Ok(text)
}

/// Base64 with padding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut n_bits) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, n_bits) = (bits << 6 | u32::from(value), n_bits + 6);
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push((bits >> n_bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(target_family = "wasm")]
mod export {
    //! The component's side of `wit/tool.wit`.

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

    impl crate::Folder for Granted {
        fn size(&self, path: &str) -> Result<Option<u64>, String> {
            let entry = folder::stat(path)?;
            Ok((entry.kind == folder::Kind::File).then_some(entry.size))
        }

        fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, String> {
            folder::read(path, offset, length)
        }
    }

    tool_guest::export!(Tools);
}

#[cfg(test)]
mod tests;
