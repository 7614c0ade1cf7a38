//! The operations with AVX2 and FMA.
//!
//! What it is not: it checks no shapes; [`super::Kernels`] has done that. One rule holds everywhere: a dot product is one
//! chain of fused multiply-adds over 8 lanes from left to right, then the lanes, then what is left over. Tiles of several
//! rows and vectors only run several such chains side by side.
//! Start at [`tile`]. (Loops over registers are written with indices: a closure handed to `map` or `from_fn` is compiled
//! without these instructions' calling convention, and its registers go through memory.)

#![allow(clippy::needless_range_loop)]

use super::attention::{Eight, LANES, Running, Tile};
use super::scalar::E2M1_DOUBLED;
use super::{Bf16Rows, Block, Mxfp4Rows, STRIP, Vectors, e8m0};
use half::f16;
use std::arch::x86_64::*;
use std::cell::RefCell;

/// A row of weights that can be read eight at a time.
trait Row: Copy {
    /// # Safety
    /// `at + 8` is at most the row's length, and the processor has AVX2.
    unsafe fn eight(self, at: usize) -> __m256;
    fn one(self, at: usize) -> f32;
}

impl Row for &[f32] {
    #[inline(always)]
    unsafe fn eight(self, at: usize) -> __m256 {
        // SAFETY: the caller keeps `at + 8` within the row.
        unsafe { _mm256_loadu_ps(self.as_ptr().add(at)) }
    }
    #[inline(always)]
    fn one(self, at: usize) -> f32 {
        self[at]
    }
}

impl Row for &[[u8; 2]] {
    #[inline(always)]
    unsafe fn eight(self, at: usize) -> __m256 {
        // SAFETY: the caller keeps `at + 8` within the row, which is 16 bytes from there.
        unsafe {
            let halves = _mm_loadu_si128(self.as_ptr().add(at).cast());
            _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16))
        }
    }
    #[inline(always)]
    fn one(self, at: usize) -> f32 {
        super::scalar::bf16(self[at])
    }
}

/// The dot products of R rows with T vectors, all of the same width.
#[target_feature(enable = "avx2,fma")]
fn tile<const R: usize, const T: usize, W: Row>(rows: [W; R], x: [&[f32]; T], width: usize) -> [[f32; T]; R] {
    let mut sums = [[_mm256_setzero_ps(); T]; R];
    let n_full = width - width % 8;
    for at in (0..n_full).step_by(8) {
        let mut eights = [_mm256_setzero_ps(); T];
        for t in 0..T {
            // SAFETY: `at + 8 <= width`, the length of every row and vector.
            eights[t] = unsafe { _mm256_loadu_ps(x[t].as_ptr().add(at)) };
        }
        for r in 0..R {
            // SAFETY: as above; this function has AVX2.
            let row = unsafe { rows[r].eight(at) };
            for t in 0..T {
                sums[r][t] = _mm256_fmadd_ps(row, eights[t], sums[r][t]);
            }
        }
    }
    let mut out = [[0.0; T]; R];
    for r in 0..R {
        for t in 0..T {
            let mut sum = lanes(sums[r][t]);
            for at in n_full..width {
                sum = rows[r].one(at).mul_add(x[t][at], sum);
            }
            out[r][t] = sum;
        }
    }
    out
}

/// The sum of the eight lanes, in a fixed order.
#[target_feature(enable = "avx2,fma")]
fn lanes(sums: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)))
}

