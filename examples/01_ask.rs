//! A question to the embedded model, answered without any tool. Run it with `cargo run --release --example 01_ask`.

use ossicle::agent::Agent;
use ossicle::engine::{cpu::CpuEngine, models};
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = CpuEngine::open(models::embedded()?, Default::default())?;
    let mut agent = Agent::builder().engine(Arc::new(engine)).build().await?;
    let answer = agent.ask("Hello", &mut (), Default::default()).await?;
    println!("{}", answer.text);
    assert!(!answer.text.is_empty());
    Ok(())
}
