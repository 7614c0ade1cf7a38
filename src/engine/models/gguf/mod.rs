//! A gpt-oss in a GGUF file, as llama.cpp's and Ollama's converters write it: mapped and not read, in one file or in parts.
//!
//! What it is not: no reader for other models, and its tokenizer is not used. The numbers come out as they went in; what is
//! quantised in a way that is not read is refused by name.
//! Start at [`Gguf::open`]; then `names`, which says what lies where.

mod blueprint;
mod header;
mod kind;
mod matrix;
mod names;

use self::header::{Entry, Header, Problem};
use self::kind::Kind;
use self::matrix::{GateUp, Matrix};
use self::names::{Dialect, Lies, Sought};
use super::{LoadError, Part, Rows, Storage};
use crate::engine::cpu::config::ModelConfig;
use memmap2::Mmap;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A 120b in parts of 1 GB has 63.
const MOST_FILES: u64 = 1000;

/// An opened file, or all parts of a split one.
pub(crate) struct Gguf {
    /// For people: the file's name without its ending.
    pub(crate) name: String,
    /// Its files, the one with the metadata first.
    pub(crate) paths: Vec<PathBuf>,
    config: ModelConfig,
    dialect: Dialect,
    tensors: BTreeMap<String, Tensor>,
}

/// Where a tensor lies. What it is said to hold lies within its file.
struct Tensor {
    storage: Storage,
    start: usize,
    type_id: u32,
    /// `None` for the types that are not read: then it may lie anywhere.
    kind: Option<Kind>,
    sides: Vec<usize>,
    n_bytes: usize,
}

/// A tensor described for people.
pub(crate) struct TensorSummary {
    pub(crate) type_name: String,
    pub(crate) n_elements: u64,
    /// 0 where the type is not read.
    pub(crate) n_bytes: u64,
}

