//! How fast the kernels are by themselves, in a processor's near cache and from memory.
//!
//! What it is not: how fast a model is; `bench` measures that. Start at [`speeds`].

use super::activations::{Activations, BLOCK};
use super::panels::{ALIGN, Format, Panels};
use super::pool::Pool;
use super::{Kernels, Vectors};
use crate::world::Clock;
use std::io;

/// One kernel on matrices of one kind, for so many vectors at once.
#[derive(Clone, Debug)]
pub struct Speed {
    /// The instructions.
    pub kernels: String,
    /// The numbers of the matrix.
    pub format: String,
    /// Vectors that go through the matrix together.
    pub n_vectors: usize,
    /// Threads.
    pub n_threads: usize,
    /// Bytes of weights for each second, in 10^9.
    pub gb_s: f64,
    /// Multiplications and additions for each second, in 10^9.
    pub gop_s: f64,
}

/// The width of gpt-oss.
const WIDTH: usize = 2880;

/// Bytes of the matrices: more than a processor's caches hold.
const LARGE: usize = 256 << 20;

/// Every set of instructions on matrices of every format, for one vector and for several, with 1 and `n_threads` threads.
///
/// # Errors
/// When the system starts no thread.
pub fn speeds(n_threads: usize, clock: &dyn Clock, each: &mut dyn FnMut(Speed)) -> io::Result<()> {
    for kernels in Kernels::all() {
        let is_plain = kernels == Kernels::all()[0];
        for format in [Format::Q8, Format::Mxfp4] {
            for n_vectors in [1, 8, 64, 512] {
                for n_threads in if n_threads > 1 { vec![1, n_threads] } else { vec![1] } {
                    // The plain set is two orders slower.
                    let n_bytes = if is_plain { LARGE / 256 } else { LARGE / n_vectors };
                    each(speed(kernels, format, n_vectors, n_threads, n_bytes, clock)?);
                }
            }
        }
    }
    Ok(())
}

fn speed(
    kernels: Kernels,
    format: Format,
    n_vectors: usize,
    n_threads: usize,
    n_bytes: usize,
    clock: &dyn Clock,
) -> io::Result<Speed> {
    let n_rows = (n_bytes / format.panel_bytes(WIDTH)).max(2 * n_threads) * 16;
    let n_bytes = format.matrix_bytes(n_rows, WIDTH);
    let bytes = vec![0x31u8; n_bytes + ALIGN];
    let bytes = &bytes[bytes.as_ptr().align_offset(ALIGN)..][..n_bytes];
    let panels = Panels::new(bytes, format, n_rows, WIDTH);
    let numbers: Vec<f32> = (0..n_vectors * WIDTH).map(|i| (i % 101) as f32 - 50.0).collect();
    let mut room = Activations::room(n_vectors * WIDTH / BLOCK);
    let x = Activations::quantise(Vectors::all(&numbers, WIDTH), &mut room);
    let mut out = vec![0.0; n_vectors * n_rows];
    let mut pool = Pool::new(n_threads)?;
    let mut best = f64::INFINITY;
    for _ in 0..4 {
        let start = clock.elapsed();
        let band = n_rows.div_ceil(8 * n_threads).next_multiple_of(64);
        let all = 0..n_vectors;
        pool.blocks(&mut out, n_rows, std::slice::from_ref(&all), band, usize::MAX, &|_, mut out| {
            kernels.panels(panels.rows(out.columns()), x, &mut out);
        });
        best = best.min((clock.elapsed() - start).as_secs_f64());
    }
    Ok(Speed {
        kernels: kernels.to_string(),
        format: format!("{format:?}").to_uppercase(),
        n_vectors,
        n_threads,
        gb_s: bytes.len() as f64 / best / 1e9,
        gop_s: 2.0 * (n_rows * WIDTH * n_vectors) as f64 / best / 1e9,
    })
}
