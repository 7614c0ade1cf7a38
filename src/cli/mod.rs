//! The terminal's edge: arguments to commands, events to the screen, errors to exit codes.
//!
//! What it is not: it makes no decision about a call and holds no type of an engine or a tool; `config` makes the agent.
//! Start at [`main`]; each command is a file of its own: `run`, `chat`, `tools` and `develop`, `mcp`, `index`, `cloud`, `policy`,
//! `models` and `pull`, `bench`, `doctor`.

mod add;
mod approve;
mod args;
mod bench;
mod call;
mod chat;
mod cloud;
mod develop;
mod doctor;
mod editor;
mod events;
mod index;
mod mcp;
mod meanwhile;
mod models;
mod picture;
mod policy;
mod pull;
mod render;
mod report;
mod route;
mod run;
mod screen;
mod serve;
mod session;
mod terminal;
mod tools;

pub use serve::ServeMcp;

use crate::config;
use args::{Color, Command, CommandLine};
use clap::Parser;
use report::Failure;
use screen::Screen;
use tracing_subscriber::EnvFilter;

/// Runs the program with the process's arguments. Returns its exit code: 0 answered, 1 failure, 2 usage or configuration,
/// 3 a limit, 4 a denied call, 5 forbidden while offline, 6 no model, 7 an unfit answer, 130 interrupted. `serve_mcp` is the other edge, for `ossicle mcp-server`.
pub fn main(serve_mcp: ServeMcp) -> u8 {
    // Usage errors, help and version end here, with 2 or 0.
    let line = CommandLine::parse();
    match line.general.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    let screen = Screen::of_process();
    start_log(line.general.verbose, &screen);
    match start(&line, serve_mcp, &screen) {
        Ok(()) => report::exit::ANSWERED,
        Err(failure) => {
            screen.raw(&failure.render(screen.colour(), screen::terminal_width()));
            failure.code()
        }
    }
}

fn start(line: &CommandLine, serve_mcp: ServeMcp, screen: &Screen) -> Result<(), Failure> {
    if let Some(folder) = &line.general.folder {
        std::env::set_current_dir(folder).map_err(|error| {
            let failure = Failure::usage(format!("cannot work in {}: {error}", folder.display()));
            failure.help("give -C a folder that exists and that you may enter")
        })?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.spawn(session::watch_interrupts(screen.clone()));
    let result = runtime.block_on(command(line, serve_mcp, screen));
    // A thread that still blocks (a model being loaded when Ctrl-C came) must not hold up the end.
    runtime.shutdown_background();
    result
}

async fn command(line: &CommandLine, serve_mcp: ServeMcp, screen: &Screen) -> Result<(), Failure> {
    let flags = &line.session;
    match &line.command {
        None | Some(Command::Chat) => chat::chat(flags, screen).await,
        Some(Command::Run(run)) => run::run(run, flags, screen).await,
        Some(Command::Tool(command)) => tools::tool(command, flags, screen).await,
        Some(Command::McpServer) => serve::mcp_server(flags, serve_mcp, screen).await,
        Some(Command::Mcp(command)) => mcp::mcp(command, flags, screen).await,
        Some(Command::Route(args::Route::Explain { words })) => route::explain(words, flags).await,
        Some(Command::Policy(command)) => policy::policy(command, flags, screen),
        Some(Command::Cloud(command)) => cloud::cloud(command, flags, screen).await,
        Some(Command::Index(command)) => index::index(command, flags, screen).await,
        Some(Command::Models(args::Models::Pull(command))) => pull::pull(command, flags, screen).await,
        Some(Command::Models(command)) => models::models(command, flags, screen).await,
        Some(Command::Bench(command)) => bench::bench(command, flags, screen).await,
        Some(Command::Doctor) => doctor::doctor(flags).await,
    }
}

/// The log goes to stderr, past whatever is shown there. `-v` beats RUST_LOG, RUST_LOG beats the default.
fn start_log(verbose: u8, screen: &Screen) {
    let filter = match verbose {
        0 => EnvFilter::new(config::log_filter().as_deref().unwrap_or("warn")),
        1 => EnvFilter::new("warn,ossicle=info"),
        _ => EnvFilter::new("info,ossicle=debug"),
    };
    let screen = screen.clone();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(move || screen.clone());
    // It is set once; in tests somebody else may have been first.
    let _ = log.try_init();
}
