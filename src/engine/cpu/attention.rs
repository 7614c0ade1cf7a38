//! Attention of a pass: its queries against the keys and values of the cache.
//!
//! What it is not: it projects nothing. One task is a few tokens and one key head: what it has read of the cache serves them
//! all. Start at [`Attention::run`].

use super::config::{LayerKind, ModelConfig};
use super::kernels::Kernels;
use super::kernels::attention::{HEADS, LANES, Running, TILE};
use super::kernels::pool::{Block, Pool};
use super::kv_cache::KvCache;
use std::cell::RefCell;
use std::ops::Range;

/// Tokens of a task.
const N_TOGETHER: usize = 8;

/// One layer's attention in one pass.
pub(crate) struct Attention<'a> {
    pub(crate) config: &'a ModelConfig,
    pub(crate) kernels: Kernels,
    pub(crate) kind: LayerKind,
    pub(crate) sinks: &'a [f32], // [n_heads]
    pub(crate) layer_idx: usize,
    pub(crate) cache: &'a KvCache,
    pub(crate) query: &'a [f32], // [n][query_width], rotated
}

/// What a task works with; it grows to what the model needs once for each thread.
#[derive(Default)]
struct Scratch {
    keys: Vec<f32>,    // [TILE][head_dim], as a tile has them
    values: Vec<f32>,  // [TILE][padded head_dim]
    queries: Vec<f32>, // [N_TOGETHER][group / HEADS][head_dim][HEADS]
    sums: Vec<f32>,    // [N_TOGETHER][group][padded head_dim]
    highest: Vec<f32>, // [N_TOGETHER][group]
    totals: Vec<f32>,  // [N_TOGETHER][group]
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Attention<'_> {
    /// Of `n` tokens after those in the cache, whose keys and values have been written there. `out`: [n][query_width]
    pub(crate) fn run(&self, n: usize, groups: &[Range<usize>], out: &mut [f32], pool: &mut Pool) {
        let c = self.config;
        let band = c.n_heads / c.n_kv_heads * c.head_dim;
        let seen = self.reach().min(self.cache.len() + n);
        let cost = 2 * n * c.query_width() * seen;
        pool.blocks(out, c.query_width(), groups, band, cost, &|group_idx, mut out| {
            SCRATCH.with_borrow_mut(|scratch| self.task(groups[group_idx].clone(), scratch, &mut out));
        });
    }

    /// Tokens in groups of a task. Appends to `groups`.
    pub(crate) fn group(n: usize, groups: &mut Vec<Range<usize>>) {
        groups.clear();
        groups.extend((0..n).step_by(N_TOGETHER).map(|start| start..n.min(start + N_TOGETHER)));
    }

    fn reach(&self) -> usize {
        match self.kind {
            LayerKind::Sliding => self.config.window,
            LayerKind::Full => self.config.max_context,
        }
    }

    /// The positions that a token of the pass sees.
    fn seen(&self, idx: usize) -> Range<usize> {
        let end = self.cache.len() + idx + 1;
        end.saturating_sub(self.reach())..end
    }

    fn task(&self, tokens: Range<usize>, scratch: &mut Scratch, out: &mut Block<'_>) {
        let dim = self.config.head_dim;
        let columns = out.columns();
        let group = columns.len() / dim;
        let padded = dim.next_multiple_of(LANES);
        let kv_head = columns.start / columns.len();
        let sinks = &self.sinks[columns.start / dim..][..group];
        scratch.begin(self.cache.tile_len(), tokens.len(), group, (dim, padded), sinks);
        let scale = 1.0 / (dim as f32).sqrt();
        for (idx, queries) in tokens.clone().zip(scratch.queries.chunks_exact_mut(group * dim)) {
            let query = &self.query[idx * self.config.query_width()..][columns.clone()];
            for (queries, query) in queries.chunks_mut(HEADS * dim).zip(query.chunks(HEADS * dim)) {
                let n_heads = query.len() / dim;
                for (i, x) in query.iter().enumerate() {
                    queries[i % dim * n_heads + i / dim] = x * scale;
                }
            }
        }
        let all = self.seen(tokens.start).start..self.seen(tokens.end - 1).end;
        for start in (all.start / TILE * TILE..all.end).step_by(TILE) {
            let within = |seen: Range<usize>| {
                seen.start.clamp(start, start + TILE) - start..seen.end.clamp(start, start + TILE) - start
            };
            let room = (&mut scratch.keys[..], &mut scratch.values[..]);
            let mut tile = self.cache.tile(self.layer_idx, kv_head, start, within(all.clone()), self.kernels, room);
            for (place, idx) in tokens.clone().enumerate() {
                tile.counted = within(self.seen(idx));
                if tile.counted.is_empty() {
                    continue;
                }
                for head in (0..group).step_by(HEADS) {
                    let heads = place * group + head..place * group + group.min(head + HEADS);
                    let running = Running {
                        queries: &scratch.queries[heads.start * dim..heads.end * dim],
                        sums: &mut scratch.sums[heads.start * padded..heads.end * padded],
                        highest: &mut scratch.highest[heads.clone()],
                        totals: &mut scratch.totals[heads],
                    };
                    self.kernels.attend(running, &tile);
                }
            }
        }
        for place in 0..tokens.len() {
            for (head, out) in out.row(place).chunks_exact_mut(dim).enumerate() {
                let at = place * group + head;
                let total = scratch.totals[at];
                out.iter_mut().zip(&scratch.sums[at * padded..]).for_each(|(out, sum)| *out = sum / total);
            }
        }
    }
}

