//! The outside as traits: time, randomness, user files and the network, each real or simulated.
//!
//! What it is not: a wrapper of everything the standard library does. Model weights, the SQLite journal and what the user
//! configured are read from the real disk before a session begins; whatever a *session* can observe goes through here, so
//! that it can be replayed and a crash simulated.
//!
//! Start at [`World`], the bundle that the agent and the tools are given.

mod clock;
mod directory;
mod disk;
mod network;
mod random;

pub use clock::{Clock, SimulatedClock, SystemClock};
pub use directory::{Directory, Entry, Kind};
pub use disk::{Disk, MemoryDisk, RealDisk};
pub use network::{Network, NoNetwork, RealNetwork};
pub use random::{Random, SeededRandom, SystemRandom};

use std::sync::Arc;

/// The four sides of the outside, shared by cloning.
#[derive(Clone)]
pub struct World {
    /// Wall and monotonic time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for seeds, identifiers and keys.
    pub random: Arc<dyn Random>,
    /// The user's files, as tools see them.
    pub disk: Arc<dyn Disk>,
    /// Name resolution.
    pub network: Arc<dyn Network>,
}

impl World {
    /// The machine itself.
    pub fn real() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            disk: Arc::new(RealDisk),
            network: Arc::new(RealNetwork),
        }
    }

    /// A world without an outside: a clock that only moves when told, seeded randomness, files in memory, no network.
    pub fn simulated(seed: u64) -> Self {
        Self {
            clock: Arc::new(SimulatedClock::default()),
            random: Arc::new(SeededRandom::new(seed)),
            disk: Arc::new(MemoryDisk::default()),
            network: Arc::new(NoNetwork),
        }
    }
}
