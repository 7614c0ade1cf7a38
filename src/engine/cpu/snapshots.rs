//! What a model has read, kept on the disk: instructions and tools that many conversations begin with, and whole
//! conversations that may go on another day.
//!
//! What it is not: anything that would be missed. A file that is cut short, altered, or of another model is left alone and
//! read anew; the oldest go when there are too many; several processes may read, write and remove at the same time.
//! Start at [`Snapshots::longest`].

use super::kv_cache::KvCache;
use crate::engine::models;
use crate::harmony::Token;
use crate::world::Clock;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Fewer tokens are read again as soon as they are loaded.
pub(super) const WORTH_KEEPING: usize = 128;

/// A file begins with this; the last byte is the version of the format.
const MAGIC: [u8; 8] = *b"ossikv\0\x01";
const EXTENSION: &str = "kv";

/// Magic, number of tokens, number of bytes.
const HEADER: usize = 8 + 8 + 8;
const HASH: usize = 32;

/// Where snapshots are kept.
#[derive(Clone)]
pub struct Store {
    /// The folder of all models; it need not exist.
    pub folder: PathBuf,
    /// Together they take at most so many bytes.
    pub most_bytes: u64,
    /// They leave so many bytes of the disk to others.
    pub least_free: u64,
    /// Says which were used last.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("folder", &self.folder).field("most_bytes", &self.most_bytes).finish()
    }
}

/// Those of one model.
#[derive(Clone)]
pub(super) struct Snapshots {
    store: Store,
    folder: PathBuf,
}

impl Snapshots {
    /// `key` stands for all that the numbers of a cache depend on beside the tokens.
    pub(super) fn new(store: Store, key: &[u8; 32]) -> Self {
        let folder = store.folder.join(&blake3::Hash::from_bytes(*key).to_hex()[..32]);
        Self { store, folder }
    }

    /// Fills `cache` with the longest snapshot that `tokens` begin with, of more than `n_known` and at most `longest`
    /// tokens. Returns how many there were; the cache is as it was when there are none, or empty when one is damaged.
    pub(super) fn longest(
        &self,
        tokens: &[Token],
        n_known: usize,
        longest: usize,
        cache: &mut KvCache,
    ) -> Option<usize> {
        let mut lengths: Vec<usize> = self.files().filter_map(|path| n_tokens(&path)).collect();
        lengths.retain(|n| (n_known + 1..=longest).contains(n));
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        for (n, path) in lengths.into_iter().map(|n| (n, self.path(&tokens[..n]))) {
            match read(&path, &tokens[..n], cache) {
                Ok(()) => {
                    self.touch(&path);
                    return Some(n);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!("a snapshot is not used, and removed: {}: {error}", path.display());
                    let _ = fs::remove_file(&path); // another process may have been faster
                }
            }
        }
        None
    }

    /// Whether there is one of all these tokens, or of all but a few of the last.
    pub(super) fn holds_most(&self, tokens: &[Token]) -> bool {
        let lengths = self.files().filter_map(|path| n_tokens(&path));
        let enough = tokens.len().saturating_sub(2 * WORTH_KEEPING)..=tokens.len();
        lengths.filter(|n| enough.contains(n)).any(|n| self.path(&tokens[..n]).is_file())
    }

    /// Whether there is one of exactly these tokens.
    pub(super) fn holds(&self, tokens: &[Token]) -> bool {
        self.path(tokens).is_file()
    }

