//! Files, flags and the environment become an agent: the only reader of the environment, and the only place that knows
//! every concrete type.
//!
//! What it is not: it prints nothing and asks nobody; the edges do. Start at [`Settings`], then [`open`].

mod browser;
mod cloud;
mod file;
mod follow;
mod hub;
mod index;
mod key;
mod mcp;
mod model;
mod packages;
mod paths;
mod pdf;
mod policy;
mod project;
mod route;
mod terminal;
mod wiring;

pub use browser::{BrowserSettings, SearchEngine, browser};
pub use cloud::{CloudAccess, CloudSettings, ServerSettings, cloud_access, hosted_client, server_access, tasks};
pub use file::Settings;
pub use hub::hub;
pub use index::{index, new_index};
pub use mcp::{Connected, Imported, McpEntry, McpServers, Seen, SeenTool, import};
pub use model::{CacheChoice, EngineSettings, Experts, Preparing, checkpoint, inspection, options, preparation};
pub use packages::Packages;
pub use paths::{Paths, log_filter};
pub use policy::policy;
pub use route::route;
pub use terminal::{Pictures, terminal_is_plain, terminal_pictures};
pub use wiring::{Counter, Opened, counter, egress, explained_tools, folders, known, open, prompt, toolbox};

use crate::agent::AgentError;
use crate::engine::models::LoadError;
use crate::journal::JournalError;
use crate::policy::{BUNDLED, PolicyError};
use crate::tool::browser::index::IndexError;
use crate::tool::wasm::PackageError;
use std::path::PathBuf;

/// Why no agent could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Nowhere to keep files.
    #[error("neither HOME nor OSSICLE_HOME is set; set OSSICLE_HOME to a folder of your own")]
    NoHome,
    /// A file that should be there cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// No policy of this name, neither a file nor a bundled one.
    #[error(
        "there is no policy {}: name a file of yours, or one of {}", path.display(),
        BUNDLED.map(|(name, _)| name).join(", ")
    )]
    NoPolicy {
        /// What was looked for.
        path: PathBuf,
    },
    /// Policies that do not go together.
    #[error("{}: {problem}", path.display())]
    Rules {
        /// The one that was read last.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The configuration file is wrong.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Where and why.
        error: Box<toml::de::Error>,
    },
    /// A server in `mcp.toml` makes no sense.
    #[error("{}: `{key}` {problem}", path.display())]
    Mcp {
        /// Which file.
        path: PathBuf,
        /// Which server, and which of its keys.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// What is said of hosted models makes no sense.
    #[error("{0}")]
    Cloud(String),
    /// What is said of the hub that models come from makes no sense.
    #[error("{0}")]
    Hub(String),
    /// No MCP server of this name.
    #[error("there is no MCP server `{name}`")]
    NoMcpServer {
        /// What was looked for.
        name: String,
    },
    /// A file of the program's own cannot be written.
    #[error("{} cannot be written: {error}", path.display())]
    Unwritable {
        /// Which, or its folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A value in the configuration file makes no sense.
    #[error("{}: `{key}` must be {range}", path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which value.
        key: &'static str,
        /// What it may be.
        range: &'static str,
    },
    /// The policy is wrong, so nothing may run.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A tool package cannot be used.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The folder of added tool packages cannot be read or changed.
    #[error("the tool packages in {} cannot be used: {error}", path.display())]
    Packages {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A package of the user's has the name of one that comes with the program.
    #[error("a tool package called `{name}` comes with the program; give yours another name")]
    BundledPackage {
        /// The name.
        name: String,
    },
    /// The index of the user's folders cannot be used.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// No model.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// No journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The parts do not fit.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// A thread of the program's own crashed while loading.
    #[error("loading failed: {0}")]
    Crashed(#[from] tokio::task::JoinError),
}
