//! One matrix of a model, as a checkpoint holds it, read row by row.
//!
//! What it is not: fast to compute with; kernels run on panels that are made from it, and on it only to check them.
//! Start at [`Rows`].

use super::Tensor;
use super::float::Float;
use crate::engine::cpu::kernels::panels::{Format, Panels};
use std::ops::Range;

/// Numbers in a block of MXFP4.
const BLOCK: usize = 32;

/// A matrix, or one for each expert one after the other ([n_experts * n_out][n_in]).
pub(crate) trait Rows: Send + Sync {
    /// Rows, and numbers in each.
    fn shape(&self) -> (usize, usize);

    /// Fills in these rows as f32. [rows.len()][n_in]
    fn read(&self, rows: Range<usize>, out: &mut [f32]);

    /// Where the matrix lies in MXFP4: one row of it, as E2M1 codes in the official order (two to a byte, the lower nibble
    /// first) and one E8M0 scale for each 32 of them. False where it lies in another form, and nothing is written.
    fn read_mxfp4(&self, row: usize, blocks: &mut [[u8; 16]], scales: &mut [u8]) -> bool;
}

/// A matrix of floating-point numbers, row after row.
pub(super) struct FloatRows {
    pub(super) tensor: Tensor,
    pub(super) float: Float,
    pub(super) n_in: usize,
}

impl Rows for FloatRows {
    fn shape(&self) -> (usize, usize) {
        (self.tensor.bytes().len() / self.float.n_bytes() / self.n_in, self.n_in)
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let row = self.n_in * self.float.n_bytes();
        let numbers = self.float.numbers(&self.tensor.bytes()[rows.start * row..rows.end * row]);
        out.iter_mut().zip(numbers).for_each(|(out, number)| *out = number);
    }

    fn read_mxfp4(&self, _: usize, _: &mut [[u8; 16]], _: &mut [u8]) -> bool {
        false
    }
}

/// A matrix in the official two tensors of MXFP4.
pub(super) struct Mxfp4Tensors {
    pub(super) blocks: Tensor,
    pub(super) scales: Tensor,
    pub(super) n_in: usize,
}

impl Rows for Mxfp4Tensors {
    fn shape(&self) -> (usize, usize) {
        (self.scales.bytes().len() / (self.n_in / BLOCK), self.n_in)
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        const E2M1: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
        let n_blocks = self.n_in / BLOCK;
        let range = rows.start * n_blocks..rows.end * n_blocks;
        let blocks = &self.blocks.bytes().as_chunks::<16>().0[range.clone()];
        for ((block, &scale), out) in blocks.iter().zip(&self.scales.bytes()[range]).zip(out.as_chunks_mut::<BLOCK>().0)
        {
            let scale = if scale == u8::MAX { f32::NAN } else { 2f32.powi(i32::from(scale) - 127) };
            for (column, out) in out.iter_mut().enumerate() {
                let code = block[column / 2] >> (4 * (column % 2)) & 15;
                let value = E2M1[usize::from(code & 7)] * scale;
                *out = if code < 8 { value } else { -value };
            }
        }
    }

    fn read_mxfp4(&self, row: usize, blocks: &mut [[u8; 16]], scales: &mut [u8]) -> bool {
        let n = self.n_in / BLOCK;
        blocks.copy_from_slice(&self.blocks.bytes().as_chunks().0[row * n..][..n]);
        scales.copy_from_slice(&self.scales.bytes()[row * n..][..n]);
        true
    }
}

/// A matrix in panels.
pub(super) struct PanelRows {
    pub(super) format: Format,
    pub(super) tensor: Tensor,
    pub(super) n_in: usize,
}

impl Rows for PanelRows {
    fn shape(&self) -> (usize, usize) {
        (self.tensor.form.shape.iter().product::<usize>() / self.n_in, self.n_in)
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let shape = &self.tensor.form.shape;
        let n_out = shape[shape.len() - 2];
        let n_bytes = self.format.matrix_bytes(n_out, self.n_in);
        for (row, out) in rows.zip(out.chunks_exact_mut(self.n_in)) {
            let bytes = &self.tensor.bytes()[row / n_out * n_bytes..][..n_bytes];
            Panels::new(bytes, self.format, n_out, self.n_in).read(row % n_out, out);
        }
    }

    fn read_mxfp4(&self, _: usize, _: &mut [[u8; 16]], _: &mut [u8]) -> bool {
        false
    }
}
