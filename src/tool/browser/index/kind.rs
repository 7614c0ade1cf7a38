//! Which files a folder's index holds, by their names, and their bytes as pages.
//!
//! It does not know HTML and PDF: how these become text is given by whoever makes the index. Start at [`Kind::of`] and
//! [`Readers::page`].

use super::text;
use crate::tool::browser::Page;
use std::path::{Component, Path};
use std::sync::Arc;
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

/// What makes a page of a document's bytes; the error says why there is none.
pub type Reader = Arc<dyn Fn(&[u8], &Url) -> Result<Page, String> + Send + Sync>;

/// What makes text of the bytes of a document.
pub type Extractor = Arc<dyn Fn(&[u8]) -> Result<String, String> + Send + Sync>;

/// How documents become text that are not text already.
#[derive(Clone)]
pub struct Readers {
    /// Of HTML.
    pub html: Reader,
    /// Of PDF. Without it such files are left out.
    pub pdf: Option<Extractor>,
}

impl Readers {
    pub(super) fn can_read(&self, kind: Kind) -> bool {
        kind != Kind::Pdf || self.pdf.is_some()
    }

    /// The page of a file, with the title that it gives itself. The error is a sentence.
    pub(super) fn read(&self, kind: Kind, bytes: &[u8], url: &Url) -> Result<Page, String> {
        let page = match kind {
            Kind::Markdown => text::markdown(bytes, url)?,
            Kind::Text => text::plain(bytes)?,
            Kind::Html => (self.html)(bytes, url)?,
            Kind::Pdf => {
                let read = self.pdf.as_ref().ok_or("there is nothing here that reads PDF")?;
                Page { source_lines: Vec::new(), ..text::plain(read(bytes)?.as_bytes())? }
            }
        };
        Ok(Page { url: url.to_string(), ..page })
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
