//! The user ... stops the program before it is done.

use crate::home::{Home, ended, signal};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

#[test]
fn with_ctrl_c_during_a_turn() {
    // A prompt that takes many seconds to read.
    let home = Home::new();
    let mut command = home.command(&["run", "--json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all("one more word ".repeat(4000).as_bytes()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("turn.started")));
    signal(child.id(), "INT");
    let last: serde_json::Value = serde_json::from_str(&lines.last().unwrap()).unwrap();
    assert_eq!((&last["type"], &last["error"]["code"]), (&"turn.failed".into(), &"cancelled".into()));
    ended(child).exits(130);
}

#[test]
fn because_the_reader_of_the_answer_has_gone() {
    for arguments in [&["run", "Hello"][..], &["run", "--json", "Hello"]] {
        let home = Home::new();
        let mut child =
            home.command(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        ended(child).exits(0);
    }
}
