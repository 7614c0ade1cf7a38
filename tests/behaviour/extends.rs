//! The user ... extends what the model can do, with tool packages of their own.

use crate::home::Home;
use std::fs;
use std::path::{Path, PathBuf};

/// A package in the home: the bundled calculator's component under another name, changed as wanted.
pub fn package(home: &Home, folder: &str, change: impl Fn(String) -> String) -> PathBuf {
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/calc");
    let manifest = fs::read_to_string(bundled.join("tool.toml")).unwrap();
    home.write(
        &format!("{folder}/tool.toml"),
        &change(manifest.replace("name = \"calc\"\nversion", "name = \"sums\"\nversion")),
    );
    let folder = home.path().join(folder);
    for file in ["tools.json", "calc.wasm"] {
        fs::copy(bundled.join(file), folder.join(file)).unwrap();
    }
    folder
}

#[test]
fn and_looks_before_adding_and_can_take_it_back() {
    let home = Home::new();
    package(&home, "mine", |manifest| manifest);
    let seen = home.run(&["tool", "inspect", "mine"]).exits(0).stdout;
    for words in
        ["sums 0.1.0", "sha256 ", "wants      nothing", "sums.calc", "effect pure, policy allow, after a crash repeat"]
    {
        assert!(seen.contains(words), "{words} in {seen}");
    }
    // Nobody can be asked here, and nothing is added unasked.
    let ran = home.run(&["tool", "add", "mine"]).exits(2);
    assert!(ran.stderr.contains("sha256") && ran.stderr.contains("--yes"), "{}", ran.stderr);
    assert!(!home.run(&["tool", "list"]).exits(0).stdout.contains("sums.calc"));

    assert!(home.run(&["tool", "add", "--yes", "mine"]).exits(0).stderr.contains("added sums"));
    // It is a copy: what becomes of the folder is of no account.
    fs::remove_dir_all(home.path().join("mine")).unwrap();
    let listed = home.run(&["tool", "list"]).exits(0).stdout;
    assert!(listed.contains("calc.calc") && listed.contains("sums.calc"), "{listed}");
    assert!(home.run(&["tool", "test", "sums"]).exits(0).stdout.contains("✓ sums.calc"));
    home.run(&["run", "What is 23 * 47?"]).exits(0);

    // A newer one takes its place, and what it wants beyond the old one is said.
    package(&home, "newer", |manifest| {
        manifest.replace("0.1.0", "0.2.0").replace("\"pure\"", "\"read\"") + "\n[wants]\nclock = true\n"
    });
    let ran = home.run(&["tool", "add", "--yes", "newer"]).exits(0);
    assert!(ran.stderr.contains("version 0.1.0") && ran.stderr.contains("New in it: the time"), "{}", ran.stderr);
    assert!(home.run(&["tool", "inspect", "sums"]).exits(0).stdout.contains("sums 0.2.0"));

    home.run(&["tool", "remove", "sums"]).exits(0);
    assert!(!home.run(&["tool", "list"]).exits(0).stdout.contains("sums.calc"));
    home.run(&["tool", "remove", "sums"]).exits(2);
}

#[test]
fn with_a_package_begun_from_nothing() {
    let home = Home::new();
    assert!(home.run(&["tool", "new", "words"]).exits(0).stderr.contains("words.count"));
    for file in ["Cargo.toml", "README.md", "src/lib.rs", "tool.toml", "tools.json", "wit/tool.wit", ".gitignore"] {
        let text = fs::read_to_string(home.path().join("words").join(file)).unwrap();
        assert!(!text.contains("NAME"), "{file}: {text}");
    }
    assert!(home.run(&["tool", "new", "words"]).exits(2).stderr.contains("already"));
    assert!(home.run(&["tool", "new", "calc"]).exits(2).stderr.contains("comes with the program"));
    for name in ["", "Words", "../words", "a b", "9", "wörter", &"x".repeat(33)] {
        assert!(home.run(&["tool", "new", name]).exits(2).stderr.contains("cannot name a package"), "{name}");
    }
    // Not built yet: there is nothing to look at, and elsewhere nothing to build.
    assert!(home.run(&["tool", "inspect", "words"]).exits(2).stderr.contains("words.wasm"));
    assert!(home.run(&["tool", "build"]).exits(2).stderr.contains("tool.toml"));
}

