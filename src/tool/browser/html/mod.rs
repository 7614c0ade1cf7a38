//! Pages become text: HTML and other texts, from bytes to the lines that a model reads, with numbered links.
//!
//! What it is not: a browser. No script runs, no style sheet is read, nothing is fetched; and it neither fails nor takes long,
//! whatever the bytes are. Start at [`page`]; `render.rs` says what each element becomes.

mod charset;
mod clean;
mod content;
mod dom;
mod form;
mod inline;
mod links;
mod math;
mod media;
mod parse;
mod plain;
mod render;
mod style;
mod table;
mod writer;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use media::{Kind, kind};

use super::page::Page;
use dom::{DOCUMENT, Dom, NodeId};
use html5ever::local_name;
use links::Links;
use std::collections::HashSet;
use url::Url;

/// Characters of a title.
const MAX_TITLE: usize = 200;

/// How a page is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Leaves out what surrounds the contents: menus, headers, footers, questions about cookies.
    pub main_content: bool,
}

/// A page of HTML as text. At most 10 MiB of it are read and 4 MiB of text given; a last line says so when there is more.
///
/// `content_type` is what came with it, such as `text/html; charset=utf-8`.
pub fn page(bytes: &[u8], content_type: Option<&str>, url: &Url, options: Options) -> Page {
    let decoded = charset::decode(bytes, content_type, true);
    let parsed = parse::parse(decoded.text);
    let dom = &parsed.dom;
    let (root, left_out) = if options.main_content { content::main(dom) } else { (DOCUMENT, HashSet::new()) };
    let mut links = Links::new(url);
    if let Some(href) = base(dom) {
        links.rebase(href);
    }
    let writer = render::render(dom, root, &left_out, links);
    let is_full = writer.is_full();
    let (mut text, links) = writer.finish();
    let note = match () {
        () if text.is_empty() => "[This page has no text. It may be made by scripts, which do not run here.]",
        () if is_full => "[The page goes on; only its first 4 MiB of text are here.]",
        () if decoded.is_cut || parsed.is_cut => "[The page goes on; only its first 10 MiB were read.]",
        () => "",
    };
    if !note.is_empty() {
        text.push_str(if text.is_empty() { "" } else { "\n\n" });
        text.push_str(note);
    }
    Page {
        url: url.to_string(),
        title: title(dom).unwrap_or_else(|| name(url)),
        text,
        links: links.into_all(),
        is_listing: false,
        source_lines: Vec::new(),
    }
}

/// A text as it is, line for line; the source of a page too. The links of Markdown become link marks.
///
/// At most 4 MiB are given; a last line says so when there is more.
pub fn text_page(bytes: &[u8], content_type: Option<&str>, url: &Url) -> Page {
    let is_said = |what: &str| content_type.is_some_and(|said| said.to_ascii_lowercase().contains(what));
    let decoded = charset::decode(bytes, content_type, is_said("html"));
    let mut links = Links::new(url);
    let mut lines = plain::lines(&decoded.text, is_said("markdown").then_some(&mut links));
    let mut source_lines: Vec<u32> = (1..=lines.n_lines as u32).collect();
    if decoded.is_cut || lines.is_cut {
        lines.text.push_str("\n[The text goes on; only its first 4 MiB are here.]");
        source_lines.push(lines.n_lines as u32 + 1);
    }
    Page {
        url: url.to_string(),
        title: name(url),
        text: lines.text,
        links: links.into_all(),
        is_listing: false,
        source_lines,
    }
}

fn element_named(dom: &Dom, local: &html5ever::LocalName) -> Option<NodeId> {
    dom.below(DOCUMENT).find(|node| dom.element(*node).is_some_and(|element| element.is(local)))
}

fn base(dom: &Dom) -> Option<&str> {
    dom.element(element_named(dom, &local_name!("base"))?)?.attribute(&local_name!("href"))
}

fn title(dom: &Dom) -> Option<String> {
    let titles = [local_name!("title"), local_name!("h1")];
    titles.iter().find_map(|local| {
        let text = dom.inner_text(element_named(dom, local)?, 4 * MAX_TITLE);
        Some(clean::line(&text, MAX_TITLE)).filter(|title| !title.is_empty())
    })
}

/// What to call a page that does not say: the file's name, or the host.
fn name(url: &Url) -> String {
    let file = url.path_segments().and_then(|mut segments| segments.next_back()).filter(|name| !name.is_empty());
    match (url.host_str(), file) {
        (Some(host), _) if url.scheme() != "file" => clean::line(host, MAX_TITLE),
        (_, Some(file)) => clean::line(&decoded(file), MAX_TITLE),
        _ => clean::line(url.as_str(), MAX_TITLE),
    }
}

/// Without percent signs.
fn decoded(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = (*byte == b'%').then(|| after.get(..2)).flatten().and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
