//! The blueprint of a model: `config.json`, read and checked.
//!
//! What it is not: nothing of it changes while the model runs, and no weight is in it.
//! Start at [`ModelConfig::parse`].

use crate::engine::models::LoadError;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// How far a layer looks back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// The last [`ModelConfig::window`] positions, its own included.
    Sliding,
    /// All positions.
    Full,
}

/// The sizes and constants of a gpt-oss model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Token ids are below this.
    pub n_vocab: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Experts in a layer.
    pub n_experts: usize,
    /// Experts that a token goes through.
    pub n_active: usize,
    /// Width inside an expert.
    pub intermediate: usize,
    /// Positions that a sliding layer sees.
    pub window: usize,
    /// One for each layer.
    pub layers: Vec<LayerKind>,
    /// Added to the mean square in RMSNorm.
    pub norm_eps: f32,
    /// Where the experts' activations are clamped.
    pub swiglu_limit: f32,
    /// Rotary positions.
    pub rope: Rope,
    /// Positions that the model was made for.
    pub max_context: usize,
}

/// Rotary positions, stretched by YaRN (Peng et al. 2023, arXiv 2309.00071).
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Base of the wavelengths.
    pub theta: f64,
    /// How many times the original context.
    pub factor: f64,
    /// Dimensions that turn at least so often in the original context keep their frequency.
    pub beta_fast: f64,
    /// Dimensions that turn at most so often are slowed down by `factor`.
    pub beta_slow: f64,
    /// Positions before the stretching.
    pub original_context: f64,
    /// Whether the ramp between the two begins and ends at whole dimensions.
    pub truncate: bool,
    /// On cosine and sine.
    pub scale: f64,
}

#[derive(Deserialize)]
struct Raw {
    vocab_size: u64,
    hidden_size: u64,
    num_attention_heads: u64,
    num_key_value_heads: u64,
    head_dim: u64,
    num_local_experts: u64,
    #[serde(alias = "experts_per_token")]
    num_experts_per_tok: u64,
    intermediate_size: u64,
    sliding_window: u64,
    num_hidden_layers: u64,
    layer_types: Option<Vec<String>>,
    #[serde(default = "official_norm_eps")]
    rms_norm_eps: f64,
    #[serde(default = "official_swiglu_limit")]
    swiglu_limit: f64,
    rope_theta: Option<f64>,
    // The official name, and the one that transformers 5 writes.
    #[serde(alias = "rope_parameters")]
    rope_scaling: RawRope,
    max_position_embeddings: u64,
    #[serde(default)]
    tie_word_embeddings: bool,
}

#[derive(Deserialize)]
struct RawRope {
    rope_type: String,
    rope_theta: Option<f64>,
    factor: f64,
    #[serde(default = "official_beta_fast")]
    beta_fast: f64,
    #[serde(default = "official_beta_slow")]
    beta_slow: f64,
    original_max_position_embeddings: f64,
    truncate: Option<bool>,
    attention_factor: Option<f64>,
}

fn official_norm_eps() -> f64 {
    1e-5
}
fn official_swiglu_limit() -> f64 {
    7.0
}
fn official_beta_fast() -> f64 {
    32.0
}
fn official_beta_slow() -> f64 {
    1.0
}

/// No side of a matrix is longer, and no model has more layers or weights, than this; so no product of sizes overflows.
const LONGEST_SIDE: u64 = 1 << 28;
const MOST_LAYERS: u64 = 4096;
const MOST_WEIGHTS: u128 = 1 << 48;

