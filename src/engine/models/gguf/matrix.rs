//! The matrices of a GGUF as rows of f32.
//!
//! What it is not: nothing is checked here; [`super::Gguf`] makes a matrix only of a tensor whose type, sides and bytes agree.
//! Start at [`Matrix`].

use super::super::{Rows, Storage};
use super::kind::Kind;
use std::ops::Range;

/// Some rows of a tensor, or all.
#[derive(Clone)]
pub(super) struct Matrix {
    pub(super) storage: Storage,
    /// In bytes, of the first row.
    pub(super) start: usize,
    pub(super) kind: Kind,
    pub(super) n_rows: usize,
    pub(super) width: usize,
    /// Of a row.
    pub(super) n_bytes: usize,
}

impl Matrix {
    /// Some of its rows.
    pub(super) fn part(&self, first: usize, n_rows: usize) -> Self {
        Self { start: self.start + first * self.n_bytes, n_rows, ..self.clone() }
    }

    fn row(&self, row: usize) -> &[u8] {
        &(*self.storage).as_ref()[self.start + row * self.n_bytes..][..self.n_bytes]
    }
}

impl Rows for Matrix {
    fn shape(&self) -> (usize, usize) {
        (self.n_rows, self.width)
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        for (row, out) in rows.zip(out.chunks_exact_mut(self.width)) {
            self.kind.read(self.row(row), out);
        }
    }

    fn read_mxfp4(&self, row: usize, blocks: &mut [[u8; 16]], scales: &mut [u8]) -> bool {
        self.kind.read_mxfp4(self.row(row), blocks, scales)
    }
}

/// Gate and up, which lie apart, with a row of each in turns: the gate's at even rows.
pub(super) struct GateUp {
    pub(super) gate: Matrix,
    pub(super) up: Matrix,
    /// Rows of each that an expert has.
    pub(super) intermediate: usize,
    /// Rows from an expert's first to the next one's, in both matrices.
    pub(super) stride: usize,
    pub(super) n_experts: usize,
}

impl GateUp {
    fn place(&self, row: usize) -> (&Matrix, usize) {
        let (expert_idx, row) = (row / (2 * self.intermediate), row % (2 * self.intermediate));
        let half = if row.is_multiple_of(2) { &self.gate } else { &self.up };
        (half, expert_idx * self.stride + row / 2)
    }
}

impl Rows for GateUp {
    fn shape(&self) -> (usize, usize) {
        (2 * self.intermediate * self.n_experts, self.gate.width)
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        for (row, out) in rows.zip(out.chunks_exact_mut(self.gate.width)) {
            let (half, row) = self.place(row);
            half.read(row..row + 1, out);
        }
    }

    fn read_mxfp4(&self, row: usize, blocks: &mut [[u8; 16]], scales: &mut [u8]) -> bool {
        let (half, row) = self.place(row);
        half.read_mxfp4(row, blocks, scales)
    }
}
