//! JavaScript and Python: the language's own tools make the component, an interpreter in it.

use super::{Failure, exit, program, run, world};
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

/// The component of a package in JavaScript: what its script `build` leaves in `build/tool.wasm`.
pub(super) fn js(folder: &Path, setup: &str) -> Result<Vec<u8>, Failure> {
    if !folder.join("node_modules").is_dir() {
        return Err(Failure::usage("the npm packages that build it are not there").help(format!("once: {setup}")));
    }
    // On Windows npm is a script, which is found by its whole name only.
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    made(folder, |_| {
        run(
            Command::new(npm).args(["run", "--silent", "build"]).current_dir(folder),
            "npm",
            "install Node.js: https://nodejs.org",
        )
    })
}

/// The component of a package in Python.
pub(super) fn python(folder: &Path, setup: &str) -> Result<Vec<u8>, Failure> {
    made(folder, |component| {
        let mut command = Command::new(program(folder, "componentize-py", "componentize-py"));
        command.args(["--quiet", "--wit-path", "wit", "--world", world::NAME, "componentize", "tool", "--output"]);
        run(command.arg(component).current_dir(folder), "componentize-py", setup)
    })
}

/// The file that a build makes, and none that an earlier one left.
fn made(folder: &Path, build: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<Vec<u8>, Failure> {
    let path = folder.join("build/tool.wasm");
    fs::create_dir_all(folder.join("build"))?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => build(&path)?,
    }
    fs::read(&path).map_err(|error| {
        Failure::new(exit::FAILURE, format!("{}: {error}", path.display()))
            .help("the build must leave the component there")
    })
}
