//! The real binary, in a home of its own, as a user meets it. Each module finishes the sentence "the user ...".

#![allow(clippy::unwrap_used)] // a test that cannot go on says so

mod asks;
mod borrows;
mod browses;
mod chats;
mod chooses;
mod computes;
mod constrains;
mod delegates;
mod extends;
mod home;
mod hub;
mod keeps;
mod looks_around;
mod makes_mistakes;
#[path = "../mock/mod.rs"]
mod mock;
mod pulls;
mod reaches_out;
mod runs_models;
mod stops;
mod trusts;
mod watches;
