//! `ossicle mcp-server`: the tools for other programs, on stdin and stdout.
//!
//! What it is not: the server; edges do not know one another, so `main.rs` brings it along.

use super::approve::approver;
use super::report::{Failure, exit};
use super::screen::{Ink, Screen};
use super::{args, session};
use crate::config::{self, Counter};
use std::io;
use std::pin::Pin;

/// Serves tools on stdin and stdout until the other side has gone.
pub type ServeMcp = fn(Counter) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

pub(super) async fn mcp_server(flags: &args::Session, serve: ServeMcp, screen: &Screen) -> Result<(), Failure> {
    // Stdout is the protocol's alone, and so is stdin: nobody can be asked.
    screen.give_up_stdout();
    let approve = match flags.approve {
        args::Approve::Ask | args::Approve::Never => args::Approve::Never,
        args::Approve::Always => args::Approve::Always,
    };
    let (mut settings, paths) = session::settings(flags)?;
    // What costs money is offered to others only when it is named.
    settings.tools.get_or_insert_with(|| vec!["all".into(), "-cloud".into()]);
    // The tools of MCP servers are not ours to offer; and one of them may be this very program.
    let (counter, warnings) = config::counter(&settings, &paths, approver(approve, screen), None).await?;
    for warning in warnings {
        screen.say(Ink::Yellow, &format!("warning: {warning}"));
    }
    serve(counter).await.map_err(|error| Failure::new(exit::FAILURE, format!("the MCP server stopped: {error}")))
}
