//! WASI's view of a [`Drive`]: the host's side of `filesystem.wit`.
//!
//! What it is not: it decides nothing; what a path is and whether it may be read is the drive's matter, under the grant of
//! the running call. There are no links here. Start at the [`HostDescriptor`] of [`Inside`].

use super::bindings::files::wasi::filesystem::preopens;
use super::bindings::files::wasi::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, HostDescriptor,
    HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use super::drive::{DATA, Drive, File, Found, How, Opened, SCRATCH, joined};
use super::inside::Inside;
use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::task::spawn_blocking;
use wasmtime::Result;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

/// Bytes that are read from the user's files at once.
const CHUNK: u64 = 64 << 10;

/// Folders that are being listed at once: each holds all its names.
const MAX_LISTINGS: usize = 16;

/// Bytes that a stream takes at once.
const MAX_WRITE: usize = 1 << 20;

type Code<T> = Result<T, ErrorCode>;

/// The rest of a folder's names.
pub struct Entries(std::vec::IntoIter<(String, bool)>);

/// An error code as a stream's error carries it.
#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
struct StreamFailed(ErrorCode);

fn failed(code: ErrorCode) -> StreamError {
    StreamError::LastOperationFailed(StreamFailed(code).into())
}

/// The next value of a `Result<Result<T, ErrorCode>>`, or the code as the answer.
macro_rules! ok {
    ($value:expr) => {
        match $value {
            Ok(value) => value,
            Err(code) => return Ok(Err(code)),
        }
    };
}

/// Works on the drive where it may take as long as a disk takes.
async fn on_drive<T: Send + 'static>(
    drive: Arc<Mutex<Drive>>,
    work: impl FnOnce(&mut Drive) -> Code<T> + Send + 'static,
) -> Result<Code<T>> {
    Ok(spawn_blocking(move || work(&mut drive.lock().unwrap_or_else(PoisonError::into_inner))).await?)
}

impl Inside {
    fn opened(&self, descriptor: &Resource<Opened>) -> Result<Opened> {
        Ok(self.table.get(descriptor)?.clone())
    }

    fn folder(&self, descriptor: &Resource<Opened>) -> Result<Code<String>> {
        Ok(match self.table.get(descriptor)? {
            Opened::Folder(path) => Ok(path.clone()),
            _ => Err(ErrorCode::NotDirectory),
        })
    }

    /// The path that a name means in an open folder.
    fn named(&self, descriptor: &Resource<Opened>, name: &str) -> Result<Code<String>> {
        Ok(self.folder(descriptor)?.and_then(|folder| joined(&folder, name)))
    }

    /// The file behind a descriptor that may be written.
    fn writable(&self, descriptor: &Resource<Opened>) -> Result<Code<Arc<File>>> {
        Ok(match self.table.get(descriptor)? {
            Opened::Written { file, to_write: true, .. } => Ok(file.clone()),
            Opened::Folder(_) => Err(ErrorCode::IsDirectory),
            _ => Err(ErrorCode::BadDescriptor),
        })
    }

    fn stat_of(&self, found: Found) -> DescriptorStat {
        let (type_, size) = match found {
            Found::Folder => (DescriptorType::Directory, 0),
            Found::Written(file) => (DescriptorType::RegularFile, file.len() as u64),
            Found::Below { n_bytes } => (DescriptorType::RegularFile, n_bytes),
        };
        // One time for everything: what matters is that it is a sensible one.
        let since = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at = Some(Datetime { seconds: since.as_secs(), nanoseconds: since.subsec_nanos() });
        DescriptorStat {
            type_,
            link_count: 1,
            size,
            data_access_timestamp: at,
            data_modification_timestamp: at,
            status_change_timestamp: at,
        }
    }

    fn writing(
        &mut self,
        descriptor: &Resource<Opened>,
        offset: Option<u64>,
    ) -> Result<Code<Resource<DynOutputStream>>> {
        let file = ok!(self.writable(descriptor)?);
        let stream: DynOutputStream = Box::new(Writer { file, offset });
        Ok(Ok(self.table.push(stream)?))
    }
}

