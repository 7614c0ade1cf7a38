//! A tool package: one component, the declarations of its tools, and a manifest that says what they do and want.

use crate::policy::{Effect, ToolId};
use crate::tool::Recovery;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::time::Duration;

/// Bytes of a component: compiling one takes time and memory that grow with it.
const MAX_COMPONENT: usize = 64 << 20;

/// A component with its manifest; nothing is compiled or hashed yet.
pub struct Package {
    pub(super) manifest: Manifest,
    pub(super) declarations: Vec<Declared>,
    pub(super) component: Cow<'static, [u8]>,
}

/// Why a package cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Its manifest or declarations cannot be read.
    #[error("the tool package `{package}`: {problem}")]
    Malformed {
        /// Which.
        package: String,
        /// What is wrong, and where.
        problem: String,
    },
    /// The sandbox itself cannot be made on this machine.
    #[error("the sandbox for tools cannot be made: {0:#}")]
    Sandbox(wasmtime::Error),
}

/// `tool.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) name: String,
    pub(super) version: String,
    /// The component's file beside the manifest; for whoever builds it.
    #[allow(dead_code)]
    component: String,
    /// Of the component, in hexadecimal.
    pub(super) sha256: String,
    #[serde(default)]
    pub(super) wants: Wants,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(rename = "tool")]
    tools: Vec<Effects>,
    /// Calls with their results; `tests.rs` makes them.
    #[serde(default, rename = "test")]
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) tests: Vec<Example>,
}

/// What the package wants to be given.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wants {
    pub(super) clock: bool,
    /// One file in the package's own folder: a plain name.
    pub(super) file: Option<String>,
}

/// What a call may use at most.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Linear memory, in MiB.
    pub memory_mib: usize,
    /// From the call to its result, in milliseconds.
    pub time_ms: u64,
    /// The result's text, in bytes.
    pub output_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_mib: 64, time_ms: 5000, output_bytes: 64 * 1024 }
    }
}

impl Limits {
    pub(super) fn time(&self) -> Duration {
        Duration::from_millis(self.time_ms)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Effects {
    name: String,
    effect: Effect,
    recovery: Recovery,
}

/// A call and the text that it gives.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), allow(dead_code))]
pub(super) struct Example {
    pub(super) call: String,
    pub(super) arguments: Value,
    pub(super) expect: String,
}

/// A tool as `tools.json` declares it, with what the manifest says of it.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) id: ToolId,
    pub(super) description: String,
    pub(super) parameters: Value,
    pub(super) effect: Effect,
    pub(super) recovery: Recovery,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    name: String,
    description: String,
    parameters: Value,
}

impl Package {
    /// Reads a manifest and the declarations that belong to it.
    pub fn new(
        manifest: &str,
        declarations: &str,
        component: impl Into<Cow<'static, [u8]>>,
    ) -> Result<Self, PackageError> {
        let malformed = |package: &str, problem: String| PackageError::Malformed { package: package.into(), problem };
        let manifest: Manifest = toml::from_str(manifest).map_err(|error| malformed("?", error.to_string()))?;
        let name = manifest.name.clone();
        if let Some(file) = manifest.wants.file.as_deref().filter(|file| !is_plain_name(file)) {
            return Err(malformed(&name, format!("`{file}` is not a plain file name")));
        }
        let component = component.into();
        if component.len() > MAX_COMPONENT {
            let problem =
                format!("its component has {} bytes, and at most {MAX_COMPONENT} are compiled", component.len());
            return Err(malformed(&name, problem));
        }
        let declarations: Vec<Declaration> =
            serde_json::from_str(declarations).map_err(|error| malformed(&name, error.to_string()))?;
        let declared = |declaration: Declaration| {
            let effects = manifest.tools.iter().find(|tool| tool.name == declaration.name);
            let effects = effects.ok_or_else(|| {
                malformed(&name, format!("the manifest does not say what `{}` does", declaration.name))
            })?;
            let id = format!("{name}.{}", declaration.name);
            Ok(Declared {
                id: id.parse().map_err(|()| malformed(&name, format!("`{id}` is not a tool's identity")))?,
                description: declaration.description,
                parameters: declaration.parameters,
                effect: effects.effect,
                recovery: effects.recovery,
            })
        };
        let declarations = declarations.into_iter().map(declared).collect::<Result<_, _>>()?;
        Ok(Self { manifest, declarations, component })
    }

    /// The package's name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// The package's version.
    pub fn version(&self) -> &str {
        &self.manifest.version
    }
}

fn is_plain_name(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphanumeric();
    name.len() <= 64
        && name.starts_with(first)
        && name.chars().all(|c| first(c) || matches!(c, '.' | '_' | '-'))
        && !name.ends_with('.')
}

/// The packages that come with the program, in the order in which the model reads them.
pub fn bundled() -> Result<Vec<Package>, PackageError> {
    macro_rules! package {
        ($name:literal) => {
            Package::new(
                include_str!(concat!("../../../tools/", $name, "/tool.toml")),
                include_str!(concat!("../../../tools/", $name, "/tools.json")),
                &include_bytes!(concat!("../../../tools/", $name, "/", $name, ".wasm"))[..],
            )
        };
    }
    [package!("calc"), package!("clock"), package!("notes")].into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_a_manifest_is_named() {
        let good = "name = \"a\"\nversion = \"1\"\ncomponent = \"a.wasm\"\nsha256 = \"00\"\n\
                    [[tool]]\nname = \"b\"\neffect = \"pure\"\nrecovery = \"repeat\"\n";
        let tools = r#"[{"name": "b", "description": "", "parameters": {}}]"#;
        let check = |manifest: &str, tools: &str| match Package::new(manifest, tools, &[][..]) {
            Ok(package) => package.declarations[0].id.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(check(good, tools), "a.b");
        for (manifest, tools, words) in [
            (good.replace("version", "vorsion"), tools.to_owned(), "vorsion"),
            (good.replace("pure", "poor"), tools.to_owned(), "poor"),
            (good.to_owned(), tools.replace("\"b\"", "\"c\""), "does not say what `c` does"),
            (format!("{good}[wants]\nfile = \"../notes.md\"\n"), tools.to_owned(), "plain file name"),
            (good.to_owned(), "[".to_owned(), "EOF"),
        ] {
            let error = check(&manifest, &tools);
            assert!(error.contains(words), "`{words}` in {error}");
        }
        let huge = Package::new(good, tools, vec![0; MAX_COMPONENT + 1]).err().unwrap().to_string();
        assert!(huge.contains("at most 67108864"), "{huge}");
    }
}