#[test]
fn and_is_told_which_example_fails() {
    let home = Home::new();
    package(&home, "mine", |manifest| {
        manifest + "\n[[test]]\ncall = \"calc\"\narguments = { expression = \"2 + 2\" }\nexpect = \"5\"\n"
    });
    let ran = home.run(&["tool", "test", "mine"]).exits(1);
    assert!(ran.stdout.contains("expected  5") && ran.stdout.contains("got       4"), "{}", ran.stdout);
    assert!(ran.stderr.contains("1 of "), "{}", ran.stderr);
    assert!(home.run(&["tool", "test", "calc"]).exits(0).stdout.contains("✓ calc.calc"), "bundled ones too");
}

#[test]
fn with_what_is_no_package() {
    let home = Home::new();
    fs::create_dir(home.path().join("empty")).unwrap();
    let mine = package(&home, "mine", |manifest| manifest);
    fs::write(mine.join("calc.wasm"), "another component").unwrap();
    package(&home, "outside", |manifest| {
        manifest.replace("component = \"calc.wasm\"", "component = \"../mine/calc.wasm\"")
    });
    package(&home, "good", |manifest| manifest);
    package(&home, "taken", |manifest| manifest.replace("name = \"sums\"", "name = \"calc\""));
    package(&home, "greedy", |manifest| manifest + "\n[limits]\nmemory_mib = 999999\n");
    package(&home, "strange", |manifest| manifest + "\n[wants]\nnetwork = true\n");
    for (folder, words) in [
        ("absent", "neither a folder"),
        ("empty", "tool.toml"),
        ("mine", "not the one that its manifest names"),
        ("outside", "not a plain file name"),
        ("greedy", "asks for 999999 MiB"),
        ("strange", "network"),
    ] {
        let ran = home.run(&["tool", "inspect", folder]).exits(2);
        assert!(ran.stderr.contains(words), "{folder}: {}", ran.stderr);
    }
    assert!(home.run(&["tool", "add", "-y", "taken"]).exits(2).stderr.contains("comes with the program"));
    // A name that leads elsewhere is none: nothing beside the packages is touched.
    home.write("precious/tool.toml", "mine");
    home.run(&["tool", "add", "-y", "good"]).exits(0);
    let precious = home.path().join("precious");
    let evil = format!("name = \"{}\"\nversion = \"1\"\ncomponent = \"calc.wasm\"\ntool = []\n", precious.display());
    package(&home, "evil", |manifest| {
        let hash = manifest.lines().find(|line| line.starts_with("sha256")).unwrap();
        format!("{hash}\n{evil}")
    });
    home.write("evil/tools.json", "[]");
    home.run(&["tool", "add", "-y", "evil"]).exits(2);
    for name in ["", ".", "..", "calc", "../../precious", precious.to_str().unwrap(), "a/b"] {
        home.run(&["tool", "remove", name]).exits(2);
    }
    assert_eq!(fs::read_to_string(precious.join("tool.toml")).unwrap(), "mine");
}

/// What went wrong with an added package costs its tools and not the session.
#[test]
fn and_a_broken_package_is_left_out_with_a_warning() {
    let home = Home::new();
    package(&home, "mine", |manifest| manifest);
    home.run(&["tool", "add", "--yes", "mine"]).exits(0);
    fs::write(home.path().join("data/tool.packages/sums/calc.wasm"), "x").unwrap();
    for arguments in [&["tool", "list"][..], &["run", "What is 23 * 47?"]] {
        let ran = home.run(arguments).exits(0);
        assert!(ran.stderr.contains("warning") && ran.stderr.contains("sums"), "{}", ran.stderr);
        assert!(!ran.stdout.contains("sums.calc"));
    }
    let doctor = home.run(&["doctor"]).stdout;
    assert!(doctor.contains("not the one that its manifest names"), "{doctor}");
    home.run(&["tool", "remove", "sums"]).exits(0);
}