impl preopens::Host for Inside {
    fn get_directories(&mut self) -> Result<Vec<(Resource<Opened>, String)>> {
        let mut open = |path: &str| self.table.push(Opened::Folder(path.into()));
        Ok(vec![(open(DATA)?, DATA.into()), (open(SCRATCH)?, SCRATCH.into())])
    }
}

impl types::Host for Inside {
    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> Result<Option<ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref().map(|StreamFailed(code)| *code))
    }
}

impl HostDirectoryEntryStream for Inside {
    fn read_directory_entry(&mut self, stream: Resource<Entries>) -> Result<Code<Option<DirectoryEntry>>> {
        let entry = |(name, is_folder)| DirectoryEntry {
            type_: if is_folder { DescriptorType::Directory } else { DescriptorType::RegularFile },
            name,
        };
        Ok(Ok(self.table.get_mut(&stream)?.0.next().map(entry)))
    }

    fn drop(&mut self, stream: Resource<Entries>) -> Result<()> {
        self.table.delete(stream)?;
        self.n_listings -= 1;
        Ok(())
    }
}

impl HostDescriptor for Inside {
    fn read_via_stream(&mut self, descriptor: Resource<Opened>, offset: u64) -> Result<Code<Resource<DynInputStream>>> {
        let opened = self.opened(&descriptor)?;
        if matches!(opened, Opened::Folder(_)) {
            return Ok(Err(ErrorCode::IsDirectory));
        }
        let stream: DynInputStream =
            Box::new(Reader { drive: self.drive.clone(), opened, offset, chunk: Vec::new(), at: 0, end: None });
        Ok(Ok(self.table.push(stream)?))
    }

    fn write_via_stream(
        &mut self,
        descriptor: Resource<Opened>,
        offset: u64,
    ) -> Result<Code<Resource<DynOutputStream>>> {
        self.writing(&descriptor, Some(offset))
    }

    fn append_via_stream(&mut self, descriptor: Resource<Opened>) -> Result<Code<Resource<DynOutputStream>>> {
        self.writing(&descriptor, None)
    }

    fn advise(&mut self, _: Resource<Opened>, _: u64, _: u64, _: Advice) -> Result<Code<()>> {
        Ok(Ok(()))
    }

    fn sync_data(&mut self, _: Resource<Opened>) -> Result<Code<()>> {
        Ok(Ok(()))
    }

    fn get_flags(&mut self, descriptor: Resource<Opened>) -> Result<Code<DescriptorFlags>> {
        Ok(Ok(match self.table.get(&descriptor)? {
            Opened::Folder(_) => DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
            Opened::Written { to_write: true, .. } => DescriptorFlags::READ | DescriptorFlags::WRITE,
            Opened::Written { .. } | Opened::Below(_) => DescriptorFlags::READ,
        }))
    }

    fn get_type(&mut self, descriptor: Resource<Opened>) -> Result<Code<DescriptorType>> {
        Ok(Ok(match self.table.get(&descriptor)? {
            Opened::Folder(_) => DescriptorType::Directory,
            Opened::Written { .. } | Opened::Below(_) => DescriptorType::RegularFile,
        }))
    }

    fn set_size(&mut self, descriptor: Resource<Opened>, size: u64) -> Result<Code<()>> {
        let file = ok!(self.writable(&descriptor)?);
        ok!(file.set_len(size));
        Ok(Ok(()))
    }

    fn set_times(&mut self, _: Resource<Opened>, _: NewTimestamp, _: NewTimestamp) -> Result<Code<()>> {
        Ok(Ok(()))
    }

    async fn read(&mut self, descriptor: Resource<Opened>, length: u64, offset: u64) -> Result<Code<(Vec<u8>, bool)>> {
        let length = length.min(CHUNK);
        let bytes = match self.opened(&descriptor)? {
            Opened::Folder(_) => return Ok(Err(ErrorCode::IsDirectory)),
            Opened::Written { file, .. } => file.read(offset, length as usize),
            Opened::Below(path) => {
                ok!(on_drive(self.drive.clone(), move |drive| drive.read_below(&path, offset, length)).await?)
            }
        };
        let at_end = (bytes.len() as u64) < length;
        Ok(Ok((bytes, at_end)))
    }

