//! `ossicle doctor`: is everything in place? Each part is tried, and what fails says what to do.

use super::report::{Failure, exit};
use super::{args, session, terminal};
use crate::config::{self, CloudAccess, ConfigError, McpServers, Paths, Settings};
use crate::delegate::catalogue::Catalogue;
use crate::engine::cpu::{self, HugePages};
use crate::journal::{SqliteStore, Store};
use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Prints a line for each part. A part that does not work is a failure of the whole.
pub(super) async fn doctor(flags: &args::Session) -> Result<(), Failure> {
    let mut findings = Findings::default();
    findings.good("version", &format!("ossicle {}, {}", env!("CARGO_PKG_VERSION"), processor()))?;
    let paths = Paths::from_environment()?;
    for (what, folder) in [("data", &paths.data), ("state", &paths.state), ("cache", &paths.cache)] {
        findings.record(what, writable(folder))?;
    }
    if let Some(pages) = HugePages::of_this_machine() {
        match pages.advice() {
            Some(advice) => findings.line("odd", "pages", advice)?,
            None => findings.good("pages", &format!("transparent huge pages: {}", pages.as_str()))?,
        }
    }
    match session::settings(flags) {
        Ok((settings, paths)) => {
            findings.good("settings", &paths.config.display().to_string())?;
            parts(&settings, &paths, &mut findings).await?;
        }
        Err(failure) => findings.bad("settings", &failure)?,
    }
    match findings.n_bad {
        0 => Ok(()),
        1 => Err(Failure::new(exit::FAILURE, "one part does not work")),
        n_bad => Err(Failure::new(exit::FAILURE, format!("{n_bad} parts do not work"))),
    }
}

async fn parts(settings: &Settings, paths: &Paths, findings: &mut Findings) -> io::Result<()> {
    match config::inspection(settings, paths) {
        Ok(inspection) => {
            match inspection.is_complete() {
                true => findings.good("model", &inspection.summary())?,
                false => findings.bad("model", &inspection.summary())?,
            }
            findings.record("memory", inspection.memory())?;
        }
        Err(error) => findings.bad("model", &error)?,
    }
    findings.record("mcp", servers(paths))?;
    let known = match config::toolbox(settings, paths) {
        Ok((toolbox, problems)) => {
            let names: Vec<String> = toolbox.iter().map(|tool| tool.spec().id.to_string()).collect();
            findings.good("tools", &names.join(", "))?;
            for problem in problems {
                findings.line("odd", "tools", &problem)?;
            }
            config::known(&toolbox)
        }
        Err(error) => {
            findings.bad("tools", &error)?;
            Vec::new()
        }
    };
    match config::policy(settings, paths) {
        Ok(policy) => {
            findings.good("policy", &format!("{}, {} rules", policy.name(), policy.n_rules()))?;
            for warning in policy.check(&known) {
                findings.line("odd", "policy", &warning.to_string())?;
            }
        }
        Err(error) => findings.bad("policy", &error)?,
    }
    findings.record("prompt", config::prompt(settings, paths).map(|_| "renders".to_owned()))?;
    findings.record("journal", journal(paths).await)?;
    findings.record("cloud", hosted(settings))?;
    findings.good(
        "network",
        if settings.offline { "none: --offline" } else { "what the policy lets out, each time on the record" },
    )
}

/// The MCP servers by name. They are not started.
fn servers(paths: &Paths) -> Result<String, ConfigError> {
    let names: Vec<String> = McpServers::new(paths).all()?.into_keys().collect();
    Ok(if names.is_empty() { "no servers".into() } else { names.join(", ") })
}

/// Whether hosted models, and servers of the user's own, are set up. Nothing is sent.
fn hosted(settings: &Settings) -> Result<String, String> {
    let mut found = Vec::new();
    for server in &settings.cloud.server {
        let access = config::server_access(server)?;
        found.push(format!("{}: {}", server.name, in_the_open(&access)?));
    }
    match config::cloud_access(&settings.cloud)? {
        Some(access) => {
            let (endpoint, as_of) = (in_the_open(&access)?, Catalogue::embedded().as_of);
            let compare = "`ossicle cloud models --check` compares the models known here";
            found.push(format!("{endpoint}; {compare} ({as_of})"));
        }
        None if found.is_empty() => return Ok("not set up: OPENAI_API_KEY is not set".into()),
        None => {}
    }
    Ok(found.join("; "))
}

/// Where it is, unless the key could be read on its way there.
fn in_the_open(access: &CloudAccess) -> Result<String, String> {
    let endpoint = access.endpoint.to_string();
    match access.is_in_the_clear() {
        true => Err(format!("{endpoint}: the key would go there unencrypted; use https, or a server on this machine")),
        false => Ok(endpoint),
    }
}

async fn journal(paths: &Paths) -> Result<String, ConfigError> {
    let path = paths.journal();
    if !path.exists() {
        return Ok(format!("{}, not there yet", path.display()));
    }
    let sessions = SqliteStore::open(&path)?.sessions().await?;
    Ok(format!("{}, {} sessions", path.display(), sessions.len()))
}

/// Tries to write a file into the folder, or where the folder would be made, and leaves nothing behind.
fn writable(folder: &Path) -> Result<String, String> {
    let folder = &std::path::absolute(folder).map_err(|error| error.to_string())?;
    let nearest = folder.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(folder);
    let trial = nearest.join(format!(".ossicle-doctor-{}", std::process::id()));
    let tried = fs::OpenOptions::new().write(true).create_new(true).open(&trial).and_then(|_| fs::remove_file(&trial));
    let folder = folder.display();
    match tried {
        Ok(()) => Ok(folder.to_string()),
        Err(error) => Err(format!("{folder} cannot be written: {error}; make it yours, or set OSSICLE_HOME")),
    }
}

/// What the engine can use of this machine.
fn processor() -> String {
    let threads = num_cpus::get_physical();
    format!("{threads} cores, {}", cpu::instructions().as_deref().unwrap_or("plain code: the engine will be slow"))
}

/// Lines on stdout, and how many of them are bad.
#[derive(Default)]
struct Findings {
    n_bad: usize,
}

impl Findings {
    fn line(&self, mark: &str, what: &str, text: &str) -> io::Result<()> {
        writeln!(io::stdout(), "{mark:<4} {what:<9} {}", terminal::line(text))
    }

    fn good(&self, what: &str, text: &str) -> io::Result<()> {
        self.line("ok", what, text)
    }

    fn bad(&mut self, what: &str, error: &dyn Display) -> io::Result<()> {
        self.n_bad += 1;
        self.line("BAD", what, &error.to_string())
    }

    fn record(&mut self, what: &str, found: Result<String, impl Display>) -> io::Result<()> {
        match found {
            Ok(text) => self.good(what, &text),
            Err(error) => self.bad(what, &error),
        }
    }
}
