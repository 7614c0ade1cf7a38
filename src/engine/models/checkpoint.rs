//! A checkpoint on disk: `config.json` and one or several safetensors files, mapped and not read.
//!
//! What it is not: it does not know which tensors a model needs; [`Checkpoint::take`] is asked for each by those who do.
//! Start at [`Checkpoint::open`].

use super::{Form, LoadError, Part};
use crate::engine::cpu::config::ModelConfig;
use crate::harmony::{Token, special};
use memmap2::Mmap;
use safetensors::{SafeTensorError, SafeTensors};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
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
    pub(crate) config: ModelConfig,
    /// The folder, for messages.
    pub(crate) path: PathBuf,
    /// The embedding, where its rows are computed when they are needed and no tensor holds them.
    pub(crate) embedding: Option<Arc<dyn EmbeddingRows>>,
    /// Every tensor of every file, those that no model needs included.
    pub(crate) tensors: BTreeMap<String, Tensor>,
    /// Files that hold them.
    pub(crate) n_shards: usize,
    /// Counting each quantised weight once.
    pub(crate) n_parameters: u64,
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

    /// Its bytes. Reading them may read the file.
    pub fn bytes(&self) -> &[u8] {
        &(*self.storage).as_ref()[self.start..][..self.n_bytes]
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
        let name = absolute.file_name().map_or("model".into(), |name| name.to_string_lossy().into_owned());
        tracing::debug!(name, n_tensors = tensors.len(), n_shards = shards.len(), "checkpoint opened");
        let n_parameters = Part::all(&config).map(|part| part.n_parameters(&config)).sum();
        let (path, n_shards) = (directory.to_owned(), shards.len());
        Ok(Self { name, notice: None, config, path, embedding: None, tensors, n_shards, n_parameters })
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

    /// The tensor for `part`, when it is there and of the form that the configuration promises.
    pub(crate) fn take(&self, part: Part) -> Result<Tensor, LoadError> {
        let (name, expected) = (part.name(), part.form(&self.config));
        let Some(tensor) = self.tensors.get(&name) else {
            let (path, expected) = (self.path.clone(), expected.to_string());
            let dequantised = name.strip_suffix("_blocks").is_some_and(|plain| self.tensors.contains_key(plain));
            let advice = if dequantised {
                "its experts are not quantised: give the official MXFP4 checkpoint"
            } else {
                "download the checkpoint again, or give the official one"
            };
            return Err(LoadError::MissingTensor { path, tensor: name, expected, advice });
        };
        if tensor.form != expected {
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
        self.tensors.values().map(|tensor| tensor.n_bytes as u64).sum()
    }
}

fn read(path: &Path, advice: &'static str) -> Result<String, LoadError> {
    std::fs::read_to_string(path).map_err(|source| match source.kind() {
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

fn map(path: &Path) -> Result<BTreeMap<String, Tensor>, LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
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
