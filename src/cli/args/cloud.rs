//! What can be asked of hosted models on the command line: `cloud`, its `queue`, and `route`.

use crate::policy::Money;
use clap::{Subcommand, ValueHint};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Cloud {
    /// The hosted models that this program knows, with their prices and their ends
    Models {
        /// Compare them with those that the service lists now
        #[arg(long)]
        check: bool,
    },
    /// What is spent and reserved today, and the limits of the policy
    Budget,
    /// What left this machine, and what it cost
    Ledger {
        /// As JSON Lines, each with its seal
        #[arg(long)]
        json: bool,
        /// Check that no line was changed, and show the seal of the last one
        #[arg(long)]
        verify: bool,
    },
    /// What was to be done by hosted models and could not be sent
    #[command(subcommand)]
    Queue(Queue),
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Queue {
    /// List the tasks, those that have ended too
    List,
    /// Show what was wanted, and what came of it
    Show {
        /// A task, as the list names it
        task: String,
    },
    /// Write what came of a task into a folder
    Save {
        /// A task, as the list names it
        task: String,
        /// Where to
        #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
    /// Say what an unknown task has cost, as your bill has it
    Settle {
        /// A task, as the list names it
        task: String,
        /// In dollars: $0.05, or $0
        cost: Money,
    },
    /// Take a task back before it is sent
    Cancel {
        /// A task, as the list names it
        task: String,
    },
    /// Send what waits, as far as policy and budget allow it, and clear up what a crash left open
    Drain,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Route {
    /// Show each gate, what would leave after redaction, the price and the local alternative; nothing is sent
    Explain {
        /// What you would say
        words: String,
    },
}
