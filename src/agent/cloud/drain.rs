//! What waited for a connection is done, one after the other, each through the gate that every call passes.
//!
//! Who said yes to a task when it was wanted has said yes to it now, as long as it is the same to the byte, goes to the same
//! place and costs no more; anything else is asked about. Start at [`drain`].

use super::ladder::Rung;
use super::{Cloud, waiting};
use crate::agent::{CallOutcome, Called, Caller};
use crate::journal::ledger::Line;
use crate::journal::tasks::State;
use crate::journal::{JournalError, Task, TaskId};
use crate::policy::{Approval, Approver, Folder, Money, Pending, Quote};
use crate::tool::{Progress, Toolbox};
use async_trait::async_trait;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two tasks: who comes back after a day offline does not knock at every door at once.
const PACE: Duration = Duration::from_secs(1);

/// What came of a task that had waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Its name.
    pub task: TaskId,
    /// The tool that wanted it: `cloud.image`.
    pub tool: String,
    /// How it went; one that still waits is an error.
    pub called: Called,
}

/// Does what waits and whose server is there. `begins` is told of each before it begins.
pub async fn drain(
    cloud: &Arc<Cloud>,
    caller: &Caller,
    folders: &[Folder],
    begins: &mut (dyn FnMut(&Task) + Send),
) -> Result<Vec<Drained>, JournalError> {
    let tasks: Vec<Task> = cloud.tasks.tasks().await?.into_iter().filter(|task| task.state == State::Waiting).collect();
    if tasks.is_empty() {
        return Ok(Vec::new());
    }
    let mut approved = Approved::all(&cloud.tasks.lines().await?);
    let (mut drained, mut n_tried) = (Vec::new(), 0);
    for task in tasks {
        let (id, tool) = (task.id.clone(), format!("cloud.{}", task.capability));
        let is_there = |rung: &Rung| rung.breaker.is_closed(cloud.world.clock.elapsed());
        if !cloud.at(&task.destination).is_none_or(is_there) {
            let called = failed(&format!("{} is not there; it waits on", task.destination));
            drained.push(Drained { task: id, tool, called });
            continue;
        }
        if n_tried > 0 {
            cloud.world.clock.sleep(PACE).await;
        }
        n_tried += 1;
        begins(&task);
        let approver = Earlier { approved: approved.remove(task.id.as_str()), otherwise: caller.approver.clone() };
        let caller = Caller { approver: Arc::new(approver), ..caller.clone() };
        let called = match one(cloud, &caller, n_tried, task, folders).await {
            Ok(called) => called,
            // What was done before it is told all the same.
            Err(error) if drained.is_empty() => return Err(error),
            Err(error) => failed(&error),
        };
        drained.push(Drained { task: id, tool, called });
    }
    Ok(drained)
}

/// The call of one that waited.
async fn one(
    cloud: &Arc<Cloud>,
    caller: &Caller,
    n: u64,
    task: Task,
    folders: &[Folder],
) -> Result<Called, JournalError> {
    let (tool, arguments) = match waiting(cloud, task, folders) {
        Ok(made) => made,
        Err(problem) => return Ok(failed(&problem)),
    };
    let (name, mut toolbox) = (tool.spec().id.to_string(), Toolbox::default());
    if let Err(error) = toolbox.register(tool) {
        return Ok(failed(&error));
    }
    match toolbox.named(&name) {
        Some(tool) => caller.call(n, tool, &arguments, &CancellationToken::new(), Progress::default()).await,
        None => Ok(failed(&format!("there is no tool {name}"))),
    }
}

fn failed(why: &dyn std::fmt::Display) -> Called {
    Called { outcome: CallOutcome::Error, text: format!("error: {why}"), attachments: Vec::new(), page: None }
}

/// What somebody said yes to before it waited.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Approved {
    destination: String,
    model: String,
    /// Of what leaves.
    sha256: String,
    /// At most.
    cost: Money,
    /// The rule that asked.
    rule: String,
}

impl Approved {
    /// As the ledger has them, by task; without those that nobody was asked about, or whose cost nobody knew.
    fn all(lines: &[Line]) -> HashMap<String, Self> {
        let deferred = lines.iter().filter(|line| line.body.contains("task_deferred"));
        let bodies = deferred.filter_map(|line| serde_json::from_str::<Value>(&line.body).ok());
        let approved = bodies.filter(|body| body["type"] == "task_deferred" && body["approved"] == true);
        approved.filter_map(|body| Some((body["task"].as_str()?.to_owned(), Self::of(&body)?))).collect()
    }

    fn of(body: &Value) -> Option<Self> {
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        Some(Self {
            destination: text("destination")?,
            model: text("model")?,
            sha256: text("sha256")?,
            cost: Money::from_micro_dollars(body["estimate_micro_dollars"].as_u64()?),
            rule: text("rule")?,
        })
    }

    /// Whether this is what they said yes to. Of files only names are quoted, so what goes with some is asked about again.
    fn covers(&self, rule: &str, quote: &Quote) -> bool {
        let hash = Sha256::digest(&quote.text);
        rule == self.rule
            && quote.files.is_empty()
            && quote.destination == self.destination
            && quote.model == self.model
            && quote.cost.is_some_and(|cost| cost <= self.cost)
            && hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == self.sha256
    }
}

/// Says yes to what was said yes to before; about the rest somebody else is asked.
struct Earlier {
    approved: Option<Approved>,
    otherwise: Arc<dyn Approver>,
}

#[async_trait]
impl Approver for Earlier {
    async fn approve(&self, pending: &Pending) -> Approval {
        match (&self.approved, pending.quote()) {
            (Some(approved), Some(quote)) if approved.covers(pending.rule(), quote) => Approval::Yes,
            _ => self.otherwise.approve(pending).await,
        }
    }
}
