//! Writes a checkpoint as a prepared model, once.
//!
//! What it is not: needed for running a model; without it one runs as it lies, slowly. A write that was interrupted goes on
//! where it was, two processes do not write the same, and a file comes under its name only when it is whole.
//! Start at [`prepare`].

use super::checkpoint::Checkpoint;
use super::prepared::{self, HASH, Header, Section, Written};
use super::{LoadError, Part, Rows, forms, quantise_mxfp4};
use crate::engine::cpu::kernels::panels::{Format, Mxfp4Source, PANEL, pack_mxfp4, pack_q8};
use crate::harmony::Token;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Numbers in a block.
const BLOCK: usize = 32;

/// Panels that are made before they are written.
const TOGETHER: usize = 1024;

/// How a model is prepared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preparation {
    /// Whether experts become Q8, which takes twice the memory of MXFP4 and loses nothing worth naming. Experts that lie in
    /// MXFP4 stay what they are.
    pub experts_in_q8: bool,
    /// Threads that work on it.
    pub n_threads: usize,
}

/// Where the prepared form of a checkpoint belongs in `folder`.
pub fn prepared_path(checkpoint: &Checkpoint, preparation: Preparation, folder: &Path) -> PathBuf {
    let name = file_name(&checkpoint.name);
    let kind = if preparation.experts_in_q8 { "-q8" } else { "" };
    folder.join(format!("{name}{kind}-{}.{}", short_key(checkpoint), forms::ENDS[0]))
}

/// The part of a checkpoint's key that is in the name of its form.
pub(super) fn short_key(checkpoint: &Checkpoint) -> String {
    blake3::Hash::from_bytes(checkpoint.key).to_hex()[..forms::N_DIGITS].to_owned()
}

/// A model's name as that of a file.
pub(super) fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// Whether a checkpoint can be prepared: panels are as wide as blocks are.
pub fn can_prepare(checkpoint: &Checkpoint) -> bool {
    checkpoint.config.query_width().is_multiple_of(BLOCK)
}

/// Opens the prepared form of a checkpoint in `folder`, after writing it where it is not there yet. What was prepared of the
/// same path before the checkpoint changed is removed, unless another process runs it. `progress` is told bytes done and in
/// all while it is written, and says whether to go on.
///
/// # Errors
/// [`LoadError::Prepare`] when it cannot be written; what was written is kept for the next time. [`LoadError::NoRoom`]
/// before anything is written. [`LoadError::Cancelled`] when `progress` says so.
pub fn prepare(
    checkpoint: &Checkpoint,
    preparation: Preparation,
    folder: &Path,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Checkpoint, LoadError> {
    let path = prepared_path(checkpoint, preparation, folder);
    if path.exists()
        && let Ok(opened) = prepared::open(&path)
    {
        forms::claim(checkpoint, &path);
        return Ok(opened);
    }
    checkpoint.parts().try_for_each(|part| checkpoint.check(part))?;
    let failed = |source| LoadError::Prepare { path: path.clone(), source };
    let mut folders = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folders, 0o700);
    folders.recursive(true).create(folder).map_err(failed)?;
    // The file stays: whoever waits for it and whoever comes later have to mean the same one.
    let lock = options().open(path.with_extension(forms::LOCK)).map_err(failed)?;
    lock.lock().map_err(failed)?;
    forms::claim(checkpoint, &path); // before the room is looked at, some of which this may make
    // Another process may have written it while this one waited.
    if path.exists() {
        match prepared::open(&path) {
            Err(LoadError::Damaged { problem, .. }) => {
                tracing::warn!("{} is made anew: {problem}", path.display());
                fs::remove_file(&path).map_err(failed)?;
            }
            opened => return opened,
        }
    }
    Writer::new(checkpoint, preparation, &path)?.write(progress)?;
    prepared::open(&path)
}

/// Refuses a model whose prepared form this machine cannot hold, before it is written.
///
/// # Errors
/// [`LoadError::TooLarge`].
pub fn check_fits(checkpoint: &Checkpoint, preparation: Preparation) -> Result<(), LoadError> {
    let sections = prepared::sections(&checkpoint.config, preparation.experts_in_q8, 0);
    super::check_size(&checkpoint.name, prepared::file_bytes(&sections), super::SMALLER)
}

