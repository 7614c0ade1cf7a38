//! The concrete parts are made and put together. Model, tokenizer and tools load side by side.

use super::browser::browser;
use super::cloud::{cloud, cloud_tools};
use super::follow::following;
use super::index::index;
use super::model::{self, Preparing};
use super::paths::environment;
use super::pdf::pdf_reader;
use super::policy::policy;
use super::{ConfigError, Connected, Packages, Paths, Settings, mcp, project};
use crate::agent::cloud::{Cloud, LONGEST};
use crate::agent::{Agent, AgentError, Caller, DEVELOPER_TEMPLATE, Limits, MAX_DECLARED, render_developer};
use crate::egress::Egress;
use crate::engine::constraint;
use crate::engine::cpu::HugePages;
use crate::engine::models::Source;
use crate::engine::{Engine, SamplingParams};
use crate::harmony::{ResponseFormat, tokenizer};
use crate::journal::{Journal, Record, SqliteStore};
use crate::policy::{Approvals, Approver, Folder, Policy, ToolId};
use crate::tool::browser::{self, Backend};
use crate::tool::python::{self, Python};
use crate::tool::wasm::{self, Package, Surroundings};
use crate::tool::{self, Tool, Toolbox};
use crate::world::{NoNetwork, World};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// An agent, ready for the first question.
pub struct Opened {
    /// As the settings want it.
    pub agent: Agent,
    /// What looks like a mistake and stops nothing: a rule of the policy that names no tool and so protects nothing, a tool
    /// package that cannot be used, a system that makes a large model slow.
    pub warnings: Vec<String>,
    /// The MCP servers behind some of its tools. Dropped, they are killed; closed, they may say goodbye.
    pub servers: Connected,
}

/// An agent as the settings want it. `preparing` is told when the model is written anew for this machine.
pub async fn open(
    settings: Settings,
    paths: &Paths,
    approver: Arc<dyn Approver>,
    preparing: Preparing,
) -> Result<Opened, ConfigError> {
    let world = world(&settings);
    let policy = policy(&settings, paths)?;
    let loading_engine = spawn_blocking({
        let (settings, paths) = (settings.clone(), paths.clone());
        move || model::engine(&settings, &paths, &preparing)
    });
    let loading_vocabulary = spawn_blocking({
        let is_constrained = !settings.no_grammar;
        move || if is_constrained { constraint::warm() } else { tokenizer::warm() }
    });
    let journal = journal(&settings, paths, &world).await?;
    // Offline there is no way out at all.
    let egress = (!settings.offline).then(|| Egress::new(world.clone(), Arc::new(journal.clone())));
    let is_wanted =
        |server: &str| is_server_chosen(server, &settings) && !policy.denies_all_of(&format!("mcp__{server}"));
    let mut servers = mcp::connect(paths, egress.clone(), !settings.no_grammar, is_wanted).await?;
    let (cloud, problem) = hosted(&settings, paths, &world, egress.as_ref(), &policy, &journal).await?;
    let (toolbox, mut problems) = tools(&world, egress, &settings, paths, &mut servers, cloud.clone())?;
    problems.extend(problem);
    let mut warnings = warnings(&policy, &toolbox, problems);
    let max_call_time = longest_call(&settings, &servers, cloud.is_some());
    let mut builder = Agent::builder()
        .template(template(paths)?)
        .project(project(&settings, paths))
        .reasoning_effort(settings.reasoning_effort.unwrap_or_default())
        .world(world.clone())
        .policy(policy)
        .approver(approver)
        .journal(journal)
        .limits(Limits { max_call_time, ..limits(&settings) })
        .attachments(attachments(&settings, paths))
        .max_declared(settings.max_declared_tools.unwrap_or(MAX_DECLARED))
        .constrained(!settings.no_grammar)
        .sampling(sampling(&settings, &world))
        .top_logprobs(settings.top_logprobs);
    for tool in toolbox.iter() {
        builder = builder.tool(tool.tool().clone());
    }
    if let Some(schema) = settings.output_schema {
        builder = builder.response_format(ResponseFormat { name: "answer".into(), description: String::new(), schema });
    }
    loading_vocabulary.await?;
    let engine: Arc<dyn Engine> = Arc::new(loading_engine.await??);
    warnings.extend(model::memory_warning(engine.description().n_bytes, HugePages::of_this_machine()));
    Ok(Opened { agent: builder.engine(engine).build().await?, warnings, servers })
}

/// Tools without a model, for callers from elsewhere.
pub struct Counter {
    /// The bundled and the added ones, and those of the one MCP server that was asked for.
    pub toolbox: Toolbox,
    /// Calls them, in a session of its own in the journal.
    pub caller: Caller,
    /// The MCP server, if one was asked for.
    pub servers: Connected,
    /// The way to hosted models, if there is one.
    pub cloud: Option<Arc<Cloud>>,
}