impl ModelConfig {
    /// Reads `config.json`. `path` is for the messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, LoadError> {
        let problem = |problem: String| LoadError::Config { path: path.to_owned(), problem };
        let value: Value = serde_json::from_str(text).map_err(|error| problem(format!("is not JSON ({error})")))?;
        match value.get("model_type") {
            Some(Value::String(name)) if name == "gpt_oss" => {}
            found => {
                let found = found.map_or("(not given)".into(), Value::to_string);
                return Err(LoadError::Foreign { path: path.to_owned(), found });
            }
        }
        let raw = Raw::deserialize(value_without_both_ropes(value)).map_err(|error| problem(error.to_string()))?;
        raw.checked().map_err(problem)
    }

    /// As a config.json, which [`Self::parse`] reads as the same configuration.
    pub fn to_json(&self) -> Value {
        let kind = |kind: &LayerKind| match kind {
            LayerKind::Sliding => "sliding_attention",
            LayerKind::Full => "full_attention",
        };
        let rope = &self.rope;
        serde_json::json!({
            "model_type": "gpt_oss",
            "vocab_size": self.n_vocab,
            "hidden_size": self.hidden,
            "num_attention_heads": self.n_heads,
            "num_key_value_heads": self.n_kv_heads,
            "head_dim": self.head_dim,
            "num_local_experts": self.n_experts,
            "num_experts_per_tok": self.n_active,
            "intermediate_size": self.intermediate,
            "sliding_window": self.window,
            "num_hidden_layers": self.n_layers(),
            "layer_types": self.layers.iter().map(kind).collect::<Vec<_>>(),
            "rms_norm_eps": self.norm_eps,
            "swiglu_limit": self.swiglu_limit,
            "rope_theta": rope.theta,
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": rope.factor,
                "beta_fast": rope.beta_fast,
                "beta_slow": rope.beta_slow,
                "original_max_position_embeddings": rope.original_context,
                "truncate": rope.truncate,
                "attention_factor": rope.scale,
            },
            "max_position_embeddings": self.max_context,
        })
    }

    /// Layers of the model.
    pub fn n_layers(&self) -> usize {
        self.layers.len()
    }

    /// Width of all query heads together.
    pub fn query_width(&self) -> usize {
        self.n_heads * self.head_dim
    }

    /// Width of all key (or value) heads together.
    pub fn kv_width(&self) -> usize {
        self.n_kv_heads * self.head_dim
    }
}

/// A file may carry the rope under its old and its new name; the old one is official.
fn value_without_both_ropes(mut value: Value) -> Value {
    if let Value::Object(map) = &mut value {
        if map.get("rope_scaling").is_some_and(Value::is_object) {
            map.remove("rope_parameters");
        } else {
            map.remove("rope_scaling");
        }
        if map.contains_key("num_experts_per_tok") {
            map.remove("experts_per_token");
        }
    }
    value
}

impl Raw {
    fn checked(self) -> Result<ModelConfig, String> {
        self.check_sizes()?;
        let layers = self.layers()?;
        let rope = self.rope()?;
        let number = |name: &str, value: f64| {
            if value.is_finite() && value > 0.0 { Ok(value as f32) } else { Err(format!("{name} is {value}")) }
        };
        Ok(ModelConfig {
            n_vocab: self.vocab_size as usize,
            hidden: self.hidden_size as usize,
            n_heads: self.num_attention_heads as usize,
            n_kv_heads: self.num_key_value_heads as usize,
            head_dim: self.head_dim as usize,
            n_experts: self.num_local_experts as usize,
            n_active: self.num_experts_per_tok as usize,
            intermediate: self.intermediate_size as usize,
            window: self.sliding_window as usize,
            layers,
            norm_eps: number("rms_norm_eps", self.rms_norm_eps)?,
            swiglu_limit: number("swiglu_limit", self.swiglu_limit)?,
            rope,
            max_context: self.max_position_embeddings as usize,
        })
    }

