//! Tasks and the ledger in the journal's own SQLite file, so that a task, its reservation and its line are one commit.

use super::SqliteStore;
use crate::journal::ledger::{GENESIS, Line, seal};
use crate::journal::tasks::{
    End, KEPT, LEASE, NewTask, OverBudget, Piece, Spent, State, Step, Task, TaskId, TaskStore, line,
};
use crate::journal::{JournalError, from_milliseconds, milliseconds};
use crate::policy::{Budget, Money};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use std::time::SystemTime;

/// The tables of the second version of the file.
pub(super) const TABLES: &str = "
    CREATE TABLE task (
        id TEXT PRIMARY KEY,
        session TEXT NOT NULL,
        day TEXT NOT NULL,
        capability TEXT NOT NULL,
        model TEXT NOT NULL,
        state TEXT NOT NULL,
        estimate INTEGER,
        reserved INTEGER NOT NULL,
        cost INTEGER,
        request TEXT NOT NULL,
        conversation TEXT,
        response TEXT,
        note TEXT NOT NULL DEFAULT '',
        created_ms INTEGER NOT NULL,
        destination TEXT NOT NULL,
        sent_ms INTEGER,
        expires_ms INTEGER,
        lease_ms INTEGER
    ) STRICT;
    CREATE TABLE result (
        task TEXT NOT NULL REFERENCES task (id),
        n INTEGER NOT NULL,
        name TEXT NOT NULL,
        media_type TEXT NOT NULL,
        data BLOB NOT NULL,
        at_ms INTEGER NOT NULL,
        PRIMARY KEY (task, n)
    ) STRICT;
    CREATE INDEX task_by_day ON task (day);
    CREATE INDEX task_by_session ON task (session);
    CREATE TABLE ledger (
        seq INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        session TEXT NOT NULL,
        body TEXT NOT NULL,
        seal TEXT NOT NULL
    ) STRICT;
    PRAGMA user_version = 2;";

const COLUMNS: &str = "id, session, capability, model, state, reserved, cost, request, conversation, response, note, created_ms, destination, sent_ms, expires_ms";

/// Adds a line to the ledger, sealed by those before it.
pub(super) fn enter(transaction: &Transaction<'_>, at_ms: i64, session: &str, body: &str) -> rusqlite::Result<()> {
    let last = transaction
        .prepare_cached("SELECT seq, seal FROM ledger ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    let (seq, previous) = last.unwrap_or_else(|| (0, GENESIS.into()));
    let seal = seal(&previous, seq.unsigned_abs() + 1, at_ms, session, body);
    transaction.prepare_cached("INSERT INTO ledger VALUES (?, ?, ?, ?, ?)")?.execute(params![
        seq + 1,
        at_ms,
        session,
        body,
        seal
    ])?;
    Ok(())
}

fn money(column: i64) -> Money {
    Money::from_micro_dollars(column.unsigned_abs())
}

fn column(money: Money) -> i64 {
    i64::try_from(money.micro_dollars()).unwrap_or(i64::MAX)
}

fn task(row: &Row<'_>) -> rusqlite::Result<Task> {
    let state: String = row.get(4)?;
    let cost: Option<i64> = row.get(6)?;
    let time =
        |n: usize| -> rusqlite::Result<Option<SystemTime>> { Ok(row.get::<_, Option<i64>>(n)?.map(from_milliseconds)) };
    Ok(Task {
        id: TaskId::named(row.get::<_, String>(0)?),
        session: row.get(1)?,
        capability: row.get(2)?,
        model: row.get(3)?,
        // What a later program calls otherwise is nothing to go on with here.
        state: State::ALL.into_iter().find(|known| known.as_str() == state).unwrap_or(State::Unknown),
        reserved: money(row.get(5)?),
        cost: cost.map(money),
        request: row.get(7)?,
        conversation: row.get(8)?,
        response: row.get(9)?,
        note: row.get(10)?,
        created: from_milliseconds(row.get(11)?),
        destination: row.get(12)?,
        sent: time(13)?,
        expires: time(14)?,
    })
}

/// What counts against a limit: what it cost, or what is set aside while nobody knows.
fn spent(connection: &Connection, session: &str, day: &str) -> rusqlite::Result<Spent> {
    let sum = |what: &str, key: &str, value: &str| -> rusqlite::Result<Money> {
        // Sums of doubles would not be exact, and these cannot overflow before every limit is broken.
        let sql = format!("SELECT coalesce(sum({what}), 0) FROM task WHERE {key} = ?");
        connection.prepare_cached(&sql)?.query_row([value], |row| row.get(0)).map(money)
    };
    Ok(Spent {
        task: sum("coalesce(cost, reserved)", "session", session)?,
        day: sum("coalesce(cost, reserved)", "day", day)?,
        reserved: sum("iif(cost IS NULL, reserved, 0)", "day", day)?,
    })
}

/// A new row: one that is reserved has a lease, one that waits an end of its waiting.
fn insert(
    transaction: &Transaction<'_>,
    new: &NewTask,
    (state, reserved): (State, Money),
    at_ms: i64,
    expires_ms: Option<i64>,
    lease_ms: Option<i64>,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO task (id, session, day, capability, model, state, estimate, reserved, request, created_ms, destination,
             expires_ms, lease_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            new.id.as_str(), new.session, new.day, new.capability, new.model, state.as_str(), new.estimate.map(column),
            column(reserved), new.request, at_ms, new.words.destination, expires_ms, lease_ms,
        ],
    )?;
    Ok(())
}

