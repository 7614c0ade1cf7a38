//! Weights in panels: sixteen rows side by side, four bytes of each at a time, so that one load feeds every lane.
//!
//! What it is not: a format that others read. Two kinds of numbers lie in panels, MXFP4 and Q8 (int8 in blocks of 32 with an
//! f16 scale), and every set of instructions gives the same bits: sums of products of integers are exact, and one chain of
//! fused multiply-adds over the blocks, from left to right, is what is left. Start at [`Panels`].

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
pub(super) mod scalar;

use super::activations::BLOCK;
use half::f16;
use std::ops::Range;

/// Rows of a panel.
pub(crate) const PANEL: usize = 16;

/// Panels begin at multiples of so many bytes: a line of the processor's cache.
pub(crate) const ALIGN: usize = 64;

/// Vectors that a kernel takes through a panel together: their sums stay in the nearest cache.
pub(super) const CHUNK: usize = 128;

/// What is added to E2M1 codes' doubled values so that none is negative.
pub(super) const E2M1_OFFSET: u8 = 12;

/// The doubled values of the sixteen E2M1 codes and [`E2M1_OFFSET`].
#[cfg(target_arch = "x86_64")]
const E2M1_LIFTED: [u8; 16] = {
    let mut lifted = [0; 16];
    let mut code = 0;
    while code < 16 {
        lifted[code] = super::scalar::E2M1_DOUBLED[code].wrapping_add_unsigned(E2M1_OFFSET).cast_unsigned();
        code += 1;
    }
    lifted
};

/// How far ahead of its use a panel is asked for: memory answers after about so many bytes.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 2048;

/// The kinds of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// E2M1 codes, and for each 32 of them the exponent of an f32 (E8M0, less one: the codes count in halves).
    Mxfp4,
    /// int8 from -127 to 127, and for each 32 of them an f16.
    Q8,
}

impl Format {
    /// Bytes of the scales of one block in all rows of a panel.
    const fn scale_bytes(self) -> usize {
        match self {
            Self::Mxfp4 => PANEL,
            Self::Q8 => 2 * PANEL,
        }
    }

    /// Bytes of the codes of one block in all rows of a panel.
    const fn code_bytes(self) -> usize {
        match self {
            Self::Mxfp4 => PANEL * BLOCK / 2,
            Self::Q8 => PANEL * BLOCK,
        }
    }

    /// Where in a panel its codes begin, after its scales.
    fn codes_at(self, n_blocks: usize) -> usize {
        (n_blocks * self.scale_bytes()).next_multiple_of(ALIGN)
    }

    /// Bytes of a panel, a multiple of [`ALIGN`].
    pub(crate) fn panel_bytes(self, n_in: usize) -> usize {
        let n_blocks = n_in / BLOCK;
        self.codes_at(n_blocks) + n_blocks * self.code_bytes()
    }

    /// Bytes of a matrix; its last panel may hold rows of zeros.
    pub(crate) fn matrix_bytes(self, n_out: usize, n_in: usize) -> usize {
        n_out.div_ceil(PANEL) * self.panel_bytes(n_in)
    }
}

/// Rows of a matrix. A panel holds its scales, [n_blocks][16], and from the next multiple of 64 its codes: for each block
/// and each 4 (Q8) or 8 (MXFP4) of its columns, four bytes of every row. A byte of MXFP4 is the code of a column in its
/// lower nibble, and of the column four further on in the upper one.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    bytes: &'a [u8],
    format: Format,
    n_rows: usize,
    n_blocks: usize,
}

impl<'a> Panels<'a> {
    /// A matrix of `n_out` rows of `n_in` numbers. `bytes` begins at a multiple of [`ALIGN`].
    pub(crate) fn new(bytes: &'a [u8], format: Format, n_out: usize, n_in: usize) -> Self {
        assert_eq!(bytes.len(), format.matrix_bytes(n_out, n_in), "the bytes of {n_out} rows of {n_in} in {format:?}");
        assert!(bytes.as_ptr().addr().is_multiple_of(ALIGN) && n_in.is_multiple_of(BLOCK));
        Self { bytes, format, n_rows: n_out, n_blocks: n_in / BLOCK }
    }

