//! Our harmony, for the fuzz targets.

#[path = "../../src/harmony/mod.rs"]
pub mod harmony;
