//! Products with panels by AVX-512 with VNNI.
//!
//! What it is not: it checks no shapes; [`super::super::Kernels`] has done that. Sixteen rows are sixteen lanes, and one
//! instruction multiplies four bytes of each with four of a vector: the first must be unsigned, so weights are lifted, and
//! the activations' own sums take that off again. Start at [`products`].

use super::super::activations::{ActivationBlock, Activations};
use super::super::pool::Block;
use super::{CHUNK, E2M1_LIFTED, Format, PANEL, Panel, Panels};
use std::arch::x86_64::*;

/// # Safety
/// The processor has AVX-512 F, BW and VNNI. The panels are as wide as the vectors, and the block has a row for each vector
/// and a column for each row of the panels.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
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
    let mut sums = [[0.0; PANEL]; CHUNK];
    for (panel_idx, panel) in panels.each().enumerate() {
        let first = panel_idx * PANEL;
        let n_rows = PANEL.min(panels.n_rows() - first);
        for first_vector in (0..x.n).step_by(CHUNK) {
            let n = CHUNK.min(x.n - first_vector);
            // SAFETY: panel and vectors have the same number of blocks, and `n` vectors from `first_vector` on are there.
            unsafe {
                match panels.format() {
                    Format::Mxfp4 => mxfp4_many(panel, x, first_vector, &mut sums[..n]),
                    Format::Q8 => q8_many(panel, x, first_vector, &mut sums[..n]),
                }
            }
            for (t, sums) in sums[..n].iter().enumerate() {
                out.row(first_vector + t)[first..][..n_rows].copy_from_slice(&sums[..n_rows]);
            }
        }
    }
}

/// Four codes of a vector, in every lane.
///
/// # Safety
/// `four < 8`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn codes(x: *const ActivationBlock, four: usize) -> __m512i {
    // SAFETY: a block begins with its 32 codes.
    unsafe { _mm512_set1_epi32(x.cast::<i32>().add(four).read()) }
}

/// Constants of the MXFP4 kernels.
#[derive(Clone, Copy)]
struct Lookup {
    values: __m512i,
    nibble: __m512i,
}

impl Lookup {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn new() -> Self {
        // SAFETY: the table has 16 bytes.
        let values = unsafe { _mm_loadu_si128(E2M1_LIFTED.as_ptr().cast()) };
        Self { values: _mm512_broadcast_i32x4(values), nibble: _mm512_set1_epi8(15) }
    }

    /// The lifted values of the lower and of the upper nibbles.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn weights(self, packed: __m512i) -> [__m512i; 2] {
        let low = _mm512_and_si512(packed, self.nibble);
        let high = _mm512_and_si512(_mm512_srli_epi16(packed, 4), self.nibble);
        [_mm512_shuffle_epi8(self.values, low), _mm512_shuffle_epi8(self.values, high)]
    }
}

/// Weights of Q8 and 128 more, as unsigned bytes.
///
/// # Safety
/// A line begins there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn lifted(weights: *const u8) -> __m512i {
    // SAFETY: by this function's own contract.
    _mm512_xor_si512(unsafe { _mm512_load_si512(weights.cast()) }, _mm512_set1_epi8(-128))
}

/// Sixteen exponents as floats.
///
/// # Safety
/// There are 16 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn exponents(scales: *const u8) -> __m512 {
    // SAFETY: by this function's own contract.
    let bytes = unsafe { _mm_loadu_si128(scales.cast()) };
    _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu8_epi32(bytes), 23))
}

/// Sixteen f16 as floats.
///
/// # Safety
/// There are 32 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn halves(scales: *const u8) -> __m512 {
    // SAFETY: by this function's own contract.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(scales.cast()) })
}

/// One vector through some panels, a line of each in turn.
///
/// # Safety
/// As [`products`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn mxfp4_one<const P: usize>(panels: [Panel<'_>; P], x: Activations<'_>) -> [[f32; PANEL]; P] {
    let lookup = Lookup::new();
    let mut sums = [_mm512_setzero_ps(); P];
    for block_idx in 0..x.n_blocks() {
        let (scales_at, codes_at) = Format::Mxfp4.place(block_idx);
        // SAFETY: this block of the vector and of each panel.
        unsafe {
            let x = x.blocks.as_ptr().add(block_idx);
            let mut dots = [_mm512_set1_epi32((*x).e2m1_offset); P];
            for eight in 0..4 {
                let (first, second) = (codes(x, 2 * eight), codes(x, 2 * eight + 1));
                for p in 0..P {
                    let packed = panels[p].bytes.as_ptr().add(codes_at + 64 * eight);
                    let [low, high] = lookup.weights(_mm512_load_si512(packed.cast()));
                    dots[p] = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(dots[p], low, first), high, second);
                }
            }
            let scale = _mm512_set1_ps((*x).scale);
            for p in 0..P {
                let scale = _mm512_mul_ps(exponents(panels[p].bytes.as_ptr().add(scales_at)), scale);
                sums[p] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[p]), scale, sums[p]);
            }
        }
    }
    sums.map(|sums| store(sums))
}

