//! MCP: the tools of servers that the user has chosen, programs and web services that speak the Model Context Protocol.
//!
//! What it is not: a place of trust. A server's words (names, descriptions, hints, results) are data; what was not shown to
//! the user before is left out, and every call passes the same gate as any other. Start at [`Client::offers`], then
//! [`RemoteTool`], which is one of those offers as a [`Tool`](super::Tool).

mod bounded;
mod child;
mod client;
mod http;
mod offer;
mod remote;
mod result;
#[cfg(test)]
mod tests;

pub use child::kill_all;
pub use client::{Client, StartError};
pub use offer::{Offer, select};
pub use remote::{PACKAGE, RemoteTool};

use crate::egress::{Egress, Endpoint};
use crate::policy::Effect;
use std::path::PathBuf;
use std::time::Duration;

/// A server, as a session starts it.
#[derive(Clone)]
pub struct Server {
    /// What the user calls it: letters, digits, `_` and `-`.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
    /// From its start until it has told its tools.
    pub startup_time: Duration,
    /// For each call.
    pub call_time: Duration,
    /// What its tools do outside, in the user's word; their own hints count when absent.
    pub effect: Option<Effect>,
    /// Of its tools only these, when there is a list.
    pub enabled_tools: Option<Vec<String>>,
    /// Of its tools never these.
    pub disabled_tools: Vec<String>,
}

/// How a server is reached.
#[derive(Clone)]
pub enum Transport {
    /// A program, over its standard input and output. It is not confined.
    Program {
        /// A path, or a name that is looked up in `PATH`.
        command: String,
        /// Its arguments.
        arguments: Vec<String>,
        /// All of its environment.
        environment: Vec<(String, String)>,
        /// Where it runs; where the session runs when absent.
        folder: Option<PathBuf>,
    },
    /// A service over streamable HTTP.
    Http {
        /// The way out of the machine.
        egress: Egress,
        /// Its whole address.
        endpoint: Endpoint,
        /// What is sent with every request; may be keys.
        headers: Vec<(String, String)>,
    },
}
