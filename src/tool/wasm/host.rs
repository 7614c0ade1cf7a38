//! Components made ready and called.

use super::bindings::exports::ossicle::tool::tools::{Output as GuestOutput, ToolError as GuestError};
use super::bindings::{GuestPre, ossicle::tool::types::Attachment as GuestAttachment};
use super::cache::Cache;
use super::granted::link;
use super::package::{Access, Declared, Limits, MAX_MEMORY_MIB, Manifest, Package, PackageError, STORE, Wants, sha256};
use super::sandbox::{Kit, MAX_INSTANCES, MAX_MEMORIES, MAX_TABLES, Sandbox};
use super::ticker::Ticker;
use crate::egress::Egress;
use crate::policy::{Capabilities, Folder, Grant, HostPattern, Integrity, Places};
use crate::tool::{Attachment, Output, Progress, Tool, ToolError, ToolSpec};
use crate::world::World;
use async_trait::async_trait;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Mutex, OnceCell, Semaphore};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, Trap, UpdateDeadline};

/// The version of `tools/wit/tool.wit`.
const CONTRACT: &str = "0.2.0";

/// A guest's stack, in bytes.
const MAX_STACK: usize = 1 << 20;

/// Calls that may run at once; more wait for their turn.
const MAX_CALLS: usize = 32;

/// What stays in memory between two calls, in bytes: to clear it costs less than to give it back and to ask for it again.
const KEPT_MEMORY: usize = 256 << 10;
const KEPT_TABLES: usize = 32 << 10;

/// Runs components. One for all packages of a process, shared by cloning.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

struct Shared {
    engine: Engine,
    ticker: Ticker,
    cache: Option<Cache>,
    /// One permit for each call that the pool has room for.
    room: Semaphore,
    world: World,
    /// `None` while offline.
    egress: Option<Egress>,
    /// Held while a store is changed.
    stores: Arc<Mutex<()>>,
}

/// Where packages find what they want, if policy grants it.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Under it each package has a folder for its own file and its store.
    pub data: PathBuf,
    /// The user's folders. Those that are writable are so for packages that want to write.
    pub folders: Vec<Folder>,
    /// What the environment holds.
    pub environment: BTreeMap<String, String>,
}

impl Surroundings {
    /// Those of a [simulated](World::simulated) world: a workspace, and no environment.
    pub fn simulated() -> Self {
        let workspace = Folder { path: Places::default().workspace, is_writable: true };
        Self { data: "/data".into(), folders: vec![workspace], environment: BTreeMap::new() }
    }

    fn wanted(&self, name: &str, wants: &Wants) -> Capabilities {
        let own = |file: &str| self.data.join(name).join(file);
        let folders = self.folders.iter().filter(|_| wants.folders.is_some()).cloned();
        let may_write = wants.folders == Some(Access::Write);
        Capabilities {
            clock: wants.clock,
            random: wants.random,
            file: wants.file.as_deref().map(own),
            store: wants.store.then(|| own(STORE)),
            environment: wants.environment.clone(),
            folders: folders.map(|folder| Folder { is_writable: folder.is_writable && may_write, ..folder }).collect(),
            // Reading the manifest has refused what is no host.
            hosts: wants.hosts.iter().filter_map(|host| HostPattern::parse(host).ok()).collect(),
        }
    }
}

impl Host {
    /// A host whose compiled components are kept in `cache`, when a folder is given and can be written. Without an `egress` no
    /// tool talks to anybody.
    pub fn new(world: World, cache: Option<PathBuf>, egress: Option<Egress>) -> Result<Self, PackageError> {
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
        let (ticker, stores) = (Ticker::new(&engine), Arc::default());
        Ok(Self(Arc::new(Shared { ticker, engine, cache, room, world, egress, stores })))
    }

