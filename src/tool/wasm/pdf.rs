//! PDF as text, for the parts of the program that meet one: read by the bundled component `pdf`, without any grant.
//!
//! What it is not: a parser. One that works on the files of strangers crashes now and then, or never ends; in the sandbox
//! both are an answer. Start at [`Pdf::pages`].

use super::host::{Guest, Host};
use super::package::{PackageError, bundled};
use crate::tool::browser::backend::PdfReader;
use crate::tool::{Progress, ToolError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// Bytes of a file.
const MAX_FILE: usize = 32 << 20;

/// The package, and what it calls its entrance for the program itself.
const PACKAGE: &str = "pdf";
const ENTRANCE: &str = "all";

/// Reads PDFs in the sandbox.
#[derive(Clone)]
pub struct Pdf {
    guest: Guest,
}

impl Pdf {
    /// One that runs in `host`. The component is made ready when the first file comes.
    pub fn new(host: &Host) -> Result<Self, PackageError> {
        let package = bundled()?.into_iter().find(|package| package.name() == PACKAGE);
        let missing = || PackageError::Malformed { package: PACKAGE.into(), problem: "it is not bundled".into() };
        Ok(Self { guest: host.guest(package.ok_or_else(missing)?) })
    }

    /// The text of each page of a file, at most 4 MiB in all.
    ///
    /// Fails where the file cannot be read: damaged, locked by a password, too large, too much to unpack in 30 seconds or in
    /// 512 MiB.
    pub async fn pages(&self, bytes: &[u8]) -> Result<Vec<String>, ToolError> {
        if bytes.len() > MAX_FILE {
            return Err(ToolError::Failed(format!("it is larger than {} MiB", MAX_FILE >> 20)));
        }
        let text = self.guest.call(ENTRANCE, &STANDARD.encode(bytes), None, &Progress::default()).await?.text;
        Ok(text.split('\x0c').map(str::to_owned).collect())
    }

    /// The same for callers that wait, on any thread: the pages with an empty line between them. `runtime` is the program's.
    pub fn reader(self, runtime: tokio::runtime::Handle) -> PdfReader {
        Arc::new(move |bytes| {
            // A thread of the runtime's own may not wait for it.
            let read = || runtime.block_on(self.pages(bytes));
            let pages = std::thread::scope(|scope| scope.spawn(read).join());
            match pages {
                Ok(Ok(pages)) if pages.iter().all(String::is_empty) => {
                    Err("it is a PDF without text, of pictures perhaps".into())
                }
                Ok(Ok(pages)) => Ok(pages.join("\n\n")),
                Ok(Err(ToolError::Failed(problem))) => Err(problem),
                Ok(Err(error)) => Err(format!("it is a PDF that cannot be read here: {error}")),
                Err(_) => Err("it is a PDF that cannot be read here".into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    fn pdf() -> Pdf {
        Pdf::new(&Host::new(World::simulated(1), None, None).unwrap()).unwrap()
    }

    /// Two pages, in a font that every reader has.
    fn file() -> Vec<u8> {
        let page = |words: &str| {
            let drawn = format!("BT /F1 10 Tf 50 700 Td ({words}) Tj ET");
            format!("<</Length {}>>stream\n{drawn}\nendstream", drawn.len())
        };
        let leaf = |contents: u32| {
            format!(
                "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F1 3 0 R>>>>/Contents {contents} 0 R>>"
            )
        };
        let objects = [
            "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
            "<</Type/Pages/Count 2/Kids[4 0 R 6 0 R]>>".to_owned(),
            "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
            leaf(5),
            page("The harbour keys"),
            leaf(7),
            page("hang behind the door"),
        ];
        let body: String =
            objects.iter().enumerate().map(|(n, object)| format!("{} 0 obj\n{object}\nendobj\n", n + 1)).collect();
        format!("%PDF-1.7\n{body}trailer<</Root 1 0 R/Size 8>>\nstartxref\n0\n%%EOF\n").into_bytes()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_pdf_is_its_pages() {
        let pdf = pdf();
        assert_eq!(pdf.pages(&file()).await.unwrap(), ["The harbour keys", "hang behind the door"]);
        // From a thread of the runtime, and from none of its threads.
        let reader = pdf.reader(tokio::runtime::Handle::current());
        assert_eq!(reader(&file()).unwrap(), "The harbour keys\n\nhang behind the door");
        let elsewhere = std::thread::spawn({
            let reader = reader.clone();
            move || reader(b"%PDF-1.7 and no more")
        });
        assert_eq!(elsewhere.join().unwrap().unwrap_err(), "it is damaged, or no PDF");
        assert_eq!(reader(&vec![b' '; MAX_FILE + 1]).unwrap_err(), "it is larger than 32 MiB");
    }

    /// Whatever becomes of a damaged file, it is an answer.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_damaged_pdf_is_an_answer() {
        let (pdf, file) = (pdf(), file());
        for n in 0..40 {
            let mut damaged = file.clone();
            for k in 0..=n % 4 {
                let at = (n * 7919 + k * 104_729) % damaged.len();
                damaged[at] = damaged[at].wrapping_add(1 + n as u8);
            }
            damaged.truncate(damaged.len() - n * 3);
            if let Err(error) = pdf.pages(&damaged).await {
                assert!(matches!(error, ToolError::Failed(_) | ToolError::Trapped(_)), "{error}");
            }
        }
    }
}
