//! A key that another program keeps: the system's keyring, a password manager.
//!
//! It stores nothing and shows nothing: the program is run when the key is needed for the first time, and what it prints is the
//! key. Start at [`key`].

use crate::delegate::openai::Key;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// How long it may take: somebody may have to type a passphrase.
const PATIENCE: Duration = Duration::from_secs(60);

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
    let read = |from: Option<Box<dyn Read + Send>>| {
        thread::spawn(move || {
            let mut text = Vec::new();
            // What breaks off is judged by what came.
            let _ = from.map(|from| from.take(MAX_KEY).read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let stdout = read(child.stdout.take().map(|from| Box::new(from) as Box<dyn Read + Send>));
    let stderr = read(child.stderr.take().map(|from| Box::new(from) as Box<dyn Read + Send>));
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
        let mut said = stderr.join().unwrap_or_default().trim().to_owned();
        said.truncate(said.floor_char_boundary(MAX_COMPLAINT));
        return Err(wrong(format!("gave no key ({status}) {said}")));
    }
    let printed = stdout.join().unwrap_or_default();
    Ok(printed.lines().next().unwrap_or_default().to_owned())
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
        // One that prints without end is cut off, and its pipe is closed.
        assert!(sh("yes | head -c 100000; exit 1").is_err());
        assert!(key(&[]).is_err());
    }
}
