//! What a server offers: its tools as it describes them, and which of them a session takes.
//!
//! A description is a stranger's text that the model will read as instructions, so the user has to have seen it: an offer
//! counts when its [`Offer::pin`] is among those that were approved. Start at [`select`].

use super::Server;
use crate::policy::Effect;
use crate::tool::Recovery;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// In bytes. What is longer is no description but a book, and it would stand in every prompt.
const MAX_DESCRIPTION: usize = 16 * 1024;
/// In bytes, as JSON.
const MAX_PARAMETERS: usize = 64 * 1024;
/// So many tools of one server at most: a model does not choose well among more.
const MAX_TOOLS: usize = 128;
/// So many names in a warning.
const MAX_NAMES: usize = 5;

/// A tool as its server describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// The server's name for it; may be anything.
    pub name: String,
    /// For the model; may be anything.
    pub description: String,
    /// A JSON Schema, in the server's words.
    pub parameters: Value,
    /// The server says that it changes nothing.
    is_read_only: bool,
    /// The server says that it reaches nothing beyond the server's own domain.
    is_closed: bool,
    /// The server says that a second call with the same arguments changes nothing more.
    is_idempotent: bool,
    pin: String,
}

impl Offer {
    pub(super) fn new(tool: rmcp::model::Tool) -> Self {
        let hints = tool.annotations.unwrap_or_default();
        let (name, description) = (tool.name.into_owned(), tool.description.unwrap_or_default().into_owned());
        let parameters = Value::Object(tool.input_schema.as_ref().clone());
        let is_read_only = hints.read_only_hint == Some(true);
        let is_closed = hints.open_world_hint == Some(false);
        let is_idempotent = hints.idempotent_hint == Some(true);
        // Whatever the model or the policy is told of it. In which order a server writes keys says nothing.
        let mut pinned = json!([name, description, parameters, is_read_only, is_closed, is_idempotent]);
        pinned.sort_all_objects();
        let pin = Sha256::digest(pinned.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { name, description, parameters, is_read_only, is_closed, is_idempotent, pin }
    }

    /// A SHA-256 in hexadecimal over everything that the server says of it.
    pub fn pin(&self) -> &str {
        &self.pin
    }

    /// What policy asks about: the user's word, or else the server's hints. Never [`Effect::Pure`]: who knows what it sees.
    pub fn effect(&self, server: &Server) -> Effect {
        let hinted = if self.is_read_only && self.is_closed { Effect::Read } else { Effect::Send };
        server.effect.unwrap_or(hinted)
    }

    /// What a crash asks about.
    pub(super) fn recovery(&self, effect: Effect) -> Recovery {
        if self.is_idempotent || !effect.changes() { Recovery::Repeat } else { Recovery::Irreversible }
    }

    /// What is wrong with it, if it can be no tool of a session.
    fn problem(&self) -> Option<String> {
        let n_bytes = self.parameters.to_string().len();
        match self.description.len() {
            n if n > MAX_DESCRIPTION => {
                Some(format!("has a description of {n} bytes, and {MAX_DESCRIPTION} is the limit"))
            }
            _ if n_bytes > MAX_PARAMETERS => {
                Some(format!("has a schema of {n_bytes} bytes, and {MAX_PARAMETERS} is the limit"))
            }
            _ => None,
        }
    }
}

/// The offers that a session takes of this server, and why it does not take others. `approved` holds for each name the pin
/// that the user has seen; without it all count as seen.
pub fn select(
    server: &Server,
    offers: Vec<Offer>,
    approved: Option<&HashMap<String, String>>,
) -> (Vec<Offer>, Vec<String>) {
    let named = |names: &[String]| {
        let mut text = names.iter().take(MAX_NAMES).map(|name| shown(name)).collect::<Vec<_>>().join(", ");
        if names.len() > MAX_NAMES {
            text += &format!(" and {} more", names.len() - MAX_NAMES);
        }
        text
    };
    let name = &server.name;
    let is_wanted = |offer: &Offer| {
        server.enabled_tools.as_ref().is_none_or(|enabled| enabled.contains(&offer.name))
            && !server.disabled_tools.contains(&offer.name)
    };
    let (mut taken, mut unseen, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for offer in offers.into_iter().filter(is_wanted) {
        if let Some(problem) = offer.problem() {
            warnings
                .push(format!("the tool {} of the MCP server `{name}` {problem}; it is left out", shown(&offer.name)));
        } else if approved.is_some_and(|approved| approved.get(&offer.name).is_none_or(|pin| *pin != offer.pin)) {
            unseen.push(offer.name);
        } else {
            taken.push(offer);
        }
    }
    if !unseen.is_empty() {
        warnings.push(format!(
            "the MCP server `{name}` offers what was not shown to you, or not in these words: {}; `ossicle mcp approve \
             {name}` shows it and asks, and until then it is left out",
            named(&unseen)
        ));
    }
    if taken.len() > MAX_TOOLS {
        let more: Vec<String> = taken.drain(MAX_TOOLS..).map(|offer| offer.name).collect();
        warnings.push(format!(
            "the MCP server `{name}` offers more than {MAX_TOOLS} tools; left out: {}; `enabled_tools` in mcp.toml \
             chooses",
            named(&more)
        ));
    }
    (taken, warnings)
}

/// A name of a stranger's on one line, and not much of it.
pub(super) fn shown(name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    format!("`{}{}`", short.escape_debug(), if short.len() < name.len() { "..." } else { "" })
}
