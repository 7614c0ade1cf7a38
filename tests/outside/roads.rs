//! The road of a tool's author in each language, from nothing to a tool that a session has: what its README says is what
//! is run here. What the first line installs comes from the registries of the language; where that fails, the road is left
//! out and says so.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

struct Road {
    lang: &'static str,
    /// A file of the code, a word in it, and what to put there to break it.
    source: &'static str,
    mistake: [&'static str; 2],
    /// What the language's tools then say.
    words: &'static str,
}

#[test]
fn in_rust() {
    let mistake = ["{n_words} words", "{oops} words"];
    go(&Road { lang: "rust", source: "src/lib.rs", mistake, words: "cannot find value `oops`" });
}

#[test]
fn in_c() {
    go(&Road { lang: "c", source: "tool.c", mistake: ["free(text)", "oops(text)"], words: "'oops'" });
}

#[test]
fn in_javascript() {
    go(&Road { lang: "js", source: "tool.js", mistake: ["const TOOLS", "const"], words: "Expected identifier" });
}

#[test]
fn in_python() {
    go(&Road {
        lang: "python",
        source: "tool.py",
        mistake: ["import json", "import oops"],
        words: "No module named 'oops'",
    });
}

fn go(road: &Road) {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("words");
    let ossicle = |folder: &Path, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ossicle"));
        // Zig keeps what it compiles by where it lies, which is new each time.
        command.env("ZIG_GLOBAL_CACHE_DIR", home.path().join("zig"));
        text(command.args(arguments).env("OSSICLE_HOME", home.path()).current_dir(folder).output().unwrap())
    };
    let (code, told) = ossicle(home.path(), &["tool", "new", "words", "--lang", road.lang]);
    assert_eq!(code, Some(0), "{told}");
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let setup = readme.lines().find_map(|line| line.strip_suffix("    # once")).unwrap();
    let (code, told) = text(Command::new("sh").args(["-c", setup]).current_dir(&folder).output().unwrap());
    if code != Some(0) {
        println!("left out, for `{setup}` fails: {told}");
        return;
    }
    let build = ["tool", "build"];
    for (arguments, words) in [
        (&build[..], "words.wasm of"),
        (&["tool", "test"], "✓ words.count"),
        (&["tool", "add", "--yes", "."], "wants      nothing"),
        (&["tool", "list"], "words.count"),
    ] {
        let (code, told) = ossicle(&folder, arguments);
        assert!(code == Some(0) && told.contains(words), "{}: {arguments:?}: {told}", road.lang);
    }
    // What the language's tools say is shown whole.
    let source = folder.join(road.source);
    let good = fs::read_to_string(&source).unwrap();
    let broken = good.replacen(road.mistake[0], road.mistake[1], 1);
    assert_ne!(good, broken, "{}", road.lang);
    fs::write(source, broken).unwrap();
    let (code, told) = ossicle(&folder, &build);
    assert!(code == Some(1) && told.contains(road.words) && told.contains(road.source), "{}: {told}", road.lang);
}

/// The exit code, and what was written to both streams.
fn text(output: Output) -> (Option<i32>, String) {
    (output.status.code(), [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat())
}
