//! `ossicle tool call`: one call of a tool by its user, through the gate that a model's calls go through.
//!
//! Its result alone is on stdout. What the policy wants asked is asked, and the journal has the call.

use super::approve::approver;
use super::report::{Failure, exit};
use super::screen::{Ink, Screen};
use super::{args, session, terminal};
use crate::agent::{CallOutcome, Kept};
use crate::config;
use crate::tool::Progress;
use crate::tool::mcp::PACKAGE;
use std::borrow::Cow;
use std::io::{self, Write};
use tokio_util::sync::CancellationToken;

pub(super) async fn call(tool: &str, arguments: &str, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let (mut settings, paths) = session::settings(flags)?;
    settings.tools.get_or_insert_with(|| vec!["all".into()]);
    let approver = approver(flags.approve, screen);
    let (counter, warnings) = config::counter(&settings, &paths, approver, server_of(tool)).await?;
    for warning in warnings {
        screen.say(Ink::Yellow, &format!("warning: {warning}"));
    }
    let arguments = &typed_or_piped(arguments)?;
    let registered = counter.toolbox.named(tool).ok_or_else(|| {
        Failure::usage(format!("there is no tool {tool}")).help("`ossicle tool list` names those that there are")
    })?;
    let shown = screen.clone();
    let progress = Progress::to(move |words| shown.wait(&terminal::line(words)));
    let called = counter.caller.call(1, registered, arguments, &CancellationToken::new(), progress).await;
    screen.settle();
    counter.servers.close().await;
    let called = called.map_err(config::ConfigError::from)?;
    // What the model would read begins so; here the program says it in its own way.
    let text = called.text.strip_prefix("error: ").unwrap_or(&called.text).to_owned();
    match called.outcome {
        CallOutcome::Ok => {
            let text = terminal::block(&called.text);
            writeln!(io::stdout(), "{}", text.trim_end_matches('\n'))?;
            for Kept { file, path } in &called.attachments {
                screen.state().picture(file);
                let kept = path.as_ref().map(|path| path.display().to_string()).filter(|path| !text.contains(path));
                if let Some(path) = kept {
                    screen.say(Ink::Dim, &terminal::line(&format!("{}  {path}", file.name)));
                }
            }
            Ok(())
        }
        // What code printed and its traceback are read as they are.
        CallOutcome::Error if registered.is_builtin() => {
            screen.say(Ink::Plain, text.trim_end_matches('\n'));
            called.attachments.iter().for_each(|kept| screen.state().picture(&kept.file));
            Err(Failure::said(exit::FAILURE))
        }
        CallOutcome::Denied => Err(Failure::new(exit::DENIED, text)),
        CallOutcome::Error | CallOutcome::Cancelled => Err(Failure::new(exit::FAILURE, text)),
    }
}

/// What was typed, or what stdin holds when that is `-`.
fn typed_or_piped(arguments: &str) -> io::Result<Cow<'_, str>> {
    if arguments != "-" {
        return Ok(arguments.into());
    }
    io::read_to_string(io::stdin()).map(Cow::from)
}

/// The MCP server whose tool this is, by either of its names.
fn server_of(tool: &str) -> Option<&str> {
    let rest = tool.strip_prefix(PACKAGE)?;
    let end = rest.find('.').or_else(|| rest.find("__")).unwrap_or(rest.len());
    Some(&rest[..end])
}
