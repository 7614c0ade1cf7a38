//! The model: tokens in, logits out, in the order in which a token meets the weights.
//!
//! What it is not: it chooses no token and knows no request. A pass takes up to [`MAX_BATCH`] tokens, allocates nothing,
//! and computes for each token the same bits however the tokens before and after it were split into passes.
//! Start at [`Model::forward`].

use super::config::{LayerKind, ModelConfig};
use super::kernels::pool::{Block, Pool};
use super::kernels::{Kernels, Vectors};
use super::kv_cache::KvCache;
use super::weights::{Experts, Layer, Linear, Weights};
use crate::harmony::Token;
use std::ops::Range;

/// Tokens in one pass.
pub(crate) const MAX_BATCH: usize = 64;

/// How many positions attention weighs at once.
const N_SCORES: usize = 64;

/// The pass was cancelled; the cache is as it was before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cancelled;

/// What does not change while a model runs.
pub(crate) struct Model {
    pub(crate) config: ModelConfig,
    pub(crate) weights: Weights,
    pub(crate) kernels: Kernels,
    frequencies: Vec<f32>, // [head_dim / 2] radians for each position
}

/// The buffers of a pass.
pub(crate) struct State {
    residual: Vec<f32>,      // [MAX_BATCH][hidden]
    normed: Vec<f32>,        // [MAX_BATCH][hidden]
    turns: Vec<(f32, f32)>,  // [MAX_BATCH][head_dim / 2] cosine and sine, scaled
    query: Vec<f32>,         // [MAX_BATCH][query_width]
    attended: Vec<f32>,      // [MAX_BATCH][query_width]
    projected: Vec<f32>,     // [MAX_BATCH][hidden]
    router_logits: Vec<f32>, // [MAX_BATCH][n_experts]
    routes: Routes,
    gate_up: Vec<f32>,          // [MAX_BATCH * n_active][2 * intermediate]
    activated: Vec<f32>,        // [MAX_BATCH * n_active][intermediate]
    expert_out: Vec<f32>,       // [MAX_BATCH * n_active][hidden]
    logits: Vec<f32>,           // [n_vocab]
    singles: Vec<Range<usize>>, // [MAX_BATCH * n_active] each row a group of its own
}

/// Which tokens go through which experts. A pair is a token and one of its experts; pairs are sorted by expert.
struct Routes {
    chosen: Vec<(usize, f32)>, // [n][n_active] expert and its share, the best first
    pair_of: Vec<usize>,       // [n][n_active] where that pair is in the order by expert
    token_of: Vec<u32>,        // [n_pairs]
    experts: Vec<usize>,       // [n_groups] experts with tokens
    groups: Vec<Range<usize>>, // [n_groups] their pairs
}

impl State {
    /// Buffers for a model.
    pub(crate) fn new(c: &ModelConfig) -> Self {
        let n_pairs = MAX_BATCH * c.n_active;
        Self {
            residual: vec![0.0; MAX_BATCH * c.hidden],
            normed: vec![0.0; MAX_BATCH * c.hidden],
            turns: vec![(0.0, 0.0); MAX_BATCH * c.head_dim / 2],
            query: vec![0.0; MAX_BATCH * c.query_width()],
            attended: vec![0.0; MAX_BATCH * c.query_width()],
            projected: vec![0.0; MAX_BATCH * c.hidden],
            router_logits: vec![0.0; MAX_BATCH * c.n_experts],
            routes: Routes {
                chosen: Vec::with_capacity(n_pairs),
                pair_of: Vec::with_capacity(n_pairs),
                token_of: Vec::with_capacity(n_pairs),
                experts: Vec::with_capacity(c.n_experts),
                groups: Vec::with_capacity(c.n_experts),
            },
            gate_up: vec![0.0; n_pairs * 2 * c.intermediate],
            activated: vec![0.0; n_pairs * c.intermediate],
            expert_out: vec![0.0; n_pairs * c.hidden],
            logits: vec![0.0; c.n_vocab],
            singles: (0..n_pairs).map(|row| row..row + 1).collect(),
        }
    }

