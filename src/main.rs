//! The program: argv in, exit code out. The edges meet here.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ossicle::cli::main(ossicle::server::mcp::serve))
}
