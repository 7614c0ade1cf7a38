//! The chat in a real terminal, through tmux: what a person sees and which keys do what.
//! Needs tmux, which `.ci/run` installs: `cargo test --release --features outside --test outside`.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so

use std::process::Command;
use std::time::{Duration, Instant};

/// A terminal of 100 columns and 30 rows with the chat in it, in a home of its own.
struct Terminal {
    name: String,
    _home: tempfile::TempDir,
}

impl Terminal {
    fn chat(name: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let name = format!("ossicle-{name}-{}", std::process::id());
        let terminal = Self { name, _home: home };
        let home = terminal._home.path().display();
        let program = env!("CARGO_BIN_EXE_ossicle");
        let command = format!("env OSSICLE_HOME={home} {program} chat; echo \"exit code $?\"; sleep 60");
        terminal.tmux(&[
            "new-session",
            "-d",
            "-s",
            &terminal.name,
            "-x",
            "100",
            "-y",
            "30",
            "-c",
            &home.to_string(),
            &command,
        ]);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.name]).args(arguments).output().unwrap();
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys", "-t", &self.name], keys].concat());
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-S", "-200", "-t", &self.name])
    }

    /// Waits until the screen shows `text`. The limit is against hanging, ten times what a slow machine needs.
    #[track_caller]
    fn shows(&self, text: &str) -> String {
        let started = Instant::now();
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "`{text}` never came:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.name, "kill-server"]).output();
    }
}

#[test]
fn a_conversation() {
    let terminal = Terminal::chat("conversation");
    terminal.shows("demonstration");
    terminal.keys(&["What is 23 * 47?", "Enter"]);
    let screen = terminal.shows("1081");
    assert!(screen.contains("calc"), "{screen}");
    terminal.keys(&["Up"]);
    terminal.keys(&["C-c"]);
    terminal.keys(&["C-d"]);
    terminal.shows("exit code 0");
}

#[test]
fn an_approval_is_asked_for_and_given() {
    let terminal = Terminal::chat("approval");
    terminal.shows("demonstration");
    terminal.keys(&["Note that the key is under the mat", "Enter"]);
    let screen = terminal.shows("notes.add");
    assert!(screen.contains("the key is under the mat"), "{screen}");
    terminal.keys(&["y", "Enter"]);
    terminal.shows("saved as note 1");
    terminal.keys(&["What are my notes?", "Enter"]);
    terminal.shows("1. the key is under the mat");
}

#[test]
fn an_approval_is_refused() {
    let terminal = Terminal::chat("refusal");
    terminal.shows("demonstration");
    terminal.keys(&["Note that the key is under the mat", "Enter"]);
    terminal.shows("notes.add");
    terminal.keys(&["n", "Enter"]);
    terminal.shows("denied");
    terminal.keys(&["/quit", "Enter"]);
    terminal.shows("exit code 0");
}

#[test]
fn ctrl_c_twice_leaves() {
    let terminal = Terminal::chat("leaving");
    terminal.shows("demonstration");
    terminal.keys(&["C-c"]);
    terminal.keys(&["C-c"]);
    terminal.shows("exit code 0");
}