    /// Bytes of [`Self::new`], the vocabulary-sized scratch of a sampler included.
    pub(crate) fn n_bytes(c: &ModelConfig) -> u64 {
        let for_each_token = 3 * c.hidden + c.head_dim + 2 * c.query_width() + c.n_experts;
        let for_each_pair = 3 * c.intermediate + c.hidden + 8;
        let n_floats = (MAX_BATCH as u64) * (for_each_token + c.n_active * for_each_pair) as u64;
        size_of::<f32>() as u64 * (n_floats + 3 * c.n_vocab as u64)
    }
}

impl Model {
    /// A model from its parts.
    pub(crate) fn new(config: ModelConfig, weights: Weights, kernels: Kernels) -> Self {
        let frequencies = config.rope.frequencies(config.head_dim);
        Self { config, weights, kernels, frequencies }
    }

    /// Reads up to [`MAX_BATCH`] tokens after those in the cache. Afterwards [`Self::logits`] answers for any of them.
    pub(crate) fn forward(
        &self,
        tokens: &[Token],
        cache: &mut KvCache,
        state: &mut State,
        pool: &mut Pool,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<(), Cancelled> {
        let c = &self.config;
        let n = tokens.len();
        let start = cache.len();
        assert!(n <= MAX_BATCH, "a pass of {n} tokens");
        for (token, row) in tokens.iter().zip(state.residual.chunks_exact_mut(c.hidden)) {
            self.weights.embedding.read(*token, row);
        }
        self.compute_turns(start, &mut state.turns[..n * c.head_dim / 2]);
        for (layer_idx, layer) in self.weights.layers.iter().enumerate() {
            if is_cancelled() {
                return Err(Cancelled);
            }
            // Attention.
            self.norm(&layer.attention_norm, n, state, pool);
            let normed = &state.normed[..n * c.hidden];
            self.linear(&layer.query, normed, &mut state.query, pool);
            self.linear(&layer.key, normed, cache.new_keys(layer_idx, n), pool);
            self.linear(&layer.value, normed, cache.new_values(layer_idx, n), pool);
            rotate(&mut state.query[..n * c.query_width()], &state.turns, c.query_width(), c.head_dim);
            rotate(cache.new_keys(layer_idx, n), &state.turns, c.kv_width(), c.head_dim);
            self.attention(layer, layer_idx, n, cache, state, pool);
            self.linear(&layer.output, &state.attended[..n * c.query_width()], &mut state.projected, pool);
            add(&mut state.residual[..n * c.hidden], &state.projected);
            // Experts.
            self.norm(&layer.mlp_norm, n, state, pool);
            self.linear(&layer.router, &state.normed[..n * c.hidden], &mut state.router_logits, pool);
            state.routes.choose(&state.router_logits[..n * c.n_experts], c);
            self.experts(layer, state, pool);
            state.routes.combine(&state.expert_out, &mut state.residual[..n * c.hidden], c);
        }
        cache.append(tokens);
        Ok(())
    }

    /// The logits after token `idx` of the last pass. [n_vocab]
    pub(crate) fn logits<'a>(&self, idx: usize, state: &'a mut State, pool: &mut Pool) -> &'a [f32] {
        let c = &self.config;
        let normed = &mut state.normed[..c.hidden];
        rms_norm(&state.residual[idx * c.hidden..][..c.hidden], &self.weights.final_norm, c.norm_eps, normed);
        let (kernels, head) = (self.kernels, self.weights.head.all());
        let (band, cost) = (band(c.n_vocab, c.hidden, pool), c.n_vocab * c.hidden);
        pool.blocks(&mut state.logits, c.n_vocab, &state.singles[..1], band, cost, &|_, mut out| {
            kernels.bf16(head.rows(out.columns()), Vectors::all(normed, c.hidden), &mut out);
        });
        &state.logits
    }

    /// The logits of these tokens alone, as [`Self::logits`] gives them. [tokens.len()]
    pub(crate) fn logits_of<'a>(
        &self,
        tokens: &[Token],
        idx: usize,
        state: &'a mut State,
        pool: &mut Pool,
    ) -> &'a [f32] {
        let c = &self.config;
        let normed = &mut state.normed[..c.hidden];
        rms_norm(&state.residual[idx * c.hidden..][..c.hidden], &self.weights.final_norm, c.norm_eps, normed);
        let (kernels, head, n) = (self.kernels, self.weights.head.all(), tokens.len());
        let (band, cost) = (band(n, c.hidden, pool), n * c.hidden);
        pool.blocks(&mut state.logits, n, &state.singles[..1], band, cost, &|_, mut out| {
            for (column, &token) in tokens[out.columns()].iter().enumerate() {
                let row = token as usize..token as usize + 1;
                kernels.bf16(head.rows(row), Vectors::all(normed, c.hidden), &mut out.column(column));
            }
        });
        &state.logits[..n]
    }

    /// Cosines and sines of the positions from `start` on. [n][head_dim / 2]
    fn compute_turns(&self, start: usize, turns: &mut [(f32, f32)]) {
        let scale = self.config.rope.scale as f32;
        for (idx, turns) in turns.chunks_exact_mut(self.frequencies.len()).enumerate() {
            for (turn, frequency) in turns.iter_mut().zip(&self.frequencies) {
                let (sin, cos) = ((start + idx) as f32 * frequency).sin_cos();
                *turn = (cos * scale, sin * scale);
            }
        }
    }

    /// Normalises the residual stream of each token into `state.normed`.
    fn norm(&self, weight: &[f32], n: usize, state: &mut State, pool: &mut Pool) {
        let (width, residual) = (self.config.hidden, &state.residual);
        pool.blocks(&mut state.normed, width, &state.singles[..n], width, n * width, &|idx, mut out| {
            rms_norm(&residual[idx * width..][..width], weight, self.config.norm_eps, out.row(0));
        });
    }

    /// `out[t] = weight x[t] + bias`, with x: [n][n_in] and out: [n][n_out].
    fn linear(&self, linear: &Linear, x: &[f32], out: &mut [f32], pool: &mut Pool) {
        let n_out = linear.bias.len();
        let rows = linear.weight.all();
        let x = Vectors::all(x, rows.width());
        let cost = n_out * rows.width() * x.len();
        let band = band(n_out, rows.width() * x.len(), pool);
        pool.blocks(out, n_out, std::slice::from_ref(&(0..x.len())), band, cost, &|_, mut out| {
            self.kernels.bf16(rows.rows(out.columns()), x, &mut out);
            let bias = &linear.bias[out.columns()];
            (0..out.n_rows()).for_each(|row| add(out.row(row), bias));
        });
    }

    /// Queries against the keys and values of the cache, into `state.attended`. One task is one token and one key head.
    fn attention(
        &self,
        layer: &Layer,
        layer_idx: usize,
        n: usize,
        cache: &KvCache,
        state: &mut State,
        pool: &mut Pool,
    ) {
        let c = &self.config;
        let (query_width, group) = (c.query_width(), c.n_heads / c.n_kv_heads);
        let (start, query) = (cache.len(), &state.query);
        let reach = match layer.kind {
            LayerKind::Sliding => c.window,
            LayerKind::Full => c.max_context,
        };
        let (band, cost) = (group * c.head_dim, 2 * n * query_width * reach.min(start + n));
        pool.blocks(&mut state.attended, query_width, &state.singles[..n], band, cost, &|idx, mut out| {
            let position = start + idx;
            let first = (position + 1).saturating_sub(reach);
            let (keys, values) = cache.since(layer_idx, first);
            let columns = out.columns();
            let kv_column = columns.start / group;
            let heads = query[idx * query_width..][columns.clone()].chunks_exact(c.head_dim);
            let sinks = &layer.sinks[columns.start / c.head_dim..];
            for ((query, sum), sink) in heads.zip(out.row(0).chunks_exact_mut(c.head_dim)).zip(sinks) {
                let (keys, values) = (&keys[kv_column..], &values[kv_column..]);
                self.attend(query, *sink, keys, values, position + 1 - first, sum);
            }
        });
    }

    /// One head of one token over `n` positions; the softmax is taken as it goes (Milakov, Gimelshein 2018,
    /// arXiv 1805.02867), and begins with the sink, which has a weight and no value.
    fn attend(&self, query: &[f32], sink: f32, keys: &[f32], values: &[f32], n: usize, sum: &mut [f32]) {
        let stride = self.config.kv_width();
        let scale = 1.0 / (query.len() as f32).sqrt();
        let mut scores = [0.0; N_SCORES];
        let (mut highest, mut total) = (sink, 1.0);
        sum.fill(0.0);
        for first in (0..n).step_by(N_SCORES) {
            let scores = &mut scores[..N_SCORES.min(n - first)];
            self.kernels.scores(query, &keys[first * stride..], stride, scores);
            let mut new_highest = highest;
            for score in scores.iter_mut() {
                *score *= scale;
                new_highest = new_highest.max(*score);
            }
            if new_highest > highest {
                let shrink = (highest - new_highest).exp();
                total *= shrink;
                sum.iter_mut().for_each(|sum| *sum *= shrink);
                highest = new_highest;
            }
            for score in scores.iter_mut() {
                *score = (*score - highest).exp();
                total += *score;
            }
            self.kernels.add_weighted(sum, scores, &values[first * stride..], stride);
        }
        sum.iter_mut().for_each(|sum| *sum /= total);
    }

    /// Every pair of token and expert: `state.normed` through gate and up, their product, and down to `state.expert_out`.
    fn experts(&self, layer: &Layer, state: &mut State, pool: &mut Pool) {
        let c = &self.config;
        let routes = &state.routes;
        let n_pairs = routes.token_of.len();
        let normed = &state.normed;
        self.expert_matrix(&layer.gate_up, routes, &mut state.gate_up, 2 * c.intermediate, c.hidden, pool, &|pairs| {
            Vectors::picked(normed, c.hidden, &routes.token_of[pairs])
        });
        let gate_up = &state.gate_up;
        let (width, singles) = (c.intermediate, &state.singles[..n_pairs]);
        let cost = 32 * n_pairs * width; // an exponential each
        pool.blocks(&mut state.activated, width, singles, width, cost, &|pair, mut out| {
            let gate_up = gate_up[pair * 2 * c.intermediate..][..2 * c.intermediate].as_chunks::<2>().0;
            for (out, [gate, up]) in out.row(0).iter_mut().zip(gate_up) {
                *out = swiglu(*gate, *up, c.swiglu_limit);
            }
        });
        let activated = &state.activated;
        self.expert_matrix(&layer.down, routes, &mut state.expert_out, c.hidden, c.intermediate, pool, &|pairs| {
            Vectors::all(&activated[pairs.start * c.intermediate..pairs.end * c.intermediate], c.intermediate)
        });
    }

    /// `out[pair] = weight[expert of the pair] x[pair] + bias`, with out: [n_pairs][n_out].
    #[allow(clippy::too_many_arguments)] // the shapes of one product; a struct for one call would only hide them
    fn expert_matrix<'a>(
        &self,
        experts: &Experts,
        routes: &Routes,
        out: &mut [f32],
        n_out: usize,
        n_in: usize,
        pool: &mut Pool,
        x: &(impl Fn(Range<usize>) -> Vectors<'a> + Sync),
    ) {
        let n_together = routes.token_of.len().div_ceil(routes.groups.len().max(1));
        let band = band(n_out, n_in * n_together, pool);
        let cost = routes.token_of.len() * n_out * n_in;
        pool.blocks(out, n_out, &routes.groups, band, cost, &|group_idx, mut out: Block<'_>| {
            let expert_idx = routes.experts[group_idx];
            let columns = out.columns();
            let x = x(routes.groups[group_idx].clone());
            self.kernels.mxfp4(experts.rows(expert_idx, columns.clone()), x, &mut out);
            let bias = experts.bias(expert_idx, columns);
            for row in 0..out.n_rows() {
                for (out, bias) in out.row(row).iter_mut().zip(bias) {
                    *out += half::bf16::from_le_bytes(*bias).to_f32();
                }
            }
        });
    }
}

