//! Why nothing, or not all of it, was fetched: each message says what to do.
//!
//! What it is not: what passes by itself (a cut connection, a busy hub) is no error until it has been tried again often
//! enough; `hub` keeps those apart. Start at [`PullError`].

use crate::egress::EgressError;
use crate::engine::models::amount;
use std::io;
use std::path::PathBuf;

/// Why a model was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// What was asked for is no name.
    #[error("{0}")]
    Name(String),
    /// The hub does not give it. What it says of that, and what to do.
    #[error("{problem}; {advice}")]
    Refused {
        /// What the hub said.
        problem: String,
        /// What to do.
        advice: String,
    },
    /// What an honest hub does not say. Nothing of it was used.
    #[error("{0}")]
    Odd(String),
    /// A repository without a file that has to be there.
    #[error("{repo} has no {file}; {advice}")]
    Incomplete {
        /// The repository.
        repo: String,
        /// The file.
        file: String,
        /// What to do.
        advice: String,
    },
    /// A model of another kind.
    #[error("{repo} is a model of type {found}, and only gpt-oss can be run; choose a gpt-oss checkpoint")]
    Foreign {
        /// The repository.
        repo: String,
        /// Its type, quoted, or a word for its absence.
        found: String,
    },
    /// It does not fit on the disk.
    #[error(
        "{} are still to be fetched and {} are free in {}; make room, or set OSSICLE_HOME to a folder on a larger disk",
        amount(*needed), amount(*free), path.display()
    )]
    Space {
        /// Of the disk.
        path: PathBuf,
        /// In bytes.
        needed: u64,
        /// In bytes.
        free: u64,
    },
    /// Another process is at it.
    #[error("{repo} is being fetched already{}; wait for that to end", process.map_or(String::new(), |id| format!(" by process {id}")))]
    Busy {
        /// The repository.
        repo: String,
        /// The process, as far as it is known.
        process: Option<u32>,
    },
    /// The folder holds what this would take away.
    #[error("{} holds {file} of another revision, {revision}; move it away first, or fetch that revision", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// What is in it.
        file: String,
        /// The commit that it is of.
        revision: String,
    },
    /// It broke off again and again. What came is kept.
    #[error(
        "{what} broke off {n_tries} times, the last time because {cause}; what came is kept: the same command goes on from there"
    )]
    BrokeOff {
        /// The file, or what else was asked for.
        what: String,
        /// Without getting on.
        n_tries: u32,
        /// Of the last one.
        cause: String,
    },
    /// Other bytes than the hub said. They were removed.
    #[error(
        "{file} is not what the hub said it is: its hash is {found}, not {expected}; what came was removed: run the same command \
         again, and if it stays so, do not trust this hub"
    )]
    WrongHash {
        /// The file.
        file: String,
        /// In hexadecimal.
        expected: String,
        /// In hexadecimal.
        found: String,
    },
    /// The system would not let a file be read or written.
    #[error("cannot write {}: {source}; what came is kept: the same command goes on from there", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It may not leave, or could not be put on record.
    #[error(transparent)]
    Egress(#[from] EgressError),
}
