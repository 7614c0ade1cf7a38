//! Our harmony, and how pages become text, for the fuzz targets.

#[path = "../../src/harmony/mod.rs"]
pub mod harmony;

#[path = "../../src/tool/browser/html/mod.rs"]
pub mod html;
#[path = "../../src/tool/browser/page.rs"]
pub mod page;

// What a GGUF needs of the engine. Kernels and matrices of other formats stay outside, so `Rows` is written again; it has to
// be the trait of src/engine/models/rows.rs.
#[path = "../../src/engine/cpu/config.rs"]
mod config;
#[path = "../../src/engine/models/error.rs"]
mod error;
#[path = "../../src/engine/models/gguf/mod.rs"]
mod gguf;
#[path = "../../src/engine/models/layout.rs"]
mod layout;

use self::error::LoadError;
use self::layout::{LayerPart, Part};
use std::sync::Arc;

type Storage = Arc<dyn AsRef<[u8]> + Send + Sync>;

trait Rows: Send + Sync {
    fn shape(&self) -> (usize, usize);
    fn read(&self, rows: std::ops::Range<usize>, out: &mut [f32]);
    fn read_mxfp4(&self, row: usize, blocks: &mut [[u8; 16]], scales: &mut [u8]) -> bool;
}

mod engine {
    pub(crate) mod cpu {
        pub(crate) use crate::config;
    }
    pub(crate) mod models {
        pub(crate) use crate::{LayerPart, LoadError, Part};
    }
}

/// Reads whatever a GGUF file of these bytes lets itself be asked for.
pub fn read_gguf(bytes: Vec<u8>) {
    let Ok(gguf) = gguf::Gguf::of(&[("x.gguf".into(), Arc::new(bytes))]) else { return };
    let n_in_all: u64 = gguf.tensors().map(|tensor| tensor.n_bytes).sum();
    assert_eq!(n_in_all, gguf.n_bytes());
    let _ = gguf.check_all();
    for part in Part::all(gguf.config()).take(40) {
        let _ = gguf.vector(part);
        if part.shape(gguf.config()).len() == 1 || part.name().ends_with("bias") {
            continue; // a vector has no rows
        }
        let Ok(rows) = gguf.rows(part) else { continue };
        let (n_rows, width) = rows.shape();
        let mut out = vec![0.0; width];
        for row in [0, n_rows / 2, n_rows - 1] {
            rows.read(row..row + 1, &mut out);
            rows.read_mxfp4(row, &mut vec![[0; 16]; width / 32], &mut vec![0; width / 32]);
        }
    }
}
