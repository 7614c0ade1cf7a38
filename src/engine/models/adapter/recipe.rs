//! What adapter_config.json says: which matrices an adapter changes, at which rank and by how much.
//!
//! What it is not: it reads no weights. Whatever would change the result and is not plain LoRA is refused by name,
//! and so is what is not known here, because an adapter applied in part is worse than none.
//! Start at [`Recipe::parse`].

use super::MERGE;
use crate::engine::models::LoadError;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt;
use std::path::Path;

/// A configuration, checked.
pub(super) struct Recipe {
    /// The model that it was trained on, as its author named it.
    pub(super) base: Option<String>,
    /// Written by a PEFT before 0.19, which has the experts' two factors in one order alone.
    pub(super) one_order: bool,
    rank: usize,
    alpha: f64,
    root_of_rank: bool,
    ranks: Vec<(Regex, usize)>,
    alphas: Vec<(Regex, f64)>,
    modules: Targets,
    excluded: Targets,
    layers: Option<Vec<usize>>,
    parameters: Vec<String>,
}

/// Names that a module's own name may be or end with, or an expression that it has to match as a whole.
enum Targets {
    Named(Vec<String>),
    Matching(Regex),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

#[derive(Deserialize)]
struct Raw {
    peft_version: Option<String>,
    base_model_name_or_path: Option<String>,
    r: u64,
    lora_alpha: f64,
    use_rslora: Option<bool>,
    rank_pattern: Option<Map<String, Value>>,
    alpha_pattern: Option<Map<String, Value>>,
    target_modules: Option<OneOrMany<String>>,
    exclude_modules: Option<OneOrMany<String>>,
    target_parameters: Option<Vec<String>>,
    layers_to_transform: Option<OneOrMany<usize>>,
    layers_pattern: Option<OneOrMany<String>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Settings that change nothing about a trained adapter, whatever they say.
const HARMLESS: [&str; 13] = [
    "auto_mapping",
    "corda_config",
    "eva_config",
    "inference_mode",
    "loftq_config",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "peft_type", // it has been looked at before
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
];

/// Starting points that leave the model's own weights as they are; the others subtract something from them.
const STARTS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

const HIGHEST_RANK: u64 = 1 << 16;
const MOST_PATTERNS: usize = 256;
const MOST_NAMES: usize = 2048;
/// Bytes that an expression may take when it is compiled.
const LARGEST_EXPRESSION: usize = 1 << 20;

impl Recipe {
    /// Reads adapter_config.json. `path` is for the messages.
    pub(super) fn parse(text: &[u8], path: &Path) -> Result<Self, LoadError> {
        let damaged =
            |error: serde_json::Error| LoadError::Damaged { path: path.to_owned(), problem: shortened(&error) };
        let value: Value = serde_json::from_slice(text).map_err(damaged)?;
        let kind = value.get("peft_type").cloned().unwrap_or_default();
        let checked = if kind == "LORA" {
            Raw::deserialize(value).map_err(damaged)?.checked()
        } else {
            Err(format!("peft_type is {}, expected \"LORA\"", shortened(&kind)))
        };
        checked.map_err(|problem| LoadError::Unsupported { path: path.to_owned(), problem, advice: MERGE })
    }

    /// Whether the layer's module, as in `model.layers.0.self_attn.q_proj`, is changed.
    pub(super) fn targets_module(&self, name: &str, layer_idx: usize) -> bool {
        let in_layer = match (&self.modules, &self.layers) {
            // A name in full stands for itself in any layer, and an expression knows of no layers.
            (Targets::Named(names), Some(layers)) => {
                layers.contains(&layer_idx) || names.iter().any(|target| target == name)
            }
            _ => true,
        };
        in_layer && self.modules.have(name) && !self.excluded.have(name)
    }

    /// Whether the layer's parameter, as in `model.layers.0.mlp.experts.down_proj`, is changed.
    pub(super) fn targets_parameter(&self, name: &str) -> bool {
        self.parameters.iter().any(|target| is_end(target, name))
    }

    /// Rank of the module or parameter of this name.
    pub(super) fn rank(&self, name: &str) -> usize {
        self.ranks.iter().find(|(pattern, _)| pattern.is_match(name)).map_or(self.rank, |(_, rank)| *rank)
    }

    /// What the product of its factors is multiplied by.
    pub(super) fn scale(&self, name: &str) -> f32 {
        let alpha =
            self.alphas.iter().find(|(pattern, _)| pattern.is_match(name)).map_or(self.alpha, |(_, alpha)| *alpha);
        let rank = self.rank(name) as f64;
        (alpha / if self.root_of_rank { rank.sqrt() } else { rank }) as f32
    }

