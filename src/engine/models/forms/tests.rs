//! What is on the disk of prepared models: noted, superseded, in use, begun, and removed.
//!
//! What it is not: a test of what is in a form. Start at [`Home`].

use super::*;
use crate::engine::cpu::goldens;
use crate::engine::models::{Preparation, open, prepare, prepared_path};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// A model of a user's and a folder of forms.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.model()).unwrap();
        for name in ["config.json", "model.safetensors"] {
            fs::copy(goldens::folder("grouped").join(name), home.model().join(name)).unwrap();
        }
        home
    }

    fn model(&self) -> PathBuf {
        self.0.path().join("gpt-oss-x")
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("cache")
    }

    /// Another time than any before.
    fn change(&self, n: u64) {
        let file = File::options().append(true).open(self.model().join("model.safetensors")).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + n)).unwrap();
    }

    fn prepare(&self, experts_in_q8: bool) -> Checkpoint {
        let preparation = Preparation { experts_in_q8, n_threads: 1 };
        prepare(&open(&self.model()).unwrap(), preparation, &self.folder(), &mut |_, _| true).unwrap()
    }

    fn forms(&self) -> Vec<PreparedForm> {
        prepared_forms(&self.folder())
    }
}

#[test]
fn a_form_says_of_which_model_it_is_and_what_became_of_that() {
    let home = Home::new();
    assert_eq!(home.forms(), []);
    drop(home.prepare(false));
    let forms = home.forms();
    let [form] = &forms[..] else { panic!("{forms:?}") };
    let of = home.model().canonicalize().unwrap();
    assert_eq!((form.of.as_ref(), form.is_whole, form.original()), (Some(&of), true, Original::There));
    assert_eq!(form.n_bytes, fs::metadata(&form.path).unwrap().len());
    assert!([&form.name, "gpt-oss-x", "GPT-OSS-X"].iter().all(|word| form.is_called(word)), "{}", form.name);
    assert!(!["gpt-oss", "gpt-oss-x-", "x", ""].iter().any(|word| form.is_called(word)), "{}", form.name);
    assert!(form.is_of(&home.model()) && form.is_of(home.0.path()) && !form.is_of(&home.folder()));
    home.change(0);
    assert_eq!(form.original(), Original::Changed);
    let elsewhere = home.0.path().join("elsewhere");
    fs::rename(home.model(), &elsewhere).unwrap();
    assert_eq!(form.original(), Original::Gone);
    assert!(std::process::Command::new("mkfifo").arg(home.model()).status().unwrap().success());
    assert_eq!(form.original(), Original::Changed, "a pipe is not waited for");
    fs::write(form.path.with_extension(LOCK), "").unwrap();
    let unknown = &home.forms()[0];
    assert_eq!((unknown.of.as_ref(), unknown.original()), (None, Original::Unknown));
}

#[test]
fn what_was_prepared_before_a_model_changed_goes_by_itself() {
    let home = Home::new();
    let names = |home: &Home| home.forms().into_iter().map(|form| form.name).collect::<Vec<_>>();
    drop(home.prepare(false));
    drop(home.prepare(true));
    let before = names(&home);
    assert_eq!(before.len(), 2, "two kinds of the same go together");
    // Of another model, and of no known one: both stay.
    let others = ["other-0000000000000001", "other-0000000000000002"];
    for name in others {
        fs::write(home.folder().join(name).with_extension("weights"), "x").unwrap();
    }
    fs::write(home.folder().join(others[0]).with_extension(LOCK), home.0.path().to_str().unwrap()).unwrap();
    home.change(1);
    let running = home.prepare(false);
    let after = names(&home);
    assert!(after.len() == 3 && after[1..] == others && !before.contains(&after[0]), "{before:?}, {after:?}");
    // What another process runs stays until it is seen again.
    home.change(2);
    drop(home.prepare(false));
    assert_eq!(names(&home).len(), 4);
    drop(running);
    drop(home.prepare(false));
    assert_eq!(names(&home).len(), 3);
}

#[test]
fn a_form_that_moved_with_its_model_is_noted_anew() {
    let home = Home::new();
    drop(home.prepare(false));
    let elsewhere = home.0.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let moved = elsewhere.join("gpt-oss-x");
    fs::rename(home.model(), &moved).unwrap();
    let preparation = Preparation { n_threads: 1, ..Preparation::default() };
    let mut n_written = 0;
    let mut progress = |_, _| {
        n_written += 1;
        true
    };
    drop(prepare(&open(&moved).unwrap(), preparation, &home.folder(), &mut progress).unwrap());
    assert_eq!((n_written, home.forms()[0].of.clone()), (0, moved.canonicalize().ok()));
}

