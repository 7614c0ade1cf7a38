//! Tools: what the model can call. One trait, whatever stands behind it.
//!
//! What it is not: nothing here decides whether a call may happen; [`Tool::call`] consumes a [`Grant`] that only policy makes.
//! Start at [`Tool`], then [`Toolbox`], which owns the two names of a tool; [`wasm`] runs components, [`native`] Rust closures.

mod arguments;
mod attachment;
pub mod browser;
mod ignored;
pub mod mcp;
pub mod native;
mod progress;
pub mod python;
mod search;
mod toolbox;
pub mod wasm;

pub use arguments::validator;
pub use attachment::Attachment;
use attachment::media_type;
pub use progress::Progress;
pub use toolbox::{RegisterError, Registered, Toolbox, UnknownTool};
pub(crate) use wasm::read_granted;

use crate::harmony::Builtin;
use crate::policy::{Call, Capabilities, Effect, Grant, Integrity, Label, Quote, Taint, Targets, ToolId};
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Something the model can call.
#[async_trait]
pub trait Tool: Send + Sync {
    /// Name, description, schema, effect: fixed for the life of the tool.
    fn spec(&self) -> &ToolSpec;

    /// The arguments as policy, the user and the journal see them: what they refer to stands in them, such as the URL that
    /// the number of a link means. Whoever calls does this once, before all else.
    fn resolve(&self, arguments: Value) -> Value {
        arguments
    }

    /// What this very call does outside the sandbox, where not every call does the same.
    fn effect(&self, _arguments: &Value) -> Effect {
        self.spec().effect
    }

    /// What a call would send to a hosted model and cost; `None` for what is no such call.
    fn quote(&self, _arguments: &Value) -> Option<Quote> {
        None
    }

    /// Runs one call. The arguments have been parsed and validated against the schema; the grant covers this call alone.
    /// Every error is an answer that the model can act on.
    ///
    /// What happens meanwhile is told to `progress`.
    async fn call(&self, arguments: Value, grant: Grant, progress: &Progress) -> Result<Output, ToolError>;
}

/// What is known of a tool before it is called.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// Its identity.
    pub id: ToolId,
    /// For the model.
    pub description: String,
    /// A JSON Schema of type object; `None` when there are no parameters.
    pub parameters: Option<Value>,
    /// What policy asks about.
    pub effect: Effect,
    /// What a crash asks about.
    pub recovery: Recovery,
    /// What the tool's manifest asks for.
    pub wants: Capabilities,
    /// Which arguments say where a call reaches.
    pub targets: Targets,
    /// Whose words it gives, those of its errors included.
    pub integrity: Integrity,
    /// How the system message declares it, when it is one of the tools that models were trained with.
    pub builtin: Option<Builtin>,
}

impl ToolSpec {
    /// A call of this tool, to be decided, by a model that has read nothing of strangers yet.
    pub fn asks<'a>(&'a self, arguments: &'a Value) -> Call<'a> {
        let (tool, effect, wants, targets) = (&self.id, self.effect, &self.wants, &self.targets);
        let (context, argument) = (Label::trusted(), Taint::trusted());
        Call { tool, effect, arguments, wants, targets, context, argument, quote: None }
    }
}

/// What to do about a call whose end nobody saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recovery {
    /// Run it again.
    Repeat,
    /// Run it again with the same key.
    Idempotent,
    /// Ask the outside what happened.
    Reconcilable,
    /// Tell the user.
    Irreversible,
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// What the model reads.
    pub text: String,
    /// Pictures and other files that it made.
    pub attachments: Vec<Attachment>,
    /// The page that it shows, which an answer can cite.
    pub page: Option<Citable>,
    /// Whether it failed after all; the text says how, as when code printed something and then raised.
    pub failed: bool,
}

impl From<String> for Output {
    fn from(text: String) -> Self {
        Self { text, attachments: Vec::new(), page: None, failed: false }
    }
}

/// A page that an answer can cite, as `【{cursor}†L{first}-L{last}】`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citable {
    /// Its number among the pages of the session.
    pub cursor: usize,
    /// What people call it.
    pub title: String,
    /// Where it is from.
    pub url: String,
    /// For each line as the model sees it, the line of the file that it stands on, from 1. Empty where lines mean nothing to
    /// people.
    pub lines: Arc<[u32]>,
    /// What stands on it, when it is a list: an answer that cites one of its lines means the page that is listed there.
    pub listed: Arc<[Listed]>,
}

/// An entry of a list, from its first line as the model sees it to the next entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// From 0.
    pub first_line: usize,
    /// What people call the page.
    pub title: String,
    /// Where it is.
    pub url: String,
}

/// Why a call gave nothing. `Display` is what the model reads: what happened and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// The arguments are of the right shape and make no sense to the tool.
    #[error("invalid arguments: {0}")]
    InvalidArguments(String),
    /// The tool says that it failed.
    #[error("{0}")]
    Failed(String),
    /// The tool's code crashed; its state, if any, is gone.
    #[error("the tool crashed ({0}); a new call starts afresh")]
    Trapped(String),
    /// It took too long.
    #[error("the tool was stopped after {0:?}, its time limit; ask for less")]
    TimedOut(Duration),
    /// It wanted more memory than it may have.
    #[error("the tool was stopped: it wanted more than its {limit_mib} MiB of memory; ask for less")]
    OutOfMemory {
        /// Its limit in MiB.
        limit_mib: usize,
    },
    /// Its answer is longer than a model should read.
    #[error("the tool's answer has more than {limit} bytes, its limit; ask for less")]
    OutputTooLong {
        /// In bytes.
        limit: usize,
    },
    /// It cannot run here at all.
    #[error("the tool cannot run: {0}")]
    Unavailable(String),
}
