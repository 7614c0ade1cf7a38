//! What is beyond the local model, as tools that it calls: each an order to a [`Provider`], paid for by a reservation.
//!
//! What it is not: it decides nothing that policy decides, and knows no hosted model by name. What leaves is redacted here, what
//! comes back restored here; money is set aside in the [`TaskStore`] before, and settled after. Start at [`Cloud`], then
//! [`tools`].

mod clear_up;
#[cfg(test)]
mod crashes;
mod drain;
mod ladder;
mod metadata;
mod order;
mod tool;

pub use clear_up::clear_up;
pub use drain::{Drained, drain};
pub use ladder::Provider;
pub use tool::{tools, waiting};

use crate::delegate::router::Route;
use crate::delegate::{Ability, DelegateError, Delivery, Order, Step, Witness};
use crate::journal::tasks::{self, End, LEASE, NewTask, Piece, State, TaskId, TaskStore, Words};
use crate::policy::redact::{Known, Placeholders, RedactError, Redactor, Rules};
use crate::policy::{Budget, Confidentiality, Grant, Money, Policy};
use crate::world::World;
use async_trait::async_trait;
use ladder::Rung;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// How long what could not be sent waits for a way out.
pub const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long a call may take: a hosted model may think for half an hour.
pub const LONGEST: Duration = Duration::from_secs(35 * 60);

/// The way to hosted models for one session.
pub struct Cloud {
    /// Where tasks and money are kept, for all sessions.
    pub tasks: Arc<dyn TaskStore>,
    /// What may be spent.
    pub policy: Policy,
    /// Who is asked, the nearest first.
    rungs: Vec<Rung>,
    /// Knows every kind: what is still in a text, whatever the policy leaves in it.
    inspector: Redactor,
    world: World,
    /// Whose tasks they are.
    session: String,
    is_offline: bool,
    is_ephemeral: bool,
}

impl Cloud {
    /// A way to these, the nearest first, within the limits of `policy`, on the account of `session`. What is `known` of the user
    /// is taken out of what leaves.
    ///
    /// # Errors
    /// More known values than can be looked for.
    pub fn new(
        ladder: Vec<Provider>,
        tasks: Arc<dyn TaskStore>,
        policy: Policy,
        known: &Known,
        world: World,
        session: &str,
    ) -> Result<Self, RedactError> {
        let rungs = ladder.into_iter().map(|provider| Rung::new(provider, &policy, known));
        Ok(Self {
            rungs: rungs.collect::<Result<_, _>>()?,
            inspector: Redactor::new(Rules::all(), known)?,
            session: session.to_owned(),
            is_offline: false,
            is_ephemeral: false,
            tasks,
            policy,
            world,
        })
    }

    /// Whether the user wants nothing to leave now: then what is wanted waits.
    pub fn offline(self, is_offline: bool) -> Self {
        Self { is_offline, ..self }
    }

    /// Whether nothing of the session is kept: then nothing waits, and nothing is made that would have to be kept.
    pub fn ephemeral(self, is_ephemeral: bool) -> Self {
        Self { is_ephemeral, ..self }
    }

    fn budget(&self) -> &Budget {
        self.policy.budget()
    }

    /// What any of them can do.
    fn abilities(&self) -> impl Iterator<Item = Ability> {
        let offered: Vec<Ability> = self.rungs.iter().flat_map(|rung| rung.provider.delegate.abilities()).collect();
        Ability::ALL.into_iter().filter(move |ability| offered.contains(ability))
    }

    /// The order as a task, on the account of the call that the grant is for.
    fn task(&self, asked: &Asked<'_>, request: String, grant: &Grant) -> Result<NewTask, DelegateError> {
        let order = &asked.order;
        let offer = asked.rung.provider.delegate.offer(order)?;
        let mut hash = Sha256::new_with_prefix(&order.text);
        order.files.iter().for_each(|file| hash.update(&file.bytes));
        let words = Words {
            destination: offer.destination,
            n_bytes: (order.text.len() + order.files.iter().map(|file| file.bytes.len()).sum::<usize>()) as u64,
            sha256: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
            hidden: asked.hidden.clone(),
            confidentiality: asked.confidentiality.to_string(),
            rule: grant.rule().to_owned(),
            is_approved: grant.approved(),
        };
        Ok(NewTask {
            id: TaskId::drawn(&self.world),
            session: self.session.clone(),
            capability: order.ability.to_string(),
            model: offer.model,
            estimate: offer.cost,
            request: if self.is_ephemeral { String::new() } else { request },
            day: self.world.clock.today(),
            words,
        })
    }

