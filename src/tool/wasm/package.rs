//! A tool package: one component, the declarations of its tools, and a manifest that says what they do and want.

use crate::policy::{Effect, HostPattern, Targets, ToolId};
use crate::tool::Recovery;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of a component: compiling one takes time and memory that grow with it.
const MAX_COMPONENT: usize = 64 << 20;

/// What a manifest may ask for at most: memory in MiB, a call's time, the bytes of a result.
pub(super) const MAX_MEMORY_MIB: usize = 1024;
const MAX_TIME_MS: u64 = 600_000;
const MAX_OUTPUT: usize = 16 << 20;

/// In MiB.
const MAX_DATA_MIB: usize = 1024;

/// A variable of the environment whose name holds one of these is nobody's but the user's.
const SECRETS: [&str; 6] = ["KEY", "SECRET", "TOKEN", "PASSWORD", "PASSWD", "CREDENTIAL"];

/// Bytes of a manifest or of the declarations.
const MAX_TEXT: usize = 1 << 20;

/// The file of a package's small store.
pub(super) const STORE: &str = "store.json";

/// Bytes of a package in one file.
pub(super) const MAX_PACKED: usize = MAX_COMPONENT + 2 * MAX_TEXT + 1024;

/// The files of a package's folder, beside the component.
const MANIFEST: &str = "tool.toml";
const DECLARATIONS: &str = "tools.json";

/// A component with its manifest; nothing is compiled yet.
#[derive(Clone)]
pub struct Package {
    /// The two texts as they were written.
    texts: [String; 2],
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
    /// One of its files cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The sandbox itself cannot be made on this machine.
    #[error("the sandbox for tools cannot be made: {0:#}")]
    Sandbox(wasmtime::Error),
}

/// `tool.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) name: String,
    pub(super) version: String,
    /// The component's file beside the manifest.
    component: String,
    /// Of the component, in hexadecimal.
    pub(super) sha256: String,
    #[serde(default)]
    pub(super) wants: Wants,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(rename = "tool")]
    tools: Vec<Effects>,
    /// Calls with their results.
    #[serde(default, rename = "test")]
    pub(super) tests: Vec<Example>,
}

/// What the package wants to be given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wants {
    pub(super) clock: bool,
    pub(super) random: bool,
    /// One file in the package's own folder: a plain name.
    pub(super) file: Option<String>,
    /// A small store in the package's own folder.
    pub(super) store: bool,
    /// Variables of the environment, by name.
    pub(super) environment: Vec<String>,
    /// The user's folders.
    pub(super) folders: Option<Access>,
    /// Hosts with their subdomains, or `*`.
    pub(super) hosts: Vec<String>,
}

/// What a package wants to do in the user's folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Access {
    Read,
    Write,
}

/// What a call may use at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Linear memory, in MiB.
    pub memory_mib: usize,
    /// From where a call has its place and begins to its result, in milliseconds.
    pub time_ms: u64,
    /// The result's text, in bytes.
    pub output_bytes: usize,
    /// What it may write into the user's folders, what it may be answered over the network, and the result's attachments:
    /// each in MiB.
    pub data_mib: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_mib: 64, time_ms: 5000, output_bytes: 64 * 1024, data_mib: 16 }
    }
}

impl Wants {
    /// What is wrong with them, if anything is.
    fn problem(&self) -> Option<String> {
        let is_name = |name: &str| {
            let is_good = |c: char| c.is_ascii_alphanumeric() || c == '_';
            name.chars().all(is_good) && name.starts_with(|c: char| !c.is_ascii_digit())
        };
        if let Some(name) = self.environment.iter().find(|name| !is_name(name)) {
            return Some(format!("{name:?} names no variable of the environment"));
        }
        // A tool is given what it needs to know, and a key is not that.
        let is_secret = |name: &&String| SECRETS.iter().any(|word| name.to_ascii_uppercase().contains(word));
        let secret = self
            .environment
            .iter()
            .find(is_secret)
            .map(|name| format!("{name} of the environment is given to no tool"));
        secret.or_else(|| self.hosts.iter().find_map(|host| HostPattern::parse(host).err()))
    }
}

