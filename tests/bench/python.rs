//! The python built-in: how soon it is there, what a cell costs, what a session takes, and two programs beside the machine's own
//! `python3`, where there is one: `cargo bench --bench python`. Policy and the journal are not in it.

#![allow(clippy::unwrap_used)] // a bench that cannot go on says so

use ossicle::policy::{Decision, Grant, Policy};
use ossicle::tool::python::Python;
use ossicle::tool::wasm::interpreter::{Drive, Interpreter, Runtime};
use ossicle::tool::{Progress, Tool};
use ossicle::world::World;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// In bytes.
const MEMORY: usize = 256 << 20;
const N_STARTS: usize = 20;
const N_CELLS: usize = 500;

/// A program that computes, and one that moves objects about.
const PROGRAMS: [(&str, &str); 2] = [
    (
        "digits of pi",
        "a, b, c, d, e, f, text = 1, 0, 1, 1, 3, 3, ''\nwhile len(text) < 1500:\n    if 4*a + b - c < e*c:\n        text += str(e)\n        a, b, e = 10*a, 10*(b - e*c), (10*(3*a + b))//c - 10*e\n    else:\n        a, b, c, d, e, f = a*d, (2*a + b)*f, c*f, d + 1, (a*(7*d) + 2 + b*f)//(c*f), f + 2\nprint(text[:8])",
    ),
    (
        "words and counts",
        "from collections import Counter\nwords = [str(n * n % 1009) for n in range(200000)]\ncounts = Counter(words)\nprint(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[0][1])",
    ),
];

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    ready(folder.path());
    println!("compiled for this machine in {:.1} s", began.elapsed().as_secs_f64());
    let mut made = Vec::new();
    let (mut started, mut first) = (Vec::new(), Vec::new());
    for _ in 0..N_STARTS {
        let began = Instant::now();
        let runtime = ready(folder.path());
        made.push(began.elapsed());
        let began = Instant::now();
        let mut python = start(&runtime).await;
        started.push(began.elapsed());
        let began = Instant::now();
        run(&mut python, "1 + 1").await;
        first.push(began.elapsed());
    }
    println!("later: ready in {}, an interpreter in {}, its first cell in {}", of(made), of(started), of(first));

    let before = resident();
    let mut python = start(&ready(folder.path())).await;
    run(&mut python, "import json, csv, statistics").await;
    println!("a session: {:.1} MB more in memory", (resident().saturating_sub(before)) as f64 / 1e6);
    let mut warm = Vec::new();
    for _ in 0..N_CELLS {
        let began = Instant::now();
        run(&mut python, "x = 6 * 7\nx").await;
        warm.push(began.elapsed());
    }
    println!("a warm cell in {}", of(warm));
    for (name, program) in PROGRAMS {
        let began = Instant::now();
        let said = run(&mut python, program).await;
        let ours = began.elapsed();
        match native(program) {
            Some((native, also)) => {
                assert_eq!(said, also, "{name}");
                println!(
                    "{name}: {:.2} s, {:.1} times the machine's own python3",
                    ours.as_secs_f64(),
                    ours.as_secs_f64() / native.as_secs_f64()
                );
            }
            None => println!("{name}: {:.2} s; there is no python3 to compare with", ours.as_secs_f64()),
        }
    }
}

fn ready(cache: &Path) -> Arc<Runtime> {
    Arc::new(Runtime::new(World::real(), Some(cache.into()), &Progress::default()).unwrap())
}

async fn start(runtime: &Arc<Runtime>) -> Interpreter {
    runtime.start(Arc::new(Mutex::new(Drive::new([]))), MEMORY).await.unwrap()
}

async fn run(python: &mut Interpreter, code: &str) -> String {
    let limit = Duration::from_secs(600);
    let outcome = python.run(code, Arc::new(grant()), 1 << 16, limit, &Progress::default()).await.unwrap();
    assert_eq!(outcome.error, None);
    outcome.stdout
}

fn grant() -> Grant {
    let python = Python::new(World::real(), None, Vec::new());
    let arguments = serde_json::json!({ "code": "" });
    let Decision::Allow(grant) = Policy::default().decide(&python.spec().asks(&arguments)) else {
        panic!("the default policy lets code compute")
    };
    grant
}

/// The program in the machine's own interpreter, by its own clock, so that its start is not in it; and what it printed.
fn native(program: &str) -> Option<(Duration, String)> {
    let timed = format!(
        "import time, sys\nbegan = time.perf_counter()\n{program}\nprint(time.perf_counter() - began, file=sys.stderr)"
    );
    let mut child = Command::new("python3")
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(timed.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    let seconds = String::from_utf8(output.stderr).ok()?.trim().parse().ok()?;
    Some((Duration::from_secs_f64(seconds), String::from_utf8(output.stdout).ok()?))
}

/// Bytes of this process's memory that no other shares, where the system tells.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    (of("Private_Dirty:").unwrap_or(0)) * 1024
}

/// The least and the median, in milliseconds.
fn of(mut times: Vec<Duration>) -> String {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    format!("{:.2} ms (median {:.2})", ms(times[0]), ms(times[times.len() / 2]))
}