/// A counter as the settings want it, and what looks like a mistake and stops nothing.
pub async fn counter(
    settings: &Settings,
    paths: &Paths,
    approver: Arc<dyn Approver>,
    server: Option<&str>,
) -> Result<(Counter, Vec<String>), ConfigError> {
    let world = world(settings);
    let policy = policy(settings, paths)?;
    let journal = journal_without_model(settings, paths, &world).await?;
    let egress = (!settings.offline).then(|| Egress::new(world.clone(), Arc::new(journal.clone())));
    let mut servers = match server {
        Some(server) => mcp::connect(paths, egress.clone(), false, |name| name == server).await?,
        None => Connected::default(),
    };
    let (cloud, problem) = hosted(settings, paths, &world, egress.as_ref(), &policy, &journal).await?;
    let (toolbox, mut problems) = tools(&world, egress, settings, paths, &mut servers, cloud.clone())?;
    problems.extend(problem);
    let warnings = warnings(&policy, &toolbox, problems);
    let max_time = longest_call(settings, &servers, cloud.is_some());
    let (attachments, provenance) = (attachments(settings, paths), Arc::default());
    let approvals = Approvals::default();
    let caller = Caller { policy, approver, approvals, journal, world, attachments, max_time, provenance };
    Ok((Counter { toolbox, caller, servers, cloud }, warnings))
}

/// The way to hosted models. One that makes no sense stops no session: what is wrong with it is the second value.
async fn hosted(
    settings: &Settings,
    paths: &Paths,
    world: &World,
    egress: Option<&Egress>,
    policy: &Policy,
    journal: &Journal,
) -> Result<(Option<Arc<Cloud>>, Option<String>), ConfigError> {
    match cloud(settings, paths, world, egress, policy, journal.session_id()) {
        Ok(Some(cloud)) => {
            // What dead processes left.
            cloud.tasks.recover(world.clock.now()).await?;
            Ok((Some(cloud), None))
        }
        Ok(None) => Ok((None, None)),
        Err(error @ ConfigError::Cloud(_)) => Ok((None, Some(error.to_string()))),
        Err(error) => Err(error),
    }
}

/// Whatever stops a call by itself says so better than whoever waits for it: it gets the time to.
fn longest_call(settings: &Settings, servers: &Connected, has_cloud: bool) -> Duration {
    let hosted = if has_cloud { LONGEST } else { Duration::ZERO };
    let margin = Duration::from_secs(10);
    limits(settings)
        .max_call_time
        .max(hosted)
        .max(servers.longest_call())
        .max(Duration::from_secs(python::LIMIT_S.into()) + margin)
}

/// Where the files go that calls make.
fn attachments(settings: &Settings, paths: &Paths) -> Option<PathBuf> {
    (!settings.ephemeral).then(|| paths.attachments())
}

/// The tools that a policy may speak of: those of the session, and those that come along and were not chosen for it.
pub fn known(toolbox: &Toolbox) -> Vec<ToolId> {
    let bundled = wasm::bundled().unwrap_or_default();
    let bundled = bundled.iter().flat_map(Package::tools).cloned();
    let trained = TRAINED.iter().chain(&HOSTED).filter_map(|id| id.parse().ok());
    toolbox.iter().map(|tool| tool.spec().id.clone()).chain(bundled).chain(trained).collect()
}

/// What looks like a mistake and stops nothing: of the policy, and of the tools.
fn warnings(policy: &Policy, toolbox: &Toolbox, problems: Vec<String>) -> Vec<String> {
    policy.check(&known(toolbox)).iter().map(ToString::to_string).chain(problems).collect()
}

/// The way out for a command that is no session, on record all the same. None offline.
pub async fn egress(settings: &Settings, paths: &Paths) -> Result<Option<Egress>, ConfigError> {
    if settings.offline {
        return Ok(None);
    }
    let world = world(settings);
    let journal = journal_without_model(settings, paths, &world).await?;
    Ok(Some(Egress::new(world, Arc::new(journal))))
}

async fn journal_without_model(settings: &Settings, paths: &Paths, world: &World) -> Result<Journal, ConfigError> {
    let journal = journal(settings, paths, world).await?;
    journal.append(Record::SessionStarted { model: "none".into(), date: world.clock.today() }).await?;
    Ok(journal)
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
    tools(&World::real(), None, settings, paths, &mut Connected::default(), None)
}

/// The same with those of hosted models, for who wants to know what would be asked of them. Nothing can be called.
pub fn explained_tools(settings: &Settings, paths: &Paths) -> Result<Toolbox, ConfigError> {
    let (world, policy) = (World::real(), policy(settings, paths)?);
    let cloud = cloud(settings, paths, &world, None, &policy, "none")?;
    Ok(tools(&world, None, settings, paths, &mut Connected::default(), cloud)?.0)
}

