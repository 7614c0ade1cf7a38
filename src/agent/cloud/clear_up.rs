//! After a crash: what became of tasks whose end nobody knows.
//!
//! Nothing is sent again; who has the answer is asked for it, which costs nothing. Start at [`clear_up`].

use super::ladder::Rung;
use super::{Cloud, LONGEST, done, order};
use crate::delegate::{Ability, Reconciled};
use crate::journal::Task;
use crate::journal::tasks::{End, State};
use crate::policy::{Approver, Call, Capabilities, Decision, Effect, Grant, Label, Taint, Targets, ToolId};
use serde_json::Value;
use std::time::SystemTime;

/// Asks what became of tasks whose end nobody knows and whose conversation is known, and settles them. What cannot be asked
/// about stays unknown, with its money. How many were cleared up.
///
/// It happens under a grant for `cloud.ask`, like any call.
pub async fn clear_up(cloud: &Cloud, approver: &dyn Approver, now: SystemTime) -> usize {
    let tasks = cloud.tasks.tasks().await.unwrap_or_default();
    let mut n_settled = 0;
    for task in tasks.into_iter().filter(|task| task.state == State::Unknown) {
        let Some(conversation) = &task.conversation else { continue };
        // Who is not set up any more cannot be asked.
        let Some(rung) = cloud.at(&task.destination) else { continue };
        let Some(grant) = cloud.grant_to_look(rung, approver).await else { break };
        let end = match rung.provider.delegate.reconcile(conversation, task.response.as_deref(), grant).await {
            Ok(Reconciled::Delivered(mut delivery)) => {
                delivery.text = rung.understood(&task, &delivery.text);
                // Where nobody says what it cost, what was set aside stays so.
                done(&delivery, "found after a crash")
            }
            // What failed over there may have cost something: its money stays set aside.
            Ok(Reconciled::Failed(why)) => End::new(State::Failed, None, why),
            Ok(Reconciled::NoTrace) if task.sent.is_some_and(|sent| sent + LONGEST <= now) => {
                End::new(State::Failed, None, "nothing came of it")
            }
            Ok(Reconciled::NoTrace | Reconciled::Running) => continue,
            Err(error) => {
                tracing::warn!(task = %task.id, %error, "what became of it cannot be found out");
                continue;
            }
        };
        match cloud.tasks.settle(&task.id, end, now).await {
            Ok(is_settled) => n_settled += usize::from(is_settled),
            Err(error) => tracing::warn!(task = %task.id, %error, "it could not be cleared up"),
        }
    }
    n_settled
}

impl Cloud {
    /// The permission to look at what was paid for already.
    async fn grant_to_look(&self, rung: &Rung, approver: &dyn Approver) -> Option<Grant> {
        let tool = ToolId { package: "cloud".into(), tool: Ability::Ask.as_str().into() };
        let wants = Capabilities { hosts: vec![rung.provider.host.clone()], ..Capabilities::default() };
        let (targets, arguments) = (Targets::default(), Value::Null);
        let call = Call {
            tool: &tool,
            effect: Effect::Cloud,
            arguments: &arguments,
            wants: &wants,
            targets: &targets,
            context: Label::trusted(),
            argument: Taint::trusted(),
            quote: None,
        };
        match self.policy.decide(&call) {
            Decision::Allow(grant) => Some(grant),
            Decision::Ask(pending) => pending.ask(approver).await.ok(),
            Decision::Deny(_) => None,
        }
    }
}

impl Rung {
    /// The answer to a task, with what its placeholders stand for: what was asked is redacted again, in the same way.
    fn understood(&self, task: &Task, answer: &str) -> String {
        let request: Value = serde_json::from_str(&task.request).unwrap_or_default();
        let ability = Ability::ALL.into_iter().find(|ability| ability.as_str() == task.capability);
        let words = ability.and_then(|ability| order::words(ability, &request["arguments"]).ok()).unwrap_or_default();
        self.redacted(words).1.restore_prose(answer)
    }
}
