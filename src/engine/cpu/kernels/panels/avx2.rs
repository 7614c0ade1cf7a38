//! Products with panels by AVX2 and FMA.
//!
//! What it is not: it checks no shapes; [`super::super::Kernels`] has done that. Eight rows are eight lanes. Products of
//! unsigned with signed bytes are summed in pairs into 16 bits, so the weights of MXFP4 are looked up with an offset, which
//! the activations' own sums take off again, and those of Q8 lend their signs to the activations.
//! Start at [`products`]. (Loops over registers are written with indices, as in the module of the same name above.)

#![allow(clippy::needless_range_loop)]

use super::super::activations::{ActivationBlock, Activations};
use super::super::pool::Block;
use super::{AHEAD, CHUNK, E2M1_LIFTED, Format, PANEL, Panel, Panels};
use std::arch::x86_64::*;

/// Sums of the vectors of a chunk.
type Sums = [[f32; PANEL]; CHUNK];

/// # Safety
/// The processor has AVX2, FMA and F16C. The panels are as wide as the vectors, and the block has a row for each vector and
/// a column for each row of the panels.
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) unsafe fn products(panels: Panels<'_>, x: Activations<'_>, out: &mut Block<'_>) {
    let mut sums: Sums = [[0.0; PANEL]; CHUNK];
    let mut n_done = 0;
    if panels.format() == Format::Q8 && x.n == 1 {
        // SAFETY: panels and vector have the same number of blocks.
        n_done = unsafe { q8_streams(panels, x, out) };
    }
    for (panel_idx, panel) in panels.each().enumerate().skip(n_done) {
        let first = panel_idx * PANEL;
        let n_rows = PANEL.min(panels.n_rows() - first);
        for first_vector in (0..x.n).step_by(CHUNK) {
            let n = CHUNK.min(x.n - first_vector);
            // SAFETY: panel and vectors have the same number of blocks, and `n` vectors from `first_vector` on are there.
            unsafe {
                match (panels.format(), n) {
                    (Format::Mxfp4, 1) => mxfp4_one(panel, x, first_vector, &mut sums[0]),
                    (Format::Mxfp4, _) => mxfp4_many(panel, x, first_vector, n, &mut sums),
                    (Format::Q8, 1) => sums[0] = q8_one([panel], x, first_vector)[0],
                    (Format::Q8, _) => q8_many(panel, x, first_vector, n, &mut sums),
                }
            }
            for (t, sums) in sums[..n].iter().enumerate() {
                out.row(first_vector + t)[first..][..n_rows].copy_from_slice(&sums[..n_rows]);
            }
        }
    }
}

/// Constants of the MXFP4 kernels.
#[derive(Clone, Copy)]
struct Lookup {
    values: __m256i,
    nibble: __m256i,
}

impl Lookup {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn new() -> Self {
        // SAFETY: the table has 16 bytes.
        let values = unsafe { _mm_loadu_si128(E2M1_LIFTED.as_ptr().cast()) };
        Self { values: _mm256_broadcastsi128_si256(values), nibble: _mm256_set1_epi8(15) }
    }

    /// The lifted values of the lower and of the upper nibbles.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn weights(self, packed: __m256i) -> [__m256i; 2] {
        let low = _mm256_and_si256(packed, self.nibble);
        let high = _mm256_and_si256(_mm256_srli_epi16(packed, 4), self.nibble);
        [_mm256_shuffle_epi8(self.values, low), _mm256_shuffle_epi8(self.values, high)]
    }
}

/// Four codes of a vector, in every lane.
///
/// # Safety
/// `four < 8`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn codes(x: *const ActivationBlock, four: usize) -> __m256i {
    // SAFETY: a block begins with its 32 codes.
    unsafe { _mm256_set1_epi32(x.cast::<i32>().add(four).read()) }
}

/// Eight exponents as floats.
///
/// # Safety
/// There are eight bytes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn exponents(scales: *const u8) -> __m256 {
    // SAFETY: by this function's own contract.
    let bytes = unsafe { _mm_loadl_epi64(scales.cast()) };
    _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu8_epi32(bytes), 23))
}

/// Eight f16 as floats.
///
/// # Safety
/// There are 16 bytes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn halves(scales: *const u8) -> __m256 {
    // SAFETY: by this function's own contract.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(scales.cast()) })
}