/// Columns for one task: several tasks for each thread, each worth handing over (some microseconds).
fn band(n_columns: usize, n_products_a_column: usize, pool: &Pool) -> usize {
    let worth_it = 65_536usize.div_ceil(n_products_a_column.max(1));
    let fair = n_columns.div_ceil(8 * pool.n_threads());
    worth_it.max(fair).next_multiple_of(8)
}

impl Routes {
    /// For each token the experts with the highest logits (of equals the lower index) and their softmax; then the order by
    /// expert. `logits`: [n][n_experts]
    fn choose(&mut self, logits: &[f32], c: &ModelConfig) {
        self.chosen.clear();
        for logits in logits.chunks_exact(c.n_experts) {
            let first = self.chosen.len();
            for _ in 0..c.n_active {
                let mut best = None;
                for (expert_idx, &logit) in logits.iter().enumerate() {
                    let taken = self.chosen[first..].iter().any(|(taken, _)| *taken == expert_idx);
                    if !taken && best.is_none_or(|(_, highest)| logit > highest) {
                        best = Some((expert_idx, logit));
                    }
                }
                self.chosen.extend(best); // there are at least n_active experts, so there always is one
            }
            let chosen = &mut self.chosen[first..];
            let highest = chosen[0].1;
            let mut total = 0.0;
            for (_, share) in chosen.iter_mut() {
                *share = (*share - highest).exp();
                total += *share;
            }
            chosen.iter_mut().for_each(|(_, share)| *share /= total);
        }
        self.sort(c);
    }

