//! The user ... runs models of several kinds: prepared ones, GGUF files, ones that other programs have stored; and measures
//! them.

use crate::home::{Home, Ran, Run};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

const QUESTION: &str = "What is 23 * 47?";

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/engine/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The one prepared model of a home.
fn prepared(home: &Home) -> PathBuf {
    let folder = home.path().join("cache/models");
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut weights: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "weights")).collect();
    assert_eq!(weights.len(), 1, "{weights:?}");
    weights.pop().unwrap()
}

fn reused(ran: &Ran) -> u64 {
    let mut events = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let done = events.rfind(|event| event["type"] == "turn.completed").expect(&ran.stdout);
    done["usage"]["reused_tokens"].as_u64().unwrap()
}

#[test]
fn in_the_form_that_the_kernels_read() {
    let home = Home::new();
    let ran = home.run(&["models", "prepare", "stapes"]).exits(0);
    assert!(ran.stderr.contains("stapes is prepared: "), "{}", ran.stderr);
    let path = prepared(&home);
    let path_word = path.to_str().unwrap();
    // The tools that stapes gets when it is not given as a file.
    let ran = home.run(&["run", "-m", path_word, "--tools", "calc,clock,notes", QUESTION]).exits(0);
    assert!(ran.stdout.contains("1081"), "int8 answers as well: {}{}", ran.stdout, ran.stderr);
    let again = home.run(&["models", "prepare", "stapes", "--verify"]).exits(0);
    assert!(again.stderr.contains("is as it was written"), "{}", again.stderr);
    // One byte in the middle is noticed by who looks at all of them, one that is missing by everybody.
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let ran = home.run(&["models", "prepare", "stapes", "--verify"]).exits(0);
    let words = ["is not what was written", "made anew"];
    assert!(words.iter().all(|word| ran.stderr.contains(word)), "{}", ran.stderr);
    home.run(&["models", "prepare", "stapes", "--verify"]).exits(0);
    std::fs::write(&path, &bytes[..middle]).unwrap();
    home.run(&["run", "-m", path.to_str().unwrap(), QUESTION]).exits(6);
    home.run(&["models", "prepare", "stapes"]).exits(0);
    home.run(&["models", "prepare", "stapes", "--verify"]).exits(0);
}

