//! `ossicle tool new` and `ossicle tool build`: from nothing to a component.
//!
//! It knows how a package is laid out and how its language's own tools are called; whatever they say is shown whole.
//! Start at [`new`] and [`build`].

use super::report::{Failure, exit};
use super::screen::{Ink, Screen};
use super::terminal;
use crate::config::ConfigError;
use crate::tool::wasm;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";

/// A Rust package's files; `NAME` is its name.
const RUST: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("../../tools/templates/rust/Cargo.toml.txt")),
    ("README.md", include_str!("../../tools/templates/rust/README.md")),
    ("src/lib.rs", include_str!("../../tools/templates/rust/lib.rs.txt")),
    ("tool.toml", include_str!("../../tools/templates/rust/tool.toml")),
    ("tools.json", include_str!("../../tools/templates/rust/tools.json")),
    ("wit/tool.wit", include_str!("../../tools/wit/tool.wit")),
];

/// Writes a package that builds and passes its examples, into a folder of its name.
pub(super) fn new(name: &str, screen: &Screen) -> Result<(), Failure> {
    if !wasm::is_package_name(name) {
        return Err(Failure::usage(format!("`{name}` cannot name a package")).help(wasm::PACKAGE_NAME));
    }
    if wasm::bundled().map_err(ConfigError::from)?.iter().any(|bundled| bundled.name() == name) {
        return Err(ConfigError::BundledPackage { name: name.to_owned() }.into());
    }
    let folder = Path::new(name);
    if folder.exists() {
        return Err(
            Failure::usage(format!("there is already something called {name} here")).help("choose another name")
        );
    }
    for (file, text) in RUST {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, text.replace("NAME", name))?;
    }
    fs::write(folder.join(".gitignore"), "/target\n")?;
    screen.say(Ink::Green, &format!("{name}/ is a package with one tool, `{name}.count`"));
    screen.say(Ink::Dim, &format!("cd {name}, then: ossicle tool build, ossicle tool test, ossicle tool add ."));
    Ok(())
}

/// Builds the package in a folder: the module by cargo, the component from it, its hash into the manifest.
pub(super) fn build(folder: &Path, screen: &Screen) -> Result<(), Failure> {
    let path = folder.join("tool.toml");
    let manifest = || {
        fs::read_to_string(&path).map_err(|error| {
            Failure::usage(format!("{}: {error}", path.display()))
                .help("`ossicle tool build` works in the folder of a package; `ossicle tool new NAME` makes one")
        })
    };
    let component = component(&manifest()?).ok_or_else(|| {
        Failure::usage(format!("{} does not name its component", path.display())).help("component = \"NAME.wasm\"")
    })?;
    has_target(folder)?;
    let module = compiled(folder)?;
    let encoder = ComponentEncoder::default().module(&fs::read(&module)?);
    let bytes = encoder.and_then(|encoder| encoder.validate(true).encode()).map_err(|error| {
        Failure::new(exit::FAILURE, format!("{} is no tool: {error:#}", module.display()))
            .help("the crate must export the world of wit/tool.wit, as `ossicle tool new` writes it")
    })?;
    let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    // Read again: somebody may have written in it while cargo was at work.
    let manifest = with_hash(&manifest()?, &hash).ok_or_else(|| {
        Failure::usage(format!("{} has no line for the hash", path.display()))
            .help("write above its tables: sha256 = \"\"")
    })?;
    fs::write(folder.join(&component), &bytes)?;
    fs::write(&path, manifest)?;
    screen.say(Ink::Green, &format!("{} of {:.1} kB", terminal::line(&component), bytes.len() as f64 / 1e3));
    Ok(())
}

/// The file of the component, as a manifest names it.
fn component(manifest: &str) -> Option<String> {
    let table: toml::Table = manifest.parse().ok()?;
    let name = table.get("component")?.as_str()?;
    wasm::is_component_name(name).then(|| name.to_owned())
}