    fn sort(&mut self, c: &ModelConfig) {
        self.pair_of.clear();
        self.pair_of.resize(self.chosen.len(), 0);
        self.token_of.clear();
        self.experts.clear();
        self.groups.clear();
        for expert_idx in 0..c.n_experts {
            let start = self.token_of.len();
            for (idx, _) in self.chosen.iter().enumerate().filter(|(_, (chosen, _))| *chosen == expert_idx) {
                self.pair_of[idx] = self.token_of.len();
                self.token_of.push((idx / c.n_active) as u32);
            }
            if self.token_of.len() > start {
                self.experts.push(expert_idx);
                self.groups.push(start..self.token_of.len());
            }
        }
    }

    /// Adds what the experts made of each token to its residual stream, in the order in which they were chosen.
    fn combine(&self, expert_out: &[f32], residual: &mut [f32], c: &ModelConfig) {
        for (token, residual) in residual.chunks_exact_mut(c.hidden).enumerate() {
            for idx in token * c.n_active..(token + 1) * c.n_active {
                let out = &expert_out[self.pair_of[idx] * c.hidden..][..c.hidden];
                let share = self.chosen[idx].1;
                residual.iter_mut().zip(out).for_each(|(sum, out)| *sum += share * out);
            }
        }
    }
}

