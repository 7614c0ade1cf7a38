//! The harmony format: [`Message`] to tokens and back. Pure data and functions: no IO, no async, no clock.
//!
//! What it is not: it decides nothing about a message; unknown tools, channels and broken JSON are the agent's matter.
//! Start at [`message`], then the [`encoding`] and the parser.

pub mod encoding;
#[cfg(test)]
mod golden;
pub mod message;
mod prompt;
mod schema;
mod simplify;
pub mod special;
pub mod tokenizer;

pub use encoding::{Encoding, history};
pub use message::{
    Author, Builtin, Channel, Content, Declaration, DeveloperContent, Diagnostic, Message, ReasoningEffort, Role,
    SystemContent, Token,
};