    /// Targets that are no module or parameter of these names, and so were not trained.
    pub(super) fn unmet(&self, modules: &[String], parameters: &[String]) -> Vec<&str> {
        let named = match &self.modules {
            Targets::Named(named) => &named[..],
            Targets::Matching(_) => &[],
        };
        let unmet = |names: &[String], target: &str| !names.iter().any(|name| is_end(target, name));
        let named = named.iter().map(String::as_str).filter(|target| unmet(modules, target));
        named.chain(self.parameters.iter().map(String::as_str).filter(|target| unmet(parameters, target))).collect()
    }
}

impl Raw {
    fn checked(self) -> Result<Recipe, String> {
        self.refuse_variants()?;
        let rank = |name: &str, rank: Option<u64>| match rank {
            Some(rank) if (1..=HIGHEST_RANK).contains(&rank) => Ok(rank as usize),
            _ => Err(format!("{name} is no rank of 1 to {HIGHEST_RANK}")),
        };
        let alpha = |name: &str, alpha: Option<f64>| {
            alpha.filter(|alpha| alpha.is_finite()).ok_or_else(|| format!("{name} is no number"))
        };
        let modules = match self.target_modules {
            Some(OneOrMany::One(all)) if all == "all-linear" => {
                let linear = ["q_proj", "k_proj", "v_proj", "o_proj"];
                Targets::Named(linear.map(str::to_owned).to_vec())
            }
            modules => Targets::checked("target_modules", modules)?,
        };
        let layers = self.layers_to_transform.map(|layers| match layers {
            OneOrMany::One(layer_idx) => vec![layer_idx],
            OneOrMany::Many(layers) => layers,
        });
        Ok(Recipe {
            base: self.base_model_name_or_path,
            one_order: self.peft_version.is_some_and(|version| is_before_0_19(&version)),
            rank: rank("r", Some(self.r))?,
            alpha: alpha("lora_alpha", Some(self.lora_alpha))?,
            root_of_rank: self.use_rslora.unwrap_or(false),
            ranks: patterns("rank_pattern", self.rank_pattern, |name, value| rank(name, value.as_u64()))?,
            alphas: patterns("alpha_pattern", self.alpha_pattern, |name, value| alpha(name, value.as_f64()))?,
            modules,
            excluded: Targets::checked("exclude_modules", self.exclude_modules)?,
            layers: layers.filter(|layers| !layers.is_empty()),
            parameters: few("target_parameters", self.target_parameters.unwrap_or_default())?,
        })
    }

    /// Whatever is set and is not known to be harmless.
    fn refuse_variants(&self) -> Result<(), String> {
        for (name, value) in &self.rest {
            let harmless = match (name.as_str(), value) {
                (_, Value::Null | Value::Bool(false)) => true,
                ("bias", value) => value == "none",
                ("init_lora_weights", Value::Bool(_)) => true,
                ("init_lora_weights", Value::String(start)) => STARTS.contains(&start.as_str()),
                (_, Value::Array(values)) if values.is_empty() => true,
                (_, Value::Object(values)) if values.is_empty() => true,
                (name, _) => HARMLESS.contains(&name),
            };
            if !harmless {
                let (name, value) = (shortened(name), shortened(value));
                return Err(format!("{name} is {value}, and only plain LoRA can be applied"));
            }
        }
        match &self.layers_pattern {
            Some(OneOrMany::One(pattern)) if !["", "layers"].contains(&pattern.as_str()) => {
                Err(format!("layers_pattern is {}, expected none or layers", shortened(pattern)))
            }
            Some(OneOrMany::Many(patterns)) if patterns.iter().any(|pattern| pattern != "layers") => {
                Err(format!("layers_pattern is {}, expected none or layers", shortened(&patterns.join(", "))))
            }
            _ => Ok(()),
        }
    }
}

impl Targets {
    fn checked(setting: &str, given: Option<OneOrMany<String>>) -> Result<Self, String> {
        match given {
            None => Ok(Self::Named(Vec::new())),
            Some(OneOrMany::Many(names)) => Ok(Self::Named(few(setting, names)?)),
            // An empty text is none, and would match nothing.
            Some(OneOrMany::One(pattern)) => Ok(Self::Matching(expression(setting, &pattern, "")?)),
        }
    }

