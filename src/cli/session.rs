//! What `run` and `chat` share: an agent from the flags, and Ctrl-C that stops a turn first and the program then.

use super::approve::{approver, somebody_is_there};
use super::args;
use super::report::{Failure, exit};
use super::screen::{Ink, Screen};
use crate::agent::{Agent, Answer, EventSink};
use crate::config::{self, Paths, Settings};
use crate::engine::models::Source;
use crate::policy::Principal;
use crate::tool;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

/// What a run is called whose owner did not name it, and in which nobody can be asked.
const UNNAMED: &str = "unnamed";

/// The flags over the configuration file, and the folders.
pub(super) fn settings(flags: &args::Session) -> Result<(Settings, Paths), Failure> {
    let paths = Paths::from_environment()?;
    let folder = std::env::current_dir().map_err(|error| {
        Failure::usage(format!("the working folder cannot be used: {error}")).help("go to another, or use -C")
    })?;
    let principal = flags.principal.clone().unwrap_or_else(|| match somebody_is_there() {
        true => Principal::Interactive,
        false => Principal::Automation(UNNAMED.into()),
    });
    let model = flags.model.as_ref().map(|word| Source::wanted(word, Path::new(""), paths.places()));
    let settings = Settings { model, folder: Some(folder), principal, ..flags.settings() }.or_file(&paths)?;
    Ok((settings, paths))
}

/// A session, and what has to be ended with it.
pub(super) struct Open {
    pub(super) agent: Agent,
    servers: config::Connected,
}

impl Open {
    /// Ends it.
    pub(super) async fn close(self) {
        drop(self.agent);
        self.servers.close().await;
    }
}

/// Loads the model and opens a session.
pub(super) async fn open(
    settings: Settings,
    paths: &Paths,
    approve: args::Approve,
    screen: &Screen,
) -> Result<Open, Failure> {
    screen.wait(&format!("loading {}", settings.model.clone().unwrap_or_default()));
    let opened = config::open(settings, paths, approver(approve, screen), preparing(screen)).await;
    screen.settle();
    let config::Opened { agent, warnings, servers } = opened?;
    for warning in warnings {
        screen.say(Ink::Yellow, &format!("warning: {warning}"));
    }
    if let Some(notice) = &agent.model().notice {
        screen.say(Ink::Dim, notice);
    }
    Ok(Open { agent, servers })
}

/// Shows that a model is being prepared: a bar, and where there is no terminal a line.
pub(super) fn preparing(screen: &Screen) -> config::Preparing {
    let screen = screen.clone();
    Arc::new(move |name, done, total| screen.fill(&format!("preparing {name} for this machine, once"), done, total))
}

/// One turn, which Ctrl-C stops, about a line of which the user `typed` so much.
pub(super) async fn ask(
    agent: &mut Agent,
    text: &str,
    typed: &str,
    events: &mut dyn EventSink,
    screen: &Screen,
) -> Result<Answer, Failure> {
    let cancel = CancellationToken::new();
    *running_turn() = Some(cancel.clone());
    let answer = agent.ask_about(text, typed, events, cancel).await;
    *running_turn() = None;
    screen.settle();
    Ok(answer?)
}

/// The turn that the next Ctrl-C stops. A process has one Ctrl-C, so this is the process's.
static TURN: Mutex<Option<CancellationToken>> = Mutex::new(None);

fn running_turn() -> MutexGuard<'static, Option<CancellationToken>> {
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The first Ctrl-C of a turn stops the turn; a second one, or one outside a turn, ends the program.
pub(super) async fn watch_interrupts(screen: Screen) {
    while tokio::signal::ctrl_c().await.is_ok() {
        let Some(turn) = running_turn().take() else {
            screen.settle();
            tool::mcp::kill_all();
            // The journal is safe at any moment; what hangs is left behind.
            std::process::exit(exit::INTERRUPTED.into());
        };
        turn.cancel();
    }
}
