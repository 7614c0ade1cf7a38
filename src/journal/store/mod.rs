//! Where sessions lie: a database, or memory.
//!
//! A store knows rows of text, not records: what they mean is its caller's matter. Start at [`Store`].

mod lock;
mod sqlite;
mod tasks;

pub use sqlite::SqliteStore;

use super::JournalError;
use async_trait::async_trait;
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

/// Keeps sessions. One store may be used by many sessions, and one database by many processes.
#[async_trait]
pub trait Store: Send + Sync {
    /// The right to append to `session`, until it is dropped; [`JournalError::Locked`] while somebody else has it.
    /// A `new` session must not exist yet, or that is [`JournalError::Locked`] too; another must exist.
    async fn lease(&self, session: &str, new: bool) -> Result<Lease, JournalError>;

    /// Adds a row at the end of `session`, making it when it is the first, and to the ledger too where `is_sealed` says so.
    /// Returns when the row is safe.
    async fn append(&self, session: &str, at: SystemTime, body: String, is_sealed: bool) -> Result<(), JournalError>;

    /// All rows of `session`, in order.
    async fn read(&self, session: &str) -> Result<Vec<Row>, JournalError>;

    /// All sessions that have a row, the oldest first.
    async fn sessions(&self) -> Result<Vec<Summary>, JournalError>;
}

/// Gives its right back when it is dropped.
pub type Lease = Box<dyn Any + Send + Sync>;

/// One row of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Counts from 1, without gaps.
    pub seq: u64,
    /// When it was written, by the wall clock, to the millisecond.
    pub at: SystemTime,
    /// The text that was appended.
    pub body: String,
}

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its identity.
    pub id: String,
    /// When its first row was written.
    pub created: SystemTime,
    /// How many rows it has.
    pub n_records: u64,
}

/// Sessions that are gone when the program ends.
#[derive(Default)]
pub struct MemoryStore(Arc<Mutex<Memory>>);

#[derive(Default)]
struct Memory {
    sessions: BTreeMap<String, Vec<Row>>,
    leased: BTreeSet<String>,
}

/// Takes a session out of the leased ones.
struct MemoryLease {
    session: String,
    memory: Arc<Mutex<Memory>>,
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        held(&self.memory).leased.remove(&self.session);
    }
}

fn held(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[async_trait]
impl Store for MemoryStore {
    async fn lease(&self, session: &str, new: bool) -> Result<Lease, JournalError> {
        let mut memory = held(&self.0);
        let locked = JournalError::Locked { session: session.to_owned(), process: Some(std::process::id()) };
        match memory.sessions.contains_key(session) {
            true if new => return Err(locked),
            false if !new => return Err(JournalError::NoSuchSession(session.to_owned())),
            _ => {}
        }
        if !memory.leased.insert(session.to_owned()) {
            return Err(locked);
        }
        Ok(Box::new(MemoryLease { session: session.to_owned(), memory: self.0.clone() }))
    }

    /// There is no ledger: it would be gone with the session.
    async fn append(&self, session: &str, at: SystemTime, body: String, _is_sealed: bool) -> Result<(), JournalError> {
        let mut memory = held(&self.0);
        let rows = memory.sessions.entry(session.to_owned()).or_default();
        rows.push(Row { seq: rows.len() as u64 + 1, at, body });
        Ok(())
    }

    async fn read(&self, session: &str) -> Result<Vec<Row>, JournalError> {
        held(&self.0).sessions.get(session).cloned().ok_or_else(|| JournalError::NoSuchSession(session.to_owned()))
    }

    async fn sessions(&self) -> Result<Vec<Summary>, JournalError> {
        let summary = |(id, rows): (&String, &Vec<Row>)| {
            let created = rows.first().map_or(SystemTime::UNIX_EPOCH, |row| row.at);
            Summary { id: id.clone(), created, n_records: rows.len() as u64 }
        };
        Ok(held(&self.0).sessions.iter().map(summary).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// What every store does. It begins empty.
    async fn check(store: Arc<dyn Store>) {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_123);
        assert_eq!(store.sessions().await.unwrap(), []);
        assert_eq!(store.read("a").await, Err(JournalError::NoSuchSession("a".into())));
        assert_eq!(store.lease("a", false).await.err(), Some(JournalError::NoSuchSession("a".into())));

        let lease = store.lease("a", true).await.unwrap();
        assert!(matches!(store.lease("a", true).await, Err(JournalError::Locked { .. })));
        assert_eq!(store.sessions().await.unwrap(), [], "a session without a row is none");
        store.append("a", at, "one \u{0} ü".into(), false).await.unwrap();
        let error = store.lease("a", false).await.err().unwrap();
        assert_eq!(error, JournalError::Locked { session: "a".into(), process: Some(std::process::id()) });
        drop(lease);
        assert!(matches!(store.lease("a", true).await, Err(JournalError::Locked { .. })), "it is not new any more");
        let _lease = store.lease("a", false).await.unwrap();

        let appends: Vec<_> = (0..20)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move { store.append("a", at, n.to_string(), true).await })
            })
            .collect();
        for append in appends {
            append.await.unwrap().unwrap();
        }
        store.append("b", at, "other".into(), false).await.unwrap();
        let rows = store.read("a").await.unwrap();
        assert_eq!(rows[0], Row { seq: 1, at, body: "one \u{0} ü".into() });
        assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), (1..=21).collect::<Vec<_>>());
        let summary = |id: &str, n_records| Summary { id: id.into(), created: at, n_records };
        assert_eq!(store.sessions().await.unwrap(), [summary("a", 21), summary("b", 1)]);
    }

    #[tokio::test]
    async fn memory_and_database_behave_alike() {
        check(Arc::new(MemoryStore::default())).await;
        let folder = tempfile::tempdir().unwrap();
        check(Arc::new(SqliteStore::open(&folder.path().join("new/sessions.sqlite")).unwrap())).await;
    }
}