/// The folder in which the user works; without one, a place where nothing is.
pub(super) fn workspace(settings: &Settings) -> PathBuf {
    settings.folder.as_deref().map_or_else(|| "/nonexistent".into(), real)
}

/// A path without links, as calls' paths are compared. Of what is not there yet it is the folder that is, and the rest.
pub(super) fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = path.ancestors().find_map(|above| Some((above.canonicalize().ok()?, path.strip_prefix(above).ok()?)));
    found.map_or_else(|| path.clone(), |(above, rest)| above.join(rest))
}

/// The folders that tools may look into, if the policy grants it.
pub fn folders(settings: &Settings, paths: &Paths) -> Vec<Folder> {
    surroundings(settings, paths).folders
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

/// Those of hosted models.
const HOSTED: [&str; 6] =
    ["cloud.image", "cloud.edit_image", "cloud.ask", "cloud.see", "cloud.transcribe", "cloud.speak"];

/// The tools that models were trained with.
const TRAINED: [&str; 4] = ["browser.search", "browser.open", "browser.find", "python.python"];

/// Those of the bundled packages that every model is told of first. The embedded one knows what to do with the first three.
const FIRST: [&str; 5] = ["calc", "clock", "notes", "files", "fetch"];
const FOR_STAPES: [&str; 3] = ["calc", "clock", "notes"];

/// The tools in the order in which models read of them: the first of the bundled packages, those that the user added, those of
/// MCP servers, the rest. One of the user's that cannot be used is left out, and why: a session must not fail for a tool that it may not need.
fn tools(
    world: &World,
    egress: Option<Egress>,
    settings: &Settings,
    paths: &Paths,
    servers: &mut Connected,
    cloud: Option<Arc<Cloud>>,
) -> Result<(Toolbox, Vec<String>), ConfigError> {
    let host = wasm::Host::new(world.clone(), Some(paths.compiled()), egress.clone())?;
    let surroundings = Arc::new(surroundings(settings, paths));
    let (first, rest): (Vec<_>, Vec<_>) =
        wasm::bundled()?.into_iter().partition(|package| FIRST.contains(&package.name()));
    let (added, mut problems) = Packages::new(paths).all()?;
    let added = added
        .into_iter()
        .flat_map(|package| following(paths.packages().join(package.name()), package, &host, &surroundings));
    let bundled = |packages: Vec<Package>| packages.into_iter().flat_map(|package| host.load(package, &surroundings));
    let borrowed = servers.tools.drain(..).map(|tool| Arc::new(tool) as Arc<dyn Tool>);
    problems.append(&mut servers.warnings);
    let hosted = cloud.map(|cloud| cloud_tools(&cloud, &surroundings.folders)).unwrap_or_default();
    let mut toolbox = Toolbox::default();
    let trained = trained(world, egress, settings, paths, &surroundings)?.into_iter();
    for tool in trained.chain(bundled(first)).chain(hosted).chain(added).chain(borrowed).chain(bundled(rest)) {
        if is_chosen(&tool.spec().id, settings) {
            // To register a tool is what finds a name that is taken and a schema that cannot be used.
            problems.extend(toolbox.register(tool).err().map(|error| error.to_string()));
        }
    }
    for word in named(settings).into_iter().flatten().filter(|word| *word != "all") {
        if !toolbox.iter().any(|tool| is_meant(word, &tool.spec().id)) {
            problems.push(format!("there is no tool {word}; `ossicle tool list` names those that there are"));
        }
    }
    Ok((toolbox, problems))
}

/// The tools that models were trained with, in the order in which they are declared.
fn trained(
    world: &World,
    egress: Option<Egress>,
    settings: &Settings,
    paths: &Paths,
    surroundings: &Surroundings,
) -> Result<Vec<Arc<dyn Tool>>, ConfigError> {
    let index = index(paths)?.map(|index| Arc::new(index) as Arc<dyn Backend>);
    // The embedded model would search the web with no engine to do it.
    let is_of_use = index.is_some() || named(settings).is_some() || !is_embedded(settings);
    let browser = browser(settings, paths, world, egress.as_ref(), index, pdf_reader(paths)).filter(|_| is_of_use);
    let python = Python::new(world.clone(), Some(paths.compiled()), surroundings.folders.clone());
    let mut tools = browser.map(browser::tools).unwrap_or_default();
    tools.push(Arc::new(python));
    Ok(tools)
}

fn is_embedded(settings: &Settings) -> bool {
    matches!(settings.model, None | Some(Source::Embedded))
}

/// The words of the settings that name tools; those that begin with `-` leave some out. `None` where none does: then it is all
/// that a session has anyway.
fn named(settings: &Settings) -> Option<Vec<&String>> {
    let words: Vec<_> = settings.tools.iter().flatten().filter(|word| !is_exception(word)).collect();
    (!words.is_empty()).then_some(words)
}

/// `-cloud`, but not a flag in the wrong place.
fn is_exception(word: &str) -> bool {
    word.starts_with('-') && !word.starts_with("--")
}

/// Whether the settings give the session this tool.
fn is_chosen(id: &ToolId, settings: &Settings) -> bool {
    let exceptions = settings.tools.iter().flatten().filter(|word| is_exception(word));
    if exceptions.map(|word| &word[1..]).any(|word| is_meant(word, id)) {
        return false;
    }
    match named(settings) {
        Some(words) => words.into_iter().any(|word| word == "all" || is_meant(word, id)),
        None => {
            !is_embedded(settings)
                || id.package == "cloud" && id.tool == "image"
                || FOR_STAPES.contains(&id.package.as_str())
                || !wasm::BUNDLED.contains(&id.package.as_str()) && id.package != "cloud"
        }
    }
}

/// Whether any tool of this MCP server could be one of the session's.
fn is_server_chosen(server: &str, settings: &Settings) -> bool {
    let package = format!("{}{server}", tool::mcp::PACKAGE);
    let is_of_it = |word: &String| word == "all" || word.split('.').next() == Some(package.as_str());
    named(settings).is_none_or(|words| words.into_iter().any(is_of_it))
}

fn is_meant(word: &str, id: &ToolId) -> bool {
    word == id.package || word == id.to_string()
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

pub(super) fn read_if_there(path: &Path) -> Result<Option<String>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConfigError::Unreadable { path: path.to_owned(), error }),
    }
}

