//! A hermetic home: the program sees a fresh folder, and nothing of the environment that runs the tests.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Far more than a slow machine needs: a program that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

pub struct Home(tempfile::TempDir);

/// What a run printed.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Home {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With the interpreter compiled beforehand, once for all tests of all runs.
    pub fn with_python(self) -> Self {
        static COMPILED: OnceLock<PathBuf> = OnceLock::new();
        let compiled = COMPILED.get_or_init(|| {
            let once = Self::new();
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
            if kept.is_dir() {
                copy(&kept, &once.path().join("cache/tools"));
            }
            once.run(&["tool", "call", "python", "1"]).exits(0);
            copy(&once.path().join("cache/tools"), &kept);
            kept
        });
        copy(compiled, &self.path().join("cache/tools"));
        self
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ossicle"));
        command
            .args(arguments)
            .env_clear()
            .env("OSSICLE_HOME", self.path())
            .env("PATH", "/usr/bin:/bin")
            .env("TZ", "UTC")
            .current_dir(self.path());
        command
    }

    /// Runs to the end with nothing on standard input.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).stdin(Stdio::null()).ran()
    }

    /// Runs to the end with `input` piped in.
    pub fn pipe(&self, arguments: &[&str], input: &str) -> Ran {
        self.command(arguments).piped(input)
    }

    /// What lies in the journal, as far as it is text.
    pub fn journal(&self) -> String {
        let path = self.path().join("data/sessions.sqlite");
        String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
    }
}

/// The files of one folder into another, their permissions included.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A command run to its end, within [`LIMIT`].
pub trait Run {
    fn ran(&mut self) -> Ran;
    fn piped(&mut self, input: &str) -> Ran;
}

impl Run for Command {
    fn ran(&mut self) -> Ran {
        ended(self.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn piped(&mut self, input: &str) -> Ran {
        self.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.spawn().unwrap();
        // A program that has seen enough may close its input early.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        ended(child)
    }
}

/// Waits for the end. A program that hangs is killed, and then has no exit code.
pub fn ended(child: Child) -> Ran {
    let pid = child.id();
    let (done, waiting) = channel::<()>();
    std::thread::spawn(move || {
        if waiting.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            signal(pid, "KILL");
        }
    });
    let ran = Ran::from(child.wait_with_output().unwrap());
    drop(done);
    ran
}

/// Sends a signal as a shell does.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("/bin/sh").args(["-c", &format!("kill -{name} {pid}")]).status();
    assert!(sent.unwrap().success(), "SIG{name} to {pid}");
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// The lines of `--json`, each of which has to be JSON.
    #[track_caller]
    pub fn lines(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Fails with everything that was printed unless the exit code is `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}