    /// The tools of a package. The component is made ready at the first call of any of them.
    pub fn load(&self, package: Package, surroundings: &Surroundings) -> Vec<Arc<dyn Tool>> {
        let Package { manifest, declarations, component, .. } = package;
        let guest = self.loaded(manifest, component, surroundings);
        let tool = |declared: Declared| -> Arc<dyn Tool> {
            let name = declared.id.tool.clone();
            let spec = ToolSpec {
                id: declared.id,
                description: declared.description,
                parameters: Some(declared.parameters),
                effect: declared.effect,
                recovery: declared.recovery,
                wants: guest.wants.clone(),
                targets: declared.targets,
                integrity: Integrity::after(declared.effect),
                builtin: None,
            };
            Arc::new(WasmTool { spec, name, guest: guest.clone() })
        };
        declarations.into_iter().map(tool).collect()
    }

    /// A package's component for the program itself, which calls it without a grant.
    pub(super) fn guest(&self, package: Package) -> Guest {
        self.loaded(package.manifest, package.component, &Surroundings::simulated())
    }

    /// Whether a package's component can be compiled and gets all that it imports; else why not.
    pub async fn check(&self, package: Package) -> Result<(), ToolError> {
        self.guest(package).ready().await.map(|_| ())
    }

    /// What a component says of itself, which must be what lies beside it.
    #[cfg(test)]
    pub(super) async fn describe(
        &self,
        package: Package,
    ) -> wasmtime::Result<Vec<super::bindings::exports::ossicle::tool::tools::ToolSpec>> {
        let guest = self.loaded(package.manifest, package.component, &Surroundings::simulated());
        let ready = guest.ready().await.map_err(|error| wasmtime::format_err!("{error}"))?;
        let sandbox = Sandbox::new(None, guest.kit.clone(), Limits::default(), Progress::default());
        let mut store = Store::new(&self.0.engine, sandbox);
        store.limiter(|sandbox| &mut sandbox.memory);
        store.set_epoch_deadline(1000);
        let instance = ready.instantiate_async(&mut store).await?;
        instance.ossicle_tool_tools().call_describe(&mut store).await
    }

    fn loaded(&self, manifest: Manifest, component: Cow<'static, [u8]>, surroundings: &Surroundings) -> Arc<Loaded> {
        let wants = surroundings.wanted(&manifest.name, &manifest.wants);
        let value = |name: &String| Some((name.clone(), surroundings.environment.get(name)?.clone()));
        let Shared { world, egress, stores, .. } = &*self.0;
        let kit = Kit {
            world: world.clone(),
            egress: egress.clone(),
            environment: Arc::new(wants.environment.iter().filter_map(value).collect()),
            stores: stores.clone(),
        };
        Arc::new(Loaded { shared: self.0.clone(), kit, manifest, wants, component, ready: OnceCell::new() })
    }
}

/// A component that calls share.
pub(super) type Guest = Arc<Loaded>;

/// A package's component, compiled when first needed.
pub(super) struct Loaded {
    shared: Arc<Shared>,
    manifest: Manifest,
    wants: Capabilities,
    kit: Kit,
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

    async fn call(&self, arguments: Value, grant: Grant, progress: &Progress) -> Result<Output, ToolError> {
        if *grant.tool() != self.spec.id {
            return Err(ToolError::Unavailable(format!("the grant is for {}", grant.tool())));
        }
        self.guest.call(&self.name, &arguments.to_string(), Some(grant), progress).await
    }
}

