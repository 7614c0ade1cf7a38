//! A LoRA adapter as PEFT saves it: a folder with adapter_config.json and adapter_model.safetensors, checked to the
//! last tensor and brought into the official layout.
//!
//! What it is not: it changes no weight and multiplies nothing. What an adapter adds to a matrix is `b * a`.
//! Start at [`Adapter::open`].

mod factors;
mod recipe;

use super::checkpoint;
use super::{LayerPart, LoadError, Part};
use crate::engine::cpu::config::ModelConfig;
use factors::{Pair, order_of_experts};
use recipe::{Recipe, shortened};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MERGE: &str =
    "merge it into the model with peft (merge_and_unload, then save_pretrained) and give the merged folder";
const SAVE_AGAIN: &str = "save the adapter again, whole, with peft's save_pretrained";

/// Bytes of adapter_config.json; the longest lists of names take a few thousand.
const LARGEST_CONFIG: u64 = 1 << 20;

/// An adapter for one model.
pub(crate) struct Adapter {
    base: Option<String>,
    notice: Option<String>,
    hash: [u8; 32],
    low_rank: Vec<(Part, Arc<LowRank>)>,
}

/// What is added to one matrix, or to each expert's: `b * a`.
#[derive(Debug, PartialEq)]
pub(crate) struct LowRank {
    pub(crate) a: Vec<f32>, // [n_experts][rank][n_in]
    pub(crate) b: Vec<f32>, // [n_experts][n_out][rank], the scale folded in
    pub(crate) rank: usize,
    pub(crate) n_in: usize,
    pub(crate) n_out: usize,
    pub(crate) n_experts: usize, // 1 where there are no experts
}

impl Adapter {
    /// Reads the folder. An error where it is not plain LoRA, has a tensor that the model has no place for, lacks one
    /// that its configuration promises, or does not fit the model's sizes.
    pub(crate) fn open(folder: &Path, config: &ModelConfig) -> Result<Self, LoadError> {
        let config_path = folder.join("adapter_config.json");
        let text = read_config(&config_path)?;
        let recipe = Recipe::parse(&text, &config_path)?;
        let path = weights_path(folder)?;
        let hash = hash_of(&text, &path)?;
        let mut tensors = checkpoint::map(&path)?;
        let n_numbers: usize = tensors.values().map(|tensor| tensor.form.shape.iter().product::<usize>()).sum();
        let n_bytes = n_numbers as u64 * size_of::<f32>() as u64;
        super::check_memory("the adapter", "its matrices", n_bytes, super::SHORTER)?;
        let mut pairs = Vec::new();
        for layer_idx in 0..config.n_layers() {
            for slot in slots(layer_idx, &recipe, config) {
                pairs.push(Pair::take(slot, &recipe, &mut tensors, &path)?);
            }
        }
        if let Some(name) = tensors.keys().next() {
            return Err(unmatched(path, name, tensors.len() - 1));
        }
        let swapped = order_of_experts(&pairs, recipe.one_order, &path)?;
        let low_rank = pairs.iter().map(|pair| Ok((pair.slot.part, Arc::new(pair.low_rank(swapped, &path)?))));
        let low_rank = low_rank.collect::<Result<_, LoadError>>()?;
        let notice = notice(&recipe, config);
        Ok(Self { base: recipe.base.as_ref().map(shortened), notice, hash, low_rank })
    }

    /// What is added to a matrix of the model, if anything is.
    pub(crate) fn low_rank(&self, part: Part) -> Option<Arc<LowRank>> {
        self.low_rank.iter().find(|(changed, _)| *changed == part).map(|(_, low_rank)| low_rank.clone())
    }

    /// The model it was trained on, as its author named it: a name or a path of theirs.
    pub(crate) fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// What its author asked for and did not get, to be said once at the start.
    pub(crate) fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// BLAKE3 of both files.
    pub(crate) fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Memory that it takes, in bytes.
    pub(crate) fn n_bytes(&self) -> u64 {
        let n_numbers: usize = self.low_rank.iter().map(|(_, low_rank)| low_rank.a.len() + low_rank.b.len()).sum();
        n_numbers as u64 * size_of::<f32>() as u64
    }
}

/// The matrices that can be adapted: first those that PEFT sees as parameters of the experts, then linear layers.
const ADAPTED: [LayerPart; 7] = [
    LayerPart::GateUpWeight,
    LayerPart::DownWeight,
    LayerPart::QueryWeight,
    LayerPart::KeyWeight,
    LayerPart::ValueWeight,
    LayerPart::OutputWeight,
    LayerPart::RouterWeight,
];

/// A matrix that the configuration says is adapted.
struct Slot {
    part: Part,
    /// By which targets and patterns know it.
    key: String,
    /// What its tensors' names begin with.
    prefix: String,
    /// One matrix for each expert, as one parameter with transposed axes.
    stacked: bool,
    n_experts: usize,
    n_in: usize,
    n_out: usize,
}