    /// Carries out a task that is reserved, and settles it whatever comes of it. One that `waited` waits again when nobody is
    /// there to do it.
    async fn carry_out(
        &self,
        task: &TaskId,
        asked: Asked<'_>,
        grant: Grant,
        waited: bool,
    ) -> Result<Delivery, DelegateError> {
        let Asked { order, names, rung, .. } = asked;
        let recorder = Recorder { tasks: self.tasks.clone(), world: self.world.clone(), task: task.clone() };
        let mut completing = rung.provider.delegate.complete(order, grant, &recorder);
        let ended = loop {
            tokio::select! {
                ended = &mut completing => break ended,
                () = self.world.clock.sleep(LEASE / 3) => {
                    if let Err(error) = recorder.write(tasks::Step::Alive).await {
                        tracing::warn!(%task, %error, "no sign of life could be written");
                    }
                }
            }
        };
        drop(completing);
        match &ended {
            Err(DelegateError::Unreachable(_)) => rung.breaker.not_there(self.world.clock.elapsed()),
            _ => rung.breaker.there(),
        }
        let ended = ended.map(|delivery| Delivery { text: names.restore_prose(&delivery.text), ..delivery });
        let now = self.world.clock.now();
        let written = match &ended {
            Ok(delivery) => {
                let end = done(delivery, "");
                let results = if self.is_ephemeral { Vec::new() } else { end.results };
                self.tasks.settle(task, End { results, ..end }, now).await
            }
            Err(DelegateError::Unreachable(why) | DelegateError::Unserved(why)) if waited => {
                self.tasks.release(task, why, now).await
            }
            Err(error @ DelegateError::Unknown(_)) => {
                self.tasks.settle(task, End::new(State::Unknown, None, error.to_string()), now).await
            }
            Err(error) => {
                self.tasks.settle(task, End::new(State::Failed, Some(Money::ZERO), error.to_string()), now).await
            }
        };
        // What came was paid for: it is given on, whatever the books say.
        match written {
            Ok(true) => {}
            Ok(false) => tracing::error!(%task, "it was ended elsewhere while it was carried out"),
            Err(error) => tracing::error!(%task, %error, "its end could not be written down"),
        }
        ended
    }
}

/// A call's order as it leaves, where to, and what was taken out of it.
struct Asked<'a> {
    rung: &'a Rung,
    order: Order,
    /// By placeholder.
    hidden: Vec<String>,
    /// What the placeholders stand for.
    names: Placeholders,
    /// Of what is left.
    confidentiality: Confidentiality,
    /// Why it goes there, where that is not settled before.
    route: Option<Route>,
}

/// The end of a task that was done.
fn done(delivery: &Delivery, note: &str) -> End {
    let text = Piece { name: "answer.txt".into(), media_type: "text/plain".into(), data: delivery.text.clone().into() };
    let files = delivery.files.iter().map(|file| Piece {
        name: file.name.clone(),
        media_type: file.media_type.clone(),
        data: file.bytes.clone(),
    });
    let note = if delivery.is_refusal { "the model would not" } else { note };
    let results = Some(text).filter(|text| !text.data.is_empty()).into_iter().chain(files).collect();
    End { results, ..End::new(State::Done, delivery.cost, note) }
}

/// Writes a task's steps into the store.
struct Recorder {
    tasks: Arc<dyn TaskStore>,
    world: World,
    task: TaskId,
}

impl Recorder {
    async fn write(&self, step: tasks::Step) -> Result<(), String> {
        self.tasks.step(&self.task, step, self.world.clock.now()).await.map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Witness for Recorder {
    async fn step(&self, step: Step) -> Result<(), String> {
        self.write(match step {
            Step::Conversation(name) => tasks::Step::Conversation(name),
            Step::Sending => tasks::Step::Sending,
            Step::Response(name) => tasks::Step::Response(name),
        })
        .await
    }
}