impl Limits {
    /// What is wrong with them, if anything is.
    fn problem(&self) -> Option<String> {
        let Self { memory_mib, time_ms, output_bytes, data_mib } = *self;
        if memory_mib > MAX_MEMORY_MIB {
            return Some(format!("it asks for {memory_mib} MiB of memory, and at most {MAX_MEMORY_MIB} are given"));
        }
        (time_ms > MAX_TIME_MS || output_bytes > MAX_OUTPUT || data_mib > MAX_DATA_MIB).then(|| {
            format!(
                "its limits are too high: at most {MAX_TIME_MS} ms, {MAX_OUTPUT} bytes of output and {MAX_DATA_MIB} MiB of data are given"
            )
        })
    }

    /// Bytes that a guest may hand to its host at once: a file to write, a request, its result.
    pub(super) fn n_transferred(&self) -> usize {
        (self.data_mib << 20) + self.output_bytes + (1 << 20)
    }

    pub(super) fn time(&self) -> Duration {
        Duration::from_millis(self.time_ms)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Effects {
    name: String,
    effect: Effect,
    recovery: Recovery,
    /// Its arguments that are paths.
    #[serde(default)]
    paths: Vec<String>,
    /// Its arguments that are URLs.
    #[serde(default)]
    urls: Vec<String>,
}

/// A call and the text that it gives.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The tool's own part of its name.
    pub call: String,
    /// An object.
    pub arguments: Value,
    /// The result, or what the model reads in its stead.
    pub expect: String,
}

/// A tool as `tools.json` declares it, with what the manifest says of it.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) id: ToolId,
    pub(super) description: String,
    pub(super) parameters: Value,
    pub(super) effect: Effect,
    pub(super) recovery: Recovery,
    pub(super) targets: Targets,
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
        let texts = [manifest.to_owned(), declarations.to_owned()];
        let malformed = |package: &str, problem: String| PackageError::Malformed { package: package.into(), problem };
        let manifest: Manifest = toml::from_str(manifest).map_err(|error| malformed("?", error.to_string()))?;
        let name = manifest.name.clone();
        if !is_package_name(&name) {
            return Err(malformed(&name, format!("its name is no name: {PACKAGE_NAME}")));
        }
        if let Some(file) = manifest.wants.file.as_deref().filter(|file| !is_plain_name(file) || *file == STORE) {
            return Err(malformed(&name, format!("`{file}` is not a plain file name of its own")));
        }
        if let Some(problem) = manifest.wants.problem().or_else(|| manifest.limits.problem()) {
            return Err(malformed(&name, problem));
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
                targets: Targets { paths: effects.paths.clone(), urls: effects.urls.clone() },
            })
        };
        let declarations = declarations.into_iter().map(declared).collect::<Result<Vec<_>, _>>()?;
        if declarations.is_empty() {
            return Err(malformed(&name, "it has no tools".into()));
        }
        if manifest.wants != Wants::default() && declarations.iter().all(|tool| tool.effect == Effect::Pure) {
            let problem = "it wants to be given something, and all its tools are `pure`, which are given nothing: at least \
                           one has the effect `read`, `write` or `send`";
            return Err(malformed(&name, problem.into()));
        }
        Ok(Self { texts, manifest, declarations, component })
    }

    /// Reads the package in a folder: `tool.toml`, `tools.json` and the component that the manifest names. A component with
    /// another hash than the manifest's is refused.
    pub fn read(folder: &Path) -> Result<Self, PackageError> {
        let text = |name: &str| {
            let path = folder.join(name);
            let text = bytes(&path, MAX_TEXT).and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
            text.map_err(|error| PackageError::File { path, error })
        };
        let (manifest, declarations) = (text(MANIFEST)?, text(DECLARATIONS)?);
        let problem = |problem: String| PackageError::Malformed { package: folder.display().to_string(), problem };
        let named: Manifest = toml::from_str(&manifest).map_err(|error| problem(error.to_string()))?;
        if !is_component_name(&named.component) {
            return Err(problem(format!("`{}` is not a plain file name that ends in .wasm", named.component)));
        }
        let path = folder.join(&named.component);
        let component = bytes(&path, MAX_COMPONENT).map_err(|error| PackageError::File { path, error })?;
        Self::checked(&folder.display().to_string(), &manifest, &declarations, component)
    }

    /// Reads the package in one file, as [`Package::pack`] makes it.
    pub fn read_packed(path: &Path) -> Result<Self, PackageError> {
        let bytes = bytes(path, MAX_PACKED).map_err(|error| PackageError::File { path: path.to_owned(), error })?;
        Self::unpack(&path.display().to_string(), &bytes)
    }

    /// A package whose component is the one that its manifest names; `place` is what errors call it.
    pub(super) fn checked(
        place: &str,
        manifest: &str,
        declarations: &str,
        component: Vec<u8>,
    ) -> Result<Self, PackageError> {
        let package = Self::new(manifest, declarations, component)?;
        let hash = sha256(&package.component);
        if hash != package.manifest.sha256 {
            let problem =
                format!("{} is not the one that its manifest names: its sha256 is {hash}", package.manifest.component);
            return Err(PackageError::Malformed { package: place.to_owned(), problem });
        }
        Ok(package)
    }

    /// The manifest and the declarations as they were written.
    pub(super) fn texts(&self) -> &[String; 2] {
        &self.texts
    }

    /// Writes the package's files into a folder, which is made.
    pub fn write(&self, folder: &Path) -> Result<(), PackageError> {
        let [manifest, declarations] = &self.texts;
        let files = [
            (MANIFEST, manifest.as_bytes()),
            (DECLARATIONS, declarations.as_bytes()),
            (self.manifest.component.as_str(), &self.component),
        ];
        let written = fs::create_dir_all(folder)
            .and_then(|()| files.iter().try_for_each(|(name, bytes)| fs::write(folder.join(name), bytes)));
        written.map_err(|error| PackageError::File { path: folder.to_owned(), error })
    }

    /// The package's name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// The package's version.
    pub fn version(&self) -> &str {
        &self.manifest.version
    }

    /// Of the component, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.manifest.sha256
    }

    /// The component's size, in bytes.
    pub fn n_bytes(&self) -> usize {
        self.component.len()
    }

    /// What a call may use at most.
    pub fn limits(&self) -> Limits {
        self.manifest.limits
    }

    /// What it wants to be given, in words.
    pub fn wants(&self) -> Vec<String> {
        let Wants { clock, random, file, store, environment, folders, hosts } = &self.manifest.wants;
        let folders = folders.map(|access| match access {
            Access::Read => "to read in your folders",
            Access::Write => "to read and write in your folders",
        });
        let wants = [
            clock.then(|| "the time and the time zone".to_owned()),
            random.then(|| "random numbers".to_owned()),
            file.as_ref().map(|name| format!("one file of its own, {name}")),
            store.then(|| "a small store of its own".to_owned()),
            folders.map(str::to_owned),
        ];
        let variables = environment.iter().map(|name| format!("{name} of the environment"));
        let hosts = hosts.iter().map(|host| match host.as_str() {
            "*" => "to talk to any host".to_owned(),
            host => format!("to talk to {host}"),
        });
        wants.into_iter().flatten().chain(variables).chain(hosts).collect()
    }

    /// The identities of its tools.
    pub fn tools(&self) -> impl Iterator<Item = &ToolId> {
        self.declarations.iter().map(|tool| &tool.id)
    }

    /// Its tools and what each does.
    pub fn effects(&self) -> Vec<(&str, Effect)> {
        self.declarations.iter().map(|tool| (tool.id.tool.as_str(), tool.effect)).collect()
    }

    /// The file that it wants, if it wants one.
    pub fn file(&self) -> Option<&str> {
        self.manifest.wants.file.as_deref()
    }

    /// The manifest's examples.
    pub fn examples(&self) -> &[Example] {
        &self.manifest.tests
    }
}

