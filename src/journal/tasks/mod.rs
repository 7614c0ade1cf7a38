//! Delegated tasks: what is paid for is accepted here first, with its reservation, and settled here in the end.
//!
//! It sends nothing. What a process leaves behind that dies is found by its lease. Start at [`TaskStore::reserve`]; the rules of
//! what may be spent are [`Budget`]'s.

#[cfg(test)]
mod conformance;
pub(super) mod line;

pub use line::Words;

use super::JournalError;
use super::ledger::Line;
use crate::policy::{Budget, Money};
use crate::world::World;
use async_trait::async_trait;
use std::fmt;
use std::time::{Duration, SystemTime};

/// How long a running task is its process's own after a sign of life.
pub const LEASE: Duration = Duration::from_secs(60);

/// Which task: `1m8b0pdjq-p3m2`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(String);

impl TaskId {
    /// A new one, which sorts by its time.
    pub fn drawn(world: &World) -> Self {
        Self(super::new_id(world.clock.now(), world.random.as_ref()))
    }

    /// One that was written down.
    pub fn named(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Accepted for later, when there is a way out again. Nothing is reserved.
    Waiting,
    /// Paid for by a reservation; nothing has been sent that costs.
    Reserved,
    /// On its way: from here on it may have been charged.
    Sent,
    /// Finished and settled.
    Done,
    /// It came to nothing, and cost nothing.
    Failed,
    /// Nobody knows whether it was done and charged: it keeps its reservation until somebody finds out.
    Unknown,
    /// Taken back before it began.
    Cancelled,
    /// It waited for too long.
    Expired,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Reserved,
        Self::Sent,
        Self::Done,
        Self::Failed,
        Self::Unknown,
        Self::Cancelled,
        Self::Expired,
    ];

    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Reserved => "reserved",
            Self::Sent => "sent",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether nothing more comes of it by itself.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Reserved | Self::Sent)
    }
}

/// What is to be delegated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// Its name.
    pub id: TaskId,
    /// The session that wants it.
    pub session: String,
    /// `image`, `ask` ...
    pub capability: String,
    /// The hosted model.
    pub model: String,
    /// What it costs at most; `None` where nobody knows.
    pub estimate: Option<Money>,
    /// What is wanted, so that it can be asked for again: JSON, without files' bytes. Kept until its end is known.
    pub request: String,
    /// The local date, `YYYY-MM-DD`: the day that pays.
    pub day: String,
    /// What else the ledger says of it.
    pub words: Words,
}

/// A task as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its name.
    pub id: TaskId,
    /// The session that wanted it.
    pub session: String,
    /// `image`, `ask` ...
    pub capability: String,
    /// The hosted model.
    pub model: String,
    /// Where it is.
    pub state: State,
    /// What was set aside for it.
    pub reserved: Money,
    /// What it cost, once that is known.
    pub cost: Option<Money>,
    /// What is wanted; empty once its end is known.
    pub request: String,
    /// The host that it goes to.
    pub destination: String,
    /// When what costs was sent.
    pub sent: Option<SystemTime>,
    /// Until when it waits, if it ever waited.
    pub expires: Option<SystemTime>,
    /// The hosted conversation, by which a crash can be cleared up.
    pub conversation: Option<String>,
    /// The hosted response.
    pub response: Option<String>,
    /// Why, where there is something to say.
    pub note: String,
    /// When it was accepted.
    pub created: SystemTime,
}

/// A limit that a task would break. `Display` is for the model and the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it may cost {estimate}, and of the {limit} for {what} {spent} is spent or reserved; the policy's `[budget]` sets the limit"
)]
pub struct OverBudget {
    /// A call, a task, a day.
    pub what: Limit,
    /// What it would cost at most.
    pub estimate: Money,
    /// What is spent and reserved already.
    pub spent: Money,
    /// The limit.
    pub limit: Money,
}

/// A limit of [`Budget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `per_call`.
    Call,
    /// `per_task`.
    Task,
    /// `per_day`.
    Day,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call => "one call",
            Self::Task => "this session",
            Self::Day => "today",
        })
    }
}

/// Something that happens to a running task, written down before it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A hosted conversation was made, which costs nothing.
    Conversation(String),
    /// What costs is about to be sent.
    Sending,
    /// The hosted response has a name.
    Response(String),
    /// Its process is alive.
    Alive,
}

