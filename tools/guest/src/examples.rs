//! The examples of a package's manifest, run natively: what `tool.toml` promises, its own code gives.
//!
//! Not the real sandbox, in which the program's tests and `ossicle tool test` run the same examples. All of it is
//! [`check`].

use crate::{Failure, Output};
use serde::Deserialize;

#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "test")]
    tests: Vec<Example>,
}

#[derive(Deserialize)]
struct Example {
    call: String,
    arguments: serde_json::Value,
    expect: String,
}

/// Runs the examples in their order and panics at the first that gives something else. For a test.
pub fn check(manifest: &str, call: impl Fn(&str, &str) -> Result<Output, Failure>) {
    let Manifest { tests } = toml::from_str(manifest).expect("a manifest with examples");
    for Example { call: name, arguments, expect } in tests {
        let got = match call(&name, &arguments.to_string()) {
            Ok(output) => output.text,
            Err(Failure::Arguments(problem)) => format!("invalid arguments: {problem}"),
            Err(Failure::Unknown(problem) | Failure::Failed(problem)) => problem,
        };
        assert_eq!(got, expect, "{name} {arguments}");
    }
}