    fn write(&mut self, descriptor: Resource<Opened>, bytes: Vec<u8>, offset: u64) -> Result<Code<u64>> {
        let file = ok!(self.writable(&descriptor)?);
        ok!(file.write(Some(offset), &bytes));
        Ok(Ok(bytes.len() as u64))
    }

    async fn read_directory(&mut self, descriptor: Resource<Opened>) -> Result<Code<Resource<Entries>>> {
        let folder = ok!(self.folder(&descriptor)?);
        if self.n_listings == MAX_LISTINGS {
            return Ok(Err(ErrorCode::InsufficientMemory));
        }
        let entries = ok!(on_drive(self.drive.clone(), move |drive| drive.entries(&folder)).await?);
        self.n_listings += 1;
        Ok(Ok(self.table.push(Entries(entries.into_iter()))?))
    }

    fn sync(&mut self, _: Resource<Opened>) -> Result<Code<()>> {
        Ok(Ok(()))
    }

    async fn create_directory_at(&mut self, descriptor: Resource<Opened>, name: String) -> Result<Code<()>> {
        let path = ok!(self.named(&descriptor, &name)?);
        on_drive(self.drive.clone(), move |drive| drive.make_folder(&path)).await
    }

    async fn stat(&mut self, descriptor: Resource<Opened>) -> Result<Code<DescriptorStat>> {
        let found = match self.opened(&descriptor)? {
            Opened::Folder(_) => Found::Folder,
            Opened::Written { file, .. } => Found::Written(file),
            Opened::Below(path) => ok!(on_drive(self.drive.clone(), move |drive| drive.find(&path)).await?),
        };
        Ok(Ok(self.stat_of(found)))
    }

    async fn stat_at(
        &mut self,
        descriptor: Resource<Opened>,
        _: PathFlags,
        name: String,
    ) -> Result<Code<DescriptorStat>> {
        let path = ok!(self.named(&descriptor, &name)?);
        let found = ok!(on_drive(self.drive.clone(), move |drive| drive.find(&path)).await?);
        Ok(Ok(self.stat_of(found)))
    }

    fn set_times_at(
        &mut self,
        _: Resource<Opened>,
        _: PathFlags,
        _: String,
        _: NewTimestamp,
        _: NewTimestamp,
    ) -> Result<Code<()>> {
        Ok(Ok(()))
    }

    fn link_at(
        &mut self,
        _: Resource<Opened>,
        _: PathFlags,
        _: String,
        _: Resource<Opened>,
        _: String,
    ) -> Result<Code<()>> {
        Ok(Err(ErrorCode::Unsupported))
    }