/// Whose a task is in this state; `None` when it is in another, or is not there.
fn session_of(transaction: &Transaction<'_>, id: &str, states: &str) -> rusqlite::Result<Option<String>> {
    let sql = format!("SELECT session FROM task WHERE id = ? AND state IN ({states})");
    transaction.prepare_cached(&sql)?.query_row([id], |row| row.get(0)).optional()
}

/// Puts a task that was taken up back to waiting.
fn put_back(transaction: &Transaction<'_>, id: &str, why: &str, at_ms: i64) -> rusqlite::Result<bool> {
    let Some(session) = session_of(transaction, id, "'reserved', 'sent'")? else { return Ok(false) };
    let n_changed = transaction.execute(
        "UPDATE task SET state = 'waiting', reserved = 0, note = ?, lease_ms = NULL, sent_ms = NULL
         WHERE id = ? AND expires_ms > ?",
        params![why, id, at_ms],
    )?;
    if n_changed > 0 {
        enter(transaction, at_ms, &session, &line::released(id, why))?;
    }
    Ok(n_changed > 0)
}

/// Ends a task that has not ended, or whose end nobody knew.
fn end(transaction: &Transaction<'_>, id: &str, end: &End, at_ms: i64) -> rusqlite::Result<bool> {
    let found = transaction
        .query_row("SELECT session, state FROM task WHERE id = ?", [id], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let Some((session, state)) = found else { return Ok(false) };
    let is_open = ["waiting", "reserved", "sent", "unknown"].contains(&state.as_str());
    if !is_open || state == end.state.as_str() {
        return Ok(false);
    }
    // What is unknown may have to be looked up with it.
    let request = if end.state == State::Unknown { "request" } else { "''" };
    transaction.execute(
        &format!("UPDATE task SET state = ?, cost = ?, note = ?, request = {request}, lease_ms = NULL WHERE id = ?"),
        params![end.state.as_str(), end.cost.map(column), end.note, id],
    )?;
    for (n, Piece { name, media_type, data }) in (0_i64..).zip(&end.results) {
        transaction.execute(
            "INSERT OR REPLACE INTO result VALUES (?, ?, ?, ?, ?, ?)",
            params![id, n, name, media_type, data, at_ms],
        )?;
    }
    enter(transaction, at_ms, &session, &line::settled(id, end))?;
    Ok(true)
}

impl SqliteStore {
    /// Runs `work` as one transaction that nobody else's can come between.
    async fn at_once<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        self.run(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })
        .await
    }
}

