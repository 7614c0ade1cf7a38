//! A server's process: started in a group of its own, listened to on stderr, and ended with everything that it started.
//!
//! What is said on stdin and stdout is `client`'s matter.

use process_wrap::tokio::{ChildWrapper, CommandWrap};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::task::JoinHandle;

/// So many of its last lines on stderr are remembered, and so many bytes of each.
const MAX_LINES: usize = 5;
const MAX_LINE: usize = 300;

/// A server whose stdin is closed may take so long to go.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a server that has just died said last may take so long to arrive.
const LAST_WORDS_TIME: Duration = Duration::from_millis(300);

/// A running server. Dropped, it is killed.
pub(super) struct Child {
    process: Box<dyn ChildWrapper>,
    words: LastWords,
    listening: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct LastWords(Arc<Mutex<VecDeque<String>>>);

impl Child {
    /// Starts a program with this environment and no other.
    pub(super) fn start(
        server: &str,
        command: &str,
        arguments: &[String],
        environment: &[(String, String)],
        folder: Option<&Path>,
    ) -> io::Result<(Self, ChildStdout, ChildStdin)> {
        let mut command = CommandWrap::with_new(command, |command| {
            command.args(arguments).env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            if let Some(folder) = folder {
                command.current_dir(folder);
            }
        });
        // A group of its own: Ctrl-C in the terminal is for the session, and what the server starts ends with it.
        #[cfg(unix)]
        command.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        command.wrap(process_wrap::tokio::JobObject);
        let mut process = command.spawn()?;
        let missing = || io::Error::other("it was started without its pipes");
        let stdin = process.stdin().take().ok_or_else(missing)?;
        let stdout = process.stdout().take().ok_or_else(missing)?;
        let stderr = process.stderr().take().ok_or_else(missing)?;
        let words = LastWords::default();
        let listening = tokio::spawn(listen(server.to_owned(), stderr, words.clone()));
        Ok((Self { process, words, listening }, stdout, stdin))
    }

    /// How it ended, if it did, and what it said last on stderr: half a sentence that begins with a comma, or nothing.
    pub(super) async fn last_words(&mut self) -> String {
        // Its last lines may still be on their way.
        let _ = tokio::time::timeout(LAST_WORDS_TIME, &mut self.listening).await;
        let ended = match self.process.try_wait() {
            Ok(Some(status)) => format!("; it ended with {status}"),
            _ => String::new(),
        };
        let words: Vec<String> = self.words.lines().iter().cloned().collect();
        if words.is_empty() { ended } else { format!("{ended}; its last words were: {}", words.join(" / ")) }
    }

    /// Waits until it has gone by itself, because its stdin is closed, and not much longer.
    pub(super) async fn end(mut self) {
        if tokio::time::timeout(PATIENCE, self.process.wait()).await.is_err() {
            tracing::debug!("an MCP server did not end when its input did; it is killed");
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It fails when nobody of the group is there any more.
        let _ = self.process.start_kill();
    }
}

impl LastWords {
    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn add(&self, line: &[u8]) -> String {
        let line = String::from_utf8_lossy(line).trim().to_owned();
        let mut lines = self.lines();
        if !line.is_empty() {
            lines.push_back(line.clone());
        }
        if lines.len() > MAX_LINES {
            lines.pop_front();
        }
        line
    }
}

/// Logs what a server says on stderr, and remembers the end of it. A line without end is cut.
async fn listen(server: String, mut stderr: impl AsyncRead + Unpin, words: LastWords) {
    let mut bytes = vec![0; 4096];
    let mut line = Vec::new();
    let said = |line: &mut Vec<u8>| {
        tracing::debug!(server, "{}", words.add(line));
        line.clear();
    };
    while let Ok(n_bytes) = stderr.read(&mut bytes).await {
        if n_bytes == 0 {
            break;
        }
        for byte in &bytes[..n_bytes] {
            match byte {
                b'\n' => said(&mut line),
                byte if line.len() < MAX_LINE => line.push(*byte),
                _ => {}
            }
        }
    }
    said(&mut line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_remembered_and_none_of_them_is_long() {
        let words = LastWords::default();
        let said = format!("one\ntwo\n\nthree\nfour\nfive\n{}", "x".repeat(100_000));
        listen("s".into(), said.as_bytes(), words.clone()).await;
        let lines: Vec<String> = words.lines().iter().cloned().collect();
        assert_eq!(lines, ["two", "three", "four", "five", &"x".repeat(MAX_LINE)]);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_sees_the_environment_that_it_is_given_and_is_killed_with_its_children() {
        let environment = [("PATH".into(), "/usr/bin:/bin".into()), ("MINE".into(), "yes".into())];
        let script = "env >&2; sleep 600 & echo child $! >&2; wait";
        let arguments = ["-c".to_owned(), script.to_owned()];
        let (mut child, _stdout, stdin) = Child::start("s", "sh", &arguments, &environment, None).unwrap();
        // It listens for less than the program lives.
        let words = child.last_words().await;
        assert!(words.contains("MINE=yes") && !words.contains("HOME="), "{words}");
        let grandchild: String =
            words.rsplit("child ").next().unwrap().chars().take_while(char::is_ascii_digit).collect();
        drop((child, stdin));
        for _ in 0..100 {
            match std::fs::read_to_string(format!("/proc/{grandchild}/stat")) {
                Ok(stat) if !stat.contains(") Z") => tokio::time::sleep(Duration::from_millis(50)).await,
                _ => return,
            }
        }
        panic!("{grandchild} lives on");
    }
}
