//! Python without a model: two cells of one notebook over a folder that they can read and not change, under a policy.
//! The first run on a machine compiles the interpreter, which takes half a minute: `cargo run --release --example 05_notebook`

use ossicle::agent::Caller;
use ossicle::journal::Journal;
use ossicle::policy::{Approvals, Folder, Places, Policy};
use ossicle::tool::python::Python;
use ossicle::tool::{Progress, Toolbox};
use ossicle::world::World;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let place = std::env::temp_dir().join(format!("ossicle-notebook-{}", std::process::id()));
    std::fs::create_dir_all(&place)?;
    let place = place.canonicalize()?;
    std::fs::write(place.join("cities.csv"), "city,people\nOslo,700\nBergen,290\n")?;

    let world = World::real();
    let cache = std::env::temp_dir().join("ossicle-compiled");
    let folder = Folder { path: place.clone(), is_writable: false };
    let mut toolbox = Toolbox::default();
    toolbox.register(Arc::new(Python::new(world.clone(), Some(cache), vec![folder])))?;
    let places = Places { workspace: place.clone(), home: "/".into(), own: Vec::new() };
    let caller = Caller {
        policy: Policy::default().at(places, |path| path.to_owned()),
        approver: Arc::new(Nobody),
        journal: Journal::in_memory(&world).await?,
        world,
        attachments: Some(place.join("results")),
        max_time: Duration::from_secs(180),
        approvals: Approvals::default(),
        provenance: Arc::default(),
    };
    let python = toolbox.named("python").ok_or("it was just registered")?;
    let cells = [
        "import csv\nrows = list(csv.DictReader(open('cities.csv')))\nsum(int(row['people']) for row in rows)",
        "import matplotlib.pyplot as plt\nplt.bar([r['city'] for r in rows], [int(r['people']) for r in rows])\nplt.savefig('cities.png')",
    ];
    for (n, cell) in (1..).zip(cells) {
        let called = caller.call(n, python, cell, &Default::default(), Progress::default()).await?;
        println!("[{n}] {}", called.text);
    }
    std::fs::remove_dir_all(place)?;
    Ok(())
}

/// Nothing here has to be asked.
struct Nobody;

#[async_trait::async_trait]
impl ossicle::policy::Approver for Nobody {
    async fn approve(&self, _: &ossicle::policy::Pending) -> ossicle::policy::Approval {
        ossicle::policy::Approval::NobodyThere
    }
}