    fn check_sizes(&self) -> Result<(), String> {
        let heads = self.num_attention_heads.saturating_mul(self.head_dim);
        for (name, size) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("num_attention_heads times head_dim", heads),
            ("num_local_experts", self.num_local_experts),
            ("num_experts_per_tok", self.num_experts_per_tok),
            ("intermediate_size", self.intermediate_size),
            ("sliding_window", self.sliding_window),
            ("max_position_embeddings", self.max_position_embeddings),
        ] {
            if size == 0 || size > LONGEST_SIDE {
                return Err(format!("{name} is {size}, expected 1 to {LONGEST_SIDE}"));
            }
        }
        if self.num_hidden_layers == 0 || self.num_hidden_layers > MOST_LAYERS {
            return Err(format!("num_hidden_layers is {}, expected 1 to {MOST_LAYERS}", self.num_hidden_layers));
        }
        for (name, size) in [("hidden_size", self.hidden_size), ("intermediate_size", self.intermediate_size)] {
            if !size.is_multiple_of(32) {
                return Err(format!("{name} is {size}, expected a multiple of 32, the length of an MXFP4 block"));
            }
        }
        let (n_heads, n_kv_heads) = (self.num_attention_heads, self.num_key_value_heads);
        if !n_heads.is_multiple_of(n_kv_heads) {
            return Err(format!("num_attention_heads is {n_heads}, expected a multiple of the {n_kv_heads} key heads"));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(format!("head_dim is {}, expected an even number", self.head_dim));
        }
        let (n_active, n_experts) = (self.num_experts_per_tok, self.num_local_experts);
        if n_active > n_experts {
            return Err(format!("num_experts_per_tok is {n_active}, and there are {n_experts} experts"));
        }
        if self.tie_word_embeddings {
            return Err("tie_word_embeddings is true, and gpt-oss has a head of its own".into());
        }
        let wide = u128::from;
        let attention = 4 * wide(heads) * wide(self.hidden_size);
        let experts = 3 * wide(n_experts) * wide(self.intermediate_size) * wide(self.hidden_size);
        let ends = 2 * wide(self.vocab_size) * wide(self.hidden_size);
        let n_weights = ends.saturating_add(wide(self.num_hidden_layers).saturating_mul(attention + experts));
        if n_weights > MOST_WEIGHTS {
            return Err(format!("its sizes make a model of {n_weights} weights, more than any that can be run"));
        }
        Ok(())
    }

    fn layers(&self) -> Result<Vec<LayerKind>, String> {
        let n_layers = self.num_hidden_layers as usize;
        let Some(names) = &self.layer_types else {
            let alternating = [LayerKind::Sliding, LayerKind::Full].into_iter().cycle();
            return Ok(alternating.take(n_layers).collect());
        };
        if names.len() != n_layers {
            return Err(format!("layer_types has {} entries, expected num_hidden_layers = {n_layers}", names.len()));
        }
        let kind = |name: &String| match name.as_str() {
            "sliding_attention" => Ok(LayerKind::Sliding),
            "full_attention" => Ok(LayerKind::Full),
            _ => Err(format!("layer_types has {name:?}, expected sliding_attention or full_attention")),
        };
        names.iter().map(kind).collect()
    }

    fn rope(&self) -> Result<Rope, String> {
        let raw = &self.rope_scaling;
        if raw.rope_type != "yarn" {
            return Err(format!("rope_type is {:?}, expected \"yarn\"", raw.rope_type));
        }
        let theta = self.rope_theta.or(raw.rope_theta).ok_or("rope_theta is not given")?;
        // With no factor of its own given, attention is sharpened as the paper says (equation 22).
        let scale = raw.attention_factor.unwrap_or(if raw.factor <= 1.0 { 1.0 } else { 0.1 * raw.factor.ln() + 1.0 });
        for (name, value, least) in [
            ("rope_theta", theta, 1.0),
            ("factor", raw.factor, 0.0),
            ("beta_fast", raw.beta_fast, 0.0),
            ("beta_slow", raw.beta_slow, 0.0),
            ("original_max_position_embeddings", raw.original_max_position_embeddings, 0.0),
            ("attention_factor", scale, 0.0),
        ] {
            if !(value.is_finite() && value > least) {
                return Err(format!("{name} is {value}, expected more than {least}"));
            }
        }
        Ok(Rope {
            theta,
            factor: raw.factor,
            beta_fast: raw.beta_fast,
            beta_slow: raw.beta_slow,
            original_context: raw.original_max_position_embeddings,
            truncate: raw.truncate.unwrap_or(true),
            scale,
        })
    }
}

impl Rope {
    /// Radians by which each pair of dimensions turns from one position to the next. [head_dim / 2]
    pub fn frequencies(&self, head_dim: usize) -> Vec<f32> {
        let dim = head_dim as f64;
        // The dimension that turns so many times in the original context.
        let dimension_of = |n_turns: f64| {
            dim * (self.original_context / (n_turns * std::f64::consts::TAU)).ln() / (2.0 * self.theta.ln())
        };
        let (mut low, mut high) = (dimension_of(self.beta_fast), dimension_of(self.beta_slow));
        if self.truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        (low, high) = (low.max(0.0), high.min(dim - 1.0));
        if low == high {
            high += 0.001; // as the reference does against a division by zero
        }
        let frequency = |pair_idx: usize| {
            let kept = 1.0 / self.theta.powf(2.0 * pair_idx as f64 / dim);
            let ramp = ((pair_idx as f64 - low) / (high - low)).clamp(0.0, 1.0);
            (kept / self.factor * ramp + kept * (1.0 - ramp)) as f32
        };
        (0..head_dim / 2).map(frequency).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The configuration of the official 20b, as far as it is read.
    fn official() -> Value {
        json!({
            "model_type": "gpt_oss", "vocab_size": 201_088, "hidden_size": 2880, "num_attention_heads": 64,
            "num_key_value_heads": 8, "head_dim": 64, "num_local_experts": 32, "experts_per_token": 4,
            "num_experts_per_tok": 4, "intermediate_size": 2880, "sliding_window": 128, "num_hidden_layers": 24,
            "rms_norm_eps": 1e-5, "swiglu_limit": 7.0, "rope_theta": 150_000, "max_position_embeddings": 131_072,
            "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0,
                "original_max_position_embeddings": 4096, "truncate": false},
        })
    }

