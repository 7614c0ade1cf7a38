//! `ossicle mcp`: servers of tools that are not ours, looked at before they are trusted.
//!
//! What it is not: a session; here a server is started to be shown, and ended again. Start at [`mcp`].

use super::add::agreed;
use super::report::{Failure, exit};
use super::screen::{Ink, Screen};
use super::{args, session, terminal};
use crate::config::{self, McpEntry, McpServers, Paths, Seen, Settings};
use crate::policy::Policy;
use crate::tool::mcp::{Client, Offer, RemoteTool, select};
use crate::tool::{Tool, Toolbox};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

pub(super) async fn mcp(command: &args::Mcp, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let (settings, paths) = session::settings(flags)?;
    let (servers, policy) = (McpServers::new(&paths), config::policy(&settings, &paths)?);
    let shop = Shop { servers, policy, settings, paths, screen };
    match command {
        args::Mcp::Add { name, env, url, bearer_token_env_var, yes, program } => {
            let entry = entry(env, url.clone(), bearer_token_env_var.clone(), program)?;
            shop.add(name, &entry, *yes).await
        }
        args::Mcp::List { json } => shop.list(*json),
        args::Mcp::Approve { name, yes } => shop.approve(name, *yes).await,
        args::Mcp::Remove { name } => shop.remove(name),
        args::Mcp::Import { file, yes } => shop.import(file, *yes).await,
    }
}

/// What was typed, as it stands in the file.
fn entry(
    env: &[(String, String)],
    url: Option<String>,
    bearer_token_env_var: Option<String>,
    program: &[String],
) -> Result<McpEntry, Failure> {
    let command = program.first().map(|command| match Path::new(command).components().count() {
        // A name is looked up in PATH; a path has to mean the same wherever a session runs.
        0 | 1 if !command.starts_with('.') => Ok(command.clone()),
        _ => std::path::absolute(command).map(|path| path.to_string_lossy().into_owned()),
    });
    let args = program.iter().skip(1).cloned().collect();
    let env: BTreeMap<String, String> = env.iter().cloned().collect();
    Ok(McpEntry { command: command.transpose()?, args, env, url, bearer_token_env_var, ..McpEntry::default() })
}

/// What the commands share.
struct Shop<'a> {
    servers: McpServers,
    policy: Policy,
    settings: Settings,
    paths: Paths,
    screen: &'a Screen,
}

/// A server that was started, looked at and ended again.
struct Look {
    client: Arc<Client>,
    title: String,
    /// What a session would take of it.
    offers: Vec<Offer>,
    /// Why it would not take the rest.
    warnings: Vec<String>,
}

