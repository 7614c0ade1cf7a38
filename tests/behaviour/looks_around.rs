//! The user ... looks at what is there.

use crate::home::{Home, Run};

#[test]
fn at_the_tools() {
    let ran = Home::new().run(&["tool", "list"]).exits(0);
    for tool in ["calc.calc", "clock.now", "notes.add"] {
        assert!(ran.stdout.contains(tool), "{}", ran.stdout);
    }
    let ran = Home::new().run(&["tool", "list", "--json"]).exits(0);
    let tools: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let add = tools.as_array().unwrap().iter().find(|tool| tool["id"] == "notes.add").unwrap();
    assert_eq!((&add["effect"], &add["decision"]), (&"write".into(), &"ask".into()));
}

#[test]
fn at_the_machine() {
    let home = Home::new();
    let ran = home.run(&["doctor"]).exits(0);
    for line in ["stapes", "memory", "policy", "tools", "prompt"] {
        assert!(ran.stdout.contains(line), "{line} in {}", ran.stdout);
    }
    let left: Vec<_> = ["config", "data", "state"].into_iter().filter(|name| home.path().join(name).exists()).collect();
    assert!(left.is_empty(), "who only looks leaves nothing behind: {left:?}");
    home.run(&["run", "Hello"]).exits(0);
    assert!(home.run(&["doctor"]).exits(0).stdout.contains("1 sessions"));
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
    let fits = ran.stdout.lines().find(|line| line.starts_with("fits")).expect(&ran.stdout);
    assert!(fits.contains("yes") && fits.contains("free"), "{fits}");
    let name = checkpoint.file_name().unwrap().to_str().unwrap();
    let beside = Home::new().command(&["models", "inspect", name]).current_dir(goldens).ran().exits(0);
    assert_eq!(beside.stdout.lines().next(), ran.stdout.lines().next(), "a relative path");
}

#[test]
fn with_an_early_end() {
    // `ossicle tool list | head -1`: a closed pipe is no failure.
    let home = Home::new();
    let mut child = home.command(&["tool", "list"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
