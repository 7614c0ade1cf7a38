//! A key that another program keeps: the system's keyring, a password manager.
//!
//! It stores nothing and shows nothing: the program is run when the key is needed for the first time, and what it prints is the
//! key. Start at [`key`].

use crate::delegate::openai::Key;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long it may take: somebody may have to type a passphrase.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it may print after its end.
const AFTER: Duration = Duration::from_secs(1);

/// Between two looks at whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Bytes of a key, and of what is shown of a complaint.
const MAX_KEY: u64 = 4096;
const MAX_COMPLAINT: usize = 300;

/// The key that a program prints: its name and its arguments.
pub(super) fn key(command: &[String]) -> Result<Key, String> {
    let Some(program) = command.first().filter(|program| !program.is_empty()) else {
        return Err("`cloud.key_command` names no program: write [\"pass\", \"show\", \"openai\"]".into());
    };
    let (source, command) = (format!("`{program}`, by `cloud.key_command`"), command.to_vec());
    Ok(Key::kept(&source, move || printed(&command)))
}

/// The first line that it prints.
fn printed(command: &[String]) -> Result<String, String> {
    let program = command.first().map(String::as_str).unwrap_or_default();
    let wrong = |why: String| format!("`{program}` of `cloud.key_command` {why}");
    let mut child = Command::new(program)
        .args(command.iter().skip(1))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| wrong(format!("cannot be started: {error}")))?;
    let stdout = Heard::from(child.stdout.take());
    let stderr = Heard::from(child.stderr.take());
    let mut waited = Duration::ZERO;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if waited < PATIENCE => {
                thread::sleep(LOOK_EVERY);
                waited += LOOK_EVERY;
            }
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(wrong(format!("did not end within {} s", PATIENCE.as_secs())));
            }
            Err(error) => return Err(wrong(error.to_string())),
        }
    };
    if !status.success() {
        let mut said = stderr.text().trim().to_owned();
        said.truncate(said.floor_char_boundary(MAX_COMPLAINT));
        return Err(wrong(format!("gave no key ({status}) {said}")));
    }
    Ok(stdout.text().lines().next().unwrap_or_default().to_owned())
}

/// What comes out of a pipe, read beside whatever else happens.
struct Heard(Arc<Mutex<Vec<u8>>>, JoinHandle<()>);

impl Heard {
    fn from(pipe: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let heard = bytes.clone();
        let reader = thread::spawn(move || {
            let mut chunk = [0; 512];
            let mut pipe = pipe.map(|pipe| pipe.take(MAX_KEY));
            // What breaks off is judged by what came.
            while let Some(n) = pipe.as_mut().and_then(|pipe| pipe.read(&mut chunk).ok()).filter(|n| *n > 0) {
                heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..n]);
            }
        });
        Self(bytes, reader)
    }

    /// All of it, or what came by now: a program may leave something running that holds its pipes open.
    fn text(&self) -> String {
        let mut waited = Duration::ZERO;
        while !self.1.is_finished() && waited < AFTER {
            thread::sleep(LOOK_EVERY);
            waited += LOOK_EVERY;
        }
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str) -> Result<String, String> {
        printed(&["sh", "-c", script].map(str::to_owned))
    }

    #[test]
    fn a_key_is_the_first_line_that_the_program_prints() {
        assert_eq!(sh("echo sk-1; echo login: me"), Ok("sk-1".into()));
        assert_eq!(sh("true"), Ok(String::new()));
        let error = sh("echo the store is locked >&2; exit 3").unwrap_err();
        assert!(error.contains("gave no key") && error.contains("the store is locked"), "{error}");
        let error = printed(&["no-such-program-here".to_owned()]).unwrap_err();
        assert!(error.contains("cannot be started"), "{error}");
        // Of one that prints without end the beginning is taken, and its pipe is closed.
        let error = sh("tr '\\0' x < /dev/zero; exit 1").unwrap_err();
        assert!(error.contains("gave no key"), "{error}");
        assert_eq!(sh("head -c 9000 /dev/zero | tr '\\0' x; true").map(|key| key.len()), Ok(4096));
        // One that leaves something running is not waited for.
        assert_eq!(sh("sleep 30 & echo sk-2"), Ok("sk-2".into()));
        assert!(key(&[]).is_err());
    }
}