/// How a task ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// A final state.
    pub state: State,
    /// What it cost; `None` keeps what was reserved.
    pub cost: Option<Money>,
    /// Why, where there is something to say.
    pub note: String,
    /// What came of it: kept in the same commit, because it was paid for.
    pub results: Vec<Piece>,
}

impl End {
    /// One without results.
    pub fn new(state: State, cost: Option<Money>, note: impl Into<String>) -> Self {
        Self { state, cost, note: note.into(), results: Vec::new() }
    }
}

/// Something that came of a task: an answer, a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Such as `picture.png`.
    pub name: String,
    /// Such as `image/png`.
    pub media_type: String,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// How long results are kept beside what became of them elsewhere.
pub const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// What is spent and reserved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// By the session.
    pub task: Money,
    /// On the day, by all sessions.
    pub day: Money,
    /// Of the day's, what is only reserved.
    pub reserved: Money,
}

/// Keeps tasks, for any number of processes. Each method is one transaction: all of it happened, or nothing.
#[async_trait]
pub trait TaskStore: Send + Sync {
    /// Accepts a task and sets its money aside, unless a limit would be broken.
    async fn reserve(
        &self,
        task: NewTask,
        budget: &Budget,
        at: SystemTime,
    ) -> Result<Result<(), OverBudget>, JournalError>;

    /// Accepts a task for later, at most until `expires`.
    async fn defer(&self, task: NewTask, at: SystemTime, expires: SystemTime) -> Result<(), JournalError>;

    /// Takes a waiting task up, as it would be accepted now: `fresh` has its name, and today's model, price and words. `None` when
    /// it does not wait, or no longer: one of several that try gets it.
    async fn claim(
        &self,
        fresh: NewTask,
        budget: &Budget,
        at: SystemTime,
    ) -> Result<Option<Result<(), OverBudget>>, JournalError>;

    /// Puts a task back that was taken up and could not be sent. Whether it waits again.
    async fn release(&self, task: &TaskId, why: &str, at: SystemTime) -> Result<bool, JournalError>;

    /// Takes a waiting task back for good. Whether it still waited.
    async fn cancel(&self, task: &TaskId, at: SystemTime) -> Result<bool, JournalError>;

    /// Writes a step of a running task down.
    async fn step(&self, task: &TaskId, step: Step, at: SystemTime) -> Result<(), JournalError>;

    /// Ends a task. One that has ended stays as it is, but for an unknown one, which can be cleared up. Whether it was ended now.
    async fn settle(&self, task: &TaskId, end: End, at: SystemTime) -> Result<bool, JournalError>;

    /// Ends what waited too long, and what dead processes left: what had not been sent waits again or has failed and costs
    /// nothing, what had been is unknown. Results that were kept for long enough go. What was ended.
    async fn recover(&self, at: SystemTime) -> Result<Vec<Task>, JournalError>;

    /// All tasks, the oldest first.
    async fn tasks(&self) -> Result<Vec<Task>, JournalError>;

    /// What came of a task, for as long as that is [`KEPT`].
    async fn results(&self, task: &TaskId) -> Result<Vec<Piece>, JournalError>;

    /// What a session and a day have spent.
    async fn spent(&self, session: &str, day: &str) -> Result<Spent, JournalError>;

    /// The ledger.
    async fn lines(&self) -> Result<Vec<Line>, JournalError>;
}

impl Budget {
    /// What is set aside for a task of this estimate, or the limit that it would break.
    pub(super) fn reservation(&self, estimate: Option<Money>, spent: Spent) -> Result<Money, OverBudget> {
        let left = |limit: Option<Money>, spent| limit.map(|limit| limit.checked_sub(spent).unwrap_or(Money::ZERO));
        // What nobody knows the price of may cost all that there is.
        let all = [self.per_call, left(self.per_task, spent.task), left(self.per_day, spent.day)];
        let estimate = match (estimate, all.into_iter().flatten().min()) {
            (Some(estimate), _) => estimate,
            (None, None) => Money::ZERO,
            (None, Some(Money::ZERO)) => Money::from_micro_dollars(1),
            (None, Some(least)) => least,
        };
        let limits = [
            (Limit::Call, self.per_call, Money::ZERO),
            (Limit::Task, self.per_task, spent.task),
            (Limit::Day, self.per_day, spent.day),
        ];
        for (what, limit, spent) in limits {
            if let Some(limit) = limit
                && spent.checked_add(estimate).is_none_or(|sum| sum > limit)
            {
                return Err(OverBudget { what, estimate, spent, limit });
            }
        }
        Ok(estimate)
    }
}
