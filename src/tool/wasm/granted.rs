//! What a guest can ask its host for: the interfaces of `tools/wit/tool.wit`, each as far as the call's grant reaches.
//!
//! A guest that asks for what it was not granted at all ends with a trap; that is a component that its manifest does not
//! describe. A path, a host or a size that is refused is an error that the model reads. Start at [`Sandbox`].

use super::bindings::ossicle::tool::{clock, document, environment, folder, http, random, store};
use super::package::Wants;
use super::sandbox::Sandbox;
use super::store as small;
use crate::egress::{self, Request, Url};
use crate::policy::Grant;
use crate::tool::ignored::{Heeding, IgnoreFiles};
use crate::world::{Directory, Disk, Entry, Kind, World};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::task::spawn_blocking;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Result, format_err};

/// The granted file may hold so many bytes.
const MAX_DOCUMENT: u64 = 1 << 20;

/// Random bytes at once.
const MAX_RANDOM: u32 = 4096;

/// Bytes that are read or written at once.
const MAX_PIECE: usize = 8 << 20;

/// Bytes that a file counts for at least.
const MIN_FILE: usize = 4096;

/// Bytes of a path.
const MAX_PATH: usize = 4096;

/// Entries of a folder.
const MAX_ENTRIES: usize = 10_000;

/// Links the interfaces that a manifest wants. An import of any other finds nothing.
pub(super) fn link(wants: &Wants, linker: &mut Linker<Sandbox>) -> Result<()> {
    macro_rules! link {
        ($($interface:ident if $is_wanted:expr;)*) => {$(
            if $is_wanted {
                $interface::add_to_linker::<_, HasSelf<Sandbox>>(linker, |sandbox| sandbox)?;
            }
        )*};
    }
    link! {
        clock if wants.clock;
        random if wants.random;
        environment if !wants.environment.is_empty();
        document if wants.file.is_some();
        store if wants.store;
        folder if wants.folders.is_some();
        http if !wants.hosts.is_empty();
    }
    Ok(())
}

impl clock::Host for Sandbox {
    fn now(&mut self) -> Result<clock::Instant> {
        self.granted(|grant| grant.capabilities().clock.then_some(()), "clock")?;
        let since = self.kit.world.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(clock::Instant { seconds: since.as_secs(), nanoseconds: since.subsec_nanos() })
    }

    fn zone(&mut self) -> Result<String> {
        self.granted(|grant| grant.capabilities().clock.then_some(()), "clock")?;
        Ok(self.kit.world.clock.zone().iana_name().unwrap_or("UTC").to_owned())
    }
}

impl random::Host for Sandbox {
    fn bytes(&mut self, n: u32) -> Result<Vec<u8>> {
        self.granted(|grant| grant.capabilities().random.then_some(()), "random")?;
        if n > MAX_RANDOM {
            return Err(format_err!("more than {MAX_RANDOM} random bytes at once"));
        }
        let mut bytes = Vec::with_capacity(n as usize + 8);
        while bytes.len() < n as usize {
            bytes.extend_from_slice(&self.kit.world.random.next_u64().to_le_bytes());
        }
        bytes.truncate(n as usize);
        Ok(bytes)
    }
}

impl environment::Host for Sandbox {
    fn get(&mut self, name: String) -> Result<Option<String>> {
        let is_granted = self.grant.as_ref().is_some_and(|grant| grant.capabilities().environment.contains(&name));
        Ok(self.kit.environment.get(&name).filter(|_| is_granted).cloned())
    }
}

impl document::Host for Sandbox {
    async fn read(&mut self) -> Result<Result<Vec<u8>, String>> {
        let path = self.granted(|grant| grant.capabilities().file.clone(), "file")?;
        let disk = self.kit.world.disk.clone();
        let read = spawn_blocking(move || disk.read(&path, MAX_DOCUMENT)).await?;
        Ok(match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(|error| error.to_string()),
        })
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<Result<(), String>> {
        let path = self.granted(|grant| grant.capabilities().file.clone(), "file")?;
        self.may_write()?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Ok(Err(format!("the file may hold at most {MAX_DOCUMENT} bytes")));
        }
        let disk = self.kit.world.disk.clone();
        let written = spawn_blocking(move || disk.write(&path, &bytes)).await?;
        Ok(written.map_err(|error| error.to_string()))
    }
}

impl store::Host for Sandbox {
    async fn get(&mut self, key: String) -> Result<Result<Option<String>, String>> {
        Ok(self.values().await?.map(|values| values.get(&key).cloned()))
    }

