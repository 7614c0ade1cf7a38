//! Tools without a model: the bundled package `files` works in one folder, as far as a policy lets it, and what it did is
//! in the journal.

use ossicle::agent::Caller;
use ossicle::journal::Journal;
use ossicle::policy::{Approval, Approvals, Approver, Folder, Pending, Places, Policy};
use ossicle::tool::wasm::{Host, Surroundings, bundled};
use ossicle::tool::{Progress, Toolbox};
use ossicle::world::World;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

const POLICY: &str = r#"
version = 1
[[rule]]
id = "drafts"
tools = ["files.*"]
within = ["$WORKSPACE/drafts"]
decision = "allow"
"#;

struct Nobody;

#[async_trait::async_trait]
impl Approver for Nobody {
    async fn approve(&self, _: &Pending) -> Approval {
        Approval::NobodyThere
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let world = World::real();
    let folder = std::env::temp_dir().join(format!("ossicle-example-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let places = Places { workspace: folder.clone(), home: "/nonexistent".into(), own: Vec::new() };
    let policy = Policy::parse("drafts", POLICY)?.at(places, |path| path.canonicalize().unwrap_or(path.into()));
    let folders = vec![Folder { path: folder.clone(), is_writable: true }];
    let surroundings = Surroundings { data: folder.join("data"), folders, environment: BTreeMap::new() };
    let host = Host::new(world.clone(), None, None)?;
    let mut toolbox = Toolbox::default();
    for tool in bundled()?.into_iter().flat_map(|package| host.load(package, &surroundings)) {
        toolbox.register(tool)?;
    }
    let (journal, approver) = (Journal::in_memory(&world).await?, Arc::new(Nobody));
    let (max_time, provenance) = (Duration::from_secs(60), Arc::default());
    let approvals = Approvals::default();
    let caller = Caller { policy, approver, approvals, journal, world, attachments: None, max_time, provenance };
    let write = toolbox.named("files.write").ok_or("it comes along")?;
    for (n, path) in (1..).zip(["drafts/letter.md", "letter.md", "../letter.md"]) {
        let arguments = format!(r##"{{"path": "{path}", "text": "# Dear Ada\n"}}"##);
        let called = caller.call(n, write, &arguments, &Default::default(), Progress::default()).await?;
        println!("{path}: {}", called.text);
    }
    Ok(std::fs::remove_dir_all(folder)?)
}
