//! Models that are fetched from a hub: looked at, asked about, and brought, as often interrupted as need be.
//!
//! What it is not: it opens no model, and it asks nobody; who calls it shows the [`Plan`] and wants a yes before
//! [`Hub::pull`]. Start at [`Hub::look`], which fetches only what is small; [`Pulled`] is what is known of a folder afterwards.

mod error;
mod folder;
mod hub;
mod listing;
mod names;
mod partial;
mod tries;

pub use error::PullError;
pub use folder::{Pulled, PulledFile};
pub use hub::Hub;
pub use listing::{Hash, RemoteFile};
pub use names::Repo;

use folder::{Lock, remove, sweep};
use listing::{Listing, check_config, gguf_architecture, is_gpt_oss, licence_of_card};
use partial::{Partial, Present};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tries::{Failed, Tries, short};

/// Bytes are written and hashed so many at a time.
const BLOCK: usize = 1 << 20;

/// A try that brought so many new bytes got on: it does not count among those that did not.
const STEP_ON: u64 = 1 << 20;

/// Of a GGUF file, what is looked at before it is fetched. In bytes.
const GGUF_HEAD: u64 = 64 << 10;

/// What a disk keeps free beside a model. In bytes.
const SPARE: u64 = 64 << 20;

/// What is to be fetched.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// From where.
    pub repo: Repo,
    /// A branch, a tag or a commit.
    pub revision: String,
    /// The GGUF file, with or without its ending, where it is not the safetensors checkpoint that is wanted.
    pub gguf: Option<String>,
}

/// What a pull would do. Nothing has been written yet.
#[derive(Debug)]
pub struct Plan {
    /// From where.
    pub repo: Repo,
    /// The commit.
    pub revision: String,
    /// The folder that the model comes into.
    pub folder: PathBuf,
    /// The licence's name, when the repository gives one.
    pub licence: Option<String>,
    /// The licence's texts by the names of their files. They are kept beside the model.
    pub texts: Vec<(String, String)>,
    /// Of all files together.
    pub n_bytes: u64,
    /// Of those, the ones that lie there already, as far as lengths tell.
    pub n_present: u64,
    /// On the disk, where the system tells.
    pub n_free: Option<u64>,
    /// Whether it was pulled before, to its end, and nothing has changed since.
    pub is_there: bool,
    files: Vec<RemoteFile>,
    /// The contents of those that are small.
    small: Vec<(RemoteFile, Vec<u8>)>,
}

/// How far a pull is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// What is being done.
    pub step: Step<'a>,
    /// With which file.
    pub file: &'a str,
    /// Of the bytes of all files.
    pub n_done: u64,
    /// Of all files together.
    pub n_bytes: u64,
}

/// What is being done.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// What is there already is compared with what it should be.
    Checking,
    /// It comes.
    Fetching,
    /// It broke off.
    Waiting {
        /// Why.
        cause: &'a str,
        /// Until the next try.
        pause: Duration,
    },
}

/// Who is told.
pub type Watcher<'a> = dyn FnMut(Progress<'_>) + Send + 'a;

impl Hub {
    /// Finds out what there is and whether it can be used. Only small files are fetched for that, and nothing is written.
    pub async fn look(&self, wanted: &Wanted, models: &Path) -> Result<Plan, PullError> {
        let Wanted { repo, revision, gguf } = wanted;
        names::check_revision(revision)?;
        let listing = Listing::parse(&self.listing(repo, revision).await?)?;
        let mut small = Vec::new();
        let weights = match gguf {
            None => self.checkpoint(repo, &listing, &mut small).await?,
            Some(name) => self.gguf(repo, &listing, name).await?,
        };
        let mut texts = Vec::new();
        for file in listing.texts(repo)? {
            let bytes = self.small(repo, &listing.commit, &file).await?;
            texts.push((file.name.clone(), String::from_utf8_lossy(&bytes).into_owned()));
            small.push((file, bytes));
        }
        let licence = match (&listing.licence, listing.card(repo)) {
            (None, Some(card)) => licence_of_card(&self.small(repo, &listing.commit, &card).await?),
            (known, _) => known.clone(),
        };
        let files: Vec<_> = small.iter().map(|(file, _)| file.clone()).chain(weights).collect();
        let folder = models.join(repo.folder());
        let (known, n_bytes) = (Pulled::read(&folder), files.iter().map(|file| file.n_bytes).sum());
        let is_there = known.is_some_and(|known| known.is_whole(&folder) && files.iter().all(|file| known.holds(file)));
        let plan = Plan {
            n_present: files.iter().map(|file| present(&folder, file)).sum(),
            n_free: super::free_space(&folder),
            repo: repo.clone(),
            revision: listing.commit,
            folder,
            licence,
            texts,
            n_bytes,
            is_there,
            files,
            small,
        };
        plan.check_space()?;
        Ok(plan)
    }

