//! The reference: products with panels as their definition reads.
//!
//! What it is not: fast; other sets are compared with it, bit by bit. Start at [`products`].

use super::super::activations::{Activations, BLOCK};
use super::super::pool::Block;
use super::super::scalar::E2M1_DOUBLED;
use super::{Format, PANEL, Panel, Panels};
use half::f16;

/// What a row's codes in a block are multiplied with.
pub(super) fn scale(format: Format, panel: Panel<'_>, block_idx: usize, row: usize) -> f32 {
    let scales = &panel.bytes[format.place(block_idx).0..];
    match format {
        Format::Mxfp4 => f32::from_bits(u32::from(scales[row]) << 23),
        Format::Q8 => f16::from_le_bytes([scales[2 * row], scales[2 * row + 1]]).to_f32(),
    }
}

/// A row's codes in a block; those of MXFP4 doubled.
pub(super) fn codes(format: Format, panel: Panel<'_>, block_idx: usize, row: usize) -> [i8; BLOCK] {
    let codes = &panel.bytes[format.place(block_idx).1..];
    std::array::from_fn(|column| match format {
        Format::Mxfp4 => {
            let byte = codes[column / 8 * 4 * PANEL + row * 4 + column % 4];
            E2M1_DOUBLED[usize::from(byte >> (4 * (column / 4 % 2)) & 15)]
        }
        Format::Q8 => codes[column / 4 * 4 * PANEL + row * 4 + column % 4].cast_signed(),
    })
}

/// `out[t][r] = rows[r] . x[t]`
pub(crate) fn products(panels: Panels<'_>, x: Activations<'_>, out: &mut Block<'_>) {
    for (panel_idx, panel) in panels.each().enumerate() {
        let first = panel_idx * PANEL;
        for row in 0..PANEL.min(panels.n_rows() - first) {
            for t in 0..x.n {
                let mut sum = 0.0f32;
                for block_idx in 0..x.n_blocks() {
                    let x = &x.blocks[block_idx * x.n + t];
                    let weights = codes(panels.format(), panel, block_idx, row);
                    let products = weights.iter().zip(x.codes).map(|(w, x)| i32::from(*w) * i32::from(x));
                    let scale = scale(panels.format(), panel, block_idx, row) * x.scale;
                    sum = (products.sum::<i32>() as f32).mul_add(scale, sum);
                }
                out.row(t)[first + row] = sum;
            }
        }
    }
}
