//! Tools of an added package that follow it: when a newer build has taken the package's place, the next call runs that.
//!
//! What the model has read of a tool, and what policy was told of it, does not change within a session: a build that declares
//! it otherwise, or wants something else, waits for the next one. Start at [`following`].

use crate::policy::Grant;
use crate::tool::wasm::{Host, Limits, Package, Surroundings};
use crate::tool::{Output, Progress, Tool, ToolError, ToolSpec};
use async_trait::async_trait;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// The tools of a package that lies in `folder`, as the host makes them.
pub(super) fn following(
    folder: PathBuf,
    package: Package,
    host: &Host,
    surroundings: &Arc<Surroundings>,
) -> Vec<Arc<dyn Tool>> {
    let manifest = folder.join("tool.toml");
    let (written, limits) = (written(&manifest), package.limits());
    let follow = |tool: Arc<dyn Tool>| -> Arc<dyn Tool> {
        Arc::new(Followed {
            spec: tool.spec().clone(),
            limits,
            folder: folder.clone(),
            manifest: manifest.clone(),
            host: host.clone(),
            surroundings: surroundings.clone(),
            newest: Mutex::new((written, tool)),
        })
    };
    host.load(package, surroundings).into_iter().map(follow).collect()
}

fn written(manifest: &std::path::Path) -> Option<SystemTime> {
    manifest.metadata().and_then(|metadata| metadata.modified()).ok()
}

struct Followed {
    spec: ToolSpec,
    limits: Limits,
    folder: PathBuf,
    manifest: PathBuf,
    host: Host,
    surroundings: Arc<Surroundings>,
    /// The build that runs, and when its manifest was written.
    newest: Mutex<(Option<SystemTime>, Arc<dyn Tool>)>,
}

impl Followed {
    /// The build that the next call runs.
    fn newest(&self) -> Arc<dyn Tool> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let written = written(&self.manifest);
        // While one build takes the place of another there is none for a moment.
        if written.is_none() || written == newest.0 {
            return newest.1.clone();
        }
        let package = match Package::read(&self.folder) {
            Ok(package) => package,
            Err(error) => {
                tracing::warn!(%error, "the newer build of a tool cannot be used");
                return newest.1.clone();
            }
        };
        let is_same = package.limits() == self.limits;
        let tools = self.host.load(package, &self.surroundings);
        match tools.into_iter().find(|tool| is_same && *tool.spec() == self.spec) {
            Some(tool) => *newest = (written, tool),
            None => {
                tracing::warn!(tool = %self.spec.id, "a newer build declares it otherwise; the next session takes that up");
                newest.0 = written;
            }
        }
        newest.1.clone()
    }
}

#[async_trait]
impl Tool for Followed {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, arguments: Value, grant: Grant, progress: &Progress) -> Result<Output, ToolError> {
        self.newest().call(arguments, grant, progress).await
    }
}
