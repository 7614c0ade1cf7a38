//! The journal: what happened in a session, written down before anyone acts on it.
//!
//! What it is not: a log for people (that is `tracing`) and no place for display; it runs and decides nothing.
//! Start at [`Journal::append`], which returns only when the record is safe; [`record`] says what is written, [`replay`]
//! reads it back, and [`store`] is where it lies.

pub mod ledger;
pub mod record;
pub mod replay;
pub mod store;
pub mod tasks;

pub use record::{CallEnd, Origin, Record};
pub use replay::{Entry, Replay};
pub use store::{MemoryStore, SqliteStore, Store, Summary};
pub use tasks::{NewTask, Task, TaskId, TaskStore};

use crate::egress::{Ledger, LedgerError};
use crate::world::{Clock, Random, World};
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// One session, open for writing by nobody else until the last clone is dropped.
#[derive(Clone)]
pub struct Journal(Arc<Session>);

struct Session {
    id: String,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// Held, never looked at.
    _lease: store::Lease,
}

/// Why the journal cannot be used. Nothing may happen that it has not taken, so all of these stop a turn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The place does not take files.
    #[error(
        "the journal cannot be written at {}: {cause}; set OSSICLE_HOME to a folder of your own, or use --ephemeral to keep no journal", path.display()
    )]
    NotWritable {
        /// The database or its folder.
        path: PathBuf,
        /// The system's word.
        cause: String,
    },
    /// No room.
    #[error("the disk is full: the journal at {} cannot grow; make room, then go on: what it has taken is safe", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// What was read makes no sense.
    #[error(
        "the journal is damaged: {what}; move the file away to start afresh, and keep it: sqlite3's .recover may save the rest"
    )]
    Corrupt {
        /// Where and how.
        what: String,
    },
    /// A later program wrote it.
    #[error("the journal was written in version {found} of its format, and this program knows {known}: update ossicle")]
    NewerVersion {
        /// What was met.
        found: u32,
        /// The newest that is understood.
        known: u32,
    },
    /// Somebody else writes this session.
    #[error("session {session} is in use{}; leave it there, or start a new session", process.map(|id| format!(" by process {id}")).unwrap_or_default())]
    Locked {
        /// Which.
        session: String,
        /// By whom, when known.
        process: Option<u32>,
    },
    /// Another program held the database for longer than a record may wait.
    #[error("another program has kept the journal at {} busy; end it, then try again", path.display())]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// There is no such session.
    #[error("there is no session {0}")]
    NoSuchSession(String),
    /// Anything else the database says.
    #[error("the journal's database failed: {0}")]
    Database(String),
}

impl Journal {
    /// Opens a new session. Nothing is written before the first record.
    pub async fn create(store: Arc<dyn Store>, world: &World) -> Result<Self, JournalError> {
        loop {
            let id = new_id(world.clock.now(), world.random.as_ref());
            match store.lease(&id, true).await {
                // Two sessions of one millisecond with the same 20 random bits: draw again.
                Err(JournalError::Locked { .. }) => {}
                lease => return Ok(Self::new(id, store, world, lease?)),
            }
        }
    }

    /// Opens a session that is already there, to go on with it.
    pub async fn resume(store: Arc<dyn Store>, session: &str, world: &World) -> Result<Self, JournalError> {
        let lease = store.lease(session, false).await?;
        Ok(Self::new(session.to_owned(), store, world, lease))
    }

    /// A new session that is gone when the program ends.
    pub async fn in_memory(world: &World) -> Result<Self, JournalError> {
        Self::create(Arc::new(MemoryStore::default()), world).await
    }

    fn new(id: String, store: Arc<dyn Store>, world: &World, lease: store::Lease) -> Self {
        Self(Arc::new(Session { id, store, clock: world.clock.clone(), _lease: lease }))
    }

    /// The session's identity: short, and sorted by the time it was opened.
    pub fn session_id(&self) -> &str {
        &self.0.id
    }

