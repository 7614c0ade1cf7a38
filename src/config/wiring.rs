//! The concrete parts are made and put together. Model, tokenizer and tools load side by side.

use super::file::bundled;
use super::paths::{environment, home};
use super::{ConfigError, Packages, Paths, Settings, project};
use crate::agent::{Agent, AgentError, DEVELOPER_TEMPLATE, Limits, render_developer};
use crate::egress::Egress;
use crate::engine::constraint;
use crate::engine::cpu::{CpuEngine, Options};
use crate::engine::{Engine, SamplingParams};
use crate::harmony::{ResponseFormat, tokenizer};
use crate::journal::{Journal, SqliteStore};
use crate::policy::{Approver, Folder, Places, Policy, ToolId};
use crate::tool::Toolbox;
use crate::tool::wasm::{self, Surroundings};
use crate::world::{NoNetwork, World};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// An agent, ready for the first question.
pub struct Opened {
    /// As the settings want it.
    pub agent: Agent,
    /// What looks like a mistake and stops nothing: a rule of the policy that names no tool and so protects nothing, a tool
    /// package that cannot be used.
    pub warnings: Vec<String>,
}

/// An agent as the settings want it.
pub async fn open(settings: Settings, paths: &Paths, approver: Arc<dyn Approver>) -> Result<Opened, ConfigError> {
    let world = world(&settings);
    let policy = policy(&settings, paths)?;
    let loading_engine = spawn_blocking({
        let settings = settings.clone();
        move || engine(&settings)
    });
    let loading_vocabulary = spawn_blocking({
        let is_constrained = !settings.no_grammar;
        move || if is_constrained { constraint::warm() } else { tokenizer::warm() }
    });
    let journal = journal(&settings, paths, &world).await?;
    // Offline there is no way out at all.
    let egress = (!settings.offline).then(|| Egress::new(world.clone(), Arc::new(journal.clone())));
    let (toolbox, problems) = tools(&world, egress, &settings, paths)?;
    let known: Vec<ToolId> = toolbox.iter().map(|tool| tool.spec().id.clone()).collect();
    let mut warnings: Vec<String> = policy.check(&known).iter().map(ToString::to_string).collect();
    warnings.extend(problems);
    let mut builder = Agent::builder()
        .template(template(paths)?)
        .project(project(&settings, paths))
        .reasoning_effort(settings.reasoning_effort.unwrap_or_default())
        .world(world.clone())
        .policy(policy)
        .approver(approver)
        .journal(journal)
        .limits(limits(&settings))
        .attachments(paths.attachments())
        .constrained(!settings.no_grammar)
        .sampling(SamplingParams {
            temperature: settings.temperature.unwrap_or(0.0),
            seed: settings.seed.unwrap_or_else(|| world.random.next_u64()),
            ..SamplingParams::default()
        });
    for tool in toolbox.iter() {
        builder = builder.tool(tool.tool().clone());
    }
    if let Some(schema) = settings.output_schema {
        builder = builder.response_format(ResponseFormat { name: "answer".into(), description: String::new(), schema });
    }
    loading_vocabulary.await?;
    let engine: Arc<dyn Engine> = Arc::new(loading_engine.await??);
    Ok(Opened { agent: builder.engine(engine).build().await?, warnings })
}

/// The developer's words as a session would have them. Fails when the user's own template does not render.
pub fn prompt(settings: &Settings, paths: &Paths) -> Result<String, ConfigError> {
    Ok(render_developer(&template(paths)?, &project(settings, paths)).map_err(AgentError::from)?)
}

/// The text of the `AGENTS.md` files; none without a folder to work in.
fn project(settings: &Settings, paths: &Paths) -> String {
    settings.folder.as_ref().map(|folder| project::instructions(&paths.config, folder)).unwrap_or_default()
}

/// The machine, without its network where the user wants none.
fn world(settings: &Settings) -> World {
    let real = World::real();
    if settings.offline { World { network: Arc::new(NoNetwork), ..real } } else { real }
}

/// The tools as a session would have them, without a model, and why added packages are left out.
pub fn toolbox(settings: &Settings, paths: &Paths) -> Result<(Toolbox, Vec<String>), ConfigError> {
    tools(&World::real(), None, settings, paths)
}

/// The policy as a session would have it.
pub fn policy(settings: &Settings, paths: &Paths) -> Result<Policy, ConfigError> {
    let own = paths.all().into_iter().map(|folder| real(&folder)).collect();
    let places = Places { workspace: workspace(settings), home: real(&home()), own };
    let Some(path) = &settings.policy else { return Ok(Policy::default().at(places)) };
    if let Some(policy) = bundled(path) {
        return Ok(policy.at(places));
    }
    let text = read_if_there(path)?.ok_or_else(|| ConfigError::NoPolicy { path: path.clone() })?;
    Ok(Policy::parse(&path.display().to_string(), &text)?.at(places))
}

/// The folder in which the user works; without one, a place where nothing is.
fn workspace(settings: &Settings) -> PathBuf {
    settings.folder.as_deref().map_or_else(|| "/nonexistent".into(), real)
}

/// A path without links, as calls' paths are compared; one that is not there is what it says.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Where tools find what they want, if the policy grants it.
fn surroundings(settings: &Settings, paths: &Paths) -> Surroundings {
    let workspace = Folder { path: workspace(settings), is_writable: true };
    let more = settings.folders.iter().map(|folder| Folder { path: real(&folder.path), ..folder.clone() });
    Surroundings {
        data: paths.data.clone(),
        folders: std::iter::once(workspace).chain(more).collect(),
        environment: environment(),
    }
}

fn engine(settings: &Settings) -> Result<CpuEngine, ConfigError> {
    let checkpoint = settings.model.clone().unwrap_or_default().open()?;
    checkpoint.check_vocabulary()?;
    let options = Options { threads: settings.threads, context_length: settings.context_length };
    Ok(CpuEngine::open(checkpoint, options)?)
}

/// The bundled packages, then those that the user added. One of the user's that cannot be used is left out, and why: a
/// session must not fail for a tool that it may not need.
fn tools(
    world: &World,
    egress: Option<Egress>,
    settings: &Settings,
    paths: &Paths,
) -> Result<(Toolbox, Vec<String>), ConfigError> {
    let host = wasm::Host::new(world.clone(), Some(paths.cache.join("tools")), egress)?;
    let surroundings = surroundings(settings, paths);
    let mut toolbox = Toolbox::default();
    for tool in wasm::bundled()?.into_iter().flat_map(|package| host.load(package, &surroundings)) {
        toolbox.register(tool).map_err(AgentError::from)?;
    }
    let (packages, mut problems) = Packages::new(paths).all()?;
    for tool in packages.into_iter().flat_map(|package| host.load(package, &surroundings)) {
        // To register a tool is what finds a name that is taken and a schema that cannot be used.
        problems.extend(toolbox.register(tool).err().map(|error| error.to_string()));
    }
    Ok((toolbox, problems))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn offline_there_is_no_network() {
        for (offline, reached) in [(false, true), (true, false)] {
            let network = world(&Settings { offline, ..Settings::default() }).network;
            assert_eq!(network.resolve("127.0.0.1", 80).await.is_ok(), reached, "offline: {offline}");
        }
    }
}