/// RMSNorm (Zhang, Sennrich 2019). All [hidden].
fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let mut squares = [0.0f32; 8]; // eight sums side by side, in a fixed order
    let (eights, rest) = x.as_chunks::<8>();
    for eight in eights {
        squares.iter_mut().zip(eight).for_each(|(sum, x)| *sum += x * x);
    }
    let total = squares.iter().sum::<f32>() + rest.iter().map(|x| x * x).sum::<f32>();
    let scale = 1.0 / (total / x.len() as f32 + eps).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = weight * (x * scale);
    }
}

/// Turns each pair (first half, second half) of each head by its position's angle. `vectors`: [n][width]
fn rotate(vectors: &mut [f32], turns: &[(f32, f32)], width: usize, head_dim: usize) {
    let half = head_dim / 2;
    for (vector, turns) in vectors.chunks_exact_mut(width).zip(turns.chunks_exact(half)) {
        for head in vector.chunks_exact_mut(head_dim) {
            let (first, second) = head.split_at_mut(half);
            for ((x, y), (cos, sin)) in first.iter_mut().zip(second).zip(turns) {
                (*x, *y) = (*x * cos - *y * sin, *y * cos + *x * sin);
            }
        }
    }
}

fn add(sum: &mut [f32], x: &[f32]) {
    sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
}

/// The gated unit of gpt-oss: both sides clamped, the gate only from above.
fn swiglu(gate: f32, up: f32, limit: f32) -> f32 {
    let (gate, up) = (gate.min(limit), up.clamp(-limit, limit));
    (up + 1.0) * gate / (1.0 + (-1.702 * gate).exp())
}
