//! What every bundled tool does the same way: reading its `tools.json`, its arguments, and saying why a call failed.
//!
//! Knows nothing of WIT or of the host; the guests turn these plain types into the generated ones.
//! Start at [`arguments`].

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

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
            (include_str!("../../notes/tools.json"), vec!["add", "list", "search"]),
        ] {
            let specs = specs(json);
            assert_eq!(specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), names);
            assert!(specs.iter().all(|spec| spec.parameters.get().starts_with('{')));
        }
    }
}
