//! A checkpoint on disk: `config.json` and one or several safetensors files, mapped and not read.
//!
//! What it is not: it does not know which tensors a model needs; [`Checkpoint::matrix`] and [`Checkpoint::vector`] are asked
//! for each part by those who do.
//! Start at [`Checkpoint::open`].

use super::adapter::Adapter;
use super::dequantised::{expert_rows, is_dequantised};
use super::float::Float;
use super::rows::{FloatRows, Mxfp4Tensors, PanelRows, Rows};
use super::{Form, Gguf, LoadError, LowRank, Part};
use crate::engine::cpu::config::ModelConfig;
use crate::engine::cpu::kernels::panels::Format;
use crate::harmony::{Token, special};
use memmap2::Mmap;
use safetensors::{SafeTensorError, SafeTensors};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of weights: a mapped file, or memory that was filled at start.
pub(crate) type Storage = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// An embedding that is computed.
pub(crate) trait EmbeddingRows: Send + Sync {
    /// Fills in the row of a token of the vocabulary. [hidden]
    fn read(&self, token: Token, row: &mut [f32]);
}

/// An opened checkpoint: the blueprint, and where each tensor lies.
pub struct Checkpoint {
    /// For people: the folder's name, or `stapes`.
    pub name: String,
    /// Said once at the start when the model is not meant for real work.
    pub notice: Option<String>,
    /// Stands for the weights: models with the same key have read the same when they have read the same tokens.
    pub(crate) key: [u8; 32],
    pub(crate) config: ModelConfig,
    /// The folder, for messages.
    pub(crate) path: PathBuf,
    /// The embedding, where its rows are computed when they are needed and no tensor holds them.
    pub(crate) embedding: Option<Arc<dyn EmbeddingRows>>,
    pub(crate) contents: Contents,
    /// What was learned on top of it.
    pub(crate) adapter: Option<Adapter>,
    /// Files that hold them.
    pub(crate) n_shards: usize,
    /// Counting each quantised weight once.
    pub(crate) n_parameters: u64,
}

/// What holds the weights.
pub(crate) enum Contents {
    /// Every tensor of every safetensors file, those that no model needs included.
    Tensors(BTreeMap<String, Tensor>),
    /// Something else that answers for each part.
    Parts(Box<dyn Parts>),
}

/// A model in another format than safetensors.
pub(crate) trait Parts: Send + Sync {
    /// As [`Checkpoint::matrix`].
    fn matrix(&self, part: Part) -> Result<Stored, LoadError>;
    /// As [`Checkpoint::vector`].
    fn vector(&self, part: Part) -> Result<Vec<f32>, LoadError>;
    /// As [`Checkpoint::check`].
    fn check(&self, part: Part) -> Result<(), LoadError>;
    /// For each type of number: tensors, elements and bytes.
    fn types(&self) -> BTreeMap<String, (usize, u64, u64)>;
    /// Whether the kernels read it as it is.
    fn are_prepared(&self) -> bool {
        false
    }
}

/// A tensor: its form, and its bytes in little-endian order, row after row.
#[derive(Clone)]
pub struct Tensor {
    pub(crate) form: Form,
    file: Arc<Path>,
    storage: Storage,
    start: usize,
    n_bytes: usize,
}

impl Tensor {
    /// A tensor in memory that was made, not read.
    pub(crate) fn made(form: Form, file: &Path, storage: Storage) -> Self {
        let n_bytes = (*storage).as_ref().len();
        Self { form, file: file.into(), storage, start: 0, n_bytes }
    }

    /// The file that it lies in.
    pub(crate) fn path(&self) -> &Path {
        &self.file
    }

    /// A part of a mapped file.
    pub(super) fn mapped(form: Form, file: Arc<Path>, storage: Storage, bytes: Range<usize>) -> Self {
        Self { form, file, storage, start: bytes.start, n_bytes: bytes.len() }
    }

    /// Its bytes. Reading them may read the file.
    pub fn bytes(&self) -> &[u8] {
        &(*self.storage).as_ref()[self.start..][..self.n_bytes]
    }
}

