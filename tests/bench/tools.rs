//! A call of a trivial component through our host, beside the plain way (an instance from the linker for each call, no pool),
//! in one run: `cargo bench --bench tools`. Policy and the journal are not in it.

#![allow(clippy::unwrap_used)] // a bench that cannot go on says so

use ossicle::policy::{Decision, Policy};
use ossicle::tool::wasm::{Host, Package, Surroundings};
use ossicle::tool::{Progress, Tool};
use ossicle::world::World;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

mod plain {
    wasmtime::component::bindgen!({ path: "tools/wit", world: "tool", exports: { default: async } });
}

/// The component of the hostile tests: its `echo` does nothing but answer.
const COMPONENT: &[u8] = include_bytes!("../fixtures/tools/hostile.wasm");

const N_CALLS: usize = 4_000;
const N_ROUNDS: usize = 5;
const N_TASKS: usize = 2;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(N_TASKS).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (ours, plain) = (Arc::new(Ours::new(folder.path())), Arc::new(Plain::new()));
    println!(
        "{N_CALLS} calls a round, the best of {N_ROUNDS} rounds taken in turn, {N_TASKS} tasks for the throughput"
    );
    let (mut best, mut best_plain) = (Figures::WORST, Figures::WORST);
    for _ in 0..N_ROUNDS {
        best.keep(&runtime.block_on(measure(&ours)));
        best_plain.keep(&runtime.block_on(measure(&plain)));
    }
    println!("ours:  {best}\nplain: {best_plain}");
    println!(
        "p50 {:.2} of the plain way's, {:.1} times its calls per second",
        best.p50.as_secs_f64() / best_plain.p50.as_secs_f64(),
        best.calls_per_second / best_plain.calls_per_second
    );
    let first_call = || {
        let started_again = Ours::new(folder.path());
        let start = Instant::now();
        runtime.block_on(started_again.call());
        start.elapsed()
    };
    let made_ready = || {
        let (host, package) = parts(folder.path());
        let start = Instant::now();
        runtime.block_on(host.check(package)).unwrap();
        start.elapsed()
    };
    let fastest = |time: &dyn Fn() -> Duration| (0..50).map(|_| time()).min().unwrap().as_secs_f64() * 1e3;
    println!(
        "a component that an earlier process compiled: ready in {:.3} ms, its first call in {:.3} ms",
        fastest(&made_ready),
        fastest(&first_call)
    );
}

struct Figures {
    p50: Duration,
    p99: Duration,
    calls_per_second: f64,
}

impl Figures {
    const WORST: Self = Self { p50: Duration::MAX, p99: Duration::MAX, calls_per_second: 0.0 };

    fn keep(&mut self, other: &Self) {
        self.p50 = self.p50.min(other.p50);
        self.p99 = self.p99.min(other.p99);
        self.calls_per_second = self.calls_per_second.max(other.calls_per_second);
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let us = |duration: Duration| duration.as_secs_f64() * 1e6;
        write!(f, "p50 {:.1} us, p99 {:.1} us, {:.0} calls/s", us(self.p50), us(self.p99), self.calls_per_second)
    }
}

/// A way of calling the component.
trait Way: Send + Sync + 'static {
    fn call(&self) -> impl Future<Output = ()> + Send;
}

/// Calls one after the other, then from several tasks at once.
async fn measure<W: Way>(way: &Arc<W>) -> Figures {
    let mut times = Vec::with_capacity(N_CALLS);
    for _ in 0..N_CALLS {
        let start = Instant::now();
        way.call().await;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let start = Instant::now();
    let tasks: Vec<_> = (0..N_TASKS)
        .map(|_| {
            let way = way.clone();
            tokio::spawn(async move {
                for _ in 0..N_CALLS {
                    way.call().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let calls_per_second = (N_TASKS * N_CALLS) as f64 / start.elapsed().as_secs_f64();
    Figures { p50: times[N_CALLS / 2], p99: times[N_CALLS * 99 / 100], calls_per_second }
}

struct Ours {
    tool: Arc<dyn Tool>,
    policy: Policy,
}

/// A host with this cache, and the package.
fn parts(cache: &Path) -> (Host, Package) {
    let hash: String = Sha256::digest(COMPONENT).iter().map(|byte| format!("{byte:02x}")).collect();
    let manifest = format!(
        "name = \"bench\"\nversion = \"1\"\ncomponent = \"x\"\nsha256 = \"{hash}\"\n\
             [[tool]]\nname = \"echo\"\neffect = \"pure\"\nrecovery = \"repeat\"\n"
    );
    let declarations = json!([{"name": "echo", "description": "", "parameters": {"type": "object"}}]);
    let package = Package::new(&manifest, &declarations.to_string(), COMPONENT).unwrap();
    (Host::new(World::real(), Some(cache.to_owned()), None).unwrap(), package)
}

impl Ours {
    fn new(cache: &Path) -> Self {
        let (host, package) = parts(cache);
        let tool = host.load(package, &Surroundings::simulated()).remove(0);
        let policy = "version = 1\n[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"\n";
        Self { tool, policy: Policy::parse("bench", policy).unwrap() }
    }
}

impl Way for Ours {
    async fn call(&self) {
        let spec = self.tool.spec();
        let arguments = json!({});
        let Decision::Allow(grant) = self.policy.decide(&spec.asks(&arguments)) else {
            panic!("everything is allowed")
        };
        self.tool.call(arguments.clone(), grant, &Progress::default()).await.unwrap();
    }
}

struct Plain {
    engine: Engine,
    component: Component,
    linker: Linker<Wasi>,
}

struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Wasi {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }
}

impl Plain {
    fn new() -> Self {
        let mut config = Config::new();
        config.epoch_interruption(true);
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, COMPONENT).unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        Self { engine, component, linker }
    }
}

impl Way for Plain {
    async fn call(&self) {
        let wasi = Wasi { ctx: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, wasi);
        store.set_epoch_deadline(1000);
        let instance = plain::Tool::instantiate_async(&mut store, &self.component, &self.linker).await.unwrap();
        instance.ossicle_tool_tools().call_call(&mut store, "echo", "{}").await.unwrap().unwrap();
    }
}
