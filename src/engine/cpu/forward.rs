//! The model: tokens in, logits out, in the order in which a token meets the weights.
//!
//! What it is not: it chooses no token and knows no request. A pass takes up to [`MAX_BATCH`] tokens, allocates next to nothing,
//! and computes for each token the same bits however the tokens before and after it were split into passes.
//! Start at [`Model::forward`].

use super::attention::Attention;
use super::config::ModelConfig;
use super::kernels::activations::{ActivationBlock, Activations, BLOCK};
use super::kernels::panels::{PANEL, STREAMS};
use super::kernels::pool::{Block, Pool, Target};
use super::kernels::{Kernels, Vectors};
use super::kv_cache::KvCache;
use super::weights::{Input, Layer, Weights};
use crate::harmony::Token;
use std::cell::RefCell;
use std::ops::Range;

/// Tokens in one pass: so many that what a pass reads of the weights is little beside what it computes.
pub(crate) const MAX_BATCH: usize = 512;

/// The pass was cancelled; the cache is as it was before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cancelled;

/// What does not change while a model runs.
pub(crate) struct Model {
    pub(crate) config: ModelConfig,
    pub(crate) weights: Weights,
    pub(crate) kernels: Kernels,
    frequencies: Vec<f32>, // [head_dim / 2] radians for each position
    in_panels: bool,
}

/// The buffers of a pass; n_batch is the most tokens that it takes.
pub(crate) struct State {
    residual: Vec<f32>,              // [n_batch][hidden]
    normed: Vec<f32>,                // [n_batch][hidden]
    quantised: Vec<ActivationBlock>, // what goes through the next matrix, in blocks
    turns: Vec<(f32, f32)>,          // [n_batch][head_dim / 2] cosine and sine, scaled
    query: Vec<f32>,                 // [n_batch][query_width]
    key: Vec<f32>,                   // [n_batch][kv_width]
    value: Vec<f32>,                 // [n_batch][kv_width]
    attended: Vec<f32>,              // [n_batch][query_width]
    attention_groups: Vec<Range<usize>>,
    projected: Vec<f32>,     // [n_batch][hidden]
    router_logits: Vec<f32>, // [n_batch][n_experts]
    routes: Routes,
    activated: Vec<f32>,        // [n_batch * n_active][intermediate]
    expert_out: Vec<f32>,       // [n_batch * n_active][hidden]
    logits: Vec<f32>,           // [n_vocab]
    singles: Vec<Range<usize>>, // [n_batch] each row a group of its own
}

/// Which tokens go through which experts. A pair is a token and one of its experts; pairs are sorted by expert.
struct Routes {
    chosen: Vec<(usize, f32)>, // [n][n_active] expert and its share, the best first
    pair_of: Vec<usize>,       // [n][n_active] where that pair is in the order by expert
    token_of: Vec<u32>,        // [n_pairs]
    experts: Vec<usize>,       // [n_groups] experts with tokens
    groups: Vec<Range<usize>>, // [n_groups] their pairs
}

