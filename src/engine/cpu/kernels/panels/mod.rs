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
#[cfg(target_arch = "x86_64")]
use super::pool::Block;
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

/// How many panels are best read side by side for one vector: the memory gives more to several streams than to one.
pub(crate) const STREAMS: usize = 4;

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

    /// Blocks of a run: as many as have a line of scales.
    const fn blocks_per_run(self) -> usize {
        ALIGN / self.scale_bytes()
    }

    /// Where in a panel the scales and the codes of a block begin.
    const fn place(self, block_idx: usize) -> (usize, usize) {
        let n = self.blocks_per_run();
        let (run, within) = (block_idx / n * (ALIGN + n * self.code_bytes()), block_idx % n);
        (run + within * self.scale_bytes(), run + ALIGN + within * self.code_bytes())
    }

    /// Bytes of a panel, a multiple of [`ALIGN`].
    pub(crate) fn panel_bytes(self, n_in: usize) -> usize {
        let n_blocks = n_in / BLOCK;
        n_blocks.div_ceil(self.blocks_per_run()) * ALIGN + n_blocks * self.code_bytes()
    }

    /// Bytes of a matrix; its last panel may hold rows of zeros.
    pub(crate) fn matrix_bytes(self, n_out: usize, n_in: usize) -> usize {
        n_out.div_ceil(PANEL) * self.panel_bytes(n_in)
    }
}

/// Rows of a matrix. A panel is read from its beginning to its end: a run is a line of scales, [2 or 4 blocks][16], and
/// then, for each of these blocks and each 4 (Q8) or 8 (MXFP4) of its columns, four bytes of every row. A byte of MXFP4 is
/// the code of a column in its lower nibble, and of the column four further on in the upper one. The last run may have
/// fewer blocks.
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

    /// One after the other.
    pub(super) fn each(&self) -> impl Iterator<Item = Panel<'a>> {
        self.bytes.chunks_exact(self.format.panel_bytes(self.width())).map(|bytes| Panel { bytes })
    }

    /// One vector through all panels: [`STREAMS`] of them side by side, and what is left alone.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn side_by_side(
        &self,
        out: &mut Block<'_>,
        several: impl Fn([Panel<'a>; STREAMS]) -> [[f32; PANEL]; STREAMS],
        alone: impl Fn([Panel<'a>; 1]) -> [[f32; PANEL]; 1],
    ) {
        let panel_bytes = self.format.panel_bytes(self.width());
        let mut rest = out.row(0);
        let mut groups = self.bytes.chunks_exact(STREAMS * panel_bytes);
        for group in &mut groups {
            let panels = std::array::from_fn(|idx| Panel { bytes: &group[idx * panel_bytes..][..panel_bytes] });
            rest = store(several(panels).as_flattened(), rest);
        }
        for bytes in groups.remainder().chunks_exact(panel_bytes) {
            rest = store(&alone([Panel { bytes }])[0], rest);
        }
    }

    /// One row, as f32. [width]
    pub(crate) fn read(&self, row: usize, out: &mut [f32]) {
        let panel = self.each().nth(row / PANEL).expect("the row is one of the matrix");
        let row = row % PANEL;
        for (block_idx, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            let scale = scalar::scale(self.format, panel, block_idx, row);
            let codes = scalar::codes(self.format, panel, block_idx, row);
            out.iter_mut().zip(codes).for_each(|(out, code)| *out = f32::from(code) * scale);
        }
    }
}

/// One panel.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    bytes: &'a [u8],
}

/// Writes as many sums as there is room for, and gives what is left of the room.
#[cfg(target_arch = "x86_64")]
fn store<'a>(sums: &[f32], out: &'a mut [f32]) -> &'a mut [f32] {
    let (head, rest) = out.split_at_mut(sums.len().min(out.len()));
    head.copy_from_slice(&sums[..head.len()]);
    rest
}

/// Rows in MXFP4 on their way into a panel.
pub(crate) struct Mxfp4Source<'a> {
    pub(crate) blocks: &'a [[u8; 16]], // [at most 16][n_in / 32]
    pub(crate) scales: &'a [u8],       // the same
}

/// Writes up to sixteen rows as a panel; the rest of it becomes zeros.
pub(crate) fn pack_mxfp4(rows: &Mxfp4Source<'_>, n_in: usize, panel: &mut [u8]) {
    let n_blocks = n_in / BLOCK;
    panel.fill(0);
    for (idx, (block, &scale)) in rows.blocks.iter().zip(rows.scales).enumerate() {
        let (row, block_idx) = (idx / n_blocks, idx % n_blocks);
        let (scales_at, codes_at) = Format::Mxfp4.place(block_idx);
        // 255 is no number, and stays none. The smallest, below 2^-126, become nothing.
        panel[scales_at + row] = if scale == u8::MAX { scale } else { scale.saturating_sub(1) };
        let codes = &mut panel[codes_at..][..Format::Mxfp4.code_bytes()];
        for column in 0..BLOCK {
            let code = block[column / 2] >> (4 * (column % 2)) & 15;
            let byte = &mut codes[column / 8 * 4 * PANEL + row * 4 + column % 4];
            *byte |= code << (4 * (column / 4 % 2));
        }
    }
}

/// Quantises up to sixteen rows into a panel; the rest of it becomes zeros. `rows`: [at most 16][n_in]
pub(crate) fn pack_q8(rows: &[f32], n_in: usize, panel: &mut [u8]) {
    panel.fill(0);
    for (row, numbers) in rows.chunks_exact(n_in).enumerate() {
        for (block_idx, numbers) in numbers.as_chunks::<BLOCK>().0.iter().enumerate() {
            let largest = numbers.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
            let scale = f16::from_f32(largest / 127.0);
            let (scales_at, codes_at) = Format::Q8.place(block_idx);
            panel[scales_at + 2 * row..][..2].copy_from_slice(&scale.to_le_bytes());
            let inverse = if scale.to_f32() > 0.0 { 1.0 / scale.to_f32() } else { 0.0 };
            let codes = &mut panel[codes_at..][..Format::Q8.code_bytes()];
            for (column, x) in numbers.iter().enumerate() {
                let code = (x * inverse).round_ties_even().clamp(-127.0, 127.0) as i8;
                codes[column / 4 * 4 * PANEL + row * 4 + column % 4] = code.cast_unsigned();
            }
        }
    }
}

#[cfg(test)]
mod tests;