    /// Some of the rows, from the beginning of a panel.
    pub(crate) fn rows(self, rows: Range<usize>) -> Self {
        assert!(rows.start.is_multiple_of(PANEL) && rows.end <= self.n_rows, "{rows:?} begin a panel");
        let panel_bytes = self.format.panel_bytes(self.width());
        let bytes = &self.bytes[rows.start / PANEL * panel_bytes..][..rows.len().div_ceil(PANEL) * panel_bytes];
        Self { bytes, n_rows: rows.len(), ..self }
    }

    /// Rows.
    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Numbers in a row.
    pub(crate) fn width(&self) -> usize {
        self.n_blocks * BLOCK
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// One after the other, each with where its codes begin.
    pub(super) fn each(&self) -> impl Iterator<Item = Panel<'a>> {
        let codes_at = self.format.codes_at(self.n_blocks);
        self.bytes.chunks_exact(self.format.panel_bytes(self.width())).map(move |panel| {
            let (scales, codes) = panel.split_at(codes_at);
            Panel { scales, codes }
        })
    }

    /// One row, as f32. [width]
    pub(crate) fn read(&self, row: usize, out: &mut [f32]) {
        let panel = self.each().nth(row / PANEL).expect("the row is one of the matrix");
        let row = row % PANEL;
        for (block_idx, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            let scale = scalar::scale(self.format, panel.scales, block_idx, row);
            let codes = scalar::codes(self.format, panel.codes, block_idx, row);
            out.iter_mut().zip(codes).for_each(|(out, code)| *out = f32::from(code) * scale);
        }
    }
}

/// The two parts of one panel.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    pub(super) scales: &'a [u8], // [n_blocks][16], to the next multiple of 64
    pub(super) codes: &'a [u8],  // [n_blocks][..][16][4]
}

/// Rows in MXFP4 on their way into a panel.
pub(crate) struct Mxfp4Source<'a> {
    pub(crate) blocks: &'a [[u8; 16]], // [at most 16][n_in / 32]
    pub(crate) scales: &'a [u8],       // the same
}

/// Writes up to sixteen rows as a panel; the rest of it becomes zeros.
pub(crate) fn pack_mxfp4(rows: &Mxfp4Source<'_>, n_in: usize, panel: &mut [u8]) {
    let n_blocks = n_in / BLOCK;
    let (scales, codes) = panel.split_at_mut(Format::Mxfp4.codes_at(n_blocks));
    scales.fill(0);
    codes.fill(0);
    for (idx, (block, &scale)) in rows.blocks.iter().zip(rows.scales).enumerate() {
        let (row, block_idx) = (idx / n_blocks, idx % n_blocks);
        // 255 is no number, and stays none. The smallest, below 2^-126, become nothing.
        scales[block_idx * PANEL + row] = if scale == u8::MAX { scale } else { scale.saturating_sub(1) };
        let codes = &mut codes[block_idx * Format::Mxfp4.code_bytes()..][..Format::Mxfp4.code_bytes()];
        for column in 0..BLOCK {
            let code = block[column / 2] >> (4 * (column % 2)) & 15;
            let byte = &mut codes[column / 8 * 4 * PANEL + row * 4 + column % 4];
            *byte |= code << (4 * (column / 4 % 2));
        }
    }
}

/// Quantises up to sixteen rows into a panel; the rest of it becomes zeros. `rows`: [at most 16][n_in]
pub(crate) fn pack_q8(rows: &[f32], n_in: usize, panel: &mut [u8]) {
    let n_blocks = n_in / BLOCK;
    let (scales, codes) = panel.split_at_mut(Format::Q8.codes_at(n_blocks));
    scales.fill(0);
    codes.fill(0);
    for (row, numbers) in rows.chunks_exact(n_in).enumerate() {
        for (block_idx, numbers) in numbers.as_chunks::<BLOCK>().0.iter().enumerate() {
            let largest = numbers.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
            let scale = f16::from_f32(largest / 127.0);
            scales[(block_idx * PANEL + row) * 2..][..2].copy_from_slice(&scale.to_le_bytes());
            let inverse = if scale.to_f32() > 0.0 { 1.0 / scale.to_f32() } else { 0.0 };
            let codes = &mut codes[block_idx * Format::Q8.code_bytes()..];
            for (column, x) in numbers.iter().enumerate() {
                let code = (x * inverse).round_ties_even().clamp(-127.0, 127.0) as i8;
                codes[column / 4 * 4 * PANEL + row * 4 + column % 4] = code.cast_unsigned();
            }
        }
    }
}

#[cfg(test)]
mod tests;
