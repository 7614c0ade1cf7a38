//! The program: argv in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ossicle::cli::main())
}
