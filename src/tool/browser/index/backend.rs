//! The index as a source of the browser: `local`, of which nothing leaves the machine.

use super::find::Candidate;
use super::kind::Kind;
use super::walk::MAX_FILE;
use super::{Index, Shared, kind};
use crate::policy::{Capabilities, Effect, Folder, Grant};
use crate::tool::browser::view::one_line;
use crate::tool::browser::{Backend, BackendError, Hit, Page};
use crate::tool::ignored::{Heeding, IgnoreFiles};
use crate::world::Directory;
use async_trait::async_trait;
use std::io;
use std::path::{Path, PathBuf};
use tokio::task::spawn_blocking;
use url::Url;

/// In characters.
const MAX_TITLE: usize = 200;

/// Files that are looked at to find some that the grant reaches.
const MAX_FILES: usize = 500;

#[async_trait]
impl Backend for Index {
    fn source(&self) -> &'static str {
        "local"
    }

    fn effect(&self) -> Effect {
        Effect::Read
    }

    fn wants(&self) -> Capabilities {
        let folder = |path: &PathBuf| Folder { path: path.clone(), is_writable: false };
        Capabilities { folders: self.folders().iter().map(folder).collect(), ..Capabilities::default() }
    }

    async fn search(&self, query: &str, topn: usize, grant: &Grant) -> Result<Vec<Hit>, BackendError> {
        let mut n = topn;
        loop {
            let (shared, query) = (self.0.clone(), query.to_owned());
            let found = blocking(move || shared.find(&query, n).map_err(|error| error.to_string())).await?;
            let n_found = found.len();
            let may_open = found.into_iter().filter(|found| grant.may_open(&found.path, false).is_ok());
            let hits: Vec<_> = may_open.filter_map(hit).take(topn).collect();
            // Some may lie where the grant does not reach: then others come after them.
            if hits.len() == topn || n_found < n || n >= MAX_FILES {
                return Ok(hits);
            }
            n = n.saturating_mul(8).min(MAX_FILES);
        }
    }

    async fn open(&self, url: &Url, grant: &Grant, view_source: bool) -> Result<Option<Page>, BackendError> {
        if url.scheme() != "file" {
            return Ok(None);
        }
        let path = url.to_file_path().map_err(|()| BackendError("it names no file of this machine".into()))?;
        grant.may_open(&path, false).map_err(BackendError)?;
        let (shared, named) = (self.0.clone(), path.clone());
        let file = blocking(move || shared.file(&named)).await?;
        grant.may_open(&file.root.join(&file.real), false).map_err(BackendError)?;
        let shared = self.0.clone();
        blocking(move || shared.page(&file, &path, view_source)).await.map(Some)
    }
}

fn hit(found: Candidate) -> Option<Hit> {
    let url = Url::from_file_path(&found.path).ok()?.to_string();
    Some(Hit { url, title: found.title, snippet: found.snippet, line: found.line })
}

/// Work that waits for the disk. Should an index that is damaged in a way that nobody thought of make it panic, that is an
/// answer too.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, BackendError> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(BackendError),
        Err(_) => Err(BackendError("the index cannot be read; `ossicle index update` makes it anew".into())),
    }
}

/// A file of an indexed folder.
struct File {
    root: PathBuf,
    /// In the folder, without links.
    real: PathBuf,
    kind: Kind,
}

impl Shared {
    /// The file at a path, if it is one that the index may hold.
    fn file(&self, path: &Path) -> Result<File, String> {
        let root = self.folders.iter().find(|folder| path.starts_with(folder));
        let root = root.ok_or("it is in no folder that is indexed")?;
        let relative = path.strip_prefix(root).unwrap_or(path);
        let real = self.in_folder(root, |folder| folder.real(relative))?;
        // Where a link leads to has to be of such a kind as well.
        let kind = Kind::of(relative).and_then(|_| Kind::of(&real)).ok_or("it is no file of a kind that is indexed")?;
        Ok(File { root: root.clone(), real, kind })
    }

    fn page(&self, file: &File, path: &Path, view_source: bool) -> Result<Page, String> {
        let bytes = self.in_folder(&file.root, |folder| folder.read(&file.real, 0, MAX_FILE + 1))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(format!("it is larger than {} MiB", MAX_FILE >> 20));
        }
        let url = Url::from_file_path(path).map_err(|()| "its name is no URL")?;
        let title = one_line(&path.strip_prefix(&file.root).unwrap_or(path).to_string_lossy(), MAX_TITLE);
        // Whoever asks for the source gets it, but for PDF, of which nobody could read it.
        let kind = if view_source && file.kind != Kind::Pdf { Kind::Text } else { file.kind };
        let page = kind::page(kind, &bytes, &url, self.pdf.as_ref())?;
        Ok(Page { url: url.into(), title, ..page })
    }

    /// Works in an indexed folder, as far as it is there for tools.
    fn in_folder<T>(&self, root: &Path, work: impl FnOnce(&Heeding<'_>) -> io::Result<T>) -> Result<T, String> {
        let directory = self.world.disk.folder(root).map_err(|error| format!("{}: {error}", root.display()))?;
        let ignored = IgnoreFiles::default();
        work(&Heeding::new(directory.as_ref(), root, &ignored)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".into(),
            _ => error.to_string(),
        })
    }
}
