//! One ability of a hosted model as a tool.

use super::ladder::Rung;
use super::{Asked, Cloud, PATIENCE, order};
use crate::delegate::router::Course;
use crate::delegate::{Ability, DelegateError, Delivery, Media};
use crate::journal::{NewTask, Task, TaskId};
use crate::policy::{Capabilities, Confidentiality, Effect, Folder, Grant, Integrity, Quote, Targets, ToolId};
use crate::tool::{Attachment, Output, Progress, Recovery, Tool, ToolError, ToolSpec};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Arc;

/// An ability as a tool: `cloud.image`.
pub struct CloudTool {
    spec: ToolSpec,
    ability: Ability,
    cloud: Arc<Cloud>,
    /// The task that its call carries out, when that was accepted earlier.
    waiting: Option<Task>,
}

/// A tool for each ability. They may read files in `folders`.
pub fn tools(cloud: &Arc<Cloud>, folders: &[Folder]) -> Vec<Arc<dyn Tool>> {
    cloud
        .abilities()
        .map(|ability| Arc::new(CloudTool::new(ability, cloud.clone(), folders)) as Arc<dyn Tool>)
        .collect()
}

/// The tool whose call carries out a task that waits, and the call's arguments as JSON. The error is a sentence.
pub fn waiting(cloud: &Arc<Cloud>, task: Task, folders: &[Folder]) -> Result<(Arc<dyn Tool>, String), String> {
    let ability = Ability::ALL.into_iter().find(|ability| ability.as_str() == task.capability);
    let ability = ability.ok_or_else(|| format!("{} is nothing that this program can have done", task.capability))?;
    let request: Value = serde_json::from_str(&task.request).map_err(|error| error.to_string())?;
    let tool = CloudTool { waiting: Some(task), ..CloudTool::new(ability, cloud.clone(), folders) };
    Ok((Arc::new(tool), request["arguments"].to_string()))
}

impl CloudTool {
    fn new(ability: Ability, cloud: Arc<Cloud>, folders: &[Folder]) -> Self {
        let file = order::file_of(ability);
        let read_only = folders.iter().map(|folder| Folder { is_writable: false, ..folder.clone() });
        let spec = ToolSpec {
            id: ToolId { package: "cloud".into(), tool: ability.as_str().into() },
            description: order::description(ability).into(),
            parameters: Some(order::parameters(ability)),
            effect: Effect::Cloud,
            recovery: match ability {
                Ability::Ask | Ability::See => Recovery::Reconcilable,
                _ => Recovery::Irreversible,
            },
            wants: Capabilities {
                hosts: cloud.rungs.iter().map(|rung| rung.provider.host.clone()).collect(),
                folders: if file.is_some() { read_only.collect() } else { Vec::new() },
                ..Capabilities::default()
            },
            targets: Targets { paths: file.map(str::to_owned).into_iter().collect(), urls: Vec::new() },
            // What the other side says of an error is its words too.
            integrity: Integrity::Untrusted,
            builtin: None,
        };
        Self { spec, ability, cloud, waiting: None }
    }

