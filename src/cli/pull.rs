//! `ossicle models pull`: a model is shown with its licence and its size, agreed to, and brought.
//!
//! It fetches nothing itself; `engine::models::pull` does. Start at [`pull`].

use super::add::agreed;
use super::report::{Failure, exit};
use super::screen::{Ink, Screen, style};
use super::{args, session, terminal};
use crate::config;
use crate::engine::models::amount;
use crate::engine::models::pull::{Plan, Progress, Repo, Step, Wanted};
use indicatif::{ProgressBar, ProgressDrawTarget};

/// A text of at most so many lines is shown whole, and of a longer one the beginning.
const SHORT: usize = 20;
const BEGINNING: usize = 3;

/// Digits of a commit that people compare.
const N_DIGITS: usize = 12;

pub(super) async fn pull(command: &args::Pull, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let args::Pull { repo, revision, gguf, yes } = command;
    let wanted = Wanted { repo: repo.parse::<Repo>()?, revision: revision.clone(), gguf: gguf.clone() };
    let (settings, paths) = session::settings(flags)?;
    let hub = config::hub(&settings, &paths).await?.ok_or_else(|| {
        Failure::new(exit::OFFLINE, "offline, nothing is fetched").help("leave --offline out, and unset HF_HUB_OFFLINE")
    })?;
    screen.wait(&format!("asking {} for {}", hub.address(), wanted.repo));
    let plan = hub.look(&wanted, &paths.models()).await;
    screen.settle();
    let plan = plan?;
    let folder = plan.folder.display().to_string();
    if plan.is_there {
        screen.say(Ink::Green, &format!("{} is there already: {}", plan.repo, terminal::line(&folder)));
        return Ok(());
    }
    screen.say(Ink::Plain, &described(&plan));
    if !yes && !agreed(&format!("Fetch {} under this licence?", plan.repo), screen)? {
        screen.say(Ink::Dim, "nothing was fetched");
        return Ok(());
    }
    let mut shown = Shown { screen: screen.clone(), file: String::new(), is_coming: false };
    let pulled = hub.pull(plan, &mut |progress| shown.show(progress)).await;
    screen.settle();
    let pulled = pulled?;
    let file = wanted.gguf.and_then(|_| pulled.files.iter().find(|file| file.name.ends_with(".gguf")));
    let place = file.map_or(folder.clone(), |file| format!("{folder}/{}", file.name));
    screen.say(Ink::Green, &format!("pulled {} into {}", pulled.repo, terminal::line(&folder)));
    screen.say(Ink::Dim, &format!("`ossicle -m {}` talks with it", terminal::line(&place)));
    Ok(())
}

/// What there is to know before a yes.
fn described(plan: &Plan) -> String {
    let commit = &plan.revision[..plan.revision.len().min(N_DIGITS)];
    let licence = plan.licence.as_deref().unwrap_or(if plan.texts.is_empty() { "none is named" } else { "see below" });
    let present = match plan.n_present {
        0 => String::new(),
        n => format!(", of which {} are there", amount(n)),
    };
    let free = plan.n_free.map_or(String::new(), |free| format!("; {} are free on the disk", amount(free)));
    let mut text = format!(
        "{} at {commit}\n  licence  {}\n  size     {}{present}{free}\n  into     {}\n",
        plan.repo,
        terminal::line(licence),
        amount(plan.n_bytes),
        terminal::line(&plan.folder.display().to_string()),
    );
    for (name, words) in &plan.texts {
        text += &format!("\n{name}\n{}", beginning(words));
    }
    text.trim_end().to_owned()
}

/// A short text, or the first lines of a long one that say something.
fn beginning(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let n_shown = if lines.len() <= SHORT { lines.len() } else { BEGINNING };
    let mut shown: String =
        lines[..n_shown].iter().map(|line| format!("  {}\n", terminal::line(line.trim()))).collect();
    if n_shown < lines.len() {
        shown += &format!("  ... {} more lines; the whole of it is kept beside the model\n", lines.len() - n_shown);
    }
    shown
}

/// How far it is: a bar, and where there is no terminal a line for each file.
struct Shown {
    screen: Screen,
    /// The one that was shown last.
    file: String,
    /// Whether bytes of it come, and are not only looked at.
    is_coming: bool,
}

impl Shown {
    fn show(&mut self, progress: Progress<'_>) {
        let Progress { step, file, n_done, n_bytes } = progress;
        if !self.screen.state().live {
            self.line(step, file, n_done, n_bytes);
            return;
        }
        let message = match step {
            Step::Checking => format!("checking what is there of {file}"),
            Step::Fetching => file.to_owned(),
            Step::Waiting { cause, pause } => format!("{cause}; again in {} s", pause.as_secs()),
        };
        let mut state = self.screen.state();
        if state.bar.length().is_none() {
            state.quiet();
            let bar = ProgressBar::with_draw_target(Some(n_bytes), ProgressDrawTarget::stderr());
            let template =
                "  {bar:30} {binary_bytes}/{binary_total_bytes}, {binary_bytes_per_sec}, {eta} left  {wide_msg}";
            bar.set_style(style(template));
            bar.set_position(n_done);
            state.bar = bar;
        }
        let is_coming = matches!(step, Step::Fetching);
        if is_coming != self.is_coming {
            self.is_coming = is_coming;
            // What was there before is no measure of how fast the rest comes.
            state.bar.set_position(n_done);
            state.bar.reset_eta();
        }
        state.bar.set_message(terminal::line(&message).into_owned());
        state.bar.set_position(n_done);
    }

    fn line(&mut self, step: Step<'_>, file: &str, n_done: u64, n_bytes: u64) {
        let far = format!("{} of {}", amount(n_done), amount(n_bytes));
        match step {
            Step::Waiting { cause, pause } => {
                let words = format!("{file}: {cause}; again in {} s ({far})", pause.as_secs());
                self.screen.say(Ink::Yellow, &terminal::line(&words));
            }
            Step::Checking | Step::Fetching if self.file != file => {
                self.file = file.to_owned();
                self.screen.say(Ink::Plain, &terminal::line(&format!("fetching {file} ({far} so far)")));
            }
            Step::Checking | Step::Fetching => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_shown_whole_and_of_long_ones_the_beginning() {
        assert_eq!(beginning("Use it well.\n\n  Always.\u{1b}[2J\n"), "  Use it well.\n  Always.\\e[2J\n");
        let long = format!("\n   Apache License\n\n{}", "line\n".repeat(200));
        let shown = beginning(&long);
        assert!(shown.starts_with("  Apache License\n  line\n  line\n  ... 198 more lines"), "{shown}");
        assert_eq!(beginning(""), "");
    }
}
