//! The user ... chooses: the model, the policy, the folder, the prompt.

use crate::home::Home;

/// The tokens that the model was given for one short question.
#[track_caller]
fn n_prompt_tokens(home: &Home, flags: &[&str]) -> u64 {
    let ran = home.run(&[&["run", "--json", "--max-steps", "1", "Hello"], flags].concat());
    let lines = ran.lines();
    lines[lines.len() - 1]["usage"]["prompt_tokens"].as_u64().expect(&ran.stderr)
}

#[test]
fn the_embedded_model_over_the_configured_one() {
    let home = Home::new();
    home.write("config/config.toml", "model = \"gone\"\n");
    home.run(&["run", "Hello"]).exits(6);
    home.run(&["run", "-m", "stapes", "Hello"]).exits(0);
    assert!(home.run(&["doctor", "-m", "stapes"]).exits(0).stdout.contains("stapes, complete"));
    assert!(home.run(&["models", "inspect", "stapes"]).exits(0).stdout.contains("stapes (gpt-oss"));
    home.write("config/config.toml", "model = \"stapes\"\n");
    home.run(&["run", "Hello"]).exits(0);
}

#[test]
fn how_tokens_are_drawn() {
    // At this temperature the embedded model's thoughts go astray, unless only the likeliest token is left.
    let home = Home::new();
    let hot = ["run", "--temperature", "2", "--seed", "1", "What is 23 * 47?"];
    let is_straight = |flags: &[&str]| {
        let ran = home.run(&[&hot[..], flags].concat()).exits(0);
        ran.stderr.contains("exactly. I use calc with expression.\n")
    };
    assert!(!is_straight(&[]));
    for flags in [["--top-k", "1"], ["--top-p", "0"], ["--min-p", "1"]] {
        assert!(is_straight(&flags), "{flags:?}");
    }
    for line in ["top_k = 1", "top_p = 0.0", "min_p = 1.0"] {
        home.write("config/config.toml", line);
        assert!(is_straight(&[]), "{line}");
    }
}

#[test]
fn a_bundled_policy_by_its_name() {
    let home = Home::new();
    for name in ["default", "offline", "strict", "automation"] {
        let doctor = home.run(&["doctor", "--policy", name]).exits(0).stdout;
        assert!(doctor.contains(&format!("{name}, ")), "{doctor}");
    }
    let strict = home.run(&["tool", "list", "--policy", "strict"]).exits(0).stdout;
    let notes = strict.lines().find(|line| line.starts_with("notes.list")).unwrap();
    assert!(notes.contains("ask"), "{notes}");
    home.run(&["run", "--policy", "automation", "Note that the key is under the mat"]).exits(0);
    home.write("config/config.toml", "policy = \"strict\"\n");
    assert_eq!(home.run(&["tool", "list"]).exits(0).stdout, strict);
}

#[test]
fn a_policy_that_names_a_tool_there_is_not() {
    let home = Home::new();
    let rule = "[[rule]]\nid = \"guard\"\ntools = [\"noets.add\"]\ndecision = \"deny\"\n";
    let looking = "[[rule]]\nid = \"looking\"\neffects = [\"pure\", \"read\"]\ndecision = \"allow\"\n";
    home.write("slip.toml", &format!("version = 1\n{rule}{looking}"));
    for ran in [
        home.run(&["run", "--policy", "slip.toml", "What is 23 * 47?"]),
        home.pipe(&["chat", "--policy", "slip.toml"], "What is 23 * 47?\nWhat is 6 * 7?\n"),
    ] {
        let ran = ran.exits(0);
        assert!(ran.stdout.contains("1081"), "{}", ran.stdout);
        assert_eq!(ran.stderr.matches("noets.add").count(), 1, "{}", ran.stderr);
        assert!(ran.stderr.contains("guard"), "{}", ran.stderr);
    }
}

#[test]
fn to_stay_offline() {
    let home = Home::new();
    let ran = home.run(&["run", "--offline", "What is 23 * 47?"]).exits(0);
    assert!(ran.stdout.contains("1081"), "{}", ran.stdout);
}

#[test]
fn a_folder_with_an_agents_md() {
    let home = Home::new();
    let text = "Always say please. ".repeat(50);
    home.write("project/AGENTS.md", &text);
    let (without, with) = (n_prompt_tokens(&home, &[]), n_prompt_tokens(&home, &["-C", "project"]));
    assert!(with >= without + 150, "{without} tokens, then {with}");
    home.run(&["run", "-C", "project", "-o", "answer.txt", "What is 23 * 47?"]);
    assert!(home.path().join("project/answer.txt").exists(), "other paths are relative to it");
}

#[test]
fn a_prompt_of_their_own() {
    let home = Home::new();
    let default = n_prompt_tokens(&home, &[]);
    home.write("config/prompts/developer.md", &"Be brief. ".repeat(100));
    let own = n_prompt_tokens(&home, &[]);
    assert!(own >= default + 100, "{default} tokens, then {own}");
}
