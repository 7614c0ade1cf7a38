//! The inner loops: rows of weights times vectors, and attention's two sums.
//!
//! What it is not: it knows no layer and no model. Each operation stands here once, does it in plain Rust ([`scalar`]) or
//! with AVX2 ([`avx2`]), and gives for one row and one vector the same bits however many rows and vectors come with them:
//! this is why a prompt may be split in any way without changing a result.
//! Start at [`Kernels`]; [`pool`] spreads the work over threads.

#[cfg(target_arch = "x86_64")]
mod avx2;
pub(crate) mod pool;
mod scalar;

use pool::Block;

/// Which instructions are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kernels(Set);

// Private, so that AVX2 is only ever chosen where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

/// Columns that [`Kernels::add_picked`] sums at a time.
pub(crate) const STRIP: usize = 32;

/// Vectors of one width: all of a matrix, or some of its rows.
#[derive(Clone, Copy)]
pub(crate) struct Vectors<'a> {
    data: &'a [f32], // [n][width]
    width: usize,
    picks: Option<&'a [u32]>,
}

impl<'a> Vectors<'a> {
    /// The rows of `data`: [n][width].
    pub(crate) fn all(data: &'a [f32], width: usize) -> Self {
        Self { data, width, picks: None }
    }

    /// The rows of `data` that `picks` names, in that order.
    pub(crate) fn picked(data: &'a [f32], width: usize, picks: &'a [u32]) -> Self {
        Self { data, width, picks: Some(picks) }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.picks.map_or(self.data.len() / self.width, <[u32]>::len)
    }

    fn at(&self, idx: usize) -> &'a [f32] {
        let row = self.picks.map_or(idx, |picks| picks[idx] as usize);
        &self.data[row * self.width..][..self.width]
    }
}

/// Rows of bf16, little-endian: [n_rows][width].
#[derive(Clone, Copy)]
pub(crate) struct Bf16Rows<'a> {
    data: &'a [[u8; 2]],
    width: usize,
}

impl<'a> Bf16Rows<'a> {
    /// Rows of `width` numbers.
    pub(crate) fn new(bytes: &'a [u8], width: usize) -> Self {
        Self { data: bytes.as_chunks().0, width }
    }

    /// Numbers in a row.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Some of the rows.
    pub(crate) fn rows(self, rows: std::ops::Range<usize>) -> Self {
        Self { data: &self.data[rows.start * self.width..rows.end * self.width], ..self }
    }

    fn len(&self) -> usize {
        self.data.len() / self.width
    }

    fn at(&self, idx: usize) -> &'a [[u8; 2]] {
        &self.data[idx * self.width..][..self.width]
    }

    /// One row, as f32.
    pub(crate) fn read(&self, idx: usize, out: &mut [f32]) {
        for (out, bits) in out.iter_mut().zip(self.at(idx)) {
            *out = scalar::bf16(*bits);
        }
    }
}

/// Rows of MXFP4 (OCP Microscaling Formats 1.0): blocks of 32 E2M1 numbers, the low nibble first, each with an E8M0 scale.
#[derive(Clone, Copy)]
pub(crate) struct Mxfp4Rows<'a> {
    blocks: &'a [[u8; 16]], // [n_rows][width / 32]
    scales: &'a [u8],       // [n_rows][width / 32]
    width: usize,
}

impl<'a> Mxfp4Rows<'a> {
    /// Rows of `width` numbers, a multiple of 32.
    pub(crate) fn new(blocks: &'a [u8], scales: &'a [u8], width: usize) -> Self {
        let blocks = blocks.as_chunks().0;
        assert_eq!((blocks.len(), width % 32), (scales.len(), 0), "one scale for each block of 32");
        Self { blocks, scales, width }
    }

    /// Some of the rows.
    pub(crate) fn rows(self, rows: std::ops::Range<usize>) -> Self {
        let n = self.width / 32;
        let range = rows.start * n..rows.end * n;
        Self { blocks: &self.blocks[range.clone()], scales: &self.scales[range], ..self }
    }

    fn len(&self) -> usize {
        self.scales.len() / (self.width / 32)
    }

    fn at(&self, idx: usize) -> (&'a [[u8; 16]], &'a [u8]) {
        let n = self.width / 32;
        (&self.blocks[idx * n..][..n], &self.scales[idx * n..][..n])
    }
}

/// The power of two that an E8M0 byte stands for; 255 is not a number.
fn e8m0(scale: u8) -> f32 {
    match scale {
        0 => f32::from_bits(1 << 22),
        255 => f32::NAN,
        _ => f32::from_bits(u32::from(scale) << 23),
    }
}

