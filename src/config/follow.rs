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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Decision, Policy};
    use crate::world::World;
    use serde_json::json;
    use sha2::{Digest, Sha256};

    const CALC: &[u8] = include_bytes!("../../tools/calc/calc.wasm");
    const OTHER: &[u8] = include_bytes!("../../tests/fixtures/tools/hostile.wasm");

    fn build(component: &'static [u8], description: &str, time_ms: u64) -> Package {
        let hash: String = Sha256::digest(component).iter().map(|byte| format!("{byte:02x}")).collect();
        let manifest = format!(
            "name = \"sums\"\nversion = \"1\"\ncomponent = \"a.wasm\"\nsha256 = \"{hash}\"\n[limits]\ntime_ms = {time_ms}\n\
             [[tool]]\nname = \"calc\"\neffect = \"pure\"\nrecovery = \"repeat\"\n"
        );
        let tools = json!([{"name": "calc", "description": description, "parameters": {"type": "object"}}]);
        Package::new(&manifest, &tools.to_string(), component).unwrap()
    }

    async fn call(tool: &dyn Tool) -> String {
        let arguments = json!({"expression": "2 + 2"});
        let policy = "version = 1\n[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"\n";
        let Decision::Allow(grant) = Policy::parse("test", policy).unwrap().decide(&tool.spec().asks(&arguments))
        else {
            panic!("allowed")
        };
        match tool.call(arguments.clone(), grant, &Progress::default()).await {
            Ok(output) => output.text,
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn the_newest_build_runs_unless_it_is_another_tool() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("sums");
        let place = |package: &Package, n: u64| {
            package.write(&folder).unwrap();
            // Two builds of one tick of the disk's clock are not what this is about.
            let written = SystemTime::now() + std::time::Duration::from_secs(n);
            std::fs::File::options()
                .append(true)
                .open(folder.join("tool.toml"))
                .unwrap()
                .set_modified(written)
                .unwrap();
        };
        let first = build(CALC, "Sums.", 5000);
        place(&first, 1);
        let host = Host::new(World::simulated(1), None, None).unwrap();
        let tool = following(folder.clone(), first, &host, &Arc::new(Surroundings::simulated())).remove(0);
        assert_eq!(call(tool.as_ref()).await, "4");
        let other = "knows no tool";
        for (n, (component, description, time_ms, expect)) in (2..).zip([
            (OTHER, "Sums.", 5000, other),
            (CALC, "Sums.", 5000, "4"),
            (OTHER, "Something else.", 5000, "4"),
            (OTHER, "Sums.", 9000, "4"),
            (OTHER, "Sums.", 5000, other),
        ]) {
            place(&build(component, description, time_ms), n);
            let got = call(tool.as_ref()).await;
            assert!(got.contains(expect), "{n}: {got}");
        }
        // Half of a package changes nothing.
        std::fs::write(folder.join("tools.json"), "[").unwrap();
        place(&build(CALC, "Sums.", 5000), 99);
        std::fs::write(folder.join("tools.json"), "[").unwrap();
        assert!(call(tool.as_ref()).await.contains(other));
    }
}
