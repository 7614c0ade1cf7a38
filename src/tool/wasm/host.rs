//! Components made ready and called.

use super::bindings::exports::ossicle::tool::tools::{Output as GuestOutput, ToolError as GuestError};
use super::bindings::ossicle::tool::{clock, document};
use super::bindings::{GuestPre, ossicle::tool::types::Attachment as GuestAttachment};
use super::cache::Cache;
use super::package::{Declared, Limits, MAX_MEMORY_MIB, Manifest, Package, PackageError, sha256};
use super::sandbox::{MAX_INSTANCES, MAX_MEMORIES, MAX_TABLES, Sandbox};
use super::ticker::Ticker;
use crate::policy::{Capabilities, Grant};
use crate::tool::{Attachment, Output, Tool, ToolError, ToolSpec};
use crate::world::World;
use async_trait::async_trait;
use serde_json::Value;
use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{OnceCell, Semaphore};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, Trap, UpdateDeadline};

/// A guest's stack, in bytes.
const MAX_STACK: usize = 1 << 20;

/// Calls that may run at once; more wait for their turn.
const MAX_CALLS: usize = 32;

/// What stays in memory between two calls, in bytes: to clear it costs less than to give it back and to ask for it again.
const KEPT_MEMORY: usize = 128 << 10;
const KEPT_TABLES: usize = 32 << 10;

/// Runs components. One for all packages of a process.
pub struct Host(Arc<Shared>);

struct Shared {
    engine: Engine,
    ticker: Ticker,
    cache: Option<Cache>,
    /// One permit for each call that the pool has room for.
    room: Semaphore,
    world: World,
}

impl Host {
    /// A host whose compiled components are kept in `cache`, when a folder is given and can be written.
    pub fn new(world: World, cache: Option<PathBuf>) -> Result<Self, PackageError> {
        let engine = pooled().or_else(|error| {
            // Where addresses are rationed (`ulimit -v`) there is no room for a pool, nor for memories that reserve all that a
            // 32-bit address reaches.
            tracing::info!(error = format!("{error:#}"), "tools run without a pool, slower");
            Engine::new(config().memory_reservation(0).memory_guard_size(0).memory_reservation_for_growth(1 << 20))
        });
        let engine = engine.map_err(PackageError::Sandbox)?;
        let cache = cache.and_then(|folder| match Cache::open(&folder, || world.random.next_u64()) {
            Ok(cache) => Some(cache),
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "compiled tools cannot be kept");
                None
            }
        });
        let room = Semaphore::new(MAX_CALLS);
        Ok(Self(Arc::new(Shared { ticker: Ticker::new(&engine), engine, cache, room, world })))
    }

    /// The tools of a package. A file that it wants lies in a folder of its own under `data`. The component is made ready
    /// at the first call of any of them.
    pub fn load(&self, package: Package, data: &Path) -> Vec<Arc<dyn Tool>> {
        let Package { manifest, declarations, component, .. } = package;
        let guest = self.loaded(manifest, component, data);
        let tool = |declared: Declared| -> Arc<dyn Tool> {
            let name = declared.id.tool.clone();
            let spec = ToolSpec {
                id: declared.id,
                description: declared.description,
                parameters: Some(declared.parameters),
                effect: declared.effect,
                recovery: declared.recovery,
                wants: guest.wants.clone(),
            };
            Arc::new(WasmTool { spec, name, guest: guest.clone() })
        };
        declarations.into_iter().map(tool).collect()
    }

    /// Whether a package's component can be compiled and gets all that it imports; else why not.
    pub async fn check(&self, package: Package) -> Result<(), ToolError> {
        self.loaded(package.manifest, package.component, Path::new("/data")).ready().await.map(|_| ())
    }

    /// What a component says of itself, which must be what lies beside it.
    #[cfg(test)]
    pub(super) async fn describe(&self, package: Package) -> wasmtime::Result<Vec<super::bindings::exports::ossicle::tool::tools::ToolSpec>> {
        let guest = self.loaded(package.manifest, package.component, Path::new("/data"));
        let ready = guest.ready().await.map_err(|error| wasmtime::format_err!("{error}"))?;
        let sandbox = Sandbox::new(None, self.0.world.clone(), 64 << 20);
        let mut store = Store::new(&self.0.engine, sandbox);
        store.limiter(|sandbox| &mut sandbox.memory);
        store.set_epoch_deadline(1000);
        let instance = ready.instantiate_async(&mut store).await?;
        instance.ossicle_tool_tools().call_describe(&mut store).await
    }

    fn loaded(&self, manifest: Manifest, component: Cow<'static, [u8]>, data: &Path) -> Arc<Loaded> {
        let wants = Capabilities {
            clock: manifest.wants.clock,
            file: manifest.wants.file.map(|name| data.join(&manifest.name).join(name)),
        };
        Arc::new(Loaded {
            shared: self.0.clone(),
            name: manifest.name,
            sha256: manifest.sha256,
            limits: manifest.limits,
            wants,
            component,
            ready: OnceCell::new(),
        })
    }
}

