//! The user ... pulls a model from a hub.

use crate::home::{Home, Ran, Run};
use crate::hub::Hub;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const FIRST: &str = "model-00001-of-00002.safetensors";
const TOKEN: &str = "hf_t0ken";

fn command(home: &Home, hub: &Hub, arguments: &[&str]) -> Command {
    let mut command = home.command(&[&["models", "pull"], arguments].concat());
    command.env("HF_ENDPOINT", hub.url()).env("HF_TOKEN", TOKEN).stdin(std::process::Stdio::null());
    command
}

fn pull(home: &Home, hub: &Hub, arguments: &[&str]) -> Ran {
    command(home, hub, arguments).ran()
}

/// What went wrong, on one line: the report breaks long ones.
fn said(ran: &Ran) -> String {
    ran.stderr.split(['\n', '│']).map(str::trim).collect::<Vec<_>>().join(" ")
}

fn folder(home: &Home) -> PathBuf {
    home.path().join("data/hub.models/me--x")
}

fn files(home: &Home) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder(home)) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn and_sees_its_licence_and_size_before_anything_large_comes() {
    let (home, hub) = (Home::new(), Hub::with_checkpoint(&[b"one", b"two"]));
    // Nobody can be asked here.
    let ran = pull(&home, &hub, &["me/x"]).exits(2);
    for words in ["apache-2.0", "Apache License", "Use it well.", "size", "free", "me--x", "--yes"] {
        assert!(ran.stderr.contains(words), "{words} in {}", ran.stderr);
    }
    assert!(hub.fetched().is_empty() && files(&home).is_empty());

    let ran = pull(&home, &hub, &["-y", "me/x"]).exits(0);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("pulled me/x into"), "{}", ran.stderr);
    assert_eq!(fs::read(folder(&home).join(FIRST)).unwrap(), b"one");
    let manifest = fs::read_to_string(folder(&home).join("pulled.json")).unwrap();
    assert!(manifest.contains("apache-2.0") && manifest.contains("sha256:"), "{manifest}");
    assert!(!files(&home).iter().any(|name| name.contains("original") || name.contains("tokenizer")));

    // Once more there is nothing to do.
    let n_fetched = hub.fetched().len();
    let ran = pull(&home, &hub, &["me/x"]).exits(0);
    assert!(ran.stderr.contains("there already") && hub.fetched().len() == n_fetched, "{}", ran.stderr);
}

#[test]
fn and_the_token_stays_with_the_hub_and_out_of_every_file() {
    let (home, hub) = (Home::new(), Hub::with_checkpoint(&[b"one", b"two"]));
    let ran = command(&home, &hub, &["-y", "me/x"]).env("RUST_LOG", "trace").ran().exits(0);
    assert!(!ran.stderr.contains(TOKEN) && !ran.stdout.contains(TOKEN));
    let (store, asked): (Vec<_>, Vec<_>) = hub.state().asked.clone().into_iter().partition(|asked| asked.of_store);
    assert!(store.len() == 2 && store.iter().all(|asked| asked.authorization.is_none()));
    assert!(asked.iter().all(|asked| asked.authorization.as_deref() == Some("Bearer hf_t0ken")));
    let journal = home.journal();
    assert!(journal.contains("models.pull") && journal.contains(FIRST) && !journal.contains(TOKEN));
}