    fn parse(value: &Value) -> Result<ModelConfig, String> {
        ModelConfig::parse(&value.to_string(), Path::new("m/config.json")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_official_configuration_and_its_newer_spelling_say_the_same() {
        let config = parse(&official()).unwrap();
        assert_eq!((config.n_layers(), config.query_width(), config.kv_width()), (24, 4096, 512));
        assert_eq!(config.layers[..3], [LayerKind::Sliding, LayerKind::Full, LayerKind::Sliding]);
        assert!((config.rope.scale - 1.346_573_6).abs() < 1e-6);
        let mut newer = official();
        let mut rope = newer["rope_scaling"].take();
        rope["rope_theta"] = json!(150_000.0);
        newer.as_object_mut().unwrap().retain(|key, _| key != "rope_theta" && key != "rope_scaling");
        newer["rope_parameters"] = rope;
        assert_eq!(parse(&newer).unwrap(), config);
        assert_eq!(parse(&config.to_json()).unwrap(), config, "what is written is read again");
    }

    #[test]
    fn every_wrong_value_is_named() {
        for (key, value, expected) in [
            ("model_type", json!("llama"), "of type \"llama\", and only gpt_oss can be run"),
            ("model_type", Value::Null, "of type null"),
            ("hidden_size", json!(0), "hidden_size is 0, expected 1 to"),
            ("hidden_size", json!(2881), "hidden_size is 2881, expected a multiple of 32"),
            ("intermediate_size", json!(40), "intermediate_size is 40, expected a multiple of 32"),
            ("vocab_size", json!(u64::MAX), "vocab_size is 18446744073709551615, expected 1 to"),
            ("vocab_size", json!(-1), "-1"),
            ("num_attention_heads", json!(63), "num_attention_heads is 63, expected a multiple of the 8 key heads"),
            ("head_dim", json!(63), "head_dim is 63, expected an even number"),
            ("head_dim", json!(1 << 28), "num_attention_heads times head_dim is"),
            ("num_experts_per_tok", json!(33), "num_experts_per_tok is 33, and there are 32 experts"),
            ("num_local_experts", json!(1 << 28), "more than any that can be run"),
            ("num_hidden_layers", json!("24"), "invalid type"),
            ("layer_types", json!(["full_attention"]), "layer_types has 1 entries"),
            ("layer_types", json!(vec!["chunked_attention"; 24]), "layer_types has \"chunked_attention\""),
            ("tie_word_embeddings", json!(true), "tie_word_embeddings is true"),
            ("rms_norm_eps", json!(-1.0), "rms_norm_eps is -1"),
            ("rope_theta", json!(0.0), "rope_theta is 0"),
            ("rope_scaling", Value::Null, "missing field `rope_scaling`"),
        ] {
            let mut config = official();
            config[key] = value.clone();
            let error = parse(&config).unwrap_err();
            assert!(error.contains(expected) && error.contains("m/config.json"), "{key} = {value}: {error}");
        }
        let error = ModelConfig::parse("{", Path::new("m/config.json")).unwrap_err().to_string();
        assert!(error.starts_with("m/config.json: is not JSON"), "{error}");
    }

    #[test]
    fn fast_dimensions_keep_their_frequency_and_slow_ones_are_stretched() {
        let config = parse(&official()).unwrap();
        let frequencies = config.rope.frequencies(64);
        assert_eq!(frequencies.len(), 32);
        assert_eq!(frequencies[0], 1.0);
        let slowest = 150_000f64.powf(-62.0 / 64.0) / 32.0;
        assert!((f64::from(frequencies[31]) / slowest - 1.0).abs() < 1e-6);
    }
}
