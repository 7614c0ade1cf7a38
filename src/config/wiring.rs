//! The concrete parts are made and put together. Model, tokenizer and tools load side by side.

use super::{ConfigError, Paths, Settings, project};
use crate::agent::{Agent, DEVELOPER_TEMPLATE, Limits};
use crate::engine::cpu::{CpuEngine, Options};
use crate::engine::{SamplingParams, models};
use crate::harmony::tokenizer;
use crate::journal::{Journal, SqliteStore};
use crate::policy::{Approver, Policy};
use crate::tool::{Tool, Toolbox, wasm};
use crate::world::World;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// An agent as the settings want it, ready for the first question.
pub async fn open(settings: Settings, paths: &Paths, approver: Arc<dyn Approver>) -> Result<Agent, ConfigError> {
    let world = World::real();
    let policy = policy(&settings)?;
    let loading_engine = spawn_blocking({
        let settings = settings.clone();
        move || engine(&settings)
    });
    let loading_tokenizer = spawn_blocking(tokenizer::warm);
    let tools = tools(&world, paths)?;
    let journal = journal(&settings, paths, &world).await?;
    let mut builder = Agent::builder()
        .world(world.clone())
        .policy(policy)
        .approver(approver)
        .journal(journal)
        .template(template(paths)?)
        .reasoning_effort(settings.reasoning_effort.unwrap_or_default())
        .limits(limits(&settings))
        .sampling(SamplingParams {
            temperature: settings.temperature.unwrap_or(0.0),
            seed: settings.seed.unwrap_or_else(|| world.random.next_u64()),
            ..SamplingParams::default()
        });
    if let Some(folder) = &settings.folder {
        builder = builder.project(project::instructions(&paths.config, folder));
    }
    for tool in tools {
        builder = builder.tool(tool);
    }
    loading_tokenizer.await?;
    Ok(builder.engine(Arc::new(loading_engine.await??)).build().await?)
}

/// The tools as a session would have them, without a model.
pub fn toolbox(paths: &Paths) -> Result<Toolbox, ConfigError> {
    let mut toolbox = Toolbox::default();
    for tool in tools(&World::real(), paths)? {
        toolbox.register(tool).map_err(crate::agent::AgentError::from)?;
    }
    Ok(toolbox)
}

/// The policy as a session would have it.
pub fn policy(settings: &Settings) -> Result<Policy, ConfigError> {
    match &settings.policy {
        None => Ok(Policy::default()),
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.clone(), error })?;
            Ok(Policy::parse(&path.display().to_string(), &text)?)
        }
    }
}

fn engine(settings: &Settings) -> Result<CpuEngine, ConfigError> {
    let checkpoint = match &settings.model {
        Some(folder) => models::open(folder)?,
        None => models::embedded()?,
    };
    let options = Options { threads: settings.threads, context_length: settings.context_length };
    Ok(CpuEngine::open(checkpoint, options)?)
}

fn tools(world: &World, paths: &Paths) -> Result<Vec<Arc<dyn Tool>>, ConfigError> {
    let host = wasm::Host::new(world.clone(), Some(paths.cache.join("tools")))?;
    let mut tools = Vec::new();
    for package in wasm::bundled()? {
        tools.extend(host.load(package, &paths.data));
    }
    Ok(tools)
}

async fn journal(settings: &Settings, paths: &Paths, world: &World) -> Result<Journal, ConfigError> {
    if settings.ephemeral {
        return Ok(Journal::in_memory(world).await?);
    }
    Ok(Journal::create(Arc::new(SqliteStore::open(&paths.journal())?), world).await?)
}

/// The user's own developer template, or the embedded one.
fn template(paths: &Paths) -> Result<String, ConfigError> {
    read_if_there(&paths.config.join("prompts/developer.md"))
        .map(|own| own.unwrap_or_else(|| DEVELOPER_TEMPLATE.into()))
}

fn read_if_there(path: &Path) -> Result<Option<String>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConfigError::Unreadable { path: path.to_owned(), error }),
    }
}

fn limits(settings: &Settings) -> Limits {
    let default = Limits::default();
    Limits {
        max_steps: settings.max_steps.unwrap_or(default.max_steps),
        max_time: settings.timeout.unwrap_or(default.max_time),
        ..default
    }
}