    fn have(&self, name: &str) -> bool {
        match self {
            Self::Named(names) => names.iter().any(|target| is_end(target, name)),
            Self::Matching(pattern) => pattern.is_match(name),
        }
    }
}

/// Whether `name` is the target, or ends with it after a dot.
fn is_end(target: &str, name: &str) -> bool {
    name.strip_suffix(target).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn few(setting: &str, names: Vec<String>) -> Result<Vec<String>, String> {
    match names.len() {
        n_names if n_names > MOST_NAMES => Err(format!("{setting} has {n_names} names, expected at most {MOST_NAMES}")),
        _ => Ok(names),
    }
}

/// The patterns in their order: the first that matches counts.
fn patterns<T>(
    setting: &str,
    given: Option<Map<String, Value>>,
    read: impl Fn(&str, &Value) -> Result<T, String>,
) -> Result<Vec<(Regex, T)>, String> {
    let given = given.unwrap_or_default();
    if given.len() > MOST_PATTERNS {
        return Err(format!("{setting} has {} entries, expected at most {MOST_PATTERNS}", given.len()));
    }
    let one = |(pattern, value): (&String, &Value)| {
        let value = read(&format!("{setting} of {}", shortened(pattern)), value)?;
        Ok((expression(setting, pattern, r"(?:.*\.)?")?, value))
    };
    given.iter().map(one).collect()
}

/// An expression that a name has to match as a whole, after `before`.
fn expression(setting: &str, pattern: &str, before: &str) -> Result<Regex, String> {
    RegexBuilder::new(&format!("^{before}(?:{pattern})$"))
        .size_limit(LARGEST_EXPRESSION)
        .build()
        .map_err(|_| format!("{setting} has {}, which is no expression that can be read here", shortened(&pattern)))
}

/// Whether `0.18.1` and the like come before 0.19.
fn is_before_0_19(version: &str) -> bool {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    matches!((numbers.next(), numbers.next()), (Some(Ok(0)), Some(Ok(minor))) if minor < 19)
}

/// On one line, and not longer than a message can bear.
pub(super) fn shortened(text: &impl fmt::Display) -> String {
    let text = text.to_string();
    let kept = text.char_indices().nth(100).map_or(text.len(), |(end, _)| end);
    let mut short = String::new();
    for character in text[..kept].chars() {
        if character.is_control() {
            short.extend(character.escape_unicode());
        } else {
            short.push(character);
        }
    }
    if kept < text.len() { short + "..." } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn targets_and_patterns_mean_what_they_mean_to_peft() {
        let (q0, q1, q11) =
            ("model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj", "model.layers.11.self_attn.q_proj");
        let recipe = |settings: serde_json::Value| {
            let mut config = json!({"peft_type": "LORA", "r": 8, "lora_alpha": 16});
            config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
            Recipe::parse(config.to_string().as_bytes(), Path::new("a")).unwrap()
        };
        // Each line was put to peft 0.21.2, to `check_target_module_exists`.
        for (settings, expected) in [
            (json!({"target_modules": ["q_proj"]}), [true, true, true]),
            (json!({"target_modules": ["proj"]}), [false, false, false]),
            (json!({"target_modules": ["1.self_attn.q_proj"]}), [false, true, false]),
            (json!({"target_modules": [q1]}), [false, true, false]),
            (json!({"target_modules": "q_proj"}), [false, false, false]),
            (json!({"target_modules": r".*\.1\..*q_proj"}), [false, true, false]),
            (json!({"target_modules": r"model\.layers\.1.*"}), [false, true, true]),
            (json!({"target_modules": ["q_proj"], "layers_to_transform": [1, 2]}), [false, true, false]),
            (json!({"target_modules": ["q_proj"], "layers_to_transform": 11}), [false, false, true]),
            (
                json!({"target_modules": ["q_proj"], "layers_to_transform": 11, "layers_pattern": "layers"}),
                [false, false, true],
            ),
            (json!({"target_modules": ["q_proj", q0], "layers_to_transform": [1]}), [true, true, false]),
            (json!({"target_modules": ["q_proj"], "layers_to_transform": []}), [true, true, true]),
            (json!({"target_modules": ["q_proj"], "exclude_modules": ["0.self_attn.q_proj"]}), [false, true, true]),
            (json!({"target_modules": ["q_proj"], "exclude_modules": "q_proj"}), [true, true, true]),
            (json!({"target_modules": ["q_proj"], "exclude_modules": r".*\.\d\..*"}), [false, false, true]),
            (json!({"target_modules": null, "target_parameters": ["q_proj.weight"]}), [false, false, false]),
        ] {
            let recipe = recipe(settings.clone());
            let found = [(q0, 0), (q1, 1), (q11, 11)].map(|(name, layer_idx)| recipe.targets_module(name, layer_idx));
            assert_eq!(found, expected, "{settings}");
        }
        // And these to `get_pattern_key`.
        for (pattern, expected) in [
            (json!({"q_proj": 2}), [2, 2, 2]),
            (json!({"proj": 2}), [8, 8, 8]),
            (json!({"1.self_attn.q_proj": 2}), [8, 2, 8]),
            (json!({".*proj": 2, "q_proj": 3}), [2, 2, 2]),
            (json!({"layers.1.self_attn.q_proj": 2, "q_proj": 3}), [3, 2, 3]),
            (json!({"^model.layers.0.self_attn.q_proj": 2}), [2, 8, 8]),
            (json!({"1.*|q_proj": 2}), [2, 2, 2]),
            (json!({"self_attn": 2}), [8, 8, 8]),
        ] {
            let recipe = recipe(json!({"rank_pattern": pattern}));
            assert_eq!([q0, q1, q11].map(|name| recipe.rank(name)), expected, "{pattern}");
        }
        assert_eq!(recipe(json!({})).scale(q0), 2.0);
        assert_eq!(recipe(json!({"use_rslora": true, "rank_pattern": {"q_proj": 4}})).scale(q0), 8.0);
    }
}
