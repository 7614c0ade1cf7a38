//! Products with panels by AVX2 and FMA.
//!
//! What it is not: it checks no shapes; [`super::super::Kernels`] has done that. Eight rows are eight lanes. Products of
//! unsigned with signed bytes are summed in pairs into 16 bits, so the weights of MXFP4 are looked up with an offset, which
//! the activations' own sums take off again, and those of Q8 lend their signs to the activations.
//! Start at [`products`]. (Loops over registers are written with indices, as in the module of the same name above.)

#![allow(clippy::needless_range_loop)]

use super::super::activations::{ActivationBlock, Activations};
use super::super::pool::Block;
use super::{CHUNK, E2M1_LIFTED, Format, PANEL, Panel, Panels};
use std::arch::x86_64::*;

/// Sums of the vectors of a chunk.
type Sums = [[f32; PANEL]; CHUNK];

/// # Safety
/// The processor has AVX2, FMA and F16C. The panels are as wide as the vectors, and the block has a row for each vector and
/// a column for each row of the panels.
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) unsafe fn products(panels: Panels<'_>, x: Activations<'_>, out: &mut Block<'_>) {
    if x.n == 1 {
        // SAFETY: panels and vector have the same number of blocks.
        match panels.format() {
            Format::Mxfp4 => {
                panels.side_by_side(out, |four| unsafe { mxfp4_one(four, x) }, |one| unsafe { mxfp4_one(one, x) });
            }
            Format::Q8 => panels.side_by_side(out, |four| unsafe { q8_one(four, x) }, |one| unsafe { q8_one(one, x) }),
        }
        return;
    }
    let mut sums: Sums = [[0.0; PANEL]; CHUNK];
    for (panel_idx, panel) in panels.each().enumerate() {
        let first = panel_idx * PANEL;
        let n_rows = PANEL.min(panels.n_rows() - first);
        for first_vector in (0..x.n).step_by(CHUNK) {
            let n = CHUNK.min(x.n - first_vector);
            // SAFETY: panel and vectors have the same number of blocks, and `n` vectors from `first_vector` on are there.
            unsafe {
                match panels.format() {
                    Format::Mxfp4 => mxfp4_many(panel, x, first_vector, n, &mut sums),
                    Format::Q8 => q8_many(panel, x, first_vector, n, &mut sums),
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

/// One vector through some panels, a line of each in turn.
///
/// # Safety
/// As [`products`].
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn mxfp4_one<const P: usize>(panels: [Panel<'_>; P], x: Activations<'_>) -> [[f32; PANEL]; P] {
    let lookup = Lookup::new();
    let ones = _mm256_set1_epi16(1);
    let mut sums = [[_mm256_setzero_ps(); 2]; P];
    for block_idx in 0..x.n_blocks() {
        let (scales_at, codes_at) = Format::Mxfp4.place(block_idx);
        // SAFETY: this block of the vector and of each panel's two halves.
        unsafe {
            let x = x.blocks.as_ptr().add(block_idx);
            // The pairs' sums may overflow 16 bits on their way, and do not in the end.
            let mut pairs = [[_mm256_set1_epi32((&raw const (*x).pair_offsets).cast::<i32>().read()); 2]; P];
            for eight in 0..4 {
                let (first, second) = (codes(x, 2 * eight), codes(x, 2 * eight + 1));
                for p in 0..P {
                    let packed = panels[p].bytes.as_ptr().add(codes_at + 64 * eight);
                    for half in 0..2 {
                        let [low, high] = lookup.weights(_mm256_load_si256(packed.add(32 * half).cast()));
                        let sum =
                            _mm256_add_epi16(_mm256_maddubs_epi16(low, first), _mm256_maddubs_epi16(high, second));
                        pairs[p][half] = _mm256_add_epi16(pairs[p][half], sum);
                    }
                }
            }
            let scale = _mm256_set1_ps((*x).scale);
            for p in 0..P {
                let scales = panels[p].bytes.as_ptr().add(scales_at);
                for half in 0..2 {
                    let sum = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs[p][half], ones));
                    let scale = _mm256_mul_ps(exponents(scales.add(8 * half)), scale);
                    sums[p][half] = _mm256_fmadd_ps(sum, scale, sums[p][half]);
                }
            }
        }
    }
    sums.map(|sums| store(sums))
}

/// As [`mxfp4_one`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn q8_one<const P: usize>(panels: [Panel<'_>; P], x: Activations<'_>) -> [[f32; PANEL]; P] {
    let ones = _mm256_set1_epi16(1);
    let mut sums = [[_mm256_setzero_ps(); 2]; P];
    for block_idx in 0..x.n_blocks() {
        let (scales_at, codes_at) = Format::Q8.place(block_idx);
        // SAFETY: this block of the vector and of each panel's two halves.
        unsafe {
            let x = x.blocks.as_ptr().add(block_idx);
            let mut dots = [[_mm256_setzero_si256(); 2]; P];
            for four in 0..8 {
                let codes = codes(x, four);
                let size = _mm256_abs_epi8(codes);
                for p in 0..P {
                    let weights = panels[p].bytes.as_ptr().add(codes_at + 64 * four);
                    for half in 0..2 {
                        let weights = _mm256_load_si256(weights.add(32 * half).cast());
                        let pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(weights, codes));
                        dots[p][half] = _mm256_add_epi32(dots[p][half], _mm256_madd_epi16(pairs, ones));
                    }
                }
            }
            let scale = _mm256_set1_ps((*x).scale);
            for p in 0..P {
                let scales = panels[p].bytes.as_ptr().add(scales_at);
                for half in 0..2 {
                    let scale = _mm256_mul_ps(halves(scales.add(16 * half)), scale);
                    sums[p][half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[p][half]), scale, sums[p][half]);
                }
            }
        }
    }
    sums.map(|sums| store(sums))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store(sums: [__m256; 2]) -> [f32; PANEL] {
    let mut out = [0.0; PANEL];
    // SAFETY: two times eight floats.
    unsafe {
        _mm256_storeu_ps(out.as_mut_ptr(), sums[0]);
        _mm256_storeu_ps(out.as_mut_ptr().add(8), sums[1]);
    }
    out
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
        let (scales_at, codes_at) = Format::Mxfp4.place(block_idx);
        for half in 0..2 {
            // SAFETY: this block of the vectors and of one half of the panel.
            unsafe {
                let x = x.blocks.as_ptr().add(block_idx * x.n + first);
                let scales = exponents(panel.bytes.as_ptr().add(scales_at + 8 * half));
                let packed = panel.bytes.as_ptr().add(codes_at + 32 * half);
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
        let (scales_at, codes_at) = Format::Q8.place(block_idx);
        for half in 0..2 {
            // SAFETY: this block of the vectors and of one half of the panel.
            unsafe {
                let x = x.blocks.as_ptr().add(block_idx * x.n + first);
                let scales = halves(panel.bytes.as_ptr().add(scales_at + 16 * half));
                let weights_at = panel.bytes.as_ptr().add(codes_at + 32 * half);
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
