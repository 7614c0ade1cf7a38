//! Attention over a tile of positions: scores, a softmax that goes on from tile to tile, and the sum of the values.
//!
//! What it is not: it knows no cache and no layer. It is written once over eight lanes, which are an array in plain Rust and
//! a register where there are such: all give the same bits. Start at [`Running::add`].
//! (Milakov, Gimelshein 2018, arXiv 1805.02867: the softmax as it goes.)

/// Positions side by side: a lane each.
pub(crate) const LANES: usize = 8;

/// Positions in a tile.
pub(crate) const TILE: usize = 64;

/// Query heads that go through a tile together.
pub(crate) const HEADS: usize = 8;

/// Eight numbers side by side.
pub(super) trait Eight: Copy {
    fn all(x: f32) -> Self;
    fn load(x: &[f32; LANES]) -> Self;
    fn store(self, out: &mut [f32; LANES]);
    /// `self * x + sum`, rounded once.
    fn mul_add(self, x: Self, sum: Self) -> Self;
}

impl Eight for [f32; LANES] {
    #[inline(always)]
    fn all(x: f32) -> Self {
        [x; LANES]
    }

    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Self {
        *x
    }

    #[inline(always)]
    fn store(self, out: &mut [f32; LANES]) {
        *out = self;
    }

    #[inline(always)]
    fn mul_add(self, x: Self, mut sum: Self) -> Self {
        sum.iter_mut().zip(self).zip(x).for_each(|((sum, a), b)| *sum = a.mul_add(b, *sum));
        sum
    }
}

/// Keys and values of a tile, and which of its positions count.
pub(crate) struct Tile<'a> {
    pub(crate) keys: &'a [f32],   // [TILE / LANES][head_dim][LANES]
    pub(crate) values: &'a [f32], // [TILE][padded head_dim]
    pub(crate) counted: std::ops::Range<usize>,
}

/// The attention of some heads of one token, as far as it has come.
pub(crate) struct Running<'a> {
    pub(crate) queries: &'a [f32],     // [head_dim][n_heads], scaled
    pub(crate) sums: &'a mut [f32],    // [n_heads][padded head_dim]
    pub(crate) highest: &'a mut [f32], // [n_heads]
    pub(crate) totals: &'a mut [f32],  // [n_heads]
}

/// For each position of a tile one number of each head: scores, then weights.
type Weights = [[f32; TILE]; HEADS];

