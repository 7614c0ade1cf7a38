//! What a query finds, as far as the user's files are still there for tools.
//!
//! Policy has no say here: who asks drops what the call's grant does not reach. Start at [`Shared::find`].

use super::folders::Folders;
use super::kind::Kind;
use super::postings::{Found, Postings};
use super::query::Sought;
use super::snippet::{Best, best};
use super::update::Care;
use super::{IndexError, Shared};
use crate::tool::ignored::{Heeding, IgnoreFiles};
use crate::world::{self, Directory};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// A search waits so long for the index to be brought up to date.
const MAX_REFRESH: Duration = Duration::from_secs(2);

/// After this time the folders are looked through again.
const REFRESH: Duration = Duration::from_secs(60);

/// Bytes of an index that is looked at for damage before it is first searched.
const MAX_CHECKED: u64 = 256 << 20;

/// Passages that are looked at to find files enough.
const MAX_PASSAGES: usize = 4000;

/// What is kept between the searches of a session.
#[derive(Default)]
pub(super) struct Session {
    postings: Option<Arc<Postings>>,
    /// When the folders are to be looked through again, by the world's clock; `None` before the first search.
    due: Option<Duration>,
}

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Absolute.
    pub(super) path: PathBuf,
    /// Its path in its folder.
    pub(super) title: String,
    pub(super) snippet: String,
    /// Of its page, from 0.
    pub(super) line: Option<usize>,
}

impl Shared {
    /// At most `n` files, the best first: those that have all words of the query, then those that have any.
    pub(super) fn find(&self, query: &str, n: usize) -> Result<Vec<Candidate>, IndexError> {
        self.refresh();
        let sought = Sought::parse(query);
        if sought.is_empty() {
            return Ok(Vec::new());
        }
        let Some(postings) = self.postings()? else { return Ok(Vec::new()) };
        let mut found = Files {
            shared: self,
            sought: &sought,
            seen: BTreeSet::new(),
            open: BTreeMap::new(),
            n,
            candidates: Vec::new(),
        };
        let searched = found.search(&postings, true).and_then(|()| match sought.has_many() {
            true => found.search(&postings, false),
            false => Ok(()),
        });
        match searched {
            Ok(()) => Ok(found.candidates),
            Err(error) => {
                // It may have been made anew meanwhile.
                self.session.lock().unwrap_or_else(PoisonError::into_inner).postings = None;
                Err(self.place.failed(error))
            }
        }
    }

    fn postings(&self) -> Result<Option<Arc<Postings>>, IndexError> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if session.postings.is_none() {
            let opened = Postings::open(&self.place.postings()).map_err(|error| self.place.failed(error))?;
            session.postings = opened.map(Arc::new);
        }
        Ok(session.postings.clone())
    }

    /// Brings the index up to date if that takes no time. When it does not come to its end the user is told, and it is not
    /// tried again.
    fn refresh(&self) {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let clock = &self.world.clock;
        let (begun, is_first) = (clock.elapsed(), session.due.is_none());
        if session.due.is_some_and(|due| begun < due) {
            return;
        }
        session.due = Some(begun + REFRESH);
        let done = self.place.write().and_then(|writing| {
            let folders = Folders::read(&self.place.folders())?.paths();
            let update = self.update(is_first && self.place.n_bytes() <= MAX_CHECKED);
            let mut go_on = |_: super::Step<'_>| clock.elapsed().saturating_sub(begun) < MAX_REFRESH;
            update.run(&writing, &folders, &folders, Care::Quick, &mut go_on)
        });
        match done {
            Ok(summary) if summary.is_complete => {}
            Ok(_) => {
                session.due = Some(Duration::MAX);
                let updated = self.place.updated().and_then(|then| clock.now().duration_since(then).ok());
                let age = updated.map_or("never completely".into(), ago);
                tracing::warn!(
                    "the index is searched as it is, last updated {age}: to look through its folders takes longer than a search may; `ossicle index update` does"
                );
            }
            Err(IndexError::Busy) => tracing::info!("another process is updating the index; it is searched as it is"),
            Err(error) => tracing::warn!("the index is searched as it is: {error}"),
        }
    }
}

/// How long ago something was, in words.
fn ago(age: Duration) -> String {
    let (n, unit) = match age.as_secs() {
        0..60 => return "just now".into(),
        secs @ 60..3600 => (secs / 60, "minute"),
        secs @ 3600..86_400 => (secs / 3600, "hour"),
        secs => (secs / 86_400, "day"),
    };
    format!("{n} {unit}{} ago", if n == 1 { "" } else { "s" })
}

/// An indexed folder, opened, and its ignore files.
type Folder = (Box<dyn Directory>, IgnoreFiles);

/// The files of passages, while they are gathered.
struct Files<'a> {
    shared: &'a Shared,
    sought: &'a Sought,
    /// Names that need not be looked at again.
    seen: BTreeSet<String>,
    /// The folders that were opened, or are not there.
    open: BTreeMap<&'a Path, Option<Folder>>,
    /// How many are wanted.
    n: usize,
    candidates: Vec<Candidate>,
}

impl Files<'_> {
    /// Looks at more and more passages until there are files enough, or no more passages.
    fn search(&mut self, postings: &Postings, all: bool) -> Result<(), super::postings::PostingsError> {
        let mut limit = self.n.saturating_mul(4);
        while self.candidates.len() < self.n {
            let found = postings.search(self.sought, all, limit)?;
            let n_found = found.len();
            for passage in found {
                if self.candidates.len() < self.n && self.seen.insert(passage.file.clone()) {
                    let candidate = self.candidate(passage);
                    self.candidates.extend(candidate);
                }
            }
            if n_found < limit || limit >= MAX_PASSAGES {
                break;
            }
            limit = limit.saturating_mul(4).min(MAX_PASSAGES);
        }
        Ok(())
    }

    /// The file of a passage, if it is still there for tools.
    fn candidate(&mut self, found: Found) -> Option<Candidate> {
        let path = PathBuf::from(found.file);
        let shared = self.shared;
        let root = shared.folders.iter().map(PathBuf::as_path).find(|folder| path.starts_with(folder))?;
        let relative = path.strip_prefix(root).ok()?;
        Kind::of(relative)?;
        let opened = self.open.entry(root).or_insert_with(|| {
            let directory = shared.world.disk.folder(root).ok()?;
            Some((directory, IgnoreFiles::default()))
        });
        let (directory, ignored) = opened.as_ref()?;
        let heeding = Heeding::new(directory.as_ref(), root, ignored);
        if heeding.real(relative).ok()? != relative || heeding.stat(relative).ok()?.kind != world::Kind::File {
            return None;
        }
        let Best { line, snippet } = best(&found.text, &self.sought.words());
        let title = relative.display().to_string();
        Some(Candidate { title, snippet, line: line.map(|line| found.line + line), path })
    }
}
