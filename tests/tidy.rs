//! The house rules that a compiler does not know: layers, who may name what, sizes, and what must not be left behind.
//! ARCHITECTURE.md explains them; a failing rule says which line breaks it.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so

use std::fs;
use std::path::{Path, PathBuf};

/// A module imports only from floors below its own; neighbours on a floor never meet.
const FLOORS: &[(usize, &[&str])] = &[
    (0, &["harmony", "world"]),
    (1, &["policy"]),
    (2, &["egress"]),
    (3, &["engine", "tool", "delegate", "journal"]),
    (4, &["agent"]),
    (5, &["automation"]),
    (6, &["config"]),
    (7, &["cli", "server"]),
];

/// A word, and the only places under src/ that may contain it.
const OWNED: &[(&str, &[&str])] = &[
    ("mistralrs", &["engine/mistral"]),
    ("wasmtime", &["tool/wasm"]),
    ("rusqlite", &["journal/store"]),
    ("reqwest", &["egress"]),
    ("miette", &["cli/report.rs"]),
    ("env::var", &["config"]),
    ("SystemTime::now", &["world"]),
    ("Instant::now", &["world"]),
    ("TcpStream", &["world"]),
    ("getrandom", &["world"]),
    ("unsafe ", &["engine/cpu", "engine/models", "tool/wasm"]),
];

/// Files that may pass 600 lines, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

const FORBIDDEN: &[&str] = &["todo!(", "unimplemented!(", "dbg!(", "#[ignore", "fn get_", "FIXME", "XXX"];

const VAGUE_NAMES: &[&str] = &["common.rs", "util.rs", "utils.rs", "helper.rs", "helpers.rs", "misc.rs"];

struct Source {
    /// Relative to the root, with forward slashes.
    path: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_under(folder: &Path, extension: &str, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                files_under(&path, extension, found);
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            let name = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            found.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

fn rust_under(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    files_under(&root().join(folder), "rs", &mut found);
    found
}

/// Lines of code with their numbers: without comments, and without unit tests, at the end of a file or in one of their own.
fn code(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let text = if source.path.ends_with("/tests.rs") { "" } else { &source.text };
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .map(|(n, line)| (n + 1, line.split("//").next().unwrap_or_default()))
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().find(|(_, modules)| modules.contains(&module)).map(|(floor, _)| *floor)
}

/// The module under src/ that a file belongs to; `None` for lib.rs and main.rs.
fn module_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let first = inside.split('/').next()?;
    (first != "lib.rs" && first != "main.rs").then(|| first.trim_end_matches(".rs"))
}

fn assert_none(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn imports_point_down() {
    let mut broken = Vec::new();
    for source in rust_under("src") {
        let Some(module) = module_of(&source.path) else { continue };
        let Some(own) = floor(module) else {
            broken.push(format!("{}: module `{module}` stands on no floor", source.path));
            continue;
        };
        for (n, line) in code(&source) {
            for used in line.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if used != module && floor(&used).is_some_and(|other| other >= own) {
                    broken.push(format!("{}:{n}: {module} may not use {used}", source.path));
                }
            }
        }
    }
    assert_none("a module imports only from floors below its own", broken);
}

#[test]
fn words_stay_where_they_belong() {
    let mut broken = Vec::new();
    for source in rust_under("src") {
        for (n, line) in code(&source) {
            for (word, places) in OWNED {
                let at_home = places.iter().any(|place| source.path.starts_with(&format!("src/{place}")));
                if line.contains(word) && !at_home {
                    broken.push(format!("{}:{n}: `{word}` belongs in {places:?}", source.path));
                }
            }
        }
    }
    assert_none("one place for each outside thing", broken);
}

#[test]
fn every_unsafe_says_why_it_is_sound() {
    let mut broken = Vec::new();
    for source in rust_under("src") {
        let lines: Vec<&str> = source.text.lines().collect();
        for (n, line) in code(&source) {
            let opens = line.contains("unsafe {") || line.contains("unsafe impl");
            let explained = lines[n.saturating_sub(6)..n].iter().any(|near| near.contains("SAFETY:"));
            if opens && !explained {
                broken.push(format!("{}:{n}", source.path));
            }
        }
    }
    assert_none("each unsafe block has a SAFETY comment above it", broken);
}

#[test]
fn files_stay_readable() {
    let mut broken = Vec::new();
    let mut sources = rust_under("src");
    sources.extend(rust_under("tests"));
    for source in sources {
        let n_lines = source.text.lines().count();
        let excused = LONG_FILES.iter().any(|(path, _)| *path == source.path);
        let limit = match source.path.as_str() {
            "src/lib.rs" => 80,
            "src/main.rs" => 150,
            _ => 600,
        };
        if n_lines > limit && !excused {
            broken.push(format!("{}: {n_lines} lines, limit {limit}", source.path));
        }
        if VAGUE_NAMES.iter().any(|name| source.path.ends_with(name)) {
            broken.push(format!("{}: a name that says nothing", source.path));
        }
        if source.path != "src/lib.rs" && !source.text.starts_with("//!") {
            broken.push(format!("{}: opens without saying what it is", source.path));
        }
    }
    for source in rust_under("examples") {
        let n_lines = source.text.lines().count();
        if n_lines > 60 {
            broken.push(format!("{}: {n_lines} lines, an example has at most 60", source.path));
        }
    }
    assert_none("files are short, named, and introduce themselves", broken);
}

#[test]
fn nothing_is_left_behind() {
    let mut broken = Vec::new();
    let mut sources = rust_under("src");
    for folder in ["tests", "examples", "models", "tools"] {
        sources.extend(rust_under(folder));
    }
    for source in sources.iter().filter(|source| source.path != "tests/tidy.rs") {
        for (n, line) in source.text.lines().enumerate() {
            for word in FORBIDDEN {
                if line.contains(word) {
                    broken.push(format!("{}:{}: {word}", source.path, n + 1));
                }
            }
        }
    }
    assert_none("finished code only", broken);
}

#[test]
fn the_readme_names_every_folder() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut broken = Vec::new();
    for entry in fs::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir()
            && !name.starts_with('.')
            && name != "target"
            && !readme.contains(&format!("`{name}/`"))
        {
            broken.push(name);
        }
    }
    assert_none("folders missing in the README's table", broken);
}

#[test]
fn the_rules_themselves_can_fail() {
    let bad = Source { path: "src/harmony/x.rs".into(), text: "use crate::agent::Agent; // crate::cli\n".into() };
    let used: Vec<_> = code(&bad).filter(|(_, line)| line.contains("crate::agent")).collect();
    assert_eq!(used.len(), 1);
    assert!(code(&bad).all(|(_, line)| !line.contains("crate::cli")), "comments do not count");
    assert_eq!(module_of(&bad.path), Some("harmony"));
    assert!(floor("agent") > floor("harmony"));
}
