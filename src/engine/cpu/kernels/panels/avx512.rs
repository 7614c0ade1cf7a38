//! Products with panels by AVX-512 with VNNI.
//!
//! What it is not: it checks no shapes; [`super::super::Kernels`] has done that. Sixteen rows are sixteen lanes, and one
//! instruction multiplies four bytes of each with four of a vector: the first must be unsigned, so weights are lifted, and
//! the activations' own sums take that off again. Start at [`products`].

use super::super::activations::{ActivationBlock, Activations};
use super::super::pool::Block;
use super::{AHEAD, CHUNK, E2M1_LIFTED, Format, PANEL, Panel, Panels};
use std::arch::x86_64::*;

/// # Safety
/// The processor has AVX-512 F, BW and VNNI. The panels are as wide as the vectors, and the block has a row for each vector
/// and a column for each row of the panels.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(crate) unsafe fn products(panels: Panels<'_>, x: Activations<'_>, out: &mut Block<'_>) {
    let mut sums = [[0.0; PANEL]; CHUNK];
    for (panel_idx, panel) in panels.each().enumerate() {
        let first = panel_idx * PANEL;
        let n_rows = PANEL.min(panels.n_rows() - first);
        for first_vector in (0..x.n).step_by(CHUNK) {
            let n = CHUNK.min(x.n - first_vector);
            // SAFETY: panel and vectors have the same number of blocks, and `n` vectors from `first_vector` on are there.
            unsafe {
                match panels.format() {
                    Format::Mxfp4 => mxfp4(panel, x, first_vector, &mut sums[..n]),
                    Format::Q8 => q8(panel, x, first_vector, &mut sums[..n]),
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

/// # Safety
/// As [`products`]; the vectors from `first` on, one for each of the sums, are there.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn mxfp4(panel: Panel<'_>, x: Activations<'_>, first: usize, sums: &mut [[f32; PANEL]]) {
    let nibble = _mm512_set1_epi8(15);
    // SAFETY: the table has 16 bytes.
    let values = _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(E2M1_LIFTED.as_ptr().cast()) });
    sums.fill([0.0; PANEL]);
    for block_idx in 0..x.n_blocks() {
        // SAFETY: this block of the vectors and of the panel; prefetching touches nothing.
        unsafe {
            let x = x.blocks.as_ptr().add(block_idx * x.n + first);
            let exponents = _mm_loadu_si128(panel.scales.as_ptr().add(block_idx * PANEL).cast());
            let scales = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu8_epi32(exponents), 23));
            let packed = panel.codes.as_ptr().add(block_idx * Format::Mxfp4.code_bytes());
            let mut weights = [_mm512_setzero_si512(); 8];
            for eight in 0..4 {
                _mm_prefetch::<_MM_HINT_T0>(packed.wrapping_add(AHEAD + 64 * eight).cast());
                let packed = _mm512_load_si512(packed.add(64 * eight).cast());
                let high = _mm512_and_si512(_mm512_srli_epi16(packed, 4), nibble);
                weights[2 * eight] = _mm512_shuffle_epi8(values, _mm512_and_si512(packed, nibble));
                weights[2 * eight + 1] = _mm512_shuffle_epi8(values, high);
            }
            for (t, sums) in sums.iter_mut().enumerate() {
                let x = x.add(t);
                add(&weights, x, _mm512_set1_epi32((*x).e2m1_offset), scales, sums);
            }
        }
    }
}

/// # Safety
/// As [`mxfp4`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn q8(panel: Panel<'_>, x: Activations<'_>, first: usize, sums: &mut [[f32; PANEL]]) {
    let lift = _mm512_set1_epi8(-128);
    sums.fill([0.0; PANEL]);
    for block_idx in 0..x.n_blocks() {
        // SAFETY: this block of the vectors and of the panel; prefetching touches nothing.
        unsafe {
            let x = x.blocks.as_ptr().add(block_idx * x.n + first);
            let scales = _mm512_cvtph_ps(_mm256_loadu_si256(panel.scales.as_ptr().add(block_idx * 2 * PANEL).cast()));
            let weights_at = panel.codes.as_ptr().add(block_idx * Format::Q8.code_bytes());
            let mut weights = [_mm512_setzero_si512(); 8];
            for (four, weights) in weights.iter_mut().enumerate() {
                _mm_prefetch::<_MM_HINT_T0>(weights_at.wrapping_add(AHEAD + 64 * four).cast());
                // 128 more, as an unsigned byte.
                *weights = _mm512_xor_si512(_mm512_load_si512(weights_at.add(64 * four).cast()), lift);
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
