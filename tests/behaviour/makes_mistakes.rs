//! The user ... makes mistakes, and is told what to do.

use crate::home::{Home, Ran};

/// One error: exit code, and words that must be in it. Never a backtrace or a debug form.
#[track_caller]
fn check(ran: Ran, code: i32, words: &[&str]) {
    let ran = ran.exits(code);
    assert_eq!(ran.stdout, "", "nothing on stdout");
    for word in words {
        assert!(ran.stderr.contains(word), "`{word}` in:\n{}", ran.stderr);
    }
    assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("Error {"), "{}", ran.stderr);
}

#[test]
fn with_a_flag_or_a_command() {
    check(Home::new().run(&["run", "--nonsense"]), 2, &["--nonsense"]);
    check(Home::new().run(&["rnu"]), 2, &["rnu"]);
}

#[test]
fn with_an_empty_prompt() {
    check(Home::new().pipe(&["run"], "  \n"), 2, &["prompt"]);
}

#[test]
fn with_the_model_folder() {
    let home = Home::new();
    check(home.run(&["run", "-m", "nowhere", "Hello"]), 6, &["nowhere"]);
    home.write("empty/readme.txt", "");
    check(home.run(&["run", "-m", "empty", "Hello"]), 6, &["config.json"]);
    home.write("llama/config.json", r#"{"model_type": "llama"}"#);
    check(home.run(&["run", "-m", "llama", "Hello"]), 6, &["llama", "gpt_oss"]);
}

#[test]
fn with_the_policy() {
    let home = Home::new();
    check(home.run(&["run", "--policy", "none.toml", "Hello"]), 2, &["none.toml"]);
    check(
        home.run(&["run", "--policy", "strcit", "Hello"]),
        2,
        &["strcit", "default", "offline", "strict", "automation"],
    );
    home.write("broken.toml", "version = 1\n[[rule]]\nid = \"a\"\ntools = [\"*\"]\ndecision = \"maybe\"\n");
    check(home.run(&["run", "--policy", "broken.toml", "Hello"]), 2, &["broken.toml", "maybe"]);
    let untrue = "version = 1\n[[test]]\ncall = { tool = \"calc.calc\", effect = \"pure\" }\nexpect = \"allow\"\n";
    home.write("untrue.toml", untrue);
    check(home.run(&["run", "--policy", "untrue.toml", "Hello"]), 2, &["untrue.toml", "calc.calc"]);
}

#[test]
fn with_the_configuration() {
    let home = Home::new();
    home.write("config/config.toml", "modle = \"x\"\n");
    check(home.run(&["run", "Hello"]), 2, &["config.toml", "modle", "help:"]);
    home.write("config/config.toml", "threads = 0\n");
    check(home.run(&["run", "Hello"]), 2, &["config.toml", "threads", "help:"]);
    home.write("config/config.toml", "repetition_penalty = 3.0\n");
    check(home.run(&["run", "Hello"]), 2, &["config.toml", "repetition_penalty", "help:"]);
    std::fs::remove_file(home.path().join("config/config.toml")).unwrap();
    home.write("config/config.toml/file", "");
    check(home.run(&["run", "Hello"]), 2, &["config.toml", "help:"]);
}

#[test]
fn with_the_prompt_template() {
    let home = Home::new();
    home.write("config/prompts/developer.md", "You are {{ nobody }}");
    check(home.run(&["run", "Hello"]), 2, &["developer.md", "help:"]);
    let ran = home.run(&["doctor"]).exits(1);
    assert!(ran.stdout.lines().any(|line| line.starts_with("BAD") && line.contains("developer")), "{}", ran.stdout);
}

#[test]
fn with_a_folder_to_work_in() {
    check(Home::new().run(&["run", "-C", "nowhere", "Hello"]), 2, &["nowhere", "help:"]);
}

#[test]
fn with_the_file_for_the_answer() {
    let ran = Home::new().run(&["run", "-o", "nowhere/answer.txt", "What is 23 * 47?"]).exits(1);
    assert!(ran.stdout.contains("1081"), "the answer is not lost: {}", ran.stdout);
    assert!(ran.stderr.contains("nowhere") && ran.stderr.contains("help:"), "{}", ran.stderr);
}

#[test]
fn with_a_home_that_cannot_be_written() {
    let home = Home::new();
    home.write("data", "a file where a folder should be");
    check(home.run(&["run", "Hello"]), 1, &["data", "--ephemeral"]);
    let ran = home.run(&["doctor"]).exits(1);
    assert!(ran.stdout.lines().any(|line| line.starts_with("BAD  data")), "{}", ran.stdout);
    home.run(&["run", "--ephemeral", "Hello"]).exits(0);
}

#[test]
fn with_limits_too_low() {
    let ran = Home::new().run(&["run", "--max-steps", "1", "What is 23 * 47?"]);
    ran.exits(3);
    let home = Home::new();
    home.write("config/config.toml", "context_length = 64\n");
    check(home.run(&["run", "Hello"]), 3, &["64", "/new", "context_length", "config.toml"]);
}