/// A package's component, compiled when first needed.
struct Loaded {
    shared: Arc<Shared>,
    name: String,
    sha256: String,
    limits: Limits,
    wants: Capabilities,
    component: Cow<'static, [u8]>,
    /// Ready, or why it never will be.
    ready: OnceCell<Result<GuestPre<Sandbox>, String>>,
}

/// One tool of a component.
struct WasmTool {
    spec: ToolSpec,
    /// Its name in the component.
    name: String,
    guest: Arc<Loaded>,
}

#[async_trait]
impl Tool for WasmTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, arguments: Value, grant: Grant) -> Result<Output, ToolError> {
        if *grant.tool() != self.spec.id {
            return Err(ToolError::Unavailable(format!("the grant is for {}", grant.tool())));
        }
        self.guest.call(&self.name, &arguments.to_string(), grant).await
    }
}

impl Loaded {
    async fn call(self: &Arc<Self>, name: &str, arguments: &str, grant: Grant) -> Result<Output, ToolError> {
        let guest = self.ready().await?;
        let _room = self.shared.room.acquire().await.map_err(|error| ToolError::Unavailable(error.to_string()))?;
        let Limits { memory_mib, output_bytes, .. } = self.limits;
        let sandbox = Sandbox::new(Some(grant), self.shared.world.clone(), memory_mib << 20);
        let mut store = Store::new(&self.shared.engine, sandbox);
        store.limiter(|sandbox| &mut sandbox.memory);
        // A guest that computes gives way at every tick, and traps at its deadline. The timeout below ends a guest that
        // waits in the host instead.
        let (limit, clock) = (self.limits.time(), self.shared.world.clock.clone());
        let deadline = clock.elapsed() + limit;
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            let is_over = clock.elapsed() >= deadline;
            Ok(if is_over { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
        });
        let called = async {
            let instance = guest.instantiate_async(&mut store).await?;
            instance.ossicle_tool_tools().call_call(&mut store, name, arguments).await
        };
        let ticking = self.shared.ticker.start();
        let ended = tokio::time::timeout(limit, called).await;
        drop(ticking);
        let result = match ended {
            Err(_) => return Err(ToolError::TimedOut(limit)),
            Ok(Err(trap)) if trap.downcast_ref() == Some(&Trap::Interrupt) => return Err(ToolError::TimedOut(limit)),
            Ok(Err(_)) if store.data().memory.exceeded => return Err(ToolError::OutOfMemory { limit_mib: memory_mib }),
            Ok(Err(trap)) => {
                tracing::info!(package = self.name, tool = name, error = format!("{trap:#}"), "a tool trapped");
                return Err(ToolError::Trapped(trap.root_cause().to_string()));
            }
            Ok(Ok(result)) => result,
        };
        match result {
            Ok(GuestOutput { text, .. }) if text.len() > output_bytes => {
                Err(ToolError::OutputTooLong { limit: output_bytes })
            }
            Ok(GuestOutput { text, attachments }) => {
                Ok(Output { text, attachments: attachments.into_iter().map(attachment).collect() })
            }
            Err(GuestError::InvalidArguments(problem)) => Err(ToolError::InvalidArguments(cut(problem, output_bytes))),
            Err(GuestError::UnknownTool(name)) => {
                Err(ToolError::Unavailable(format!("its component knows no tool `{}`", cut(name, 64))))
            }
            Err(GuestError::Failed(problem)) => Err(ToolError::Failed(cut(problem, output_bytes))),
        }
    }