/// The names that a target can mean a matrix by: its module's, where PEFT can wrap that, and its parameter's.
fn names_of(part: Part) -> (Option<String>, String) {
    let name = part.name();
    let Some(module) = name.strip_suffix(".weight") else { return (None, name) };
    // Of modules only the linear layers are wrapped, and the router of transformers is none.
    let is_linear = !matches!(part, Part::Layer(_, LayerPart::RouterWeight));
    (is_linear.then(|| module.to_owned()), name)
}

/// The adapted matrices of a layer.
fn slots(layer_idx: usize, recipe: &Recipe, c: &ModelConfig) -> Vec<Slot> {
    use LayerPart as L;
    let mut slots: Vec<Slot> = Vec::new();
    for part in ADAPTED {
        let (n_in, n_out) = match part {
            L::GateUpWeight => (c.hidden, 2 * c.intermediate),
            L::DownWeight => (c.intermediate, c.hidden),
            L::QueryWeight => (c.hidden, c.query_width()),
            L::OutputWeight => (c.query_width(), c.hidden),
            L::RouterWeight => (c.hidden, c.n_experts),
            _ => (c.hidden, c.kv_width()),
        };
        let stacked = matches!(part, L::GateUpWeight | L::DownWeight);
        let n_experts = if stacked { c.n_experts } else { 1 };
        let part = Part::Layer(layer_idx, part);
        let (module, parameter) = names_of(part);
        let key = match module {
            Some(module) if recipe.targets_module(&module, layer_idx) => module,
            _ if recipe.targets_parameter(&parameter) => parameter.clone(),
            _ => continue,
        };
        let module = parameter.rsplit_once('.').map_or("", |(module, _)| module);
        let prefix = format!("base_model.model.{module}");
        // PEFT wraps a module once for each parameter of it, so that the first lies inside the second.
        if let Some(first) = slots.iter_mut().find(|slot| slot.prefix == prefix) {
            first.prefix += ".base_layer";
        }
        slots.push(Slot { part, key, prefix, stacked, n_experts, n_in, n_out });
    }
    slots
}

/// What the configuration names and the model does not have, if anything.
fn notice(recipe: &Recipe, config: &ModelConfig) -> Option<String> {
    let parts = (0..config.n_layers()).flat_map(|layer_idx| ADAPTED.map(|part| Part::Layer(layer_idx, part)));
    let (modules, parameters): (Vec<_>, Vec<_>) = parts.map(names_of).unzip();
    let modules: Vec<String> = modules.into_iter().flatten().collect();
    let unmet = recipe.unmet(&modules, &parameters);
    let names: Vec<String> = unmet.iter().take(7).map(shortened).collect();
    let names = names.join(", ");
    (!unmet.is_empty()).then(|| format!("the adapter's configuration names what peft cannot adapt in gpt-oss: {names}"))
}

/// What to say of a tensor that has no place.
fn unmatched(path: PathBuf, name: &str, n_more: usize) -> LoadError {
    let advice = if name.contains("lora_magnitude_vector") || name.contains("lora_embedding_") {
        MERGE
    } else if name.contains("lora_") {
        "it is left out of adapter_config.json, or was made for other software or another model: merge it there and \
         give the merged folder"
    } else {
        MERGE
    };
    let name = shortened(&name);
    let more = if n_more == 0 { String::new() } else { format!(" (nor for {n_more} more)") };
    let problem = format!("there is no place in the model for tensor {name}{more}");
    LoadError::Unsupported { path, problem, advice }
}

fn read_config(path: &Path) -> Result<Vec<u8>, LoadError> {
    // A pipe in its place would be waited for.
    if !path.is_file() {
        let advice = "give the folder of a LoRA adapter as peft saves it";
        return Err(LoadError::NotFound { path: path.to_owned(), advice });
    }
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    let mut text = Vec::new();
    File::open(path).map_err(failed)?.take(LARGEST_CONFIG + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > LARGEST_CONFIG {
        let problem = format!("it holds more than {}", super::amount(LARGEST_CONFIG));
        return Err(LoadError::Damaged { path: path.to_owned(), problem });
    }
    Ok(text)
}

fn weights_path(folder: &Path) -> Result<PathBuf, LoadError> {
    let path = folder.join("adapter_model.safetensors");
    if path.is_file() {
        return Ok(path);
    }
    let advice = if folder.join("adapter_model.bin").exists() {
        "adapter_model.bin is a pickle, which may run code: load it with peft and save it again as safetensors"
    } else {
        SAVE_AGAIN
    };
    Err(LoadError::NotFound { path, advice })
}

fn hash_of(config: &[u8], weights: &Path) -> Result<[u8; 32], LoadError> {
    let failed = |source| LoadError::Read { path: weights.to_owned(), source };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(config.len() as u64).to_le_bytes()).update(config);
    hasher.update_reader(File::open(weights).map_err(failed)?).map_err(failed)?;
    Ok(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod bad_adapters;
#[cfg(test)]
mod tests;
