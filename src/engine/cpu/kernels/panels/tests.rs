//! Panels against the definition of their formats, and every set of instructions against the reference, bit by bit.

use super::super::Kernels;
use super::super::Vectors;
use super::super::tests::{block, bytes, numbers};
use super::*;
use crate::engine::cpu::kernels::activations::Activations;
use proptest::prelude::*;

/// Panels in memory that begins at a multiple of [`ALIGN`].
struct Aligned {
    bytes: Vec<u8>,
    start: usize,
}

impl Aligned {
    /// A matrix of rows that `pack` writes.
    fn matrix(format: Format, n_out: usize, n_in: usize, pack: impl Fn(Range<usize>, &mut [u8])) -> Self {
        let n_bytes = format.matrix_bytes(n_out, n_in);
        let mut bytes = vec![0; n_bytes + ALIGN];
        let start = bytes.as_ptr().align_offset(ALIGN);
        let panels = bytes[start..][..n_bytes].chunks_exact_mut(format.panel_bytes(n_in));
        panels.enumerate().for_each(|(idx, panel)| pack(idx * PANEL..n_out.min((idx + 1) * PANEL), panel));
        Self { bytes, start }
    }

    fn panels(&self, format: Format, n_out: usize, n_in: usize) -> Panels<'_> {
        Panels::new(&self.bytes[self.start..][..format.matrix_bytes(n_out, n_in)], format, n_out, n_in)
    }
}

