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
    ("llguidance", &["engine/constraint"]),
    ("wasmtime", &["tool/wasm"]),
    ("tantivy", &["tool/browser/index"]),
    ("cedar_policy", &["policy"]),
    ("rusqlite", &["journal/store"]),
    ("reqwest", &["egress"]),
    ("rmcp", &["tool/mcp", "server"]),
    ("miette", &["cli/report.rs", "policy/cedar.rs"]),
    ("env::var", &["config"]),
    ("from_default_env", &["config"]),
    ("SystemTime::now", &["world"]),
    ("Instant::now", &["world"]),
    // The time limits of a guest and of a server hold whatever a simulated clock says; the edge animates a spinner.
    ("tokio::time", &["world", "tool/wasm", "tool/mcp", "cli"]),
    ("TcpStream", &["world"]),
    ("getrandom", &["world"]),
    ("unsafe ", &["engine/cpu", "engine/models", "tool/wasm"]),
];

/// What pure code has no use for.
const IMPURE: &[&str] = &["tokio", "async ", ".await", "std::fs", "std::net", "std::thread", "std::env", "std::time"];

/// Files that may pass 600 lines, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

const FORBIDDEN: &[&str] = &["todo!(", "unimplemented!(", "dbg!(", "#[ignore", "fn get_", "FIXME", "XXX"];

/// Methods whose names a trait of another crate prescribes.
const PRESCRIBED: &[&str] = &[
    "fn get_info(&self)",
    "fn get_stream(",
    "fn get_document(",
    "fn get_template_contents(",
    "fn get_directories(",
    "fn get_flags(",
    "fn get_type(",
];

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

/// Lines of code with their numbers: without comments and without unit tests, which stand in a block or in a file of
/// their own under `#[cfg(test)]`.
fn code(source: &Source) -> Vec<(usize, &str)> {
    let mut lines = Vec::new();
    let (mut is_marked, mut is_inside) = (false, false);
    for (n, line) in source.text.lines().enumerate() {
        if is_inside {
            is_inside = line != "}";
        } else if line.starts_with("#[cfg(test)]") {
            is_marked = true;
        } else if is_marked {
            // Other attributes may stand between; what follows is a block, or a line that is over at once.
            is_marked = line.starts_with("#[");
            is_inside = !is_marked && line.ends_with('{');
        } else {
            lines.push((n + 1, line.split("//").next().unwrap_or_default()));
        }
    }
    lines
}

/// The files under a folder that are not declared `#[cfg(test)] mod name;` by the file above them.
fn without_test_files(sources: Vec<Source>) -> Vec<Source> {
    let mut tests = Vec::new();
    for source in &sources {
        let folder = match source.path.strip_suffix("/mod.rs") {
            Some(folder) => folder,
            None => source.path.trim_end_matches(".rs"),
        };
        for pair in source.text.lines().collect::<Vec<_>>().windows(2) {
            let declared = pair[1].strip_prefix("mod ").and_then(|name| name.strip_suffix(';'));
            if let (true, Some(name)) = (pair[0] == "#[cfg(test)]", declared) {
                tests.push(format!("{folder}/{name}.rs"));
            }
        }
    }
    sources.into_iter().filter(|source| !tests.contains(&source.path)).collect()
}

fn program() -> Vec<Source> {
    without_test_files(rust_under("src"))
}

/// The modules at the root of the crate that a file names, with the line's number: by `crate::`, also in a list in braces,
/// and by as many `super::` as lead there.
fn used_modules(source: &Source) -> Vec<(usize, String)> {
    let ident = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let inside = source.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let to_root = "super::".repeat(inside.split('/').count());
    let lines = code(source);
    let mut used = Vec::new();
    for (idx, (n, line)) in lines.iter().enumerate() {
        for start in ["crate::", &to_root] {
            for (at, _) in line.match_indices(start).filter(|(at, _)| !line[..*at].ends_with("super::")) {
                let after = &line[at + start.len()..];
                let Some(list) = after.strip_prefix('{') else {
                    used.push((*n, ident(after)));
                    continue;
                };
                // The list may go on over lines; only its outermost names count.
                let rest = lines[idx + 1..].iter().map(|(_, line)| *line);
                let text = std::iter::once(list).chain(rest).collect::<Vec<_>>().join(" ");
                let mut depth = 0;
                for part in text.split_inclusive([',', '{', '}']) {
                    if depth == 0 {
                        used.push((*n, ident(part)));
                    }
                    match part.chars().last() {
                        Some('{') => depth += 1,
                        Some('}') if depth == 0 => break,
                        Some('}') => depth -= 1,
                        _ => {}
                    }
                }
            }
        }
    }
    used
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

fn upward_imports(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        let Some(module) = module_of(&source.path) else { continue };
        let Some(own) = floor(module) else {
            broken.push(format!("{}: module `{module}` stands on no floor", source.path));
            continue;
        };
        for (n, used) in used_modules(source) {
            if used != module && floor(&used).is_some_and(|other| other >= own) {
                broken.push(format!("{}:{n}: {module} may not use {used}", source.path));
            }
        }
    }
    broken
}

