//! Who is asked when the policy wants a call approved: the person at the terminal, or nobody.
//!
//! What it is not: it decides nothing itself, and remembers nothing; a yes for the session is policy's to remember.

use super::args::Approve;
use super::screen::{Ink, Screen};
use super::terminal;
use crate::policy::{Approval, Approver, Pending, Quote};
use async_trait::async_trait;
use std::io::{self, IsTerminal};
use std::sync::Arc;

/// The approver that `--approve` wants.
pub(super) fn approver(approve: Approve, screen: &Screen) -> Arc<dyn Approver> {
    match approve {
        Approve::Always => Arc::new(Fixed(Approval::Yes)),
        Approve::Never => Arc::new(Fixed(Approval::NobodyThere)),
        Approve::Ask if somebody_is_there() => Arc::new(Person(screen.clone())),
        Approve::Ask => Arc::new(Fixed(Approval::NobodyThere)),
    }
}

/// A question is asked on stderr and answered on stdin: without both there is nobody.
pub(super) fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Always the same answer.
struct Fixed(Approval);

#[async_trait]
impl Approver for Fixed {
    async fn approve(&self, _pending: &Pending) -> Approval {
        self.0.clone()
    }
}

/// Whoever sits at the terminal.
struct Person(Screen);

#[async_trait]
impl Approver for Person {
    async fn approve(&self, pending: &Pending) -> Approval {
        let mut keyboard = match Keyboard::open().await {
            Ok(keyboard) => keyboard,
            Err(error) => {
                tracing::warn!(%error, "the terminal cannot be read");
                return Approval::NobodyThere;
            }
        };
        self.0.say(Ink::Bold, &question(pending));
        loop {
            self.0.ask("Allow this call? y, s for the whole session, n, or n and a word to the model: ");
            match keyboard.line().await {
                Ok(Some(line)) => {
                    self.0.answered();
                    if let Some(approval) = understood(&line) {
                        return approval;
                    }
                }
                // The input has ended; that is no yes.
                Ok(None) => return Approval::No(None),
                Err(error) => {
                    tracing::warn!(%error, "the terminal cannot be read");
                    return Approval::NobodyThere;
                }
            }
        }
    }
}

/// Everything there is to know about the call, nothing of it shortened.
fn question(pending: &Pending) -> String {
    let mut text = format!(
        "\n{} wants to be called; its effect is: {}\n  arguments  {}\n",
        terminal::line(&pending.tool().to_string()),
        pending.effect(),
        terminal::line(pending.arguments()),
    );
    for (n, words) in pending.capabilities().words().iter().enumerate() {
        text += &format!("  {:<10} {}\n", if n == 0 { "is given" } else { "" }, terminal::line(words));
    }
    if let Some(quote) = pending.quote() {
        text += &offer(quote);
    }
    let strangers: Vec<_> = pending.context().strangers().collect();
    if !strangers.is_empty() {
        text += &format!("  after      reading what others wrote, by {}\n", terminal::line(&strangers.join(", ")));
    }
    let kept: Vec<_> = pending.context().kept().collect();
    if !kept.is_empty() {
        let confidentiality = pending.context().confidentiality();
        text += &format!("  after      reading what is {confidentiality}: {}\n", terminal::line(&kept.join(", ")));
    }
    for (n, taken) in pending.argument().arguments.iter().enumerate() {
        let word = if n == 0 { "not yours" } else { "" };
        text += &format!("  {word:<10} {}\n", terminal::line(&taken.to_string()));
    }
    text + &format!("  rule       {}", terminal::line(pending.rule()))
}

/// What would leave and what that costs.
fn offer(quote: &Quote) -> String {
    let cost = quote.cost.map_or_else(|| "nobody knows how much".into(), |cost| format!("at most {cost}"));
    let mut text = format!(
        "  goes to    {}, for {}\n  costs      {cost}\n  leaves     {}\n",
        terminal::line(&quote.destination),
        terminal::line(&quote.model),
        terminal::line(&quote.text),
    );
    for (word, names) in [("with", &quote.files), ("stays here", &quote.hidden)] {
        if !names.is_empty() {
            text += &format!("  {word:<10} {}\n", terminal::line(&names.join(", ")));
        }
    }
    text
}

