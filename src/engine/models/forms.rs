//! The prepared forms on the disk: of which models they are, whether anything uses them still, and how they go.
//!
//! What it is not: it writes and opens none; [`super::prepare()`] does. Of which model a form is stands in its lock file and
//! not in itself: a model may be moved, and its form stays what it is. Start at [`prepared_forms`].

use super::prepare::{file_name, options, short_key};
use super::{Checkpoint, LoadError, RANDOM, Source, stapes};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The endings of a form's files: the whole of it, what is written so far, and the checksums of that.
pub(super) const ENDS: [&str; 3] = ["weights", "part", "sums"];

/// That of the file by which processes keep out of each other's way.
pub(super) const LOCK: &str = "lock";

/// Digits of a key in a name.
pub(super) const N_DIGITS: usize = 16;

/// A folder with more files is not read to its end.
const MOST: usize = 10_000;

/// No system has longer paths, in bytes.
const LONGEST_PATH: u64 = 4096;

/// A model in the form that the kernels read, whole or begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedForm {
    /// Its model's name and the beginning of that one's key.
    pub name: String,
    /// Its file, which is there when it is whole.
    pub path: PathBuf,
    /// What it takes of the disk.
    pub n_bytes: u64,
    /// Where its model lay when it was last used, or what that is called where it lies in the program; `None` where nobody
    /// noted it.
    pub of: Option<PathBuf>,
    /// Whether it was written to its end.
    pub is_whole: bool,
}

/// What became of a form's model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Original {
    /// It is what it was: whoever runs it uses the form.
    There,
    /// It is another one by now, or no model: nothing uses the form.
    Changed,
    /// It is not where it was.
    Gone,
    /// Nobody noted which it is.
    Unknown,
}

/// All in a folder, by name; none where there is no folder.
pub fn prepared_forms(folder: &Path) -> Vec<PreparedForm> {
    let mut forms = BTreeMap::new();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(MOST);
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())) {
        let path = entry.path();
        let [Some(name), Some(end)] =
            [path.file_stem(), path.extension()].map(|part| part.and_then(|part| part.to_str()))
        else {
            continue;
        };
        if !ENDS.contains(&end) || split(name).is_none() {
            continue;
        }
        let path = folder.join(format!("{name}.{}", ENDS[0]));
        let of = noted(&path);
        let new = PreparedForm { name: name.to_owned(), path, n_bytes: 0, of, is_whole: false };
        let form = forms.entry(name.to_owned()).or_insert(new);
        form.n_bytes += entry.metadata().map_or(0, |metadata| metadata.len());
        form.is_whole |= end == ENDS[0];
    }
    forms.into_values().collect()
}

/// A form's name as its model's and the beginning of a key.
fn split(name: &str) -> Option<(&str, &str)> {
    let (model, key) = name.rsplit_once('-')?;
    (key.len() == N_DIGITS && key.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some((model, key))
}

impl PreparedForm {
    /// Whether a word means it: the whole of its name, or its model's.
    pub fn is_called(&self, word: &str) -> bool {
        let word = file_name(word);
        let model = split(&self.name).map_or("", |(model, _)| model);
        let names = [&self.name, model, model.strip_suffix("-q8").unwrap_or(model)];
        names.iter().any(|name| name.eq_ignore_ascii_case(&word))
    }

    /// Whether its model lies at a path, or in the folder there.
    pub fn is_of(&self, path: &Path) -> bool {
        let (Some(of), Some(path)) = (&self.of, located(path)) else { return false };
        of.starts_with(path)
    }

    /// What became of its model, which is opened for that and not read.
    pub fn original(&self) -> Original {
        let Some(of) = &self.of else { return Original::Unknown };
        let source = match of.to_str() {
            Some(stapes::NAME) => Source::Embedded,
            Some(RANDOM) => Source::Random,
            _ if !of.exists() => return Original::Gone,
            _ => Source::at(of.clone()),
        };
        let key = split(&self.name).map(|(_, key)| key);
        match source.open() {
            Ok(checkpoint) if Some(short_key(&checkpoint).as_str()) == key => Original::There,
            _ => Original::Changed,
        }
    }

    /// Removes it, and what was written of it; how many bytes that were. The lock file stays: whoever waits for it and
    /// whoever comes later have to mean the same one.
    ///
    /// # Errors
    /// [`LoadError::Remove`] when another process writes or runs it, or the system says no.
    pub fn remove(&self) -> Result<u64, LoadError> {
        let failed = |source| LoadError::Remove { path: self.path.clone(), source };
        let lock = options().open(self.path.with_extension(LOCK)).map_err(failed)?;
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(failed(io::Error::other("another process is writing it; wait for that")));
        }
        // Whoever has opened it shares a lock on it. (Opened for writing because a network's file system wants that.)
        match File::options().read(true).write(true).open(&self.path).map(|form| form.try_lock()) {
            Ok(Err(TryLockError::WouldBlock)) => {
                return Err(failed(io::Error::other("another process runs it; end that first")));
            }
            Ok(Err(TryLockError::Error(error))) if error.kind() != io::ErrorKind::Unsupported => {
                return Err(failed(error));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        for end in ENDS {
            match fs::remove_file(self.path.with_extension(end)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        Ok(self.n_bytes)
    }
}

/// Notes of which model the form at `path` is, and removes what was prepared of the same one before it changed. Where
/// that cannot be done a cache is larger than it need be, and that is all.
pub(super) fn claim(checkpoint: &Checkpoint, path: &Path) {
    let (Some(of), Some(folder)) = (place(checkpoint), path.parent()) else { return };
    if noted(path).as_ref() != Some(&of)
        && let Err(error) = note(path, &of)
    {
        tracing::debug!("{} does not say of which model it is: {error}", path.display());
    }
    let key = short_key(checkpoint);
    let is_superseded = |form: &PreparedForm| form.of.as_ref() == Some(&of) && !form.name.ends_with(&key);
    for form in prepared_forms(folder).into_iter().filter(is_superseded) {
        match form.remove() {
            Ok(n_bytes) => tracing::info!(n_bytes, "{} was of an older {}: removed", form.name, of.display()),
            Err(error) => tracing::info!("{error}"),
        }
    }
}

/// What is to be noted of a model; nothing of one that was made and lies nowhere.
fn place(checkpoint: &Checkpoint) -> Option<PathBuf> {
    let embedded = [stapes::NAME, RANDOM].into_iter().find(|name| *name == checkpoint.name);
    located(&checkpoint.path).or(embedded.map(PathBuf::from))
}

/// A path that is the same wherever it is said. The last part of a file's stays as it is: a link to it has a name, and
/// what it leads to may have none.
fn located(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        return path.canonicalize().ok();
    }
    let path = std::path::absolute(path).ok().filter(|path| path.exists())?;
    Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?))
}

/// What is noted of the form at a path.
fn noted(path: &Path) -> Option<PathBuf> {
    let lock = path.with_extension(LOCK);
    let mut of = String::new();
    if fs::symlink_metadata(&lock).is_ok_and(|lock| lock.is_file()) {
        File::open(lock).ok()?.take(LONGEST_PATH).read_to_string(&mut of).ok()?;
    }
    (!of.is_empty()).then(|| of.into())
}

fn note(path: &Path, of: &Path) -> io::Result<()> {
    let Some(of) = of.to_str() else { return Err(io::Error::other("its path is no text")) };
    let mut lock = options().open(path.with_extension(LOCK))?;
    lock.set_len(0).and_then(|()| lock.write_all(of.as_bytes()))
}

#[cfg(test)]
mod tests;