#[async_trait]
impl TaskStore for SqliteStore {
    async fn reserve(
        &self,
        new: NewTask,
        budget: &Budget,
        at: SystemTime,
    ) -> Result<Result<(), OverBudget>, JournalError> {
        let (budget, at_ms, lease_ms) = (budget.clone(), milliseconds(at), milliseconds(at + LEASE));
        self.at_once(move |transaction| {
            let reserved = match budget.reservation(new.estimate, spent(transaction, &new.session, &new.day)?) {
                Ok(reserved) => reserved,
                Err(over) => return Ok(Err(over)),
            };
            insert(transaction, &new, (State::Reserved, reserved), at_ms, None, Some(lease_ms))?;
            enter(transaction, at_ms, &new.session, &line::accepted("task_reserved", &new, Some(reserved)))?;
            Ok(Ok(()))
        })
        .await
    }

    async fn defer(&self, new: NewTask, at: SystemTime, expires: SystemTime) -> Result<(), JournalError> {
        let (at_ms, expires_ms) = (milliseconds(at), milliseconds(expires));
        self.at_once(move |transaction| {
            insert(transaction, &new, (State::Waiting, Money::ZERO), at_ms, Some(expires_ms), None)?;
            enter(transaction, at_ms, &new.session, &line::accepted("task_deferred", &new, None))
        })
        .await
    }

    async fn claim(
        &self,
        fresh: NewTask,
        budget: &Budget,
        at: SystemTime,
    ) -> Result<Option<Result<(), OverBudget>>, JournalError> {
        let (budget, at_ms, lease_ms) = (budget.clone(), milliseconds(at), milliseconds(at + LEASE));
        self.at_once(move |transaction| {
            let id = fresh.id.as_str();
            let waiting = "id = ? AND state = 'waiting' AND expires_ms > ?";
            // It counts for the session that wanted it.
            let session = transaction
                .query_row(&format!("SELECT session FROM task WHERE {waiting}"), params![id, at_ms], |row| row.get(0))
                .optional()?;
            let Some(session) = session else { return Ok(None) };
            let fresh = NewTask { session, ..fresh.clone() };
            let reserved = match budget.reservation(fresh.estimate, spent(transaction, &fresh.session, &fresh.day)?) {
                Ok(reserved) => reserved,
                Err(over) => return Ok(Some(Err(over))),
            };
            transaction.execute(
                "UPDATE task SET state = 'reserved', reserved = ?, estimate = ?, day = ?, model = ?, note = '', lease_ms = ?
                 WHERE id = ?",
                params![
                    column(reserved), fresh.estimate.map(column), fresh.day, fresh.model, lease_ms, fresh.id.as_str(),
                ],
            )?;
            enter(transaction, at_ms, &fresh.session, &line::accepted("task_claimed", &fresh, Some(reserved)))?;
            Ok(Some(Ok(())))
        })
        .await
    }

    async fn release(&self, id: &TaskId, why: &str, at: SystemTime) -> Result<bool, JournalError> {
        let (id, why, at_ms) = (id.as_str().to_owned(), why.to_owned(), milliseconds(at));
        self.at_once(move |transaction| put_back(transaction, &id, &why, at_ms)).await
    }

    async fn cancel(&self, id: &TaskId, at: SystemTime) -> Result<bool, JournalError> {
        let (id, at_ms) = (id.as_str().to_owned(), milliseconds(at));
        self.at_once(move |transaction| {
            if session_of(transaction, &id, "'waiting'")?.is_none() {
                return Ok(false);
            }
            end(transaction, &id, &End::new(State::Cancelled, Some(Money::ZERO), "by the user"), at_ms)
        })
        .await
    }