impl Running<'_> {
    /// Adds a tile. The heads are at most [`HEADS`].
    #[inline(always)]
    pub(super) fn add<E: Eight>(&mut self, tile: &Tile<'_>) {
        let n_heads = self.highest.len();
        let mut weights: Weights = [[0.0; TILE]; HEADS];
        // So many chains of sums keep a processor busy; fewer heads are not worth code of their own.
        for head in (0..n_heads).step_by(HEADS / 2) {
            match n_heads - head {
                HEADS if head == 0 => return self.add_heads::<E, HEADS>(0, tile, &mut weights),
                left if left >= HEADS / 2 => self.add_heads::<E, { HEADS / 2 }>(head, tile, &mut weights),
                left => (head..head + left).for_each(|head| self.add_heads::<E, 1>(head, tile, &mut weights)),
            }
        }
    }

    /// Adds a tile to `N` heads from `head` on.
    #[inline(always)]
    fn add_heads<E: Eight, const N: usize>(&mut self, head: usize, tile: &Tile<'_>, weights: &mut Weights) {
        let head_dim = self.queries.len() / self.highest.len();
        for (block_idx, keys) in tile.keys.chunks_exact(head_dim * LANES).enumerate() {
            let first = block_idx * LANES;
            if first + LANES > tile.counted.start && first < tile.counted.end {
                self.scores::<E, N>(head, keys, weights, first);
            }
        }
        for (i, weights) in weights[..N].iter_mut().enumerate() {
            self.soften(head + i, weights, &tile.counted);
        }
        let padded = self.sums.len() / self.highest.len();
        for column in (0..padded).step_by(LANES) {
            self.add_values::<E, N>(head, column, padded, tile, weights);
        }
    }

    /// The scores of `N` heads from `head` on with eight keys.
    #[inline(always)]
    fn scores<E: Eight, const N: usize>(&self, head: usize, keys: &[f32], scores: &mut Weights, first: usize) {
        let mut sums = [E::all(0.0); N];
        let queries = self.queries.chunks_exact(self.highest.len());
        for (keys, queries) in keys.as_chunks::<LANES>().0.iter().zip(queries) {
            let keys = E::load(keys);
            let queries: &[f32; N] = queries[head..].first_chunk().expect("one number of each head");
            for i in 0..N {
                sums[i] = E::all(queries[i]).mul_add(keys, sums[i]);
            }
        }
        for (sums, scores) in sums.iter().zip(scores) {
            sums.store(scores[first..].first_chunk_mut().expect("a tile has whole blocks"));
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
            for (highest, score) in lanes.iter_mut().zip(eight) {
                *highest = if score > highest { *score } else { *highest };
            }
        }
        let highest = lanes.iter().fold(f32::NEG_INFINITY, |highest, lane| highest.max(*lane));
        if highest > self.highest[head] {
            let shrink = exp(self.highest[head] - highest);
            self.totals[head] *= shrink;
            let padded = self.sums.len() / self.highest.len();
            self.sums[head * padded..][..padded].iter_mut().for_each(|sum| *sum *= shrink);
            self.highest[head] = highest;
        }
        weights.iter_mut().for_each(|weight| *weight = exp(*weight - highest));
        let mut totals = [0.0f32; LANES];
        for eight in weights.as_chunks::<LANES>().0 {
            totals.iter_mut().zip(eight).for_each(|(total, weight)| *total += *weight);
        }
        self.totals[head] += totals.iter().sum::<f32>();
    }

    /// Adds eight columns of the values to the sums of `N` heads from `head` on.
    #[inline(always)]
    fn add_values<E: Eight, const N: usize>(
        &mut self,
        head: usize,
        column: usize,
        padded: usize,
        tile: &Tile<'_>,
        weights: &Weights,
    ) {
        let at = |i: usize| (head + i) * padded + column;
        let mut sums = [E::all(0.0); N];
        for (i, sums) in sums.iter_mut().enumerate() {
            *sums = E::load(self.sums[at(i)..].first_chunk().expect("a padded row"));
        }
        let rows = tile.values.chunks_exact(padded).enumerate();
        for (position, row) in rows.take(TILE.min(tile.counted.end)).skip(tile.counted.start) {
            let values = E::load(row[column..].first_chunk().expect("a padded row"));
            for i in 0..N {
                sums[i] = E::all(weights[i][position]).mul_add(values, sums[i]);
            }
        }
        for (i, sums) in sums.into_iter().enumerate() {
            sums.store(self.sums[at(i)..].first_chunk_mut().expect("a padded row"));
        }
    }
}

/// The exponential of numbers that are at most a little above 0, to 2 units in the last place; below -87 it is 0.
///
/// A power of two for the nearest multiple of ln 2, and a polynomial (the Taylor series to the 7th power) for the rest:
/// without a branch, so that a loop over many is one over lanes.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding and taking it away rounds
    const LN_2_HIGH: f32 = 0.693_359_4; // its last bits are zeros, so that multiples are exact
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let within = if x > -87.0 { x } else { -87.0 }; // what is no number, too
    let within = if within < 88.0 { within } else { 88.0 };
    let rounded = within.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let rest = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, within));
    let mut power = 1.0 / 5040.0;
    for term in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        power = rest.mul_add(power, term);
    }
    // The last bits of what was rounded are n: moved to an exponent's place they are 2^n.
    let scaled = power * f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    if x < -87.0 { 0.0 } else { scaled }
}

/// `gate * sigmoid(1.702 * gate) * (up + 1)`, both sides clamped, the gate only from above: the gated unit of gpt-oss.
/// `gate_up`: [n][2], `out`: [n]
#[inline(always)]
pub(super) fn swiglu(gate_up: &[[f32; 2]], limit: f32, out: &mut [f32]) {
    for ([gate, up], out) in gate_up.iter().zip(out) {
        let gate = if *gate < limit { *gate } else { limit };
        // exp takes no large numbers, and a sigmoid does not need them: exp(80) in a denominator is as good as any.
        let power = exp((-1.702 * gate).min(80.0));
        *out = (up.clamp(-limit, limit) + 1.0) * gate / (1.0 + power);
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
            let error = (f64::from(exp(x)) / expected - 1.0).abs();
            assert!(error < 2.5e-7, "exp({x}) is off by {error:e}");
        }
        for (x, expected) in [(f32::NEG_INFINITY, 0.0), (-87.1, 0.0), (-1e30, 0.0), (0.0, 1.0)] {
            assert_eq!(exp(x), expected, "exp({x})");
        }
        assert!(exp(f32::NAN).is_finite(), "scores that are no numbers do not spread");
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
            let (queries, sinks) = (numbers(1, n_heads * head_dim), numbers(2, n_heads)); // [head_dim][n_heads]
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
                        f64::from(queries[d * n_heads + head]) * f64::from(key)
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