/// The manifest with the hash between the quotation marks of its key, all else as it was.
fn with_hash(manifest: &str, hash: &str) -> Option<String> {
    let mut start = 0;
    for line in manifest.split_inclusive('\n').take_while(|line| !line.trim_start().starts_with('[')) {
        if let Some((key, value)) = line.split_once('=').filter(|(key, _)| key.trim() == "sha256") {
            let open = start + key.len() + 1 + value.find('"')? + 1;
            let close = open + manifest[open..].find('"')?;
            return Some(format!("{}{hash}{}", &manifest[..open], &manifest[close..]));
        }
        start += line.len();
    }
    None
}

/// Without the target, cargo's own words do not say what to do.
fn has_target(folder: &Path) -> Result<(), Failure> {
    // The folder may choose a toolchain of its own.
    let mut rustc = Command::new("rustc");
    let output = rustc.args(["--print", "target-libdir", "--target", TARGET]).current_dir(folder).output();
    let output = output.map_err(|error| {
        Failure::usage(format!("rustc cannot be run: {error}")).help("install Rust: https://rustup.rs")
    })?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if output.status.success() && folder.is_dir() {
        return Ok(());
    }
    Err(Failure::usage(format!("rustc has no standard library for {TARGET}"))
        .help(format!("rustup target add {TARGET}")))
}

/// Runs cargo, whose words go to stderr as they come, and gives the module that it made.
fn compiled(folder: &Path) -> Result<PathBuf, Failure> {
    let mut cargo = Command::new("cargo")
        .args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            Failure::usage(format!("cargo cannot be run: {error}")).help("install Rust: https://rustup.rs")
        })?;
    let mut module = None;
    if let Some(stdout) = cargo.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            module = module_of(&line?).or(module);
        }
    }
    if !cargo.wait()?.success() {
        return Err(Failure::new(exit::FAILURE, "cargo could not build the package").help("its own words stand above"));
    }
    module.ok_or_else(|| {
        Failure::usage("the package builds no WASM module")
            .help("its Cargo.toml needs: [lib] crate-type = [\"cdylib\"]")
    })
}

/// The module that a line of cargo's messages tells of.
fn module_of(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    // Binaries of the package are modules too, and no tools.
    let is_library =
        message["target"]["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "cdylib"));
    let files =
        message.get("filenames").filter(|_| is_library && message["reason"] == "compiler-artifact")?.as_array()?;
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_goes_into_its_line_and_nowhere_else() {
        let manifest = "name = \"a\"\n# sha256 = \"\" until built\nsha256_old = \"\"\n sha256 = \"\" # here\n[[tool]]\nname = \"sha256\"\n";
        assert_eq!(
            with_hash(manifest, "ff").unwrap(),
            manifest.replace(" sha256 = \"\" # here", " sha256 = \"ff\" # here")
        );
        assert_eq!(with_hash(&with_hash(manifest, "ff").unwrap(), "00"), with_hash(manifest, "00"));
        for none in ["name = \"a\"\n", "[x]\nsha256 = \"\"\n", "sha256 = 7"] {
            assert_eq!(with_hash(none, "ff"), None, "{none}");
        }
    }

    #[test]
    fn a_component_lies_beside_its_manifest() {
        assert_eq!(component("component = \"a.wasm\"").as_deref(), Some("a.wasm"));
        for bad in ["\"../a.wasm\"", "\"/a.wasm\"", "\"\"", "\"Cargo.toml\"", "\".wasm\"", "1"] {
            assert_eq!(component(&format!("component = {bad}")), None, "{bad}");
        }
        assert_eq!((component(""), component("[")), (None, None));
    }

    #[test]
    fn the_module_is_the_librarys() {
        let line = |kind: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"]}},"filenames":["/t/a.rlib","/t/a.wasm"]}}"#
            )
        };
        assert_eq!(module_of(&line("cdylib")), Some(PathBuf::from("/t/a.wasm")));
        for other in [line("bin"), r#"{"reason":"build-finished","success":true}"#.into(), String::new()] {
            assert_eq!(module_of(&other), None);
        }
    }
}
