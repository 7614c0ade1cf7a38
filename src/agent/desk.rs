//! The desk that every call of a tool passes, whoever makes it: its arguments are checked, policy decides, the journal is told
//! before and after, and in between the tool runs.
//!
//! What it is not: it knows no model and no turn; `dispatch` turns what comes of a call into a reply, and a server into an
//! answer to its client. Start at [`Desk::call`].

use super::CallOutcome;
use crate::journal::{CallEnd, Journal, JournalError, Record};
use crate::policy::{Approver, Call, Decision, Grant, Policy};
use crate::tool::{Output, Registered, Tool};
use crate::world::Clock;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(super) const STOPPED: &str = "error: the turn was stopped";

/// Where calls are decided, written down and run.
pub struct Desk {
    /// Who may do what.
    pub policy: Policy,
    /// Who is asked.
    pub approver: Arc<dyn Approver>,
    /// Where it is written.
    pub journal: Journal,
    /// Whose time counts.
    pub clock: Arc<dyn Clock>,
    /// A call's time, whatever limit the tool has of its own.
    pub max_call_time: Duration,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// How it went.
    pub outcome: CallOutcome,
    /// What the caller reads, also when it went wrong.
    pub output: Output,
}

impl Called {
    pub(super) fn new(outcome: CallOutcome, text: impl Into<String>) -> Self {
        Self { outcome, output: Output::from(text.into()) }
    }
}

impl Desk {
    /// Decides a call and runs it. `id` counts the calls of the journal's session; `arguments` are as the caller wrote them.
    /// An error means that the journal did not take it, so that nothing may go on.
    pub async fn call(
        &self,
        id: u64,
        registered: &Registered,
        arguments: &str,
        stop: &CancellationToken,
    ) -> Result<Called, JournalError> {
        let spec = registered.spec();
        let parsed = match registered.arguments(arguments) {
            Ok(parsed) => parsed,
            Err(error) => return Ok(Called::new(CallOutcome::Error, format!("error: {error}"))),
        };
        let call = Call { tool: &spec.id, effect: spec.effect, arguments: &parsed, wants: &spec.wants };
        let decision = match self.policy.decide(&call) {
            Decision::Allow(grant) => Ok(grant),
            Decision::Deny(denial) => Err(denial),
            Decision::Ask(pending) => tokio::select! {
                answer = pending.ask(self.approver.as_ref()) => answer,
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
        let running = Running {
            id,
            tool: registered.tool().clone(),
            journal: self.journal.clone(),
            stop: stop.clone(),
            limit: self.max_call_time,
            clock: self.clock.clone(),
        };
        running.run(parsed, grant).await
    }
}

/// A call that has begun. It runs in a task of its own, so that its end is recorded even when nobody waits any more.
struct Running {
    id: u64,
    tool: Arc<dyn Tool>,
    journal: Journal,
    stop: CancellationToken,
    limit: Duration,
    clock: Arc<dyn Clock>,
}

impl Running {
    async fn run(self, arguments: Value, grant: Grant) -> Result<Called, JournalError> {
        let recorded = tokio::spawn(async move {
            let started = self.clock.elapsed();
            let called = self.outcome(arguments, grant).await;
            let end = match called.outcome {
                CallOutcome::Ok => CallEnd::Ok,
                CallOutcome::Cancelled => CallEnd::Cancelled,
                CallOutcome::Error | CallOutcome::Denied => CallEnd::Error,
            };
            let duration = self.clock.elapsed().saturating_sub(started);
            self.journal.append(Record::call_finished(self.id, end, &called.output.text, duration)).await?;
            Ok(called)
        });
        match recorded.await {
            Ok(result) => result,
            Err(crash) => std::panic::resume_unwind(crash.into_panic()),
        }
    }

    /// The call itself, in a task within the task: a tool that panics is a failed call.
    async fn outcome(&self, arguments: Value, grant: Grant) -> Called {
        if self.stop.is_cancelled() {
            return Called::new(CallOutcome::Cancelled, STOPPED);
        }
        let tool = self.tool.clone();
        let mut call = tokio::spawn(async move { tool.call(arguments, grant).await });
        let ended = tokio::select! {
            ended = &mut call => ended,
            () = self.stop.cancelled() => {
                call.abort();
                return Called::new(CallOutcome::Cancelled, STOPPED);
            }
            () = self.clock.sleep(self.limit) => {
                call.abort();
                return Called::new(CallOutcome::Error, format!("error: the call was stopped after {:?}", self.limit));
            }
        };
        match ended {
            Ok(Ok(output)) => Called { outcome: CallOutcome::Ok, output },
            Ok(Err(error)) => Called::new(CallOutcome::Error, format!("error: {error}")),
            Err(crash) => {
                tracing::warn!(%crash, "a tool crashed");
                Called::new(CallOutcome::Error, "error: the tool crashed; a new call starts afresh")
            }
        }
    }
}
