//! A model written once in the form that the kernels read: large matrices in panels, small ones as f32, and checksums.
//!
//! What it is not: a download; it is made from a checkpoint, in the user's cache, and can be made again. Opening it maps it
//! and reads its two ends; nothing else is read before it is needed. Start at [`open`]; [`super::prepare`] writes it.

use super::checkpoint::{Checkpoint, Contents, Parts, Storage, Stored, Tensor, open_file};
use super::{Form, LayerPart, LoadError, Part};
use crate::engine::cpu::config::ModelConfig;
use crate::engine::cpu::kernels::activations::BLOCK;
use crate::engine::cpu::kernels::panels::{ALIGN, Format};
use memmap2::{Advice, Mmap};
use safetensors::Dtype;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// A file begins with this; the last byte is the version of the format.
pub(super) const MAGIC: [u8; 16] = *b"ossicle model\0\0\x02";

/// Bytes of a checksum (BLAKE3).
pub(super) const HASH: usize = 32;

/// A header that claims to be longer is none.
const LONGEST_HEADER: u64 = 1 << 20;

/// What a file says of itself before its weights.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct Header {
    /// What people call the model.
    pub(super) name: String,
    /// Of the checkpoint that it was made from, in hexadecimal.
    pub(super) key: String,
    /// As in a checkpoint's config.json.
    pub(super) config: Value,
    /// Whether the experts are in Q8 rather than MXFP4.
    pub(super) experts_in_q8: bool,
    /// Said once at the start when the model is not meant for real work.
    pub(super) notice: Option<String>,
}

/// How a part is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Panels(Format),
    Bf16,
    F32,
}

/// Where a part lies, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) part: Part,
    pub(super) written: Written,
    pub(super) bytes: Range<u64>,
}

impl Header {
    /// Magic, length, the header, its checksum, and zeros to the next multiple of 64.
    pub(super) fn encode(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("a header of strings, flags and a config.json can be written");
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(json.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&json);
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        bytes
    }

    /// The header of a file, and where it ends.
    fn decode(bytes: &[u8]) -> Result<(Self, u64), String> {
        let (magic, rest) = bytes.split_first_chunk::<16>().ok_or("it is too short")?;
        if *magic != MAGIC {
            return Err("it is no prepared model of this version".into());
        }
        let (n_header, rest) = rest.split_first_chunk::<8>().ok_or("it is too short")?;
        let n_header = u64::from_le_bytes(*n_header);
        if n_header > LONGEST_HEADER || n_header as usize + HASH > rest.len() {
            return Err(format!("its header claims {n_header} bytes"));
        }
        let (json, rest) = rest.split_at(n_header as usize);
        let n_before = bytes.len() - rest.len();
        if blake3::hash(&bytes[..n_before]).as_bytes() != &rest[..HASH] {
            return Err("its header's checksum does not agree".into());
        }
        let header = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        Ok((header, (n_before + HASH).next_multiple_of(ALIGN) as u64))
    }
}

/// Every part of a model in the order of the file, from `start` on.
pub(super) fn sections(config: &ModelConfig, experts_in_q8: bool, start: u64) -> Vec<Section> {
    let mut end = start;
    Part::all(config)
        .map(|part| {
            let written = written(part, experts_in_q8);
            let shape = part.shape(config);
            let n_elements: usize = shape.iter().product();
            let n_bytes = match written {
                Written::F32 => 4 * n_elements,
                Written::Bf16 => 2 * n_elements,
                Written::Panels(format) => {
                    let [n_out, n_in] = *shape.last_chunk().expect("a matrix has two sides");
                    n_elements / (n_out * n_in) * format.matrix_bytes(n_out, n_in)
                }
            };
            let start = end.next_multiple_of(ALIGN as u64);
            end = start + n_bytes as u64;
            Section { part, written, bytes: start..end }
        })
        .collect()
}

fn written(part: Part, experts_in_q8: bool) -> Written {
    use LayerPart as L;
    match part {
        Part::Embedding => Written::Bf16,
        Part::Head => Written::Panels(Format::Q8),
        Part::FinalNorm => Written::F32,
        Part::Layer(_, L::GateUpWeight | L::DownWeight) if experts_in_q8 => Written::Panels(Format::Q8),
        Part::Layer(_, L::GateUpWeight | L::DownWeight) => Written::Panels(Format::Mxfp4),
        Part::Layer(_, L::QueryWeight | L::KeyWeight | L::ValueWeight | L::OutputWeight) => Written::Panels(Format::Q8),
        Part::Layer(..) => Written::F32,
    }
}

/// Bytes of a file with these sections: their checksums follow, and the checksum of those.
pub(super) fn file_bytes(sections: &[Section]) -> u64 {
    let end = sections.last().map_or(0, |section| section.bytes.end);
    end + ((sections.len() + 1) * HASH) as u64
}

