//! `ossicle tool`: what the model can call, and packages of the user's own.
//!
//! What it is not: it judges no package; what is refused is refused where packages are read and tools registered.
//! Start at [`tool`].

use super::add::add;
use super::call::call;
use super::report::{Failure, exit};
use super::screen::{Ink, Screen};
use super::{args, develop, session, terminal};
use crate::config::{self, Packages, Paths};
use crate::engine::models::Source;
use crate::policy::{Policy, Question};
use crate::tool::Toolbox;
use crate::tool::wasm::{self, Host, Package, Surroundings, run_examples};
use crate::world::World;
use serde_json::json;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

pub(super) async fn tool(command: &args::Tool, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    match command {
        args::Tool::List { json } => list(*json, flags, screen),
        args::Tool::New { name, lang } => develop::new(name, *lang, screen),
        args::Tool::Build { package, watch: false } => develop::build(package, screen),
        args::Tool::Build { package, watch: true } => develop::watch(package, flags, screen).await,
        args::Tool::Inspect { package } => inspect(package, flags).await,
        args::Tool::Test { package } => test(package, flags).await,
        args::Tool::Call { tool, arguments } => call(tool, arguments, flags, screen).await,
        args::Tool::Pack { package, output } => pack(package, output.as_deref(), screen),
        args::Tool::Add { package, yes } => add(package, *yes, flags, screen).await,
        args::Tool::Remove { package } => remove(package, flags, screen),
    }
}

/// Prints the tools, their effects and what the policy says to them.
fn list(as_json: bool, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let (mut settings, paths) = session::settings(flags)?;
    let policy = config::policy(&settings, &paths)?;
    let is_chosen = settings.tools.is_some();
    settings.tools.get_or_insert_with(|| vec!["all".into()]);
    let (toolbox, problems) = config::toolbox(&settings, &paths)?;
    for problem in problems {
        screen.say(Ink::Yellow, &format!("warning: {problem}"));
    }
    let mut out = io::stdout().lock();
    if as_json {
        let tools: Vec<_> = toolbox
            .iter()
            .map(|tool| {
                let spec = tool.spec();
                let (_, rule) = policy.ruling(&Question::about(&spec.id, spec.effect));
                let answer = policy.summary(&spec.id, spec.effect);
                json!({
                    "id": spec.id.to_string(),
                    "description": spec.description,
                    "effect": spec.effect,
                    "recovery": spec.recovery,
                    "decision": answer,
                    "rule": rule,
                    "parameters": spec.parameters,
                })
            })
            .collect();
        let tools = format!("{:#}", json!(tools));
        writeln!(out, "{}", terminal::json(&tools))?;
        return Ok(());
    }
    for line in lines(&toolbox, &policy) {
        writeln!(out, "{line}")?;
    }
    if !is_chosen && matches!(settings.model, None | Some(Source::Embedded)) {
        screen.say(
            Ink::Dim,
            "stapes, the embedded model, is given python, calc, clock, notes, what you added, and browser when there is an index; --tools chooses others",
        );
    }
    Ok(())
}

/// Each tool on a line: name, effect, what the policy says, the description's first line.
fn lines(toolbox: &Toolbox, policy: &Policy) -> Vec<String> {
    let line = |tool: &crate::tool::Registered| {
        let spec = tool.spec();
        let answer = policy.summary(&spec.id, spec.effect);
        let first = terminal::line(spec.description.lines().next().unwrap_or_default());
        format!("{:<16} {:<6} {:<6} {first}", spec.id.to_string(), spec.effect.as_str(), answer)
    };
    toolbox.iter().map(line).collect()
}

/// The package in a folder, or the bundled or added one of that name.
fn package(named: &str, flags: &args::Session) -> Result<Package, Failure> {
    let folder = Path::new(named);
    if folder.is_dir() || folder.is_file() {
        return read(folder);
    }
    let (_, paths) = session::settings(flags)?;
    let bundled = wasm::bundled().map_err(config::ConfigError::from)?;
    let found = match bundled.into_iter().find(|package| package.name() == named) {
        Some(package) => Some(package),
        None => Packages::new(&paths).find(named)?,
    };
    found.ok_or_else(|| {
        Failure::usage(format!("there is no tool package {named}, neither a folder nor one that was added"))
            .help("`ossicle tool list` names the tools; what stands before the dot is the package")
    })
}

/// The package in a folder, or in the one file of `tool pack`.
pub(super) fn read(place: &Path) -> Result<Package, Failure> {
    let read = if place.is_file() { Package::read_packed(place) } else { Package::read(place) };
    read.map_err(|error| {
        Failure::usage(error.to_string()).help(
            "a package is a folder with tool.toml, tools.json and the component that tool.toml names, or the one file that \
             `ossicle tool pack` makes of it",
        )
    })
}

