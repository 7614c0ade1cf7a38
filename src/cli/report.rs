//! Errors as people meet them: what happened, why, what to do, and the exit code. The only place that names miette.

use super::terminal;
use crate::agent::{AgentError, TurnEnd};
use crate::config::ConfigError;
use crate::engine::{EngineError, models::LoadError, models::pull::PullError};
use crate::journal::JournalError;
use crate::policy::PolicyError;
use crate::tool::browser::index::IndexError;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use std::error::Error;
use std::fmt;
use std::io;

/// The exit codes, a contract with scripts.
pub(super) mod exit {
    pub(crate) const ANSWERED: u8 = 0;
    pub(crate) const FAILURE: u8 = 1;
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const LIMIT: u8 = 3;
    pub(crate) const DENIED: u8 = 4;
    pub(crate) const OFFLINE: u8 = 5;
    pub(crate) const NO_MODEL: u8 = 6;
    pub(crate) const UNFIT: u8 = 7;
    pub(crate) const INTERRUPTED: u8 = 130;
}

/// Why the program ends without success.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    message: String,
    help: Option<String>,
    /// The errors below the message, from near to far.
    causes: Option<Box<Cause>>,
    /// A text that is wrong, and where.
    place: Option<Box<(NamedSource<String>, LabeledSpan)>>,
    /// Nothing is said: the reader has gone, or the user knows.
    silent: bool,
}

#[derive(Debug)]
struct Cause {
    message: String,
    below: Option<Box<Cause>>,
}

impl Failure {
    pub(super) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, causes: None, place: None, silent: false }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(exit::USAGE, message)
    }

    /// What went wrong stands on the screen already.
    pub(super) fn said(code: u8) -> Self {
        Self { silent: true, ..Self::new(code, "") }
    }

    pub(super) fn interrupted() -> Self {
        Self { silent: true, ..Self::new(exit::INTERRUPTED, "interrupted") }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// An error with its causes. Where an error only repeats the one below it, it is left out.
    pub(super) fn from_error(code: u8, error: &dyn Error) -> Self {
        Self { causes: causes(error), ..Self::new(code, error.to_string()) }
    }

    pub(super) fn code(&self) -> u8 {
        self.code
    }

    /// The code in a word, for programs.
    pub(super) fn kind(&self) -> &'static str {
        match self.code {
            exit::USAGE => "usage",
            exit::LIMIT => "limit",
            exit::DENIED => "denied",
            exit::OFFLINE => "offline",
            exit::NO_MODEL => "no_model",
            exit::UNFIT => "unfit",
            exit::INTERRUPTED => "cancelled",
            _ => "error",
        }
    }

    /// For stderr; empty when nothing is to be said.
    pub(super) fn render(&self, colour: bool, width: usize) -> String {
        if self.silent {
            return String::new();
        }
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(width).with_links(false);
        let mut text = String::new();
        match handler.render_report(&mut text, self) {
            Ok(()) => text,
            // The report could not be drawn; its first line is what matters.
            Err(fmt::Error) => format!("error: {self}\n"),
        }
    }
}

fn causes(error: &dyn Error) -> Option<Box<Cause>> {
    let shown = error.to_string();
    let source = error.source()?;
    let message = source.to_string();
    let below = causes(source);
    if shown.contains(&message) { below } else { Some(Box::new(Cause { message, below })) }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&terminal::block(&self.message))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&terminal::block(&self.message))
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.below.as_deref().map(|cause| cause as _)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.causes.as_deref().map(|cause| cause as _)
    }
}

impl Diagnostic for Failure {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|place| &place.0 as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.place.as_ref().map(|place| Box::new(std::iter::once(place.1.clone())) as _)
    }
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        // Escaping may move what comes after it, so a text with control characters in it is not shown.
        let shown = error.text().is_char_boundary(error.span().start) && terminal::block(error.text()) == error.text();
        let span = error.span();
        let label = LabeledSpan::new(Some("here".into()), span.start, span.len());
        let source = NamedSource::new(terminal::line(error.name()), error.text().to_owned());
        let place = shown.then(|| Box::new((source, label)));
        let message = match place {
            Some(_) => format!("the policy does not load: {}", error.message()),
            None => format!("the policy does not load: {error}"),
        };
        let help = "nothing runs under a policy that does not load; mend the file, or leave --policy out";
        Self { place, ..Self::usage(message) }.help(help)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::from_error(exit::NO_MODEL, &error)
    }
}

