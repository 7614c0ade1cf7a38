//! Somebody of one's own who does what the local model cannot: asked for as a tool, under a policy, for a price that is set aside
//! before and settled after.

use ossicle::agent::{Agent, cloud};
use ossicle::delegate::{Ability, Delegate, DelegateError, Delivery, Media, Offer, Order, Reconciled, Witness};
use ossicle::engine::{cpu::CpuEngine, models};
use ossicle::journal::{SqliteStore, TaskStore};
use ossicle::policy::redact::Known;
use ossicle::policy::{Grant, HostPattern, Policy};
use ossicle::world::World;
use std::{error::Error, sync::Arc};

const POLICY: &str = r#"
version = 1
budget = { per_day = "$0.05" }
[[rule]]
id = "painter"
tools = ["cloud.image"]
decision = "allow"
"#;

struct Painter;

#[async_trait::async_trait]
impl Delegate for Painter {
    fn abilities(&self) -> Vec<Ability> {
        vec![Ability::Image]
    }

    fn offer(&self, _: &Order) -> Result<Offer, DelegateError> {
        Ok(Offer { model: "a painter".into(), destination: "studio".into(), cost: "$0.02".parse().ok() })
    }

    async fn complete(&self, order: Order, _: Grant, _: &dyn Witness) -> Result<Delivery, DelegateError> {
        let bytes = format!("<svg><title>{}</title></svg>", order.text).into_bytes();
        let file = Media { name: "picture.svg".into(), media_type: "image/svg+xml".into(), bytes };
        Ok(Delivery { text: String::new(), files: vec![file], cost: "$0.015".parse().ok(), is_refusal: false })
    }

    async fn reconcile(&self, _: &str, _: Option<&str>, _: Grant) -> Result<Reconciled, DelegateError> {
        Ok(Reconciled::NoTrace)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("ossicle-example-{}", std::process::id()));
    let tasks = Arc::new(SqliteStore::open(&folder.join("tasks.sqlite"))?);
    let (policy, world, host) = (Policy::parse("painter", POLICY)?, World::real(), HostPattern::parse("studio")?);
    let ladder = vec![cloud::Provider { name: "studio".into(), delegate: Arc::new(Painter), host }];
    let cloud = cloud::Cloud::new(ladder, tasks.clone(), policy.clone(), &Known::default(), world, "s")?;
    let engine = Arc::new(CpuEngine::open(models::embedded()?, Default::default())?);
    let builder = Agent::builder().engine(engine).policy(policy).attachments(Some(folder.clone()));
    let tool = cloud::tools(&Arc::new(cloud), &[]).remove(0);
    let answer = builder.tool(tool).build().await?.ask("Draw me a fox", &mut (), Default::default()).await?;
    for task in tasks.tasks().await? {
        println!("{}\n{} by {}: {}", answer.text, task.state.as_str(), task.model, task.cost.unwrap_or_default());
    }
    Ok(std::fs::remove_dir_all(folder)?)
}