    async fn open_at(
        &mut self,
        descriptor: Resource<Opened>,
        _: PathFlags,
        name: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Code<Resource<Opened>>> {
        let path = ok!(self.named(&descriptor, &name)?);
        let how = How {
            create: open.contains(OpenFlags::CREATE),
            exclusive: open.contains(OpenFlags::EXCLUSIVE),
            truncate: open.contains(OpenFlags::TRUNCATE),
            folder: open.contains(OpenFlags::DIRECTORY),
            write: flags.contains(DescriptorFlags::WRITE),
        };
        let opened = ok!(on_drive(self.drive.clone(), move |drive| drive.open(&path, how)).await?);
        Ok(match self.table.push(opened) {
            Ok(descriptor) => Ok(descriptor),
            // As many files are open as may be.
            Err(_) => Err(ErrorCode::InsufficientMemory),
        })
    }

    fn readlink_at(&mut self, _: Resource<Opened>, _: String) -> Result<Code<String>> {
        Ok(Err(ErrorCode::Invalid))
    }

    async fn remove_directory_at(&mut self, descriptor: Resource<Opened>, name: String) -> Result<Code<()>> {
        let path = ok!(self.named(&descriptor, &name)?);
        on_drive(self.drive.clone(), move |drive| drive.remove(&path, true)).await
    }

    async fn rename_at(
        &mut self,
        descriptor: Resource<Opened>,
        old: String,
        other: Resource<Opened>,
        new: String,
    ) -> Result<Code<()>> {
        let old = ok!(self.named(&descriptor, &old)?);
        let new = ok!(self.named(&other, &new)?);
        on_drive(self.drive.clone(), move |drive| drive.rename(&old, &new)).await
    }

    fn symlink_at(&mut self, _: Resource<Opened>, _: String, _: String) -> Result<Code<()>> {
        Ok(Err(ErrorCode::Unsupported))
    }

    async fn unlink_file_at(&mut self, descriptor: Resource<Opened>, name: String) -> Result<Code<()>> {
        let path = ok!(self.named(&descriptor, &name)?);
        on_drive(self.drive.clone(), move |drive| drive.remove(&path, false)).await
    }

    fn is_same_object(&mut self, one: Resource<Opened>, other: Resource<Opened>) -> Result<bool> {
        Ok(match (self.table.get(&one)?, self.table.get(&other)?) {
            (Opened::Written { file, .. }, Opened::Written { file: other, .. }) => Arc::ptr_eq(file, other),
            (Opened::Folder(one), Opened::Folder(other)) | (Opened::Below(one), Opened::Below(other)) => one == other,
            _ => false,
        })
    }

    fn metadata_hash(&mut self, descriptor: Resource<Opened>) -> Result<Code<MetadataHashValue>> {
        Ok(Ok(match self.table.get(&descriptor)? {
            Opened::Folder(path) | Opened::Below(path) | Opened::Written { path, .. } => hash(path),
        }))
    }

    fn metadata_hash_at(
        &mut self,
        descriptor: Resource<Opened>,
        _: PathFlags,
        name: String,
    ) -> Result<Code<MetadataHashValue>> {
        let path = ok!(self.named(&descriptor, &name)?);
        Ok(Ok(hash(&path)))
    }

    fn drop(&mut self, descriptor: Resource<Opened>) -> Result<()> {
        self.table.delete(descriptor)?;
        Ok(())
    }
}

/// What tells one file from another: its path.
fn hash(path: &str) -> MetadataHashValue {
    let digest = Sha256::digest(path.as_bytes());
    let half = |from: usize| u64::from_le_bytes(std::array::from_fn(|n| digest[from + n]));
    MetadataHashValue { lower: half(0), upper: half(8) }
}

/// A file that is read from some place on.
struct Reader {
    drive: Arc<Mutex<Drive>>,
    opened: Opened,
    offset: u64,
    /// What was read and not yet taken, from `at` on.
    chunk: Vec<u8>,
    at: usize,
    /// Why nothing more comes.
    end: Option<Code<()>>,
}

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        if self.at < self.chunk.len() || self.end.is_some() {
            return;
        }
        let read = match &self.opened {
            Opened::Folder(_) => Err(ErrorCode::IsDirectory),
            Opened::Written { file, .. } => Ok(file.read(self.offset, CHUNK as usize)),
            Opened::Below(path) => {
                let (drive, path, offset) = (self.drive.clone(), path.clone(), self.offset);
                let read =
                    move || drive.lock().unwrap_or_else(PoisonError::into_inner).read_below(&path, offset, CHUNK);
                spawn_blocking(read).await.unwrap_or(Err(ErrorCode::Io))
            }
        };
        match read {
            Ok(bytes) if bytes.is_empty() => self.end = Some(Ok(())),
            Ok(bytes) => {
                self.offset += bytes.len() as u64;
                (self.chunk, self.at) = (bytes, 0);
            }
            Err(code) => self.end = Some(Err(code)),
        }
    }
}

#[async_trait]
impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let rest = &self.chunk[self.at..];
        match (rest.is_empty(), self.end) {
            (true, Some(Ok(()))) => Err(StreamError::Closed),
            (true, Some(Err(code))) => Err(failed(code)),
            _ => {
                let part = rest[..size.min(rest.len())].to_vec();
                self.at += part.len();
                if self.at == self.chunk.len() {
                    // Many files may be open that nobody reads on.
                    (self.chunk, self.at) = (Vec::new(), 0);
                }
                Ok(part.into())
            }
        }
    }
}

/// A file that is written from some place on, or at its end.
struct Writer {
    file: Arc<File>,
    offset: Option<u64>,
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.file.write(self.offset, &bytes).map_err(failed)?;
        if let Some(offset) = &mut self.offset {
            *offset += bytes.len() as u64;
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_WRITE)
    }
}
