//! Rust and C: a compiler makes a module, and the component is made from it here.

use super::{Failure, exit, program, run, world};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use wit_bindgen_core::{Files, wit_parser::Resolve};
use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";

/// The component of a package in Rust.
pub(super) fn rust(folder: &Path) -> Result<Vec<u8>, Failure> {
    has_target(folder)?;
    encoded(&cargo(folder)?, "the crate must export the world of wit/tool.wit, as `ossicle tool new` writes it")
}

/// The component of a package in C. What the host has and what the package gives is C that is made from `wit/`.
pub(super) fn c(folder: &Path, setup: &str) -> Result<Vec<u8>, Failure> {
    let build = folder.join("build");
    fs::create_dir_all(&build)?;
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder)? {
        sources.extend(Some(entry?.path()).filter(|path| path.extension().is_some_and(|end| end == "c")));
    }
    sources.sort();
    for (name, bytes) in bindings(&folder.join("wit"))?.iter() {
        let path = build.join(name);
        fs::write(&path, bytes)?;
        sources.extend(Some(path).filter(|path| path.extension().is_some_and(|end| end == "c" || end == "o")));
    }
    let module = build.join("tool.wasm");
    let mut zig = Command::new(program(folder, "python-zig", "zig"));
    zig.args(["cc", "-target", "wasm32-wasi", "-mexec-model=reactor", "-std=c23", "-Wall", "-Oz", "-s", "-I"]);
    run(zig.arg(&build).args(&sources).arg("-o").arg(&module).current_dir(folder), "zig", setup)?;
    encoded(&module, "a tool has no files and no terminal: leave out printf, fopen and the like")
}

/// The header, the C and the object that stand between C and a world, by their names.
fn bindings(wit: &Path) -> Result<Files, Failure> {
    let bad = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("{} cannot be read: {error:#}", wit.display()))
            .help("in it belong tool.wit, the contract, and world.wit, which `ossicle tool build` writes")
    };
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit).map_err(|error| bad(&error))?;
    let world = resolve.select_world(&[package], Some(world::NAME)).map_err(|error| bad(&error))?;
    // `clock_now` reads better than `ossicle_tool_clock_now`.
    let items = &resolve.worlds[world];
    let names = items.imports.keys().chain(items.exports.keys()).map(|key| resolve.name_world_key(key));
    let short = |name: String| {
        let interface = name.split(['/', '@']).nth(1).unwrap_or(&name).to_owned();
        (name, interface)
    };
    let rename_world = Some("host".to_owned());
    let options = wit_bindgen_c::Opts { rename: names.map(short).collect(), rename_world, ..Default::default() };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).map_err(|error| bad(&error))?;
    Ok(files)
}

fn encoded(module: &Path, help: &str) -> Result<Vec<u8>, Failure> {
    let encoder = ComponentEncoder::default().module(&fs::read(module)?);
    encoder
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| Failure::new(exit::FAILURE, format!("{} is no tool: {error:#}", module.display())).help(help))
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
fn cargo(folder: &Path) -> Result<PathBuf, Failure> {
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
