//! `ossicle tool`: what the model can call.

use super::report::Failure;
use super::{args, session, terminal};
use crate::config;
use serde_json::json;
use std::io::Write;

/// Prints the tools, their effects and what the policy says to them.
pub(super) fn list(as_json: bool, flags: &args::Session) -> Result<(), Failure> {
    let (settings, paths) = session::settings(flags)?;
    let policy = config::policy(&settings)?;
    let toolbox = config::toolbox(&paths)?;
    let mut out = std::io::stdout().lock();
    if as_json {
        let tools: Vec<_> = toolbox
            .iter()
            .map(|tool| {
                let spec = tool.spec();
                let (answer, rule) = policy.ruling(&spec.id, spec.effect);
                json!({
                    "id": spec.id.to_string(),
                    "description": spec.description,
                    "effect": spec.effect,
                    "recovery": spec.recovery,
                    "decision": answer.as_str(),
                    "rule": rule,
                    "parameters": spec.parameters,
                })
            })
            .collect();
        let tools = format!("{:#}", json!(tools));
        writeln!(out, "{}", terminal::json(&tools))?;
        return Ok(());
    }
    for tool in toolbox.iter() {
        let spec = tool.spec();
        let (answer, _) = policy.ruling(&spec.id, spec.effect);
        let first = terminal::line(spec.description.lines().next().unwrap_or_default());
        writeln!(out, "{:<16} {:<6} {:<6} {first}", spec.id.to_string(), spec.effect.as_str(), answer.as_str())?;
    }
    Ok(())
}
