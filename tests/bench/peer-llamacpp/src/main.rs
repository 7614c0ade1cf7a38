//! llama.cpp as the peer of our engine: `make` writes a model of random weights, `run` measures llama.cpp on one,
//! `compare` measures both programs in turn. It is no part of Ossicle and no user needs it. Start at [`Command`];
//! README.md has the two builds.

mod compare;
mod gguf;
mod machine;
mod make;
mod run;
mod table;

use clap::{Parser, Subcommand};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// llama.cpp beside Ossicle's own engine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a GGUF file in the shapes of gpt-oss-20b, with random weights.
    Make(make::Options),
    /// Measure llama.cpp on a model.
    Run(run::Options),
    /// Measure llama.cpp and another program in turn, and print medians and ratios.
    Compare(compare::Options),
}

/// Why a measurement ends without a result.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The system would not let a file be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// llama.cpp refused; its own words are on the screen when `--verbose` is given.
    #[error("llama.cpp could not {action}: {reason}; add --verbose to see what it says itself")]
    Peer {
        /// What was asked of it.
        action: &'static str,
        reason: String,
    },
    /// A program that was to measure did not.
    #[error("{command}: {problem}")]
    Child {
        /// As it was started.
        command: String,
        problem: String,
    },
}

impl Failure {
    fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action: "read", path: path.into(), source }
    }

    fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action: "write", path: path.into(), source }
    }
}

fn main() -> ExitCode {
    let started = Instant::now();
    let outcome = match Arguments::parse().command {
        Command::Make(options) => make::make(&options),
        Command::Run(options) => run::run(&options, started),
        Command::Compare(options) => compare::compare(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