    /// Keeps the first `n` positions of the cache. What is in it is copied at once, and written while the model goes on.
    pub(super) fn keep(&self, cache: &KvCache, n: usize) -> Option<std::thread::JoinHandle<()>> {
        let tokens = &cache.tokens()[..n];
        let n_bytes = cache.copy_bytes(n);
        if n < WORTH_KEEPING || n_bytes as u64 > self.store.most_bytes || self.holds(tokens) {
            return None;
        }
        let n_file_bytes = HEADER + 4 * n + n_bytes + HASH;
        if let Some(free) = models::free_space(&self.folder)
            && free < (n_file_bytes as u64).saturating_add(self.store.least_free)
        {
            tracing::info!(free, n_file_bytes, "no snapshot is kept: the disk is nearly full");
            return None;
        }
        let mut bytes = Vec::with_capacity(n_file_bytes);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&(n as u64).to_le_bytes());
        bytes.extend_from_slice(&(n_bytes as u64).to_le_bytes());
        tokens.iter().for_each(|token| bytes.extend_from_slice(&token.to_le_bytes()));
        cache.save(n, &mut bytes);
        let (snapshots, path) = (self.clone(), self.path(tokens));
        let write = move || {
            let hash = blake3::hash(&bytes);
            bytes.extend_from_slice(hash.as_bytes());
            match snapshots.write(&path, &bytes) {
                Ok(()) => snapshots.prune(),
                Err(error) => tracing::warn!("no snapshot could be kept: {}: {error}", path.display()),
            }
        };
        std::thread::Builder::new().name("snapshot".into()).spawn(write).ok()
    }

    /// Under another name first, so that a file is whole or not there.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut folders = fs::DirBuilder::new();
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            std::os::unix::fs::DirBuilderExt::mode(&mut folders, 0o700);
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        folders.recursive(true).create(&self.folder)?;
        let name = format!("{}-{}.part", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let part = self.folder.join(name);
        let written = options.open(&part).and_then(|mut file| file.write_all(bytes));
        let written = written.and_then(|()| fs::rename(&part, path));
        if written.is_err() {
            let _ = fs::remove_file(&part); // nothing else can be done about it
        }
        written
    }

    /// Removes the least recently used while all take too much, and what was left half written an hour ago.
    fn prune(&self) {
        let now = self.store.clock.now();
        let mut found: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for path in entries(&self.store.folder).flat_map(|folder| entries(&folder)) {
            let Ok(metadata) = path.metadata() else { continue };
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let age = now.duration_since(modified).unwrap_or_default();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                found.push((modified, metadata.len(), path));
            } else if age.as_secs() > 3600 {
                let _ = fs::remove_file(&path); // another process may have been faster
            }
        }
        found.sort();
        let mut total: u64 = found.iter().map(|(_, n_bytes, _)| n_bytes).sum();
        for (_, n_bytes, path) in found {
            if total <= self.store.most_bytes {
                return;
            }
            let _ = fs::remove_file(&path); // another process may have been faster
            total -= n_bytes;
        }
    }

    fn touch(&self, path: &Path) {
        let touched =
            File::options().append(true).open(path).and_then(|file| file.set_modified(self.store.clock.now()));
        if let Err(error) = touched {
            tracing::debug!("{} keeps its age: {error}", path.display());
        }
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        entries(&self.folder)
    }

    /// Tokens of a snapshot and their hash are its name.
    fn path(&self, tokens: &[Token]) -> PathBuf {
        let mut hasher = blake3::Hasher::new();
        tokens.iter().for_each(|token| _ = hasher.update(&token.to_le_bytes()));
        self.folder.join(format!("{}-{}.{EXTENSION}", tokens.len(), &hasher.finalize().to_hex()[..32]))
    }
}

/// How many tokens a snapshot has, by its name.
fn n_tokens(path: &Path) -> Option<usize> {
    let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?;
    name.split_once('-')?.0.parse().ok()
}

/// What is in a folder; nothing when there is none.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