    /// Writes a record. When this returns `Ok`, a crash of the program or of the machine does not lose it.
    pub async fn append(&self, record: Record) -> Result<(), JournalError> {
        let Session { id, store, clock, .. } = self.0.as_ref();
        let is_sealed = matches!(record, Record::Egress(_));
        store.append(id, clock.now(), record::encode(&record), is_sealed).await
    }

    /// Everything that was written so far.
    pub async fn replay(&self) -> Result<Replay, JournalError> {
        Replay::read(self.0.store.as_ref(), &self.0.id).await
    }
}

#[async_trait]
impl Ledger for Journal {
    async fn record(&self, entry: crate::egress::Entry) -> Result<(), LedgerError> {
        self.append(Record::Egress(entry)).await.map_err(|error| LedgerError(error.to_string()))
    }
}

/// Digits that sort like numbers and are not mistaken for each other (Crockford's base 32).
const DIGITS: [u8; 32] = *b"0123456789abcdefghjkmnpqrstvwxyz";

/// Nine digits of milliseconds (until the year 3084), a dash, four random digits.
fn new_id(now: SystemTime, random: &dyn Random) -> String {
    let digits = |value: u64, n: u32| {
        (0..n).rev().map(move |place| char::from(DIGITS[(value >> (5 * place)) as usize % DIGITS.len()]))
    };
    let time = digits(milliseconds(now) as u64, 9);
    time.chain(std::iter::once('-')).chain(digits(random.next_u64(), 4)).collect()
}

/// Since the Unix epoch. Years before it and beyond the number's end are one of its ends: only order is lost.
fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn from_milliseconds(milliseconds: i64) -> SystemTime {
    let since = Duration::from_millis(milliseconds.try_into().unwrap_or(0));
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{SeededRandom, SimulatedClock};

    #[test]
    fn ids_are_short_and_sort_by_time() {
        let (clock, random) = (SimulatedClock::default(), SeededRandom::new(1));
        let mut ids = Vec::new();
        for step in [1, 40, 3_600_000, 86_400_000_000] {
            ids.push(new_id(clock.now(), &random));
            clock.advance(Duration::from_millis(step));
        }
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids.iter().all(|id| id.len() == 14), "{ids:?}");
        assert_ne!(new_id(clock.now(), &random), new_id(clock.now(), &random));
    }

    #[tokio::test]
    async fn order_is_that_of_writing_whatever_the_clock_says() {
        let world = World::simulated(1);
        let journal = Journal::in_memory(&world).await.unwrap();
        for (n, text) in ["one", "two", "three"].into_iter().enumerate() {
            // The wall clock is set back by a day before each record but the first.
            let at = world.clock.now() - Duration::from_secs(86_400 * n as u64);
            let record = Record::TurnStarted { text: text.into() };
            journal.0.store.append(journal.session_id(), at, record::encode(&record), false).await.unwrap();
        }
        let texts: Vec<Record> =
            journal.replay().await.unwrap().entries.into_iter().map(|entry| entry.record).collect();
        assert_eq!(texts, ["one", "two", "three"].map(|text| Record::TurnStarted { text: text.into() }));
    }

    #[test]
    fn every_error_says_what_to_do() {
        let path = PathBuf::from("/x/sessions.sqlite");
        for (error, word) in [
            (JournalError::NotWritable { path: path.clone(), cause: "read-only".into() }, "--ephemeral"),
            (JournalError::Full { path: path.clone() }, "make room"),
            (JournalError::Corrupt { what: "x".into() }, "move the file away"),
            (JournalError::NewerVersion { found: 2, known: 1 }, "update"),
            (JournalError::Locked { session: "s".into(), process: Some(7) }, "by process 7; leave it"),
            (JournalError::Locked { session: "s".into(), process: None }, "in use; leave it"),
            (JournalError::Busy { path }, "try again"),
        ] {
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
