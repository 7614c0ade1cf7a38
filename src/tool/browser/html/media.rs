//! What kind of thing some bytes are: a page, a text, a PDF, or nothing that can be read as text.
//!
//! What it is not: trust in what a server says. Bytes that begin like a picture are one, whatever their label.
//! Start at [`kind`].

/// What can be done with some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A page for [`page`](super::page).
    Html,
    /// A text for [`text_page`](super::text_page).
    Text,
    /// A PDF.
    Pdf,
    /// Nothing that is read as text; its media type, as far as it can be told.
    Other(String),
}

/// How files begin, and their media types.
const MAGIC: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\x7fELF", "application/x-elf"),
    (b"MZ\x90", "application/vnd.microsoft.portable-executable"),
    (b"\0asm", "application/wasm"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"SQLite format 3\0", "application/vnd.sqlite3"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
];

/// Where a file says what it is.
const HEAD: usize = 1024;

/// The kind of some bytes, by how they begin and by what is said of them.
pub fn kind(content_type: Option<&str>, bytes: &[u8]) -> Kind {
    let head = &bytes[..bytes.len().min(HEAD)];
    let media_type = content_type.map(essence).unwrap_or_default();
    // A PDF may have some bytes before it.
    if head.windows(5).any(|window| window == b"%PDF-") && !is_page_type(&media_type) && !begins_a_page(head) {
        let says_pdf = matches!(media_type.as_str(), "application/pdf" | "application/x-pdf");
        if says_pdf || head.starts_with(b"%PDF-") {
            return Kind::Pdf;
        }
    }
    if let Some((_, known)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Kind::Other((*known).into());
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return Kind::Other("image/webp".into());
    }
    let is_wide = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") || is_said_to_be_wide(content_type);
    if is_page_type(&media_type) {
        return Kind::Html;
    }
    if is_binary_type(&media_type) {
        return Kind::Other(media_type);
    }
    if head.contains(&0) && !is_wide {
        let known = !media_type.is_empty() && !is_text_type(&media_type);
        return Kind::Other(if known { media_type } else { "application/octet-stream".into() });
    }
    if !is_text_type(&media_type) && begins_a_page(head) {
        return Kind::Html;
    }
    Kind::Text
}

fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_said_to_be_wide(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|content_type| content_type.to_ascii_lowercase().contains("utf-16"))
}

fn is_page_type(media_type: &str) -> bool {
    matches!(media_type, "text/html" | "application/xhtml+xml")
}

fn is_text_type(media_type: &str) -> bool {
    media_type.starts_with("text/")
        || media_type.ends_with("+json")
        || media_type.ends_with("+xml")
        || media_type.ends_with("+yaml")
        || matches!(
            media_type.trim_start_matches("application/").trim_start_matches("x-"),
            "json"
                | "ndjson"
                | "jsonl"
                | "json-seq"
                | "xml"
                | "yaml"
                | "toml"
                | "javascript"
                | "ecmascript"
                | "sh"
                | "sql"
                | "tex"
                | "latex"
                | "troff"
                | "rtf"
                | "graphql"
                | "pem-file"
                | "mbox"
                | "markdown"
        )
}

/// Types that are never text, so that an empty or a strange one is named rightly.
fn is_binary_type(media_type: &str) -> bool {
    let (class, name) = media_type.split_once('/').unwrap_or_default();
    let is_picture = class == "image" && name != "svg+xml";
    is_picture || matches!(class, "audio" | "video" | "font" | "model")
}

/// Does a document say of itself that it is HTML?
fn begins_a_page(head: &[u8]) -> bool {
    let start = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start().to_ascii_lowercase();
    let page = start.windows(5).position(|window| window == b"<html" || window == b"<body" || window == b"<head");
    start.starts_with(b"<!doctype html")
        || (start.starts_with(b"<") && !start.starts_with(b"<?xml") && page.is_some_and(|at| at < 512))
        || (start.starts_with(b"<?xml") && page.is_some() && find_xhtml(&start))
}

fn find_xhtml(head: &[u8]) -> bool {
    head.windows(5).any(|window| window == b"xhtml")
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind};

    #[test]
    fn bytes_and_labels_tell_what_something_is() {
        let other = |media_type: &str| Kind::Other(media_type.into());
        for (content_type, bytes, expected) in [
            (Some("text/html; charset=utf-8"), b"x".as_slice(), Kind::Html),
            (Some("application/xhtml+xml"), b"<html/>", Kind::Html),
            (None, b" <!DOCTYPE HTML><p>", Kind::Html),
            (None, b"<html><body>", Kind::Html),
            (Some("application/octet-stream"), b"<html><body>", Kind::Html),
            (Some("text/plain"), b"<html><body>", Kind::Text),
            (Some("application/json"), b"{}", Kind::Text),
            (Some("application/atom+xml"), b"<feed/>", Kind::Text),
            (Some("image/svg+xml"), b"<svg/>", Kind::Text),
            (None, b"", Kind::Text),
            (None, b"# notes", Kind::Text),
            (None, b"\xff\xfea\0", Kind::Text),
            (Some("application/pdf"), b"junk%PDF-1.4", Kind::Pdf),
            (Some("text/plain"), b"%PDF-1.4", Kind::Pdf),
            (Some("text/html"), b"\x89PNG\r\n\x1a\n", other("image/png")),
            (None, b"PK\x03\x04\0\0", other("application/zip")),
            (Some("video/mp4"), b"abc", other("video/mp4")),
            (Some("application/x-thing"), b"a\0b", other("application/x-thing")),
            (Some("text/plain"), b"a\0b", other("application/octet-stream")),
        ] {
            assert_eq!(kind(content_type, bytes), expected, "{content_type:?} {bytes:?}");
        }
    }
}
