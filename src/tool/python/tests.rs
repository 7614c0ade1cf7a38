//! Cells as a session runs them: in the real interpreter, over a simulated or a real folder, under real policies.

use super::*;
use crate::policy::{Decision, Places, Policy};
use std::path::Path;
use std::time::Instant;

/// Compiled once for all tests of all runs.
fn cache() -> PathBuf {
    std::env::current_exe().unwrap().with_file_name("compiled")
}

const HERE: &str = "/here";

fn world() -> World {
    let world = World::simulated(7);
    world.disk.write(Path::new("/here/data.csv"), b"city,people\nOslo,700\nBergen,290\n").unwrap();
    world.disk.write(Path::new("/here/secret/key"), b"hunter2").unwrap();
    world
}

/// A notebook whose cells have ten seconds, in a world where time is real.
fn notebook(world: &World) -> Python {
    let folder = Folder { path: HERE.into(), is_writable: true };
    let world = World { clock: World::real().clock, ..world.clone() };
    Python::new(world, Some(cache()), vec![folder]).with_limit(10)
}

fn policy() -> Policy {
    let text = "version = 1\n[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"\n\
                [[rule]]\nid = \"hidden\"\nwithin = [\"$WORKSPACE/secret\"]\ndecision = \"deny\"\n";
    let places = Places { workspace: HERE.into(), home: "/home/me".into(), own: Vec::new() };
    Policy::parse("test", text).unwrap().at(places, Path::to_path_buf)
}

async fn cell(python: &Python, code: &str) -> Result<Output, ToolError> {
    let arguments = json!({ "code": code });
    let Decision::Allow(grant) = policy().decide(&python.spec().asks(&arguments)) else { panic!("allowed") };
    python.call(arguments, grant, &Progress::default()).await
}

async fn reply(python: &Python, code: &str) -> String {
    cell(python, code).await.map_or_else(|error| format!("stopped: {error}"), |output| output.text)
}

#[tokio::test]
async fn cells_are_one_notebook() {
    let python = notebook(&world());
    for (code, expect) in [
        ("x = 6", SILENCE),
        ("x * 7", "42"),
        ("print('a')\n'b'", "a\n'b'"),
        ("def f():\n    return x\n", SILENCE),
        ("import sys\nprint('no line end', end='')\nf()", "no line end\n6"),
        ("None", SILENCE),
        ("print('é', file=sys.stderr)", "é\n"),
        ("", SILENCE),
        ("import datetime, time\ntime.sleep(0.01)\ndatetime.date.today().year > 2000", "True"),
    ] {
        assert_eq!(reply(&python, code).await, expect, "{code}");
    }
    let output = cell(&python, "open('half.txt', 'w').write('x')\nprint('before')\nf(1)").await.unwrap();
    assert!(output.failed && output.attachments.len() == 1, "what it made is there");
    let error = output.text;
    assert!(error.starts_with("before\nTraceback") && error.contains("f(1)") && error.contains("TypeError"), "{error}");
}

#[tokio::test]
async fn the_granted_folder_is_there_and_is_never_changed() {
    let (world, python) = (world(), notebook(&world()));
    let read = "import csv, os\nprint(os.getcwd(), sorted(os.listdir()))\nsum(int(row['people']) for row in csv.DictReader(open('data.csv')))";
    assert_eq!(reply(&python, read).await, "/mnt/data ['data.csv', 'secret']\n990");
    let change = "open('data.csv', 'a').write('Bodo,50\\n')\nopen('/mnt/data/new/../x.txt', 'w').write('x')\nprint(open('data.csv').read().count('\\n'))";
    let output = cell(&python, &format!("import os\nos.mkdir('new')\n{change}")).await.unwrap();
    assert_eq!(output.text, "4\n");
    let made: Vec<_> = output.attachments.iter().map(|file| (file.name.as_str(), file.media_type.as_str())).collect();
    assert_eq!(made, [("data.csv", "text/csv"), ("x.txt", "text/plain")]);
    assert!(output.attachments[0].data.ends_with(b"Bodo,50\n"));
    assert_eq!(world.disk.read(Path::new("/here/data.csv"), 99).unwrap().len(), 32, "the user's file is as it was");
    // Changed and removed, the user's own is seen again.
    assert_eq!(reply(&python, "os.remove('data.csv')\nprint(open('data.csv').read().count('\\n'))").await, "3\n");
    let refused = reply(&python, "os.remove('data.csv')").await;
    assert!(refused.contains("PermissionError") && refused.ends_with("cannot be removed from here]"), "{refused}");
    assert!(cell(&python, "1").await.unwrap().attachments.is_empty(), "nothing was written");
}

