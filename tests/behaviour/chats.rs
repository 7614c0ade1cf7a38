//! The user ... holds a conversation. (Keys, colours and Ctrl-C need a real terminal: `tests/outside`.)

use crate::home::Home;

#[test]
fn line_by_line_through_a_pipe() {
    let ran = Home::new().pipe(&["chat"], "Hello\nWhat is 23 * 47?\n/quit\nWhat is 1 + 1?\n").exits(0);
    assert!(ran.stdout.contains("1081"), "{}\n{}", ran.stdout, ran.stderr);
    assert!(!ran.stdout.contains("1 + 1 ="), "nothing after /quit: {}", ran.stdout);
}

#[test]
fn and_its_session_is_kept() {
    let home = Home::new();
    let ran = home.pipe(&["chat"], "Hello\n").exits(0);
    assert!(home.path().join("data/sessions.sqlite").exists(), "{}", ran.stderr);
}
