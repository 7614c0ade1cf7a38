//! A language as a component that lives as long as a session: cells run one after another in one instance.
//!
//! What it is not: it holds no authority between cells. What a cell reads of the user's is asked of the grant of the call
//! that runs it, each time, and what it writes stays in its [`Drive`]. Start at [`Runtime::start`], then
//! [`Interpreter::run`].

mod bindings;
mod drive;
mod filesystem;
mod inside;

pub use drive::Drive;

use super::cache::Cache;
use super::host::{compiler, config};
use super::package::sha256;
use super::ticker::Ticker;
use crate::policy::Grant;
use crate::tool::Progress;
use crate::tool::ignored::IgnoreFiles;
use crate::world::World;
use bindings::files::wasi::filesystem::{preopens, types};
use bindings::python::InterpreterPre;
use drive::Below;
use inside::Inside;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store, Trap, UpdateDeadline};

/// The component, compressed with zstd; `tools/python/build` makes it.
static COMPONENT: &[u8] = include_bytes!("../../../../tools/python/python.wasm.zst");

/// Its hash, uncompressed, and what it is; `tools/python/build` writes it.
static PROVENANCE: &str = include_str!("../../../../tools/python/python.toml");

/// Bytes of the machine's stack: so much that CPython's own guard against deep recursion comes first.
const MAX_STACK: usize = 16 << 20;

/// CPython, compiled for this machine.
pub struct Runtime {
    engine: Engine,
    ticker: Ticker,
    pre: InterpreterPre<Inside>,
    world: World,
}

/// One instance, with all that its cells have defined.
pub struct Interpreter {
    store: Store<Inside>,
    instance: bindings::python::Interpreter,
    runtime: Arc<Runtime>,
    drive: Arc<Mutex<Drive>>,
}

/// What a cell did.
pub use bindings::python::Outcome;

/// Why a cell ended with its interpreter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// It took too long.
    #[error("the cell was stopped after {0:?}, its time limit")]
    TimedOut(Duration),
    /// It wanted more memory than there is, where Python could not say so itself.
    #[error("the cell wanted more than {limit_mib} MiB of memory")]
    OutOfMemory {
        /// In MiB.
        limit_mib: usize,
    },
    /// The interpreter itself crashed.
    #[error("the cell crashed the interpreter ({0})")]
    Crashed(String),
}

impl Runtime {
    /// Makes the interpreter ready: from the cache where an earlier run compiled it, else by compiling it, which takes a
    /// while. `cache` is the folder of compiled components.
    pub fn new(world: World, cache: Option<PathBuf>, progress: &Progress) -> Result<Self, String> {
        let engine = engine().map_err(|error| format!("{error:#}"))?;
        let cache = cache.and_then(|folder| Cache::open(&folder, || world.random.next_u64()).ok());
        let component = component(&engine, cache.as_ref(), progress)?;
        let mut linker = Linker::new(&engine);
        linker.allow_shadowing(true);
        let linked = wasmtime_wasi::p2::add_to_linker_async(&mut linker).and_then(|()| {
            preopens::add_to_linker::<_, HasSelf<Inside>>(&mut linker, |inside| inside)?;
            types::add_to_linker::<_, HasSelf<Inside>>(&mut linker, |inside| inside)?;
            InterpreterPre::new(linker.instantiate_pre(&component)?)
        });
        let pre = linked.map_err(|error| format!("{error:#}"))?;
        Ok(Self { ticker: Ticker::new(&engine), engine, pre, world })
    }

    /// A fresh interpreter over this drive, with so many bytes of memory.
    pub async fn start(self: &Arc<Self>, drive: Arc<Mutex<Drive>>, memory: usize) -> Result<Interpreter, Ended> {
        let mut store = Store::new(&self.engine, Inside::new(&self.world, drive.clone(), memory));
        store.limiter(|inside| &mut inside.memory);
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = self.pre.instantiate_async(&mut store).await;
        let instance = instance.map_err(|error| Ended::Crashed(error.root_cause().to_string()))?;
        Ok(Interpreter { store, instance, runtime: self.clone(), drive })
    }
}

