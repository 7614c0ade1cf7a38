//! The mock server as a program, for clients that are not ours: `mock_openai [--port N]` prints what to set, and runs
//! until Ctrl-C. The server itself is in `mod.rs`.

#[path = "mod.rs"]
mod mock;

use mock::{KEY, Mock};
use std::process::ExitCode;

fn port() -> Result<u16, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Ok(0),
        ["--port", port] => port.parse().map_err(|_| format!("`{port}` is no port: give a number up to 65535")),
        _ => Err("usage: mock_openai [--port N]".into()),
    }
}

fn main() -> ExitCode {
    let started = port().and_then(|port| Mock::start(port).map_err(|error| format!("it cannot listen there: {error}")));
    let mock = match started {
        Ok(mock) => mock,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    println!("OPENAI_BASE_URL={} OPENAI_API_KEY={KEY}", mock.url());
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("it cannot wait for Ctrl-C: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Whatever the wait ends with, the server ends too.
    let _ = runtime.block_on(tokio::signal::ctrl_c());
    let store = mock.store();
    println!("{} requests, {} charged", store.requests().len(), store.charged().len());
    ExitCode::SUCCESS
}
