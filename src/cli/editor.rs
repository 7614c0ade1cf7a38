//! The chat's line: editing, history, and more than one line where the text asks for it. The only place that names rustyline.
//!
//! What it is not: it writes nothing to stdout, which is the answers' alone: keys and prompt are echoed on the terminal
//! itself, or the prompt stands on stderr where a terminal cannot edit lines. Start at [`Editor::line`].

use super::chat::COMMANDS;
use super::report::Failure;
use super::screen::Screen;
use crate::config;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Behavior, Cmd, Config, Context, Helper, KeyCode, KeyEvent, Modifiers};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

const PROMPT: &str = "> ";

/// What the person did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Typed(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the end of a file.
    Ended,
}

/// Where lines come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keyboard {
    /// A terminal in which a line can be edited.
    Rich,
    /// A terminal that knows no more than lines.
    Plain,
    /// A file or a pipe: nobody is there to be prompted.
    Absent,
}

pub(super) struct Editor {
    editor: rustyline::Editor<Rules, FileHistory>,
    keyboard: Keyboard,
    screen: Screen,
    /// Where lines are kept; nowhere in a session that leaves nothing behind.
    history: Option<PathBuf>,
}

impl Editor {
    /// An editor with the history of earlier chats, when there is one.
    pub(super) fn open(history: Option<PathBuf>, screen: &Screen) -> Result<Self, Failure> {
        let keyboard = match (io::stdin().is_terminal(), config::terminal_is_plain()) {
            (false, _) => Keyboard::Absent,
            (true, true) => Keyboard::Plain,
            (true, false) => Keyboard::Rich,
        };
        // On the terminal itself, past a stdout that leads into a file; but a pipe is read where there is one.
        let behavior = if keyboard == Keyboard::Rich { Behavior::PreferTerm } else { Behavior::Stdio };
        let config = Config::builder().behavior(behavior).history_ignore_space(true).auto_add_history(false).build();
        let mut editor = rustyline::Editor::with_config(config).map_err(broken)?;
        editor.set_helper(Some(Rules));
        editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), Cmd::Newline);
        if let Some(history) = &history
            && let Err(error) = make_private(history).and_then(|()| editor.load_history(history))
        {
            tracing::info!(%error, "no history of lines");
        }
        Ok(Self { editor, keyboard, screen: screen.clone(), history })
    }

    pub(super) fn line(&mut self) -> Result<Line, Failure> {
        if self.keyboard == Keyboard::Plain {
            self.screen.ask(PROMPT);
        }
        // rustyline would write a prompt to stdout where it cannot edit.
        let read = self.editor.readline(if self.keyboard == Keyboard::Rich { PROMPT } else { "" });
        if self.keyboard == Keyboard::Plain {
            self.screen.answered();
        }
        match read {
            Ok(line) => {
                let added = self.editor.add_history_entry(&line).map(drop);
                let kept = self.history.as_ref().map_or(Ok(()), |history| self.editor.append_history(history));
                if let Err(error) = added.and(kept) {
                    tracing::info!(%error, "the line is not kept in the history");
                }
                Ok(Line::Typed(meant(&line)))
            }
            Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
            Err(ReadlineError::Eof) => Ok(Line::Ended),
            Err(error) => Err(broken(error)),
        }
    }
}

fn broken(error: ReadlineError) -> Failure {
    match error {
        ReadlineError::Io(error) => error.into(),
        error => Failure::new(super::report::exit::FAILURE, format!("the terminal cannot be used: {error}")),
    }
}

/// The history holds what a person said: it is theirs alone.
fn make_private(history: &Path) -> rustyline::Result<()> {
    if let Some(folder) = history.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(history)?;
    Ok(())
}

/// When a line goes on, and what Tab completes.
struct Rules;

/// Whether what was typed so far wants another line.
fn goes_on(text: &str) -> bool {
    text.ends_with('\\') || text.lines().filter(|line| is_fence(line)).count() % 2 == 1
}

/// Begins code, or ends it.
fn is_fence(line: &str) -> bool {
    line.trim_start().starts_with("```")
}

/// The text without the backslashes that only broke a line. Between fences they belong to the code.
fn meant(text: &str) -> String {
    let mut meant = String::with_capacity(text.len());
    let mut in_code = false;
    for line in text.split_inclusive('\n') {
        in_code ^= is_fence(line);
        match line.strip_suffix("\\\n") {
            Some(broken) if !in_code => {
                meant.push_str(broken);
                meant.push('\n');
            }
            _ => meant.push_str(line),
        }
    }
    meant
}

impl Validator for Rules {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let more = goes_on(context.input());
        Ok(if more { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Completer for Rules {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _context: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = &line[..pos];
        let fitting = COMMANDS.iter().filter(|(name, _)| typed.starts_with('/') && name.starts_with(typed));
        Ok((0, fitting.map(|(name, _)| (*name).to_owned()).collect()))
    }
}

impl Hinter for Rules {
    type Hint = String;
}

impl Highlighter for Rules {}

impl Helper for Rules {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_and_an_open_fence_want_more() {
        for text in ["a \\", "```", "look:\n```rust\nfn main() {}", "```a\n```\n```"] {
            assert!(goes_on(text), "{text:?}");
        }
        for text in ["", "a", "a\\b", "```\ncode\n```", "a `` b"] {
            assert!(!goes_on(text), "{text:?}");
        }
    }

    #[test]
    fn code_keeps_its_backslashes() {
        for (typed, expect) in [
            ("a \\\nb", "a \nb"),
            ("a\nb\\", "a\nb\\"),
            ("```\ncurl \\\n  -X\n```", "```\ncurl \\\n  -X\n```"),
            ("see \\\n ```sh\na \\\nb\n ```\nand \\\nso on", "see \n ```sh\na \\\nb\n ```\nand \nso on"),
        ] {
            assert_eq!(meant(typed), expect, "{typed:?}");
        }
    }
}
