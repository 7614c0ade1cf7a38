//! A Rust closure becomes a tool: its argument type gives the schema that the model reads and the check of what it sends.
//! Run it with `cargo run --release --example 02_native_tool`.

use ossicle::agent::{Agent, Event};
use ossicle::engine::{cpu::CpuEngine, models};
use ossicle::tool::native::NativeTool;
use std::sync::Arc;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct City {
    /// The city
    city: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let weather = NativeTool::new("weather.weather", "Get the weather of a city.", async |City { city }| {
        Ok(format!("sunny in {city}, 21 degrees"))
    })?;
    let engine = CpuEngine::open(models::embedded()?, Default::default())?;
    let mut agent = Agent::builder().engine(Arc::new(engine)).tool(Arc::new(weather)).build().await?;

    let mut events = Vec::new();
    let answer = agent.ask("What is the weather in Paris?", &mut events, Default::default()).await?;
    println!("{}", answer.text);
    assert!(events.iter().any(|event| matches!(event, Event::CallFinished { text, .. } if text.contains("sunny"))));
    Ok(())
}