/// A file's bytes, if it is one and no longer than `max`.
fn bytes(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    // A pipe or a device could keep us waiting for ever.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max {
        return Err(io::Error::other(format!("it has more than {max} bytes")));
    }
    Ok(bytes)
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What [`is_package_name`] asks for, in words.
pub const PACKAGE_NAME: &str =
    "it must be a small letter and up to 31 small letters, digits, `_` and `-`, no two `_` in a row";

/// Whether a package may be called so. A name is a folder's name too: nothing in it may lead elsewhere.
pub fn is_package_name(name: &str) -> bool {
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    // Two underscores part a server's name from its tool's, in what the model sees.
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(is_good)
        && !name.contains("__")
}

/// Whether a component's file may be called so.
pub fn is_component_name(name: &str) -> bool {
    is_plain_name(name) && name.ends_with(".wasm")
}

fn is_plain_name(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphanumeric();
    name.len() <= 64
        && name.starts_with(first)
        && name.chars().all(|c| first(c) || matches!(c, '.' | '_' | '-'))
        && !name.ends_with('.')
}

macro_rules! bundle {
    ($($name:literal)*) => {
        /// The names of the packages that come with the program, in the order in which people read them.
        pub const BUNDLED: &[&str] = &[$($name),*];

        /// The packages that come with the program.
        pub fn bundled() -> Result<Vec<Package>, PackageError> {
            let packages = [$(
                Package::new(
                    include_str!(concat!("../../../tools/", $name, "/tool.toml")),
                    include_str!(concat!("../../../tools/", $name, "/tools.json")),
                    &include_bytes!(concat!("../../../tools/", $name, "/", $name, ".wasm"))[..],
                ),
            )*];
            packages.into_iter().collect()
        }
    };
}

