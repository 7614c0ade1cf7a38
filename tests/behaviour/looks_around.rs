//! The user ... looks at what is there.

use crate::home::{Home, Run};

#[test]
fn at_the_tools() {
    let ran = Home::new().run(&["tool", "list"]).exits(0);
    for tool in ["calc.calc", "clock.now", "notes.add"] {
        assert!(ran.stdout.contains(tool), "{}", ran.stdout);
    }
}

#[test]
fn at_the_machine() {
    let ran = Home::new().run(&["doctor"]).exits(0);
    for line in ["stapes", "memory", "policy", "tools"] {
        assert!(ran.stdout.contains(line), "{line} in {}", ran.stdout);
    }
}

#[test]
fn at_the_help() {
    let ran = Home::new().run(&["--help"]).exits(0);
    assert!(ran.stdout.contains("chat") && ran.stdout.contains("run"), "{}", ran.stdout);
    assert!(Home::new().run(&["--version"]).exits(0).stdout.starts_with("ossicle "));
}

#[test]
fn at_a_checkpoint() {
    let goldens = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/engine");
    let checkpoint = std::fs::read_dir(goldens)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.join("config.json").exists())
        .unwrap();
    let ran = Home::new().run(&["models", "inspect", checkpoint.to_str().unwrap()]).exits(0);
    assert!(ran.stdout.contains("layers") && ran.stdout.contains("experts"), "{}", ran.stdout);
}

#[test]
fn with_an_early_end() {
    // `ossicle tool list | head -1`: a closed pipe is no failure.
    let home = Home::new();
    let mut child = home.command(&["tool", "list"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let fits = ran.stdout.lines().find(|line| line.starts_with("fits")).expect(&ran.stdout);
    assert!(fits.contains("yes") && fits.contains("free"), "{fits}");
    let name = checkpoint.file_name().unwrap().to_str().unwrap();
    let beside = Home::new().command(&["models", "inspect", name]).current_dir(goldens).ran().exits(0);
    assert_eq!(beside.stdout.lines().next(), ran.stdout.lines().next(), "a relative path");
}