impl Shop<'_> {
    async fn add(&self, name: &str, entry: &McpEntry, is_agreed: bool) -> Result<(), Failure> {
        let look = self.look(name, entry).await?;
        let text = self.described(name, entry, &look);
        self.screen.say(Ink::Bold, text.trim_end());
        self.warn(&look);
        if self.servers.all()?.contains_key(name) {
            self.screen.say(Ink::Yellow, &format!("It takes the place of the server `{name}` that is there."));
        }
        if !is_agreed && !agreed(&format!("Add {name}?"), self.screen)? {
            self.screen.say(Ink::Dim, "nothing was added");
            return Ok(());
        }
        self.servers.add(name, entry, &look.offers)?;
        self.screen.say(Ink::Green, &format!("added {name} with {} tools", look.offers.len()));
        Ok(())
    }

    fn list(&self, as_json: bool) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let mut listed = Vec::new();
        for (name, entry) in self.servers.all()? {
            let tools: Vec<String> = self.servers.seen(&name)?.tools.into_keys().collect();
            if as_json {
                listed.push(json!({
                    "name": name,
                    "transport": if entry.is_program() { "stdio" } else { "http" },
                    "command": entry.command,
                    "args": entry.args,
                    "url": entry.url,
                    // Their values may be keys.
                    "env": entry.env.keys().collect::<Vec<_>>(),
                    "headers": entry.headers.keys().collect::<Vec<_>>(),
                    "enabled": entry.is_enabled(),
                    "tools": tools,
                }));
            } else {
                let is_on = if entry.is_enabled() { "on" } else { "off" };
                let place = entry.place();
                writeln!(out, "{name:<16} {is_on:<3} {:>4} tools  {}", tools.len(), terminal::line(&place))?;
            }
        }
        if as_json {
            writeln!(out, "{}", terminal::json(&format!("{:#}", json!(listed))))?;
        }
        Ok(())
    }

    async fn approve(&self, name: &str, is_agreed: bool) -> Result<(), Failure> {
        let entry = self.servers.find(name)?;
        let look = self.look(name, &entry).await?;
        self.warn(&look);
        let changes = changes(&self.servers.seen(name)?, &look.offers);
        if changes.is_empty() {
            self.screen.say(Ink::Green, &format!("{name} offers what you have seen"));
            return Ok(());
        }
        self.screen.say(Ink::Bold, &changes.join("\n"));
        if !is_agreed && !agreed(&format!("Approve what {name} offers now?"), self.screen)? {
            self.screen.say(Ink::Dim, "nothing was approved");
            return Ok(());
        }
        self.servers.approve(name, &look.offers)?;
        self.screen.say(Ink::Green, &format!("approved {name} with {} tools", look.offers.len()));
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), Failure> {
        if !self.servers.remove(name)? {
            return Err(config::ConfigError::NoMcpServer { name: name.to_owned() }.into());
        }
        self.screen.say(Ink::Green, &format!("removed {name}"));
        Ok(())
    }

    async fn import(&self, file: &Path, is_agreed: bool) -> Result<(), Failure> {
        let text = std::fs::File::open(file).and_then(|file| io::read_to_string(file.take(MAX_FILE)));
        let text = text.map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display())))?;
        let found = config::import(&text).map_err(|why| {
            Failure::usage(format!("{} holds no MCP servers: {why}", file.display()))
                .help("it has to look like {\"mcpServers\": {\"files\": {\"command\": \"npx\", \"args\": []}}}")
        })?;
        let mut n_failed = 0;
        for (name, entry) in found {
            let added = match entry {
                Ok(entry) => self.import_one(&name, &entry, is_agreed).await,
                Err(why) => Err(Failure::usage(format!("`{}` is left out: {why}", terminal::line(&name)))),
            };
            match added {
                // Where nobody can be asked for one, nobody can be for the next.
                Err(failure) if failure.code() == exit::USAGE && !is_agreed => return Err(failure),
                Err(failure) => {
                    n_failed += 1;
                    self.screen.say(Ink::Yellow, &format!("warning: {failure}"));
                }
                Ok(()) => {}
            }
        }
        match n_failed {
            0 => Ok(()),
            _ => Err(Failure::new(exit::FAILURE, format!("{n_failed} of its servers were not added"))),
        }
    }

    /// The file may be anybody's, so nothing in it is started unasked.
    async fn import_one(&self, name: &str, entry: &McpEntry, is_agreed: bool) -> Result<(), Failure> {
        let place = entry.place();
        let question = format!("Start {} to look at it? It is: {}", terminal::line(name), terminal::line(&place));
        if !is_agreed && !agreed(&question, self.screen)? {
            self.screen.say(Ink::Dim, &format!("{} was not added", terminal::line(name)));
            return Ok(());
        }
        self.add(name, entry, is_agreed).await
    }

    /// Starts a server, has it tell its tools, and ends it.
    async fn look(&self, name: &str, entry: &McpEntry) -> Result<Look, Failure> {
        if self.settings.offline {
            return Err(Failure::new(exit::OFFLINE, "offline, MCP servers are not started").help("leave --offline out"));
        }
        // What leaves the machine for a look is on record too; a program needs no way out.
        let egress = if entry.is_program() { None } else { config::egress(&self.settings, &self.paths).await? };
        let client = Arc::new(self.servers.client(name, entry, egress)?);
        self.screen.wait(&format!("starting {name}"));
        let offers = client.offers().await;
        client.close().await;
        self.screen.settle();
        let (title, offers) = offers.map_err(|error| Failure::new(exit::FAILURE, error.to_string()))?;
        let (offers, mut warnings) = select(client.server(), offers, None);
        let mut toolbox = Toolbox::default();
        for offer in &offers {
            let tool = Arc::new(RemoteTool::new(client.clone(), offer.clone()));
            warnings.extend(toolbox.register(tool).err().map(|error| format!("{error}; it will be left out")));
        }
        Ok(Look { client, title, offers, warnings })
    }

    fn warn(&self, look: &Look) {
        for warning in &look.warnings {
            self.screen.say(Ink::Yellow, &format!("warning: {warning}"));
        }
    }

    /// Everything that matters before one trusts a server, all that the model will read included.
    fn described(&self, name: &str, entry: &McpEntry, look: &Look) -> String {
        let names: Vec<&str> = entry.env.keys().chain(entry.headers.keys()).map(String::as_str).collect();
        let mut text = format!(
            "{name}: {}\n  {}  {}\n  gets     {}\n  tools\n",
            terminal::line(&look.title),
            if entry.is_program() { "runs   " } else { "is at  " },
            terminal::line(&entry.place()),
            if names.is_empty() { "nothing of its own".into() } else { terminal::line(&names.join(", ")).into_owned() },
        );
        for offer in &look.offers {
            let tool = RemoteTool::new(look.client.clone(), offer.clone());
            let spec = tool.spec();
            let answer = self.policy.summary(&spec.id, spec.effect);
            text += &format!("    {}  effect {}, policy {}\n", spec.id, spec.effect, answer);
            text += &words(&offer.description, &offer.parameters.to_string());
        }
        text
    }
}

/// No such file is longer. In bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// What the model will read of a tool, indented.
fn words(description: &str, parameters: &str) -> String {
    let lines = description.lines().chain([parameters]);
    lines.map(|line| format!("      {}\n", terminal::line(line))).collect()
}

/// What has changed since the user looked: a paragraph for each tool.
fn changes(seen: &Seen, offers: &[Offer]) -> Vec<String> {
    let mut changes = Vec::new();
    for offer in offers {
        let (name, parameters) = (terminal::line(&offer.name), offer.parameters.to_string());
        let now = words(&offer.description, &parameters);
        match seen.tools.get(&offer.name) {
            None => changes.push(format!("  new: {name}\n{now}")),
            Some(tool) if tool.sha256 != offer.pin() => {
                let before = words(&tool.description, &tool.parameters.to_string());
                let before = if before == now { "      the same words, with other hints\n".into() } else { before };
                changes.push(format!("  changed: {name}, which was\n{before}    and is\n{now}"));
            }
            Some(_) => {}
        }
    }
    for name in seen.tools.keys().filter(|name| !offers.iter().any(|offer| offer.name == **name)) {
        changes.push(format!("  gone: {}", terminal::line(name)));
    }
    changes
}