#[test]
fn imports_point_down() {
    assert_none("a module imports only from floors below its own", upward_imports(&program()));
}

fn misplaced_words(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        for (n, line) in code(source) {
            for (word, places) in OWNED {
                let at_home = places.iter().any(|place| source.path.starts_with(&format!("src/{place}")));
                if line.contains(word) && !at_home {
                    broken.push(format!("{}:{n}: `{word}` belongs in {places:?}", source.path));
                }
            }
            let pure = source.path.starts_with("src/harmony/");
            if let Some(word) = IMPURE.iter().find(|word| pure && line.contains(**word)) {
                broken.push(format!("{}:{n}: `{word}` in a module that is pure", source.path));
            }
        }
    }
    broken
}

#[test]
fn words_stay_where_they_belong() {
    assert_none("one place for each outside thing", misplaced_words(&program()));
}

fn unexplained_unsafe(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        let lines: Vec<&str> = source.text.lines().collect();
        for (n, line) in code(source) {
            let opens = line.contains("unsafe {") || line.contains("unsafe impl");
            let explained = lines[n.saturating_sub(6)..n].iter().any(|near| near.contains("SAFETY:"));
            if opens && !explained {
                broken.push(format!("{}:{n}", source.path));
            }
        }
    }
    broken
}

#[test]
fn every_unsafe_says_why_it_is_sound() {
    assert_none("each unsafe block has a SAFETY comment above it", unexplained_unsafe(&program()));
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
                if line.contains(word) && !PRESCRIBED.iter().any(|name| line.contains(name)) {
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
    let source = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
    let tests_first = "#[cfg(test)]\nmod tests;\n";
    for (path, text) in [
        ("src/harmony/x.rs", "use crate::agent::Agent;\n".to_owned()),
        ("src/harmony/mod.rs", format!("{tests_first}use crate::agent::Agent;\n")),
        (
            "src/agent/mod.rs",
            "#[cfg(test)]\nmod tests {\n    use crate::world::World;\n}\nuse crate::cli;\n".to_owned(),
        ),
        ("src/agent/mod.rs", "use crate::{\n    policy::{Call, Grant},\n    cli,\n};\n".to_owned()),
        ("src/tool/mod.rs", "use super::journal::Journal;\n".to_owned()),
        ("src/tool/wasm/mod.rs", "use super::super::{policy, engine};\n".to_owned()),
        ("src/nowhere/mod.rs", String::new()),
    ] {
        assert_eq!(upward_imports(&[source(path, &text)]).len(), 1, "{path}: {text}");
    }
    for text in [
        "// use crate::cli;\n",
        "use crate::{policy::{Call, Grant}, world::World};\n",
        "#[cfg(test)]\n#[allow(x)]\nmod tests {\n    use crate::cli;\n}\n",
        "use super::Agent;\n",
    ] {
        assert_none(text, upward_imports(&[source("src/agent/x.rs", text)]));
    }
    let two = vec![source("src/agent/mod.rs", tests_first), source("src/agent/tests.rs", "use crate::cli;\n")];
    assert_none("test files do not count", upward_imports(&without_test_files(two)));
    for (path, line) in [
        ("src/agent/x.rs", "wasmtime::Engine::default();"),
        ("src/agent/x.rs", "tokio::time::sleep(limit).await;"),
        ("src/harmony/x.rs", "pub async fn render() {}"),
    ] {
        assert_eq!(misplaced_words(&[source(path, line)]).len(), 1, "{path}: {line}");
    }
    assert_eq!(unexplained_unsafe(&[source("src/engine/cpu/x.rs", "let x = unsafe { y() };")]).len(), 1);
}