impl From<PullError> for Failure {
    fn from(error: PullError) -> Self {
        let code = match &error {
            PullError::Name(_) => exit::USAGE,
            PullError::Foreign { .. } => exit::NO_MODEL,
            _ => exit::FAILURE,
        };
        Self::from_error(code, &error)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::from_error(exit::FAILURE, &error)
    }
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Journal(error) => error.into(),
            AgentError::Engine(error @ EngineError::ContextFull { .. }) => Self::from_error(exit::LIMIT, &error).help(
                "/new begins a new session in the chat; a greater `context_length` in config.toml takes more memory",
            ),
            error @ AgentError::Grammar(_) => Self::from_error(exit::USAGE, &error)
                .help("change that part of the schema, or let the model write freely with --no-grammar"),
            AgentError::Engine(error @ EngineError::Grammar(_)) => Self::from_error(exit::FAILURE, &error)
                .help("a simpler schema of the tool or of the answer is easier to follow; --no-grammar does without"),
            AgentError::Engine(error) => Self::from_error(exit::NO_MODEL, &error),
            error @ AgentError::Prompt(_) => Self::from_error(exit::USAGE, &error).help(
                "the template is prompts/developer.md in the configuration folder; without it the embedded one is used",
            ),
            error => Self::from_error(exit::FAILURE, &error),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Policy(error) => error.into(),
            ConfigError::Load(error) => error.into(),
            ConfigError::Journal(error) => error.into(),
            ConfigError::Agent(error) => error.into(),
            ConfigError::Index(error) => error.into(),
            error @ (ConfigError::Package(_) | ConfigError::Crashed(_)) => Self::from_error(exit::FAILURE, &error),
            ConfigError::Packages { .. } => {
                Self::from_error(exit::FAILURE, &error).help("the folder has to be yours to read and write")
            }
            ConfigError::NoHome | ConfigError::NoPolicy { .. } | ConfigError::BundledPackage { .. } => {
                Self::from_error(exit::USAGE, &error)
            }
            ConfigError::Unreadable { .. } => Self::from_error(exit::USAGE, &error)
                .help("it has to be a file of UTF-8 text that you may read; make it one, or move it away"),
            ConfigError::Rules { .. } => Self::from_error(exit::USAGE, &error)
                .help("the files of a folder of policies count as one: give each rule a name of its own"),
            ConfigError::File { .. } => Self::from_error(exit::USAGE, &error)
                .help("mend the line, or take it out; without the file the defaults are used"),
            ConfigError::Mcp { .. } => {
                Self::from_error(exit::USAGE, &error).help("mend it, or take the server out with `ossicle mcp remove`")
            }
            ConfigError::Cloud(_) => Self::from_error(exit::USAGE, &error)
                .help("`OPENAI_API_KEY` holds the key, and `[cloud]` in config.toml or OPENAI_BASE_URL says where to"),
            ConfigError::Hub(_) => Self::from_error(exit::USAGE, &error)
                .help("HF_ENDPOINT is the address of a hub, https://huggingface.co when it is not set; HF_TOKEN is a token of it"),
            ConfigError::NoMcpServer { .. } => {
                Self::from_error(exit::USAGE, &error).help("`ossicle mcp list` names those that there are")
            }
            ConfigError::Unwritable { .. } => {
                Self::from_error(exit::FAILURE, &error).help("the folder has to be yours to write into")
            }
            ConfigError::Value { .. } => Self::from_error(exit::USAGE, &error)
                .help("write such a value, or take the line out: then the default is used"),
        }
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        let (code, help) = match &error {
            IndexError::Unusable { .. } => (exit::FAILURE, "it has to be yours to read and write"),
            IndexError::Damaged(_) => (exit::FAILURE, "no file of yours is lost: an index can always be made again"),
            IndexError::Busy => (exit::FAILURE, "try again when it has ended"),
            IndexError::Folders { .. } => (exit::USAGE, "mend it, or move it away and add the folders again"),
            IndexError::NoFolder(_) | IndexError::NotAFolder(_) => (exit::USAGE, "name a folder that is there"),
            IndexError::NotUtf8(_) => (exit::USAGE, "give it another name"),
            IndexError::Own(_) => (exit::USAGE, "name a folder of yours"),
            IndexError::Already(_) | IndexError::Inside { .. } => {
                (exit::USAGE, "`ossicle index update` reads what is new in it")
            }
            IndexError::Around { .. } => (exit::USAGE, "`ossicle index remove` the part first"),
            IndexError::NotIndexed(_) => (exit::USAGE, "`ossicle index list` names the folders that are"),
        };
        Self::from_error(code, &error).help(help)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            // Whoever read our output has had enough.
            return Self { silent: true, ..Self::new(exit::ANSWERED, "the reader has gone") };
        }
        Self::from_error(exit::FAILURE, &error)
    }
}

