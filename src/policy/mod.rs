//! Who may do what: every call of a tool is decided here and nowhere else.
//!
//! What it is not: it runs nothing, asks nobody and reads no file of its own; an [`Approver`] asks, and `config` reads.
//! Start at [`Policy::decide`]; a [`Grant`] is the only way to a tool's `call`, and only this module can make one.

mod file;
mod grant;

pub use file::{Answer, PolicyError, Rule};
pub use grant::{Approval, Approver, Capabilities, Decision, Denial, Grant, Pending, Reason};

use serde_json::Value;
use std::fmt;

/// A tool's identity: its package and its name in it. Policy, journal and command line use it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ToolId {
    /// The package: `notes`.
    pub package: String,
    /// The tool in it: `add`.
    pub tool: String,
}

impl fmt::Display for ToolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.package, self.tool)
    }
}

/// What a call does to the world outside the sandbox: what policy asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Nothing, and sees nothing but its arguments.
    Pure,
    /// Sees the user's data.
    Read,
    /// Changes the user's data.
    Write,
    /// Lets something leave the machine.
    Send,
    /// Spends money at a hosted model.
    Cloud,
}

/// A call, as policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Which tool.
    pub tool: &'a ToolId,
    /// What it does outside the sandbox.
    pub effect: Effect,
    /// The parsed arguments.
    pub arguments: &'a Value,
    /// What the tool's manifest asks for; a grant holds at most this.
    pub wants: &'a Capabilities,
}
