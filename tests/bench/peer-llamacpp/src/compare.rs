//! Ours and the peer in turn, in the same minutes: each round starts every program once, alone, since two models of
//! 20b do not fit in memory together. What it is not: it measures nothing itself; each program times its own work and
//! prints one JSON object. Start at [`compare`].

use crate::run::Settings;
use crate::table::{Rounds, render};
use crate::{Failure, machine};
use clap::ValueEnum;
use serde_json::{Map, Value};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Folders within folders that are followed when files are warmed.
const MAX_DEPTH: usize = 8;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The GGUF file that the peer is measured on.
    #[arg(long)]
    model: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// A build of the peer, with a name for its column; the option may be repeated. This very program when left out.
    #[arg(long, value_name = "NAME=PROGRAM", value_parser = build)]
    peer: Vec<(String, PathBuf)>,
    /// How often each is measured. No round is dropped.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// A file or folder that our program reads, brought into the page cache before each run; it may be repeated.
    #[arg(long, value_name = "PATH")]
    warm: Vec<PathBuf>,
    /// Our program with its arguments: `-- ossicle bench --json --model DIR`. Without it only the peer is measured.
    #[arg(last = true)]
    ours: Vec<OsString>,
}

fn build(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("expected NAME=PROGRAM, for example avx2=./peer-llamacpp")?;
    Ok((name.into(), path.into()))
}

/// A program that measures itself.
struct Program {
    command: Vec<OsString>,
    /// What it reads.
    warm: Vec<PathBuf>,
    rounds: Rounds,
}

impl Program {
    fn new(name: &str, command: Vec<OsString>, warm: Vec<PathBuf>) -> Self {
        Self { command, warm, rounds: Rounds { name: name.into(), results: Vec::new() } }
    }
}

/// Runs all rounds, shows each result on stderr as it comes, and prints the table on stdout.
pub(crate) fn compare(options: &Options) -> Result<(), Failure> {
    let processor = machine::processor()?;
    let mut programs = programs(options)?;
    measure(&mut programs, options.rounds)?;
    let mut rounds: Vec<Rounds> = programs.into_iter().map(|program| program.rounds).collect();
    let ours = (!options.ours.is_empty()).then(|| rounds.remove(0));
    println!("{processor}");
    for rounds in ours.iter().chain(&rounds) {
        let system = rounds.results.last().and_then(|result| result.get("system")?.as_str());
        system.into_iter().for_each(|system| println!("{}: {system}", rounds.name));
    }
    println!("{} rounds in turn: median (lowest to highest)\n", options.rounds);
    print!("{}", render(ours.as_ref(), &rounds));
    Ok(())
}

fn measure(programs: &mut [Program], n_rounds: u32) -> Result<(), Failure> {
    for round in 0..n_rounds {
        // Each begins in its turn: what drifts within a round favours nobody.
        let first = round as usize % programs.len().max(1);
        programs.rotate_left(first);
        for program in &mut *programs {
            program.warm.iter().try_for_each(|path| warm(path, MAX_DEPTH))?;
            let result = measured(&program.command)?;
            let shown = Value::Object(result.clone());
            eprintln!("round {} of {n_rounds}, {}: {shown}", round + 1, program.rounds.name);
            program.rounds.results.push(result);
        }
        programs.rotate_right(first);
    }
    Ok(())
}

/// Ours first, where there is one.
fn programs(options: &Options) -> Result<Vec<Program>, Failure> {
    let mut programs = Vec::new();
    if !options.ours.is_empty() {
        programs.push(Program::new("ours", options.ours.clone(), options.warm.clone()));
    }
    let itself = || std::env::current_exe().map_err(Failure::read(Path::new("/proc/self/exe")));
    let builds = match options.peer.as_slice() {
        [] => vec![("llama.cpp".into(), itself()?)],
        builds => builds.to_vec(),
    };
    for (name, path) in builds {
        let mut command = vec![path.into_os_string(), "run".into()];
        command.extend(arguments(options));
        programs.push(Program::new(&name, command, vec![options.model.clone()]));
    }
    Ok(programs)
}

/// What a build of the peer is asked to do.
fn arguments(options: &Options) -> Vec<OsString> {
    let settings = &options.settings;
    let what = settings.what.iter().filter_map(ValueEnum::to_possible_value);
    let what: Vec<String> = what.map(|value| value.get_name().to_owned()).collect();
    let mut arguments = vec!["--json".into(), "--what".into(), what.join(",").into()];
    if let Some(n_threads) = settings.threads {
        arguments.extend(["--threads".into(), n_threads.to_string().into()]);
    }
    arguments.extend(settings.no_mmap.then(|| "--no-mmap".into()));
    arguments.extend(["--".into(), options.model.clone().into_os_string()]);
    arguments
}

