//! What `run` and `chat` share: an agent from the flags, and Ctrl-C that stops a turn first and the program then.

use super::approve::approver;
use super::args;
use super::report::{Failure, exit};
use super::screen::{Ink, Screen};
use crate::agent::{Agent, Answer, EventSink};
use crate::config::{self, Paths, Settings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The flags over the configuration file, and the folders.
pub(super) fn settings(flags: &args::Session) -> Result<(Settings, Paths), Failure> {
    let paths = Paths::from_environment()?;
    let folder = std::env::current_dir().map_err(|error| {
        Failure::usage(format!("the working folder cannot be used: {error}")).help("go to another, or use -C")
    })?;
    let settings = Settings { folder: Some(folder), ..flags.settings() }.or_file(&paths)?;
    Ok((settings, paths))
}

/// Loads the model and opens a session.
pub(super) async fn open(
    settings: Settings,
    paths: &Paths,
    approve: args::Approve,
    screen: &Screen,
) -> Result<Agent, Failure> {
    let model = settings.model.as_ref().map_or("the embedded model".into(), |folder| folder.display().to_string());
    screen.wait(&format!("loading {model}"));
    let opened = tokio::select! {
        opened = config::open(settings, paths, approver(approve, screen)) => opened,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            screen.settle();
            return Err(Failure::interrupted());
        }
    };
    screen.settle();
    let agent = opened?;
    if let Some(notice) = &agent.model().notice {
        screen.say(Ink::Dim, notice);
    }
    Ok(agent)
}

/// One turn that the first Ctrl-C stops; the second ends the program.
pub(super) async fn ask(
    agent: &mut Agent,
    text: &str,
    events: &mut dyn EventSink,
    screen: &Screen,
) -> Result<Answer, Failure> {
    let cancel = CancellationToken::new();
    let watcher = Watcher(tokio::spawn({
        let (cancel, screen) = (cancel.clone(), screen.clone());
        async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                cancel.cancel();
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                screen.settle();
                // The journal is safe at any moment; what hangs is left behind.
                std::process::exit(exit::INTERRUPTED.into());
            }
        }
    }));
    let answer = agent.ask(text, events, cancel).await;
    drop(watcher);
    screen.settle();
    Ok(answer?)
}

/// Stops listening when the turn is over.
struct Watcher(JoinHandle<()>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}
