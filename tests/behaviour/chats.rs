//! The user ... holds a conversation. (Keys, colours and Ctrl-C need a real terminal: `tests/outside`.)

use crate::home::{Home, Run};

#[test]
fn line_by_line_through_a_pipe() {
    let ran = Home::new().pipe(&["chat"], "Hello\nWhat is 23 * 47?\n/quit\nWhat is 1 + 1?\n").exits(0);
    assert!(ran.stdout.contains("1081"), "{}\n{}", ran.stdout, ran.stderr);
    assert!(!ran.stdout.contains("1 + 1 ="), "nothing after /quit: {}", ran.stdout);
}

#[test]
fn and_its_session_is_kept() {
    let home = Home::new();
    home.pipe(&["chat"], "Hello from the kitchen\n").exits(0);
    assert!(home.journal().contains("Hello from the kitchen"));
    let history = std::fs::read_to_string(home.path().join("state/history")).unwrap();
    assert!(history.contains("Hello from the kitchen"), "{history}");
}

#[test]
fn and_leaves_no_trace_of_it() {
    let home = Home::new();
    home.pipe(&["chat", "--ephemeral"], "Hello\n").exits(0);
    assert!(!home.path().join("state/history").exists());
    assert!(!home.path().join("data/sessions.sqlite").exists());
}

#[test]
fn and_gets_answers_alone_on_stdout() {
    let home = Home::new();
    for term in ["dumb", "xterm"] {
        let ran = home.command(&["chat"]).env("TERM", term).piped("What is 6 * 7?\n/status\n").exits(0);
        assert_eq!(ran.stdout.lines().count(), 1, "{term}: {}", ran.stdout);
        assert!(ran.stdout.contains("42") && !ran.stdout.contains("> "), "{term}: {}", ran.stdout);
    }
}

#[test]
fn with_code_in_it() {
    let home = Home::new();
    home.pipe(&["chat"], "Read \\\nthis:\n```\nfirst \\\nsecond\n```\n").exits(0);
    let journal = home.journal();
    // JSON writes a line's end as \n and a backslash as two.
    assert!(journal.contains(r"Read \nthis:"), "a backslash in a sentence only breaks the line");
    assert!(journal.contains(r"```\nfirst \\\nsecond\n```"), "code is sent as it was typed");
}