/// Runs a program to its end; its stderr is ours.
fn measured(command: &[OsString]) -> Result<Map<String, Value>, Failure> {
    let failed = |problem: String| {
        let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
        Failure::Child { command: words.join(" "), problem }
    };
    let Some((program, arguments)) = command.split_first() else { return Err(failed("no program is named".into())) };
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = child.map_err(|error| failed(format!("cannot be started: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("ended with {}", output.status)));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| failed(format!("expected one JSON object on its stdout: {error}")))
}

/// Reads a file, or all files below a folder, into the page cache.
fn warm(path: &Path, depth: usize) -> Result<(), Failure> {
    let entries = || -> io::Result<Vec<PathBuf>> { fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect() };
    if path.is_dir() {
        let entries = if depth == 0 { Vec::new() } else { entries().map_err(Failure::read(path))? };
        return entries.iter().try_for_each(|entry| warm(entry, depth - 1));
    }
    let mut buffer = vec![0; 1 << 20];
    let read = File::open(path).and_then(|mut file| {
        while file.read(&mut buffer)? > 0 {}
        Ok(())
    });
    read.map_err(Failure::read(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Map<String, Value>, String> {
        measured(&["sh", "-c", script].map(OsString::from)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_program_that_does_not_print_one_object_is_named_with_what_is_wrong() {
        assert_eq!(shell(r#"echo '{"load_s": 1.5}'; echo loaded >&2"#).unwrap()["load_s"], 1.5);
        for (script, problem) in [
            ("echo '{}'; exit 3", "exit status: 3"),
            ("true", "expected one JSON object"),
            ("echo '[1]'", "expected one JSON object"),
            ("echo '{} {}'", "expected one JSON object"),
            ("kill -9 $$", "signal: 9"),
        ] {
            let error = shell(script).unwrap_err();
            assert!(error.starts_with("sh -c ") && error.contains(problem), "{error}");
        }
        let missing = measured(&["./no-such-program".into()]).unwrap_err().to_string();
        assert!(missing.contains("cannot be started"), "{missing}");
        assert!(measured(&[]).is_err());
    }

    #[test]
    fn each_program_begins_in_its_turn_and_none_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        // It writes its name and its arguments, and prints a result.
        let program = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, format!("echo {name} $* >> {}; echo '{{\"load_s\": 1}}'", log.display())).unwrap();
            path
        };
        let script = |name: &str| ["sh".into(), program(name).into_os_string()];
        let mut programs = vec![
            Program::new("ours", script("ours").to_vec(), vec![folder.path().into()]),
            Program::new("avx2", script("avx2").to_vec(), Vec::new()),
        ];
        measure(&mut programs, 3).unwrap();
        let order = fs::read_to_string(&log).unwrap();
        assert_eq!(order.split_whitespace().collect::<Vec<_>>(), ["ours", "avx2", "avx2", "ours", "ours", "avx2"]);
        let counts = programs.iter().map(|program| (program.rounds.name.as_str(), program.rounds.results.len()));
        assert_eq!(counts.collect::<Vec<_>>(), [("ours", 3), ("avx2", 3)]);
    }

    #[test]
    fn the_peer_is_asked_for_what_was_asked_for() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            options: Options,
        }
        let parse = |line: &str| <Line as clap::Parser>::try_parse_from(line.split(' ')).map(|line| line.options);
        let options = parse("x --model -m --what load,decode4k --threads 2 --peer a=b/c -- ours --json").ok();
        assert!(options.is_none(), "a model that looks like an option is refused");
        for (line, command) in [
            ("x --model m --what load,decode4k --peer a=b/c", "b/c run --json --what load,decode4k -- m"),
            (
                "x --model m --threads 2 --no-mmap --peer a=b --peer c=d -- o --json",
                "b run --json --what load,decode,prefill512,prefill2048,memory --threads 2 --no-mmap -- m",
            ),
        ] {
            let programs = programs(&parse(line).unwrap()).unwrap();
            let commands = programs.iter().map(|program| program.command.join(" ".as_ref()));
            assert!(commands.into_iter().any(|other| other == command), "{line}");
        }
        for line in ["x --model m --peer b", "x --model m --rounds 0", "x --model m --what all", "x -- o"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_is_warmed_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/model"), "weights").unwrap();
        warm(folder.path(), MAX_DEPTH).unwrap();
        let error = warm(&folder.path().join("a/none"), MAX_DEPTH).unwrap_err().to_string();
        assert!(error.starts_with("cannot read ") && error.contains("none"), "{error}");
    }
}
