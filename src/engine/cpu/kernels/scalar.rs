//! The reference: each operation as its definition reads.
//!
//! What it is not: fast. Other sets are compared with it, and it runs where they cannot.
//! Start at [`bf16_rows`].

use super::{Bf16Rows, Block, Mxfp4Rows, STRIP, Vectors, e8m0};

/// The values of the sixteen E2M1 codes, times two.
pub(super) const E2M1_DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

pub(super) fn bf16(bits: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bits)) << 16)
}

pub(super) fn bf16_rows(rows: Bf16Rows<'_>, x: Vectors<'_>, out: &mut Block<'_>) {
    for t in 0..x.len() {
        for r in 0..rows.len() {
            out.row(t)[r] = rows.at(r).iter().zip(x.at(t)).map(|(w, x)| bf16(*w) * x).sum();
        }
    }
}

pub(super) fn mxfp4_rows(rows: Mxfp4Rows<'_>, x: Vectors<'_>, out: &mut Block<'_>) {
    for t in 0..x.len() {
        for r in 0..rows.len() {
            let (blocks, scales) = rows.at(r);
            let mut sum = 0.0;
            for ((block, &scale), x) in blocks.iter().zip(scales).zip(x.at(t).as_chunks::<32>().0) {
                let scale = 0.5 * e8m0(scale);
                for (byte, pair) in block.iter().zip(x.as_chunks::<2>().0) {
                    sum += f32::from(E2M1_DOUBLED[usize::from(byte & 15)]) * scale * pair[0];
                    sum += f32::from(E2M1_DOUBLED[usize::from(byte >> 4)]) * scale * pair[1];
                }
            }
            out.row(t)[r] = sum;
        }
    }
}

pub(super) fn add_picked(sum: &mut [f32; STRIP], table: &[[[f32; STRIP]; 256]], picks: &[u8]) {
    for (rows, pick) in table.iter().zip(picks) {
        sum.iter_mut().zip(rows[usize::from(*pick)]).for_each(|(sum, x)| *sum += x);
    }
}

pub(super) fn f32_rows(rows: &[f32], x: Vectors<'_>, out: &mut Block<'_>) {
    for t in 0..x.len() {
        for r in 0..out.n_columns() {
            out.row(t)[r] = rows[r * x.width..].iter().zip(x.at(t)).map(|(w, x)| w * x).sum();
        }
    }
}
