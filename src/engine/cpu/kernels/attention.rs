//! Attention over a tile of positions: scores, a softmax that goes on from tile to tile, and the sum of the values.
//!
//! What it is not: it knows no cache and no layer. It is written once, in plain Rust over eight lanes, and compiled for each
//! set of instructions: all give the same bits. Start at [`Running::add`].
//! (Milakov, Gimelshein 2018, arXiv 1805.02867: the softmax as it goes.)

/// Positions side by side: a lane each.
pub(crate) const LANES: usize = 8;

/// Positions in a tile.
pub(crate) const TILE: usize = 64;

/// Query heads that go through a tile together.
pub(crate) const HEADS: usize = 8;

/// Keys and values of a tile, and which of its positions count.
pub(crate) struct Tile<'a> {
    pub(crate) keys: &'a [f32],   // [TILE / LANES][head_dim][LANES]
    pub(crate) values: &'a [f32], // [TILE][padded head_dim]
    pub(crate) counted: std::ops::Range<usize>,
}

/// The attention of some heads of one token, as far as it has come.
pub(crate) struct Running<'a> {
    pub(crate) queries: &'a [f32],     // [n_heads][head_dim], scaled
    pub(crate) sums: &'a mut [f32],    // [n_heads][padded head_dim]
    pub(crate) highest: &'a mut [f32], // [n_heads]
    pub(crate) totals: &'a mut [f32],  // [n_heads]
}