/// # Safety
/// As [`products`]; the vector is one of those of `x`.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn mxfp4_one(panel: Panel<'_>, x: Activations<'_>, vector: usize, out: &mut [f32; PANEL]) {
    let lookup = Lookup::new();
    let ones = _mm256_set1_epi16(1);
    let mut sums = [_mm256_setzero_ps(); 2];
    let (mut scales, mut packed) = (panel.scales.as_ptr(), panel.codes.as_ptr());
    for block_idx in 0..x.n_blocks() {
        // SAFETY: this block of the vector and of the panel's two halves; prefetching touches nothing.
        unsafe {
            let x = x.blocks.as_ptr().add(block_idx * x.n + vector);
            for line in 0..4 {
                _mm_prefetch::<_MM_HINT_T0>(packed.wrapping_add(AHEAD + 64 * line).cast());
            }
            // The pairs' sums may overflow 16 bits on their way, and do not in the end.
            let [even, odd] = (*x).pair_offsets;
            let offsets = _mm256_set1_epi32(i32::from(odd) << 16 | i32::from(even.cast_unsigned()));
            let mut pairs = [offsets; 2];
            for eight in 0..4 {
                let (first, second) = (codes(x, 2 * eight), codes(x, 2 * eight + 1));
                for half in 0..2 {
                    let packed = _mm256_load_si256(packed.add(64 * eight + 32 * half).cast());
                    let [low, high] = lookup.weights(packed);
                    let sum = _mm256_add_epi16(_mm256_maddubs_epi16(low, first), _mm256_maddubs_epi16(high, second));
                    pairs[half] = _mm256_add_epi16(pairs[half], sum);
                }
            }
            let scale = _mm256_set1_ps((*x).scale);
            for half in 0..2 {
                let sum = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs[half], ones));
                sums[half] = _mm256_fmadd_ps(sum, _mm256_mul_ps(exponents(scales.add(8 * half)), scale), sums[half]);
            }
            (scales, packed) = (scales.add(PANEL), packed.add(Format::Mxfp4.code_bytes()));
        }
    }
    store(sums, out);
}

/// How many panels of Q8 are read side by side: the memory gives more to several streams than to one.
const STREAMS: usize = 4;

/// One vector through panels of Q8, several at a time; how many that were.
///
/// # Safety
/// As [`products`].
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn q8_streams(panels: Panels<'_>, x: Activations<'_>, out: &mut Block<'_>) -> usize {
    let (mut each, mut n_done) = (panels.each(), 0);
    while (n_done + STREAMS) * PANEL <= panels.n_rows() {
        let (Some(a), Some(b), Some(c), Some(d)) = (each.next(), each.next(), each.next(), each.next()) else { break };
        // SAFETY: by this function's own contract.
        let sums = unsafe { q8_one([a, b, c, d], x, 0) };
        out.row(0)[n_done * PANEL..][..STREAMS * PANEL].copy_from_slice(sums.as_flattened());
        n_done += STREAMS;
    }
    n_done
}

/// # Safety
/// As [`mxfp4_one`].
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn q8_one<const P: usize>(panels: [Panel<'_>; P], x: Activations<'_>, vector: usize) -> [[f32; PANEL]; P] {
    let ones = _mm256_set1_epi16(1);
    let mut sums = [[_mm256_setzero_ps(); 2]; P];
    for block_idx in 0..x.n_blocks() {
        // SAFETY: this block of the vector and of each panel's two halves.
        unsafe {
            let x = x.blocks.as_ptr().add(block_idx * x.n + vector);
            let scale = _mm256_set1_ps((*x).scale);
            for p in 0..P {
                let weights = panels[p].codes.as_ptr().add(block_idx * Format::Q8.code_bytes());
                let scales = panels[p].scales.as_ptr().add(block_idx * 2 * PANEL);
                let mut dots = [_mm256_setzero_si256(); 2];
                for four in 0..8 {
                    let codes = codes(x, four);
                    let size = _mm256_abs_epi8(codes);
                    for half in 0..2 {
                        let weights = _mm256_load_si256(weights.add(64 * four + 32 * half).cast());
                        let pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(weights, codes));
                        dots[half] = _mm256_add_epi32(dots[half], _mm256_madd_epi16(pairs, ones));
                    }
                }
                for half in 0..2 {
                    let scale = _mm256_mul_ps(halves(scales.add(16 * half)), scale);
                    sums[p][half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[half]), scale, sums[p][half]);
                }
            }
        }
    }
    let mut out = [[0.0; PANEL]; P];
    for p in 0..P {
        store(sums[p], &mut out[p]);
    }
    out
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store(sums: [__m256; 2], out: &mut [f32; PANEL]) {
    // SAFETY: two times eight floats.
    unsafe {
        _mm256_storeu_ps(out.as_mut_ptr(), sums[0]);
        _mm256_storeu_ps(out.as_mut_ptr().add(8), sums[1]);
    }
}

