//! The engine and what it needs, for a processor other than this one.
//!
//! What it is not: the program. There is no policy, no network and no tool here; `build.rs` says which sources these are.
//! Start at `answer`: the embedded model writes a call; the kernels' own tests stand beside the kernels.

include!(concat!(env!("OUT_DIR"), "/tree/modules.rs"));
pub mod world;

#[cfg(test)]
mod answer;
