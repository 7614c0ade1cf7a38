//! The screen: where lines are written, and what else stands there while somebody waits.
//!
//! What it is not: it knows nothing of turns and calls; `render` shows those on it. Start at [`Screen`], which is cheap to
//! clone: the turn, an approval and the log draw on the same one.

use super::terminal;
use crate::config::{Pictures, terminal_pictures};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Where a session is shown.
#[derive(Clone)]
pub(super) struct Screen(Arc<Mutex<State>>);

pub(super) struct State {
    pub(super) out: Box<dyn Write + Send>,
    pub(super) err: Box<dyn Write + Send>,
    /// Whether the answer is shown as it comes. Into a pipe it is written once, when it is known to be one.
    pub(super) stream: bool,
    /// Whether spinners and bars make sense.
    pub(super) live: bool,
    pub(super) colour: bool,
    /// How pictures are shown on stdout.
    pub(super) pictures: Pictures,
    pub(super) section: Section,
    /// Whether the last thing written ended a line.
    pub(super) at_line_start: bool,
    pub(super) bar: ProgressBar,
    /// The calls that have started: tool and arguments.
    pub(super) calls: HashMap<u64, (String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Nothing,
    Reasoning,
    Preamble,
    Answer,
}

/// How something is written on stderr.
#[derive(Clone, Copy)]
pub(super) enum Ink {
    Plain,
    Dim,
    Bold,
    Green,
    Yellow,
    Red,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Red => "31",
        }
    }
}

impl Screen {
    /// The process's own stdout and stderr. Colours are anstream's choice, which the command line has set.
    pub(super) fn of_process() -> Self {
        let colour = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
        let (stream, live) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let screen = Self::new(Box::new(io::stdout()), Box::new(io::stderr()), stream, live, colour);
        if stream && colour {
            screen.state().pictures = terminal_pictures();
        }
        screen
    }

    pub(super) fn new(
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
        stream: bool,
        live: bool,
        colour: bool,
    ) -> Self {
        let (section, bar) = (Section::Nothing, ProgressBar::hidden());
        let (calls, pictures, at_line_start) = (HashMap::new(), Pictures::None, true);
        Self(Arc::new(Mutex::new(State {
            out,
            err,
            stream,
            live,
            colour,
            pictures,
            section,
            at_line_start,
            bar,
            calls,
        })))
    }

    /// From now on stdout belongs to something else: the answer is not shown on it.
    pub(super) fn give_up_stdout(&self) {
        let mut state = self.state();
        state.out = Box::new(io::sink());
        state.stream = false;
        state.pictures = Pictures::None;
    }

    /// A screen that nobody sees.
    #[cfg(test)]
    pub(super) fn silent() -> Self {
        Self::new(Box::new(io::sink()), Box::new(io::sink()), false, false, false)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn colour(&self) -> bool {
        self.state().colour
    }

    /// Shows that something is going on, until something else is shown.
    pub(super) fn wait(&self, message: &str) {
        self.state().spin(message);
    }

    /// A bar of bytes; where there is no terminal, a line at the beginning.
    pub(super) fn fill(&self, message: &str, done: u64, total: u64) {
        let mut state = self.state();
        let message = terminal::line(message).into_owned();
        if state.bar.length() != Some(total) || state.bar.message() != message {
            state.quiet();
            if state.live {
                let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
                bar.set_style(style("  {bar:30} {binary_bytes}/{binary_total_bytes}, {eta} left  {wide_msg}"));
                bar.set_message(message);
                state.bar = bar;
            } else {
                state.bar = ProgressBar::hidden();
                state.bar.set_length(total);
                state.bar.set_message(message.clone());
                state.err_line(Ink::Dim, &format!("{message}: {}", crate::engine::models::amount(total)));
            }
        }
        state.bar.set_position(done);
    }

    /// Takes spinners and bars away, and ends the line.
    pub(super) fn settle(&self) {
        self.state().end_section();
    }

    /// A line on stderr. The text is made harmless.
    pub(super) fn say(&self, ink: Ink, text: &str) {
        let mut state = self.state();
        state.end_section();
        state.err_line(ink, &terminal::block(text));
    }

    /// A line on stderr that is not ended: somebody answers behind it.
    pub(super) fn ask(&self, text: &str) {
        let mut state = self.state();
        state.end_section();
        let text = state.inked(Ink::Bold, &terminal::block(text));
        state.write_err(&text);
        state.at_line_start = false;
    }

    /// The answer to [`Self::ask`] has ended its line.
    pub(super) fn answered(&self) {
        self.state().at_line_start = true;
    }

    /// Text that is known to be harmless, or whose escapes are meant, on stderr.
    pub(super) fn raw(&self, text: &str) {
        let mut state = self.state();
        state.end_section();
        state.write_err(text);
    }

    /// The answer, where it was not shown as it came. Fails when nobody reads it.
    pub(super) fn answer(&self, text: &str) -> io::Result<()> {
        let mut state = self.state();
        state.end_section();
        if state.stream || text.is_empty() {
            return Ok(());
        }
        let text = terminal::block(text);
        let end = if text.ends_with('\n') { "" } else { "\n" };
        write!(state.out, "{text}{end}")?;
        state.out.flush()
    }
}

impl State {
    /// Writes to stderr; when nobody reads that, the turn goes on all the same.
    pub(super) fn write_err(&mut self, text: &str) {
        let _ = self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush());
    }

    pub(super) fn inked(&self, ink: Ink, text: &str) -> String {
        if self.colour && !matches!(ink, Ink::Plain) {
            format!("\u{1b}[{}m{text}\u{1b}[0m", ink.code())
        } else {
            text.to_owned()
        }
    }

    pub(super) fn err_line(&mut self, ink: Ink, text: &str) {
        let text = self.inked(ink, text) + "\n";
        self.write_err(&text);
    }

    pub(super) fn quiet(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
    }

    /// Takes the bar away and ends the line, on the stream it was begun on.
    pub(super) fn end_section(&mut self) {
        self.quiet();
        if !self.at_line_start {
            if self.section == Section::Answer {
                let _ = self.out.write_all(b"\n").and_then(|()| self.out.flush());
            } else {
                self.write_err("\n");
            }
        }
        self.at_line_start = true;
        self.section = Section::Nothing;
    }

    pub(super) fn spin(&mut self, message: &str) {
        self.quiet();
        if self.live {
            self.bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            self.bar.set_style(style("{spinner} {msg}"));
            self.bar.set_message(terminal::line(message).into_owned());
            self.bar.enable_steady_tick(Duration::from_millis(100));
        }
    }
}

pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates in this file are well-formed")
}

pub(super) fn terminal_width() -> usize {
    terminal_size().1
}

/// Rows and columns.
pub(super) fn terminal_size() -> (usize, usize) {
    console::Term::stderr().size_checked().map_or((24, 80), |(rows, columns)| (rows.into(), columns.into()))
}

/// The log's way to the screen: whole lines, harmless, above whatever is shown.
impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        let text = String::from_utf8_lossy(bytes);
        let text = terminal::block(&text).into_owned();
        if !state.at_line_start {
            state.end_section();
        }
        let bar = state.bar.clone();
        bar.suspend(|| state.write_err(&text));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
