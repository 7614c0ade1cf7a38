//! `ossicle tool new` and `ossicle tool build`: from nothing to a component.
//!
//! It knows how a package is laid out and how its language's own tools are called; whatever they say is shown whole, on
//! stderr. It installs nothing. Start at [`new`] and [`build`].

mod compiled;
mod scripted;
mod templates;
mod watch;
mod world;

use super::args::Lang;
use super::report::{Failure, exit};
use super::screen::{Ink, Screen};
use super::terminal;
use crate::config::ConfigError;
use crate::tool::wasm;
use clap::ValueEnum;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use templates::Template;
pub(super) use watch::watch;

/// Writes a package that builds and passes its examples, into a folder of its name.
pub(super) fn new(name: &str, lang: Lang, screen: &Screen) -> Result<(), Failure> {
    if !wasm::is_package_name(name) {
        return Err(Failure::usage(format!("`{name}` cannot name a package")).help(wasm::PACKAGE_NAME));
    }
    if wasm::BUNDLED.contains(&name) {
        return Err(ConfigError::BundledPackage { name: name.to_owned() }.into());
    }
    let folder = Path::new(name);
    if folder.exists() {
        return Err(
            Failure::usage(format!("there is already something called {name} here")).help("choose another name")
        );
    }
    let template = Template::of(lang);
    for (file, text) in template.files(name) {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, text)?;
    }
    screen.say(Ink::Green, &format!("{name}/ is a package with one tool, `{name}.count`"));
    screen.say(Ink::Dim, &format!("once:  cd {name} && {}", template.setup));
    screen.say(Ink::Dim, "then:  ossicle tool build, ossicle tool test, ossicle tool add .");
    Ok(())
}

/// Builds the package in a folder: the component by its language's tools, the hash into the manifest.
pub(super) fn build(folder: &Path, screen: &Screen) -> Result<(), Failure> {
    let path = folder.join("tool.toml");
    let manifest = || {
        fs::read_to_string(&path).map_err(|error| {
            Failure::usage(format!("{}: {error}", path.display()))
                .help("`ossicle tool build` works in the folder of a package; `ossicle tool new NAME` makes one")
        })
    };
    let table: toml::Table =
        manifest()?.parse().map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    let component = component(&table).ok_or_else(|| {
        Failure::usage(format!("{} does not name its component", path.display())).help("component = \"NAME.wasm\"")
    })?;
    let bytes = component_of(&fs::canonicalize(folder)?, &table)?;
    let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    // Read again: somebody may have written in it while the compiler was at work.
    let manifest = with_hash(&manifest()?, &hash).ok_or_else(|| {
        Failure::usage(format!("{} has no line for the hash", path.display()))
            .help("write above its tables: sha256 = \"\"")
    })?;
    fs::write(folder.join(component), &bytes)?;
    fs::write(&path, manifest)?;
    screen.say(Ink::Green, &format!("{} of {:.1} kB", terminal::line(component), bytes.len() as f64 / 1e3));
    Ok(())
}

/// Builds the component in a folder, whose path is absolute: programs in it are run from it.
fn component_of(folder: &Path, manifest: &toml::Table) -> Result<Vec<u8>, Failure> {
    let is_in = |lang: &&Lang| folder.join(Template::of(**lang).marker).is_file();
    let markers = || Lang::value_variants().iter().map(|lang| Template::of(*lang).marker).collect::<Vec<_>>();
    let lang = *Lang::value_variants().iter().find(is_in).ok_or_else(|| {
        Failure::usage("nothing in the folder tells the language of the package")
            .help(format!("one of these belongs there: {}", markers().join(", ")))
    })?;
    // Cargo leaves out what the code does not call.
    if lang != Lang::Rust {
        world::write(folder, manifest)?;
    }
    let setup = Template::of(lang).setup;
    match lang {
        Lang::Rust => compiled::rust(folder),
        Lang::C => compiled::c(folder, setup),
        Lang::Js => scripted::js(folder, setup),
        Lang::Python => scripted::python(folder, setup),
    }
}

/// A program of the package's virtual environment, or without one a program of the machine.
fn program(folder: &Path, own: &str, other: &str) -> PathBuf {
    let bin = folder.join(".venv").join(if cfg!(windows) { "Scripts" } else { "bin" });
    let own = bin.join(format!("{own}{}", std::env::consts::EXE_SUFFIX));
    if own.is_file() { own } else { other.into() }
}

/// Runs a program whose words go to stderr as they come.
fn run(command: &mut Command, name: &str, setup: &str) -> Result<(), Failure> {
    let status = command
        .stdout(io::stderr())
        .status()
        .map_err(|error| Failure::usage(format!("{name} cannot be run: {error}")).help(format!("once: {setup}")))?;
    if !status.success() {
        return Err(Failure::new(exit::FAILURE, format!("{name} could not build the package"))
            .help("its own words stand above; of the host it has what tool.toml wants"));
    }
    Ok(())
}

/// The file of the component, as a manifest names it.
fn component(manifest: &toml::Table) -> Option<&str> {
    manifest.get("component")?.as_str().filter(|name| wasm::is_component_name(name))
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
        let named = |value: &str| component(&format!("component = {value}").parse().unwrap()).map(str::to_owned);
        assert_eq!(named("\"a.wasm\"").as_deref(), Some("a.wasm"));
        for bad in ["\"../a.wasm\"", "\"/a.wasm\"", "\"\"", "\"Cargo.toml\"", "\".wasm\"", "1"] {
            assert_eq!(named(bad), None, "{bad}");
        }
        assert_eq!(component(&toml::Table::new()), None);
    }
}
