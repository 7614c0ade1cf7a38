//! A turn on the screen: reasoning dimmed, one line for each call, the answer; a spinner or a bar where one has to wait.
//!
//! What it is not: it asks nothing and decides nothing. The answer goes to stdout, everything else to stderr. Start at
//! the [`EventSink`] of [`Screen`].

use super::screen::{Ink, Screen, Section, State, style, terminal_size, terminal_width};
use super::{picture, terminal};
use crate::agent::{CallOutcome, Event, EventSink};
use crate::tool::Attachment;
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::path::Path;
use std::time::Duration;

/// A prompt shorter than this, in tokens, is read before a bar could be seen.
const BAR_FROM: usize = 256;

/// The width of a line where there is no terminal to ask.
const PLAIN_WIDTH: usize = 400;

impl EventSink for Screen {
    fn event(&mut self, event: Event) {
        let mut state = self.state();
        match event {
            Event::TurnStarted => state.spin("reading"),
            Event::Prefill { done, total } => state.prefill(done, total),
            Event::Reasoning(text) => state.stream(Section::Reasoning, &text),
            Event::Preamble(text) => state.stream(Section::Preamble, &text),
            Event::Answer(text) if state.stream => state.stream(Section::Answer, &text),
            Event::Answer(_) | Event::Cited(_) | Event::Logprobs(_) => {}
            Event::CallStarted { id, tool, arguments } => {
                state.end_section();
                state.spin(&terminal::line(&tool));
                state.calls.insert(id, (tool, arguments));
            }
            Event::CallProgress { id, text } => {
                let tool = state.calls.get(&id).map(|(tool, _)| tool.as_str()).unwrap_or_default();
                let words = format!("{} {}", terminal::line(tool), terminal::line(&text));
                state.spin(&words);
            }
            Event::CallFinished { id, outcome, text, duration } => state.call(id, outcome, &text, duration),
            Event::Attachment { file, path, .. } => state.attachment(&file, path.as_deref()),
            Event::Warning(text) => {
                state.end_section();
                state.err_line(Ink::Yellow, &format!("warning: {}", terminal::block(&text)));
            }
            Event::TurnEnded { usage, .. } => {
                state.end_section();
                state.calls.clear();
                // The log is written on this screen too, and waits until it is free.
                drop(state);
                tracing::info!(
                    prompt_tokens = usage.prompt_tokens,
                    reused_tokens = usage.reused_tokens,
                    generated_tokens = usage.generated_tokens,
                    steps = usage.n_steps,
                    calls = usage.n_calls,
                    "the turn ended"
                );
            }
        }
    }
}

impl State {
    fn stream(&mut self, section: Section, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.section != section {
            self.end_section();
            self.section = section;
        }
        self.quiet();
        let text = terminal::block(text);
        match section {
            Section::Answer => {
                let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
            }
            Section::Reasoning => {
                let text = self.inked(Ink::Dim, &text);
                self.write_err(&text);
            }
            Section::Preamble | Section::Nothing => self.write_err(&text),
        }
        self.at_line_start = text.ends_with('\n');
    }

    /// A file that a call made: a picture is shown where the terminal can, and where it is kept stands below it.
    fn attachment(&mut self, file: &Attachment, path: Option<&Path>) {
        self.picture(file);
        let kept = path.map_or_else(|| "not kept".into(), |path| path.display().to_string());
        let line = format!("  {}  {kept}", file.name);
        self.err_line(Ink::Dim, &terminal::line(&line));
    }

    /// Shows a file that is a picture, where the terminal can.
    pub(super) fn picture(&mut self, file: &Attachment) {
        self.end_section();
        if file.media_type == "image/png" {
            picture::show(&file.data, self.pictures, terminal_size());
        }
    }

    fn prefill(&mut self, done: usize, total: usize) {
        if done >= total {
            self.spin("thinking");
        } else if total >= BAR_FROM && self.live {
            if self.bar.length().is_none() {
                self.quiet();
                self.bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
                self.bar.set_style(style("  reading {bar:30} {pos}/{len} tokens, {eta} left"));
            }
            self.bar.set_position(done as u64);
        }
    }