impl Kernels {
    /// The best that this processor has.
    pub(crate) fn best() -> Self {
        *Self::all().last().expect("the scalar set is always there")
    }

    /// All that this processor has, the plain one first.
    pub(crate) fn all() -> Vec<Self> {
        let mut sets = vec![Self(Set::Scalar)];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            sets.push(Self(Set::Avx2));
        }
        sets
    }

    /// `out[t][r] = rows[r] . x[t]` for every vector t and every row r.
    pub(crate) fn bf16(self, rows: Bf16Rows<'_>, x: Vectors<'_>, out: &mut Block<'_>) {
        assert_eq!((rows.width, rows.len(), x.len()), (x.width, out.n_columns(), out.n_rows()), "shapes agree");
        match self.0 {
            Set::Scalar => scalar::bf16_rows(rows, x, out),
            // SAFETY: this set exists only where both features were detected.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { avx2::bf16_rows(rows, x, out) },
        }
    }

    /// `out[t][r] = rows[r] . x[t]` for every vector t and every row r.
    pub(crate) fn mxfp4(self, rows: Mxfp4Rows<'_>, x: Vectors<'_>, out: &mut Block<'_>) {
        assert_eq!((rows.width, rows.len(), x.len()), (x.width, out.n_columns(), out.n_rows()), "shapes agree");
        match self.0 {
            Set::Scalar => scalar::mxfp4_rows(rows, x, out),
            // SAFETY: this set exists only where both features were detected.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { avx2::mxfp4_rows(rows, x, out) },
        }
    }

    /// `sum += table[i][picks[i]]` for every i in order.
    pub(crate) fn add_picked(self, sum: &mut [f32; STRIP], table: &[[[f32; STRIP]; 256]], picks: &[u8]) {
        match self.0 {
            Set::Scalar => scalar::add_picked(sum, table, picks),
            // SAFETY: this set exists only where both features were detected.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { avx2::add_picked(sum, table, picks) },
        }
    }

    /// `out[i] = query . keys[i]`, where key i is the first `query.len()` numbers of the i-th stretch of `stride` numbers.
    pub(crate) fn scores(self, query: &[f32], keys: &[f32], stride: usize, out: &mut [f32]) {
        check_stretches(keys, stride, query.len(), out.len());
        match self.0 {
            Set::Scalar => scalar::scores(query, keys, stride, out),
            // SAFETY: this set exists only where both features were detected.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { avx2::scores(query, keys, stride, out) },
        }
    }

    /// `sum += weights[i] * values[i]` for every i in order, where value i lies as key i does in [`Self::scores`].
    pub(crate) fn add_weighted(self, sum: &mut [f32], weights: &[f32], values: &[f32], stride: usize) {
        check_stretches(values, stride, sum.len(), weights.len());
        match self.0 {
            Set::Scalar => scalar::add_weighted(sum, weights, values, stride),
            // SAFETY: this set exists only where both features were detected.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { avx2::add_weighted(sum, weights, values, stride) },
        }
    }
}

fn check_stretches(data: &[f32], stride: usize, width: usize, n: usize) {
    assert!(n == 0 || (n - 1) * stride + width <= data.len(), "{n} stretches of {stride} lie within {}", data.len());
}

#[cfg(test)]
mod tests {
    use super::pool::Pool;
    use super::*;
    use proptest::prelude::*;

    /// Numbers in [-1, 1) from a seed.
    fn numbers(seed: u64, n: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        std::iter::repeat_with(next).take(n).collect()
    }

    fn bytes(seed: u64, n: usize) -> Vec<u8> {
        numbers(seed, n).iter().map(|x| (x * 128.0 + 128.0) as u8).collect()
    }

