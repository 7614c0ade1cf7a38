//! What kind of thing an answer is, in which characters it is written, and what a file of it is called.
//!
//! Trusts what the server says of it except where the bytes cannot be that. Start at [`Answer::content`].

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::Response;

/// So many bytes are looked at to find out what an answer is.
const START: usize = 1024;

/// An answer to look at.
pub struct Answer<'a>(
    /// What came back.
    pub &'a Response,
);

/// How an answer is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Content {
    /// As it is.
    Text,
    /// Read as HTML.
    Page,
    /// Not at all.
    Other,
}

impl Answer<'_> {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Such as `text/html`, if the server says something of that form.
    pub fn media_type(&self) -> Option<String> {
        let stated = self.header("content-type")?.split(';').next()?.trim().to_ascii_lowercase();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/+-._".contains(c);
        (stated.len() < 100 && stated.contains('/') && stated.chars().all(is_plain)).then_some(stated)
    }

    /// How it is shown.
    pub fn content(&self) -> Content {
        let start = self.start();
        let is_wide = self.encoding().is_some_and(|encoding| encoding == UTF_16LE || encoding == UTF_16BE);
        if start.starts_with(b"%PDF-") || start.contains(&0) && !is_wide {
            return Content::Other;
        }
        let Some(media_type) = self.media_type() else {
            let start = String::from_utf8_lossy(start).trim_start().to_ascii_lowercase();
            let is_page = ["<!doctype html", "<html"].iter().any(|tag| start.starts_with(tag));
            return if is_page { Content::Page } else { Content::Text };
        };
        let named = |names: &[&str]| names.iter().any(|name| media_type.ends_with(name));
        match media_type.as_str() {
            "text/html" | "application/xhtml+xml" => Content::Page,
            text if text.starts_with("text/") => Content::Text,
            _ if named(&["json", "xml", "yaml", "toml", "javascript", "ecmascript"]) => Content::Text,
            _ if named(&["x-www-form-urlencoded", "graphql", "sql", "x-sh", "x-tex", "x-subrip"]) => Content::Text,
            _ => Content::Other,
        }
    }

    /// Its text. Bytes that are none in its encoding become `U+FFFD`.
    pub fn text(&self) -> String {
        let guessed = if std::str::from_utf8(&self.0.body).is_ok() { UTF_8 } else { WINDOWS_1252 };
        let (text, _, _) = self.encoding().unwrap_or(guessed).decode(&self.0.body);
        text.replace("\r\n", "\n").replace('\0', "\u{fffd}")
    }

    /// The encoding that its first bytes, the server or the page itself names, in this order.
    fn encoding(&self) -> Option<&'static Encoding> {
        let marked = Encoding::for_bom(self.start()).map(|(encoding, _)| encoding);
        let stated = || charset(self.header("content-type")?);
        let meta = || {
            let start = String::from_utf8_lossy(self.start()).to_ascii_lowercase();
            // A page in which this can be read so is not in UTF-16, whatever it says.
            charset(start.split_once("<meta")?.1).map(Encoding::output_encoding)
        };
        marked.or_else(stated).or_else(meta)
    }

    fn start(&self) -> &[u8] {
        &self.0.body[..self.0.body.len().min(START)]
    }

    /// A plain file name: the last part of the URL's path as far as it is fit, with an ending by the media type.
    pub fn file_name(&self) -> String {
        let path = self.0.url.split(['?', '#']).next().unwrap_or_default();
        let path = path.split_once("://").map_or("", |(_, rest)| rest);
        let last = path.split_once('/').and_then(|(_, path)| path.rsplit('/').next()).unwrap_or_default();
        let fit = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let fit: String = last.chars().map(|c| if fit(c) { c } else { '_' }).collect();
        let name = fit.trim_matches(['.', '_', '-']);
        // Its end says more than its beginning.
        let name = &name[name.len().saturating_sub(60)..];
        let name = if name.is_empty() { "answer" } else { name };
        if name.contains('.') { name.trim_start_matches('.').into() } else { format!("{name}.{}", self.ending()) }
    }

    fn ending(&self) -> &'static str {
        match self.media_type().as_deref() {
            Some("application/pdf") => "pdf",
            Some("application/zip") => "zip",
            Some("application/json") => "json",
            Some("image/png") => "png",
            Some("image/jpeg") => "jpg",
            Some("image/gif") => "gif",
            Some("image/webp") => "webp",
            Some("text/html") => "html",
            Some(text) if text.starts_with("text/") => "txt",
            _ => "bin",
        }
    }
}

/// The encoding behind the first `charset=`, if it is a known one.
fn charset(text: &str) -> Option<&'static Encoding> {
    let lower = text.to_ascii_lowercase();
    let (_, rest) = lower.split_once("charset=")?;
    let label = rest.trim_start_matches(['"', '\'', ' ']);
    let end = label.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.:".contains(c)).unwrap_or(label.len());
    Encoding::for_label(&label.as_bytes()[..end])
}

/// A header of a request as `Name: value`.
pub fn header(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once(':')?;
    let (name, value) = (name.trim(), value.trim());
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c));
    let is_value = value.chars().all(|c| c == '\t' || !c.is_control());
    (is_name && is_value).then(|| (name.into(), value.into()))
}
