//! What every bundled tool does the same way: its exports, reading its `tools.json` and its arguments, and saying why a
//! call failed.
//!
//! A guest is a [`Package`] in plain types, which its own tests call without any WASM; [`export!`] makes it a component.
//! What the host grants is in `host`, by the names of `wit/tool.wit`: a component imports what it uses of it, no more.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
pub mod page;

/// What a host can grant: the interfaces of `wit/tool.wit`.
#[cfg(target_family = "wasm")]
pub use bindings::ossicle::tool as host;

/// A tool package.
pub trait Package {
    /// Its `tools.json`.
    const TOOLS: &'static str;

    /// Runs the tool of this name.
    fn call(name: &str, arguments: &str) -> Result<Output, Failure>;
}

/// What a call gave.
#[derive(Debug, Default, PartialEq)]
pub struct Output {
    /// What the model reads.
    pub text: String,
    /// Pictures and other files that the call made.
    pub attachments: Vec<Attachment>,
}

/// A file that a call made.
#[derive(Debug, PartialEq)]
pub struct Attachment {
    /// A plain file name.
    pub name: String,
    /// Such as `image/png`.
    pub media_type: String,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl From<String> for Output {
    fn from(text: String) -> Self {
        Self { text, attachments: Vec::new() }
    }
}

/// Why a call gave no result; the same three cases as `tool-error` in `wit/tool.wit`.
#[derive(Debug, PartialEq)]
pub enum Failure {
    /// The arguments are not what the tool takes.
    Arguments(String),
    /// The package has no tool of this name.
    Unknown(String),
    /// The arguments were fine and the work did not succeed.
    Failed(String),
}

/// One entry of `tools.json`.
#[derive(Deserialize)]
pub struct Spec {
    /// The tool's name within its package.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// The JSON Schema of its arguments, kept as it is written.
    pub parameters: Box<RawValue>,
}

/// The tools that a `tools.json` lists. The file is part of the component, so a broken one is a bug of its package.
pub fn specs(json: &str) -> Vec<Spec> {
    serde_json::from_str(json).expect("tools.json is compiled in and tested")
}

/// The arguments of a call. Nothing at all counts as no arguments; the sentence of an error is for the model.
pub fn arguments<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(text).map_err(|error| Failure::Arguments(error.to_string()))
}

/// The failure of a call for a tool that the package does not have.
pub fn unknown(name: &str) -> Failure {
    Failure::Unknown(format!("there is no tool named {name:?} here"))
}

/// Makes a [`Package`] the component's own.
#[cfg(target_family = "wasm")]
#[macro_export]
macro_rules! export {
    ($package:ty) => {
        type Exported = $crate::Exported<$package>;
        $crate::exported!(Exported);
    };
}

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub use bindings::{Exported, exported};

#[cfg(not(target_family = "wasm"))]
pub mod examples;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct One {
        text: Option<String>,
    }

    #[test]
    fn arguments_are_read_strictly() {
        assert_eq!(arguments::<One>("").unwrap().text, None);
        assert_eq!(arguments::<One>(r#"{"text":"a"}"#).unwrap().text.as_deref(), Some("a"));
        for bad in ["[]x", "{", r#"{"text":1}"#, r#"{"test":"a"}"#, "\u{0}"] {
            assert!(matches!(arguments::<One>(bad), Err(Failure::Arguments(_))), "{bad}");
        }
    }

    #[test]
    fn every_bundled_package_describes_itself() {
        for (json, names) in [
            (include_str!("../../calc/tools.json"), vec!["calc"]),
            (include_str!("../../clock/tools.json"), vec!["now", "add", "between", "convert"]),
            (include_str!("../../data/tools.json"), vec!["query", "summarise", "convert"]),
            (include_str!("../../fetch/tools.json"), vec!["fetch"]),
            (include_str!("../../files/tools.json"), vec!["list", "read", "search", "write", "edit"]),
            (include_str!("../../notes/tools.json"), vec!["add", "list", "search"]),
            (include_str!("../../pdf/tools.json"), vec!["text"]),
            (include_str!("../../text/tools.json"), vec!["match", "replace", "diff", "hash", "encode"]),
            (include_str!("../../todo/tools.json"), vec!["add", "list", "done", "remove"]),
        ] {
            let specs = specs(json);
            assert_eq!(specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), names);
            assert!(specs.iter().all(|spec| spec.parameters.get().starts_with('{')));
        }
    }
}
