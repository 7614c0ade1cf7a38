//! How a server stands in `mcp.toml`, and in the JSON that other programs keep.
//!
//! Only the form; nothing is started. Start at [`McpEntry`].

use super::super::ConfigError;
use super::KEY;
use crate::policy::Effect;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// In characters: a tool's whole name has 64 for the model.
const MAX_NAME: usize = 32;

/// In seconds.
const MAX_TIME: u64 = 3600;

/// A server, exactly as it may be written under `[mcp_servers.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpEntry {
    /// The program of a server over stdio: a path, or a name that is looked up in `PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Where it runs, relative to the file's folder; where the session runs when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// The address of a server over streamable HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The variable of the environment that holds the key for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_env_var: Option<String>,
    /// From its start until it has told its tools, in seconds; 10 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_timeout_sec: Option<u64>,
    /// For each call, in seconds; 60 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_timeout_sec: Option<u64>,
    /// Whether sessions use it; they do when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Of its tools only these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled_tools: Option<Vec<String>>,
    /// Of its tools never these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disabled_tools: Vec<String>,
    /// What its tools do outside: read, write or send; their own hints count when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// What its process finds in its environment besides what is inherited.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What is sent with each request to its address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    mcp_servers: BTreeMap<String, McpEntry>,
}

/// Reads the file's text. Every server in it has to make sense.
pub(super) fn parse(path: &Path, text: &str) -> Result<BTreeMap<String, McpEntry>, ConfigError> {
    let file: File =
        toml::from_str(text).map_err(|error| ConfigError::File { path: path.to_owned(), error: Box::new(error) })?;
    for (name, entry) in &file.mcp_servers {
        entry.check(path, name)?;
    }
    Ok(file.mcp_servers)
}

impl McpEntry {
    /// Whether sessions use it.
    pub fn is_enabled(&self) -> bool {
        self.enabled != Some(false)
    }

    /// Whether it is a program on this machine.
    pub fn is_program(&self) -> bool {
        self.command.is_some()
    }

    /// What is run, or where it is, in a line.
    pub fn place(&self) -> String {
        match (&self.command, &self.url) {
            (Some(command), _) => std::iter::once(command).chain(&self.args).cloned().collect::<Vec<_>>().join(" "),
            (None, url) => url.clone().unwrap_or_default(),
        }
    }

    pub(super) fn startup_time(&self) -> Duration {
        Duration::from_secs(self.startup_timeout_sec.unwrap_or(10))
    }

    pub(super) fn call_time(&self) -> Duration {
        Duration::from_secs(self.tool_timeout_sec.unwrap_or(60))
    }

    /// Refuses what makes no sense, and says which key it is.
    pub(super) fn check(&self, path: &Path, name: &str) -> Result<(), ConfigError> {
        let wrong = |key: &str, problem: &str| {
            Err(ConfigError::Mcp { path: path.to_owned(), key: format!("{KEY}.{name}{key}"), problem: problem.into() })
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_name) || name.contains("__") {
            return wrong("", "cannot name a server: a name has 1 to 32 letters, digits, `-` and single `_`");
        }
        let is_time = |time: Option<u64>| time.is_none_or(|time| (1..=MAX_TIME).contains(&time));
        let is_variable = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
        match (&self.command, &self.url) {
            (Some(_), Some(_)) => wrong("", "has a `command` and a `url`; keep one of them"),
            (None, None) => wrong("", "needs a `command` (and `args`) or a `url`"),
            (Some(command), _) if command.trim().is_empty() => wrong(".command", "is empty"),
            (Some(_), _) if self.bearer_token_env_var.is_some() || !self.headers.is_empty() => {
                wrong("", "has a `command`; `bearer_token_env_var` and `headers` are for a `url`")
            }
            (_, Some(_)) if !self.args.is_empty() || !self.env.is_empty() || self.cwd.is_some() => {
                wrong("", "has a `url`; `args`, `env` and `cwd` are for a `command`")
            }
            _ if !is_time(self.startup_timeout_sec) => wrong(".startup_timeout_sec", "must be from 1 to 3600"),
            _ if !is_time(self.tool_timeout_sec) => wrong(".tool_timeout_sec", "must be from 1 to 3600"),
            _ if matches!(self.effect, Some(Effect::Pure | Effect::Cloud)) => {
                wrong(".effect", "must be read, write or send")
            }
            _ if !self.env.keys().all(|name| is_variable(name)) => wrong(".env", "holds what is no variable's name"),
            _ => Ok(()),
        }
    }
}

/// A server of another program's by its name, or why it is none for us.
pub type Imported = (String, Result<McpEntry, String>);