thread_local! {
    /// What one task makes of gate and up before they become one.
    static GATE_UP: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

impl State {
    /// Buffers for a model and passes of up to `n_batch` tokens.
    pub(crate) fn new(c: &ModelConfig, n_batch: usize) -> Self {
        let n_pairs = n_batch * c.n_active;
        Self {
            residual: vec![0.0; n_batch * c.hidden],
            normed: vec![0.0; n_batch * c.hidden],
            quantised: Activations::room(widest(c, n_batch) / BLOCK),
            turns: vec![(0.0, 0.0); n_batch * c.head_dim / 2],
            query: vec![0.0; n_batch * c.query_width()],
            key: vec![0.0; n_batch * c.kv_width()],
            value: vec![0.0; n_batch * c.kv_width()],
            attended: vec![0.0; n_batch * c.query_width()],
            attention_groups: Vec::with_capacity(n_batch),
            projected: vec![0.0; n_batch * c.hidden],
            router_logits: vec![0.0; n_batch * c.n_experts],
            routes: Routes {
                chosen: Vec::with_capacity(n_pairs),
                pair_of: Vec::with_capacity(n_pairs),
                token_of: Vec::with_capacity(n_pairs),
                experts: Vec::with_capacity(c.n_experts),
                groups: Vec::with_capacity(c.n_experts),
            },
            activated: vec![0.0; n_pairs * c.intermediate],
            expert_out: vec![0.0; n_pairs * c.hidden],
            logits: vec![0.0; c.n_vocab],
            singles: (0..n_batch).map(|row| row..row + 1).collect(),
        }
    }

    /// The most tokens of a pass.
    pub(crate) fn n_batch(&self) -> usize {
        self.singles.len()
    }

    /// Bytes of [`Self::new`], the vocabulary-sized scratch of a sampler included.
    pub(crate) fn n_bytes(c: &ModelConfig, n_batch: usize) -> u64 {
        let for_each_token = 3 * c.hidden + c.head_dim + 2 * c.query_width() + 2 * c.kv_width() + c.n_experts;
        let for_each_pair = c.intermediate + c.hidden + 8;
        let n_floats = (n_batch as u64) * (for_each_token + c.n_active * for_each_pair) as u64;
        let quantised = (widest(c, n_batch) / BLOCK * size_of::<ActivationBlock>()) as u64;
        quantised + size_of::<f32>() as u64 * (n_floats + 4 * c.n_vocab as u64)
    }
}

/// Numbers of the widest input of a matrix in a pass.
fn widest(c: &ModelConfig, n_batch: usize) -> usize {
    n_batch * (c.n_active * c.hidden.max(c.intermediate)).max(c.query_width()).next_multiple_of(BLOCK)
}

impl Model {
    /// A model from its parts.
    pub(crate) fn new(config: ModelConfig, weights: Weights, kernels: Kernels) -> Self {
        let frequencies = config.rope.frequencies(config.head_dim);
        let in_panels = weights.are_in_panels();
        Self { config, weights, kernels, frequencies, in_panels }
    }

    /// Bytes of weights that writing one token reads.
    pub(crate) fn bytes_per_token(&self) -> u64 {
        let layer = |layer: &Layer| {
            let attention = [&layer.query, &layer.key, &layer.value, &layer.output];
            let attention: usize = attention.iter().map(|linear| linear.weight.n_bytes()).sum();
            let expert = layer.gate_up.weight.n_bytes() + layer.down.weight.n_bytes();
            attention + self.config.n_active * expert + 4 * layer.router.len()
        };
        let layers: usize = self.weights.layers.iter().map(layer).sum();
        (layers + self.weights.head.n_bytes()) as u64
    }

    /// Reads up to `n_batch` tokens after those in the cache. Afterwards [`Self::logits`] answers for any of them.
    /// `at_layer` is asked before each layer whether to stop, and told its number.
    pub(crate) fn forward(
        &self,
        tokens: &[Token],
        cache: &mut KvCache,
        state: &mut State,
        pool: &mut Pool,
        at_layer: &mut dyn FnMut(usize) -> bool,
    ) -> Result<(), Cancelled> {
        let c = &self.config;
        let n = tokens.len();
        assert!(n <= state.n_batch(), "a pass of {n} tokens");
        for (token, row) in tokens.iter().zip(state.residual.chunks_exact_mut(c.hidden)) {
            self.weights.embedding.read(*token, row);
        }
        self.compute_turns(cache.len(), &mut state.turns[..n * c.head_dim / 2]);
        Attention::group(n, &mut state.attention_groups);
        for (layer_idx, layer) in self.weights.layers.iter().enumerate() {
            if at_layer(layer_idx) {
                return Err(Cancelled);
            }
            self.norm(&layer.attention_norm, n, state, pool);
            self.project(layer, n, state, pool);
            rotate(&mut state.query[..n * c.query_width()], &state.turns, c.query_width(), c.head_dim);
            rotate(&mut state.key[..n * c.kv_width()], &state.turns, c.kv_width(), c.head_dim);
            cache.write(layer_idx, &state.key[..n * c.kv_width()], &state.value[..n * c.kv_width()]);
            let attention = Attention {
                config: c,
                kernels: self.kernels,
                kind: layer.kind,
                sinks: &layer.sinks,
                layer_idx,
                cache,
                query: &state.query,
            };
            attention.run(n, &state.attention_groups, &mut state.attended, pool);
            self.project_back(layer, n, state, pool);
            add(&mut state.residual[..n * c.hidden], &state.projected);
            self.norm(&layer.mlp_norm, n, state, pool);
            self.route(layer, n, state, pool);
            self.experts(layer, state, pool);
            self.combine(n, state, pool);
        }
        cache.append(tokens);
        Ok(())
    }

    /// The logits after token `idx` of the last pass. [n_vocab]
    pub(crate) fn logits<'a>(&self, idx: usize, state: &'a mut State, pool: &mut Pool) -> &'a [f32] {
        let c = &self.config;
        let (head, x) = (&self.weights.head, self.last(idx, &mut state.normed, &mut state.quantised, &state.residual));
        let (band, cost) = (band(c.n_vocab, c.hidden, pool), c.n_vocab * c.hidden);
        pool.blocks(&mut state.logits, c.n_vocab, &state.singles[..1], band, cost, &|_, mut out| {
            head.product(self.kernels, 0, out.columns(), x, &mut out);
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
        let (c, n) = (&self.config, tokens.len());
        let (head, x) = (&self.weights.head, self.last(idx, &mut state.normed, &mut state.quantised, &state.residual));
        let (band, cost) = (band(n, c.hidden, pool), n * c.hidden);
        pool.blocks(&mut state.logits, n, &state.singles[..1], band, cost, &|_, mut out| {
            let columns = out.columns();
            for (out, &token) in out.row(0).iter_mut().zip(&tokens[columns]) {
                // Panels are read from their first row on.
                let row = token as usize;
                let first = if self.in_panels { row / PANEL * PANEL } else { row };
                let mut logits = [0.0; PANEL];
                let mut block = Block::whole(&mut logits, 1, first..row + 1);
                head.product(self.kernels, 0, first..row + 1, x, &mut block);
                *out = logits[row - first];
            }
        });
        &state.logits[..n]
    }

    /// What the head makes logits of: token `idx` of the last pass, normalised.
    fn last<'a>(
        &self,
        idx: usize,
        normed: &'a mut [f32],
        quantised: &'a mut [ActivationBlock],
        residual: &[f32],
    ) -> Input<'a> {
        let c = &self.config;
        let normed = &mut normed[..c.hidden];
        rms_norm(&residual[idx * c.hidden..][..c.hidden], &self.weights.final_norm, c.norm_eps, normed);
        let exact = Vectors::all(normed, c.hidden);
        Input { exact, quantised: self.in_panels.then(|| Activations::quantise(exact, quantised)) }
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

    /// Vectors for the next matrix, which all of them go through.
    fn input<'a>(&self, exact: Vectors<'a>, room: &'a mut [ActivationBlock], pool: &mut Pool) -> Input<'a> {
        if !self.in_panels {
            return Input { exact, quantised: None };
        }
        let (n, n_blocks) = (exact.len(), exact.width() / BLOCK);
        let room = &mut room[..n * n_blocks];
        let n_together = 8; // blocks of all vectors
        let bounds = |part: usize| part * n_together * n..n_blocks.min((part + 1) * n_together) * n;
        let cost = QUANTISING * n * exact.width();
        pool.parts(room, n_blocks.div_ceil(n_together), &bounds, cost, &|part, room| {
            Activations::quantise_blocks(exact, part * n_together, room);
        });
        Input { exact, quantised: Some(Activations::new(room, n)) }
    }

    /// Queries, keys and values of `state.normed`.
    fn project(&self, layer: &Layer, n: usize, state: &mut State, pool: &mut Pool) {
        let c = &self.config;
        let x = self.input(Vectors::all(&state.normed[..n * c.hidden], c.hidden), &mut state.quantised, pool);
        let linears = [&layer.query, &layer.key, &layer.value];
        let all = 0..n;
        let outs = [&mut state.query, &mut state.key, &mut state.value];
        let mut linear_idx = 0;
        let targets = outs.map(|out| {
            let width = linears[linear_idx].weight.n_out;
            linear_idx += 1;
            Target { out, width, groups: std::slice::from_ref(&all), band: band(width, c.hidden * n, pool) }
        });
        let cost = n * c.hidden * (c.query_width() + 2 * c.kv_width());
        pool.fill(targets, cost, &|linear_idx, _, mut out| linears[linear_idx].apply(self.kernels, 0, x, &mut out));
    }

    /// What attention found, back at the width of the residual stream, into `state.projected`.
    fn project_back(&self, layer: &Layer, n: usize, state: &mut State, pool: &mut Pool) {
        let (hidden, width) = (self.config.hidden, self.config.query_width());
        let x = self.input(Vectors::all(&state.attended[..n * width], width), &mut state.quantised, pool);
        let band = band(hidden, width * n, pool);
        pool.blocks(
            &mut state.projected,
            hidden,
            std::slice::from_ref(&(0..n)),
            band,
            n * hidden * width,
            &|_, mut out| {
                layer.output.apply(self.kernels, 0, x, &mut out);
            },
        );
    }

    /// Chooses the experts of each token.
    fn route(&self, layer: &Layer, n: usize, state: &mut State, pool: &mut Pool) {
        let (c, normed) = (&self.config, &state.normed);
        let cost = n * c.n_experts * c.hidden;
        let logits = &mut state.router_logits;
        pool.blocks(logits, c.n_experts, &state.singles[..n], c.n_experts, cost, &|idx, mut out| {
            let x = Vectors::all(&normed[idx * c.hidden..][..c.hidden], c.hidden);
            self.kernels.f32(&layer.router, x, &mut out);
            add(out.row(0), &layer.router_bias);
        });
        state.routes.choose(&state.router_logits[..n * c.n_experts], c);
    }

    /// Every pair of token and expert: `state.normed` through gate and up, their product, and down to `state.expert_out`.
    fn experts(&self, layer: &Layer, state: &mut State, pool: &mut Pool) {
        let c = &self.config;
        let (routes, normed) = (&state.routes, &state.normed);
        let picked = |pairs: Range<usize>| Vectors::picked(normed, c.hidden, &routes.token_of[pairs]);
        self.quantise_groups(routes, c.hidden, &picked, &mut state.quantised, pool);
        let quantised = &state.quantised;
        // Half as many columns as gate and up have rows, so half of a panel.
        let (band, cost) = routes.work(c.intermediate, 2 * c.hidden, pool);
        pool.blocks(&mut state.activated, c.intermediate, &routes.groups, band, cost, &|group_idx, mut out| {
            let x = self.group_input(routes, group_idx, c.hidden, &picked, quantised);
            let columns = out.columns();
            GATE_UP.with_borrow_mut(|gate_up| {
                let (rows, n) = (2 * columns.start..2 * columns.end, out.n_rows());
                gate_up.resize(gate_up.len().max(n * rows.len()), 0.0);
                let mut both = Block::whole(gate_up, n, rows);
                layer.gate_up.apply(self.kernels, routes.experts[group_idx], x, &mut both);
                for row in 0..n {
                    self.kernels.swiglu(both.row(row).as_chunks().0, c.swiglu_limit, out.row(row));
                }
            });
        });
        let activated = &state.activated;
        let rows = |pairs: Range<usize>| {
            Vectors::all(&activated[pairs.start * c.intermediate..pairs.end * c.intermediate], c.intermediate)
        };
        self.quantise_groups(routes, c.intermediate, &rows, &mut state.quantised, pool);
        let quantised = &state.quantised;
        let (band, cost) = routes.work(c.hidden, c.intermediate, pool);
        pool.blocks(&mut state.expert_out, c.hidden, &routes.groups, band, cost, &|group_idx, mut out| {
            let x = self.group_input(routes, group_idx, c.intermediate, &rows, quantised);
            layer.down.apply(self.kernels, routes.experts[group_idx], x, &mut out);
        });
    }

    /// Quantises what goes through the experts, group after group.
    fn quantise_groups<'a>(
        &self,
        routes: &Routes,
        width: usize,
        x: &(impl Fn(Range<usize>) -> Vectors<'a> + Sync),
        room: &mut [ActivationBlock],
        pool: &mut Pool,
    ) {
        if !self.in_panels {
            return;
        }
        let bounds = |group_idx: usize| routes.blocks(group_idx, width);
        let cost = QUANTISING * routes.token_of.len() * width;
        pool.parts(room, routes.groups.len(), &bounds, cost, &|group_idx, room| {
            Activations::quantise(x(routes.groups[group_idx].clone()), room);
        });
    }

    /// What goes through the expert of a group.
    fn group_input<'a>(
        &self,
        routes: &Routes,
        group_idx: usize,
        width: usize,
        x: &(impl Fn(Range<usize>) -> Vectors<'a> + Sync),
        quantised: &'a [ActivationBlock],
    ) -> Input<'a> {
        let pairs = routes.groups[group_idx].clone();
        let blocks = &quantised[if self.in_panels { routes.blocks(group_idx, width) } else { 0..0 }];
        let quantised = self.in_panels.then(|| Activations::new(blocks, pairs.len()));
        Input { exact: x(pairs), quantised }
    }

    /// Adds what the experts made of each token to its residual stream, in the order in which they were chosen.
    fn combine(&self, n: usize, state: &mut State, pool: &mut Pool) {
        let c = &self.config;
        let (routes, expert_out) = (&state.routes, &state.expert_out);
        let cost = n * c.n_active * c.hidden;
        pool.blocks(&mut state.residual, c.hidden, &state.singles[..n], c.hidden, cost, &|token, mut residual| {
            for idx in token * c.n_active..(token + 1) * c.n_active {
                let out = &expert_out[routes.pair_of[idx] * c.hidden..][..c.hidden];
                let share = routes.chosen[idx].1;
                residual.row(0).iter_mut().zip(out).for_each(|(sum, out)| *sum += share * out);
            }
        });
    }
}

/// What quantising a number costs, in multiplications.
const QUANTISING: usize = 8;

/// Columns for one task: several tasks for each thread, each worth handing over (some microseconds).
fn band(n_columns: usize, n_products_a_column: usize, pool: &Pool) -> usize {
    let worth_it = 65_536usize.div_ceil(n_products_a_column.max(1));
    let fair = n_columns.div_ceil(8 * pool.n_threads());
    worth_it.max(fair).next_multiple_of(STREAMS * PANEL)
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

    /// The blocks of a group's pairs among those of all pairs, of vectors of this width.
    fn blocks(&self, group_idx: usize, width: usize) -> Range<usize> {
        let (pairs, n_blocks) = (&self.groups[group_idx], width / BLOCK);
        pairs.start * n_blocks..pairs.end * n_blocks
    }

    /// Columns for one task of a product of all groups with their experts' matrices, and what it costs.
    fn work(&self, n_out: usize, n_in: usize, pool: &Pool) -> (usize, usize) {
        let n_together = self.token_of.len().div_ceil(self.groups.len().max(1));
        (band(n_out, n_in * n_together, pool), self.token_of.len() * n_out * n_in)
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
