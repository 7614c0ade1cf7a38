//! What the model has read: keys and values of every position, and the tokens they came from.
//!
//! What it is not: it keeps sliding layers whole, so that going back to any prefix only forgets; rings come later and
//! change nothing outside this file. Start at [`KvCache::keep_common_prefix`].

use super::config::ModelConfig;
use crate::harmony::Token;

/// Keys and values of one transcript.
pub(crate) struct KvCache {
    layers: Vec<LayerCache>,
    tokens: Vec<Token>, // [n_positions so far]
    kv_width: usize,
}

/// Of one layer. The keys have been rotated.
struct LayerCache {
    keys: Vec<f32>,   // [capacity][kv_width]
    values: Vec<f32>, // [capacity][kv_width]
}

impl KvCache {
    /// An empty cache for so many positions. Fresh zeroed memory costs nothing before it is written.
    pub(crate) fn new(config: &ModelConfig, capacity: usize) -> Self {
        let kv_width = config.kv_width();
        let zeros = || vec![0.0; capacity * kv_width];
        let layers = config.layers.iter().map(|_| LayerCache { keys: zeros(), values: zeros() }).collect();
        Self { layers, tokens: Vec::with_capacity(capacity), kv_width }
    }

    /// Bytes that a cache of so many positions may come to take.
    pub(crate) fn n_bytes(config: &ModelConfig, capacity: usize) -> u64 {
        let for_each_position = 2 * size_of::<f32>() as u64 * (config.kv_width() * config.n_layers()) as u64;
        (for_each_position + size_of::<Token>() as u64).saturating_mul(capacity as u64)
    }

    /// Positions read so far.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Forgets everything after the longest prefix that it shares with `tokens`; returns that prefix's length, at most
    /// `longest`.
    pub(crate) fn keep_common_prefix(&mut self, tokens: &[Token], longest: usize) -> usize {
        let n_common = self.tokens.iter().zip(tokens).take_while(|(old, new)| old == new).count();
        self.tokens.truncate(n_common.min(longest));
        self.tokens.len()
    }

    /// Where a pass writes: the keys (or values) of the `n` positions after the last. [n][kv_width]
    pub(crate) fn new_keys(&mut self, layer_idx: usize, n: usize) -> &mut [f32] {
        let start = self.tokens.len() * self.kv_width;
        &mut self.layers[layer_idx].keys[start..][..n * self.kv_width]
    }

    /// As [`Self::new_keys`].
    pub(crate) fn new_values(&mut self, layer_idx: usize, n: usize) -> &mut [f32] {
        let start = self.tokens.len() * self.kv_width;
        &mut self.layers[layer_idx].values[start..][..n * self.kv_width]
    }

    /// Keys and values of a layer from position `start` on, those of the pass under way included. [..][kv_width]
    pub(crate) fn since(&self, layer_idx: usize, start: usize) -> (&[f32], &[f32]) {
        let layer = &self.layers[layer_idx];
        (&layer.keys[start * self.kv_width..], &layer.values[start * self.kv_width..])
    }

    /// Ends a pass: its positions have been written in every layer.
    pub(crate) fn append(&mut self, tokens: &[Token]) {
        self.tokens.extend_from_slice(tokens);
    }
}
