//! What waited for a connection is done while somebody chats, and they are told of it before their next line.
//!
//! It asks nobody: what was said yes to when it was wanted, or what the policy lets through, is done; the rest waits for
//! `ossicle cloud queue drain`. Start at [`Meanwhile::look`].

use super::terminal;
use crate::agent::cloud::{self, Drained};
use crate::agent::{Agent, CallOutcome};
use crate::config::{self, ConfigError, Paths, Settings};
use crate::delegate::Breaker;
use crate::journal::tasks::{State, Task, TaskId};
use crate::policy::{Approval, Approver, Pending};
use crate::world::World;
use async_trait::async_trait;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Nobody is asked meanwhile.
struct Nobody;

#[async_trait]
impl Approver for Nobody {
    async fn approve(&self, _: &Pending) -> Approval {
        Approval::NobodyThere
    }
}

/// Looks after what waits.
pub(super) struct Meanwhile {
    settings: Settings,
    paths: Paths,
    world: World,
    /// Whether it is worth looking: not for a while after nobody was there.
    breaker: Breaker,
    running: Option<JoinHandle<Result<Vec<Drained>, ConfigError>>>,
    /// Those of this session that were seen waiting.
    waiting: HashSet<TaskId>,
}

impl Meanwhile {
    pub(super) fn new(settings: Settings, paths: Paths) -> Self {
        let (world, breaker) = (World::real(), Breaker::default());
        Self { settings, paths, world, breaker, running: None, waiting: HashSet::new() }
    }

    /// What there is to tell before the next line of a session; and what can be done is begun. A session without tools of hosted
    /// models has nothing done by them either.
    pub(super) async fn look(&mut self, agent: &Agent) -> Vec<String> {
        let delegates = agent.toolbox().iter().any(|tool| tool.spec().id.package == "cloud");
        if self.settings.ephemeral || self.settings.offline || !delegates {
            return Vec::new();
        }
        let mut news = self.ended().await;
        match self.tasks().await {
            Ok(tasks) => {
                news.extend(self.changed(&tasks, agent.session_id()));
                if self.running.is_none() && tasks.iter().any(|task| task.state == State::Waiting) {
                    self.begin();
                }
            }
            Err(error) => tracing::warn!(%error, "what waits cannot be read"),
        }
        news
    }

    /// Whether something is being done: to leave now would cut it off.
    pub(super) fn is_busy(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.is_finished())
    }

    /// Waits for what is being done, and says what came of it.
    pub(super) async fn finish(&mut self) -> Vec<String> {
        match self.running.take() {
            Some(running) => self.told(running.await.ok()),
            None => Vec::new(),
        }
    }

    async fn tasks(&self) -> Result<Vec<Task>, ConfigError> {
        // Before the first delegation there is nothing to look after, and nothing to make.
        if !self.paths.journal().exists() {
            return Ok(Vec::new());
        }
        Ok(config::tasks(&self.paths)?.tasks().await?)
    }

    /// What has ended since the last look.
    async fn ended(&mut self) -> Vec<String> {
        match self.running.as_ref().is_some_and(JoinHandle::is_finished) {
            true => self.finish().await,
            false => Vec::new(),
        }
    }

    fn told(&mut self, drained: Option<Result<Vec<Drained>, ConfigError>>) -> Vec<String> {
        let drained = match drained {
            Some(Ok(drained)) => drained,
            Some(Err(error)) => {
                tracing::warn!(%error, "what waits could not be done");
                Vec::new()
            }
            None => Vec::new(),
        };
        let done: Vec<_> = drained.into_iter().filter(|drained| drained.called.outcome == CallOutcome::Ok).collect();
        match done.is_empty() {
            true => self.breaker.not_there(self.world.clock.elapsed()),
            false => self.breaker.there(),
        }
        done.iter().for_each(|drained| {
            self.waiting.remove(&drained.task);
        });
        let line = |drained: &Drained| {
            let text = terminal::block(&drained.called.text);
            format!("done meanwhile: {} ({}): {}", drained.tool, drained.task, text.trim_end())
        };
        done.iter().map(line).collect()
    }

    /// What waited for this session and was ended by somebody else.
    fn changed(&mut self, tasks: &[Task], session: &str) -> Vec<String> {
        let mut news = Vec::new();
        for task in tasks.iter().filter(|task| task.session == session) {
            if task.state == State::Waiting {
                self.waiting.insert(task.id.clone());
            } else if task.state.is_final() && self.waiting.remove(&task.id) {
                let (what, state, id) = (&task.capability, task.state.as_str(), &task.id);
                news.push(format!(
                    "what waited has ended: cloud.{what} {state}; `ossicle cloud queue show {id}` shows it"
                ));
            }
        }
        news
    }

    fn begin(&mut self) {
        if !self.breaker.is_closed(self.world.clock.elapsed()) {
            return;
        }
        let (settings, paths) = (self.settings.clone(), self.paths.clone());
        self.running = Some(tokio::spawn(async move {
            let (counter, _) = config::counter(&settings, &paths, Arc::new(Nobody), None).await?;
            let drained = match &counter.cloud {
                Some(cloud) => {
                    let folders = config::folders(&settings, &paths);
                    cloud::drain(cloud, &counter.caller, &folders, &mut |_| {}).await
                }
                None => Ok(Vec::new()),
            };
            counter.servers.close().await;
            Ok(drained?)
        }));
    }
}
