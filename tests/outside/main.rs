//! The chat in a real terminal, through tmux: what a person sees and which keys do what.
//! Needs tmux, which `.ci/run` installs: `cargo test --release --features outside --test outside`.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so

mod keyring;
mod mcp;
#[path = "../mock/mod.rs"]
mod mock;
mod pages;
mod roads;

use std::process::Command;
use std::time::{Duration, Instant};

/// A terminal of 100 columns and 30 rows with the chat in it, in a home of its own.
struct Terminal {
    name: String,
    home: tempfile::TempDir,
}

impl Terminal {
    fn chat(name: &str) -> Self {
        Self::with(name, "", "")
    }

    /// The chat with more environment, and with something behind its command.
    fn with(name: &str, environment: &str, behind: &str) -> Self {
        Self::running(name, environment, &format!("\"$OSSICLE\" chat {behind}"))
    }

    /// Any commands in a home of their own, which is the working folder too; `$OSSICLE` is the program.
    fn running(name: &str, environment: &str, commands: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let name = format!("ossicle-{name}-{}", std::process::id());
        let terminal = Self { name, home };
        let home = terminal.home.path().display();
        let program = env!("CARGO_BIN_EXE_ossicle");
        let command = format!(
            "export OSSICLE_HOME={home} OSSICLE={program} {environment}; {commands}; echo \"exit code $?\"; sleep 60"
        );
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

    /// Waits until the screen shows `text`.
    #[track_caller]
    fn shows(&self, text: &str) -> String {
        self.comes(text, |screen| screen.contains(text))
    }

    /// Waits for the prompt with `typed` behind it.
    #[track_caller]
    fn prompts(&self, typed: &str) -> String {
        let line = format!("> {typed}");
        self.comes(&line, |screen| screen.trim_end().lines().last().is_some_and(|last| last.trim() == line.trim()))
    }

    /// The limit is against hanging, ten times what a slow machine needs.
    #[track_caller]
    fn comes(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let started = Instant::now();
        loop {
            let screen = self.screen();
            if is_there(&screen) {
                return screen;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "`{what}` never came:\n{screen}");
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
    terminal.prompts("");
    terminal.keys(&["Up"]);
    terminal.prompts("What is 23 * 47?");
    terminal.keys(&["C-c"]);
    terminal.shows("Ctrl-C again");
    terminal.prompts("");
    terminal.keys(&["C-d"]);
    terminal.shows("exit code 0");
}

#[test]
fn answers_alone_go_into_a_file() {
    for (name, environment) in [("file", ""), ("dumb", "TERM=dumb")] {
        let terminal = Terminal::with(name, environment, "> answers.txt");
        terminal.prompts("");
        terminal.keys(&["What is 23 * 47?", "Enter"]);
        terminal.shows("calc");
        terminal.prompts("");
        terminal.keys(&["/quit", "Enter"]);
        terminal.shows("exit code 0");
        let answers = std::fs::read_to_string(terminal.home.path().join("answers.txt")).unwrap();
        assert!(answers.contains("1081") && answers.lines().count() == 1, "{name}: {answers:?}");
        assert!(!answers.contains('>') && !answers.contains('\x1b'), "{name}: {answers:?}");
    }
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
fn a_package_is_added_after_a_yes() {
    let bundled = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/calc");
    let added =
        format!("cp -r {bundled} sums && sed -i '0,/calc/s//sums/' sums/tool.toml && \"$OSSICLE\" tool add sums");
    for (answer, words) in [("n", "nothing was added"), ("y", "added sums")] {
        let terminal = Terminal::running(&format!("package-{answer}"), "", &added);
        let screen = terminal.shows("Add sums? y or n");
        assert!(screen.contains("sha256") && screen.contains("wants      nothing"), "{screen}");
        terminal.keys(&[answer, "Enter"]);
        terminal.shows(words);
        assert_eq!(terminal.home.path().join("data/tool.packages/sums").is_dir(), answer == "y");
    }
}

#[test]
fn ctrl_c_twice_leaves() {
    let terminal = Terminal::chat("leaving");
    terminal.prompts("");
    terminal.keys(&["C-c"]);
    terminal.shows("Ctrl-C again");
    terminal.prompts("");
    terminal.keys(&["C-c"]);
    terminal.shows("exit code 0");
}
