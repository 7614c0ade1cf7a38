//! Sessions in one SQLite file: WAL, and a sync at each commit, so that what was appended outlives a power cut.
//!
//! Readers never wait, writers of different sessions take turns for as long as a commit lasts. Start at [`SqliteStore::open`].

use super::lock::SessionLock;
use super::{JournalError, Lease, Row, Store, Summary, tasks};
use crate::journal::{from_milliseconds, milliseconds};
use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// A database file.
pub struct SqliteStore {
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
}

/// The version of the tables, kept in SQLite's `user_version`.
const SCHEMA: u32 = 2;

const TABLES: &str = "
    CREATE TABLE session (id TEXT PRIMARY KEY, created_ms INTEGER NOT NULL) STRICT;
    CREATE TABLE record (
        session TEXT NOT NULL REFERENCES session (id),
        seq INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (session, seq)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;";

/// How long a commit waits for those of other processes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two tries to open a file that others are making.
const PAUSE: Duration = Duration::from_millis(20);

impl SqliteStore {
    /// Opens the database, making it and its folder when missing.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        if let Some(folder) = path.parent() {
            make_private(folder, path)
                .map_err(|error| JournalError::NotWritable { path: folder.to_owned(), cause: error.to_string() })?;
        }
        let connect = || -> rusqlite::Result<(Connection, u32)> {
            let mut connection = Connection::open(path)?;
            connection.busy_timeout(PATIENCE)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            // Two processes may both find an empty file; one of them makes the tables.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let version: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if version == 0 {
                transaction.execute_batch(TABLES)?;
            }
            if version < SCHEMA {
                transaction.execute_batch(tasks::TABLES)?;
            }
            transaction.commit()?;
            Ok((connection, version))
        };
        let (connection, version) = unless_busy(connect).map_err(|error| explain(path, &error))?;
        if version > SCHEMA {
            return Err(JournalError::NewerVersion { found: version, known: SCHEMA });
        }
        Ok(Self { path: path.to_owned(), connection: Arc::new(Mutex::new(connection)) })
    }

    /// Runs `work` where it may block.
    pub(in crate::journal) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let connection = self.connection.clone();
        let done = tokio::task::spawn_blocking(move || {
            work(&mut connection.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
        });
        match done.await {
            Ok(result) => result.map_err(|error| explain(&self.path, &error)),
            Err(crash) => Err(JournalError::Database(crash.to_string())),
        }
    }

    async fn exists(&self, session: &str) -> Result<bool, JournalError> {
        let session = session.to_owned();
        self.run(move |connection| {
            let found = connection.query_row("SELECT 1 FROM session WHERE id = ?", [session], |_| Ok(())).optional()?;
            Ok(found.is_some())
        })
        .await
    }
}

/// Tries again for as long as another process holds the file: of several that make it at once, SQLite turns those away that it
/// could only let wait for each other, whatever patience it was told to have.
fn unless_busy<T>(connect: impl Fn() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let mut waited = Duration::ZERO;
    loop {
        match connect() {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && waited < PATIENCE => {
                std::thread::sleep(PAUSE);
                waited += PAUSE;
            }
            tried => return tried,
        }
    }
}