/// A matrix where it lies.
pub(crate) enum Stored {
    /// [n_out][n_in]
    Bf16 { tensor: Tensor, n_in: usize },
    /// Of all experts: [n_experts][n_out][n_in / 32][16], and without the last side.
    Mxfp4 { blocks: Tensor, scales: Tensor, n_in: usize },
    /// In panels; of all experts one after the other.
    Panels { format: Format, tensor: Tensor, n_in: usize },
    /// In another form.
    Other(Arc<dyn Rows>),
}

impl Stored {
    /// Read row by row, whatever the form.
    pub(crate) fn rows(self) -> Arc<dyn Rows> {
        match self {
            Self::Bf16 { tensor, n_in } => Arc::new(FloatRows { tensor, float: Float::Bf16, n_in }),
            Self::Mxfp4 { blocks, scales, n_in } => Arc::new(Mxfp4Tensors { blocks, scales, n_in }),
            Self::Panels { format, tensor, n_in } => Arc::new(PanelRows { format, tensor, n_in }),
            Self::Other(rows) => rows,
        }
    }
}

impl Checkpoint {
    /// Opens the folder: reads the configuration and the headers, maps the files, and takes no memory for weights.
    pub fn open(directory: &Path) -> Result<Self, LoadError> {
        if !directory.is_dir() {
            let advice = "give the folder of a gpt-oss checkpoint, the one with config.json in it";
            return Err(LoadError::NotFound { path: directory.to_owned(), advice });
        }
        let config_path = directory.join("config.json");
        let config = ModelConfig::parse(&read(&config_path, "give the folder of a gpt-oss checkpoint")?, &config_path)?;
        let shards = shards(directory)?;
        let mut tensors = BTreeMap::new();
        for path in &shards {
            tensors.append(&mut map(path)?);
        }
        let absolute = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
        let name = name_of(&absolute);
        tracing::debug!(name, n_tensors = tensors.len(), n_shards = shards.len(), "checkpoint opened");
        let n_parameters = Part::all(&config).map(|part| part.n_parameters(&config)).sum();
        let (path, n_shards) = (directory.to_owned(), shards.len());
        let key = identity(directory, &shards)?;
        Ok(Self {
            name,
            notice: None,
            key,
            config,
            path,
            embedding: None,
            contents: Contents::Tensors(tensors),
            adapter: None,
            n_shards,
            n_parameters,
        })
    }

    /// What is in GGUF files.
    pub(super) fn of_gguf(gguf: Gguf) -> Result<Self, LoadError> {
        let mut hasher = blake3::Hasher::new();
        for path in &gguf.paths {
            identify(path, &mut hasher).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        }
        let config = gguf.config().clone();
        Ok(Self {
            name: gguf.name.clone(),
            notice: None,
            key: *hasher.finalize().as_bytes(),
            path: gguf.paths[0].clone(),
            embedding: None,
            n_shards: gguf.paths.len(),
            n_parameters: Part::all(&config).map(|part| part.n_parameters(&config)).sum(),
            config,
            contents: Contents::Parts(Box::new(gguf)),
            adapter: None,
        })
    }

    /// Refuses a vocabulary without harmony's ids: such a model can be run, but nobody can talk with it.
    pub fn check_vocabulary(&self) -> Result<(), LoadError> {
        let (found, needed) = (self.config.n_vocab, special::N_VOCAB);
        if found >= needed {
            return Ok(());
        }
        let problem = format!("vocab_size is {found}, and o200k_harmony, which gpt-oss speaks, has {needed}");
        Err(LoadError::Config { path: self.path.join("config.json"), problem })
    }