#[test]
fn that_were_interrupted_while_they_were_prepared() {
    let home = Home::new();
    for milliseconds in [20, 60, 120, 180, 240, 300, 360] {
        let mut child =
            home.command(&["models", "prepare", "stapes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        let _ = child.kill(); // it may have ended
        child.wait().unwrap();
    }
    home.run(&["models", "prepare", "stapes"]).exits(0);
    home.run(&["models", "prepare", "stapes", "--verify"]).exits(0);
    let left = std::fs::read_dir(home.path().join("cache/models")).unwrap().map(|entry| entry.unwrap().path());
    let mut ends: Vec<_> = left.map(|path| path.extension().unwrap().to_owned()).collect();
    ends.sort();
    assert_eq!(ends, ["lock", "weights"], "nothing half written is left");
}

#[test]
fn that_know_their_instructions_from_the_day_before() {
    let home = Home::new();
    let ask = |words: &str, flags: &[&str]| home.run(&[&["run", "--json", words], flags].concat()).exits(0);
    let first = reused(&ask(QUESTION, &["--ephemeral"]));
    assert!(!home.path().join("cache/snapshots").exists(), "what is not kept is not kept here either");
    let second = reused(&ask(QUESTION, &[]));
    assert_eq!(second, first, "nothing was kept");
    let third = reused(&ask("What is 3 * 4?", &[]));
    assert!(third > second + 500, "instructions and tools come from the disk: {third} after {second}");
    // What is damaged is read anew.
    for file in snapshots(home.path()) {
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }
    let ran = ask("What is 5 * 6?", &[]);
    assert!(ran.stdout.contains("30"), "{}", ran.stdout);
    assert!(reused(&ran) < third - 500, "none of it was believed");
}

fn snapshots(home: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(home.join("cache/snapshots")).unwrap().map(|entry| entry.unwrap().path());
    folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect()
}

#[test]
fn that_other_programs_have_stored() {
    let home = Home::new();
    let store = home.path().join(".lmstudio/models/somebody/gpt-oss-tiny-GGUF");
    std::fs::create_dir_all(&store).unwrap();
    std::fs::copy(fixture("gguf/mxfp4.gguf"), store.join("gpt-oss-tiny-mxfp4.gguf")).unwrap();
    let with_home = |arguments: &[&str]| home.command(arguments).env("HOME", home.path()).stdin(Stdio::null()).ran();
    let ran = with_home(&["models", "list"]).exits(0);
    assert!(ran.stdout.contains("LM Studio") && ran.stdout.contains("GGUF"), "{}", ran.stdout);
    let listed: Value = serde_json::from_str(&with_home(&["models", "list", "--json"]).exits(0).stdout).unwrap();
    let name = listed[0]["name"].as_str().unwrap();
    let ran = with_home(&["models", "inspect", name]).exits(0);
    assert!(ran.stdout.contains("MXFP4") && ran.stdout.contains("complete      yes"), "{}", ran.stdout);
    let ran = with_home(&["models", "remove", name, "-y"]).exits(2);
    assert!(ran.stderr.contains("LM Studio"), "{}", ran.stderr);
    assert!(store.join("gpt-oss-tiny-mxfp4.gguf").exists());
    // It has no words to talk with, and says so before it is prepared.
    let ran = with_home(&["run", "-m", name, "hi"]).exits(6);
    assert!(ran.stderr.contains("vocab_size is 192"), "{}", ran.stderr);
    assert!(!home.path().join("cache/models").exists());
    // A model that is not there keeps nobody from what needs none.
    home.write("config/config.toml", "model = \"gpt-oss-30b\"\n");
    with_home(&["tool", "list"]).exits(0);
    let ran = with_home(&["run", "hi"]).exits(6);
    assert!(ran.stderr.contains("there is no model gpt-oss-30b") && ran.stderr.contains("stapes"), "{}", ran.stderr);
}

#[test]
fn and_measures_them() {
    let home = Home::new();
    let tiny = fixture("grouped");
    let ran = home.run(&["bench", "-m", &tiny, "--json", "--threads", "2"]).exits(0);
    let measured: Value = serde_json::from_str(&ran.stdout).unwrap();
    for key in [
        "load_s",
        "prefill_512_tok_s",
        "prefill_2048_tok_s",
        "decode_tok_s",
        "decode_4k_tok_s",
        "first_token_cold_s",
        "first_token_memory_s",
        "first_token_disk_s",
        "bandwidth_gb_s",
        "decode_fraction_of_limit",
        "bytes_per_token",
    ] {
        assert!(measured[key].as_f64().is_some_and(|number| number > 0.0), "{key} in {measured}");
    }
    assert_eq!(measured["n_threads"], 2);
    let ran = home.run(&["bench", "-m", &tiny, "--what", "decode"]).exits(0);
    assert!(ran.stdout.contains("of what that allows") && !ran.stdout.contains("read 512"), "{}", ran.stdout);
    let left: Vec<_> = std::fs::read_dir(home.path().join("cache/snapshots")).map_or(Vec::new(), Iterator::collect);
    assert!(left.is_empty(), "a measurement leaves nothing: {left:?}");
}

#[test]
fn with_an_adapter_that_does_not_fit() {
    let home = Home::new();
    let ran = home.run(&["run", "--adapter", &fixture("custom/lora_attention"), "hi"]).exits(6);
    assert!(ran.stderr.contains("adapter_model.safetensors"), "{}", ran.stderr);
    let ran = home.run(&["run", "--adapter", &fixture("grouped"), "hi"]).exits(6);
    assert!(ran.stderr.contains("adapter_config.json"), "{}", ran.stderr);
}

/// What `models list --json` says is prepared: name, fault, and of what.
fn listed(home: &Home) -> Vec<(String, Value, Value)> {
    let ran = home.command(&["models", "list", "--json"]).env("HOME", home.path()).stdin(Stdio::null()).ran().exits(0);
    let listed: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    let prepared = listed.into_iter().filter(|found| found["format"] == "prepared");
    prepared
        .map(|found| (found["name"].as_str().unwrap().into(), found["fault"].clone(), found["of"].clone()))
        .collect()
}

#[test]
fn and_sees_what_was_prepared_of_them_and_removes_it() {
    let home = Home::new();
    let store = home.path().join(".lmstudio/models/somebody/gpt-oss-tiny-GGUF");
    std::fs::create_dir_all(&store).unwrap();
    let model = store.join("gpt-oss-tiny-mxfp4.gguf");
    std::fs::copy(fixture("gguf/mxfp4.gguf"), &model).unwrap();
    let with_home = |arguments: &[&str]| home.command(arguments).env("HOME", home.path()).stdin(Stdio::null()).ran();
    let name = "somebody/gpt-oss-tiny-GGUF";
    with_home(&["models", "prepare", name]).exits(0);
    let before = listed(&home);
    let [(form, fault, of)] = &before[..] else { panic!("{before:?}") };
    assert!(fault.is_null() && of.as_str().unwrap().ends_with("gpt-oss-tiny-mxfp4.gguf"), "{before:?}");
    let ran = with_home(&["models", "list"]).exits(0);
    assert!(ran.stdout.contains(form) && ran.stdout.contains("  prepared  "), "{}", ran.stdout);
    // What has changed is said, and gone as soon as it is prepared anew.
    let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    std::fs::File::options().append(true).open(&model).unwrap().set_modified(time).unwrap();
    assert!(listed(&home)[0].1.as_str().unwrap().contains("has changed"), "{:?}", listed(&home));
    with_home(&["models", "prepare", name]).exits(0);
    let after = listed(&home);
    assert!(after.len() == 1 && after[0].0 != *form && after[0].1.is_null(), "{after:?}");
    // It goes by its model's name as well as by its own, after a yes; the model stays.
    let ran = with_home(&["models", "remove", name]).exits(2);
    assert!(ran.stderr.contains("nobody can be asked") && ran.stderr.contains(&after[0].0), "{}", ran.stderr);
    let ran = with_home(&["models", "remove", name, "-y"]).exits(0);
    assert!(ran.stderr.contains("which frees") && listed(&home).is_empty() && model.exists(), "{}", ran.stderr);
    with_home(&["models", "remove", name, "-y"]).exits(2);
    with_home(&["models", "prepare", name]).exits(0);
    std::fs::remove_file(&model).unwrap();
    assert!(listed(&home)[0].1.as_str().unwrap().contains("is not there"), "{:?}", listed(&home));
    with_home(&["models", "remove", &listed(&home)[0].0, "-y"]).exits(0);
    assert!(listed(&home).is_empty());
}

#[test]
fn on_a_machine_with_little_memory() {
    let home = Home::new();
    let ran = home.run(&["run", "--low-memory", QUESTION]).exits(0);
    assert!(ran.stdout.contains("1081"), "{}{}", ran.stdout, ran.stderr);
    let grouped = fixture("long");
    let needs = |flags: &[&str]| {
        let ran = home.run(&[&["models", "inspect", &grouped], flags].concat()).exits(0);
        ran.stdout.lines().find(|line| line.starts_with("memory")).unwrap().to_owned()
    };
    assert_ne!(needs(&[]), needs(&["--low-memory"]));
    let usual = home.run(&["doctor"]).exits(0).stdout;
    home.write("config/config.toml", "[engine]\nlow_memory = true\n");
    let low = home.run(&["doctor"]).exits(0).stdout;
    let memory = |text: &str| text.lines().find(|line| line.contains(" memory ")).unwrap().to_owned();
    assert_ne!(memory(&usual).split("free, ").nth(1), memory(&low).split("free, ").nth(1), "{low}");
}
