//! What the ledger says of a task, as JSON: a promise to later programs.

use super::{End, NewTask, Step};
use crate::policy::Money;
use serde_json::{Value, json};

/// What the ledger says of a task beside what the task says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The host that it goes to.
    pub destination: String,
    /// Of what is sent.
    pub n_bytes: u64,
    /// Of what is sent, in hexadecimal.
    pub sha256: String,
    /// What was taken out of it, by placeholder.
    pub hidden: Vec<String>,
    /// How confidential it is: `public`, `personal`.
    pub confidentiality: String,
    /// The policy's rule.
    pub rule: String,
    /// Whether somebody was asked and said yes.
    pub is_approved: bool,
}

fn micro(money: Option<Money>) -> Value {
    money.map_or(Value::Null, |money| money.micro_dollars().into())
}

/// It was accepted, or taken up.
pub(in crate::journal) fn accepted(kind: &str, task: &NewTask, reserved: Option<Money>) -> String {
    let Words { destination, n_bytes, sha256, hidden, confidentiality, rule, is_approved } = &task.words;
    json!({
        "v": 1, "type": kind, "task": task.id.as_str(), "capability": task.capability, "model": task.model,
        "destination": destination, "n_bytes": n_bytes, "sha256": sha256, "hidden": hidden,
        "confidentiality": confidentiality, "rule": rule, "approved": is_approved,
        "estimate_micro_dollars": micro(task.estimate), "reserved_micro_dollars": micro(reserved),
    })
    .to_string()
}

/// One that was taken up waits again.
pub(in crate::journal) fn released(task: &str, why: &str) -> String {
    json!({ "v": 1, "type": "task_released", "task": task, "note": why }).to_string()
}

/// It went on. Signs of life are not for the ledger.
pub(in crate::journal) fn step(task: &str, step: &Step) -> Option<String> {
    let (what, name) = match step {
        Step::Conversation(name) => ("conversation", Some(name)),
        Step::Sending => ("sending", None),
        Step::Response(name) => ("response", Some(name)),
        Step::Alive => return None,
    };
    Some(json!({ "v": 1, "type": "task_step", "task": task, "step": what, "name": name }).to_string())
}

/// It ended.
pub(in crate::journal) fn settled(task: &str, end: &End) -> String {
    json!({
        "v": 1, "type": "task_settled", "task": task, "state": end.state.as_str(), "cost_micro_dollars": micro(end.cost),
        "note": end.note,
    })
    .to_string()
}