    async fn set(&mut self, key: String, value: String) -> Result<Result<(), String>> {
        self.may_write()?;
        self.stored(move |disk, path| small::set(disk, path, key, Some(value))).await
    }

    async fn remove(&mut self, key: String) -> Result<Result<(), String>> {
        self.may_write()?;
        self.stored(move |disk, path| small::set(disk, path, key, None)).await
    }

    async fn keys(&mut self, prefix: String) -> Result<Result<Vec<String>, String>> {
        let chosen =
            |values: Arc<small::Values>| values.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
        Ok(self.values().await?.map(chosen))
    }
}

impl folder::Host for Sandbox {
    async fn entries(&mut self, path: String) -> Result<Result<Vec<folder::Entry>, String>> {
        let entries = self.in_folder(path, false, |directory, path| directory.entries(path, MAX_ENTRIES)).await?;
        Ok(entries.map(|entries| entries.into_iter().map(entry).collect()))
    }

    async fn stat(&mut self, path: String) -> Result<Result<folder::Entry, String>> {
        Ok(self.in_folder(path, false, |directory, path| directory.stat(path)).await?.map(entry))
    }

    async fn read(&mut self, path: String, offset: u64, length: u32) -> Result<Result<Vec<u8>, String>> {
        let length = u64::from(length).min(MAX_PIECE as u64);
        self.in_folder(path, false, move |directory, path| directory.read(path, offset, length)).await
    }

    async fn write(&mut self, path: String, bytes: Vec<u8>) -> Result<Result<(), String>> {
        if bytes.len() > MAX_PIECE {
            return Ok(Err(format!("at most {MAX_PIECE} bytes are written at once")));
        }
        // Even an empty file takes a block.
        self.n_written = self.n_written.saturating_add(bytes.len().max(MIN_FILE));
        if self.n_written > self.max_data {
            return Ok(Err(format!("a call may write {} MiB, and that is reached", self.max_data >> 20)));
        }
        self.in_folder(path, true, move |directory, path| directory.write(path, &bytes)).await
    }

    async fn remove(&mut self, path: String) -> Result<Result<(), String>> {
        // A link is removed itself, not what it leads to.
        let name = Path::new(&path).file_name().map(|name| name.to_owned());
        let Some(name) = name else { return Ok(Err(format!("{path}: it is not a name that can be removed"))) };
        let above = Path::new(&path).parent().unwrap_or(Path::new("")).to_string_lossy().into_owned();
        let (above, whole) = (if above.is_empty() { ".".into() } else { above }, path);
        match self.in_folder(whole, true, |_, _| Ok(())).await? {
            Ok(()) => self.in_folder(above, true, move |directory, path| directory.remove(&path.join(name))).await,
            Err(error) => Ok(Err(error)),
        }
    }
}

impl http::Host for Sandbox {
    async fn send(&mut self, request: http::Request) -> Result<Result<http::Response, String>> {
        let (Some(grant), Some(egress)) = (&self.grant, &self.kit.egress) else {
            return Ok(Err("offline: nothing leaves this machine".into()));
        };
        let http::Request { method, url, headers, body } = request;
        let url = match Url::parse(&url) {
            Ok(url) => url,
            Err(error) => return Ok(Err(format!("`{url}` is no URL: {error}"))),
        };
        // So much less than the call has that what came of it can still be written down.
        let time = self.time.mul_f64(0.9);
        let limits = egress::Limits { time, n_bytes: self.max_data.saturating_sub(self.n_received) };
        let reply = match egress.fetch(Request { method, url, headers, body }, grant, limits).await {
            Ok(reply) => reply,
            Err(error) => return Ok(Err(error.to_string())),
        };
        self.n_received += reply.body.len();
        let egress::Reply { status, url, headers, body } = reply;
        Ok(Ok(http::Response { status, url: url.into(), headers, body }))
    }
}

fn entry(entry: Entry) -> folder::Entry {
    let kind = match entry.kind {
        Kind::File => folder::Kind::File,
        Kind::Folder => folder::Kind::Folder,
        Kind::Other => folder::Kind::Other,
    };
    folder::Entry { name: entry.name, kind, size: entry.size }
}

impl Sandbox {
    /// What the grant gives, or a trap that says what it does not.
    fn granted<T>(&self, part: impl Fn(&Grant) -> Option<T>, name: &str) -> Result<T> {
        self.grant.as_deref().and_then(part).ok_or_else(|| format_err!("no {name} was granted"))
    }

