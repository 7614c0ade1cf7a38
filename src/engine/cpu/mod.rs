//! Our own engine for gpt-oss on CPUs: it reads the official checkpoint where it lies and keeps custody of every token.
//!
//! What it is not: general. It runs this one architecture, one request at a time, on a thread of its own.
//! Start at [`CpuEngine::open`]; then read [`config`], `weights`, `kv_cache` and, above all, `forward`.

mod attention;
pub mod bench;
mod caches;
pub mod config;
mod drift;
mod forward;
mod huge_pages;
pub(crate) mod kernels;
mod kv_cache;
mod options;
mod session;
mod snapshots;
mod weights;

use self::forward::Model;
use self::kernels::{Kernels, pool::Pool};
use self::session::Session;
use self::snapshots::Snapshots;
use self::weights::Weights;
use super::constraint::{CompiledGrammar, Constraint, GrammarError};
use super::models::{Checkpoint, LoadError};
use super::{Engine, EngineError, Generation, ModelDescription, Progress, Request};
use crate::harmony::TurnGrammar;
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use tokio::sync::{mpsc, oneshot};

pub use drift::{Drift, drift};
pub use huge_pages::HugePages;
pub use kv_cache::CacheFormat;
pub use options::Options;
pub use snapshots::Store as SnapshotStore;

/// A model that runs on a thread of its own.
pub struct CpuEngine {
    description: ModelDescription,
    /// `None` only while it is being dropped.
    jobs: Option<std::sync::mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// The grammar of the last request, compiled: that of the next one is the same as a rule.
    compiled: Mutex<Option<(Arc<TurnGrammar>, CompiledGrammar)>>,
}

/// A request on its way to the engine's thread.
struct Job {
    request: Request,
    constraint: Option<Constraint>,
    progress: mpsc::UnboundedSender<Progress>,
    done: oneshot::Sender<Result<Generation, EngineError>>,
}

impl CpuEngine {
    /// Checks the whole checkpoint and the memory, then starts the engine's threads.
    pub fn open(checkpoint: Checkpoint, options: Options) -> Result<Self, LoadError> {
        let n_threads = options.threads.unwrap_or_else(num_cpus::get_physical).max(1);
        let name = checkpoint.name.clone();
        let weights = Weights::open(&checkpoint)?;
        let sizes = options.fitting_sizes(&checkpoint, weights.are_in_panels())?;
        let sizes = sizes.with_fitting_sessions(&checkpoint.config, checkpoint.n_bytes());
        let description = ModelDescription {
            name,
            n_parameters: checkpoint.n_parameters(),
            n_bytes: checkpoint.n_bytes(),
            context_length: sizes.context_length,
            notice: checkpoint.notice.clone(),
        };
        let kernels = Kernels::best();
        let model = Model::new(checkpoint.config.clone(), weights, kernels);
        let pool = Pool::new(n_threads).map_err(LoadError::Thread)?;
        let key = snapshot_key(&checkpoint.key, sizes.cache);
        let snapshots = options.snapshots.map(|store| Snapshots::new(store, &key));
        let session = Session::new(model, pool, sizes, snapshots);
        let (jobs, inbox) = std::sync::mpsc::channel();
        let thread = thread::Builder::new().name("engine".into()).spawn(move || serve(session, &inbox));
        let thread = Some(thread.map_err(LoadError::Thread)?);
        tracing::info!(model = description.name, n_threads, ?sizes, ?kernels, "engine ready");
        Ok(Self { description, jobs: Some(jobs), thread, compiled: Mutex::default() })
    }

    fn compile(&self, grammar: &Arc<TurnGrammar>) -> Result<CompiledGrammar, GrammarError> {
        let mut kept = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((last, compiled)) = &*kept
            && Arc::ptr_eq(last, grammar)
        {
            return Ok(compiled.clone());
        }
        let compiled = CompiledGrammar::new(grammar.clone())?;
        *kept = Some((grammar.clone(), compiled.clone()));
        Ok(compiled)
    }

    /// The state of the request's grammar after what its prompt holds of the turn.
    fn constraint(&self, request: &Request) -> Result<Option<Constraint>, EngineError> {
        let Some(constrained) = &request.grammar else { return Ok(None) };
        let compiled = self.compile(&constrained.grammar)?;
        let n_before = request.tokens.len().saturating_sub(constrained.n_written);
        let constraint = Constraint::start(&compiled, &request.tokens[n_before..]);
        constraint.map(Some).ok_or(EngineError::NotInGrammar)
    }
}

/// Which of this processor's instructions engines use; `None` where it has none that they know.
pub fn instructions() -> Option<String> {
    let best = Kernels::best();
    (best != Kernels::all()[0]).then(|| best.to_string())
}

/// Counts up when the program computes other numbers than before: then what older programs have kept is not believed.
const NUMERICS: u32 = 1;

/// All that the numbers of a cache depend on beside the tokens.
fn snapshot_key(model: &[u8; 32], cache: CacheFormat) -> [u8; 32] {
    let numerics = format!("{NUMERICS} {cache:?}");
    *blake3::Hasher::new().update(model).update(numerics.as_bytes()).finalize().as_bytes()
}

/// The life of the engine's thread: one request after the other until the engine is dropped.
fn serve(mut session: Session, inbox: &std::sync::mpsc::Receiver<Job>) {
    for Job { request, constraint, progress, done } in inbox {
        // A caller that has gone is a caller that has cancelled.
        let is_cancelled = || request.cancel.is_cancelled() || progress.is_closed();
        let mut report = |step| {
            let _ = progress.send(step); // a receiver that is gone is noticed by `is_cancelled`
        };
        let result = session.generate(&request, constraint, &is_cancelled, &mut report);
        if let Ok(generation) = &result {
            let (n_reused, n_new) = (generation.n_reused, generation.tokens.len());
            tracing::debug!(n_prompt = request.tokens.len(), n_reused, n_new, "generated");
        }
        // The receiver is gone when the caller is; nobody is left to be told.
        let _ = done.send(result);
    }
}

#[async_trait]
impl Engine for CpuEngine {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    async fn generate(
        &self,
        request: Request,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Generation, EngineError> {
        let gone = || EngineError::Stopped("its thread has ended; this is a bug, and the log says more".into());
        let constraint = self.constraint(&request)?;
        let (progress_sender, mut steps) = mpsc::unbounded_channel();
        let (done_sender, done) = oneshot::channel();
        let job = Job { request, constraint, progress: progress_sender, done: done_sender };
        self.jobs.as_ref().and_then(|jobs| jobs.send(job).ok()).ok_or_else(gone)?;
        while let Some(step) = steps.recv().await {
            progress(step);
        }
        done.await.map_err(|_| gone())?
    }

    fn prepare(&self, grammar: &Arc<TurnGrammar>) -> Result<(), GrammarError> {
        self.compile(grammar).map(drop)
    }
}

impl Drop for CpuEngine {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported to the caller whose request it ended.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod constrained;
#[cfg(test)]
pub(crate) mod goldens;
#[cfg(test)]
mod requests;
