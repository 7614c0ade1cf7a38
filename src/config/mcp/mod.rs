//! The user's MCP servers: `mcp.toml` says what they are, and beside the data lies what the user has seen of each.
//!
//! It asks nobody and shows nothing. Start at [`McpServers::all`]; [`entry`] is the form of the file, [`pins`] what was
//! seen, [`connect`] what a session does with both.

mod connect;
mod entry;
mod loosen;
mod pins;

pub use connect::{Connected, connect};
pub use entry::{Imported, McpEntry, import};
pub use pins::{Seen, SeenTool};

use super::{ConfigError, Paths, paths};
use crate::egress::{Egress, Endpoint};
use crate::tool::mcp::{Client, Offer, Server, Transport};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, Table};

/// The key of all servers in the file.
const KEY: &str = "mcp_servers";

/// The files about the user's MCP servers.
pub struct McpServers {
    /// `mcp.toml`.
    file: PathBuf,
    /// A file for each server.
    seen: PathBuf,
}

impl McpServers {
    /// Those of the user.
    pub fn new(paths: &Paths) -> Self {
        Self { file: paths.config.join("mcp.toml"), seen: paths.data.join("mcp") }
    }

    /// All, by name.
    pub fn all(&self) -> Result<BTreeMap<String, McpEntry>, ConfigError> {
        entry::parse(&self.file, &self.text()?)
    }

    /// The server of that name.
    pub fn find(&self, name: &str) -> Result<McpEntry, ConfigError> {
        self.all()?.remove(name).ok_or_else(|| ConfigError::NoMcpServer { name: name.to_owned() })
    }

    /// Writes a server into the file, in the place of one of its name, and what the user has seen of it beside the data. The
    /// rest of the file stays as it is, comments included.
    pub fn add(&self, name: &str, entry: &McpEntry, offers: &[Offer]) -> Result<(), ConfigError> {
        entry.check(&self.file, name)?;
        self.approve(name, offers)?;
        let mut document = self.document()?;
        let servers = document.entry(KEY).or_insert_with(|| {
            let mut servers = Table::new();
            servers.set_implicit(true);
            Item::Table(servers)
        });
        let table = toml_edit::ser::to_document(entry).map_err(|error| self.wrong(name, error.to_string()))?;
        let servers = servers.as_table_like_mut().ok_or_else(|| self.wrong(name, "is no table".into()))?;
        servers.insert(name, Item::Table(table.as_table().clone()));
        self.write(&document)
    }

    /// Takes a server out of the file, with what was seen of it, and says whether there was one.
    pub fn remove(&self, name: &str) -> Result<bool, ConfigError> {
        if !self.all()?.contains_key(name) {
            return Ok(false);
        }
        let mut document = self.document()?;
        if let Some(servers) = document.get_mut(KEY).and_then(Item::as_table_like_mut) {
            servers.remove(name);
        }
        self.write(&document)?;
        pins::remove(&self.seen, name).map_err(|error| self.unwritable(&self.seen, error))?;
        Ok(true)
    }

    /// What the user has seen of a server.
    pub fn seen(&self, name: &str) -> Result<Seen, ConfigError> {
        pins::read(&self.seen, name)
    }

    /// These offers of a server are what the user has seen and agreed to, and no others.
    pub fn approve(&self, name: &str, offers: &[Offer]) -> Result<(), ConfigError> {
        pins::write(&self.seen, name, offers).map_err(|error| self.unwritable(&self.seen, error))
    }

    /// The server as a session starts it, with the environment that it gets, or with the way to it.
    pub fn client(&self, name: &str, entry: &McpEntry, egress: Option<Egress>) -> Result<Client, ConfigError> {
        entry.check(&self.file, name)?;
        let transport = match (&entry.command, &entry.url) {
            (Some(command), _) => Transport::Program {
                command: command.clone(),
                arguments: entry.args.clone(),
                environment: environment(paths::environment(), &entry.env),
                folder: entry.cwd.as_ref().map(|folder| self.file.with_file_name("").join(folder)),
            },
            (None, url) => Transport::Http {
                egress: egress.ok_or_else(|| self.wrong(name, "is not reached offline".into()))?,
                endpoint: Endpoint::parse(url.as_deref().unwrap_or_default())
                    .map_err(|problem| self.wrong(name, problem))?,
                headers: headers(entry, &paths::environment()).map_err(|problem| self.wrong(name, problem))?,
            },
        };
        let server = Server {
            name: name.to_owned(),
            transport,
            startup_time: entry.startup_time(),
            call_time: entry.call_time(),
            effect: entry.effect,
            enabled_tools: entry.enabled_tools.clone(),
            disabled_tools: entry.disabled_tools.clone(),
        };
        Ok(Client::new(server))
    }

