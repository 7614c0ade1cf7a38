//! One call of a tool, from its arguments to its reply: checked, decided by policy, on record before it begins and when it
//! ends, and stopped when it takes too long.
//!
//! It knows nothing of turns and of models: an agent calls through it, and so does whoever offers our tools to others.
//! Start at [`Caller::call`].

use super::{CallOutcome, Provenance};
use crate::journal::{CallEnd, Journal, JournalError, Record};
use crate::policy::{Approvals, Approver, Call, Decision, Grant, Policy};
use crate::tool::{Attachment, Citable, Progress, Registered, Tool};
use crate::world::World;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// Files that a call may make.
const MAX_ATTACHMENTS: usize = 16;

pub(super) const STOPPED: &str = "error: the turn was stopped";

/// Whoever makes calls.
#[derive(Clone)]
pub struct Caller {
    /// Who may do what.
    pub policy: Policy,
    /// Who is asked.
    pub approver: Arc<dyn Approver>,
    /// Where calls are written down.
    pub journal: Journal,
    /// Time limits and files.
    pub world: World,
    /// Where the files go that calls make; without it they are dropped, and the reply says so.
    pub attachments: Option<PathBuf>,
    /// A call's time, whatever limit the tool has of its own.
    pub max_time: Duration,
    /// What was said yes to for the whole session.
    pub approvals: Approvals,
    /// What the calls so far have brought, for all that call through it.
    pub provenance: Arc<Mutex<Provenance>>,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// How it went.
    pub outcome: CallOutcome,
    /// What the model reads.
    pub text: String,
    /// The files that it made; the text says where they are kept.
    pub attachments: Vec<Kept>,
    /// The page that it shows.
    pub page: Option<Citable>,
}

/// A file that a call made, and where it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// As the tool gave it.
    pub file: Attachment,
    /// `None` when it is kept nowhere.
    pub path: Option<PathBuf>,
}

impl Called {
    pub(super) fn new(outcome: CallOutcome, text: impl Into<String>) -> Self {
        Self { outcome, text: text.into(), attachments: Vec::new(), page: None }
    }
}

impl Caller {
    /// Makes the call that `id` counts in this session. Whatever goes wrong with it is its outcome; only a journal that does not
    /// take it is an error.
    pub async fn call(
        &self,
        id: u64,
        registered: &Registered,
        arguments: &str,
        stop: &CancellationToken,
        progress: Progress,
    ) -> Result<Called, JournalError> {
        let spec = registered.spec();
        let parsed = match registered.arguments(arguments) {
            Ok(parsed) => registered.tool().resolve(parsed),
            Err(error) => return Ok(Called::new(CallOutcome::Error, format!("error: {error}"))),
        };
        let (context, argument) = self.provenance().of(spec, &parsed);
        let (effect, quote) = (registered.tool().effect(&parsed), registered.tool().quote(&parsed));
        let call = Call { effect, context: &context, argument: &argument, quote: quote.as_ref(), ..spec.asks(&parsed) };
        let route = quote.as_ref().map(|quote| quote.route.clone()).unwrap_or_default();
        let taken: Vec<String> = argument.arguments.iter().map(ToString::to_string).collect();
        if !route.is_empty() || !taken.is_empty() {
            self.journal.append(Record::CallJudged { call: id, route, taken }).await?;
        }
        let decision = match self.policy.decide(&call) {
            Decision::Allow(grant) => Ok(grant),
            Decision::Deny(denial) => Err(denial),
            Decision::Ask(pending) => tokio::select! {
                answer = pending.ask_within(self.approver.as_ref(), &self.approvals) => answer,
                () = stop.cancelled() => return Ok(Called::new(CallOutcome::Cancelled, STOPPED)),
            },
        };
        let grant = match decision {
            Ok(grant) => grant,
            Err(denial) => {
                self.journal.append(Record::call_denied(id, &spec.id, &parsed, &denial)).await?;
                return Ok(Called::new(CallOutcome::Denied, format!("error: {denial}")));
            }
        };
        self.journal.append(Record::call_intended(id, &spec.id, &parsed, &grant)).await?;
        self.provenance().begins(spec);
        let (caller, tool, stop, seen) = (self.clone(), registered.tool().clone(), stop.clone(), grant.seen());
        // In a task of its own, so that its end is recorded even when nobody waits any more.
        let recorded = tokio::spawn(async move {
            let started = caller.world.clock.elapsed();
            let called = caller.run(id, tool.clone(), parsed, grant, &stop, &progress).await;
            caller.provenance().given(tool.spec(), &argument.label, &seen.label(), &called.text);
            let end = match called.outcome {
                CallOutcome::Ok => CallEnd::Ok,
                CallOutcome::Cancelled => CallEnd::Cancelled,
                CallOutcome::Error | CallOutcome::Denied => CallEnd::Error,
            };
            let duration = caller.world.clock.elapsed().saturating_sub(started);
            let finished = Record::call_finished(id, end, &called.text, duration, progress.memory_peak());
            caller.journal.append(finished).await.map(|()| called)
        });
        match recorded.await {
            Ok(result) => result,
            Err(crash) => std::panic::resume_unwind(crash.into_panic()),
        }
    }

