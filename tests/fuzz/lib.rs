//! Our harmony, and how pages become text, for the fuzz targets.

#[path = "../../src/harmony/mod.rs"]
pub mod harmony;

#[path = "../../src/tool/browser/html/mod.rs"]
pub mod html;
#[path = "../../src/tool/browser/page.rs"]
pub mod page;
