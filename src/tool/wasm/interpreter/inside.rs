//! What an interpreter has around it: its drive, the world's clock and randomness, and a WASI that is otherwise empty.

use super::drive::Drive;
use crate::tool::Progress;
use crate::tool::wasm::sandbox::{MemoryLimit, Quota};
use crate::world::{Clock, Random, World};
use rand_xoshiro::rand_core::TryRng;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// Files, streams and the like that are open at once.
const MAX_RESOURCES: usize = 1024;

/// Bytes of random numbers at once.
const MAX_RANDOM: u64 = 1 << 20;

/// Everything that belongs to one interpreter.
pub(super) struct Inside {
    pub(super) drive: Arc<Mutex<Drive>>,
    /// When its disk says that everything was made.
    pub(super) started: SystemTime,
    /// Folders that are being listed.
    pub(super) n_listings: usize,
    wasi: WasiCtx,
    pub(super) table: ResourceTable,
    pub(super) memory: MemoryLimit,
}

impl Inside {
    pub(super) fn new(world: &World, drive: Arc<Mutex<Drive>>, memory: usize) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let random = || Drawn(world.random.clone());
        let wasi = WasiCtx::builder()
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .wall_clock(Wall(world.clock.clone()))
            .monotonic_clock(Monotonic(world.clock.clone()))
            .secure_random(random())
            .insecure_random(random())
            .insecure_random_seed(u128::from(world.random.next_u64()))
            .max_random_size(MAX_RANDOM)
            .build();
        // A whole language in one component is made of large tables.
        let quota = Quota { n_bytes: memory, n_table: 200_000 };
        let memory = MemoryLimit::new(quota, Progress::default());
        Self { drive, started: world.clock.now(), n_listings: 0, wasi, table, memory }
    }
}

impl WasiView for Inside {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The world's random numbers.
struct Drawn(Arc<dyn Random>);

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u64() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.0.next_u64().to_le_bytes()[..part.len()]);
        }
        Ok(())
    }
}

struct Wall(Arc<dyn Clock>);

impl wasmtime_wasi::HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        self.0.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}

struct Monotonic(Arc<dyn Clock>);

impl wasmtime_wasi::HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        1000
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