    async fn ready(self: &Arc<Self>) -> Result<&GuestPre<Sandbox>, ToolError> {
        let ready = self.ready.get_or_init(|| async {
            let this = self.clone();
            match tokio::task::spawn_blocking(move || this.prepare()).await {
                Ok(prepared) => prepared,
                Err(crash) => Err(crash.to_string()),
            }
        });
        ready.await.as_ref().map_err(|problem| ToolError::Unavailable(problem.clone()))
    }

    /// Compiles, or takes the compiled form from the cache, and links what the manifest wants. An import that nothing
    /// provides fails here, by its name.
    fn prepare(&self) -> Result<GuestPre<Sandbox>, String> {
        let hash = sha256(&self.component);
        if hash != self.sha256 {
            return Err(format!("its component is not the one that the manifest names (sha256 {hash})"));
        }
        let explain = |error: wasmtime::Error| format!("{error:#}");
        let component = self.compiled().map_err(explain)?;
        let mut linker = Linker::new(&self.shared.engine);
        // Hundreds of functions, which most components have no use for.
        let has_wasi =
            component.component_type().imports(&self.shared.engine).any(|(name, _)| name.starts_with("wasi:"));
        let linked = match has_wasi {
            true => wasmtime_wasi::p2::add_to_linker_async(&mut linker),
            false => Ok(()),
        };
        let linked = linked.and_then(|()| match self.wants.clock {
            true => clock::add_to_linker::<_, HasSelf<Sandbox>>(&mut linker, |sandbox| sandbox),
            false => Ok(()),
        });
        let linked = linked.and_then(|()| match self.wants.file {
            Some(_) => document::add_to_linker::<_, HasSelf<Sandbox>>(&mut linker, |sandbox| sandbox),
            None => Ok(()),
        });
        linked.map_err(explain)?;
        linker.instantiate_pre(&component).and_then(GuestPre::new).map_err(explain)
    }

    fn compiled(&self) -> wasmtime::Result<Component> {
        let Shared { engine, cache, .. } = &*self.shared;
        let compiler = compiler(engine);
        if let Some(compiled) = cache.as_ref().and_then(|cache| cache.load(&self.sha256, compiler)) {
            // SAFETY: the bytes are what this program compiled from this very component with this engine and wrote into
            // its own folder: their MAC, under a key that only this user can read, has just been checked.
            match unsafe { Component::deserialize(engine, compiled) } {
                Ok(component) => return Ok(component),
                Err(error) => tracing::warn!(package = self.name, %error, "compiled anew"),
            }
        }
        let compiled = engine.precompile_component(&self.component)?;
        tracing::info!(package = self.name, n_bytes = compiled.len(), "compiled a tool");
        if let Some(cache) = cache {
            cache.store(&self.sha256, compiler, &compiled);
        }
        // SAFETY: the bytes come from the compiler, one line above.
        unsafe { Component::deserialize(engine, compiled) }
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true).max_wasm_stack(MAX_STACK).async_stack_size(2 * MAX_STACK);
    // For debuggers only; a trap's backtrace needs none of it.
    config.native_unwind_info(false);
    config
}

/// An engine whose instances take their memories, tables and stacks from a pool that is made once.
fn pooled() -> wasmtime::Result<Engine> {
    let n_calls = MAX_CALLS as u32;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(n_calls)
        .total_core_instances(n_calls * MAX_INSTANCES)
        .max_core_instances_per_component(MAX_INSTANCES)
        .total_memories(n_calls * MAX_MEMORIES)
        .max_memories_per_component(MAX_MEMORIES)
        .total_tables(n_calls * MAX_TABLES)
        .max_tables_per_component(MAX_TABLES)
        .total_stacks(n_calls)
        .max_memory_size(MAX_MEMORY_MIB << 20)
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLES);
    Engine::new(config().allocation_strategy(InstanceAllocationStrategy::Pooling(pool)))
}

/// Identifies the compiler, its version and its settings: what else decides how a component's native code looks.
fn compiler(engine: &Engine) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

fn attachment(GuestAttachment { name, media_type, data }: GuestAttachment) -> Attachment {
    Attachment { name, media_type, data }
}

/// At most `limit` bytes of a guest's words.
fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
    text
}