    /// Every tensor that has to be there, in the order in which a token meets them.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part> {
        let computed = self.embedding.is_some();
        Part::all(&self.config).filter(move |part| !(computed && *part == Part::Embedding))
    }

    /// A matrix, when it is there and of the form that the configuration promises.
    pub(crate) fn matrix(&self, part: Part) -> Result<Stored, LoadError> {
        if let Contents::Parts(parts) = &self.contents {
            return parts.matrix(part);
        }
        if let Some(rows) = self.saved_experts(part) {
            return rows.map(Stored::Other);
        }
        let n_in = *part.shape(&self.config).last().expect("no part is without sides");
        let mut tensors = self.take(part)?.into_iter();
        match (tensors.next(), tensors.next()) {
            (Some(blocks), Some(scales)) => Ok(Stored::Mxfp4 { blocks, scales, n_in }),
            (Some(tensor), None) => Ok(match Float::of(tensor.form.dtype) {
                Some(float) if float != Float::Bf16 => Stored::Other(Arc::new(FloatRows { tensor, float, n_in })),
                _ => Stored::Bf16 { tensor, n_in },
            }),
            (None, _) => unreachable!("a part has a tensor or two"),
        }
    }

    /// A small tensor as f32, when it is there and of the form that the configuration promises.
    pub(crate) fn vector(&self, part: Part) -> Result<Vec<f32>, LoadError> {
        if let Contents::Parts(parts) = &self.contents {
            return parts.vector(part);
        }
        let tensors = self.take(part)?;
        let float = |tensor: &Tensor| Float::of(tensor.form.dtype).unwrap_or(Float::Bf16);
        Ok(tensors.iter().flat_map(|tensor| float(tensor).numbers(tensor.bytes())).collect())
    }

    /// Whether a part is there and of the form that the configuration promises.
    pub(crate) fn check(&self, part: Part) -> Result<(), LoadError> {
        match &self.contents {
            Contents::Parts(parts) => parts.check(part),
            Contents::Tensors(_) => match self.saved_experts(part) {
                Some(rows) => rows.map(drop),
                None => self.take(part).map(drop),
            },
        }
    }

    /// The matrices of experts that transformers has saved as ordinary numbers, where they are of that kind.
    fn saved_experts(&self, part: Part) -> Option<Result<Arc<dyn Rows>, LoadError>> {
        match &self.contents {
            Contents::Tensors(tensors) if part.is_experts_weight() && is_dequantised(tensors) => {
                Some(expert_rows(tensors, part, &self.config, &self.path))
            }
            _ => None,
        }
    }

    /// Whether it is in the form that kernels read.
    pub fn is_prepared(&self) -> bool {
        matches!(&self.contents, Contents::Parts(parts) if parts.are_prepared())
    }

    /// Whether its experts are ordinary numbers, which lose something when they become MXFP4.
    pub fn is_dequantised(&self) -> bool {
        matches!(&self.contents, Contents::Tensors(tensors) if is_dequantised(tensors))
    }

    /// The same model with the LoRA adapter in a folder, as peft saves it.
    ///
    /// # Errors
    /// When the adapter is no plain LoRA of this model, or does not fit into memory.
    pub fn adapted(self, folder: &Path) -> Result<Self, LoadError> {
        let adapter = Adapter::open(folder, &self.config)?;
        let key = *blake3::Hasher::new().update(&self.key).update(&adapter.hash()).finalize().as_bytes();
        let said = [self.notice.as_deref(), adapter.notice()].into_iter().flatten().collect::<Vec<_>>().join("; ");
        tracing::info!(base = adapter.base(), n_bytes = adapter.n_bytes(), "adapter opened");
        Ok(Self { key, notice: Some(said).filter(|said| !said.is_empty()), adapter: Some(adapter), ..self })
    }

    /// What an adapter adds to a part, if one does.
    pub(crate) fn low_rank(&self, part: Part) -> Option<Arc<LowRank>> {
        self.adapter.as_ref()?.low_rank(part)
    }

    /// The tensors of a part, checked.
    fn take(&self, part: Part) -> Result<Vec<Tensor>, LoadError> {
        part.tensors(&self.config).into_iter().map(|(name, expected)| self.take_tensor(name, &expected)).collect()
    }

    fn take_tensor(&self, name: String, expected: &Form) -> Result<Tensor, LoadError> {
        let Contents::Tensors(tensors) = &self.contents else { unreachable!("other formats answer for themselves") };
        let Some(tensor) = tensors.get(&name) else {
            let (path, expected) = (self.path.clone(), expected.to_string());
            let advice = "download the checkpoint again, or give the official one";
            return Err(LoadError::MissingTensor { path, tensor: name, expected, advice });
        };
        // What transformers saves may be in a wider type than the official tensors.
        let is_wider = Float::of(tensor.form.dtype).is_some() && is_dequantised(tensors);
        if tensor.form != *expected && !(is_wider && tensor.form.shape == expected.shape) {
            return Err(LoadError::WrongTensor {
                path: tensor.file.to_path_buf(),
                tensor: name,
                expected: expected.to_string(),
                found: tensor.form.to_string(),
            });
        }
        Ok(tensor.clone())
    }

    /// Parameters, counting each quantised weight once.
    pub fn n_parameters(&self) -> u64 {
        self.n_parameters
    }

    /// Bytes of all tensors.
    pub fn n_bytes(&self) -> u64 {
        self.types().values().map(|(_, _, n_bytes)| n_bytes).sum()
    }

    /// For each type of number: tensors, elements and bytes.
    pub(crate) fn types(&self) -> BTreeMap<String, (usize, u64, u64)> {
        let tensors = match &self.contents {
            Contents::Tensors(tensors) => tensors,
            Contents::Parts(parts) => return parts.types(),
        };
        let mut types = BTreeMap::new();
        for Tensor { form, n_bytes, .. } in tensors.values() {
            let n_elements = form.shape.iter().map(|&side| side as u64).product::<u64>();
            let entry = types.entry(format!("{:?}", form.dtype)).or_insert((0, 0, 0));
            *entry = (entry.0 + 1, entry.1 + n_elements, entry.2 + *n_bytes as u64);
        }
        types
    }

    /// Tensors that the model does not use.
    pub(crate) fn n_unused(&self) -> usize {
        let Contents::Tensors(tensors) = &self.contents else { return 0 };
        let names = self.parts().flat_map(|part| part.tensors(&self.config));
        tensors.len() - names.filter(|(name, _)| tensors.contains_key(name)).count()
    }
}