impl Scratch {
    /// Room for a task, and the state in which its softmax begins: with the sink, which has a weight and no value.
    fn begin(&mut self, tile: (usize, usize), n: usize, group: usize, (dim, padded): (usize, usize), sinks: &[f32]) {
        // Lanes that no position has come to yet hold anything but what is no number.
        self.keys.resize(tile.0, 0.0);
        self.values.resize(tile.1, 0.0);
        self.queries.resize(n * group * dim, 0.0);
        self.sums.clear();
        self.sums.resize(n * group * padded, 0.0);
        self.highest.clear();
        (0..n).for_each(|_| self.highest.extend_from_slice(sinks));
        self.totals.clear();
        self.totals.resize(n * group, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::goldens::checkpoint;
    use super::super::kernels::tests::numbers;
    use super::super::kv_cache::CacheFormat;
    use super::*;

    /// The attention of one head of the token at `position`, in f64 as its definition reads.
    fn naive(query: &[f32], sink: f32, seen: Range<usize>, keys: &[f32], values: &[f32]) -> Vec<f64> {
        let dim = query.len();
        let dot = |key: &[f32]| query.iter().zip(key).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum::<f64>();
        let weight = |position: usize| (dot(&keys[position * dim..][..dim]) / (dim as f64).sqrt()).exp();
        let total = f64::from(sink).exp() + seen.clone().map(weight).sum::<f64>();
        let value = |d: usize| seen.clone().map(|p| weight(p) * f64::from(values[p * dim + d])).sum::<f64>() / total;
        (0..dim).map(value).collect()
    }

    #[test]
    fn however_many_heads_share_a_key_attention_is_what_its_definition_says() {
        let (n_before, n) = (75, 11);
        for (n_heads, head_dim) in [(1, 7), (8, 64), (13, 12), (20, 16)] {
            let mut config = checkpoint("grouped").config;
            (config.n_heads, config.n_kv_heads, config.head_dim, config.window) = (n_heads, 1, head_dim, 60);
            let all = n_before + n;
            let (keys, values) = (numbers(1, all * head_dim), numbers(2, all * head_dim));
            let (query, sinks) = (numbers(3, n * n_heads * head_dim), numbers(4, n_heads));
            let mut cache = KvCache::new(&config, all, CacheFormat::F32);
            for (layer_idx, _) in config.layers.iter().enumerate() {
                cache.write(layer_idx, &keys[..n_before * head_dim], &values[..n_before * head_dim]);
            }
            cache.append(&vec![0; n_before]);
            for (layer_idx, &kind) in config.layers.iter().enumerate() {
                cache.write(layer_idx, &keys[n_before * head_dim..], &values[n_before * head_dim..]);
                let mut groups = Vec::new();
                Attention::group(n, &mut groups);
                for kernels in Kernels::all() {
                    let attention = Attention {
                        config: &config,
                        kernels,
                        kind,
                        sinks: &sinks,
                        layer_idx,
                        cache: &cache,
                        query: &query,
                    };
                    let mut out = vec![f32::NAN; query.len()];
                    attention.run(n, &groups, &mut out, &mut Pool::new(2).unwrap());
                    for (at, (query, out)) in query.chunks(head_dim).zip(out.chunks(head_dim)).enumerate() {
                        let (seen, sink) = (attention.seen(at / n_heads), sinks[at % n_heads]);
                        for (found, expected) in out.iter().zip(naive(query, sink, seen, &keys, &values)) {
                            let difference = (f64::from(*found) - expected).abs();
                            assert!(difference < 1e-5, "{n_heads} heads of {head_dim}, {kind:?}, {kernels:?}: {found}");
                        }
                    }
                }
            }
        }
    }
}