#[tokio::test]
async fn what_policy_denies_is_denied_to_code_too() {
    let python = notebook(&world());
    for code in
        ["open('secret/key').read()", "open('/mnt/data/secret/../secret/key').read()", "open('secret/key', 'a')"]
    {
        let text = reply(&python, code).await;
        assert!(text.contains("PermissionError") && text.contains("`hidden`") && !text.contains("hunter2"), "{text}");
    }
    for code in [
        "open('/etc/passwd').read()",
        "open('../etc/passwd').read()",
        "open('/mnt/data/../../etc/passwd').read()",
        "open('/here/data.csv').read()",
        "open('/proc/self/environ').read()",
        "import os\nos.listdir('/')",
        "os.symlink('/etc/passwd', 'link')",
        "os.fork()",
        "import socket\nsocket.create_connection(('127.0.0.1', 22))",
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1')",
        "import subprocess\nsubprocess.run(['ls'])",
        "import ctypes\nctypes.CDLL(None)",
        "import threading\nthreading.Thread(target=print).start()",
    ] {
        let text = reply(&python, code).await;
        assert!(text.contains("Error"), "{code}: {text}");
        assert_eq!(reply(&python, "1 + 1").await, "2", "after {code}");
    }
}

#[tokio::test]
async fn files_are_files() {
    let python = notebook(&world());
    let code = "
import os, pathlib, shutil, tempfile, sqlite3, zipfile, json
p = pathlib.Path('/mnt/data')
(p / 'a' / 'b').mkdir(parents=True)
(p / 'a' / 'b' / 'c.txt').write_text('one')
with open('a/b/c.txt', 'r+') as f:
    f.seek(2); f.write('X'); f.truncate(3)
assert (p / 'a/b/c.txt').read_text() == 'onX'
os.rename('a/b', 'a/d')
assert [x.name for x in (p / 'a').iterdir()] == ['d'] and not os.path.exists('a/b')
try:
    os.rmdir('a'); assert False
except OSError: pass
shutil.copytree('a', 'z'); shutil.rmtree('a')
assert os.path.getsize('z/d/c.txt') == 3
with tempfile.TemporaryFile() as f:
    f.write(b'x' * 1000); f.seek(0); assert len(f.read()) == 1000
db = sqlite3.connect('t.db'); db.execute('create table t(x)'); db.execute('insert into t values (7)'); db.commit()
assert sqlite3.connect('t.db').execute('select x from t').fetchone() == (7,)
with zipfile.ZipFile('t.zip', 'w') as z: z.write('data.csv')
assert zipfile.ZipFile('t.zip').read('data.csv').startswith(b'city')
with open('data.csv', 'rb') as f:
    f.seek(-4, 2); assert f.read() == b'290\\n'
for wrong in ['nope', 'data.csv/x', 'x' * 300]:
    try:
        open(wrong); assert False
    except OSError: pass
'fine'";
    let output = cell(&python, code).await.unwrap();
    assert_eq!(output.text, "'fine'");
    let names: Vec<_> = output.attachments.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["t.db", "t.zip", "z/d/c.txt"]);
}

