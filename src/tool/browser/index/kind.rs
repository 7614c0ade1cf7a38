//! Which files a folder's index holds, by their names, and their bytes as pages.
//!
//! It reads no file, and no PDF: how that becomes text is given by whoever opens the index. Start at [`Kind::of`] and [`page`].

use crate::tool::browser::backend::PdfReader;
use crate::tool::browser::{Page, html};
use std::path::{Component, Path};
use url::Url;

/// What a file is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Markdown,
    Text,
    Html,
    Pdf,
}

/// Files without an ending that are texts all the same.
const TEXTS: [&str; 12] = [
    "authors",
    "changelog",
    "changes",
    "contributing",
    "copying",
    "install",
    "license",
    "news",
    "notes",
    "notice",
    "readme",
    "todo",
];

impl Kind {
    /// What a path in an indexed folder is; `None` for what is not indexed. What people hide from themselves (`.git`) is not.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let is_hidden = |part: Component<'_>| match part {
            Component::Normal(name) => name.as_encoded_bytes().starts_with(b"."),
            _ => true,
        };
        if path.components().any(is_hidden) {
            return None;
        }
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("md" | "markdown" | "mkd" | "mdown") => Some(Self::Markdown),
            Some(
                "txt" | "text" | "org" | "rst" | "adoc" | "asciidoc" | "textile" | "wiki" | "gmi" | "tex" | "csv"
                | "tsv",
            ) => Some(Self::Text),
            Some("html" | "htm" | "xhtml") => Some(Self::Html),
            Some("pdf") => Some(Self::Pdf),
            Some(_) => None,
            None => {
                let name = path.file_name()?.to_string_lossy().to_lowercase();
                TEXTS.contains(&name.as_str()).then_some(Self::Text)
            }
        }
    }
}

/// The page of a file, with the title that it gives itself. The error is a sentence.
pub(super) fn page(kind: Kind, bytes: &[u8], url: &Url, pdf: Option<&PdfReader>) -> Result<Page, String> {
    let media_type = match kind {
        Kind::Markdown => "text/markdown",
        Kind::Text => "text/plain",
        Kind::Html => "text/html",
        Kind::Pdf => "application/pdf",
    };
    match html::kind(Some(media_type), bytes) {
        html::Kind::Html => Ok(html::page(bytes, Some(media_type), url, html::Options::default())),
        html::Kind::Text => Ok(html::text_page(bytes, Some(media_type), url)),
        html::Kind::Pdf => {
            let pdf = pdf.ok_or("it is a PDF, and there is nothing here that reads it")?;
            let page = html::text_page(pdf(bytes)?.as_bytes(), Some("text/plain; charset=utf-8"), url);
            // They are no lines of the file.
            Ok(Page { source_lines: Vec::new(), ..page })
        }
        html::Kind::Other(media_type) => Err(format!("it is {media_type}, not text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_indexed() {
        for (path, kind) in [
            ("a.md", Some(Kind::Markdown)),
            ("deep/A.MD", Some(Kind::Markdown)),
            ("a.txt", Some(Kind::Text)),
            ("a.csv", Some(Kind::Text)),
            ("README", Some(Kind::Text)),
            ("page.HTM", Some(Kind::Html)),
            ("a.pdf", Some(Kind::Pdf)),
            ("a.rs", None),
            ("a.md.gz", None),
            ("binary", None),
            ("", None),
            (".hidden.md", None),
            (".git/a.md", None),
            ("a/.cache/b.md", None),
            ("../a.md", None),
            ("/etc/a.md", None),
        ] {
            assert_eq!(Kind::of(Path::new(path)), kind.filter(|_| !path.is_empty()), "{path}");
        }
    }
}