impl Gguf {
    /// Maps the file and reads its header; of a split model any part may be named. Takes no memory for weights.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let first = map(path)?;
        let n_files = n_files(path, &first)?;
        if n_files == 1 {
            return Self::of(&[(path.to_owned(), first)]);
        }
        let paths = parts(path, n_files).ok_or_else(|| LoadError::Unsupported {
            path: path.to_owned(),
            problem: format!("it is one of {n_files} parts, and its name does not end in -00001-of-{n_files:05}.gguf"),
            advice: "give the parts the names back that they had when they were downloaded",
        })?;
        let files = paths.into_iter().map(|path| map(&path).map(|storage| (path, storage)));
        Self::of(&files.collect::<Result<Vec<_>, _>>()?)
    }

    /// A model in files of these bytes, the one with the metadata first.
    pub(crate) fn of(files: &[(PathBuf, Storage)]) -> Result<Self, LoadError> {
        let damaged = |path: &Path, problem: String| LoadError::Damaged { path: path.to_owned(), problem };
        let headers = files.iter().map(|(path, storage)| parse(path, (**storage).as_ref()));
        let headers = headers.collect::<Result<Vec<_>, _>>()?;
        let (path, header) = (&files[0].0, &headers[0]);
        let dialect = dialect(path, header.text("general.architecture").map_err(|problem| damaged(path, problem))?)?;
        let mut tensors = BTreeMap::new();
        for (idx, (header, (path, storage))) in headers.iter().zip(files).enumerate() {
            if files.len() > 1 && header.unsigned("split.no") != Ok(Some(idx as u64)) {
                return Err(damaged(path, format!("it does not say that it is part {} of {}", idx + 1, files.len())));
            }
            for entry in &header.tensors {
                let tensor =
                    Tensor::new(entry, storage, header.data_start).map_err(|problem| damaged(path, problem))?;
                if tensors.insert(entry.name.to_owned(), tensor).is_some() {
                    return Err(damaged(path, format!("it has tensor {:?} twice", entry.name)));
                }
            }
        }
        let n_vocab = match tensors.get("token_embd.weight") {
            Some(Tensor { sides, .. }) if sides.len() == 2 => sides[1],
            _ => return Err(damaged(path, "it has no matrix token_embd.weight".into())),
        };
        let config = blueprint::config(header, dialect, n_vocab).map_err(|problem| damaged(path, problem))?;
        let name = name(path, header.text("general.name").ok().flatten());
        tracing::debug!(name, n_tensors = tensors.len(), n_files = files.len(), "GGUF opened");
        let paths = files.iter().map(|(path, _)| path.clone()).collect();
        Ok(Self { name, paths, config, dialect, tensors })
    }

    /// The blueprint of the model.
    pub(crate) fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Whether a part is there, of the sides that the metadata promise and of a type that is read.
    pub(crate) fn check(&self, part: Part) -> Result<(), LoadError> {
        self.find(part).map(drop)
    }

    /// The same of every part.
    pub(crate) fn check_all(&self) -> Result<(), LoadError> {
        Part::all(&self.config).try_for_each(|part| self.check(part))
    }

    /// A vector of the model, as f32: the biases of experts one expert after the other.
    pub(crate) fn vector(&self, part: Part) -> Result<Vec<f32>, LoadError> {
        let found = self.find(part)?;
        let whole = found.tensors[0].numbers();
        Ok(match found.lies {
            Lies::Whole(_) | Lies::Fused { in_turns: true, .. } => whole,
            Lies::Rows { first, .. } => {
                let n: usize = found.sides.iter().product();
                whole[first..first + n].to_vec()
            }
            Lies::GateAndUp { .. } => in_turns(&whole, &found.tensors[1].numbers()).collect(),
            Lies::Fused { in_turns: false, .. } => {
                let halves = |both: &[f32]| {
                    let (gate, up) = both.split_at(both.len() / 2);
                    in_turns(gate, up).collect::<Vec<_>>()
                };
                whole.chunks_exact(2 * self.config.intermediate).flat_map(halves).collect()
            }
        })
    }

    /// A matrix of the model, or those of all experts one after the other. `part` is one: a vector has no rows.
    pub(crate) fn rows(&self, part: Part) -> Result<Arc<dyn Rows>, LoadError> {
        let found = self.find(part)?;
        let all = found.tensors[0].matrix();
        let n_in_each = self.config.intermediate;
        Ok(match found.lies {
            Lies::Whole(_) | Lies::Fused { in_turns: true, .. } => Arc::new(all),
            Lies::Rows { first, .. } => Arc::new(all.part(first, found.sides.iter().skip(1).product())),
            Lies::GateAndUp { .. } => Arc::new(self.gate_up(all, found.tensors[1].matrix(), n_in_each)),
            Lies::Fused { in_turns: false, .. } => {
                let up = all.part(n_in_each, all.n_rows - n_in_each);
                Arc::new(self.gate_up(all, up, 2 * n_in_each))
            }
        })
    }

    fn gate_up(&self, gate: Matrix, up: Matrix, stride: usize) -> GateUp {
        GateUp { gate, up, intermediate: self.config.intermediate, stride, n_experts: self.config.n_experts }
    }

    /// Every tensor in the files, those that no model needs included.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = TensorSummary> {
        self.tensors.values().map(|tensor| TensorSummary {
            type_name: kind::name(tensor.type_id),
            n_elements: tensor.sides.iter().map(|&side| side as u64).product(),
            n_bytes: tensor.n_bytes as u64,
        })
    }

    /// Bytes of all tensors that can be read.
    pub(crate) fn n_bytes(&self) -> u64 {
        self.tensors.values().map(|tensor| tensor.n_bytes as u64).sum()
    }

    /// The tensors of a part, when they are there, of the sides that the metadata promise and of a type that is read.
    fn find(&self, part: Part) -> Result<Found<'_>, LoadError> {
        let Sought { lies, sides } = Sought::new(part, &self.config, self.dialect);
        let is_there = |lies: &&Lies| lies.names().iter().all(|name| self.tensors.contains_key(*name));
        let Some(found) = lies.iter().find(is_there) else {
            let names: Vec<_> = lies.iter().map(|lies| lies.names().join(" and ")).collect();
            let (path, tensor, expected) = (self.paths[0].clone(), names.join(" or "), format!("of {sides:?}"));
            let advice = "download the file again, or take one of the official gpt-oss";
            return Err(LoadError::MissingTensor { path, tensor, expected, advice });
        };
        let mut tensors = Vec::new();
        for name in found.names() {
            let (tensor, expected) = (&self.tensors[name], found.sides(&sides));
            let type_name = kind::name(tensor.type_id);
            let problem = match tensor.kind {
                _ if without_ones(&tensor.sides) != without_ones(&expected) => {
                    format!("tensor {name} is {type_name} of {:?}, and its metadata promise {expected:?}", tensor.sides)
                }
                None => format!("tensor {name} is in {type_name}, and {} are read", kind::READ),
                Some(kind) => {
                    tensors.push(Readable { tensor, kind });
                    continue;
                }
            };
            let advice = "take a gpt-oss with its experts in MXFP4, such as the official one or ggml-org's";
            return Err(LoadError::Unsupported { path: self.paths[0].clone(), problem, advice });
        }
        Ok(Found { lies: found.clone(), sides, tensors })
    }
}