/// As [`mxfp4_one`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn q8_one<const P: usize>(panels: [Panel<'_>; P], x: Activations<'_>) -> [[f32; PANEL]; P] {
    let mut sums = [_mm512_setzero_ps(); P];
    for block_idx in 0..x.n_blocks() {
        let (scales_at, codes_at) = Format::Q8.place(block_idx);
        // SAFETY: this block of the vector and of each panel.
        unsafe {
            let x = x.blocks.as_ptr().add(block_idx);
            let mut dots = [_mm512_set1_epi32((*x).byte_offset); P];
            for four in 0..8 {
                let codes = codes(x, four);
                for p in 0..P {
                    let weights = lifted(panels[p].bytes.as_ptr().add(codes_at + 64 * four));
                    dots[p] = _mm512_dpbusd_epi32(dots[p], weights, codes);
                }
            }
            let scale = _mm512_set1_ps((*x).scale);
            for p in 0..P {
                let scale = _mm512_mul_ps(halves(panels[p].bytes.as_ptr().add(scales_at)), scale);
                sums[p] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[p]), scale, sums[p]);
            }
        }
    }
    sums.map(|sums| store(sums))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn store(sums: __m512) -> [f32; PANEL] {
    let mut out = [0.0; PANEL];
    // SAFETY: sixteen floats.
    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sums) };
    out
}

/// Unpacks each block once for all vectors.
///
/// # Safety
/// As [`products`]; the vectors from `first` on, one for each of the sums, are there.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn mxfp4_many(panel: Panel<'_>, x: Activations<'_>, first: usize, sums: &mut [[f32; PANEL]]) {
    let lookup = Lookup::new();
    sums.fill([0.0; PANEL]);
    for block_idx in 0..x.n_blocks() {
        let (scales_at, codes_at) = Format::Mxfp4.place(block_idx);
        // SAFETY: this block of the vectors and of the panel.
        unsafe {
            let x = x.blocks.as_ptr().add(block_idx * x.n + first);
            let scales = exponents(panel.bytes.as_ptr().add(scales_at));
            let mut weights = [_mm512_setzero_si512(); 8];
            for (eight, weights) in weights.as_chunks_mut().0.iter_mut().enumerate() {
                let packed = panel.bytes.as_ptr().add(codes_at + 64 * eight);
                *weights = lookup.weights(_mm512_load_si512(packed.cast()));
            }
            for (t, sums) in sums.iter_mut().enumerate() {
                let x = x.add(t);
                add(&weights, x, _mm512_set1_epi32((*x).e2m1_offset), scales, sums);
            }
        }
    }
}

/// As [`mxfp4_many`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn q8_many(panel: Panel<'_>, x: Activations<'_>, first: usize, sums: &mut [[f32; PANEL]]) {
    sums.fill([0.0; PANEL]);
    for block_idx in 0..x.n_blocks() {
        let (scales_at, codes_at) = Format::Q8.place(block_idx);
        // SAFETY: this block of the vectors and of the panel.
        unsafe {
            let x = x.blocks.as_ptr().add(block_idx * x.n + first);
            let scales = halves(panel.bytes.as_ptr().add(scales_at));
            let mut weights = [_mm512_setzero_si512(); 8];
            for (four, weights) in weights.iter_mut().enumerate() {
                *weights = lifted(panel.bytes.as_ptr().add(codes_at + 64 * four));
            }
            for (t, sums) in sums.iter_mut().enumerate() {
                let x = x.add(t);
                add(&weights, x, _mm512_set1_epi32((*x).byte_offset), scales, sums);
            }
        }
    }
}

/// Adds a block's products with one vector to its sums.
///
/// # Safety
/// `x` is a block.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn add(
    weights: &[__m512i; 8],
    x: *const ActivationBlock,
    offset: __m512i,
    scales: __m512,
    sums: &mut [f32; PANEL],
) {
    // SAFETY: by this function's own contract; there are sixteen sums.
    unsafe {
        // Two chains side by side; integers add up the same.
        let mut dots = [offset, _mm512_setzero_si512()];
        for (four, weights) in weights.iter().enumerate() {
            dots[four % 2] = _mm512_dpbusd_epi32(dots[four % 2], *weights, codes(x, four));
        }
        let sum = _mm512_cvtepi32_ps(_mm512_add_epi32(dots[0], dots[1]));
        let scale = _mm512_mul_ps(scales, _mm512_set1_ps((*x).scale));
        _mm512_storeu_ps(sums.as_mut_ptr(), _mm512_fmadd_ps(sum, scale, _mm512_loadu_ps(sums.as_ptr())));
    }
}
