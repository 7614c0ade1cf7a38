#![doc = include_str!("../ARCHITECTURE.md")]

// Floor 0: pure data; the outside as traits.
pub mod harmony;
pub mod world;

// Floor 1: who may do what.
pub mod policy;

// Floor 2: the one way out of the machine.
pub mod egress;

// Floor 3: the capabilities.
pub mod delegate;
pub mod engine;
pub mod journal;
pub mod tool;

// Floor 4: the loop that knows the capabilities by their traits.
pub mod agent;

// Floor 6: the one place that knows every concrete type.
pub mod config;

// Floor 7: the edges.
pub mod cli;
pub mod server;
