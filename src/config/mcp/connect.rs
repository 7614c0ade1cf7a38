//! A session's MCP servers: all started at once, and what they offer turned into tools.
//!
//! A server that cannot be used costs its tools and not the session. Start at [`connect`].

use super::loosen::loosened;
use super::{McpEntry, McpServers};
use crate::config::{ConfigError, Paths};
use crate::egress::Egress;
use crate::harmony::Declaration;
use crate::tool::Tool;
use crate::tool::mcp::{Client, RemoteTool, select};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The servers of a session, with their tools.
#[derive(Default)]
pub struct Connected {
    /// In the order of the servers' names, and of each server's own list.
    pub tools: Vec<RemoteTool>,
    /// Why servers and tools are left out.
    pub warnings: Vec<String>,
    clients: Vec<Arc<Client>>,
}

/// Starts all enabled servers that are wanted at once and waits until each has told its tools, or has had its time for it. Where there is no
/// way out, none is: a program is not confined, and would not know.
pub async fn connect(
    paths: &Paths,
    egress: Option<Egress>,
    is_constrained: bool,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Connected, ConfigError> {
    let servers = McpServers::new(paths);
    let mut entries = servers.all()?;
    entries.retain(|name, entry| entry.is_enabled() && is_wanted(name));
    let mut connected = Connected::default();
    let Some(egress) = egress else {
        let names: Vec<_> = entries.keys().map(|name| format!("`{name}`")).collect();
        if !names.is_empty() {
            connected.warnings.push(format!("offline: MCP servers are not started: {}", names.join(", ")));
        }
        return Ok(connected);
    };
    let mut starting = JoinSet::new();
    for (idx, (name, entry)) in entries.iter().enumerate() {
        match started(&servers, name, entry, &egress) {
            Ok((client, approved)) => {
                starting.spawn(async move { (idx, client.offers().await, client, approved) });
            }
            Err(error) => connected.warnings.push(format!("{error}; the MCP server `{name}` is left out")),
        }
    }
    let mut answered = starting.join_all().await;
    answered.sort_by_key(|(idx, ..)| *idx);
    for (_, offers, client, approved) in answered {
        match offers {
            Ok((_, offers)) => {
                let (taken, warnings) = select(client.server(), offers, Some(&approved));
                connected.warnings.extend(warnings);
                for offer in taken {
                    match tool(RemoteTool::new(client.clone(), offer), is_constrained) {
                        Ok(tool) => connected.tools.push(tool),
                        Err(warning) => connected.warnings.push(warning),
                    }
                }
                connected.clients.push(client);
            }
            Err(error) => connected.warnings.push(format!("{error}; its tools are left out")),
        }
    }
    Ok(connected)
}

/// What was approved of a server, by name, and its client.
type Started = (Arc<Client>, std::collections::HashMap<String, String>);

fn started(servers: &McpServers, name: &str, entry: &McpEntry, egress: &Egress) -> Result<Started, ConfigError> {
    Ok((Arc::new(servers.client(name, entry, Some(egress.clone()))?), servers.seen(name)?.approved()))
}

/// The tool with parameters that a model can be held to.
fn tool(tool: RemoteTool, is_constrained: bool) -> Result<RemoteTool, String> {
    if !is_constrained {
        return Ok(tool);
    }
    let spec = tool.spec();
    // Only the parameters count here; the name is checked when the tool is registered.
    let declaration =
        Declaration { name: "tool".into(), description: String::new(), parameters: spec.parameters.clone() };
    let id = spec.id.clone();
    match loosened(declaration) {
        Ok(parameters) => Ok(tool.with_parameters(parameters)),
        Err(error) => Err(format!("the tool `{id}` is left out: {error}")),
    }
}

impl Connected {
    /// The longest time that a call of one of them may take.
    pub fn longest_call(&self) -> Duration {
        self.clients.iter().map(|client| client.server().call_time).max().unwrap_or_default()
    }

    /// Ends the servers. Each has a moment to go by itself.
    pub async fn close(self) {
        drop(self.tools);
        let mut closing = JoinSet::new();
        for client in self.clients {
            closing.spawn(async move { client.close().await });
        }
        closing.join_all().await;
    }
}