/// Rows `first..first + n` against all vectors, in tiles.
#[target_feature(enable = "avx2,fma")]
fn tiles<'a, W: Row>(first: usize, n: usize, row: impl Fn(usize) -> W, x: Vectors<'a>, out: &mut Block<'_>) {
    let (n_vectors, width) = (x.len(), x.width);
    let mut r = 0;
    if n_vectors == 1 {
        while r + 8 <= n {
            let mut rows = [row(r); 8];
            for i in 1..8 {
                rows[i] = row(r + i);
            }
            let sums = tile::<8, 1, W>(rows, [x.at(0)], width);
            out.row(0)[first + r..][..8].copy_from_slice(sums.as_flattened());
            r += 8;
        }
    }
    while r + 4 <= n {
        let mut rows = [row(r); 4];
        for i in 1..4 {
            rows[i] = row(r + i);
        }
        let mut t = 0;
        while t + 2 <= n_vectors {
            let sums = tile::<4, 2, W>(rows, [x.at(t), x.at(t + 1)], width);
            for i in 0..4 {
                out.row(t)[first + r + i] = sums[i][0];
                out.row(t + 1)[first + r + i] = sums[i][1];
            }
            t += 2;
        }
        if t < n_vectors {
            let sums = tile::<4, 1, W>(rows, [x.at(t)], width);
            out.row(t)[first + r..][..4].copy_from_slice(sums.as_flattened());
        }
        r += 4;
    }
    for r in r..n {
        for t in 0..n_vectors {
            out.row(t)[first + r] = tile::<1, 1, W>([row(r)], [x.at(t)], width)[0][0];
        }
    }
}

/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn bf16_rows(rows: Bf16Rows<'_>, x: Vectors<'_>, out: &mut Block<'_>) {
    tiles(0, rows.len(), |r| rows.at(r), x, out);
}

/// A block of MXFP4 as 32 floats, scale included: every product with a power of two is exact.
#[target_feature(enable = "avx2,fma")]
fn unpack(block: &[u8; 16], scale: u8) -> [__m256; 4] {
    // SAFETY: both are 16 bytes long.
    let (packed, values) =
        unsafe { (_mm_loadu_si128(block.as_ptr().cast()), _mm_loadu_si128(E2M1_DOUBLED.as_ptr().cast())) };
    let nibble = _mm_set1_epi8(15);
    let low = _mm_shuffle_epi8(values, _mm_and_si128(packed, nibble));
    let high = _mm_shuffle_epi8(values, _mm_and_si128(_mm_srli_epi16(packed, 4), nibble));
    let (first, second) = (_mm_unpacklo_epi8(low, high), _mm_unpackhi_epi8(low, high));
    let scale = _mm256_set1_ps(0.5 * e8m0(scale));
    let bytes = [first, _mm_srli_si128(first, 8), second, _mm_srli_si128(second, 8)];
    let mut out = [_mm256_setzero_ps(); 4];
    for i in 0..4 {
        out[i] = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes[i])), scale);
    }
    out
}

/// The dot products of R rows of MXFP4 with one vector, without writing the unpacked rows anywhere.
#[target_feature(enable = "avx2,fma")]
fn mxfp4_tile<const R: usize>(rows: [(&[[u8; 16]], &[u8]); R], x: &[f32]) -> [f32; R] {
    let mut sums = [_mm256_setzero_ps(); R];
    for (b, x) in x.as_chunks::<32>().0.iter().enumerate() {
        let mut eights = [_mm256_setzero_ps(); 4];
        for i in 0..4 {
            // SAFETY: the four loads are the 32 floats of `x`.
            eights[i] = unsafe { _mm256_loadu_ps(x.as_ptr().add(8 * i)) };
        }
        for r in 0..R {
            let weights = unpack(&rows[r].0[b], rows[r].1[b]);
            for i in 0..4 {
                sums[r] = _mm256_fmadd_ps(weights[i], eights[i], sums[r]);
            }
        }
    }
    let mut out = [0.0; R];
    for r in 0..R {
        out[r] = lanes(sums[r]);
    }
    out
}