/// A part of the model that is there.
struct Found<'a> {
    lies: Lies,
    sides: Vec<usize>,
    tensors: Vec<Readable<'a>>,
}

/// A tensor of a type that is read.
struct Readable<'a> {
    tensor: &'a Tensor,
    kind: Kind,
}

impl Readable<'_> {
    /// All its numbers, as they lie.
    fn numbers(&self) -> Vec<f32> {
        let mut numbers = vec![0.0; self.tensor.sides.iter().product()];
        self.kind.read(self.tensor.bytes(), &mut numbers);
        numbers
    }

    /// It as rows along its first side.
    fn matrix(&self) -> Matrix {
        let Tensor { storage, start, sides, n_bytes, .. } = self.tensor;
        let n_rows = sides.iter().skip(1).product();
        let width = sides.first().copied().unwrap_or(1);
        let n_bytes = n_bytes / usize::max(n_rows, 1);
        Matrix { storage: storage.clone(), start: *start, kind: self.kind, n_rows, width, n_bytes }
    }
}

impl Tensor {
    /// An entry of a table, held against the bytes of its file.
    fn new(entry: &Entry<'_>, storage: &Storage, data_start: usize) -> Result<Self, String> {
        let Entry { name, sides, type_id, offset } = entry;
        let n_file = (**storage).as_ref().len();
        let kind = Kind::of(*type_id);
        let impossible =
            || format!("tensor {name:?} is said to be {} of {sides:?}, which cannot be", kind::name(*type_id));
        if sides.contains(&0) {
            return Err(impossible());
        }
        let n_rows = sides.iter().skip(1).try_fold(1, |n: usize, &side| n.checked_mul(side)).ok_or_else(impossible)?;
        let width = sides.first().copied().unwrap_or(1);
        width.checked_mul(n_rows).ok_or_else(impossible)?;
        let tensor = |start, n_bytes| {
            let (type_id, sides) = (*type_id, sides.clone());
            Self { storage: storage.clone(), start, type_id, kind, sides, n_bytes }
        };
        let Some(kind) = kind else { return Ok(tensor(0, 0)) };
        let n_bytes = kind.n_bytes(width).and_then(|n| n.checked_mul(n_rows)).ok_or_else(impossible)?;
        let start = usize::try_from(*offset).ok().and_then(|offset| offset.checked_add(data_start));
        match start.filter(|start| start.checked_add(n_bytes).is_some_and(|end| end <= n_file)) {
            Some(start) => Ok(tensor(start, n_bytes)),
            None => Err(format!(
                "tensor {name:?} is said to take {n_bytes} bytes at {data_start} + {offset}, and the file holds {n_file}"
            )),
        }
    }

    fn bytes(&self) -> &[u8] {
        &(*self.storage).as_ref()[self.start..][..self.n_bytes]
    }
}

/// A number of each, one after the other.
fn in_turns<'a>(gate: &'a [f32], up: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
    gate.iter().zip(up).flat_map(|(&gate, &up)| [gate, up])
}

/// Writers differ in whether they write sides of 1 at the end.
fn without_ones(sides: &[usize]) -> &[usize] {
    let n = sides.iter().rposition(|&side| side != 1).map_or(0, |last| last + 1);
    &sides[..n]
}