/// Unpacks each block once for all vectors.
///
/// # Safety
/// As [`products`]; `n` vectors from `first` on are there, and `n` is at most [`CHUNK`].
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn mxfp4_many(panel: Panel<'_>, x: Activations<'_>, first: usize, n: usize, sums: &mut Sums) {
    let lookup = Lookup::new();
    let ones = _mm256_set1_epi16(1);
    sums[..n].fill([0.0; PANEL]);
    for block_idx in 0..x.n_blocks() {
        for half in 0..2 {
            // SAFETY: this block of the vectors and of one half of the panel.
            unsafe {
                let x = x.blocks.as_ptr().add(block_idx * x.n + first);
                let scales = exponents(panel.scales.as_ptr().add(block_idx * PANEL + 8 * half));
                let packed = panel.codes.as_ptr().add(block_idx * Format::Mxfp4.code_bytes() + 32 * half);
                let mut weights = [[_mm256_setzero_si256(); 2]; 4];
                for eight in 0..4 {
                    weights[eight] = lookup.weights(_mm256_load_si256(packed.add(64 * eight).cast()));
                }
                for (t, sums) in sums[..n].iter_mut().enumerate() {
                    let x = x.add(t);
                    let pair = |eight: usize| {
                        let low = _mm256_maddubs_epi16(weights[eight][0], codes(x, 2 * eight));
                        let high = _mm256_maddubs_epi16(weights[eight][1], codes(x, 2 * eight + 1));
                        _mm256_add_epi16(low, high)
                    };
                    let offsets = _mm256_set1_epi32((&raw const (*x).pair_offsets).cast::<i32>().read());
                    let pairs = _mm256_add_epi16(
                        _mm256_add_epi16(_mm256_add_epi16(pair(0), pair(1)), _mm256_add_epi16(pair(2), pair(3))),
                        offsets,
                    );
                    let sum = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, ones));
                    let scale = _mm256_mul_ps(scales, _mm256_set1_ps((*x).scale));
                    let out = sums.as_mut_ptr().add(8 * half);
                    _mm256_storeu_ps(out, _mm256_fmadd_ps(sum, scale, _mm256_loadu_ps(out)));
                }
            }
        }
    }
}

/// # Safety
/// As [`mxfp4_many`].
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn q8_many(panel: Panel<'_>, x: Activations<'_>, first: usize, n: usize, sums: &mut Sums) {
    let ones = _mm256_set1_epi16(1);
    sums[..n].fill([0.0; PANEL]);
    for block_idx in 0..x.n_blocks() {
        for half in 0..2 {
            // SAFETY: this block of the vectors and of one half of the panel.
            unsafe {
                let x = x.blocks.as_ptr().add(block_idx * x.n + first);
                let scales = halves(panel.scales.as_ptr().add((block_idx * PANEL + 8 * half) * 2));
                let weights_at = panel.codes.as_ptr().add(block_idx * Format::Q8.code_bytes() + 32 * half);
                let mut weights = [_mm256_setzero_si256(); 8];
                for four in 0..8 {
                    weights[four] = _mm256_load_si256(weights_at.add(64 * four).cast());
                }
                for (t, sums) in sums[..n].iter_mut().enumerate() {
                    let x = x.add(t);
                    let mut dots = _mm256_setzero_si256();
                    for (four, weights) in weights.iter().enumerate() {
                        let signed = _mm256_sign_epi8(codes(x, four), *weights);
                        let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(*weights), signed);
                        dots = _mm256_add_epi32(dots, _mm256_madd_epi16(pairs, ones));
                    }
                    let scale = _mm256_mul_ps(scales, _mm256_set1_ps((*x).scale));
                    let out = sums.as_mut_ptr().add(8 * half);
                    let sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots), scale, _mm256_loadu_ps(out));
                    _mm256_storeu_ps(out, sum);
                }
            }
        }
    }
}