bundle!("calc" "clock" "notes" "files" "pdf" "fetch" "data" "text" "todo");

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
            (format!("{good}[wants]\nclock = true\n"), tools.to_owned(), "given nothing"),
            (format!("{good}[wants]\nenvironment = [\"MY_TOKEN\"]\n"), tools.to_owned(), "given to no tool"),
            (format!("{good}[wants]\nenvironment = [\"A\\nB\"]\n"), tools.to_owned(), "no variable"),
            (format!("{good}[wants]\nhosts = [\"http://x\"]\n"), tools.to_owned(), "no host"),
            (format!("{good}[wants]\nfile = \"store.json\"\n"), tools.to_owned(), "of its own"),
            (format!("{good}[limits]\nmemory_mib = 4096\n"), tools.to_owned(), "at most 1024"),
            (format!("{good}[limits]\ntime_ms = 86400000\n"), tools.to_owned(), "too high"),
            (format!("{good}[limits]\noutput_bytes = 1000000000\n"), tools.to_owned(), "too high"),
            (good.replace("\"a\"", "\"/a\""), "[]".to_owned(), "no name"),
            (good.replace("\"a\"", "\"../a\""), "[]".to_owned(), "no name"),
            (good.replace("\"a\"", "\"\""), "[]".to_owned(), "no name"),
            (good.replace("\"a\"", "\"a.new\""), tools.to_owned(), "no name"),
            (good.replace("\"a\"", "\"A\""), tools.to_owned(), "no name"),
            (good.to_owned(), "[]".to_owned(), "no tools"),
            (good.to_owned(), "[".to_owned(), "EOF"),
        ] {
            let error = check(&manifest, &tools);
            assert!(error.contains(words), "`{words}` in {error}");
        }
        let huge = Package::new(good, tools, vec![0; MAX_COMPONENT + 1]).err().unwrap().to_string();
        assert!(huge.contains("at most 67108864"), "{huge}");
    }
}