impl Running<'_> {
    /// Adds a tile. The heads are at most [`HEADS`].
    #[inline(always)]
    pub(super) fn add(&mut self, tile: &Tile<'_>) {
        let n_heads = self.highest.len();
        let head_dim = self.queries.len() / n_heads;
        let mut weights = [[0.0f32; TILE]; HEADS];
        for (block_idx, keys) in tile.keys.chunks_exact(head_dim * LANES).enumerate() {
            let first = block_idx * LANES;
            if first + LANES <= tile.counted.start || first >= tile.counted.end {
                continue;
            }
            let mut heads = 0;
            while heads < n_heads {
                let n = (n_heads - heads).min(4);
                match n {
                    4 => self.scores::<4>(heads, keys, &mut weights, first),
                    _ => (heads..heads + n).for_each(|head| self.scores::<1>(head, keys, &mut weights, first)),
                }
                heads += n;
            }
        }
        for (head, weights) in weights[..n_heads].iter_mut().enumerate() {
            self.soften(head, weights, &tile.counted);
        }
        let padded = self.sums.len() / n_heads;
        for column in (0..padded).step_by(LANES) {
            let mut heads = 0;
            while heads < n_heads {
                let n = (n_heads - heads).min(4);
                match n {
                    4 => self.add_values::<4>(heads, column, padded, tile, &weights),
                    _ => (heads..heads + n).for_each(|head| self.add_values::<1>(head, column, padded, tile, &weights)),
                }
                heads += n;
            }
        }
    }

    /// The scores of `N` heads from `head` on with eight keys.
    #[inline(always)]
    fn scores<const N: usize>(&self, head: usize, keys: &[f32], scores: &mut [[f32; TILE]; HEADS], first: usize) {
        let head_dim = keys.len() / LANES;
        let mut sums = [[0.0f32; LANES]; N];
        let queries: [&[f32]; N] = std::array::from_fn(|i| &self.queries[(head + i) * head_dim..][..head_dim]);
        for (d, keys) in keys.as_chunks::<LANES>().0.iter().enumerate() {
            for (sums, query) in sums.iter_mut().zip(queries) {
                for (sum, key) in sums.iter_mut().zip(keys) {
                    *sum = query[d].mul_add(*key, *sum);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            scores[head + i][first..first + LANES].copy_from_slice(sums);
        }
    }

    /// Turns scores into weights against the highest score so far, and what was summed before with them.
    #[inline(always)]
    fn soften(&mut self, head: usize, weights: &mut [f32; TILE], counted: &std::ops::Range<usize>) {
        for (position, weight) in weights.iter_mut().enumerate() {
            if !counted.contains(&position) {
                *weight = f32::NEG_INFINITY;
            }
        }
        let mut lanes = [self.highest[head]; LANES];
        for eight in weights.as_chunks::<LANES>().0 {
            lanes.iter_mut().zip(eight).for_each(|(highest, score)| *highest = highest.max(*score));
        }
        let highest = lanes.iter().fold(f32::NEG_INFINITY, |highest, lane| highest.max(*lane));
        if highest > self.highest[head] {
            let shrink = exp_lanes([self.highest[head] - highest; LANES])[0];
            self.totals[head] *= shrink;
            let padded = self.sums.len() / self.highest.len();
            self.sums[head * padded..][..padded].iter_mut().for_each(|sum| *sum *= shrink);
            self.highest[head] = highest;
        }
        let mut totals = [0.0f32; LANES];
        for eight in weights.as_chunks_mut::<LANES>().0 {
            *eight = exp_lanes(eight.map(|score| score - highest));
            totals.iter_mut().zip(eight).for_each(|(total, weight)| *total += *weight);
        }
        self.totals[head] += totals.iter().sum::<f32>();
    }

    /// Adds eight columns of the values to the sums of `N` heads from `head` on.
    #[inline(always)]
    fn add_values<const N: usize>(
        &mut self,
        head: usize,
        column: usize,
        padded: usize,
        tile: &Tile<'_>,
        weights: &[[f32; TILE]; HEADS],
    ) {
        let mut sums = [[0.0f32; LANES]; N];
        for (i, sums) in sums.iter_mut().enumerate() {
            sums.copy_from_slice(&self.sums[(head + i) * padded + column..][..LANES]);
        }
        for position in tile.counted.clone() {
            let values: &[f32; LANES] = tile.values[position * padded + column..].first_chunk().expect("a padded row");
            for (sums, weights) in sums.iter_mut().zip(&weights[head..]) {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = weights[position].mul_add(*value, *sum);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            self.sums[(head + i) * padded + column..][..LANES].copy_from_slice(sums);
        }
    }
}

/// The exponential of numbers that are at most a little above 0, to 2 units in the last place; below -87 it is 0.
///
/// A power of two for the nearest multiple of ln 2, and a polynomial (the Taylor series to the 7th power) for the rest.
#[inline(always)]
pub(crate) fn exp_lanes(x: [f32; LANES]) -> [f32; LANES] {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding and taking it away rounds
    const LN_2_HIGH: f32 = 0.693_359_4; // its last bits are zeros, so that multiples are exact
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let mut out = [0.0; LANES];
    for (out, x) in out.iter_mut().zip(x) {
        let within = if x > -87.0 { x.min(88.0) } else { -87.0 }; // what is no number, too
        let n = within.mul_add(std::f32::consts::LOG2_E, ROUND) - ROUND;
        let rest = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, within));
        let mut power = 1.0 / 5040.0;
        for term in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            power = rest.mul_add(power, term);
        }
        let scaled = power * f32::from_bits(((n as i32 + 127) << 23).cast_unsigned());
        *out = if x < -87.0 { 0.0 } else { scaled };
    }
    out
}