/// Checks all of a file before anything of it is believed.
fn read(path: &Path, tokens: &[Token], cache: &mut KvCache) -> io::Result<()> {
    let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    let expected = HEADER + 4 * tokens.len() + cache.copy_bytes(tokens.len()) + HASH;
    let mut file = File::open(path)?;
    if file.metadata()?.len() != expected as u64 {
        return Err(damaged("it is not as long as it should be"));
    }
    let mut bytes = vec![0; expected];
    file.read_exact(&mut bytes)?;
    let (content, hash) = bytes.split_at(expected - HASH);
    if blake3::hash(content).as_bytes() != hash {
        return Err(damaged("its checksum does not agree"));
    }
    let (header, content) = content.split_at(HEADER);
    let (ids, numbers) = content.split_at(4 * tokens.len());
    let same = ids.as_chunks().0.iter().map(|id| Token::from_le_bytes(*id)).eq(tokens.iter().copied());
    if header[..8] != MAGIC || !same || !cache.load(tokens, numbers) {
        return Err(damaged("it holds something else"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::goldens::checkpoint;
    use super::super::kv_cache::CacheFormat;
    use super::*;
    use crate::world::SystemClock;

    const N: usize = 300;

    fn cache() -> KvCache {
        KvCache::new(&checkpoint("grouped").config, 2 * N, CacheFormat::F16)
    }

    /// A cache that has read tokens which differ from the 200th on by `salt`.
    fn filled(salt: u32) -> KvCache {
        let (mut cache, config) = (cache(), checkpoint("grouped").config);
        for position in 0..N as u32 {
            let token = if position < 200 { position } else { position + salt };
            for layer_idx in 0..config.n_layers() {
                let numbers: Vec<f32> = (0..config.kv_width()).map(|i| (token as usize * 7 + i) as f32).collect();
                cache.write(layer_idx, &numbers, &numbers);
            }
            cache.append(&[token]);
        }
        cache
    }

    fn snapshots(folder: &Path, most_bytes: u64) -> Snapshots {
        let (folder, clock) = (folder.to_owned(), Arc::new(SystemClock::new()));
        let store = Store { folder, most_bytes, least_free: 0, clock };
        Snapshots::new(store, &[7; 32])
    }

    fn saved(cache: &KvCache, n: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        cache.save(n, &mut bytes);
        bytes
    }

    #[test]
    fn the_longest_prefix_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = snapshots(folder.path(), u64::MAX);
        let (one, other) = (filled(0), filled(1000));
        for (cache, n) in [(&one, N), (&other, N), (&one, 150)] {
            snapshots.keep(cache, n).expect("there was none").join().unwrap();
            assert!(snapshots.keep(cache, n).is_none(), "it is there already");
        }
        assert!(snapshots.keep(&one, WORTH_KEEPING - 1).is_none(), "too short");
        let tokens = one.tokens();
        for (tokens, n_known, longest, expected) in [
            (tokens, 0, N, Some(N)),
            (tokens, 0, N - 1, Some(150)),
            (&tokens[..160], 0, 160, Some(150)),
            (tokens, 150, N - 1, None),
            (&[1; N], 0, N, None),
        ] {
            let mut read = cache();
            assert_eq!(snapshots.longest(tokens, n_known, longest, &mut read), expected);
            if let Some(n) = expected {
                assert_eq!(read.tokens(), &tokens[..n]);
                assert!(saved(&read, n) == saved(&one, n), "the same numbers");
            }
        }
        let mut none = cache();
        let others = Snapshots::new(snapshots.store.clone(), &[8; 32]);
        assert_eq!(others.longest(tokens, 0, N, &mut none), None, "of another model");
    }

    #[test]
    fn a_damaged_file_is_removed_and_nothing_of_it_believed() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = snapshots(folder.path(), u64::MAX);
        let one = filled(0);
        type Damage = fn(&mut Vec<u8>);
        let damages: [Damage; 5] = [
            |bytes| bytes.truncate(1000),
            |bytes| bytes.push(0),
            |bytes| bytes[5000] ^= 1,
            |bytes| bytes.clear(),
            |bytes| {
                bytes[0] = b'x';
                let end = bytes.len() - HASH;
                let hash = blake3::hash(&bytes[..end]);
                bytes[end..].copy_from_slice(hash.as_bytes());
            },
        ];
        for damage in damages {
            snapshots.keep(&one, N).unwrap().join().unwrap();
            let path = snapshots.path(one.tokens());
            let mut bytes = fs::read(&path).unwrap();
            damage(&mut bytes);
            fs::write(&path, bytes).unwrap();
            let mut read = cache();
            assert_eq!(snapshots.longest(one.tokens(), 0, N, &mut read), None);
            assert!(read.len() == 0 && !path.exists());
        }
    }

    #[test]
    fn a_disk_that_is_nearly_full_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut snapshots = snapshots(&folder.path().join("not/there/yet"), u64::MAX);
        let free = models::free_space(folder.path()).unwrap();
        for (least_free, is_kept) in [(u64::MAX, false), (free + (1 << 40), false), (free / 2, true)] {
            snapshots.store.least_free = least_free;
            if let Some(writer) = snapshots.keep(&filled(0), N) {
                writer.join().unwrap();
            }
            let is_there = snapshots.holds(filled(0).tokens());
            assert_eq!((is_there, folder.path().join("not").exists()), (is_kept, is_kept), "{least_free}");
        }
    }

    #[test]
    fn the_least_recently_used_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let size = {
            let snapshots = snapshots(folder.path(), u64::MAX);
            snapshots.keep(&filled(0), N).unwrap().join().unwrap();
            snapshots.path(filled(0).tokens()).metadata().unwrap().len()
        };
        let snapshots = snapshots(folder.path(), 2 * size + 10);
        let mut read = cache();
        for salt in [1000, 2000, 3000] {
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert_eq!(snapshots.longest(filled(0).tokens(), 0, N, &mut read), Some(N), "it is used");
            snapshots.keep(&filled(salt), N).unwrap().join().unwrap();
        }
        let left = [0, 1000, 2000, 3000].map(|salt| snapshots.holds(filled(salt).tokens()));
        assert_eq!(left, [true, false, false, true]);
        let tiny = self::snapshots(folder.path(), 100);
        assert!(tiny.keep(&filled(4000), N).is_none(), "larger than all may be together");
    }
}