/// A file being written.
struct Writer<'a> {
    checkpoint: &'a Checkpoint,
    path: &'a Path,
    header: Vec<u8>,
    sections: Vec<Section>,
    n_threads: usize,
}

impl<'a> Writer<'a> {
    fn new(checkpoint: &'a Checkpoint, preparation: Preparation, path: &'a Path) -> Result<Self, LoadError> {
        let header = Header {
            name: checkpoint.name.clone(),
            key: blake3::Hash::from_bytes(checkpoint.key).to_hex().to_string(),
            config: checkpoint.config.to_json(),
            experts_in_q8: preparation.experts_in_q8,
            notice: checkpoint.notice.clone(),
        };
        let header = header.encode();
        let sections = prepared::sections(&checkpoint.config, preparation.experts_in_q8, header.len() as u64);
        Ok(Self { checkpoint, path, header, sections, n_threads: preparation.n_threads.max(1) })
    }

    fn failed(&self, source: io::Error) -> LoadError {
        LoadError::Prepare { path: self.path.to_owned(), source }
    }

    fn write(&self, progress: &mut dyn FnMut(u64, u64) -> bool) -> Result<(), LoadError> {
        let [_, part, done] = forms::ENDS.map(|end| self.path.with_extension(end));
        let failed = |source| self.failed(source);
        let mut file = options().open(&part).map_err(failed)?;
        let mut sums = options().open(&done).map_err(failed)?;
        let total = prepared::file_bytes(&self.sections);
        let mut hashes = self.already_written(&mut file, &mut sums, progress)?;
        let start = self.end_of(hashes.len());
        super::check_room(self.path, total - start)?;
        file.set_len(start).and_then(|()| file.seek(SeekFrom::Start(start))).map_err(failed)?;
        sums.set_len(hashes.len() as u64).and_then(|()| sums.seek(SeekFrom::End(0))).map_err(failed)?;
        if hashes.is_empty() {
            file.rewind().and_then(|()| file.write_all(&self.header)).map_err(failed)?;
        }
        let mut written = start.max(self.header.len() as u64);
        for section in &self.sections[hashes.len() / HASH..] {
            let mut hasher = blake3::Hasher::new();
            file.write_all(&vec![0; (section.bytes.start - written) as usize]).map_err(failed)?;
            written = section.bytes.start;
            self.section(section, &mut |bytes| {
                if !progress(written, total) {
                    return Err(LoadError::Cancelled);
                }
                hasher.update(bytes);
                written += bytes.len() as u64;
                file.write_all(bytes).map_err(failed)
            })?;
            // The checksum is only believed when what it is of is on the disk.
            if section.bytes.end - section.bytes.start > 1 << 20 {
                file.sync_data().map_err(failed)?;
            }
            hashes.extend_from_slice(hasher.finalize().as_bytes());
            sums.write_all(hasher.finalize().as_bytes()).map_err(failed)?;
        }
        let hash = blake3::hash(&hashes);
        file.write_all(&hashes).and_then(|()| file.write_all(hash.as_bytes())).map_err(failed)?;
        file.sync_all().and_then(|()| fs::rename(&part, self.path)).map_err(failed)?;
        // What was written in pieces lies in small pages of memory; what is read again may lie in huge ones.
        #[cfg(target_os = "linux")]
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed); // only slower without
        let _ = fs::remove_file(&done); // of no use any more, and in nobody's way
        progress(total, total);
        Ok(())
    }

    /// Where the file ends after so many bytes of checksums.
    fn end_of(&self, n_hash_bytes: usize) -> u64 {
        match n_hash_bytes / HASH {
            0 => 0,
            n => self.sections[n - 1].bytes.end,
        }
    }

    /// The checksums of the sections that an earlier process has written, as far as they agree with the file.
    fn already_written(
        &self,
        file: &mut File,
        sums: &mut File,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Vec<u8>, LoadError> {
        let total = prepared::file_bytes(&self.sections);
        let mut is_wanted = |done| progress(done, total);
        let checked = self.checked(file, sums, &mut is_wanted).map_err(|source| self.failed(source))?;
        checked.ok_or(LoadError::Cancelled)
    }

    /// `None` when `is_wanted`, which is told how far it is, says no.
    fn checked(
        &self,
        file: &mut File,
        sums: &mut File,
        is_wanted: &mut dyn FnMut(u64) -> bool,
    ) -> io::Result<Option<Vec<u8>>> {
        let mut hashes = Vec::new();
        sums.take((self.sections.len() * HASH) as u64).read_to_end(&mut hashes)?;
        let mut header = vec![0; self.header.len()];
        if file.metadata()?.len() < self.header.len() as u64
            || file.read_exact(&mut header).is_err()
            || header != self.header
        {
            return Ok(Some(Vec::new()));
        }
        let mut n = 0;
        for (section, hash) in self.sections.iter().zip(hashes.as_chunks::<HASH>().0) {
            let mut hasher = blake3::Hasher::new();
            file.seek(SeekFrom::Start(section.bytes.start))?;
            let n_read = io::copy(&mut file.take(section.bytes.end - section.bytes.start), &mut hasher)?;
            if n_read < section.bytes.end - section.bytes.start || hasher.finalize().as_bytes() != hash {
                break;
            }
            n += HASH;
            if !is_wanted(section.bytes.end) {
                return Ok(None);
            }
        }
        hashes.truncate(n);
        Ok(Some(hashes))
    }

    /// One part, piece after piece.
    fn section(
        &self,
        section: &Section,
        write: &mut dyn FnMut(&[u8]) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        match section.written {
            Written::F32 => {
                let numbers = self.checkpoint.vector(section.part)?;
                write(&numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
            }
            Written::Bf16 => self.embedding(write),
            Written::Panels(format) => self.panels(section.part, format, write),
        }
    }

    /// The one matrix whose rows are read one by one.
    fn embedding(&self, write: &mut dyn FnMut(&[u8]) -> Result<(), LoadError>) -> Result<(), LoadError> {
        let (n_rows, n_in) = (self.checkpoint.config.n_vocab, self.checkpoint.config.hidden);
        let stored = match &self.checkpoint.embedding {
            Some(_) => None,
            None => Some(self.checkpoint.matrix(Part::Embedding)?.rows()),
        };
        let mut numbers = vec![0.0; TOGETHER * n_in];
        for first in (0..n_rows).step_by(TOGETHER) {
            let numbers = &mut numbers[..(n_rows - first).min(TOGETHER) * n_in];
            match (&stored, &self.checkpoint.embedding) {
                (Some(rows), _) => rows.read(first..first + numbers.len() / n_in, numbers),
                (None, Some(computed)) => {
                    let rows = numbers.chunks_exact_mut(n_in).enumerate();
                    rows.for_each(|(idx, row)| computed.read((first + idx) as Token, row));
                }
                (None, None) => unreachable!("an embedding is stored or computed"),
            }
            let bytes = numbers.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes());
            write(&bytes.collect::<Vec<u8>>())?;
        }
        Ok(())
    }

    /// A matrix, or those of the experts one after the other.
    fn panels(
        &self,
        part: Part,
        format: Format,
        write: &mut dyn FnMut(&[u8]) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        let rows = self.checkpoint.matrix(part)?.rows();
        let shape = part.shape(&self.checkpoint.config);
        let [n_out, n_in] = *shape.last_chunk().expect("a matrix has two sides");
        let panel_bytes = format.panel_bytes(n_in);
        let n_panels = n_out.div_ceil(PANEL);
        let mut bytes = vec![0; TOGETHER.min(n_panels) * panel_bytes];
        for first_row in (0..rows.shape().0).step_by(n_out) {
            for first in (0..n_panels).step_by(TOGETHER) {
                let bytes = &mut bytes[..(n_panels - first).min(TOGETHER) * panel_bytes];
                let each = bytes.len().div_ceil(panel_bytes).div_ceil(self.n_threads);
                std::thread::scope(|scope| {
                    for (idx, panels) in bytes.chunks_mut(each * panel_bytes).enumerate() {
                        let rows = &rows;
                        scope.spawn(move || {
                            for (i, panel) in panels.chunks_exact_mut(panel_bytes).enumerate() {
                                let row = (first + idx * each + i) * PANEL;
                                let range = first_row + row..first_row + n_out.min(row + PANEL);
                                pack(rows, format, range, n_in, panel);
                            }
                        });
                    }
                });
                write(bytes)?;
            }
        }
        Ok(())
    }
}