    fn may_write(&self) -> Result<()> {
        match self.grant.as_ref().is_some_and(|grant| grant.may_write()) {
            true => Ok(()),
            false => Err(format_err!("a tool that says it only reads wanted to write")),
        }
    }

    /// What the store holds, read once a call and again after a change.
    async fn values(&mut self) -> Result<Result<Arc<small::Values>, String>> {
        if self.values.is_none() {
            match self.stored(small::read).await? {
                Ok(values) => self.values = Some(Arc::new(values)),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(self.values.clone().unwrap_or_default()))
    }

    /// Works on the store's file, while nobody else does.
    async fn stored<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&dyn Disk, &Path) -> Result<T, String> + Send + 'static,
    ) -> Result<Result<T, String>> {
        let path = self.granted(|grant| grant.capabilities().store.clone(), "store")?;
        self.values = None;
        let (disk, alone) = (self.kit.world.disk.clone(), self.kit.stores.clone().lock_owned().await);
        Ok(spawn_blocking(move || {
            let _alone = alone;
            work(disk.as_ref(), &path)
        })
        .await?)
    }

    /// Works on a path of the user's folders: what was asked for must be allowed, and so must be where that really lies, and
    /// neither may be kept from tools.
    async fn in_folder<T: Send + 'static>(
        &mut self,
        path: String,
        to_write: bool,
        work: impl FnOnce(&dyn Directory, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<Result<T, String>> {
        let grant = self.grant.clone().filter(|grant| !grant.capabilities().folders.is_empty());
        let grant = grant.ok_or_else(|| format_err!("no folder was granted"))?;
        let (disk, ignored) = (self.kit.world.disk.clone(), self.ignored.clone());
        let open = move || {
            opened(disk.as_ref(), &grant, &ignored, &path, to_write, work).map_err(|why| match why {
                Unopened::Refused(reason) => reason,
                Unopened::Failed(error) => match error.kind() {
                    io::ErrorKind::NotFound => format!("{path}: no such file or folder"),
                    io::ErrorKind::StorageFull => format!("{path}: the disk is full"),
                    _ => format!("{path}: {error}"),
                },
            })
        };
        Ok(spawn_blocking(open).await?)
    }
}

/// Why a path was not opened.
pub(super) enum Unopened {
    /// It may not be, and why, for the model.
    Refused(String),
    /// It cannot be.
    Failed(io::Error),
}

/// Reads a file if the grant lets it; the error is fit for a model to read.
pub(crate) async fn read_granted(world: &World, grant: &Arc<Grant>, path: &str, limit: u64) -> Result<Vec<u8>, String> {
    let (disk, grant, name) = (world.disk.clone(), grant.clone(), path.to_owned());
    let read = spawn_blocking(move || {
        opened(disk.as_ref(), &grant, &IgnoreFiles::default(), &name, false, |directory, path| {
            directory.read(path, 0, limit + 1)
        })
    });
    let read = read.await.map_err(|crash| crash.to_string())?;
    let bytes = read.map_err(|unopened| match unopened {
        Unopened::Refused(reason) => reason,
        Unopened::Failed(error) => format!("{path}: {error}"),
    })?;
    match bytes.len() as u64 > limit {
        true => Err(format!("{path} has more than {} MiB", limit >> 20)),
        false => Ok(bytes),
    }
}

/// Works on a path if the grant lets it, both as it is written and where it really leads.
pub(super) fn opened<T>(
    disk: &dyn Disk,
    grant: &Arc<Grant>,
    ignored: &IgnoreFiles,
    path: &str,
    to_write: bool,
    work: impl FnOnce(&dyn Directory, &Path) -> io::Result<T>,
) -> Result<T, Unopened> {
    if path.len() > MAX_PATH {
        return Err(Unopened::Refused(format!("a path has at most {MAX_PATH} bytes")));
    }
    let absolute = grant.absolute(path);
    let folder = grant.may_open(&absolute, to_write).map_err(Unopened::Refused)?;
    let directory = disk.folder(&folder.path).map_err(Unopened::Failed)?;
    let directory = Heeding::new(directory.as_ref(), &folder.path, ignored);
    let inside = absolute.strip_prefix(&folder.path).unwrap_or(Path::new(""));
    let real = directory.real(inside).map_err(Unopened::Failed)?;
    grant.may_open(&folder.path.join(&real), to_write).map_err(Unopened::Refused)?;
    work(&directory, &real).map_err(Unopened::Failed)
}
