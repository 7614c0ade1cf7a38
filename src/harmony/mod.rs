//! The harmony format: [`Message`] to tokens and back. Pure data and functions: no IO, no async, no clock.
//!
//! What it is not: it decides nothing about a message; unknown tools, channels and broken JSON are the agent's matter.
//! Start at [`message`], then the [`encoding`] and the [`parser`].

mod builtin;
pub mod encoding;
#[cfg(test)]
pub(crate) mod faults;
#[cfg(test)]
mod golden;
pub mod grammar;
mod header;
pub mod message;
mod open;
pub mod parser;
mod prompt;
#[cfg(test)]
mod properties;
mod schema;
mod simplify;
pub mod special;
pub mod tokenizer;
mod word;

pub use encoding::{Encoding, history};
pub use grammar::{Body, CallGrammar, Caps, ToolChoice, TurnGrammar};
pub use message::{
    Author, Builtin, Channel, Content, Declaration, DeveloperContent, Diagnostic, Message, ReasoningEffort,
    ResponseFormat, Role, SystemContent, Token,
};
pub use parser::{Delta, Parsed, StreamParser};
pub use prompt::declared;