/// An engine of its own: an interpreter keeps its memory, which a pool's slots are too small for.
fn engine() -> wasmtime::Result<Engine> {
    let wide = || {
        let mut config = config();
        config.max_wasm_stack(MAX_STACK).async_stack_size(MAX_STACK + (2 << 20));
        config
    };
    Engine::new(&wide()).or_else(|_| {
        // Where addresses are rationed.
        Engine::new(wide().memory_reservation(0).memory_guard_size(0).memory_reservation_for_growth(16 << 20))
    })
}

fn component(engine: &Engine, cache: Option<&Cache>, progress: &Progress) -> Result<Component, String> {
    let explain = |error: wasmtime::Error| format!("{error:#}");
    let (hash, compiler) = (provenance("sha256"), compiler(engine));
    if let Some(compiled) = cache.and_then(|cache| cache.load(hash, compiler)) {
        // SAFETY: the file is what this program compiled from this very component with this engine: its MAC was right a
        // moment ago, and it lies in a folder that only this user can change, who could as well change this program.
        match unsafe { Component::deserialize_file(engine, compiled) } {
            Ok(component) => return Ok(component),
            Err(error) => tracing::warn!(%error, "python is compiled anew"),
        }
    }
    progress.say("making Python ready, once on this machine; about half a minute");
    let component = zstd::decode_all(COMPONENT).map_err(|error| format!("the embedded interpreter: {error}"))?;
    if sha256(&component) != hash {
        return Err("the embedded interpreter is not the one that its provenance names".into());
    }
    let compiled = engine.precompile_component(&component).map_err(explain)?;
    tracing::info!(n_bytes = compiled.len(), "compiled python");
    if let Some(cache) = cache {
        cache.store(hash, compiler, &compiled);
    }
    // SAFETY: the bytes come from the compiler, a few lines above.
    unsafe { Component::deserialize(engine, &compiled) }.map_err(explain)
}

/// A text value of `python.toml`.
fn provenance(key: &str) -> &'static str {
    let value = |line: &'static str| line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim().strip_prefix('"');
    PROVENANCE.lines().find_map(value).map_or("", |value| value.trim_end_matches('"'))
}

impl Interpreter {
    /// Runs one cell under the grant of its call, and tells `progress` how much memory it has. Each text of the outcome has
    /// at most `max_text` bytes. Once a cell has ended its interpreter, so has every later one.
    pub async fn run(
        &mut self,
        code: &str,
        grant: Arc<Grant>,
        max_text: u32,
        time: Duration,
        progress: &Progress,
    ) -> Result<Outcome, Ended> {
        let disk = self.runtime.world.disk.clone();
        let _served = Served::new(&self.drive, Below { grant, disk, ignored: IgnoreFiles::default() });
        self.store.data_mut().memory.watch(progress.clone());
        let clock = self.runtime.world.clock.clone();
        let deadline = clock.elapsed() + time;
        self.store.set_epoch_deadline(1);
        self.store.epoch_deadline_callback(move |_| {
            let is_over = clock.elapsed() >= deadline;
            Ok(if is_over { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
        });
        let ticking = self.runtime.ticker.start();
        let called = self.instance.call_run(&mut self.store, code, max_text);
        let ended = tokio::time::timeout(time, called).await;
        drop(ticking);
        let memory = &self.store.data().memory;
        match ended {
            Ok(Ok(outcome)) => Ok(outcome),
            Err(_) => Err(Ended::TimedOut(time)),
            Ok(Err(trap)) if trap.downcast_ref() == Some(&Trap::Interrupt) => Err(Ended::TimedOut(time)),
            Ok(Err(_)) if memory.exceeded => Err(Ended::OutOfMemory { limit_mib: memory.limit() >> 20 }),
            Ok(Err(trap)) => Err(Ended::Crashed(trap.root_cause().to_string())),
        }
    }
}

/// While it lives, the drive reads under a call's grant.
struct Served(Arc<Mutex<Drive>>);

impl Served {
    fn new(drive: &Arc<Mutex<Drive>>, below: Below) -> Self {
        drive.lock().unwrap_or_else(PoisonError::into_inner).serve(Some(below));
        Self(drive.clone())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).serve(None);
    }
}