    /// The order of a call as it leaves, without its files' bytes: to where it was said to go, where that was said already.
    fn asked(&self, arguments: &Value, destination: Option<&str>) -> Result<Asked<'_>, ToolError> {
        let words = order::words(self.ability, arguments)?;
        let (rung, route) = match destination {
            Some(destination) => (self.cloud.at(destination), None),
            None => self
                .cloud
                .routed(self.ability, words)
                .map(|(rung, route)| (Some(rung), Some(route)))
                .unwrap_or_default(),
        };
        let rung = rung.ok_or_else(|| {
            ToolError::Failed(match destination {
                Some(host) => {
                    format!("it was wanted of {host}, and that is not set up now: cancel it, or set it up again")
                }
                None => format!("nobody is set up any more for {}", self.ability),
            })
        })?;
        let (redacted, names) = rung.redacted(words);
        let hidden = redacted.found.into_iter().map(|found| found.placeholder).collect();
        let order = order::order(self.ability, arguments, redacted.text)?;
        let policy = &self.cloud.policy;
        let file = order::path(self.ability, arguments).map(|path| policy.label(&policy.places().absolute(path)));
        let of_file = file.map_or(Confidentiality::Public, |label| label.confidentiality());
        let confidentiality = self.cloud.confidentiality(words, rung).join(of_file);
        Ok(Asked { rung, order, hidden, names, confidentiality, route })
    }

    /// Where a task that waits was to go.
    fn destination(&self) -> Option<&str> {
        self.waiting.as_ref().map(|task| task.destination.as_str())
    }

    async fn paid(&self, arguments: &Value, grant: Grant) -> Result<Output, ToolError> {
        let cloud = &self.cloud;
        // A call that could not be quoted is one that cannot be made: nobody was told where it goes.
        let Some(destination) = grant.destination().map(str::to_owned) else {
            let unsaid = || ToolError::Failed("nobody can say where it would go and what it would cost".into());
            return Err(self.asked(arguments, self.destination()).err().unwrap_or_else(unsaid));
        };
        let mut asked = self.asked(arguments, Some(&destination))?;
        let makes_files = matches!(self.ability, Ability::Image | Ability::EditImage | Ability::Speak);
        if cloud.is_ephemeral && makes_files {
            return Err(ToolError::Failed(
                "an ephemeral session keeps no files: what was paid for would be lost".into(),
            ));
        }
        let grant = Arc::new(grant);
        if let Some(path) = order::path(self.ability, arguments) {
            asked.order.files.push(order::file(self.ability, &cloud.world, &grant, path).await?);
        }
        // Nobody else holds it any more: the reading is over.
        let grant = Arc::into_inner(grant).ok_or_else(|| ToolError::Failed("the file is still being read".into()))?;
        let request = json!({ "v": 1, "tool": self.spec.id.to_string(), "arguments": arguments }).to_string();
        let failed = |error: &dyn std::fmt::Display| ToolError::Failed(error.to_string());
        let mut task = cloud.task(&asked, request, &grant).map_err(|error| failed(&error))?;
        let now = cloud.world.clock.now();
        let Some(waiting) = &self.waiting else {
            if cloud.is_offline {
                return self.deferred(task, "the user wants nothing to leave now").await;
            }
            let rung = asked.rung;
            if !rung.breaker.is_closed(cloud.world.clock.elapsed()) {
                let why = format!("{} was not there a moment ago", task.words.destination);
                return self.deferred(task, &why).await;
            }
            let reserved = cloud.tasks.reserve(task.clone(), cloud.budget(), now).await;
            reserved.map_err(|error| failed(&error))?.map_err(|over| failed(&over))?;
            return match cloud.carry_out(&task.id, asked, grant, false).await {
                Ok(delivery) => Ok(self.output(delivery)),
                Err(DelegateError::Unreachable(why)) if self.goes_elsewhere(arguments, rung) => {
                    Err(ToolError::Unavailable(format!("{why}; the same call made again now goes to somebody else")))
                }
                Err(DelegateError::Unreachable(why)) => {
                    task.id = TaskId::drawn(&cloud.world);
                    self.deferred(task, &why).await
                }
                Err(error) => Err(failed(&error)),
            };
        };
        task.id = waiting.id.clone();
        let id = task.id.clone();
        let claimed = cloud.tasks.claim(task, cloud.budget(), now).await.map_err(|error| failed(&error))?;
        let gone = || ToolError::Failed(format!("task {id} does not wait any more"));
        claimed.ok_or_else(gone)?.map_err(|over| failed(&over))?;
        let carried = cloud.carry_out(&id, asked, grant, true).await;
        carried.map(|delivery| self.output(delivery)).map_err(|error| failed(&error))
    }

    /// Whether the call would now go to another one, who is there.
    fn goes_elsewhere(&self, arguments: &Value, rung: &Rung) -> bool {
        let next = self.asked(arguments, None);
        next.is_ok_and(|next| {
            let host = next.rung.provider.host.to_string();
            let may = !self.cloud.policy.egress().keeps(next.confidentiality, Some(&host));
            may && !std::ptr::eq(next.rung, rung)
                && next.route.is_some_and(|route| matches!(route.course, Course::Go | Course::Ask))
        })
    }

    /// Keeps a task for later, and says so.
    async fn deferred(&self, task: NewTask, why: &str) -> Result<Output, ToolError> {
        let (cloud, id) = (&self.cloud, task.id.clone());
        if cloud.is_ephemeral {
            return Err(ToolError::Failed(format!("{why}; an ephemeral session leaves nothing for later")));
        }
        let now = cloud.world.clock.now();
        cloud.tasks.defer(task, now, now + PATIENCE).await.map_err(|error| ToolError::Failed(error.to_string()))?;
        Ok(Output::from(format!(
            "[not done yet: {why}. It waits as task {id}; the user has it done with `ossicle cloud queue drain` once there is \
             a connection, within 7 days]"
        )))
    }

    fn output(&self, delivery: Delivery) -> Output {
        let mut text = delivery.text;
        if delivery.is_refusal {
            text = format!("[the hosted model refuses; this is its final answer] {text}");
        }
        if text.is_empty() {
            text = match delivery.files.first() {
                Some(file) => format!("saved as {}", file.name),
                None => "[nothing is said in it]".into(),
            };
        }
        let file = |media: Media| Attachment { name: media.name, media_type: media.media_type, data: media.bytes };
        Output { attachments: delivery.files.into_iter().map(file).collect(), ..Output::from(text) }
    }
}

#[async_trait]
impl Tool for CloudTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn quote(&self, arguments: &Value) -> Option<Quote> {
        let asked = self.asked(arguments, self.destination()).ok()?;
        let Asked { rung, order, hidden, confidentiality, route, .. } = asked;
        let offer = rung.provider.delegate.offer(&order).ok()?;
        let file = order::path(self.ability, arguments).map(str::to_owned);
        Some(Quote {
            model: offer.model,
            destination: offer.destination,
            text: order.text,
            files: file.into_iter().collect(),
            hidden,
            confidentiality,
            cost: offer.cost,
            route: route.map(|route| route.lines()).unwrap_or_default(),
        })
    }

    async fn call(&self, arguments: Value, grant: Grant, progress: &Progress) -> Result<Output, ToolError> {
        if *grant.tool() != self.spec.id {
            return Err(ToolError::Unavailable(format!("the grant is for {}", grant.tool())));
        }
        progress.say("asking a hosted model");
        let tool = Self { spec: self.spec.clone(), cloud: self.cloud.clone(), waiting: self.waiting.clone(), ..*self };
        // What is paid for is settled even when nobody waits for it any more.
        let paid = tokio::spawn(async move { tool.paid(&arguments, grant).await });
        paid.await.unwrap_or_else(|crash| Err(ToolError::Trapped(crash.to_string())))
    }
}