    /// The files of a safetensors checkpoint; the small ones come with their contents.
    async fn checkpoint(
        &self,
        repo: &Repo,
        listing: &Listing,
        small: &mut Vec<(RemoteFile, Vec<u8>)>,
    ) -> Result<Vec<RemoteFile>, PullError> {
        let config = listing.config(repo)?;
        let bytes = self.small(repo, &listing.commit, &config).await?;
        check_config(repo, &bytes)?;
        small.push((config, bytes));
        let mut index = None;
        if let Some(file) = listing.index(repo)? {
            let bytes = self.small(repo, &listing.commit, &file).await?;
            index = Some((file, bytes));
        }
        let weights = listing.safetensors(repo, index.as_ref().map(|(_, bytes)| bytes.as_slice()))?;
        for file in listing.along(repo)? {
            let bytes = self.small(repo, &listing.commit, &file).await?;
            small.push((file, bytes));
        }
        small.extend(index);
        Ok(weights)
    }

    /// A GGUF file, whose beginning says what it is.
    async fn gguf(&self, repo: &Repo, listing: &Listing, name: &str) -> Result<Vec<RemoteFile>, PullError> {
        let files = listing.gguf(repo, name)?;
        if let Some(first) = files.first() {
            let head = self.head(repo, &listing.commit, first, GGUF_HEAD).await?;
            let found = gguf_architecture(&head);
            if !found.as_deref().is_some_and(is_gpt_oss) {
                let found = found.map_or("unknown".into(), |found| names::quoted(&found));
                return Err(PullError::Foreign { repo: format!("{} of {repo}", first.name), found });
            }
        }
        Ok(files)
    }

    /// Fetches what the plan says. What came of it stays when it breaks off or nobody waits any longer, and the next pull of
    /// the same goes on from there.
    pub async fn pull(&self, plan: Plan, watcher: &mut Watcher<'_>) -> Result<Pulled, PullError> {
        let models = plan.folder.parent().unwrap_or(&plan.folder).to_owned();
        let _lock = Lock::take(&models, &plan.repo)?;
        let folder = &plan.folder;
        fs::create_dir_all(folder).map_err(|source| PullError::Disk { path: folder.clone(), source })?;
        let known = Pulled::read(folder);
        let obsolete = plan.obsolete(known.as_ref())?;
        if known.as_ref().is_some_and(|known| known.revision != plan.revision) {
            // The manifest goes last: whoever is interrupted here still knows what is obsolete.
            obsolete.iter().try_for_each(|name| remove(&folder.join(name)))?;
            Pulled::withdraw(folder)?;
        }
        let mut done = 0;
        for (file, bytes) in &plan.small {
            write(&folder.join(&file.name), bytes)?;
            done += file.n_bytes;
        }
        for file in plan.files.iter().filter(|file| !plan.small.iter().any(|(small, _)| small == *file)) {
            let mut one = Fetching { plan: &plan, file, before: done, watcher: &mut *watcher };
            let is_known = known.as_ref().is_some_and(|known| known.holds(file));
            if !one.is_there(is_known).await? {
                one.fetch(self).await?;
            }
            done += file.n_bytes;
        }
        let mut pulled = Pulled::new(&plan.repo, self.address(), &plan.revision, plan.licence.clone(), &plan.files);
        // Others of the same commit stay: a second GGUF file beside the first.
        let others = known.filter(|known| known.revision == plan.revision).map(|known| known.files).unwrap_or_default();
        let is_new = |file: &PulledFile| pulled.files.iter().all(|new| new.name != file.name);
        let others: Vec<_> = others.into_iter().filter(is_new).collect();
        pulled.files.extend(others);
        sweep(folder, &plan.files)?;
        pulled.write(folder)?;
        Ok(pulled)
    }
}

impl Plan {
    /// What has still to come fits on the disk.
    fn check_space(&self) -> Result<(), PullError> {
        let needed = self.n_bytes.saturating_sub(self.n_present);
        match self.n_free {
            Some(free) if needed > 0 && needed.saturating_add(SPARE) > free => {
                Err(PullError::Space { path: self.folder.clone(), needed, free })
            }
            _ => Ok(()),
        }
    }

    /// Files of a former revision that are of no use any more. What somebody may still want is an error.
    fn obsolete(&self, known: Option<&Pulled>) -> Result<Vec<String>, PullError> {
        let Some(known) = known.filter(|known| known.revision != self.revision) else { return Ok(Vec::new()) };
        let is_new = |name: &str| self.files.iter().any(|file| file.name == name);
        let gone: Vec<_> = known.files.iter().map(|file| file.name.clone()).filter(|name| !is_new(name)).collect();
        let is_gguf = |name: &str| name.ends_with(".gguf");
        let is_kind = |name: &str| self.files.iter().any(|file| is_gguf(&file.name)) == is_gguf(name);
        // A model of the other form, or another GGUF file, is a model of its own.
        match gone.iter().find(|name| is_gguf(name) || name.ends_with(".safetensors") && !is_kind(name)) {
            None => Ok(gone),
            Some(file) => Err(PullError::Occupied {
                path: self.folder.clone(),
                file: file.clone(),
                revision: known.revision.clone(),
            }),
        }
    }
}