/// The servers in a JSON file of another program.
pub fn import(text: &str) -> Result<Vec<Imported>, String> {
    let file: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    // Some editors say only `servers`.
    let servers = file.get("mcpServers").or_else(|| file.get("servers")).and_then(Value::as_object);
    let servers = servers.ok_or("it has no object `mcpServers`")?;
    Ok(servers.iter().map(|(name, server)| (name.clone(), imported(server))).collect())
}

/// What is read of a server in such a file. Other programs keep more in it, which is none of ours.
#[derive(Deserialize)]
struct Foreign {
    #[serde(rename = "type")]
    kind: Option<String>,
    command: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    cwd: Option<PathBuf>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

fn imported(server: &Value) -> Result<McpEntry, String> {
    let foreign = Foreign::deserialize(server).map_err(|error| error.to_string())?;
    if foreign.kind.as_deref() == Some("sse") {
        return Err("it speaks the old form over SSE; only streamable HTTP and stdio are spoken here".into());
    }
    let Foreign { command, args, env, cwd, url, headers, .. } = foreign;
    Ok(McpEntry { command, args, env, cwd, url, headers, ..McpEntry::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<BTreeMap<String, McpEntry>, String> {
        parse(Path::new("mcp.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_read() {
        let servers = check(
            "[mcp_servers.git]\ncommand = \"uvx\"\nargs = [\"mcp-server-git\"]\ncwd = \"/src\"\nstartup_timeout_sec = 20\n\
             tool_timeout_sec = 5\nenabled = false\nenabled_tools = [\"log\"]\ndisabled_tools = [\"push\"]\n\
             effect = \"read\"\n[mcp_servers.git.env]\nA = \"b\"\n\
             [mcp_servers.web]\nurl = \"http://127.0.0.1:9/mcp\"\nbearer_token_env_var = \"WEB_TOKEN\"\nheaders = { X = \"y\" }",
        )
        .unwrap();
        assert_eq!((servers["git"].place().as_str(), servers["git"].is_enabled()), ("uvx mcp-server-git", false));
        assert_eq!(servers["git"].startup_time(), Duration::from_secs(20));
        assert_eq!(servers["web"].call_time(), Duration::from_secs(60));
        assert!(servers["web"].is_enabled() && !servers["web"].is_program());
    }

    #[test]
    fn a_mistake_names_the_file_and_the_key() {
        for (text, words) in [
            ("[mcp_servers.a]\ncomand = \"x\"", "comand"),
            ("[servers.a]\ncommand = \"x\"", "servers"),
            ("[mcp_servers.a]\nargs = []", "mcp_servers.a` needs a `command`"),
            ("[mcp_servers.a]\ncommand = \"x\"\nurl = \"http://x\"", "mcp_servers.a` has a `command` and a `url`"),
            ("[mcp_servers.a]\ncommand = \" \"", "mcp_servers.a.command"),
            ("[mcp_servers.a]\nurl = \"http://x\"\nenv = { A = \"b\" }", "`env` and `cwd` are for a `command`"),
            ("[mcp_servers.a]\ncommand = \"x\"\nheaders = { A = \"b\" }", "are for a `url`"),
            ("[mcp_servers.a]\ncommand = \"x\"\ntool_timeout_sec = 0", "mcp_servers.a.tool_timeout_sec"),
            ("[mcp_servers.a]\ncommand = \"x\"\nstartup_timeout_sec = 99999", "mcp_servers.a.startup_timeout_sec"),
            ("[mcp_servers.a]\ncommand = \"x\"\neffect = \"pure\"", "mcp_servers.a.effect"),
            ("[mcp_servers.a]\ncommand = \"x\"\nenv = { \"A=B\" = \"c\" }", "mcp_servers.a.env"),
            ("[mcp_servers.a__b]\ncommand = \"x\"", "cannot name a server"),
            ("[mcp_servers.\"../x\"]\ncommand = \"x\"", "cannot name a server"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.starts_with("mcp.toml: ") && error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn the_common_json_is_understood() {
        let text = r#"{"other": 1, "mcpServers": {
            "files": {"type": "stdio", "command": "npx", "args": ["-y", "x"], "env": {"A": "b"}, "disabled": true},
            "web": {"url": "https://x.test/mcp", "headers": {"X-Key": "k"}},
            "old": {"type": "sse", "url": "https://x.test/sse"},
            "odd": {"command": ["npx"]}
        }}"#;
        let servers = import(text).unwrap();
        let names: Vec<_> = servers.iter().map(|(name, server)| (name.as_str(), server.is_ok())).collect();
        assert_eq!(names, [("files", true), ("web", true), ("old", false), ("odd", false)]);
        assert_eq!(servers[0].1.as_ref().unwrap().place(), "npx -y x");
        assert_eq!(servers[1].1.as_ref().unwrap().headers["X-Key"], "k");
        for text in ["", "[]", "{}", "{\"mcpServers\": 7}"] {
            assert!(import(text).is_err(), "{text}");
        }
    }
}