/// Writes a package into one file.
fn pack(folder: &Path, output: Option<&Path>, screen: &Screen) -> Result<(), Failure> {
    let package = read(folder)?;
    let name = format!("{}-{}.wasm", package.name(), package.version());
    if output.is_none() && !wasm::is_component_name(&name) {
        return Err(Failure::usage(format!("{} cannot be a file's name", terminal::line(&name))).help("--output FILE"));
    }
    let path = output.map_or_else(|| name.clone().into(), Path::to_path_buf);
    let bytes = package.pack();
    fs::write(&path, &bytes).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    let path = path.display().to_string();
    screen.say(Ink::Green, &format!("{} of {:.1} kB", terminal::line(&path), bytes.len() as f64 / 1e3));
    Ok(())
}

async fn inspect(named: &str, flags: &args::Session) -> Result<(), Failure> {
    let (settings, paths) = session::settings(flags)?;
    let text = described(&package(named, flags)?, &config::policy(&settings, &paths)?, &paths).await?;
    Ok(write!(io::stdout(), "{text}")?)
}

/// Everything that matters before one trusts a package, all that the model will read included. One that cannot run here is
/// refused.
pub(super) async fn described(package: &Package, policy: &Policy, paths: &Paths) -> Result<String, Failure> {
    let limits = package.limits();
    let wants = package.wants();
    let mut text = format!(
        "{} {}\n  component  {:.1} kB, sha256 {}\n  limits     {} MiB, {} ms, {} kB of output, {} MiB of data\n  wants      {}\n  tools\n",
        terminal::line(package.name()),
        terminal::line(package.version()),
        package.n_bytes() as f64 / 1e3,
        package.sha256(),
        limits.memory_mib,
        limits.time_ms,
        limits.output_bytes / 1000,
        limits.data_mib,
        if wants.is_empty() { "nothing".into() } else { terminal::line(&wants.join(", ")).into_owned() },
    );
    let host = Host::new(World::simulated(1), Some(paths.compiled()), None).map_err(config::ConfigError::from)?;
    host.check(package.clone()).await.map_err(|error| {
        Failure::usage(format!("{}: {error}", package.name()))
            .help("build it for this version, and let tool.toml want what it imports")
    })?;
    let mut toolbox = Toolbox::default();
    for tool in host.load(package.clone(), &Surroundings::simulated()) {
        toolbox.register(tool).map_err(|error| Failure::usage(error.to_string()))?;
    }
    for tool in toolbox.iter() {
        let spec = tool.spec();
        let answer = policy.summary(&spec.id, spec.effect);
        let recovery = json!(spec.recovery);
        text += &format!(
            "    {}  effect {}, policy {}, after a crash {}\n",
            spec.id,
            spec.effect,
            answer,
            recovery.as_str().unwrap_or_default()
        );
        for line in spec.description.lines() {
            text += &format!("      {}\n", terminal::line(line));
        }
        if let Some(parameters) = &spec.parameters {
            text += &format!("      {}\n", terminal::line(&parameters.to_string()));
        }
    }
    Ok(text)
}

async fn test(named: &str, flags: &args::Session) -> Result<(), Failure> {
    let (_, paths) = session::settings(flags)?;
    let package = package(named, flags)?;
    let name = package.name().to_owned();
    let outcomes = run_examples(package, Some(paths.compiled())).await.map_err(config::ConfigError::from)?;
    if outcomes.is_empty() {
        return Err(
            Failure::usage(format!("{name} has no examples")).help("[[test]] tables in its tool.toml are its examples")
        );
    }
    let mut out = io::stdout().lock();
    for outcome in &outcomes {
        let (mark, example) = (if outcome.is_good() { "✓" } else { "✗" }, &outcome.example);
        let arguments = example.arguments.to_string();
        writeln!(out, "{mark} {name}.{} {}", terminal::line(&example.call), terminal::line(&arguments))?;
        if !outcome.is_good() {
            writeln!(out, "    expected  {}", terminal::line(&example.expect))?;
            writeln!(out, "    got       {}", terminal::line(&outcome.got))?;
        }
    }
    match outcomes.iter().filter(|outcome| !outcome.is_good()).count() {
        0 => Ok(()),
        n_bad => Err(Failure::new(exit::FAILURE, format!("{n_bad} of {} examples failed", outcomes.len()))),
    }
}

fn remove(name: &str, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let (_, paths) = session::settings(flags)?;
    if !Packages::new(&paths).remove(name)? {
        return Err(Failure::usage(format!("there is no added tool package {name}"))
            .help("those that come with the program cannot be removed; a policy can deny their tools"));
    }
    screen.say(Ink::Green, &format!("removed {name}"));
    Ok(())
}
