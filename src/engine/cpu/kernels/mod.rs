//! The inner loops: rows of weights times vectors, and attention over a tile.
//!
//! What it is not: it knows no layer and no model. Each operation stands here once, does it in plain Rust ([`scalar`]) or
//! with what the processor has, and gives for one row and one vector the same bits however many rows and vectors come with
//! them: this is why a prompt may be split in any way without changing a result.
//! Start at [`Kernels`]; [`panels`] are the weights that a model runs on, rows as they lie in a checkpoint are for checking
//! them, and [`pool`] spreads the work over threads.

pub(crate) mod activations;
pub(crate) mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;
pub(crate) mod panels;
pub(crate) mod pool;
mod scalar;
pub(super) mod speed;

use activations::Activations;
use attention::{Running, Tile};
use half::f16;
use half::slice::HalfFloatSliceExt;
use panels::Panels;
use pool::Block;

/// Which instructions are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kernels(Set);

// Private, so that a set is only ever chosen where its instructions were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// With VNNI; what gains nothing from it is done as by AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// With its dot product; what gains nothing from it is done by NEON alone, or in plain Rust, which the compiler makes
    /// NEON of.
    #[cfg(target_arch = "aarch64")]
    Neon,
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

    /// Numbers in each.
    pub(crate) fn width(&self) -> usize {
        self.width
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

impl std::fmt::Display for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Set::Scalar => "plain",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "AVX-512 VNNI",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "NEON",
        })
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
        if ["avx2", "fma", "f16c"].into_iter().all(has) {
            sets.push(Self(Set::Avx2));
            if ["avx512f", "avx512bw", "avx512vnni"].into_iter().all(has) {
                sets.push(Self(Set::Avx512));
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            sets.push(Self(Set::Neon));
        }
        sets
    }

    /// `out[t][r] = rows[r] . x[t]` for every vector t and every row r.
    pub(crate) fn panels(self, rows: Panels<'_>, x: Activations<'_>, out: &mut Block<'_>) {
        let shapes = (rows.width() / activations::BLOCK, rows.n_rows(), x.n);
        assert_eq!(shapes, (x.n_blocks(), out.n_columns(), out.n_rows()), "shapes agree");
        match self.0 {
            Set::Scalar => panels::scalar::products(rows, x, out),
            // SAFETY: this set exists only where its instructions were detected; the shapes agree.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { panels::avx2::products(rows, x, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { panels::avx512::products(rows, x, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Set::Neon => unsafe { panels::neon::products(rows, x, out) },
        }
    }

    /// Adds a tile to the attention of some heads of a token.
    pub(crate) fn attend(self, mut running: Running<'_>, tile: &Tile<'_>) {
        match self.0 {
            // SAFETY: these sets exist only where AVX2 and FMA were detected.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 => unsafe { avx2::attend(running, tile) },
            #[cfg(target_arch = "aarch64")]
            Set::Neon => running.add::<neon::Registers>(tile),
            _ => running.add::<[f32; attention::LANES]>(tile),
        }
    }

    /// The gated unit of gpt-oss. `gate_up`: [n][2], `out`: [n]
    pub(crate) fn swiglu(self, gate_up: &[[f32; 2]], limit: f32, out: &mut [f32]) {
        match self.0 {
            // SAFETY: these sets exist only where AVX2 and FMA were detected.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 => unsafe { avx2::swiglu(gate_up, limit, out) },
            _ => attention::swiglu(gate_up, limit, out),
        }
    }

    /// Numbers as f32.
    pub(crate) fn widen(self, numbers: &[f16], out: &mut [f32]) {
        assert_eq!(numbers.len(), out.len(), "as many numbers as there is room for");
        match self.0 {
            // SAFETY: these sets exist only where AVX2 and F16C were detected.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 => unsafe { avx2::widen(numbers, out) },
            // The crate detects NEON itself.
            _ => numbers.convert_to_f32_slice(out),
        }
    }

    /// `out[t][r] = rows[r] . x[t]` for every vector t and every row r. `rows`: [n_rows][width]
    pub(crate) fn f32(self, rows: &[f32], x: Vectors<'_>, out: &mut Block<'_>) {
        assert_eq!((rows.len(), x.len()), (out.n_columns() * x.width, out.n_rows()), "shapes agree");
        match self.0 {
            // SAFETY: these sets exist only where AVX2 and FMA were detected.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 => unsafe { avx2::f32_rows(rows, x, out) },
            _ => scalar::f32_rows(rows, x, out),
        }
    }

    /// `out[t][r] = rows[r] . x[t]` for every vector t and every row r.
    pub(crate) fn bf16(self, rows: Bf16Rows<'_>, x: Vectors<'_>, out: &mut Block<'_>) {
        assert_eq!((rows.width, rows.len(), x.len()), (x.width, out.n_columns(), out.n_rows()), "shapes agree");
        match self.0 {
            // SAFETY: these sets exist only where AVX2 and FMA were detected.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 => unsafe { avx2::bf16_rows(rows, x, out) },
            _ => scalar::bf16_rows(rows, x, out),
        }
    }

    /// `out[t][r] = rows[r] . x[t]` for every vector t and every row r.
    pub(crate) fn mxfp4(self, rows: Mxfp4Rows<'_>, x: Vectors<'_>, out: &mut Block<'_>) {
        assert_eq!((rows.width, rows.len(), x.len()), (x.width, out.n_columns(), out.n_rows()), "shapes agree");
        match self.0 {
            // SAFETY: these sets exist only where AVX2 and FMA were detected.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 => unsafe { avx2::mxfp4_rows(rows, x, out) },
            _ => scalar::mxfp4_rows(rows, x, out),
        }
    }

    /// `sum += table[i][picks[i]]` for every i in order.
    pub(crate) fn add_picked(self, sum: &mut [f32; STRIP], table: &[[[f32; STRIP]; 256]], picks: &[u8]) {
        match self.0 {
            // SAFETY: these sets exist only where AVX2 and FMA were detected.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 => unsafe { avx2::add_picked(sum, table, picks) },
            _ => scalar::add_picked(sum, table, picks),
        }
    }
}

/// Whether this processor has a feature. (The macro wants its name written out.)
#[cfg(target_arch = "x86_64")]
fn has(feature: &str) -> bool {
    match feature {
        "avx2" => is_x86_feature_detected!("avx2"),
        "fma" => is_x86_feature_detected!("fma"),
        "f16c" => is_x86_feature_detected!("f16c"),
        "avx512f" => is_x86_feature_detected!("avx512f"),
        "avx512bw" => is_x86_feature_detected!("avx512bw"),
        "avx512vnni" => is_x86_feature_detected!("avx512vnni"),
        _ => false,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::pool::Pool;
    use super::*;
    use proptest::prelude::*;

    /// Numbers in [-1, 1) from a seed.
    pub(crate) fn numbers(seed: u64, n: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        std::iter::repeat_with(next).take(n).collect()
    }

    pub(super) fn bytes(seed: u64, n: usize) -> Vec<u8> {
        numbers(seed, n).iter().map(|x| (x * 128.0 + 128.0) as u8).collect()
    }

    /// Runs one block of [n_vectors][n_rows] and returns it.
    pub(super) fn block(n_vectors: usize, n_rows: usize, work: impl Fn(&mut Block<'_>) + Sync) -> Vec<f32> {
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
            let row = |r: usize| rows.at(r).iter().map(|bits| scalar::bf16(*bits)).collect();
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