/// `None` when it is neither a yes nor a no.
fn understood(line: &str) -> Option<Approval> {
    let line = line.trim();
    let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match (first.to_ascii_lowercase().as_str(), rest.trim()) {
        ("y" | "yes", "") => Some(Approval::Yes),
        ("s" | "session", "") => Some(Approval::Session),
        ("n" | "no", "") => Some(Approval::No(None)),
        ("n" | "no", word) => Some(Approval::No(Some(word.to_owned()))),
        _ => None,
    }
}

/// Lines from the terminal, read so that a cancelled question leaves no reader behind to steal the next line.
#[cfg(unix)]
struct Keyboard(tokio::net::unix::pipe::Receiver);

#[cfg(unix)]
impl Keyboard {
    /// Throws away the lines that were typed before the question was asked: they answer something else.
    async fn open() -> io::Result<Self> {
        // A terminal opened anew may be read without blocking, and stdin stays as it is. For that it need not be a pipe.
        let mut options = tokio::net::unix::pipe::OpenOptions::new();
        let mut keyboard = Self(options.unchecked(true).open_receiver("/dev/tty")?);
        while let Ok(Ok(Some(_))) = tokio::time::timeout(std::time::Duration::from_millis(1), keyboard.line()).await {}
        Ok(keyboard)
    }

    /// A terminal gives at most a line to a read, and only when there is one. `None` when the input has ended.
    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut bytes = vec![0; 4096];
        let n_bytes = tokio::io::AsyncReadExt::read(&mut self.0, &mut bytes).await?;
        bytes.truncate(n_bytes);
        Ok((n_bytes > 0).then(|| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

#[cfg(not(unix))]
struct Keyboard;

#[cfg(not(unix))]
impl Keyboard {
    async fn open() -> io::Result<Self> {
        Ok(Self)
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin().read_line(&mut line).map(|n_bytes| (n_bytes > 0).then_some(line))
        });
        read.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Call, Capabilities, Confidentiality, Decision, Effect, Label, Policy, Taint, Targets, ToolId};
    use serde_json::json;

    #[test]
    fn only_a_clear_yes_is_one() {
        for line in ["y", "Y\n", " yes "] {
            assert_eq!(understood(line), Some(Approval::Yes), "{line:?}");
        }
        assert_eq!(understood("s\n"), Some(Approval::Session));
        assert_eq!(understood("n\n"), Some(Approval::No(None)));
        assert_eq!(understood("no use the  other file\n"), Some(Approval::No(Some("use the  other file".into()))));
        for line in ["", "\n", "yep", "y please", "\u{1b}[?1;2c", "ye", "sure", "1"] {
            assert_eq!(understood(line), None, "{line:?}");
        }
    }

    #[test]
    fn the_question_shows_everything_and_nothing_live() {
        let tool: ToolId = "notes.add".parse().unwrap();
        let text = format!("{}\r\u{1b}[2Jharmless\u{202e}", "x".repeat(1000));
        let wants = Capabilities { file: Some("/home/me/no\u{1b}tes.md".into()), ..Capabilities::default() };
        let (arguments, targets) = (json!({ "text": text }), Targets::default());
        let mut read = Label::untrusted("browser.open");
        read.join(&Label::confidential(Confidentiality::Personal, "/home/me/letters/\u{1b}anna"));
        let call = Call {
            tool: &tool,
            effect: Effect::Write,
            arguments: &arguments,
            wants: &wants,
            targets: &targets,
            context: &read,
            argument: &Taint::of_all("browser\u{1b}.open"),
            quote: None,
        };
        let Decision::Ask(pending) = Policy::default().decide(&call) else { panic!("asked") };
        let question = question(&pending);
        for word in [
            "notes.add",
            "write",
            &"x".repeat(1000),
            r"\r\u001b[2Jharmless\u{202e}",
            "/home/me/no\\etes.md",
            "strangers",
            "after      reading what others wrote, by browser.open",
            "after      reading what is personal: /home/me/letters",
            "not yours  the arguments together from browser",
        ] {
            assert!(question.contains(word), "{word} in {question}");
        }
        assert!(
            !question.chars().any(|c| c != '\n' && terminal::line(&c.to_string()) != c.to_string()),
            "{question:?}"
        );
    }
}
