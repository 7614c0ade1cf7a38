//! Pages that nobody here wrote: the manuals in Debian's packages, beside what a headless Chromium shows of them.
//! Needs chromium-headless-shell and the manuals, both of which `.ci/run` fetches; without them it says so and is left out.
//!
//! `OSSICLE_DEEP=1` takes all of the sample. To see the words that are lost, `OSSICLE_LOST=1`.

mod pdf;
mod words;

use ossicle::tool::browser::html;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use words::Kept;

/// Pages of a package, in a short run and in a long one.
const N_PAGES: (usize, usize) = (10, 40);
const MAX_PAGE: u64 = 400_000;

fn pages() -> PathBuf {
    let default = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/ossicle/pages");
    std::env::var_os("OSSICLE_PAGES").map_or_else(default, PathBuf::from)
}

fn chromium() -> Option<&'static str> {
    ["chromium-headless-shell", "chromium"].into_iter().find(|program| {
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    })
}

fn html_under(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            html_under(&path, found);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "html") {
            found.push(path);
        }
    }
}

/// For each package some of its pages, always the same: in the order of a hash of their names.
fn sample() -> Vec<PathBuf> {
    let mut sample = Vec::new();
    let deep = std::env::var_os("OSSICLE_DEEP").is_some();
    let Ok(packages) = std::fs::read_dir(pages()) else { return sample };
    for package in packages.map(|entry| entry.unwrap().path()) {
        let mut found = Vec::new();
        html_under(&package, &mut found);
        found.retain(|path| (500..MAX_PAGE).contains(&path.metadata().unwrap().len()));
        found.sort_by_key(|path| {
            let bytes = path.strip_prefix(&package).unwrap().as_os_str().as_encoded_bytes();
            bytes
                .iter()
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
        });
        sample.extend(found.into_iter().take(if deep { N_PAGES.1 } else { N_PAGES.0 }));
    }
    sample
}

/// What the browser shows of each page.
fn shown(chromium: &str, sample: &[PathBuf]) -> Vec<(PathBuf, String)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/outside/pages/inner_text.py");
    let mut python = Command::new("python3");
    let mut running = python.args([script, chromium]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let paths: Vec<&str> = sample.iter().map(|path| path.to_str().unwrap()).collect();
    running.stdin.take().unwrap().write_all(paths.join("\n").as_bytes()).unwrap();
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    let page = |line: &str| {
        let page: serde_json::Value = serde_json::from_str(line).unwrap();
        (PathBuf::from(page["path"].as_str().unwrap()), page["text"].as_str().unwrap().to_owned())
    };
    lines.lines().map(page).collect()
}

#[test]
fn the_words_of_manuals_are_kept() {
    let sample = sample();
    let Some(chromium) = chromium().filter(|_| sample.len() >= 40) else {
        println!("left out: no chromium, or no manuals under {}", pages().display());
        return;
    };
    let mut packages = BTreeMap::<String, Kept>::new();
    let (mut all, mut n_bytes, mut time) = (Kept::default(), 0, Duration::ZERO);
    for (path, text) in shown(chromium, &sample) {
        let bytes = std::fs::read(&path).unwrap();
        let url = url::Url::from_file_path(&path).unwrap();
        let started = Instant::now();
        let page = html::page(&bytes, None, &url, html::Options::default());
        time += started.elapsed();
        n_bytes += bytes.len();
        let (browser, ours) = (words::words(&text), words::words(&words::without_marks(&page.text)));
        let kept = words::kept(&browser, &ours);
        if kept.anywhere < kept.shown && std::env::var_os("OSSICLE_LOST").is_some() {
            println!("{}: {:?}", path.display(), words::lost(&browser, &ours));
        }
        let package = path.strip_prefix(pages()).unwrap().iter().next().unwrap().to_string_lossy().into_owned();
        *packages.entry(package).or_default() += kept;
        all += kept;
    }
    for (package, kept) in packages.iter().chain([(&"all".to_owned(), &all)]) {
        let share = |n: usize| 100.0 * n as f64 / kept.shown as f64;
        let (anywhere, in_order) = (share(kept.anywhere), share(kept.in_order));
        println!("{package:20} {:7} words, kept {anywhere:.3} %, in order {in_order:.3} %", kept.shown);
    }
    println!("{} pages, {:.1} MB/s", sample.len(), n_bytes as f64 / 1e6 / time.as_secs_f64());
    // Measured over 552 pages: 99.93 %. What is missing is text for those without scripts, which is never shown here, and
    // words that a style sheet puts on two lines and that stand next to each other without one.
    assert!(all.in_order * 1000 >= all.shown * 997, "{} of {} words in order", all.in_order, all.shown);
}
