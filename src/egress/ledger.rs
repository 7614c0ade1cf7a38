//! What left the machine, written down: before it leaves, and when something came back.
//!
//! Only the form and the trait; the journal keeps it.

use async_trait::async_trait;

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Something is about to leave.
    Sending {
        /// Counts what was sent in a session from 1.
        id: u64,
        /// A tool's identity, or the part of the program.
        sender: String,
        /// HTTP's.
        method: String,
        /// Where to, whole.
        url: String,
        /// Of the body.
        n_bytes: u64,
        /// Of the body, in hexadecimal.
        sha256: String,
        /// The policy's rule that allowed it; `configuration` for the user's own servers.
        rule: String,
        /// Whether somebody was asked and said yes.
        is_approved: bool,
    },
    /// It was answered, or was not.
    Answered {
        /// As in [`Entry::Sending`].
        id: u64,
        /// HTTP's; `None` when nothing usable came.
        status: Option<u16>,
        /// Of the answer, as far as known.
        n_bytes: Option<u64>,
        /// Why nothing came.
        error: Option<String>,
    },
}

/// Why the ledger took nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing was sent, because it could not be written down: {0}")]
pub struct LedgerError(pub String);

/// Somewhere to write it.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// When this returns `Ok`, a crash does not lose the entry.
    async fn record(&self, entry: Entry) -> Result<(), LedgerError>;
}