/// What people call the model in a folder: the folder's name, or in Hugging Face's cache (models--ORG--NAME/snapshots/COMMIT)
/// the repository's.
fn name_of(folder: &Path) -> String {
    let name = |folder: &Path| folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let above = folder.parent().filter(|above| above.ends_with("snapshots")).and_then(Path::parent);
    let repository = above.and_then(name).filter(|name| name.starts_with("models--"));
    let repository = repository.and_then(|name| name.rsplit_once("--").map(|(_, name)| name.to_owned()));
    repository.or_else(|| name(folder)).unwrap_or_else(|| "model".into())
}

/// Of a model by its configuration and its files' names, sizes, times and beginnings: its weights are not read for it.
fn identity(directory: &Path, shards: &[PathBuf]) -> Result<[u8; 32], LoadError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(read(&directory.join("config.json"), "give the folder of a gpt-oss checkpoint")?.as_bytes());
    for path in shards {
        identify(path, &mut hasher).map_err(|source| LoadError::Read { path: path.clone(), source })?;
    }
    Ok(*hasher.finalize().as_bytes())
}

/// What tells a file from others: name, size, time, and its first bytes, which are its header.
pub(crate) fn identify(path: &Path, hasher: &mut blake3::Hasher) -> io::Result<()> {
    const BEGINNING: u64 = 1 << 20;
    let mut file = open_file(path)?;
    let metadata = file.metadata()?;
    let modified = metadata.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    hasher.update(&metadata.len().to_le_bytes());
    hasher.update(&modified.as_nanos().to_le_bytes());
    let mut beginning = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(&mut file, BEGINNING), &mut beginning)?;
    hasher.update(&beginning);
    Ok(())
}

/// Opens a plain file. What is none is not opened: a pipe would wait for its writer.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    match std::fs::metadata(path)?.is_file() {
        true => File::open(path),
        false => Err(io::Error::other("it is no file")),
    }
}