    async fn step(&self, id: &TaskId, step: Step, at: SystemTime) -> Result<(), JournalError> {
        let (id, at_ms, lease_ms) = (id.as_str().to_owned(), milliseconds(at), milliseconds(at + LEASE));
        let gone = format!("task {id} is not running any more: it was ended elsewhere");
        let is_running = self
            .at_once(move |transaction| {
                let running = "id = ? AND state IN ('reserved', 'sent')";
                let n_changed = transaction
                    .execute(&format!("UPDATE task SET lease_ms = ? WHERE {running}"), params![lease_ms, id])?;
                match &step {
                    _ if n_changed == 0 => return Ok(false),
                    Step::Conversation(name) => {
                        transaction.execute("UPDATE task SET conversation = ? WHERE id = ?", params![name, id])?;
                    }
                    Step::Sending => {
                        transaction
                            .execute("UPDATE task SET state = 'sent', sent_ms = ? WHERE id = ?", params![at_ms, id])?;
                    }
                    Step::Response(name) => {
                        transaction.execute("UPDATE task SET response = ? WHERE id = ?", params![name, id])?;
                    }
                    Step::Alive => {}
                }
                if let Some(body) = line::step(&id, &step) {
                    let session: String =
                        transaction.query_row("SELECT session FROM task WHERE id = ?", [&id], |row| row.get(0))?;
                    enter(transaction, at_ms, &session, &body)?;
                }
                Ok(true)
            })
            .await?;
        if is_running { Ok(()) } else { Err(JournalError::Database(gone)) }
    }

    async fn settle(&self, id: &TaskId, outcome: End, at: SystemTime) -> Result<bool, JournalError> {
        let (id, at_ms) = (id.as_str().to_owned(), milliseconds(at));
        self.at_once(move |transaction| end(transaction, &id, &outcome, at_ms)).await
    }

    async fn recover(&self, at: SystemTime) -> Result<Vec<Task>, JournalError> {
        let at_ms = milliseconds(at);
        let oldest_ms = milliseconds(at.checked_sub(KEPT).unwrap_or(SystemTime::UNIX_EPOCH));
        self.at_once(move |transaction| {
            transaction.execute("DELETE FROM result WHERE at_ms < ?", [oldest_ms])?;
            let sql = format!(
                "SELECT {COLUMNS} FROM task WHERE state = 'waiting' AND expires_ms <= ?1
                     OR state IN ('reserved', 'sent') AND lease_ms <= ?1
                 ORDER BY created_ms, id"
            );
            let left: Vec<Task> =
                transaction.prepare(&sql)?.query_map([at_ms], task)?.collect::<rusqlite::Result<_>>()?;
            let mut ended = Vec::with_capacity(left.len());
            for task in left {
                let (state, cost, note) = match task.state {
                    State::Waiting => (State::Expired, Some(Money::ZERO), "it waited too long"),
                    State::Reserved
                        if put_back(transaction, task.id.as_str(), "the program ended before it was sent", at_ms)? =>
                    {
                        continue;
                    }
                    State::Reserved => (State::Failed, Some(Money::ZERO), "the program ended before anything was sent"),
                    _ => (State::Unknown, None, "the program ended after it was sent"),
                };
                end(transaction, task.id.as_str(), &End::new(state, cost, note), at_ms)?;
                ended.push(Task { state, cost, note: note.into(), ..task });
            }
            Ok(ended)
        })
        .await
    }

    async fn results(&self, id: &TaskId) -> Result<Vec<Piece>, JournalError> {
        let id = id.as_str().to_owned();
        self.run(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT name, media_type, data FROM result WHERE task = ? ORDER BY n")?;
            let pieces = statement
                .query_map([id], |row| Ok(Piece { name: row.get(0)?, media_type: row.get(1)?, data: row.get(2)? }))?;
            pieces.collect()
        })
        .await
    }

    async fn tasks(&self) -> Result<Vec<Task>, JournalError> {
        self.run(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM task ORDER BY created_ms, id");
            connection.prepare_cached(&sql)?.query_map([], task)?.collect()
        })
        .await
    }

    async fn spent(&self, session: &str, day: &str) -> Result<Spent, JournalError> {
        let (session, day) = (session.to_owned(), day.to_owned());
        self.run(move |connection| spent(connection, &session, &day)).await
    }

    async fn lines(&self) -> Result<Vec<Line>, JournalError> {
        self.run(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT seq, at_ms, session, body, seal FROM ledger ORDER BY seq")?;
            let lines = statement.query_map([], |row| {
                let seq: i64 = row.get(0)?;
                Ok(Line {
                    seq: seq.unsigned_abs(),
                    at: from_milliseconds(row.get(1)?),
                    session: row.get(2)?,
                    body: row.get(3)?,
                    seal: row.get(4)?,
                })
            })?;
            lines.collect()
        })
        .await
    }
}
