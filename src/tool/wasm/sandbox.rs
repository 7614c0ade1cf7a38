//! The inside of one call: what the guest can reach, which is what its grant gives and nothing else.

use super::package::Limits;
use super::store::Values;
use crate::egress::Egress;
use crate::policy::Grant;
use crate::tool::Progress;
use crate::tool::ignored::IgnoreFiles;
use crate::world::World;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Result};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// Resources of WASI (streams, pollables) that a guest may hold at once.
const MAX_RESOURCES: usize = 1000;

/// Bytes of WASI's random numbers in one call of them.
const MAX_RANDOM: u64 = 64 * 1024;

/// What all calls of a package are made with.
#[derive(Clone)]
pub(super) struct Kit {
    pub(super) world: World,
    /// `None` while offline.
    pub(super) egress: Option<Egress>,
    /// Variables of the environment that the package wants and that are set.
    pub(super) environment: Arc<BTreeMap<String, String>>,
    /// Held while a store is changed.
    pub(super) stores: Arc<Mutex<()>>,
}

/// Everything that belongs to one call; dropped with it.
pub(super) struct Sandbox {
    /// `None` gives nothing at all.
    pub(super) grant: Option<Arc<Grant>>,
    pub(super) kit: Kit,
    /// For one request over the network.
    pub(super) time: Duration,
    /// Bytes that may be written into folders, and as many that may come over the network.
    pub(super) max_data: usize,
    pub(super) n_written: usize,
    pub(super) n_received: usize,
    /// The user's `.ossicleignore` files, as the call met them.
    pub(super) ignored: Arc<IgnoreFiles>,
    /// What the store holds, when it has been read.
    pub(super) values: Option<Arc<Values>>,
    /// Made when a guest first asks for it: most import it and never do.
    wasi: Option<WasiCtx>,
    table: ResourceTable,
    pub(super) memory: MemoryLimit,
}

impl Sandbox {
    pub(super) fn new(grant: Option<Grant>, kit: Kit, limits: Limits, progress: Progress) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Self {
            grant: grant.map(Arc::new),
            kit,
            time: limits.time(),
            max_data: limits.data_mib << 20,
            n_written: 0,
            n_received: 0,
            ignored: Arc::default(),
            values: None,
            wasi: None,
            table,
            memory: MemoryLimit::new(Quota { n_bytes: limits.memory_mib << 20, n_table: MAX_TABLE }, progress),
        }
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

/// Refuses memory beyond a limit for all of a call's memories together, and remembers that it did: the trap that follows
/// does not say so.
pub(super) struct MemoryLimit {
    quota: Quota,
    total: usize,
    pub(super) exceeded: bool,
    /// Told how much it is.
    progress: Progress,
}

/// What a guest may have of its host.
#[derive(Clone, Copy)]
pub(super) struct Quota {
    /// Bytes of all its memories together.
    pub(super) n_bytes: usize,
    /// Entries of one table.
    pub(super) n_table: usize,
}

impl MemoryLimit {
    pub(super) fn new(quota: Quota, progress: Progress) -> Self {
        Self { quota, total: 0, exceeded: false, progress }
    }

    /// Another call begins in the same memory.
    pub(super) fn watch(&mut self, progress: Progress) {
        progress.uses_memory(self.total as u64);
        (self.exceeded, self.progress) = (false, progress);
    }

    /// In bytes.
    pub(super) fn limit(&self) -> usize {
        self.quota.n_bytes
    }
}

/// Entries of one table of a tool.
const MAX_TABLE: usize = 20_000;

/// What a component may be made of, with and without the pool.
pub(super) const MAX_MEMORIES: u32 = 8;
pub(super) const MAX_TABLES: u32 = 16;
pub(super) const MAX_INSTANCES: u32 = 64;

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let total = self.total.saturating_add(desired.saturating_sub(current));
        let fits = total <= self.quota.n_bytes;
        if fits {
            self.total = total;
            self.progress.uses_memory(total as u64);
        } else {
            self.exceeded = true;
        }
        Ok(fits)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= self.quota.n_table)
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
        let progress = Progress::default();
        let mut memory = MemoryLimit::new(Quota { n_bytes: 100, n_table: 1 }, progress.clone());
        assert!(memory.memory_growing(0, 60, None).unwrap());
        assert!(memory.memory_growing(0, 30, None).unwrap(), "a second memory");
        assert!(!memory.memory_growing(60, 80, None).unwrap());
        assert!(memory.exceeded);
        assert!(memory.memory_growing(60, 70, None).unwrap(), "what fits is still given");
        assert_eq!(progress.memory_peak(), Some(100));
        let next = Progress::default();
        memory.watch(next.clone());
        assert_eq!((memory.exceeded, next.memory_peak()), (false, Some(100)));
    }
}