    fn text(&self) -> Result<String, ConfigError> {
        match fs::read_to_string(&self.file) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(ConfigError::Unreadable { path: self.file.clone(), error }),
        }
    }

    fn document(&self) -> Result<DocumentMut, ConfigError> {
        self.text()?.parse().map_err(|error: toml_edit::TomlError| self.wrong("", error.to_string()))
    }

    fn write(&self, document: &DocumentMut) -> Result<(), ConfigError> {
        write(&self.file, document.to_string().as_bytes()).map_err(|error| self.unwritable(&self.file, error))
    }

    fn wrong(&self, name: &str, problem: String) -> ConfigError {
        ConfigError::Mcp { path: self.file.clone(), key: format!("{KEY}.{name}"), problem }
    }

    fn unwritable(&self, path: &Path, error: io::Error) -> ConfigError {
        ConfigError::Unwritable { path: path.to_owned(), error }
    }
}

/// Replaces a file in one step. It is for the user's eyes only: an environment may hold a key.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&beside).and_then(|mut file| {
        io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// A name that holds one of these may name a secret.
const SECRET: &[&str] = &["KEY", "SECRET", "TOKEN", "PASSWORD"];

/// What a server's process gets: what it may inherit, and then what its entry gives, whatever that is called.
fn environment(inherited: BTreeMap<String, String>, given: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let is_harmless = |name: &str| {
        let name = name.to_uppercase();
        !SECRET.iter().any(|word| name.contains(word))
    };
    let mut environment = inherited;
    environment.retain(|name, _| is_harmless(name));
    environment.extend(given.clone());
    environment.into_iter().collect()
}

/// The headers of every request, the user's key among them.
fn headers(entry: &McpEntry, environment: &BTreeMap<String, String>) -> Result<Vec<(String, String)>, String> {
    let mut headers: Vec<_> = entry.headers.clone().into_iter().collect();
    if let Some(name) = &entry.bearer_token_env_var {
        let token = environment.get(name).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| format!("wants a key from the variable {name}, and it is not set"))?;
        headers.push(("authorization".into(), format!("Bearer {token}")));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_program_inherits_no_secret_and_gets_what_it_is_given() {
        let inherited = map(&[
            ("PATH", "/bin"),
            ("OPENAI_API_KEY", "1"),
            ("github_token", "2"),
            ("Db_Password", "3"),
            ("MY_SECRET_WORD", "4"),
            ("LANG", "C"),
        ]);
        let given = map(&[("GITHUB_TOKEN", "mine"), ("LANG", "de")]);
        let expect = [("GITHUB_TOKEN", "mine"), ("LANG", "de"), ("PATH", "/bin")];
        assert_eq!(environment(inherited, &given), Vec::from_iter(map(&expect)));
    }

    #[test]
    fn a_key_comes_from_the_environment_or_is_missed_by_name() {
        let entry = McpEntry {
            headers: map(&[("X", "y")]),
            bearer_token_env_var: Some("WEB_TOKEN".into()),
            ..McpEntry::default()
        };
        let sent = headers(&entry, &map(&[("WEB_TOKEN", "k")])).unwrap();
        assert_eq!(sent, [("X".into(), "y".into()), ("authorization".into(), "Bearer k".into())]);
        assert!(headers(&entry, &map(&[])).unwrap_err().contains("WEB_TOKEN"));
    }

    #[test]
    fn the_rest_of_the_file_stays_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let [config, data] = ["config", "data"].map(|name| home.path().join(name));
        let paths = Paths { config: config.clone(), data, state: config.clone(), cache: config.clone() };
        let servers = McpServers::new(&paths);
        let mine = "# mine\n[mcp_servers.a]\ncommand = \"a\" # here\n";
        fs::create_dir_all(&config).unwrap();
        fs::write(config.join("mcp.toml"), mine).unwrap();
        let entry = McpEntry { command: Some("b".into()), env: map(&[("K", "v")]), ..McpEntry::default() };
        servers.add("b", &entry, &[]).unwrap();
        let text = fs::read_to_string(config.join("mcp.toml")).unwrap();
        assert_eq!(text, format!("{mine}\n[mcp_servers.b]\ncommand = \"b\"\nenv = {{ K = \"v\" }}\n"));
        assert_eq!(servers.find("b").unwrap(), entry);
        assert!(servers.remove("b").unwrap() && !servers.remove("b").unwrap());
        assert_eq!(fs::read_to_string(config.join("mcp.toml")).unwrap(), mine);
        assert!(servers.add("../b", &entry, &[]).is_err());
    }
}
