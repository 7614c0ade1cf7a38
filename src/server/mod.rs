//! The other edge: programs instead of people.
//!
//! What it is not: it decides nothing about a call and makes no part of a session; it gets both made. Today there is one way
//! in: [`mcp`], the tools for other agents.

pub mod mcp;
