//! A server's process: started in a group of its own, listened to on stderr, and ended with everything that it started.
//!
//! What is said on stdin and stdout is `client`'s matter.

use process_wrap::tokio::{ChildWrapper, CommandWrap};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
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
    process: Arc<Process>,
    words: LastWords,
    listening: JoinHandle<()>,
}

type Process = tokio::sync::Mutex<Box<dyn ChildWrapper>>;

/// All that run. A process that ends without unwinding has nobody else who knows them.
static RUNNING: Mutex<Vec<Weak<Process>>> = Mutex::new(Vec::new());

/// Kills every server of this process, for one that is about to end at once.
pub fn kill_all() {
    let running = std::mem::take(&mut *RUNNING.lock().unwrap_or_else(PoisonError::into_inner));
    running.iter().filter_map(Weak::upgrade).for_each(|process| kill(&process));
}

/// Kills the group, if anybody is left of it. Where somebody waits for its end already, it has been told.
fn kill(process: &Process) {
    if let Ok(mut process) = process.try_lock() {
        let _ = process.start_kill();
    }
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
        let process = Arc::new(Process::new(process));
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|process| process.strong_count() > 0);
        running.push(Arc::downgrade(&process));
        Ok((Self { process, words, listening }, stdout, stdin))
    }

    /// How it ended, if it did, and what it said last on stderr: half a sentence that begins with a comma, or nothing.
    pub(super) async fn last_words(&mut self) -> String {
        // Its last lines may still be on their way, and after them the news of its end.
        let has_ended =
            self.listening.is_finished() || tokio::time::timeout(LAST_WORDS_TIME, &mut self.listening).await.is_ok();
        let mut process = self.process.lock().await;
        let wait = if has_ended { LAST_WORDS_TIME } else { Duration::ZERO };
        let ended = match tokio::time::timeout(wait, process.wait()).await {
            Ok(Ok(status)) => format!("; it ended with {status}"),
            _ => String::new(),
        };
        let words: Vec<String> = self.words.lines().iter().cloned().collect();
        if words.is_empty() { ended } else { format!("{ended}; its last words were: {}", words.join(" / ")) }
    }

    /// Waits until it has gone by itself, because its stdin is closed, and not much longer.
    pub(super) async fn end(self) {
        let mut process = self.process.lock().await;
        if tokio::time::timeout(PATIENCE, process.wait()).await.is_err() {
            tracing::debug!("an MCP server did not end when its input did; it is killed");
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        kill(&self.process);
    }
}

impl LastWords {
    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let said = words.add(line);
        tracing::debug!(server, "{said}");
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