thread_local! {
    /// Four unpacked rows; grows to the widest row once.
    static UNPACKED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn mxfp4_rows(rows: Mxfp4Rows<'_>, x: Vectors<'_>, out: &mut Block<'_>) {
    if x.len() == 1 {
        let x = x.at(0);
        let n_tiled = rows.len() - rows.len() % 4;
        for r in (0..n_tiled).step_by(4) {
            let tiled = [rows.at(r), rows.at(r + 1), rows.at(r + 2), rows.at(r + 3)];
            out.row(0)[r..][..4].copy_from_slice(&mxfp4_tile(tiled, x));
        }
        for r in n_tiled..rows.len() {
            out.row(0)[r] = mxfp4_tile([rows.at(r)], x)[0];
        }
        return;
    }
    // For several vectors a row is unpacked once.
    UNPACKED.with_borrow_mut(|unpacked| {
        let width = rows.width;
        if unpacked.len() < 4 * width {
            unpacked.resize(4 * width, 0.0);
        }
        for first in (0..rows.len()).step_by(4) {
            let n = 4.min(rows.len() - first);
            for r in 0..n {
                let (blocks, scales) = rows.at(first + r);
                let floats = unpacked[r * width..][..width].as_chunks_mut::<32>().0;
                for ((block, &scale), floats) in blocks.iter().zip(scales).zip(floats) {
                    for (i, eight) in unpack(block, scale).into_iter().enumerate() {
                        // SAFETY: the four stores fill the 32 floats.
                        unsafe { _mm256_storeu_ps(floats.as_mut_ptr().add(8 * i), eight) };
                    }
                }
            }
            tiles(first, n, |r| &unpacked[r * width..][..width], x, out);
        }
    });
}

/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn add_picked(sum: &mut [f32; STRIP], table: &[[[f32; STRIP]; 256]], picks: &[u8]) {
    // The compiler keeps the sums in four registers.
    let mut sums = *sum;
    for (rows, pick) in table.iter().zip(picks) {
        let row = &rows[usize::from(*pick)];
        for i in 0..STRIP {
            sums[i] += row[i];
        }
    }
    *sum = sums;
}

/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn f32_rows(rows: &[f32], x: Vectors<'_>, out: &mut Block<'_>) {
    let width = x.width;
    tiles(0, out.n_columns(), |r| &rows[r * width..][..width], x, out);
}

/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn attend(mut running: Running<'_>, tile: &Tile<'_>) {
    running.add::<Register>(tile);
}

/// Eight floats in a register. Made and used only where AVX2 and FMA were found.
#[derive(Clone, Copy)]
struct Register(__m256);

impl Eight for Register {
    #[inline(always)]
    fn all(x: f32) -> Self {
        // SAFETY: the processor has AVX2.
        Self(unsafe { _mm256_set1_ps(x) })
    }

    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Self {
        // SAFETY: the processor has AVX2, and there are eight floats.
        Self(unsafe { _mm256_loadu_ps(x.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, out: &mut [f32; LANES]) {
        // SAFETY: as in `load`.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn mul_add(self, x: Self, sum: Self) -> Self {
        // SAFETY: the processor has FMA.
        Self(unsafe { _mm256_fmadd_ps(self.0, x.0, sum.0) })
    }
}

/// # Safety
/// The processor has AVX2 and F16C. As many numbers as there is room for.
#[target_feature(enable = "avx2,f16c")]
pub(super) unsafe fn widen(numbers: &[f16], out: &mut [f32]) {
    let (eights, rest) = numbers.as_chunks::<LANES>();
    let (out_eights, out_rest) = out.as_chunks_mut::<LANES>();
    for (numbers, out) in eights.iter().zip(out_eights) {
        // SAFETY: eight numbers of 16 bits, and room for eight floats.
        unsafe {
            let wide = _mm256_cvtph_ps(_mm_loadu_si128(numbers.as_ptr().cast()));
            _mm256_storeu_ps(out.as_mut_ptr(), wide);
        }
    }
    rest.iter().zip(out_rest).for_each(|(x, out)| *out = x.to_f32());
}

/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn swiglu(gate_up: &[[f32; 2]], limit: f32, out: &mut [f32]) {
    super::attention::swiglu(gate_up, limit, out);
}
