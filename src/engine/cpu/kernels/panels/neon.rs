//! Products with panels by NEON with the dot product of ARMv8.2.
//!
//! What it is not: it checks no shapes; [`super::super::Kernels`] has done that. Four rows are four lanes, and one
//! instruction multiplies four bytes of each with four of a vector. Start at [`products`].

use super::super::activations::{ActivationBlock, Activations};
use super::super::pool::Block;
use super::super::scalar::E2M1_DOUBLED;
use super::{CHUNK, Format, PANEL, Panel, Panels};
use half::f16;
use std::arch::aarch64::*;
use std::arch::asm;

/// Registers that hold the rows of a panel.
const QUARTERS: usize = PANEL / 4;

/// # Safety
/// The processor has NEON and its dot product. The panels are as wide as the vectors, and the block has a row for each
/// vector and a column for each row of the panels.
#[target_feature(enable = "neon,dotprod")]
pub(crate) unsafe fn products(panels: Panels<'_>, x: Activations<'_>, out: &mut Block<'_>) {
    let mut sums = [[0.0; PANEL]; CHUNK];
    for (panel_idx, panel) in panels.each().enumerate() {
        let first = panel_idx * PANEL;
        let n_rows = PANEL.min(panels.n_rows() - first);
        for first_vector in (0..x.n).step_by(CHUNK) {
            let n = CHUNK.min(x.n - first_vector);
            sums[..n].fill([0.0; PANEL]);
            for block_idx in 0..x.n_blocks() {
                for quarter in 0..QUARTERS {
                    // SAFETY: this block of the vectors and of a quarter of the panel.
                    unsafe { add(panels.format(), panel, x, block_idx, quarter, first_vector, &mut sums[..n]) };
                }
            }
            for (t, sums) in sums[..n].iter().enumerate() {
                out.row(first_vector + t)[first..][..n_rows].copy_from_slice(&sums[..n_rows]);
            }
        }
    }
}

/// Adds the products of one block of four rows with all vectors to their sums.
///
/// # Safety
/// The block, the quarter, and the vectors from `first` on, one for each of the sums, are there.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn add(
    format: Format,
    panel: Panel<'_>,
    x: Activations<'_>,
    block_idx: usize,
    quarter: usize,
    first: usize,
    sums: &mut [[f32; PANEL]],
) {
    // SAFETY: by this function's own contract.
    unsafe {
        let (weights, scales) = match format {
            Format::Mxfp4 => mxfp4(panel, block_idx, quarter),
            Format::Q8 => q8(panel, block_idx, quarter),
        };
        let x = x.blocks.as_ptr().add(block_idx * x.n + first);
        for (t, sums) in sums.iter_mut().enumerate() {
            let x = x.add(t);
            let mut dots = vdupq_n_s32(0);
            for (four, weights) in weights.iter().enumerate() {
                dots = dot(dots, *weights, codes(x, four));
            }
            let out = sums.as_mut_ptr().add(4 * quarter);
            let scale = vmulq_n_f32(scales, (*x).scale);
            vst1q_f32(out, vfmaq_f32(vld1q_f32(out), vcvtq_f32_s32(dots), scale));
        }
    }
}

/// Adds to each lane the products of its four pairs of bytes: SDOT, for which stable Rust has no function.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot(mut sums: int32x4_t, weights: int8x16_t, codes: int8x16_t) -> int32x4_t {
    // SAFETY: this function runs only where the instruction is, and it touches these registers alone.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {weights:v}.16b, {codes:v}.16b",
            sums = inout(vreg) sums,
            weights = in(vreg) weights,
            codes = in(vreg) codes,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// Four codes of a vector, in every lane.
///
/// # Safety
/// `four < 8`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn codes(x: *const ActivationBlock, four: usize) -> int8x16_t {
    // SAFETY: a block begins with its 32 codes.
    vreinterpretq_s8_s32(vdupq_n_s32(unsafe { x.cast::<i32>().add(four).read() }))
}

/// Weights and scales of four rows in a block.
///
/// # Safety
/// They are there.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn mxfp4(panel: Panel<'_>, block_idx: usize, quarter: usize) -> ([int8x16_t; 8], float32x4_t) {
    // SAFETY: by this function's own contract; the table has 16 bytes.
    unsafe {
        let values = vld1q_s8(E2M1_DOUBLED.as_ptr());
        let (scales_at, codes_at) = Format::Mxfp4.place(block_idx);
        let packed = panel.bytes.as_ptr().add(codes_at + 16 * quarter);
        let mut weights = [vdupq_n_s8(0); 8];
        for eight in 0..4 {
            let packed = vld1q_u8(packed.add(64 * eight));
            weights[2 * eight] = vqtbl1q_s8(values, vandq_u8(packed, vdupq_n_u8(15)));
            weights[2 * eight + 1] = vqtbl1q_s8(values, vshrq_n_u8::<4>(packed));
        }
        let scales = panel.bytes.as_ptr().add(scales_at + 4 * quarter);
        let exponents: [u32; 4] = std::array::from_fn(|row| u32::from(scales.add(row).read()) << 23);
        (weights, vreinterpretq_f32_u32(vld1q_u32(exponents.as_ptr())))
    }
}

/// As [`mxfp4`].
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn q8(panel: Panel<'_>, block_idx: usize, quarter: usize) -> ([int8x16_t; 8], float32x4_t) {
    // SAFETY: by this function's own contract.
    unsafe {
        let (scales_at, codes_at) = Format::Q8.place(block_idx);
        let weights_at = panel.bytes.as_ptr().add(codes_at + 16 * quarter);
        let mut weights = [vdupq_n_s8(0); 8];
        for (four, weights) in weights.iter_mut().enumerate() {
            *weights = vld1q_s8(weights_at.add(64 * four).cast());
        }
        let scales = panel.bytes.as_ptr().add(scales_at + 8 * quarter);
        let half = |row: usize| f16::from_le_bytes([scales.add(2 * row).read(), scales.add(2 * row + 1).read()]);
        let scales: [f32; 4] = std::array::from_fn(|row| half(row).to_f32());
        (weights, vld1q_f32(scales.as_ptr()))
    }
}