    /// Runs one block of [n_vectors][n_rows] and returns it.
    fn block(n_vectors: usize, n_rows: usize, work: impl Fn(&mut Block<'_>) + Sync) -> Vec<f32> {
        let mut out = vec![f32::NAN; n_vectors * n_rows];
        let mut pool = Pool::new(1).unwrap();
        pool.blocks(&mut out, n_rows, std::slice::from_ref(&(0..n_vectors)), n_rows, 0, &|_, mut block| {
            work(&mut block)
        });
        out
    }

    /// Compares every set with a sum in f64, and with itself when vectors come one by one.
    fn check(
        n_rows: usize,
        n_vectors: usize,
        x: &[f32],
        width: usize,
        row: impl Fn(usize) -> Vec<f32>,
        run: impl Fn(Kernels, Vectors<'_>, &mut Block<'_>) + Sync,
    ) {
        for kernels in Kernels::all() {
            let out = block(n_vectors, n_rows, |block| run(kernels, Vectors::all(x, width), block));
            for t in 0..n_vectors {
                let vector = &x[t * width..][..width];
                for r in 0..n_rows {
                    let products =
                        row(r).iter().zip(vector).map(|(w, x)| f64::from(*w) * f64::from(*x)).collect::<Vec<_>>();
                    let (sum, size): (f64, f64) = (products.iter().sum(), products.iter().map(|p| p.abs()).sum());
                    let difference = (f64::from(out[t * n_rows + r]) - sum).abs();
                    assert!(difference <= 1e-5 * size, "{kernels:?} row {r} of {n_rows}, vector {t}: {difference}");
                }
                let alone = block(1, n_rows, |block| run(kernels, Vectors::picked(x, width, &[t as u32]), block));
                assert_eq!(alone, out[t * n_rows..][..n_rows], "{kernels:?}: the same bits alone and among others");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn bf16_rows_are_summed_as_in_f64(n_rows in 1..20usize, n_vectors in 1..8usize, width in 1..150usize, seed: u64) {
            let weights: Vec<u8> =
                numbers(seed, n_rows * width).iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect();
            let rows = Bf16Rows::new(&weights, width);
            let x = numbers(!seed, n_vectors * width);
            let row = |r: usize| { let mut row = vec![0.0; width]; rows.read(r, &mut row); row };
            check(n_rows, n_vectors, &x, width, row, |kernels, x, block| kernels.bf16(rows, x, block));
        }

        #[test]
        fn mxfp4_rows_are_summed_as_in_f64(n_rows in 1..14usize, n_vectors in 1..8usize, n_blocks in 1..5usize, seed: u64) {
            const E2M1: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
            let width = 32 * n_blocks;
            let blocks = bytes(seed, n_rows * n_blocks * 16);
            let scales: Vec<u8> = bytes(seed ^ 7, n_rows * n_blocks).iter().map(|b| 110 + b % 30).collect();
            let rows = Mxfp4Rows::new(&blocks, &scales, width);
            let x = numbers(!seed, n_vectors * width);
            let row = |r: usize| (0..width).map(|column| {
                let block = r * n_blocks + column / 32;
                let code = blocks[block * 16 + column % 32 / 2] >> (4 * (column % 2)) & 15;
                let sign = if code < 8 { 1.0 } else { -1.0 };
                sign * E2M1[usize::from(code % 8)] * 2f32.powi(i32::from(scales[block]) - 127)
            }).collect();
            check(n_rows, n_vectors, &x, width, row, |kernels, x, block| kernels.mxfp4(rows, x, block));
        }

        #[test]
        fn attention_sums_are_those_of_f64(n in 0..70usize, width in 1..80usize, gap in 0..9usize, seed: u64) {
            let stride = width + gap;
            let data = numbers(seed, n * stride);
            let query = numbers(!seed, width);
            let weights = numbers(seed ^ 3, n);
            for kernels in Kernels::all() {
                let mut scores = vec![f32::NAN; n];
                kernels.scores(&query, &data, stride, &mut scores);
                for (i, score) in scores.iter().enumerate() {
                    let key = &data[i * stride..];
                    let sum: f64 = query.iter().zip(key).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
                    prop_assert!((f64::from(*score) - sum).abs() < 1e-4);
                }
                let mut sum = query.clone();
                kernels.add_weighted(&mut sum, &weights, &data, stride);
                for (d, sum) in sum.iter().enumerate() {
                    let added: f64 = (0..n).map(|i| f64::from(weights[i]) * f64::from(data[i * stride + d])).sum();
                    prop_assert!((f64::from(*sum) - f64::from(query[d]) - added).abs() < 1e-4);
                }
            }
        }
    }

    #[test]
    fn picked_rows_are_added_in_order() {
        let table: Vec<[[f32; STRIP]; 256]> = (0..3u64)
            .map(|i| std::array::from_fn(|j| numbers(i * 256 + j as u64 + 1, STRIP).try_into().unwrap()))
            .collect();
        for kernels in Kernels::all() {
            let mut sum = [0.25; STRIP];
            kernels.add_picked(&mut sum, &table, &[0, 255, 7]);
            for (column, sum) in sum.into_iter().enumerate() {
                assert_eq!(sum, 0.25 + table[0][0][column] + table[1][255][column] + table[2][7][column]);
            }
        }
    }

    #[test]
    fn scales_reach_from_the_smallest_power_to_not_a_number() {
        for (scale, expected) in
            [(0, 2f32.powi(-127)), (1, 2f32.powi(-126)), (127, 1.0), (130, 8.0), (254, 2f32.powi(127))]
        {
            assert_eq!(e8m0(scale), expected);
        }
        assert!(e8m0(255).is_nan());
    }
}