fn read(path: &Path, advice: &'static str) -> Result<String, LoadError> {
    open_file(path).and_then(io::read_to_string).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => LoadError::NotFound { path: path.to_owned(), advice },
        _ => LoadError::Read { path: path.to_owned(), source },
    })
}

/// The files that hold the tensors: those of the index, or the only one.
fn shards(directory: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let index_path = directory.join("model.safetensors.index.json");
    let single = directory.join("model.safetensors");
    if !index_path.exists() {
        if single.exists() {
            return Ok(vec![single]);
        }
        let advice = "the weights have to be in the official safetensors layout (not GGUF, not the folder `original`)";
        return Err(LoadError::NotFound { path: single, advice });
    }
    let damaged = |problem: String| LoadError::Damaged { path: index_path.clone(), problem };
    let text = read(&index_path, "download the checkpoint again")?;
    let index: Value = serde_json::from_str(&text).map_err(|error| damaged(format!("it is not JSON ({error})")))?;
    let map = index.get("weight_map").and_then(Value::as_object).ok_or_else(|| damaged("no weight_map".into()))?;
    let mut files = BTreeSet::new();
    for (tensor, file) in map {
        // A bare file name: an index must not reach outside its own folder.
        let bare = file.as_str().filter(|name| Path::new(name).file_name().is_some_and(|bare| bare == *name));
        let file = bare.ok_or_else(|| damaged(format!("{tensor} is said to be in {file}, which is no file name")))?;
        files.insert(directory.join(file));
    }
    if let Some(missing) = files.iter().find(|file| !file.exists()) {
        let advice = "model.safetensors.index.json names it: download the missing part of the checkpoint";
        return Err(LoadError::NotFound { path: missing.clone(), advice });
    }
    Ok(files.into_iter().collect())
}

pub(super) fn map(path: &Path) -> Result<BTreeMap<String, Tensor>, LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    let file = open_file(path).map_err(failed)?;
    // SAFETY: the map is read-only and private to this process. Another program that shortens the file while it is mapped
    // would kill us with a bus error, as it would any program that maps its weights; nobody writes to a checkpoint in use.
    let map = unsafe { Mmap::map(&file) }.map_err(failed)?;
    tensors_of(path, Arc::new(map))
}

/// The tensors of one safetensors file, after checking that its header and its length agree.
pub(crate) fn tensors_of(path: &Path, storage: Storage) -> Result<BTreeMap<String, Tensor>, LoadError> {
    let bytes = (*storage).as_ref();
    let (n_header, metadata) = SafeTensors::read_metadata(bytes)
        .map_err(|error| LoadError::Damaged { path: path.to_owned(), problem: complaint(bytes, &error) })?;
    let file: Arc<Path> = path.into();
    let tensors = metadata.tensors().into_iter().map(|(name, info)| {
        let (start, end) = info.data_offsets;
        let tensor = Tensor {
            form: Form { dtype: info.dtype, shape: info.shape.clone() },
            file: file.clone(),
            storage: storage.clone(),
            start: size_of::<u64>() + n_header + start,
            n_bytes: end - start,
        };
        (name, tensor)
    });
    Ok(tensors.collect())
}

/// What is wrong with a file that holds these bytes, in numbers where there are any.
fn complaint(bytes: &[u8], error: &SafeTensorError) -> String {
    let n_bytes = bytes.len();
    let n_header = bytes.first_chunk().map(|size| u64::from_le_bytes(*size));
    match (error, n_header) {
        (SafeTensorError::HeaderTooSmall, _) => format!("it holds {n_bytes} bytes, expected a safetensors header"),
        (SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength, Some(n_header)) => {
            format!("its header claims {n_header} bytes, and the file holds {n_bytes}")
        }
        (SafeTensorError::MetadataIncompleteBuffer, _) => {
            format!("it holds {n_bytes} bytes, not as many as its header describes")
        }
        _ => error.to_string(),
    }
}