/// The same bits by every set, alone and among others, and near to a product in f64 of what the panels hold.
fn check(panels: Panels<'_>, n_vectors: usize, seed: u64) -> Result<(), TestCaseError> {
    let (n_rows, width) = (panels.n_rows(), panels.width());
    let x = numbers(seed, n_vectors * width);
    let mut room = Activations::room(n_vectors * width / BLOCK);
    let activations = Activations::quantise(Vectors::all(&x, width), &mut room);
    let expected = block(n_vectors, n_rows, |out| scalar::products(panels, activations, out));
    for t in 0..n_vectors {
        let mut row = vec![0.0; width];
        for r in 0..n_rows {
            panels.read(r, &mut row);
            let products = row.iter().zip(&x[t * width..]).map(|(w, x)| f64::from(*w) * f64::from(*x));
            let (sum, size) = products.fold((0.0, 0.0), |(sum, size), p| (sum + p, size + p.abs()));
            let difference = (f64::from(expected[t * n_rows + r]) - sum).abs();
            prop_assert!(difference <= 0.02 * size + 1e-6, "row {r}, vector {t}: {difference} of {size}");
        }
    }
    for kernels in Kernels::all() {
        let out = block(n_vectors, n_rows, |out| kernels.panels(panels, activations, out));
        prop_assert!(out == expected, "{kernels:?} gives other bits than the reference");
        for t in 0..n_vectors {
            let mut room = Activations::room(width / BLOCK);
            let alone = Activations::quantise(Vectors::picked(&x, width, &[t as u32]), &mut room);
            let out = block(1, n_rows, |out| kernels.panels(panels, alone, out));
            prop_assert!(out == expected[t * n_rows..][..n_rows], "{kernels:?}: the same bits alone and among others");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn mxfp4_panels_hold_what_was_packed(n_rows in 1..150usize, n_vectors in 1..7usize, n_blocks in 1..11usize, seed: u64) {
        let width = n_blocks * BLOCK;
        let blocks = bytes(seed, n_rows * n_blocks * 16).as_chunks().0.to_vec();
        let scales: Vec<u8> = bytes(seed ^ 7, n_rows * n_blocks).iter().map(|b| 110 + b % 30).collect();
        let lines = Aligned::matrix(Format::Mxfp4, n_rows, width, |rows, panel| {
            let range = rows.start * n_blocks..rows.end * n_blocks;
            pack_mxfp4(&Mxfp4Source { blocks: &blocks[range.clone()], scales: &scales[range] }, width, panel);
        });
        let panels = lines.panels(Format::Mxfp4, n_rows, width);
        let mut row = vec![0.0; width];
        for r in 0..n_rows {
            panels.read(r, &mut row);
            for (column, found) in row.iter().enumerate() {
                let block = r * n_blocks + column / BLOCK;
                let code = blocks[block][column % BLOCK / 2] >> (4 * (column % 2)) & 15;
                let value = f32::from(super::super::scalar::E2M1_DOUBLED[usize::from(code)]);
                prop_assert_eq!(*found, value * 0.5 * 2f32.powi(i32::from(scales[block]) - 127));
            }
        }
        check(panels, n_vectors, !seed)?;
        if n_rows > PANEL {
            check(panels.rows(PANEL..n_rows), n_vectors, !seed)?;
        }
    }

    #[test]
    fn q8_panels_are_within_half_a_step(n_rows in 1..150usize, n_vectors in 1..7usize, n_blocks in 1..11usize, seed: u64) {
        let width = n_blocks * BLOCK;
        let weights = numbers(seed, n_rows * width);
        let lines = Aligned::matrix(Format::Q8, n_rows, width, |rows, panel| {
            pack_q8(&weights[rows.start * width..rows.end * width], width, panel);
        });
        let panels = lines.panels(Format::Q8, n_rows, width);
        let mut row = vec![0.0; width];
        for r in 0..n_rows {
            panels.read(r, &mut row);
            for (block, found) in weights[r * width..][..width].chunks_exact(BLOCK).zip(row.chunks_exact(BLOCK)) {
                let step = block.iter().fold(0.0f32, |largest, x| largest.max(x.abs())) / 127.0;
                for (weight, found) in block.iter().zip(found) {
                    // Half a step, and what rounding the scale to 11 bits does to the largest.
                    prop_assert!((weight - found).abs() <= step * (0.5 + 127.0 / 2048.0), "{weight} became {found}");
                }
            }
        }
        check(panels, n_vectors, !seed)?;
    }
}

#[test]
fn more_vectors_than_a_chunk_give_the_same_bits() {
    let (n_rows, width) = (16, 64);
    let weights = numbers(5, n_rows * width);
    let lines = Aligned::matrix(Format::Q8, n_rows, width, |_, panel| pack_q8(&weights, width, panel));
    check(lines.panels(Format::Q8, n_rows, width), CHUNK + 3, 6).unwrap();
}

#[test]
fn the_largest_codes_overflow_nowhere() {
    let width = 2880;
    let blocks = vec![[0x77u8; 16]; PANEL * width / BLOCK];
    let scales = vec![127; blocks.len()];
    let lines = Aligned::matrix(Format::Mxfp4, PANEL, width, |_, panel| {
        pack_mxfp4(&Mxfp4Source { blocks: &blocks, scales: &scales }, width, panel)
    });
    let large = Aligned::matrix(Format::Q8, PANEL, width, |_, panel| pack_q8(&vec![-1.0; PANEL * width], width, panel));
    let mut room = Activations::room(2 * width / BLOCK);
    let mut x = vec![1.0; 2 * width];
    x[width..].fill(-1.0);
    let x = Activations::quantise(Vectors::all(&x, width), &mut room);
    for kernels in Kernels::all() {
        for (lines, format, sum) in [(&lines, Format::Mxfp4, 6.0 * 2880.0), (&large, Format::Q8, -2880.0)] {
            let panels = lines.panels(format, PANEL, width);
            let out = block(2, PANEL, |out| kernels.panels(panels, x, out));
            for (t, expected) in [sum, -sum].into_iter().enumerate() {
                for found in &out[t * PANEL..][..PANEL] {
                    assert!((found / expected - 1.0f32).abs() < 1e-3, "{kernels:?} {format:?}: {found}");
                }
            }
        }
    }
}

#[test]
fn a_scale_that_is_no_number_stays_none_and_the_smallest_become_nothing() {
    let blocks = [[0x22u8; 16]; 3];
    let lines = Aligned::matrix(Format::Mxfp4, 3, BLOCK, |_, panel| {
        pack_mxfp4(&Mxfp4Source { blocks: &blocks, scales: &[255, 1, 0] }, BLOCK, panel)
    });
    let panels = lines.panels(Format::Mxfp4, 3, BLOCK);
    let mut row = [0.0; BLOCK];
    panels.read(0, &mut row);
    assert!(row[0].is_infinite());
    for r in [1, 2] {
        panels.read(r, &mut row);
        assert_eq!(row[0], 0.0);
    }
}
