//! Lays out the sources that this crate compiles: those of the project, by links, without what fetches models.
//!
//! What it is not: a copy. One file alone is written anew, the list of modules of `src/engine/models`, without `pull`,
//! which would bring the policy and the network along. Start at [`main`].

use std::error::Error;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The module that is left out.
const LEFT_OUT: &str = "pull";

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = here.join("../..").canonicalize()?;
    let out = PathBuf::from(env::var("OUT_DIR")?).join("tree");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(out.join("src"))?;
    symlink(root.join("models"), out.join("models"))?; // the embedded model's files
    symlink(root.join("tests"), out.join("tests"))?;
    symlink(root.join("src/harmony"), out.join("src/harmony"))?;
    link_all_but("models", &root.join("src/engine"), &out.join("src/engine"))?;
    let (from, to) = (root.join("src/engine/models"), out.join("src/engine/models"));
    link_all_but("mod.rs", &from, &to)?;
    fs::write(to.join("mod.rs"), without_pull(&fs::read_to_string(from.join("mod.rs"))?)?)?;
    let module = |name: &str| format!("#[path = {:?}]\npub mod {name};\n", out.join("src").join(name).join("mod.rs"));
    fs::write(out.join("modules.rs"), module("harmony") + &module("engine"))?;
    println!("cargo::rerun-if-changed={}", root.join("src/engine").display());
    // The fixtures that tests name lie where the project has them.
    println!("cargo::rustc-env=CARGO_MANIFEST_DIR={}", root.display());
    Ok(())
}

/// A folder whose entries are links to those of another one, but for one of them.
fn link_all_but(left_out: &str, from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        if name != left_out {
            symlink(from.join(&name), to.join(&name))?;
        }
    }
    Ok(())
}

/// A list of modules without the one that is left out.
fn without_pull(list: &str) -> Result<String, String> {
    let line = format!("pub mod {LEFT_OUT};\n");
    match list.split_once(&line) {
        Some((before, after)) => Ok(format!("{before}{after}")),
        None => {
            Err(format!("src/engine/models/mod.rs has no line `{}`: tests/arm/build.rs leaves it out", line.trim()))
        }
    }
}