/// What to say when a turn ended without an answer; `None` when it was answered.
pub(super) fn ended(end: TurnEnd) -> Option<Failure> {
    Some(match end {
        TurnEnd::Answered => return None,
        TurnEnd::NoAnswer | TurnEnd::Failed => Failure::new(exit::FAILURE, "the model stopped without an answer")
            .help("ask in other words, or use a larger model with --model"),
        TurnEnd::Denied => Failure::new(exit::DENIED, "a call that the model needed was not allowed")
            .help("in a terminal you are asked; --approve always or a --policy of your own allow it unasked"),
        TurnEnd::Repetition => Failure::new(exit::LIMIT, "stopped: the model said the same thing again and again")
            .help("ask in other words, try another --temperature, or `repetition_penalty = 1.1` in config.toml"),
        TurnEnd::StepLimit => Failure::new(exit::LIMIT, "stopped: the turn reached its limit of generations")
            .help("--max-steps allows more"),
        TurnEnd::TokenLimit => Failure::new(exit::LIMIT, "stopped: the turn reached its limit of tokens")
            .help("ask for less, or set --reasoning-effort low"),
        TurnEnd::TimeLimit => {
            Failure::new(exit::LIMIT, "stopped: the turn reached its time limit").help("--timeout allows more")
        }
        TurnEnd::Cancelled => Failure::interrupted(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    #[test]
    fn a_policy_error_points_into_the_file() {
        let text = "version = 1\n[[rule]]\nid = \"a\"\neffects = [\"wirte\"]\ndecision = \"allow\"\n";
        let failure = Failure::from(Policy::parse("my.toml", text).unwrap_err());
        let report = failure.render(false, 80);
        for word in ["does not load", "wirte", "my.toml:4", "here", "mend the file"] {
            assert!(report.contains(word), "{word} in {report}");
        }
        assert_eq!(failure.code(), exit::USAGE);
        assert!(!report.contains('\u{1b}'), "no colours: {report:?}");
    }

    #[test]
    fn no_report_carries_live_control_characters() {
        let evil = "version = 1\nx\u{1b}[2J = 1\n";
        let reports = [
            Failure::from(Policy::parse("p\u{1b}[2J.toml", evil).unwrap_err()).render(false, 80),
            Failure::new(1, "a\u{1b}]52;c;x\u{7}").render(false, 80),
            Failure::from(io::Error::other("b\u{9b}6n")).render(false, 80),
        ];
        for report in reports {
            assert!(!report.chars().any(|c| c.is_control() && c != '\n'), "{report:?}");
        }
    }

    #[test]
    fn causes_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] io::Error);
        let report = Failure::from_error(1, &Outer(io::Error::other("inner"))).render(false, 80);
        assert!(report.contains("outer") && report.contains("inner"), "{report}");

        #[derive(Debug, thiserror::Error)]
        #[error("outer: {0}")]
        struct Repeating(#[source] io::Error);
        let report = Failure::from_error(1, &Repeating(io::Error::other("inner"))).render(false, 80);
        assert_eq!(report.matches("inner").count(), 1, "{report}");
    }

    #[test]
    fn a_broken_pipe_is_success_and_says_nothing() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.code(), failure.render(true, 80).as_str()), (0, ""));
    }

    #[test]
    fn a_full_context_is_a_limit() {
        let failure = Failure::from(AgentError::from(EngineError::ContextFull { n_tokens: 9, limit: 8 }));
        assert_eq!(failure.code(), exit::LIMIT);
        let report = failure.render(false, 200);
        assert!(report.contains("/new") && report.contains("context_length"), "{report}");
    }

    #[test]
    fn every_end_has_its_code() {
        for (end, code) in [
            (TurnEnd::NoAnswer, 1),
            (TurnEnd::Repetition, 3),
            (TurnEnd::StepLimit, 3),
            (TurnEnd::TokenLimit, 3),
            (TurnEnd::TimeLimit, 3),
            (TurnEnd::Denied, 4),
            (TurnEnd::Cancelled, 130),
        ] {
            assert_eq!(ended(end).map(|failure| failure.code()), Some(code), "{end:?}");
        }
        assert!(ended(TurnEnd::Answered).is_none());
    }
}
