//! The user ... asks one question.

use crate::home::Home;

#[test]
fn and_gets_the_answer_alone_on_stdout() {
    let ran = Home::new().run(&["run", "What is 23 * 47?"]).exits(0);
    assert!(ran.stdout.contains("1081"), "{}", ran.stdout);
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
    assert!(!ran.stdout.contains('\x1b') && !ran.stdout.contains("calc"), "{}", ran.stdout);
    assert!(ran.stderr.contains("calc"), "the call is shown on stderr: {}", ran.stderr);
}

#[test]
fn through_a_pipe() {
    let ran = Home::new().pipe(&["run"], "What is 6 * 7?\n").exits(0);
    assert!(ran.stdout.contains("42"), "{}", ran.stdout);
    let ran = Home::new().pipe(&["exec", "-"], "What is 6 * 7?\n").exits(0);
    assert!(ran.stdout.contains("42"), "{}", ran.stdout);
}

#[test]
fn and_gets_a_greeting_without_any_tool() {
    let ran = Home::new().run(&["run", "Hello"]).exits(0);
    assert!(!ran.stdout.trim().is_empty());
    assert!(!ran.stderr.contains("calc"), "{}", ran.stderr);
}

#[test]
fn twice_and_gets_the_same_answer() {
    let home = Home::new();
    let [one, two] = [(), ()].map(|()| home.run(&["run", "--seed", "7", "What is 12 + 30?"]).exits(0).stdout);
    assert_eq!(one, two);
}

#[test]
fn for_a_note_which_nobody_can_approve() {
    let home = Home::new();
    let ran = home.run(&["run", "Note that the key is under the mat"]).exits(4);
    assert!(ran.stderr.contains("notes.add"), "{}", ran.stderr);
    assert!(!home.path().join("data/notes/notes.md").exists());
}

#[test]
fn for_a_note_with_approval_given_beforehand_and_finds_it_again() {
    let home = Home::new();
    home.run(&["run", "--approve", "always", "Note that the key is under the mat"]).exits(0);
    let ran = home.run(&["run", "What are my notes?"]).exits(0);
    assert!(ran.stdout.contains("the key is under the mat"), "{}", ran.stdout);
}

#[test]
fn without_leaving_a_trace() {
    let home = Home::new();
    home.run(&["run", "--ephemeral", "Hello"]).exits(0);
    assert!(!home.path().join("data/sessions.sqlite").exists());
    home.run(&["run", "Hello"]).exits(0);
    assert!(home.path().join("data/sessions.sqlite").exists());
}

#[test]
fn and_keeps_the_answer_in_a_file() {
    let home = Home::new();
    let ran = home.run(&["run", "-o", "answer.txt", "What is 23 * 47?"]).exits(0);
    let kept = std::fs::read_to_string(home.path().join("answer.txt")).unwrap();
    assert_eq!(kept.trim(), ran.stdout.trim());
}