#[tokio::test]
async fn hostile_cells_end_and_the_next_one_works() {
    let python = notebook(&world()).with_limit(2);
    let caught = "while True:\n    try:\n        while True: pass\n    except BaseException: pass";
    for (code, expect) in [
        (caught, "stopped after 2s"),
        ("9**9**9", "stopped after 2s"),
        ("import re\nre.match('(a+)+$', 'a' * 60 + 'b')", "stopped after 2s"),
        ("import time\ntime.sleep(3600)", "stopped after 2s"),
        ("'a' * 10**10", "OverflowError"),
        ("'a' * (2**31 - 100)", "MemoryError"),
        ("x = []\nwhile True: x.append(bytes(10**6))", "MemoryError"),
        ("def f(): f()\nf()", "RecursionError"),
        ("import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()", ""),
        ("x = []\nfor _ in range(10**5): x = [x]\nrepr(x)", ""),
        ("import json\njson.loads('[' * 10**6)", ""),
        ("import os\nos._exit(3)", ""),
        ("import sys\nsys.exit(3)", ""),
        ("import os\nos.abort()", ""),
        ("print('x' * 10**8)", ""),
        ("import builtins\nbuiltins.compile = builtins.exec = builtins.eval = builtins.print = None", ""),
        ("import sys\nsys.stdout = sys.stderr = None\nsys.modules.clear()", ""),
        ("import sys, gc\nsys.settrace(lambda *a: 1 / 0)\ngc.disable()", ""),
        ("class E(Exception):\n    def __str__(self): raise self\nraise E", ""),
        ("class R:\n    def __repr__(self): raise SystemExit\nR()", ""),
        ("import signal\nsignal.raise_signal(signal.SIGINT)", ""),
        ("open('/mnt/data/big', 'wb').write(bytes(200 * 10**6))", "are full: cells may keep 128 MiB there"),
        ("for n in range(10**6): open(f'/tmp/{n}', 'w')", ""),
        ("f = [open('/tmp/one', 'w') for _ in range(10**5)]", ""),
        ("\0", ""),
        ("\u{feff}1", ""),
        ("x = 1\n  y", "IndentationError"),
    ] {
        let started = Instant::now();
        let text = reply(&python, code).await;
        assert!(text.contains(expect), "{code}: {text}");
        assert!(text.len() < 200_000, "{code}: {} bytes", text.len());
        assert!(started.elapsed() < Duration::from_secs(30), "{code}");
        let next = reply(&python, "1 + 1").await;
        assert!(next == "2" || next.ends_with("\n2"), "after {code}: {next}");
    }
}

#[tokio::test]
async fn a_cell_that_nobody_waits_for_takes_the_interpreter_with_it_and_the_next_one_says_so() {
    let python = notebook(&world());
    assert_eq!(reply(&python, "x = 1\nopen('kept', 'w').write('k')").await, "1");
    let long = tokio::time::timeout(Duration::from_millis(200), reply(&python, "while True: pass")).await;
    assert!(long.is_err(), "the caller went away");
    let text = reply(&python, "print(open('kept').read())\nx").await;
    assert!(text.starts_with("[the interpreter was started anew") && text.contains("\nk\n"), "{text}");
    assert!(text.contains("NameError"), "{text}");
    assert_eq!(reply(&python, "1").await, "1");
    let text = reply(&python.with_limit(1), "while True: pass").await;
    assert!(text.contains("variables and imports are gone, files in /mnt/data are not"), "{text}");
}

/// Each cell of `tools/python/tests/probes.toml`: what people expect of the language and of its library.
#[tokio::test]
async fn the_language_and_its_library_are_there() {
    #[derive(serde::Deserialize)]
    struct Probes {
        probe: Vec<Probe>,
    }
    #[derive(serde::Deserialize)]
    struct Probe {
        /// A cell that runs first, in the same interpreter.
        before: Option<String>,
        code: String,
        expect: Option<String>,
        contains: Option<String>,
    }
    let Probes { probe: probes } = toml::from_str(include_str!("../../../tools/python/tests/probes.toml")).unwrap();
    assert!(probes.len() >= 200);
    let mut wrong = Vec::new();
    let python = notebook(&world());
    for Probe { before, code, expect, contains } in &probes {
        // Each in an interpreter of its own, in an empty folder.
        let mut session = python.session.lock().await;
        (session.interpreter, session.is_used) = (None, false);
        session.drive = Arc::new(StdMutex::new(Drive::new([])));
        drop(session);
        if let Some(before) = before {
            reply(&python, before).await;
        }
        let text = reply(&python, code).await;
        let is_right = expect.as_ref().is_none_or(|expect| text.trim_end() == expect.trim_end())
            && contains.as_ref().is_none_or(|part| text.contains(part));
        if !is_right {
            wrong.push(format!("{code}\n  gave {text}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), probes.len(), wrong.join("\n"));
}