/// Bytes of a file that lie there already, as far as lengths tell.
fn present(folder: &Path, file: &RemoteFile) -> u64 {
    let length = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    match length(&folder.join(&file.name)) == file.n_bytes {
        true => file.n_bytes,
        false => Some(length(&Partial::path(folder, file))).filter(|n| *n <= file.n_bytes).unwrap_or(0),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), PullError> {
    use crate::world::Disk;
    crate::world::RealDisk.write(path, bytes).map_err(|source| PullError::Disk { path: path.to_owned(), source })
}

/// One large file of a plan.
struct Fetching<'a, 'w> {
    plan: &'a Plan,
    file: &'a RemoteFile,
    /// Bytes of the files before it.
    before: u64,
    watcher: &'a mut Watcher<'w>,
}

impl Fetching<'_, '_> {
    fn say(&mut self, step: Step<'_>, n: u64) {
        let (file, n_bytes) = (self.file.name.as_str(), self.plan.n_bytes);
        (self.watcher)(Progress { step, file, n_done: self.before + n, n_bytes });
    }

    fn disk(&self) -> impl Fn(io::Error) -> PullError + use<> {
        let path = self.plan.folder.join(&self.file.name);
        move |source| PullError::Disk { path: path.clone(), source }
    }

    /// Whether the file lies there under its own name, and is the one. What a manifest vouches for is not read again.
    async fn is_there(&mut self, is_known: bool) -> Result<bool, PullError> {
        let place = self.plan.folder.join(&self.file.name);
        let Some(mut found) = Present::open(&place, self.file) else { return Ok(false) };
        let mut is_more = !is_known;
        while is_more {
            self.say(Step::Checking, found.n_hashed());
            (found, is_more) =
                blocking(move || found.hash_more().map(|is_more| (found, is_more))).await.map_err(self.disk())?;
        }
        Ok(is_known || found.is(self.file))
    }

    /// Brings the file, from where the last pull broke off.
    async fn fetch(&mut self, hub: &Hub) -> Result<(), PullError> {
        let (folder, file, disk) = (self.plan.folder.clone(), self.file.clone(), self.disk());
        let mut partial = blocking(move || Partial::open(&folder, &file)).await.map_err(&disk)?;
        while partial.n_hashed() < partial.n_bytes() {
            self.say(Step::Checking, partial.n_hashed());
            partial = blocking(move || partial.hash_more().map(|()| partial)).await.map_err(&disk)?;
        }
        let (mut tries, mut most) = (Tries::default(), partial.n_bytes());
        while partial.n_bytes() < self.file.n_bytes {
            let failed;
            (partial, failed) = self.attempt(hub, partial).await?;
            if partial.n_bytes() >= most.saturating_add(STEP_ON) {
                tries.got_on();
                most = partial.n_bytes();
            }
            if let Some(failed) = failed {
                let (pause, cause) = tries.next(&self.file.name, failed)?;
                self.say(Step::Waiting { cause: &cause, pause }, partial.n_bytes());
                hub.clock.sleep(pause).await;
            }
        }
        let place = self.plan.folder.join(&self.file.name);
        spawn_blocking(move || partial.finish(&place)).await.map_err(|crash| disk(io::Error::other(crash)))?
    }

    /// One try at the rest of the file. Gives back what there is now, and why it is not all; an error when the disk fails.
    async fn attempt(&mut self, hub: &Hub, mut partial: Partial) -> Result<(Partial, Option<Failed>), PullError> {
        let (from, disk) = (partial.n_bytes(), self.disk());
        let mut body = match hub.open(&self.plan.repo, &self.plan.revision, self.file, from).await {
            Ok(body) => body,
            Err(failed) => return Ok((partial, Some(failed))),
        };
        if body.from != from {
            // The server gives the whole or nothing.
            partial.restart().map_err(&disk)?;
        }
        let mut block = Vec::new();
        let failed = loop {
            let n = partial.n_bytes() + block.len() as u64;
            if n > self.file.n_bytes {
                let what = format!("{} is longer than the hub said; run the same command again", self.file.name);
                break Some(PullError::Odd(what).into());
            }
            if block.len() >= BLOCK {
                partial = added(partial, std::mem::take(&mut block)).await.map_err(&disk)?;
                self.say(Step::Fetching, n);
            }
            match body.chunk().await {
                Ok(Some(chunk)) => block.extend_from_slice(&chunk),
                Ok(None) if n == self.file.n_bytes => break None,
                Ok(None) => break Some(short(n, self.file.n_bytes)),
                Err(failed) => break Some(failed),
            }
        };
        // What came before it broke off counts, unless it is more than there can be.
        if partial.n_bytes() + block.len() as u64 <= self.file.n_bytes {
            partial = added(partial, block).await.map_err(&disk)?;
        }
        self.say(Step::Fetching, partial.n_bytes());
        Ok((partial, failed))
    }
}

async fn added(mut partial: Partial, block: Vec<u8>) -> io::Result<Partial> {
    blocking(move || partial.append(&block).map(|()| partial)).await
}

/// Does on a thread of its own what the disk takes its time for.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests;
