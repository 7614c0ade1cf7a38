//! `ossicle chat`: a conversation, and the commands that begin with a slash.

use super::args::{self, Effort};
use super::cloud;
use super::editor::{Editor, Line};
use super::meanwhile::Meanwhile;
use super::report::{Failure, ended};
use super::screen::{Ink, Screen};
use super::session;
use crate::agent::{Agent, TurnEnd};
use crate::config::{Paths, Settings};
use clap::ValueEnum;

/// The slash commands: what to type, and what it does.
pub(super) const COMMANDS: [(&str, &str); 7] = [
    ("/help", "this list"),
    ("/tools", "the tools that the model can call"),
    ("/status", "the session, and what it has used"),
    ("/cost", "what hosted models have cost, and the limits"),
    ("/new", "start a new session"),
    ("/effort", "low, medium or high: how long the model may think, from a new session on"),
    ("/quit", "leave; Ctrl-D does it too"),
];

struct Chat {
    screen: Screen,
    settings: Settings,
    paths: Paths,
    approve: args::Approve,
}

/// What comes after a line.
enum Next {
    /// The next line.
    Go,
    /// A new session.
    New,
    Leave,
}

pub(super) async fn chat(flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let (settings, paths) = session::settings(flags)?;
    let mut chat = Chat { screen: screen.clone(), settings, paths, approve: flags.approve };
    let mut editor = Editor::open((!chat.settings.ephemeral).then(|| chat.paths.history()), screen)?;
    let session = chat.open().await?;
    chat.greet(&session.agent);
    let mut meanwhile = Meanwhile::new(chat.settings.clone(), chat.paths.clone());
    let ended = chat.converse(&mut editor, session, &mut meanwhile).await;
    // However it ends: what is being paid for is waited for.
    if meanwhile.is_busy() {
        screen.say(Ink::Dim, "something that waited is just being done; Ctrl-C leaves at once");
    }
    for news in meanwhile.finish().await {
        screen.say(Ink::Green, &news);
    }
    ended
}

impl Chat {
    /// Line after line, until the user leaves.
    async fn converse(
        &mut self,
        editor: &mut Editor,
        mut session: session::Open,
        meanwhile: &mut Meanwhile,
    ) -> Result<(), Failure> {
        let mut interrupted = false;
        loop {
            for news in meanwhile.look(&session.agent).await {
                self.screen.say(Ink::Green, &news);
            }
            // The editor blocks its thread until the line is complete.
            let line = tokio::task::block_in_place(|| editor.line())?;
            let next = match line {
                Line::Typed(line) if line.trim().is_empty() => Next::Go,
                Line::Typed(line) if line.trim() == "/cost" => self.cost(&session.agent).await?,
                Line::Typed(line) if line.starts_with('/') => self.command(line.trim(), &session.agent),
                Line::Typed(line) => self.turn(&mut session.agent, &line).await?,
                Line::Interrupted if interrupted => Next::Leave,
                Line::Interrupted => {
                    self.screen.say(Ink::Dim, "Ctrl-C again, or Ctrl-D, leaves.");
                    interrupted = true;
                    continue;
                }
                Line::Ended => Next::Leave,
            };
            interrupted = false;
            match next {
                Next::Go => {}
                Next::New => {
                    // The old model is given back before the new one is loaded.
                    session.close().await;
                    session = self.open().await?;
                    self.greet(&session.agent);
                }
                Next::Leave => {
                    session.close().await;
                    return Ok(());
                }
            }
        }
    }

    async fn open(&self) -> Result<session::Open, Failure> {
        session::open(self.settings.clone(), &self.paths, self.approve, &self.screen).await
    }

    fn greet(&self, agent: &Agent) {
        let model = &agent.model().name;
        let n_tools = agent.toolbox().iter().count();
        let line = format!("ossicle {} · {model} · {n_tools} tools · /help", env!("CARGO_PKG_VERSION"));
        self.screen.say(Ink::Bold, &line);
    }

    async fn turn(&self, agent: &mut Agent, line: &str) -> Result<Next, Failure> {
        let answer = match session::ask(agent, line, line, &mut self.screen.clone(), &self.screen).await {
            Ok(answer) => answer,
            Err(failure) => {
                // The session is still usable; the next line may fare better.
                self.screen.raw(&failure.render(self.screen.colour(), super::screen::terminal_width()));
                return Ok(Next::Go);
            }
        };
        self.screen.answer(&answer.text)?;
        match ended(answer.end) {
            _ if answer.end == TurnEnd::Cancelled => self.screen.say(Ink::Yellow, "stopped; the session goes on"),
            // In a conversation the model's own words about a denial are enough.
            Some(failure) if answer.end != TurnEnd::Denied => self.screen.say(Ink::Yellow, &failure.to_string()),
            _ => {}
        }
        Ok(Next::Go)
    }

    fn command(&mut self, line: &str, agent: &Agent) -> Next {
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match (name, argument.trim()) {
            ("/help", _) => {
                for (name, what) in COMMANDS {
                    self.screen.say(Ink::Plain, &format!("{name:<9} {what}"));
                }
                self.screen.say(
                    Ink::Dim,
                    "A line that ends in \\ goes on, so does one with an open ```; Alt-Enter breaks a line.",
                );
            }
            ("/tools", _) => {
                for tool in agent.toolbox().iter() {
                    let spec = tool.spec();
                    let first = spec.description.lines().next().unwrap_or_default();
                    self.screen
                        .say(Ink::Plain, &format!("{:<16} {:<6} {first}", spec.id.to_string(), spec.effect.as_str()));
                }
            }
            ("/status", _) => self.status(agent),
            ("/new", "") => return Next::New,
            ("/effort", word) => match Effort::from_str(word, true) {
                Ok(effort) => {
                    self.settings.reasoning_effort = Some(effort.resolve());
                    self.screen.say(Ink::Dim, "A new session, because the effort stands in a session's first words.");
                    return Next::New;
                }
                Err(_) => self.screen.say(Ink::Yellow, "/effort low, /effort medium or /effort high"),
            },
            ("/quit", _) => return Next::Leave,
            _ => self.screen.say(Ink::Yellow, &format!("there is no command {name}; /help lists them")),
        }
        Next::Go
    }

    async fn cost(&self, agent: &Agent) -> Result<Next, Failure> {
        for line in cloud::budget(&self.settings, &self.paths, agent.session_id()).await? {
            self.screen.say(Ink::Plain, &line);
        }
        Ok(Next::Go)
    }

    fn status(&self, agent: &Agent) {
        let (model, usage) = (agent.model(), agent.usage());
        let effort = self.settings.reasoning_effort.unwrap_or_default().as_str();
        let kept = if self.settings.ephemeral {
            "not kept".to_owned()
        } else {
            format!("kept in {}", self.paths.journal().display())
        };
        let policy = self.settings.policy.as_ref().map_or("default".into(), |path| path.display().to_string());
        for line in [
            format!("session    {} ({kept})", agent.session_id()),
            format!(
                "model      {}, {:.1} million parameters, context {}",
                model.name,
                model.n_parameters as f64 / 1e6,
                model.context_length
            ),
            format!("effort     {effort}"),
            format!("policy     {policy}"),
            format!(
                "used       {} tokens read ({} of them from the cache), {} written, {} calls",
                usage.prompt_tokens, usage.reused_tokens, usage.generated_tokens, usage.n_calls
            ),
        ] {
            self.screen.say(Ink::Plain, &line);
        }
    }
}
