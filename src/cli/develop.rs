//! `ossicle tool new` and `ossicle tool build`: from nothing to a component.
//!
//! It knows how a package is laid out and how its language's own tools are called; whatever they say is shown whole.
//! Start at [`new`] and [`build`].

use super::report::{Failure, exit};
use super::screen::{Ink, Screen};
use super::terminal;
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
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.len() > 32 || !name.chars().all(is_good) {
        return Err(Failure::usage(format!("`{name}` cannot name a package"))
            .help("a name is a small letter and up to 31 small letters, digits, `_` and `-`"));
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
    let manifest_path = folder.join("tool.toml");
    let manifest = fs::read_to_string(&manifest_path).map_err(|error| {
        Failure::usage(format!("{}: {error}", manifest_path.display()))
            .help("`ossicle tool build` works in the folder of a package; `ossicle tool new NAME` makes one")
    })?;
    let component = named(&manifest, "component").ok_or_else(|| {
        Failure::usage(format!("{} names no component", manifest_path.display())).help("component = \"NAME.wasm\"")
    })?;
    has_target()?;
    let module = compiled(folder)?;
    let unusable = |error: String| {
        Failure::new(exit::FAILURE, format!("{} is no tool: {error}", module.display()))
            .help("the crate must export the world of wit/tool.wit, as `ossicle tool new` writes it")
    };
    let encoder = ComponentEncoder::default().module(&fs::read(&module)?);
    let bytes = encoder.and_then(|encoder| encoder.validate(true).encode());
    let bytes = bytes.map_err(|error| unusable(format!("{error:#}")))?;
    let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(folder.join(&component), &bytes)?;
    let with_hash = with_hash(&manifest, &hash).ok_or_else(|| {
        Failure::usage(format!("{} has no line for the hash", manifest_path.display())).help("write: sha256 = \"\"")
    })?;
    fs::write(&manifest_path, with_hash)?;
    screen.say(Ink::Green, &format!("{} of {:.1} kB", terminal::line(&component), bytes.len() as f64 / 1e3));
    Ok(())
}

/// The text of a top-level key of a manifest, if its value is a plain file name.
fn named(manifest: &str, key: &str) -> Option<String> {
    let table: toml::Table = manifest.parse().ok()?;
    let name = table.get(key)?.as_str()?;
    let is_plain = Path::new(name).file_name().is_some_and(|file| file == name);
    is_plain.then(|| name.to_owned())
}

/// The manifest with the hash in its line, all else as it was.
fn with_hash(manifest: &str, hash: &str) -> Option<String> {
    let line = manifest.lines().find(|line| line.trim_start().starts_with("sha256"))?;
    Some(manifest.replacen(line, &format!("sha256 = \"{hash}\""), 1))
}

/// Without the target, cargo's own words do not say what to do.
fn has_target() -> Result<(), Failure> {
    let output = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
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
    let files = message.get("filenames").filter(|_| message["reason"] == "compiler-artifact")?.as_array()?;
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_goes_into_its_line_and_nowhere_else() {
        let manifest = "name = \"a\"\n# sha256 is written\nsha256 = \"\"\n[[tool]]\nname = \"sha256\"\n";
        assert_eq!(
            with_hash(manifest, "ff").unwrap(),
            "name = \"a\"\n# sha256 is written\nsha256 = \"ff\"\n[[tool]]\nname = \"sha256\"\n"
        );
        assert_eq!(with_hash("name = \"a\"\n", "ff"), None);
    }

    #[test]
    fn a_component_lies_beside_its_manifest() {
        assert_eq!(named("component = \"a.wasm\"", "component").as_deref(), Some("a.wasm"));
        for bad in
            ["component = \"../a.wasm\"", "component = \"/a.wasm\"", "component = \"\"", "component = 1", "", "["]
        {
            assert_eq!(named(bad, "component"), None, "{bad}");
        }
    }

    #[test]
    fn the_module_is_what_cargo_says() {
        let line = r#"{"reason":"compiler-artifact","filenames":["/t/a.rlib","/t/a.wasm"]}"#;
        assert_eq!(module_of(line), Some(PathBuf::from("/t/a.wasm")));
        for other in [
            r#"{"reason":"build-finished","success":true}"#,
            "",
            r#"{"reason":"compiler-artifact","filenames":["a.rlib"]}"#,
        ] {
            assert_eq!(module_of(other), None);
        }
    }
}
