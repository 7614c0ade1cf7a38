//! A session read back: its records in order, and what its end leaves open.
//!
//! It repeats nothing and repairs nothing. Start at [`Replay::read`].

use super::{CallEnd, JournalError, Record, Store, record};
use crate::policy::ToolId;
use std::time::SystemTime;

/// A session's records, as far as they can be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// In the order of writing.
    pub entries: Vec<Entry>,
    /// Whether the last record could not be read and was left out.
    pub torn: bool,
}

/// One record, and when it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// By the wall clock, which may have been set back: order is that of [`Replay::entries`].
    pub at: SystemTime,
    /// What happened.
    pub record: Record,
}

/// A call that started, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastCall {
    /// Counts the calls of a session from 1.
    pub call: u64,
    /// Which tool.
    pub tool: ToolId,
    /// [`CallEnd::Unknown`] when nothing was recorded: its effect may or may not have happened, and it is not repeated silently.
    pub end: CallEnd,
}

impl Replay {
    /// Reads a session, also one that another process is writing. Only its very last record may be damaged.
    pub async fn read(store: &dyn Store, session: &str) -> Result<Self, JournalError> {
        let rows = store.read(session).await?;
        let n_rows = rows.len();
        let mut replay = Self { entries: Vec::with_capacity(n_rows), torn: false };
        for (n, row) in rows.into_iter().enumerate() {
            if row.seq != n as u64 + 1 {
                let what = format!("session {session} has record {} where {} belongs", row.seq, n + 1);
                return Err(JournalError::Corrupt { what });
            }
            match record::decode(&row.body) {
                Ok(record) => replay.entries.push(Entry { at: row.at, record }),
                Err(JournalError::Corrupt { what }) if n + 1 == n_rows => {
                    tracing::warn!(session, what, "the last record is damaged and left out");
                    replay.torn = true;
                }
                Err(JournalError::Corrupt { what }) => {
                    return Err(JournalError::Corrupt {
                        what: format!("record {} of session {session}: {what}", n + 1),
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(replay)
    }

    /// The calls that started, each with its end.
    pub fn calls(&self) -> Vec<PastCall> {
        let mut calls: Vec<PastCall> = Vec::new();
        for entry in &self.entries {
            match &entry.record {
                Record::CallIntended { call, tool, .. } => {
                    calls.push(PastCall { call: *call, tool: tool.clone(), end: CallEnd::Unknown });
                }
                Record::CallFinished { call, end, .. } => {
                    if let Some(past) = calls.iter_mut().rfind(|past| past.call == *call) {
                        past.end = *end;
                    }
                }
                _ => {}
            }
        }
        calls
    }

    /// Whether the last turn has no end: the program ended first.
    pub fn interrupted(&self) -> bool {
        let mut open = false;
        for entry in &self.entries {
            match entry.record {
                Record::TurnStarted { .. } => open = true,
                Record::TurnEnded { .. } => open = false,
                _ => {}
            }
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryStore;
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    fn intended(call: u64) -> Record {
        let tool = "notes.add".parse().unwrap();
        Record::CallIntended { call, tool, arguments: json!({}), rule: "r".into(), approved: false, grant: Vec::new() }
    }

    async fn replay(bodies: &[String]) -> Result<Replay, JournalError> {
        let store = MemoryStore::default();
        for body in bodies {
            store.append("s", SystemTime::UNIX_EPOCH, body.clone(), false).await.unwrap();
        }
        Replay::read(&store, "s").await
    }

    #[tokio::test]
    async fn a_call_without_an_end_is_unknown() {
        let records = [
            Record::TurnStarted { text: "x".into() },
            intended(1),
            Record::call_finished(1, CallEnd::Error, "", Duration::ZERO, None),
            intended(2),
        ];
        let replay = replay(&records.each_ref().map(record::encode)).await.unwrap();
        let ends: Vec<(u64, CallEnd)> = replay.calls().into_iter().map(|call| (call.call, call.end)).collect();
        assert_eq!(ends, [(1, CallEnd::Error), (2, CallEnd::Unknown)]);
        assert!(replay.interrupted() && !replay.torn);
    }

    #[tokio::test]
    async fn a_damaged_end_is_left_out_and_a_damaged_middle_is_an_error() {
        let good = record::encode(&intended(1));
        let torn = good[..good.len() / 2].to_owned();
        let read = replay(&[good.clone(), torn.clone()]).await.unwrap();
        assert_eq!((read.entries.len(), read.torn), (1, true));
        let error = replay(&[good.clone(), torn, good.clone()]).await.unwrap_err();
        assert!(error.to_string().contains("record 2 of session s"), "{error}");
        let newer = r#"{"v": 9, "type": "dream"}"#.to_owned();
        assert!(matches!(replay(&[good, newer]).await, Err(JournalError::NewerVersion { found: 9, .. })));
    }

    #[tokio::test]
    async fn a_session_that_is_not_there_is_an_error() {
        assert_eq!(replay(&[]).await, Err(JournalError::NoSuchSession("s".into())));
    }
}