#[test]
fn that_broke_off_and_goes_on_by_the_same_command() {
    let bytes: Vec<u8> = (0..(2 << 20) + 1).map(|n: usize| (n % 251) as u8).collect();
    let (home, hub) = (Home::new(), Hub::with_checkpoint(&[&bytes, b"two"]));
    hub.state().cuts = (1, (1 << 20) + 7);
    let ran = pull(&home, &hub, &["-y", "me/x"]).exits(0);
    assert!(ran.stderr.contains("again in 1 s"), "{}", ran.stderr);
    assert_eq!(hub.fetched()[1].1.as_deref(), Some("bytes=1048583-"));
    assert_eq!(fs::read(folder(&home).join(FIRST)).unwrap(), bytes);
    // What was left behind by one that was killed is taken up as well.
    let (home, again) = (Home::new(), Hub::with_checkpoint(&[&bytes, b"two"]));
    again.state().stalls = 1;
    again.state().cuts = (1, 1 << 20);
    let mut child = command(&home, &again, &["-y", "me/x"]);
    let mut child = child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    while again.fetched().len() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    crate::home::signal(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(files(&home).iter().any(|name| name.ends_with(".part")) && !files(&home).contains(&"pulled.json".into()));
    pull(&home, &again, &["-y", "me/x"]).exits(0);
    assert_eq!(again.fetched()[2].1.as_deref(), Some("bytes=1048576-"));
    assert_eq!(fs::read(folder(&home).join(FIRST)).unwrap(), bytes);
}

#[test]
fn and_is_told_what_is_wrong_and_what_to_do() {
    for (path, status, headers, words) in [
        ("/api/", 404, "", "has no me/x"),
        ("/api/", 404, "x-error-code: RevisionNotFound\r\n", "no revision main"),
        ("/resolve/", 401, "x-error-code: GatedRepo\r\n", "HF_TOKEN"),
        ("/resolve/", 403, "x-error-code: GatedRepo\r\n", "accept its licence"),
        ("/api/", 429, "retry-after: 1000000000\r\n", "left alone"),
    ] {
        let (home, hub) = (Home::new(), Hub::with_checkpoint(&[b"one", b"two"]));
        hub.state().refusals.push((path, status, headers, 1));
        let ran = pull(&home, &hub, &["-y", "me/x"]).exits(1);
        assert!(said(&ran).contains(words) && files(&home).is_empty(), "{words}: {}", ran.stderr);
    }
    let (home, hub) = (Home::new(), Hub::with_checkpoint(&[b"one", b"two"]));
    hub.state().lies_about = Some(FIRST.into());
    assert!(said(&pull(&home, &hub, &["-y", "me/x"]).exits(1)).contains("is not what the hub said"));
    assert!(!files(&home).iter().any(|name| name.contains("00001-of")), "{:?}", files(&home));
    for arguments in [&["x"][..], &["../x"], &["a/b/c"], &["me/x", "--revision", "../x"]] {
        pull(&home, &hub, &[&["-y"], arguments].concat()).exits(2);
    }
    let n_asked = hub.state().asked.len();
    pull(&home, &hub, &["--offline", "-y", "me/x"]).exits(5);
    command(&home, &hub, &["-y", "me/x"]).env("HF_HUB_OFFLINE", "1").ran().exits(5);
    assert_eq!(hub.state().asked.len(), n_asked);
}

#[test]
fn but_not_from_a_hub_that_leads_astray() {
    for (name, words) in [("../../evil", "out of its folder"), ("/etc/passwd", "out of its folder")] {
        let (home, hub) = (Home::new(), Hub::with_checkpoint(&[b"one", b"two"]));
        hub.state().more.push(format!(r#"{{"rfilename":"{name}","size":1}}"#));
        assert!(said(&pull(&home, &hub, &["-y", "me/x"]).exits(1)).contains(words));
    }
    let (home, hub) = (Home::new(), Hub::with_checkpoint(&[b"one", b"two"]));
    hub.state().elsewhere = Some("http://169.254.169.254/latest".into());
    assert!(said(&pull(&home, &hub, &["-y", "me/x"]).exits(1)).contains("leads to 169.254.169.254"));
    let other = Hub::new(&[("config.json", br#"{"model_type":"llama"}"#), ("model.safetensors", b"x")]);
    assert!(pull(&home, &other, &["-y", "me/x"]).exits(6).stderr.contains("llama"));
    other.state().licence = Some("mit".into());
    other.state().files.remove("config.json");
    pull(&home, &other, &["-y", "me/x", "--gguf", "absent"]).exits(1);
}