/// Loops are left unless the user wants otherwise: a model that repeats itself is common, and costs minutes.
fn sampling(settings: &Settings, world: &World) -> SamplingParams {
    let default = SamplingParams::default();
    SamplingParams {
        temperature: settings.temperature.unwrap_or(default.temperature),
        top_p: settings.top_p.unwrap_or(default.top_p),
        top_k: settings.top_k.unwrap_or(default.top_k),
        min_p: settings.min_p.unwrap_or(default.min_p),
        repetition_penalty: settings.repetition_penalty.unwrap_or(default.repetition_penalty),
        escape_loops: settings.escape_loops.unwrap_or(true),
        seed: settings.seed.unwrap_or_else(|| world.random.next_u64()),
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

    #[test]
    fn tools_are_chosen_by_name_and_left_out_by_name() {
        for (words, expect) in [
            (&["all"][..], [true, true, true]),
            (&["all", "-cloud"], [true, false, false]),
            (&["files.read", "cloud"], [true, true, true]),
            (&["cloud", "-cloud.image"], [false, false, true]),
            // Alone it takes something away from what the embedded model is given.
            (&["-cloud"], [false, false, false]),
            (&["-notes"], [false, true, false]),
            (&["--json"], [false, false, false]),
        ] {
            let settings =
                Settings { tools: Some(words.iter().map(|word| (*word).into()).collect()), ..Settings::default() };
            let chosen =
                ["files.read", "cloud.image", "cloud.ask"].map(|id| is_chosen(&id.parse().unwrap(), &settings));
            assert_eq!(chosen, expect, "{words:?}");
        }
    }

    #[test]
    fn what_is_not_chosen_is_greedy_and_leaves_loops() {
        let world = World::real();
        let chosen = sampling(&Settings { seed: Some(3), ..Settings::default() }, &world);
        assert_eq!(chosen, SamplingParams { escape_loops: true, seed: 3, ..SamplingParams::default() });
        let (temperature, top_p, top_k, min_p, repetition_penalty) = (0.7, 0.9, 40, 0.1, 1.2);
        let settings = Settings {
            temperature: Some(temperature),
            top_p: Some(top_p),
            top_k: Some(top_k),
            min_p: Some(min_p),
            repetition_penalty: Some(repetition_penalty),
            escape_loops: Some(false),
            seed: Some(3),
            ..Settings::default()
        };
        let expected =
            SamplingParams { temperature, top_p, top_k, min_p, repetition_penalty, escape_loops: false, seed: 3 };
        assert_eq!(sampling(&settings, &world), expected);
    }

    #[tokio::test]
    async fn offline_there_is_no_network() {
        for (offline, reached) in [(false, true), (true, false)] {
            let network = world(&Settings { offline, ..Settings::default() }).network;
            assert_eq!(network.resolve("127.0.0.1", 80).await.is_ok(), reached, "offline: {offline}");
        }
    }
}
