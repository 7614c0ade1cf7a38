//! Tools as WASM components: a fresh instance for every call, in a sandbox that is empty but for what the grant gives.
//!
//! What it is not: a place for policy. What a manifest wants is granted or not before a call gets here.
//! Start at [`Host`]; [`Package`] is a component with its manifest, [`bundled`] the ones that come with the program.

mod bindings;
mod bounds;
mod cache;
mod download;
mod examples;
mod granted;
mod host;
pub mod interpreter;
mod pack;
mod package;
mod pdf;
mod sandbox;
mod store;
mod ticker;

pub use download::{download, is_remote};
pub use examples::{Outcome, run_examples};
pub(crate) use granted::read_granted;
pub use host::{Host, Surroundings};
pub use package::{
    BUNDLED, Example, Limits, PACKAGE_NAME, Package, PackageError, bundled, is_component_name, is_package_name,
};
pub use pdf::Pdf;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