/// Makes the folder and the file, for their owner alone: they hold what people said. SQLite gives the files that it makes
/// beside the database the database's mode.
fn make_private(folder: &Path, file: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    {
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    builder.recursive(true).create(folder)?;
    match options.write(true).create_new(true).open(file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// SQLite's errors in the journal's words.
fn explain(path: &Path, error: &rusqlite::Error) -> JournalError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => JournalError::Full { path },
        Some(
            ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::SystemIoFailure,
        ) => JournalError::NotWritable { path, cause: error.to_string() },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            JournalError::Corrupt { what: format!("{}: {error}", path.display()) }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => JournalError::Busy { path },
        _ => JournalError::Database(error.to_string()),
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn lease(&self, session: &str, new: bool) -> Result<Lease, JournalError> {
        if !new && !self.exists(session).await? {
            // Asked first, so that no file is made in the name of a session that is not there.
            return Err(JournalError::NoSuchSession(session.to_owned()));
        }
        let lock = SessionLock::take(&self.path.with_extension("locks"), session)?;
        if new && self.exists(session).await? {
            return Err(JournalError::Locked { session: session.to_owned(), process: None });
        }
        Ok(Box::new(lock))
    }

    async fn append(&self, session: &str, at: SystemTime, body: String, is_sealed: bool) -> Result<(), JournalError> {
        let (session, at) = (session.to_owned(), milliseconds(at));
        self.run(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let seq: i64 = transaction
                .prepare_cached("SELECT 1 + coalesce(max(seq), 0) FROM record WHERE session = ?")?
                .query_row([&session], |row| row.get(0))?;
            if seq == 1 {
                transaction.execute("INSERT INTO session VALUES (?, ?)", params![session, at])?;
            }
            transaction
                .prepare_cached("INSERT INTO record VALUES (?, ?, ?, ?)")?
                .execute(params![session, seq, at, body])?;
            if is_sealed {
                tasks::enter(&transaction, at, &session, &body)?;
            }
            transaction.commit()
        })
        .await
    }

    async fn read(&self, session: &str) -> Result<Vec<Row>, JournalError> {
        let id = session.to_owned();
        let rows = self
            .run(move |connection| {
                let mut statement =
                    connection.prepare_cached("SELECT seq, at_ms, body FROM record WHERE session = ? ORDER BY seq")?;
                let rows = statement.query_map([id], |row| {
                    let seq: i64 = row.get(0)?;
                    Ok(Row { seq: seq.unsigned_abs(), at: from_milliseconds(row.get(1)?), body: row.get(2)? })
                })?;
                rows.collect::<rusqlite::Result<Vec<Row>>>()
            })
            .await?;
        if rows.is_empty() { Err(JournalError::NoSuchSession(session.to_owned())) } else { Ok(rows) }
    }

    async fn sessions(&self) -> Result<Vec<Summary>, JournalError> {
        self.run(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, created_ms, (SELECT max(seq) FROM record WHERE session = id) FROM session ORDER BY id",
            )?;
            let sessions = statement.query_map([], |row| {
                let n_records: Option<i64> = row.get(2)?;
                let n_records = n_records.unwrap_or(0).unsigned_abs();
                Ok(Summary { id: row.get(0)?, created: from_milliseconds(row.get(1)?), n_records })
            })?;
            sessions.collect()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{CallEnd, Journal, Record};
    use super::*;
    use crate::world::World;
    use serde_json::json;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    fn intended(call: u64) -> Record {
        let tool = "notes.add".parse().unwrap();
        Record::CallIntended {
            call,
            tool,
            arguments: json!({"text": "x"}),
            rule: "r".into(),
            approved: true,
            grant: Vec::new(),
        }
    }

    #[test]
    fn a_new_file_can_be_opened_by_many_at_once() {
        for _ in 0..40 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("new.sqlite");
            let together = std::sync::Barrier::new(8);
            std::thread::scope(|scope| {
                let open = || {
                    together.wait();
                    SqliteStore::open(&path).map(|_| ())
                };
                let opening: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
                opening.into_iter().for_each(|one| one.join().unwrap().unwrap());
            });
        }
    }

    /// Where the child process of the next test writes. Alone, this test does nothing.
    const CHILD: &str = "OSSICLE_TEST_JOURNAL_CHILD";

    #[tokio::test]
    async fn child_that_appends_until_it_is_killed() {
        let Some(path) = std::env::var_os(CHILD) else { return };
        let store = SqliteStore::open(Path::new(&path)).unwrap();
        let journal = Journal::create(Arc::new(store), &World::real()).await.unwrap();
        println!("\nsession {}", journal.session_id());
        for call in 1.. {
            journal.append(intended(call)).await.unwrap();
            println!("\ncall {call}");
            journal.append(Record::call_finished(call, CallEnd::Ok, "", Duration::ZERO, None)).await.unwrap();
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_people_said_is_for_its_owner_alone() {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        let folder = tempfile::tempdir().unwrap();
        let shared = folder.path().join("shared");
        std::fs::DirBuilder::new().mode(0o755).create(&shared).unwrap();
        let path = shared.join("sessions.sqlite");
        let journal = Journal::create(Arc::new(SqliteStore::open(&path).unwrap()), &World::simulated(1)).await.unwrap();
        journal.append(Record::TurnStarted { text: "a secret".into() }).await.unwrap();
        let files = std::fs::read_dir(&shared).unwrap().map(|entry| entry.unwrap());
        for file in files.filter(|entry| entry.file_type().unwrap().is_file()) {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.path());
        }
    }

    #[tokio::test]
    async fn a_killed_process_leaves_a_readable_session() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.sqlite");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::store::sqlite::tests::child_that_appends_until_it_is_killed", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let session = lines.find_map(|line| line.strip_prefix("session ").map(str::to_owned)).unwrap();
        assert!(lines.any(|line| line == "call 7"), "seven intents were committed");

        let store = Arc::new(SqliteStore::open(&path).unwrap());
        let error = Journal::resume(store.clone(), &session, &World::real()).await.err();
        assert_eq!(error, Some(JournalError::Locked { session: session.clone(), process: Some(child.id()) }));

        child.kill().unwrap();
        child.wait().unwrap();
        drop(store);
        let store = Arc::new(SqliteStore::open(&path).unwrap());
        let journal = Journal::resume(store, &session, &World::real()).await.expect("a dead process holds no lock");
        let calls = journal.replay().await.unwrap().calls();
        assert!(calls.len() >= 7);
        let (last, before) = calls.split_last().unwrap();
        assert!(before.iter().all(|call| call.end == CallEnd::Ok));
        assert!(matches!(last.end, CallEnd::Ok | CallEnd::Unknown));
        journal.append(intended(last.call + 1)).await.unwrap();
        assert_eq!(journal.replay().await.unwrap().calls().last().unwrap().end, CallEnd::Unknown);
    }

    #[tokio::test]
    async fn a_write_that_the_crash_tore_is_as_if_never_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.sqlite");
        let store = Arc::new(SqliteStore::open(&path).unwrap());
        let journal = Journal::create(store, &World::simulated(1)).await.unwrap();
        for call in 1..=3 {
            journal.append(intended(call)).await.unwrap();
        }
        // The files as they would be found after a power cut in the middle of the last commit.
        let found = folder.path().join("found.sqlite");
        std::fs::copy(&path, &found).unwrap();
        let mut wal = std::fs::read(folder.path().join("sessions.sqlite-wal")).unwrap();
        wal.truncate(wal.len() - 100);
        std::fs::write(folder.path().join("found.sqlite-wal"), wal).unwrap();
        let rows = SqliteStore::open(&found).unwrap().read(journal.session_id()).await.unwrap();
        assert_eq!(rows.len(), 2);
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("sessions.sqlite")).unwrap();
        store.run(|connection| connection.pragma_update(None, "max_page_count", 8)).await.unwrap();
        store.append("s", SystemTime::now(), "small".into(), false).await.unwrap();
        let error = store.append("s", SystemTime::now(), "x".repeat(100_000), false).await.unwrap_err();
        assert_eq!(error, JournalError::Full { path: store.path.clone() });
        store.append("s", SystemTime::now(), "small too".into(), false).await.unwrap();
        assert_eq!(store.read("s").await.unwrap().len(), 2);
    }

    #[test]
    fn what_cannot_be_opened_is_explained() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let open = |name: &str| SqliteStore::open(&at(name)).err().unwrap();

        std::fs::write(at("file"), "x").unwrap();
        assert!(matches!(open("file/sessions.sqlite"), JournalError::NotWritable { .. }));
        std::fs::create_dir(at("folder.sqlite")).unwrap();
        assert!(matches!(open("folder.sqlite"), JournalError::NotWritable { .. }));
        std::fs::write(at("text.sqlite"), "this is no database, ".repeat(100)).unwrap();
        assert!(matches!(open("text.sqlite"), JournalError::Corrupt { .. }));

        drop(SqliteStore::open(&at("newer.sqlite")).unwrap());
        Connection::open(at("newer.sqlite")).unwrap().pragma_update(None, "user_version", 9).unwrap();
        assert_eq!(open("newer.sqlite"), JournalError::NewerVersion { found: 9, known: SCHEMA });
    }

    /// Needs a user who is bound by permissions; root is not, and then this shows only that nothing breaks.
    #[cfg(unix)]
    #[test]
    fn a_read_only_database_is_explained() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.sqlite");
        drop(SqliteStore::open(&path).unwrap());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
        let bound = std::fs::File::create(folder.path().join("probe")).is_err();
        let opened = SqliteStore::open(&path);
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(matches!(opened, Err(JournalError::NotWritable { .. })), bound);
    }
}