    /// What the calls so far have brought.
    pub fn provenance(&self) -> MutexGuard<'_, Provenance> {
        self.provenance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call itself, in a task within the task: a tool that panics is a failed call.
    async fn run(
        &self,
        id: u64,
        tool: Arc<dyn Tool>,
        arguments: Value,
        grant: Grant,
        stop: &CancellationToken,
        progress: &Progress,
    ) -> Called {
        if stop.is_cancelled() {
            return Called::new(CallOutcome::Cancelled, STOPPED);
        }
        let (told, is_builtin) = (progress.clone(), tool.spec().builtin.is_some());
        let mut call = tokio::spawn(async move { tool.call(arguments, grant, &told).await });
        let ended = tokio::select! {
            ended = &mut call => ended,
            () = stop.cancelled() => {
                call.abort();
                return Called::new(CallOutcome::Cancelled, STOPPED);
            }
            () = self.world.clock.sleep(self.max_time) => {
                call.abort();
                return Called::new(CallOutcome::Error, format!("error: the call was stopped after {:?}", self.max_time));
            }
        };
        match ended {
            Ok(Ok(output)) => {
                let (mut text, mut kept) = (output.text, Vec::new());
                let n_dropped = output.attachments.len().saturating_sub(MAX_ATTACHMENTS);
                for (n, file) in (1..=MAX_ATTACHMENTS).zip(output.attachments) {
                    if stop.is_cancelled() {
                        return Called::new(CallOutcome::Cancelled, STOPPED);
                    }
                    let (line, path) = self.keep(id, n, &file).await;
                    // A tool that has just named its file has said enough of it, unless it is gone.
                    if path.is_none() || !text.ends_with(&file.name) {
                        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
                        text += &format!("{gap}{line}");
                    }
                    kept.push(Kept { file, path });
                }
                if n_dropped > 0 {
                    text += &format!("\n[{n_dropped} more files are not kept: a call may make {MAX_ATTACHMENTS}]");
                }
                let outcome = if output.failed { CallOutcome::Error } else { CallOutcome::Ok };
                Called { outcome, text, attachments: kept, page: output.page }
            }
            // The models know the errors of these by heart, as they are.
            Ok(Err(error)) if is_builtin => Called::new(CallOutcome::Error, error.to_string()),
            Ok(Err(error)) => Called::new(CallOutcome::Error, format!("error: {error}")),
            Err(crash) => {
                tracing::warn!(%crash, "a tool crashed");
                Called::new(CallOutcome::Error, "error: the tool crashed; a new call starts afresh")
            }
        }
    }

    /// Keeps a file that a call made, and says where.
    async fn keep(&self, id: u64, n: usize, attachment: &Attachment) -> (String, Option<PathBuf>) {
        let Attachment { name, media_type, data } = attachment;
        let about = format!("{}, {:.1} kB", plain(media_type, '/'), data.len() as f64 / 1e3);
        let Some(folder) = &self.attachments else {
            return (format!("[{}: {about}; not kept]", plain(name, '.')), None);
        };
        let name = format!("{id}-{n}-{}", plain(name, '.'));
        let path = folder.join(self.journal.session_id()).join(&name);
        let (disk, bytes, at) = (self.world.disk.clone(), data.clone(), path.clone());
        match spawn_blocking(move || disk.write(&at, &bytes)).await {
            Ok(Ok(())) => (format!("[{name}: {about}; kept for the user as {}]", path.display()), Some(path)),
            Ok(Err(error)) => (format!("[{name}: {about}; not kept: {error}]"), None),
            Err(crash) => (format!("[{name}: {about}; not kept: {crash}]"), None),
        }
    }
}

/// A tool's word made harmless: letters, digits, `-`, `_` and this one, which does not come first.
fn plain(text: &str, and: char) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || c == and;
    let kept: String = text.chars().map(|c| if fits(c) { c } else { '_' }).take(64).collect();
    match kept.trim_start_matches(and) {
        "" => "file".into(),
        kept => kept.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tools_words_become_plain_ones() {
        for (text, and, expect) in [
            ("chart.png", '.', "chart.png"),
            ("../../etc/passwd", '.', "_.._etc_passwd"),
            ("...", '.', "file"),
            ("", '.', "file"),
            ("a b\u{1b}[2Jé", '.', "a_b__2J_"),
            ("image/png", '/', "image/png"),
        ] {
            assert_eq!(plain(text, and), expect);
        }
        assert_eq!(plain(&"x".repeat(999), '.').len(), 64);
    }
}
