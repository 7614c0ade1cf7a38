//! The built-in `python`: code of the model's, run as the cells of one notebook in a sandboxed CPython.
//!
//! What it is not: a way to anything. A cell reads the granted folders under its own call's grant, writes into a drive in
//! memory whose files come back as results, and has no network. Start at [`Python`]; `wasm::interpreter` runs the cells.

use super::toolbox::CODE;
use super::wasm::interpreter::{Drive, Ended, Interpreter, Outcome, Runtime};
use super::{Output, Progress, Recovery, Tool, ToolError, ToolSpec};
use crate::harmony::Builtin;
use crate::policy::{Capabilities, Effect, Folder, Grant, Integrity, Targets, ToolId};
use crate::world::World;
use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex as StdMutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

#[cfg(test)]
mod tests;

/// A cell's time, in seconds: what the models were trained with. Whoever calls must wait a little longer, or the model is not
/// told what was lost.
pub const LIMIT_S: u32 = 120;

/// Memory of one interpreter, in bytes.
const MEMORY: usize = 256 << 20;

/// Bytes of each of a cell's texts: what it printed, its value, its traceback.
const MAX_TEXT: u32 = 32 << 10;

/// Said where a cell shows nothing, because models take silence for failure.
const SILENCE: &str = "[no output; print() shows a value]";

/// An interpreter that is being made ready, for all who wait for it.
type Making = Shared<BoxFuture<'static, Result<Arc<Runtime>, String>>>;

/// CPython for one session.
pub struct Python {
    spec: ToolSpec,
    time: Duration,
    world: World,
    /// Compiled components.
    cache: Option<PathBuf>,
    /// Made once, by whoever needs it first; a call that is stopped meanwhile does not stop it.
    runtime: OnceLock<Making>,
    session: Mutex<Session>,
}

/// What lives from cell to cell.
struct Session {
    drive: Arc<StdMutex<Drive>>,
    interpreter: Option<Interpreter>,
    /// Whether a cell has ever run, so that there is something to be lost.
    is_used: bool,
}

impl Python {
    /// A notebook that sees these folders, the first of them as `/mnt/data` itself. `cache` is where compiled components are
    /// kept.
    pub fn new(world: World, cache: Option<PathBuf>, folders: Vec<Folder>) -> Self {
        let drive = Arc::new(StdMutex::new(Drive::new(folders.iter().map(|folder| folder.path.clone()))));
        let folders = folders.into_iter().map(|folder| Folder { is_writable: false, ..folder }).collect();
        let builtin = Builtin::python(LIMIT_S);
        let spec = ToolSpec {
            id: ToolId { package: "python".into(), tool: "python".into() },
            description: "Run Python code, as the next cell of a notebook.".into(),
            parameters: Some(json!({
                "type": "object",
                "properties": { (CODE): { "type": "string" } },
                "required": [CODE],
                "additionalProperties": false,
            })),
            effect: Effect::Read,
            recovery: Recovery::Repeat,
            wants: Capabilities { clock: true, random: true, folders, ..Capabilities::default() },
            targets: Targets::default(),
            integrity: Integrity::Trusted,
            builtin: Some(builtin),
        };
        let session = Mutex::new(Session { drive, interpreter: None, is_used: false });
        let time = Duration::from_secs(LIMIT_S.into());
        Self { spec, time, world, cache, runtime: OnceLock::new(), session }
    }

    /// The same with another limit for a cell, in seconds, of which the model is told.
    pub fn with_limit(mut self, limit_s: u32) -> Self {
        self.time = Duration::from_secs(limit_s.into());
        self.spec.builtin = Some(Builtin::python(limit_s));
        self
    }

    async fn runtime(&self, progress: &Progress) -> Result<Arc<Runtime>, ToolError> {
        let making = self.runtime.get_or_init(|| {
            let (world, cache, progress) = (self.world.clone(), self.cache.clone(), progress.clone());
            let made = spawn_blocking(move || Runtime::new(world, cache, &progress));
            let made = async {
                match made.await {
                    Ok(runtime) => runtime.map(Arc::new),
                    Err(crash) => Err(crash.to_string()),
                }
            };
            made.boxed().shared()
        });
        making.clone().await.map_err(ToolError::Unavailable)
    }
}

#[async_trait]
impl Tool for Python {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, arguments: Value, grant: Grant, progress: &Progress) -> Result<Output, ToolError> {
        if *grant.tool() != self.spec.id {
            return Err(ToolError::Unavailable(format!("the grant is for {}", grant.tool())));
        }
        let code = arguments[CODE].as_str().unwrap_or_default();
        let runtime = self.runtime(progress).await?;
        let mut session = self.session.lock().await;
        // A cell that nobody waited for has taken its interpreter with it.
        let is_lost = session.is_used && session.interpreter.is_none();
        let mut interpreter = match session.interpreter.take() {
            Some(interpreter) => interpreter,
            None => runtime.start(session.drive.clone(), MEMORY).await.map_err(|ended| failed(&ended))?,
        };
        session.is_used = true;
        let ended = interpreter.run(code, Arc::new(grant), MAX_TEXT, self.time, progress).await;
        let (files, refusals) = session.drive.lock().unwrap_or_else(PoisonError::into_inner).take();
        let outcome = match ended {
            Ok(outcome) => outcome,
            Err(ended) => {
                session.is_used = false;
                return Err(failed(&ended));
            }
        };
        session.interpreter = Some(interpreter);
        let mut text = String::new();
        if is_lost {
            text += "[the interpreter was started anew: the cell before was stopped; variables and imports are gone, files in /mnt/data are not]\n";
        }
        text += &shown(&outcome);
        if text.is_empty() && files.is_empty() {
            text += SILENCE;
        }
        for refusal in refusals {
            end_line(&mut text);
            text += &format!("[{refusal}]");
        }
        Ok(Output { attachments: files, failed: outcome.error.is_some(), ..Output::from(text) })
    }
}

/// What the model is told of a cell that its interpreter did not survive.
fn failed(ended: &Ended) -> ToolError {
    ToolError::Failed(format!(
        "{ended}. The interpreter is started anew: variables and imports are gone, files in /mnt/data are not."
    ))
}

/// A cell as a notebook shows it: what it printed, then its value or its traceback.
fn shown(outcome: &Outcome) -> String {
    let mut text = outcome.stdout.clone();
    for part in [&outcome.value, &outcome.error].into_iter().flatten() {
        end_line(&mut text);
        text += part;
    }
    text
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}