/// `gate * sigmoid(1.702 * gate) * (up + 1)`, both sides clamped, the gate only from above: the gated unit of gpt-oss.
/// `gate_up`: [n][2], `out`: [n]
#[inline(always)]
pub(super) fn swiglu(gate_up: &[[f32; 2]], limit: f32, out: &mut [f32]) {
    for (gate_up, out) in gate_up.chunks(LANES).zip(out.chunks_mut(LANES)) {
        let mut gates = [0.0; LANES];
        gates.iter_mut().zip(gate_up).for_each(|(lane, [gate, _])| *lane = gate.min(limit));
        // exp takes no large numbers, and a sigmoid does not need them: exp(80) in a denominator is as good as any.
        let powers = exp_lanes(gates.map(|gate| (-1.702 * gate).min(80.0)));
        for (((out, [_, up]), gate), power) in out.iter_mut().zip(gate_up).zip(gates).zip(powers) {
            *out = (up.clamp(-limit, limit) + 1.0) * gate / (1.0 + power);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kernels;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_exponential_is_that_of_f64() {
        for step in -87_000..=80_000 {
            let x = step as f32 / 1000.0;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp_lanes([x; LANES])[0]) / expected - 1.0).abs();
            assert!(error < 2.5e-7, "exp({x}) is off by {error:e}");
        }
        for (x, expected) in [(f32::NEG_INFINITY, 0.0), (-87.1, 0.0), (-1e30, 0.0), (0.0, 1.0)] {
            assert_eq!(exp_lanes([x; LANES]), [expected; LANES], "exp({x})");
        }
        assert!(exp_lanes([f32::NAN; LANES])[0].is_finite(), "scores that are no numbers do not spread");
    }

    #[test]
    fn the_gated_unit_clamps_both_sides() {
        let reference = |[gate, up]: [f32; 2]| {
            let (gate, up) = (f64::from(gate.min(7.0)), f64::from(up.clamp(-7.0, 7.0)));
            (up + 1.0) * gate / (1.0 + (-1.702 * gate).exp())
        };
        let pairs = [[0.0, 0.0], [1.0, 2.0], [-3.0, 8.0], [9.0, -9.0], [-60.0, 1.0], [7.5, 7.5], [-0.1, 0.3]];
        for kernels in Kernels::all() {
            let mut out = [f32::NAN; 7];
            kernels.swiglu(&pairs, 7.0, &mut out);
            for (pair, out) in pairs.into_iter().zip(out) {
                let expected = reference(pair);
                assert!((f64::from(out) - expected).abs() <= 1e-5 * (1.0 + expected.abs()), "{pair:?}: {out}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Two tiles of some heads, against a softmax in f64, and the same bits by every set.
        #[test]
        fn attention_is_that_of_f64(n_heads in 1..=HEADS, head_dim in 1..40usize, start in 0..70usize, n in 1..58usize, seed: u64) {
            let padded = head_dim.next_multiple_of(LANES);
            let numbers = |salt: u64, n: usize| super::super::tests::numbers(seed ^ salt, n);
            let (queries, sinks) = (numbers(1, n_heads * head_dim), numbers(2, n_heads));
            let (keys, values) = (numbers(3, 2 * TILE * head_dim), numbers(4, 2 * TILE * padded));
            let counted = start..start + n;
            let mut by_set = Vec::new();
            for kernels in Kernels::all() {
                let (mut sums, mut totals, mut highest) = (vec![0.0; n_heads * padded], vec![1.0; n_heads], sinks.clone());
                for tile_idx in 0..2 {
                    let within = |position: usize| position.clamp(tile_idx * TILE, (tile_idx + 1) * TILE) - tile_idx * TILE;
                    let counted = within(counted.start)..within(counted.end);
                    if counted.is_empty() { continue; }
                    let tile = Tile {
                        keys: &keys[tile_idx * TILE * head_dim..][..TILE * head_dim],
                        values: &values[tile_idx * TILE * padded..][..TILE * padded],
                        counted,
                    };
                    let running = Running { queries: &queries, sums: &mut sums, highest: &mut highest, totals: &mut totals };
                    kernels.attend(running, &tile);
                }
                for head in 0..n_heads {
                    let score = |position: usize| (0..head_dim).map(|d| {
                        let key = keys[(position / LANES * head_dim + d) * LANES + position % LANES];
                        f64::from(queries[head * head_dim + d]) * f64::from(key)
                    }).sum::<f64>().exp();
                    let total = f64::from(sinks[head]).exp() + counted.clone().map(score).sum::<f64>();
                    for d in 0..head_dim {
                        let value = |position: usize| f64::from(values[position * padded + d]);
                        let expected = counted.clone().map(|p| score(p) * value(p)).sum::<f64>() / total;
                        let found = f64::from(sums[head * padded + d] / totals[head]);
                        prop_assert!((found - expected).abs() < 1e-5, "head {head}, column {d}: {found}, expected {expected}");
                    }
                }
                by_set.push((sums, totals, highest));
            }
            prop_assert!(by_set.windows(2).all(|pair| pair[0] == pair[1]), "the same bits by every set");
        }
    }
}
