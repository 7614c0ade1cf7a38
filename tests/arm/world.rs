//! Of the outside, what the engine needs: time.
//!
//! What it is not: files, network or randomness, which bring crates along that the engine does without.
//! Start at [`Clock`].

#[path = "../../src/world/clock.rs"]
mod clock;

pub use clock::{Clock, SimulatedClock, SystemClock};