/// Whether a file begins as a prepared model does.
pub(super) fn is_prepared(path: &Path) -> bool {
    let mut magic = [0; MAGIC.len()];
    let read = open_file(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == MAGIC
}

/// Opens a prepared model.
///
/// # Errors
/// [`LoadError::Damaged`] when it is not whole: header, length or checksums of checksums do not agree.
pub(super) fn open(path: &Path) -> Result<Checkpoint, LoadError> {
    let prepared = Prepared::open(path)?;
    let config = prepared.config.clone();
    let n_parameters = Part::all(&config).map(|part| part.n_parameters(&config)).sum();
    let key = blake3::hash(&prepared.header.encode());
    Ok(Checkpoint {
        name: prepared.header.name.clone(),
        notice: prepared.header.notice.clone(),
        key: *key.as_bytes(),
        config,
        path: path.to_owned(),
        embedding: None,
        contents: Contents::Parts(Box::new(prepared)),
        adapter: None,
        n_shards: 1,
        n_parameters,
    })
}

/// Reads all of a prepared model and compares it with its checksums. `progress` is told bytes done and in all.
///
/// # Errors
/// [`LoadError::Damaged`] names the first part that is not as it was written.
pub fn verify(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), LoadError> {
    let prepared = Prepared::open(path)?;
    let all = (*prepared.storage).as_ref();
    let total = all.len() as u64;
    for (section, hash) in prepared.sections.iter().zip(prepared.hashes()) {
        let bytes = &all[section.bytes.start as usize..section.bytes.end as usize];
        if blake3::hash(bytes).as_bytes() != hash {
            return Err(damaged(path, format!("{} is not what was written", section.part.name())));
        }
        progress(section.bytes.end, total);
    }
    Ok(())
}

fn damaged(path: &Path, problem: String) -> LoadError {
    LoadError::Damaged { path: path.to_owned(), problem }
}

/// A mapped file, which is locked for as long as anybody reads it.
struct Mapped {
    map: Mmap,
    _held: File,
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

/// An open prepared model.
struct Prepared {
    file: Arc<Path>,
    storage: Storage,
    header: Header,
    config: ModelConfig,
    sections: Vec<Section>,
}

impl Prepared {
    fn open(path: &Path) -> Result<Self, LoadError> {
        let failed = |source| LoadError::Read { path: path.to_owned(), source };
        let file = open_file(path).map_err(failed)?;
        // Only so that nobody removes what is in use: a file system without locks says no.
        let _ = file.try_lock_shared();
        // SAFETY: the map is read-only and private to this process, and a prepared file is never written in place: it comes
        // under its name when it is whole.
        let map = unsafe { Mmap::map(&file) }.map_err(failed)?;
        #[cfg(target_os = "linux")]
        let _ = map.advise(Advice::HugePage); // only faster: a system without them says no
        let (header, start) = Header::decode(&map).map_err(|problem| damaged(path, problem))?;
        let config = ModelConfig::parse(&header.config.to_string(), path)?;
        if !config.query_width().is_multiple_of(BLOCK) {
            return Err(damaged(path, "no model of its sizes can be prepared".into()));
        }
        let sections = sections(&config, header.experts_in_q8, start);
        let (found, expected) = (map.len() as u64, file_bytes(&sections));
        if found != expected {
            return Err(damaged(path, format!("it holds {found} bytes, expected {expected}")));
        }
        let (hashes, hash) = map[(expected as usize - (sections.len() + 1) * HASH)..].split_at(sections.len() * HASH);
        if blake3::hash(hashes).as_bytes() != hash {
            return Err(damaged(path, "the checksum of its checksums does not agree".into()));
        }
        let storage = Arc::new(Mapped { map, _held: file });
        Ok(Self { file: path.into(), storage, header, config, sections })
    }

    fn hashes(&self) -> impl Iterator<Item = &[u8; HASH]> {
        let all = (*self.storage).as_ref();
        let end = self.sections.last().map_or(0, |section| section.bytes.end as usize);
        all[end..].as_chunks::<HASH>().0.iter()
    }

    fn tensor(&self, part: Part) -> (Written, Tensor) {
        let section = self.sections.iter().find(|section| section.part == part).expect("every part has its section");
        let dtype = match section.written {
            Written::Bf16 => Dtype::BF16,
            Written::F32 => Dtype::F32,
            Written::Panels(_) => Dtype::U8,
        };
        let form = Form { dtype, shape: part.shape(&self.config) };
        let bytes = section.bytes.start as usize..section.bytes.end as usize;
        (section.written, Tensor::mapped(form, self.file.clone(), self.storage.clone(), bytes))
    }
}

impl Parts for Prepared {
    fn matrix(&self, part: Part) -> Result<Stored, LoadError> {
        let n_in = *part.shape(&self.config).last().expect("no part is without sides");
        match self.tensor(part) {
            (Written::Panels(format), tensor) => Ok(Stored::Panels { format, tensor, n_in }),
            (Written::Bf16, tensor) => Ok(Stored::Bf16 { tensor, n_in }),
            (Written::F32, _) => unreachable!("what is written as f32 is asked for as a vector"),
        }
    }

    fn vector(&self, part: Part) -> Result<Vec<f32>, LoadError> {
        let (_, tensor) = self.tensor(part);
        Ok(tensor.bytes().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn check(&self, _: Part) -> Result<(), LoadError> {
        Ok(()) // all parts lie where the configuration says, and the file is as long as they are
    }

    fn are_prepared(&self) -> bool {
        true
    }

    fn types(&self) -> BTreeMap<String, (usize, u64, u64)> {
        let mut types = BTreeMap::new();
        for Section { part, written, bytes } in &self.sections {
            let name = match written {
                Written::Panels(format) => format!("{format:?}").to_uppercase(),
                Written::Bf16 => "BF16".into(),
                Written::F32 => "F32".into(),
            };
            let entry = types.entry(name).or_insert((0, 0, 0));
            *entry = (entry.0 + 1, entry.1 + part.n_parameters(&self.config), entry.2 + (bytes.end - bytes.start));
        }
        types
    }
}
