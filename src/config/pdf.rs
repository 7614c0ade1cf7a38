//! What reads PDFs for the browser and for the index of the user's folders.
//!
//! It has a sandbox of its own, which is not made before the first PDF comes: most sessions meet none.

use super::Paths;
use crate::tool::browser::backend::PdfReader;
use crate::tool::wasm::{Host, Pdf};
use crate::world::World;
use std::sync::{Arc, OnceLock};
use tokio::runtime::Handle;

/// The reader; `None` where no runtime is there to run it.
pub(super) fn pdf_reader(paths: &Paths) -> Option<PdfReader> {
    let runtime = Handle::try_current().ok()?;
    let compiled = paths.compiled();
    let reader = OnceLock::new();
    let make = move || -> Result<PdfReader, String> {
        let host = Host::new(World::real(), Some(compiled.clone()), None).map_err(|error| error.to_string())?;
        Ok(Pdf::new(&host).map_err(|error| error.to_string())?.reader(runtime.clone()))
    };
    Some(Arc::new(move |bytes| match reader.get_or_init(&make) {
        Ok(reader) => reader(bytes),
        Err(problem) => Err(problem.clone()),
    }))
}