#[test]
fn a_form_that_is_used_or_written_is_not_removed() {
    let home = Home::new();
    let running = home.prepare(false);
    let form = home.forms().remove(0);
    let error = form.remove().unwrap_err().to_string();
    assert!(error.contains("another process runs it") && form.path.exists(), "{error}");
    drop(running);
    let lock = File::open(form.path.with_extension(LOCK)).unwrap();
    lock.lock().unwrap();
    let error = form.remove().unwrap_err().to_string();
    assert!(error.contains("is writing it") && form.path.exists(), "{error}");
    drop(lock);
    assert_eq!(form.remove().unwrap(), form.n_bytes);
    assert!(!form.path.exists() && home.forms().is_empty());
}

#[test]
fn one_that_was_not_finished_is_there_and_goes_with_all_that_was_written() {
    let home = Home::new();
    let checkpoint = open(&home.model()).unwrap();
    let preparation = Preparation { n_threads: 1, ..Preparation::default() };
    let mut n_left = 9;
    let mut progress = |_, _| {
        n_left -= 1;
        n_left > 0
    };
    assert!(prepare(&checkpoint, preparation, &home.folder(), &mut progress).is_err());
    let form = home.forms().remove(0);
    assert_eq!((form.is_whole, form.original(), form.n_bytes > 0), (false, Original::There, true));
    assert_eq!(form.path, prepared_path(&checkpoint, preparation, &home.folder()));
    assert!(form.path.with_extension("part").exists() && form.path.with_extension("sums").exists());
    form.remove().unwrap();
    assert!(home.forms().is_empty());
    // And by itself, when the model changes before it is finished.
    assert!(prepare(&checkpoint, preparation, &home.folder(), &mut |_, _| false).is_err());
    home.change(3);
    drop(home.prepare(false));
    assert_eq!(home.forms().iter().map(|form| form.is_whole).collect::<Vec<_>>(), [true]);
}

#[test]
fn what_is_no_form_is_left_alone() {
    let home = Home::new();
    fs::create_dir(home.folder()).unwrap();
    for name in ["x.weights", "x-0123.weights", "x-0123456789abcdeg.weights", "x-0123456789abcdef.lock", "notes.txt"] {
        fs::write(home.folder().join(name), "x").unwrap();
    }
    fs::create_dir(home.folder().join("folder-0123456789abcdef.weights")).unwrap();
    let pipe = home.folder().join("pipe-0123456789abcdef.weights");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    assert_eq!(home.forms(), []);
}

#[test]
fn a_model_with_a_pipe_in_it_is_not_waited_for() {
    let home = Home::new();
    drop(home.prepare(false));
    fs::remove_file(home.model().join("config.json")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(home.model().join("config.json")).status().unwrap();
    assert!(made.success() && home.forms()[0].original() == Original::Changed);
}

#[test]
fn nothing_is_written_through_a_link() {
    let home = Home::new();
    let precious = home.0.path().join("precious");
    fs::write(&precious, "words").unwrap();
    drop(home.prepare(false));
    let lock = home.forms()[0].path.with_extension(LOCK);
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&precious, &lock).unwrap();
    drop(home.prepare(false));
    assert_eq!(fs::read_to_string(&precious).unwrap(), "words");
}

#[test]
fn what_is_inside_the_program_is_known_by_its_name() {
    let home = Home::new();
    let path = home.folder().join("random-20b-0123456789abcdef.weights");
    let random = Source::Random.open().unwrap();
    let name = format!("{RANDOM}-{}", short_key(&random));
    for path in [&path, &home.folder().join(format!("{name}.weights"))] {
        fs::create_dir_all(home.folder()).unwrap();
        fs::write(path, "x").unwrap();
        note(path, Path::new(RANDOM)).unwrap();
    }
    let originals: Vec<_> = home.forms().iter().map(|form| (form.name == name, form.original())).collect();
    assert!(originals.contains(&(true, Original::There)) && originals.contains(&(false, Original::Changed)));
    claim(&random, &home.folder().join(format!("{name}.weights")));
    assert_eq!(home.forms().iter().map(|form| form.name.as_str()).collect::<Vec<_>>(), [name.as_str()]);
}