/// How files of forms are opened.
pub(super) fn options() -> fs::OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    // As private as the checkpoint may be.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // A link in the place of one of them would have its target overwritten.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Up to sixteen rows as a panel.
fn pack(rows: &Arc<dyn Rows>, format: Format, range: std::ops::Range<usize>, n_in: usize, panel: &mut [u8]) {
    let mut numbers = vec![0.0; range.len() * n_in];
    if format == Format::Q8 {
        rows.read(range, &mut numbers);
        return pack_q8(&numbers, n_in, panel);
    }
    let n_blocks = n_in / BLOCK;
    let mut blocks = vec![[0; 16]; range.len() * n_blocks];
    let mut scales = vec![0; range.len() * n_blocks];
    let each = blocks.chunks_exact_mut(n_blocks).zip(scales.chunks_exact_mut(n_blocks));
    let are_mxfp4 = each.enumerate().all(|(idx, (blocks, scales))| rows.read_mxfp4(range.start + idx, blocks, scales));
    if !are_mxfp4 {
        rows.read(range, &mut numbers);
        quantise_mxfp4(&numbers, &mut blocks, &mut scales);
    }
    pack_mxfp4(&Mxfp4Source { blocks: &blocks, scales: &scales }, n_in, panel);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::goldens;

    #[test]
    fn what_was_written_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = goldens::checkpoint("grouped");
        let preparation = Preparation { n_threads: 2, ..Preparation::default() };
        let whole = tempfile::tempdir().unwrap();
        let mut steps = Vec::new();
        prepare(&checkpoint, preparation, whole.path(), &mut |done, _| {
            steps.push(done);
            true
        })
        .unwrap();
        let expected = fs::read(prepared_path(&checkpoint, preparation, whole.path())).unwrap();
        // Stopped later and later, and once with an end that never reached the disk.
        for n_steps in [3, 9, 20] {
            let mut n = 0;
            let stopped = prepare(&checkpoint, preparation, folder.path(), &mut |_, _| {
                n += 1;
                n <= n_steps
            });
            assert!(matches!(stopped, Err(LoadError::Cancelled)));
        }
        let path = prepared_path(&checkpoint, preparation, folder.path());
        assert!(!path.exists());
        let part = path.with_extension("part");
        let written = fs::read(&part).unwrap();
        let mut torn = written.clone();
        let end = torn.len();
        torn[end - 40..].fill(0xEE);
        fs::write(&part, &torn).unwrap();
        let mut first = None;
        prepare(&checkpoint, preparation, folder.path(), &mut |done, _| {
            first.get_or_insert(done);
            true
        })
        .unwrap();
        assert!(first.is_some_and(|first| first > 0), "it goes on after what is good");
        assert!(fs::read(&path).unwrap() == expected, "the same file, whatever happened");
        assert!(!part.exists() && !path.with_extension("sums").exists());
    }

    #[test]
    fn processes_that_prepare_the_same_write_it_once() {
        let folder = tempfile::tempdir().unwrap();
        let n_written = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut is_writing = false;
                    let mut progress = |done, total| {
                        is_writing |= done < total;
                        true
                    };
                    let checkpoint = goldens::checkpoint("sharded");
                    prepare(&checkpoint, Preparation::default(), folder.path(), &mut progress).unwrap();
                    n_written.fetch_add(usize::from(is_writing), std::sync::atomic::Ordering::Relaxed);
                });
            }
        });
        assert_eq!(n_written.into_inner(), 1);
    }

    #[test]
    fn a_file_that_lies_about_its_sizes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let odd = goldens::checkpoint("odd_sizes");
        assert!(!can_prepare(&odd));
        let header = Header {
            name: "odd".into(),
            key: String::new(),
            config: odd.config.to_json(),
            experts_in_q8: false,
            notice: None,
        };
        let mut bytes = header.encode();
        let sections = prepared::sections(&odd.config, false, bytes.len() as u64);
        bytes.resize(prepared::file_bytes(&sections) as usize - HASH, 0);
        let hash = blake3::hash(&bytes[bytes.len() - sections.len() * HASH..]);
        bytes.extend_from_slice(hash.as_bytes());
        let path = folder.path().join("odd.weights");
        fs::write(&path, bytes).unwrap();
        let error = prepared::open(&path).err().unwrap().to_string();
        assert!(error.contains("no model of its sizes"), "{error}");
    }
}
