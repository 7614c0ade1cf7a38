//! What the user has seen of a server and agreed to: its tools in its own words, with a hash over each.
//!
//! A JSON file for each server. The hash decides; the words are kept so that a change can be shown.

use super::super::ConfigError;
use crate::tool::mcp::Offer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The newest form of the file that this program reads.
const VERSION: u32 = 1;

/// What the user has seen of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    version: u32,
    /// By the server's own name for each tool.
    pub tools: BTreeMap<String, SeenTool>,
}

/// A tool, as the user has seen it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeenTool {
    /// The pin of the offer.
    pub sha256: String,
    /// In the server's words.
    pub description: String,
    /// In the server's words.
    pub parameters: Value,
}

impl Default for Seen {
    fn default() -> Self {
        Self { version: VERSION, tools: BTreeMap::new() }
    }
}

impl Seen {
    /// For each tool the pin that was approved.
    pub fn approved(&self) -> HashMap<String, String> {
        self.tools.iter().map(|(name, tool)| (name.clone(), tool.sha256.clone())).collect()
    }
}

/// A server's name has no separators, so it is a file's name.
fn path(folder: &Path, server: &str) -> PathBuf {
    folder.join(format!("{server}.json"))
}

pub(super) fn read(folder: &Path, server: &str) -> Result<Seen, ConfigError> {
    let path = path(folder, server);
    let unreadable = |error| ConfigError::Unreadable { path: path.clone(), error };
    match fs::read(&path) {
        Ok(bytes) => {
            let seen: Seen = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.into()))?;
            // What a later program has written may mean more than is known here; so nothing counts as seen.
            Ok(if seen.version == VERSION { seen } else { Seen::default() })
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Seen::default())
        }
        Err(error) => Err(unreadable(error)),
    }
}

pub(super) fn write(folder: &Path, server: &str, offers: &[Offer]) -> io::Result<()> {
    let tool = |offer: &Offer| SeenTool {
        sha256: offer.pin().to_owned(),
        description: offer.description.clone(),
        parameters: offer.parameters.clone(),
    };
    let tools = offers.iter().map(|offer| (offer.name.clone(), tool(offer))).collect();
    let text = serde_json::to_vec_pretty(&Seen { version: VERSION, tools })?;
    super::write(&path(folder, server), &text)
}

pub(super) fn remove(folder: &Path, server: &str) -> io::Result<()> {
    match fs::remove_file(path(folder, server)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
