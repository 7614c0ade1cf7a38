//! The world of a package in WIT, made of what its manifest wants: languages that link everything which their world names
//! then import just that.

use super::Failure;
use std::fs;
use std::path::Path;

/// Its name, and that of its file under `wit/`.
pub(super) const NAME: &str = "wanted";
const FILE: &str = "world.wit";

/// Each key under `[wants]` and the interface that it opens.
const WANTS: [(&str, &str); 7] = [
    ("clock", "clock"),
    ("random", "random"),
    ("environment", "environment"),
    ("file", "document"),
    ("store", "store"),
    ("folders", "folder"),
    ("hosts", "http"),
];

/// Writes the world beside the contract, in the package's folder `wit`.
pub(super) fn write(folder: &Path, manifest: &toml::Table) -> Result<(), Failure> {
    let path = folder.join("wit").join(FILE);
    fs::write(&path, world(manifest)).map_err(|error| {
        Failure::usage(format!("{}: {error}", path.display()))
            .help("beside it belongs tool.wit, the contract, as `ossicle tool new` writes it")
    })
}

fn world(manifest: &toml::Table) -> String {
    let wants = manifest.get("wants").and_then(toml::Value::as_table);
    let is_wanted = |key: &str| {
        wants
            .and_then(|wants| wants.get(key))
            .is_some_and(|value| value.as_bool() != Some(false) && value.as_array().is_none_or(|list| !list.is_empty()))
    };
    let imports: String = WANTS
        .iter()
        .filter(|(key, _)| is_wanted(key))
        .map(|(_, interface)| format!("    import {interface};\n"))
        .collect();
    format!(
        "// Written by `ossicle tool build`: the package's tools, and what tool.toml wants.\n\
         world {NAME} {{\n    include tool;\n{imports}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use wit_bindgen_core::wit_parser::Resolve;

    #[test]
    fn a_world_imports_what_is_wanted_of_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        let wit = folder.path().join("wit");
        fs::create_dir(&wit).unwrap();
        fs::write(wit.join("tool.wit"), include_str!("../../../tools/wit/tool.wit")).unwrap();
        let n_imports = |name: &str| {
            let mut resolve = Resolve::default();
            let (package, _) = resolve.push_dir(&wit).unwrap();
            let world = resolve.select_world(&[package], Some(name)).unwrap();
            resolve.worlds[world].imports.len()
        };
        let every =
            "clock = true\nrandom = true\nenvironment = [\"LANG\"]\nfile = \"a\"\nstore = true\nfolders = \"read\"\n";
        for (wants, n_wanted) in [
            (String::new(), 0),
            ("[wants]\nclock = false".into(), 0),
            ("[wants]\nclock = true".into(), 1),
            (format!("[wants]\n{every}hosts = [\"*\"]"), WANTS.len()),
        ] {
            write(folder.path(), &wants.parse().unwrap()).unwrap();
            // Every world imports the types that its exports speak of.
            assert_eq!(n_imports(NAME), n_wanted + 1, "{wants}");
        }
        assert_eq!(n_imports("guest"), WANTS.len() + 1, "nothing that a host has is left out");
    }
}