impl Loaded {
    /// Runs one call. Without a grant the component has its arguments and nothing else.
    pub(super) async fn call(
        self: &Arc<Self>,
        name: &str,
        arguments: &str,
        grant: Option<Grant>,
        progress: &Progress,
    ) -> Result<Output, ToolError> {
        let guest = self.ready().await?;
        let _room = self.shared.room.acquire().await.map_err(|error| ToolError::Unavailable(error.to_string()))?;
        let Limits { memory_mib, output_bytes, data_mib, .. } = self.manifest.limits;
        let sandbox = Sandbox::new(grant, self.kit.clone(), self.manifest.limits, progress.clone());
        let mut store = Store::new(&self.shared.engine, sandbox);
        store.limiter(|sandbox| &mut sandbox.memory);
        store.set_hostcall_fuel(self.manifest.limits.n_transferred());
        // A guest that computes gives way at every tick, and traps at its deadline. The timeout below ends a guest that
        // waits in the host instead.
        let (limit, clock) = (self.manifest.limits.time(), self.shared.world.clock.clone());
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
                tracing::info!(
                    package = self.manifest.name,
                    tool = name,
                    error = format!("{trap:#}"),
                    "a tool trapped"
                );
                return Err(ToolError::Trapped(trap.root_cause().to_string()));
            }
            Ok(Ok(result)) => result,
        };
        match result {
            Ok(GuestOutput { text, .. }) if text.len() > output_bytes => {
                Err(ToolError::OutputTooLong { limit: output_bytes })
            }
            Ok(GuestOutput { attachments, .. }) if n_bytes(&attachments) > data_mib << 20 => {
                Err(ToolError::OutputTooLong { limit: data_mib << 20 })
            }
            Ok(GuestOutput { text, attachments }) => {
                Ok(Output { attachments: attachments.into_iter().map(attachment).collect(), ..Output::from(text) })
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
        if hash != self.manifest.sha256 {
            return Err(format!("its component is not the one that the manifest names (sha256 {hash})"));
        }
        let explain = |error: wasmtime::Error| format!("{error:#}");
        let component = self.compiled().map_err(explain)?;
        if let Some(version) = self.foreign_contract(&component) {
            return Err(format!(
                "it was built for version {version} of the contract with tools, and this is {CONTRACT}: build it again with the tool.wit of `ossicle tool new`"
            ));
        }
        let mut linker = Linker::new(&self.shared.engine);
        // Hundreds of functions, which most components have no use for.
        let has_wasi =
            component.component_type().imports(&self.shared.engine).any(|(name, _)| name.starts_with("wasi:"));
        let linked = match has_wasi {
            true => wasmtime_wasi::p2::add_to_linker_async(&mut linker),
            false => Ok(()),
        };
        linked.and_then(|()| link(&self.manifest.wants, &mut linker)).map_err(explain)?;
        linker.instantiate_pre(&component).and_then(GuestPre::new).map_err(explain)
    }

    /// The version of the contract that the component was built for, if it is one that is not served here.
    fn foreign_contract(&self, component: &Component) -> Option<String> {
        let ty = component.component_type();
        let engine = &self.shared.engine;
        let names = ty.exports(engine).map(|(name, _)| name).chain(ty.imports(engine).map(|(name, _)| name));
        let version_of =
            |name: &str| name.strip_prefix("ossicle:tool/")?.split_once('@').map(|(_, version)| version.to_owned());
        // Versions that differ in their last part alone serve each other.
        let series = |version: &str| version.rsplit_once('.').map(|(series, _)| series.to_owned());
        names.filter_map(version_of).find(|version| series(version) != series(CONTRACT))
    }

    fn compiled(&self) -> wasmtime::Result<Component> {
        let Shared { engine, cache, .. } = &*self.shared;
        let compiler = compiler(engine);
        if let Some(compiled) = cache.as_ref().and_then(|cache| cache.load(&self.manifest.sha256, compiler)) {
            // SAFETY: the file is what this program compiled from this very component with this engine: its MAC was right a
            // moment ago, and it lies in a folder that only this user can change, who could as well change this program.
            match unsafe { Component::deserialize_file(engine, compiled) } {
                Ok(component) => return Ok(component),
                Err(error) => tracing::warn!(package = self.manifest.name, %error, "compiled anew"),
            }
        }
        super::bounds::check(&self.component).map_err(wasmtime::Error::msg)?;
        let compiled = engine.precompile_component(&self.component)?;
        tracing::info!(package = self.manifest.name, n_bytes = compiled.len(), "compiled a tool");
        if let Some(cache) = cache {
            cache.store(&self.manifest.sha256, compiler, &compiled);
        }
        // SAFETY: the bytes come from the compiler, one line above.
        unsafe { Component::deserialize(engine, compiled) }
    }
}

pub(super) fn config() -> Config {
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
pub(super) fn compiler(engine: &Engine) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// Of all of them together.
fn n_bytes(attachments: &[GuestAttachment]) -> usize {
    attachments.iter().map(|attachment| attachment.data.len()).sum()
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
