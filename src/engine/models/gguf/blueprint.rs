//! The configuration of a model from a GGUF's metadata.
//!
//! What it is not: it judges no size itself. It says the same in the words of a config.json, so that one place,
//! [`ModelConfig::parse`], decides what makes sense. What llama.cpp and Ollama leave out is as in the official configuration.
//! Start at [`config`].

use super::header::{Header, Value};
use super::names::Dialect;
use crate::engine::cpu::config::ModelConfig;
use crate::engine::models::LoadError;
use serde_json::json;
use std::path::Path;

/// The configuration of a model whose embedding has so many rows. An error says what is wrong with the metadata.
pub(super) fn config(header: &Header<'_>, dialect: Dialect, n_vocab: usize) -> Result<ModelConfig, String> {
    let keys = Keys { header, prefix: dialect.architecture() };
    keys.check_what_is_not_read()?;
    keys.check_vocabulary(n_vocab)?;
    let n_layers = keys.size("block_count")?;
    let intermediate = match keys.optional("expert_feed_forward_length")? {
        Some(size) => size,
        None => keys.size("feed_forward_length")?, // Ollama's converter writes only this one
    };
    let theta = keys.number("rope.freq_base")?.ok_or_else(|| keys.missing("rope.freq_base"))?;
    let factor = keys.number("rope.scaling.factor")?.ok_or_else(|| keys.missing("rope.scaling.factor"))?;
    let mut config = json!({
        "model_type": "gpt_oss",
        "vocab_size": n_vocab,
        "hidden_size": keys.size("embedding_length")?,
        "num_attention_heads": keys.size("attention.head_count")?,
        "num_key_value_heads": keys.size("attention.head_count_kv")?,
        "head_dim": keys.size("attention.key_length")?,
        "num_local_experts": keys.size("expert_count")?,
        "num_experts_per_tok": keys.size("expert_used_count")?,
        "intermediate_size": intermediate,
        "sliding_window": keys.size("attention.sliding_window")?,
        "num_hidden_layers": n_layers,
        "layer_types": keys.layers(n_layers)?,
        "max_position_embeddings": keys.size("context_length")?,
        "rope_theta": theta,
        "rope_scaling": {
            // Only YaRN has been seen, and Ollama's converter does not say it.
            "rope_type": header.text(&keys.full("rope.scaling.type"))?.unwrap_or("yarn"),
            "factor": factor,
            "original_max_position_embeddings": keys.size("rope.scaling.original_context_length")?,
            // No key says it. llama.cpp always rounds the ramp to whole dimensions; the official model does not.
            "truncate": false,
        },
    });
    let rope = [("beta_fast", "rope.scaling.yarn_beta_fast"), ("beta_slow", "rope.scaling.yarn_beta_slow")];
    for (name, key) in rope {
        if let Some(number) = keys.number(key)? {
            config["rope_scaling"][name] = json!(number);
        }
    }
    if let Some(epsilon) = keys.number("attention.layer_norm_rms_epsilon")? {
        config["rms_norm_eps"] = json!(epsilon);
    }
    // The path would only go into the message, which is taken apart here.
    ModelConfig::parse(&config.to_string(), Path::new("")).map_err(|error| match error {
        LoadError::Config { problem, .. } => format!("its metadata describe no model: {problem}"),
        error => error.to_string(),
    })
}

/// The metadata's keys of an architecture.
struct Keys<'a> {
    header: &'a Header<'a>,
    prefix: &'static str,
}

impl Keys<'_> {
    fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    fn missing(&self, key: &str) -> String {
        format!("its metadata have no {}", self.full(key))
    }

    fn size(&self, key: &str) -> Result<u64, String> {
        self.optional(key)?.ok_or_else(|| self.missing(key))
    }

    fn optional(&self, key: &str) -> Result<Option<u64>, String> {
        self.header.unsigned(&self.full(key))
    }

    fn number(&self, key: &str) -> Result<Option<f64>, String> {
        self.header.number(&self.full(key))
    }

    /// Refuses what would change the numbers and has no place in a gpt-oss.
    fn check_what_is_not_read(&self) -> Result<(), String> {
        let same = |key: &str, other: &str| Ok::<_, String>((self.full(key), self.number(key)?, self.number(other)?));
        let one = |key: &str| Ok::<_, String>((self.full(key), self.number(key)?, Some(1.0)));
        for (key, found, expected) in [
            same("attention.value_length", "attention.key_length")?,
            same("rope.dimension_count", "attention.key_length")?,
            same("rope.freq_base_swa", "rope.freq_base")?,
            one("rope.scaling.attn_factor")?,
            one("rope.scaling.yarn_attn_factor")?,
        ] {
            if let (Some(found), Some(expected)) = (found, expected)
                && found != expected
            {
                return Err(format!("its metadata's {key} is {found}, expected {expected}"));
            }
        }
        Ok(())
    }

    /// The tokenizer in the file is not used, but it has to be one for the same ids.
    fn check_vocabulary(&self, n_vocab: usize) -> Result<(), String> {
        let listed = match self.header.value("tokenizer.ggml.tokens") {
            None => None,
            Some(Value::Array(tokens)) => Some(tokens.n),
            Some(_) => return Err("its metadata's tokenizer.ggml.tokens is not a list".into()),
        };
        for (what, n) in [("tokenizer.ggml.tokens lists", listed), ("vocab_size is", self.optional("vocab_size")?)] {
            if let Some(n) = n.filter(|n| *n != n_vocab as u64) {
                return Err(format!("its metadata's {what} {n}, and its embedding has {n_vocab} rows"));
            }
        }
        Ok(())
    }

    /// Which layers look back how far, in config.json's words; nothing where it is as in the official model.
    fn layers(&self, n_layers: u64) -> Result<Option<Vec<&'static str>>, String> {
        const KEY: &str = "attention.sliding_window_pattern";
        let name = |is_sliding| if is_sliding { "sliding_attention" } else { "full_attention" };
        match self.header.value(&self.full(KEY)) {
            None => Ok(None),
            Some(Value::Array(flags)) => {
                if flags.n != n_layers {
                    let key = self.full(KEY);
                    return Err(format!(
                        "its metadata's {key} has {} entries, and there are {n_layers} layers",
                        flags.n
                    ));
                }
                let is_sliding =
                    |value: Value<'_>| value == Value::Bool(true) || value.unsigned().is_some_and(|n| n > 0);
                Ok(Some(flags.values().map(|value| name(is_sliding(value))).collect()))
            }
            Some(_) => {
                // Every so many layers one looks back all the way.
                let period = self.size(KEY)?;
                let n_layers = n_layers.min(1 << 16); // too many are refused where all sizes are checked
                let is_sliding = |layer_idx: u64| period == 0 || layer_idx % period + 1 < period;
                Ok(Some((0..n_layers).map(|layer_idx| name(is_sliding(layer_idx))).collect()))
            }
        }
    }
}