/// Whether the file is a gpt-oss: `Foreign` where it is a sound file with another model.
pub(crate) fn check_architecture(path: &Path) -> Result<(), LoadError> {
    let storage = map(path)?;
    let architecture = header::architecture((*storage).as_ref()).map_err(|problem| load_error(path, problem))?;
    dialect(path, architecture).map(drop)
}

fn dialect(path: &Path, architecture: Option<&str>) -> Result<Dialect, LoadError> {
    architecture.and_then(Dialect::of).ok_or_else(|| {
        let found = architecture.map_or("(not given)".into(), |name| format!("{name:?}"));
        LoadError::Foreign { path: path.to_owned(), found }
    })
}

fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<Header<'a>, LoadError> {
    Header::parse(bytes).map_err(|problem| load_error(path, problem))
}

fn load_error(path: &Path, problem: Problem) -> LoadError {
    let path = path.to_owned();
    match problem {
        Problem::Damaged(problem) => LoadError::Damaged { path, problem },
        Problem::Unsupported(problem) => {
            LoadError::Unsupported { path, problem, advice: "give a GGUF file of a gpt-oss, version 2 or 3" }
        }
    }
}

fn map(path: &Path) -> Result<Storage, LoadError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => {
            LoadError::NotFound { path: path.to_owned(), advice: "give a GGUF file, and of a split one all parts" }
        }
        _ => LoadError::Read { path: path.to_owned(), source },
    };
    // To open a pipe would wait for whoever writes into it.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        let (problem, advice) = ("it is no file".into(), "give a GGUF file");
        return Err(LoadError::Unsupported { path: path.to_owned(), problem, advice });
    }
    let file = File::open(path).map_err(failed)?;
    // SAFETY: the map is read-only and private to this process. Another program that shortens the file while it is mapped
    // would kill us with a bus error, as it would any program that maps its weights; nobody writes to a model in use.
    let map = unsafe { Mmap::map(&file) }.map_err(failed)?;
    Ok(Arc::new(map))
}

/// How many files the model is in, by the metadata of one of them.
fn n_files(path: &Path, storage: &Storage) -> Result<u64, LoadError> {
    let header = parse(path, (**storage).as_ref())?;
    match header.unsigned("split.count") {
        Ok(None | Some(0 | 1)) => Ok(1),
        Ok(Some(n)) if n <= MOST_FILES => Ok(n),
        found => {
            let problem = format!("its metadata's split.count is {found:?}, expected 1 to {MOST_FILES}");
            Err(LoadError::Damaged { path: path.to_owned(), problem })
        }
    }
}

/// The number of a part and what stands before it in a name like `model-00001-of-00003.gguf`.
pub(crate) fn part_of(name: &str) -> Option<(&str, u64)> {
    let (before, n_files) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (prefix, number) = before.rsplit_once('-')?;
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number(number) && is_number(n_files) { Some((prefix, number.parse().ok()?)) } else { None }
}

/// All parts of a split model, of which one is at `path`.
fn parts(path: &Path, n_files: u64) -> Option<Vec<PathBuf>> {
    let (prefix, _) = part_of(path.file_name()?.to_str()?)?;
    Some((1..=n_files).map(|n| path.with_file_name(format!("{prefix}-{n:05}-of-{n_files:05}.gguf"))).collect())
}

/// The name of a file without its ending, and without the number of a part.
pub(crate) fn stem(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    match part_of(&name) {
        Some((prefix, _)) => prefix.to_owned(),
        None => name.strip_suffix(".gguf").unwrap_or(&name).to_owned(),
    }
}

/// What people call the model: its file's name, or what it says of itself where the file is called by its hash.
fn name(path: &Path, said: Option<&str>) -> String {
    let stem = stem(path);
    if !stem.starts_with("sha256-") {
        return stem;
    }
    said.filter(|name| !name.trim().is_empty()).map_or("gpt-oss".into(), |name| name.chars().take(80).collect())
}

#[cfg(test)]
mod bad_files;
#[cfg(test)]
mod tests;