    /// A call on one line: mark, tool, arguments, result, time.
    fn call(&mut self, id: u64, outcome: CallOutcome, text: &str, duration: Duration) {
        self.end_section();
        let (tool, arguments) = self.calls.remove(&id).unwrap_or_default();
        let (mark, ink) = match outcome {
            CallOutcome::Ok => ("✓", Ink::Green),
            CallOutcome::Error => ("✗", Ink::Red),
            CallOutcome::Denied => ("⊘", Ink::Yellow),
            CallOutcome::Cancelled => ("■", Ink::Yellow),
        };
        let width = if self.live { terminal_width() } else { PLAIN_WIDTH };
        let time = format!(" ({})", readable(duration));
        let tool = terminal::line(&tool).into_owned();
        let tool = terminal::fit(&tool, width / 3).into_owned();
        // What is left after the mark, the tool, the arrow and the time is shared by arguments and result.
        let left = width.saturating_sub(console::measure_text_width(&tool) + time.len() + " ✓   → ".chars().count());
        let (arguments, result) = (terminal::line(&arguments), terminal::line(text.trim_end()));
        let result =
            terminal::fit(&result, (left / 2).max(left.saturating_sub(console::measure_text_width(&arguments))));
        let arguments = terminal::fit(&arguments, left.saturating_sub(console::measure_text_width(&result)));
        let line = format!(
            " {} {tool} {arguments} {} {result}{}\n",
            self.inked(ink, mark),
            self.inked(Ink::Dim, "→"),
            self.inked(Ink::Dim, &time)
        );
        self.write_err(&line);
    }
}

/// Three digits are enough for people.
fn readable(duration: Duration) -> String {
    match duration.as_secs_f64() {
        s if s < 0.0995 => format!("{:.1} ms", s * 1e3),
        s if s < 0.9995 => format!("{:.0} ms", s * 1e3),
        s if s < 99.95 => format!("{s:.1} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{TurnEnd, Usage};
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Buffer {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn turn() -> Vec<Event> {
        vec![
            Event::TurnStarted,
            Event::Prefill { done: 10, total: 1000 },
            Event::Prefill { done: 1000, total: 1000 },
            Event::Reasoning("I should ".into()),
            Event::Reasoning("calculate\u{1b}[2J.".into()),
            Event::CallStarted { id: 1, tool: "calc.calc".into(), arguments: "{\"expression\":\n\"23 * 47\"}".into() },
            Event::CallFinished {
                id: 1,
                outcome: CallOutcome::Ok,
                text: "1081\n".into(),
                duration: Duration::from_millis(2),
            },
            Event::Warning("odd".into()),
            Event::Answer("It is ".into()),
            Event::Answer("1081.\u{7}".into()),
            Event::TurnEnded { end: TurnEnd::Answered, usage: Usage::default() },
        ]
    }

    /// What stands on stdout and stderr after a turn.
    fn show(events: Vec<Event>, stream: bool, colour: bool) -> (String, String) {
        let (out, err) = (Buffer::default(), Buffer::default());
        let mut screen = Screen::new(Box::new(out.clone()), Box::new(err.clone()), stream, false, colour);
        for event in events {
            screen.event(event);
        }
        screen.answer("It is 1081.\u{7}").unwrap();
        (out.text(), err.text())
    }

    #[test]
    fn the_answer_alone_is_on_stdout() {
        for stream in [false, true] {
            let (out, err) = show(turn(), stream, false);
            assert_eq!(out, "It is 1081.\\u{7}\n");
            assert_eq!(
                err,
                "I should calculate\\e[2J.\n ✓ calc.calc {\"expression\":\\n\"23 * 47\"} → 1081 (2.0 ms)\nwarning: odd\n"
            );
        }
    }

    #[test]
    fn colours_are_the_programs_own() {
        let (out, err) = show(turn(), true, true);
        assert!(!out.contains('\u{1b}'), "{out:?}");
        assert!(err.starts_with("\u{1b}[2mI should \u{1b}[0m\u{1b}[2mcalculate\\e[2J.\u{1b}[0m\n"), "{err:?}");
    }

    #[test]
    fn a_long_call_stays_on_its_line() {
        let long = "x".repeat(5000);
        let events = vec![
            Event::CallStarted { id: 1, tool: "a.b".into(), arguments: long.clone() },
            Event::CallFinished { id: 1, outcome: CallOutcome::Error, text: long, duration: Duration::from_secs(100) },
        ];
        let (_, err) = show(events, false, false);
        assert_eq!(err.lines().count(), 1);
        let width = console::measure_text_width(err.trim_end());
        assert!(width <= PLAIN_WIDTH && width > PLAIN_WIDTH - 10, "{width}");
        assert!(err.contains("(2 min)") && err.matches('…').count() == 2, "{err}");
    }

    #[test]
    fn the_log_does_not_write_into_a_line() {
        let (out, err) = (Buffer::default(), Buffer::default());
        let mut screen = Screen::new(Box::new(out), Box::new(err.clone()), false, false, false);
        screen.event(Event::Reasoning("thinking".into()));
        screen.write_all("WARN \u{1b}c\n".as_bytes()).unwrap();
        assert_eq!(err.text(), "thinking\nWARN \\ec\n");
    }

    #[test]
    fn times_are_readable() {
        for (ms, text) in
            [(0, "0.0 ms"), (2, "2.0 ms"), (250, "250 ms"), (1500, "1.5 s"), (99_900, "99.9 s"), (180_000, "3 min")]
        {
            assert_eq!(readable(Duration::from_millis(ms)), text);
        }
    }
}
