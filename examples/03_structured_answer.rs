//! The answer as a value of a Rust type: the model is held to the type's JSON Schema while it writes, so what it says always
//! parses. (What the embedded model says is well-formed and means nothing; a real checkpoint reads the question.)
//!
//! `cargo run --release --example 03_structured_answer`

use ossicle::agent::Agent;
use ossicle::engine::cpu::CpuEngine;
use ossicle::engine::models;
use ossicle::harmony::ResponseFormat;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// What the caller needs to know about a message.
#[derive(Deserialize, JsonSchema)]
struct Triage {
    topic: Topic,
    /// From 1, which can wait, to 5.
    #[schemars(range(min = 1, max = 5))]
    urgency: u8,
    needs_reply: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Topic {
    Billing,
    Outage,
    Other,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Arc::new(CpuEngine::open(models::embedded()?, Default::default())?);
    let schema = serde_json::to_value(schemars::schema_for!(Triage))?;
    let format = ResponseFormat { name: "triage".into(), description: "How to treat the message.".into(), schema };
    let mut agent = Agent::builder().engine(engine).response_format(format).build().await?;

    let answer = agent.ask("The site is down since noon!", &mut (), Default::default()).await?;
    let Triage { topic, urgency, needs_reply } = serde_json::from_str(&answer.text)?;
    println!("{topic:?}, urgency {urgency}{}", if needs_reply { ", needs a reply" } else { "" });
    assert!((1..=5).contains(&urgency));
    Ok(())
}
