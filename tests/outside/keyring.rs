//! A key in the system's keyring, a real one in a session of its own, and what the program makes of it.
//! Needs gnome-keyring, secret-tool and dbus-run-session, which `.ci/run` installs.

use crate::mock::{KEY, Mock};
use std::process::{Command, Stdio};

/// Unlocks an empty keyring, puts the key into it and asks a question.
const SCRIPT: &str = r#"
set -e
printf 'a passphrase' | gnome-keyring-daemon --unlock --components=secrets > /dev/null
printf "$KEY" | secret-tool store --label=openai service openai
unset KEY
exec "$OSSICLE" --approve always tool call cloud.ask '{"question":"Where is the key?"}'
"#;

#[test]
fn the_key_comes_from_the_systems_keyring() {
    let (home, mock) = (tempfile::tempdir().unwrap(), Mock::start(0).unwrap());
    let config = format!(
        "[cloud]\nbase_url = \"{}\"\nkey_command = [\"secret-tool\", \"lookup\", \"service\", \"openai\"]\n",
        mock.url()
    );
    std::fs::create_dir_all(home.path().join("config")).unwrap();
    std::fs::write(home.path().join("config/config.toml"), config).unwrap();
    let ran = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", SCRIPT])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", home.path())
        .env("XDG_RUNTIME_DIR", home.path())
        .env("OSSICLE_HOME", home.path())
        .env("OSSICLE", env!("CARGO_BIN_EXE_ossicle"))
        .env("KEY", KEY)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && stdout.contains("Where is the key?"), "{stdout}\n{stderr}");
    assert_eq!(mock.store().charged().len(), 1);
}
