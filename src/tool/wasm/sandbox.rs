//! The inside of one call: what the guest can reach, which is what its grant gives and nothing else.

use super::bindings::ossicle::tool::{clock, document};
use crate::policy::Grant;
use crate::world::World;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Result};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// The granted file may hold so many bytes.
const MAX_DOCUMENT: u64 = 1 << 20;

/// Resources of WASI (streams, pollables) that a guest may hold at once.
const MAX_RESOURCES: usize = 1000;

/// Bytes of WASI's random numbers in one call of them.
const MAX_RANDOM: u64 = 64 * 1024;

/// Everything that belongs to one call; dropped with it.
pub(super) struct Sandbox {
    /// `None` gives nothing at all.
    grant: Option<Grant>,
    world: World,
    /// Made when a guest first asks for it: most import it and never do.
    wasi: Option<WasiCtx>,
    table: ResourceTable,
    pub(super) memory: MemoryLimit,
}

impl Sandbox {
    pub(super) fn new(grant: Option<Grant>, world: World, max_memory: usize) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Self { grant, world, wasi: None, table, memory: MemoryLimit { max: max_memory, total: 0, exceeded: false } }
    }

    fn file(&self) -> Result<PathBuf> {
        self.grant
            .as_ref()
            .and_then(Grant::file)
            .map(PathBuf::from)
            .ok_or_else(|| wasmtime::format_err!("no file was granted"))
    }
}

/// Components built with a standard library import WASI whether they use it or not. What they find is empty: no arguments,
/// no environment, no files, no sockets, a closed input, outputs that lead nowhere, 1970, clocks that stand, and the same
/// random numbers every time.
fn empty_wasi() -> WasiCtx {
    let random = Xoshiro256PlusPlus::seed_from_u64;
    WasiCtx::builder()
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .wall_clock(StoppedClock)
        .monotonic_clock(StoppedClock)
        .secure_random(random(0))
        .insecure_random(random(0))
        .insecure_random_seed(0)
        .max_random_size(MAX_RANDOM)
        .build()
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: self.wasi.get_or_insert_with(empty_wasi), table: &mut self.table }
    }
}

impl clock::Host for Sandbox {
    fn now(&mut self) -> Result<clock::Instant> {
        if !self.grant.as_ref().is_some_and(Grant::clock) {
            return Err(wasmtime::format_err!("the clock was not granted"));
        }
        let since = self.world.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(clock::Instant { seconds: since.as_secs(), nanoseconds: since.subsec_nanos() })
    }

    fn zone(&mut self) -> Result<String> {
        if !self.grant.as_ref().is_some_and(Grant::clock) {
            return Err(wasmtime::format_err!("the clock was not granted"));
        }
        Ok(self.world.clock.zone().iana_name().unwrap_or("UTC").to_owned())
    }
}

impl document::Host for Sandbox {
    async fn read(&mut self) -> Result<Result<Vec<u8>, String>> {
        let (path, disk) = (self.file()?, self.world.disk.clone());
        let read = tokio::task::spawn_blocking(move || disk.read(&path, MAX_DOCUMENT)).await?;
        Ok(match read {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(|error| error.to_string()),
        })
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<Result<(), String>> {
        let (path, disk) = (self.file()?, self.world.disk.clone());
        if !self.grant.as_ref().is_some_and(Grant::may_write) {
            return Err(wasmtime::format_err!("a tool that says it only reads wanted to write"));
        }
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Ok(Err(format!("the file may hold at most {MAX_DOCUMENT} bytes")));
        }
        let written = tokio::task::spawn_blocking(move || disk.write(&path, &bytes)).await?;
        Ok(written.map_err(|error| error.to_string()))
    }
}

/// Refuses memory beyond a limit for all of a call's memories together, and remembers that it did: the trap that follows
/// does not say so.
pub(super) struct MemoryLimit {
    max: usize,
    total: usize,
    pub(super) exceeded: bool,
}

/// Entries of one table.
const MAX_TABLE: usize = 20_000;

/// What a component may be made of, with and without the pool.
pub(super) const MAX_MEMORIES: u32 = 8;
pub(super) const MAX_TABLES: u32 = 16;
pub(super) const MAX_INSTANCES: u32 = 64;

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let total = self.total.saturating_add(desired.saturating_sub(current));
        let fits = total <= self.max;
        if fits {
            self.total = total;
        } else {
            self.exceeded = true;
        }
        Ok(fits)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= MAX_TABLE)
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES as usize
    }
}

/// WASI's clocks, for guests that were not given the time.
struct StoppedClock;

impl wasmtime_wasi::HostWallClock for StoppedClock {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl wasmtime_wasi::HostMonotonicClock for StoppedClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_call_is_counted_together() {
        let mut memory = MemoryLimit { max: 100, total: 0, exceeded: false };
        assert!(memory.memory_growing(0, 60, None).unwrap());
        assert!(memory.memory_growing(0, 30, None).unwrap(), "a second memory");
        assert!(!memory.memory_growing(60, 80, None).unwrap());
        assert!(memory.exceeded);
        assert!(memory.memory_growing(60, 70, None).unwrap(), "what fits is still given");
    }
}
