//! `ossicle bench`, exactly as it was typed.
//!
//! What the words mean is the command's matter. Start at [`Bench`].

use clap::{Args, ValueEnum};
use std::num::NonZeroUsize;

#[derive(Debug, Args)]
pub(in crate::cli) struct Bench {
    /// As one JSON object
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// What to measure; loading always is
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Measure::ALL)]
    pub(in crate::cli) what: Vec<Measure>,
    /// Threads that compute; the physical cores when left out
    #[arg(long, value_name = "N")]
    pub(in crate::cli) threads: Option<NonZeroUsize>,
    /// Measure random weights of gpt-oss-20b's shapes, which are written first: 12 GB on the disk
    #[arg(long, conflicts_with = "model")]
    pub(in crate::cli) random: bool,
    /// Remove those weights from the disk
    #[arg(long)]
    pub(in crate::cli) remove: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Measure {
    /// Writing, and the memory's bandwidth
    Decode,
    /// Reading 512 tokens
    #[value(name = "prefill512")]
    Prefill512,
    /// Reading 2,048 tokens
    #[value(name = "prefill2048")]
    Prefill2048,
    /// Writing after 4,000 tokens
    #[value(name = "decode4k")]
    Decode4k,
    /// The time to the first token after 3,000: new, in memory, on the disk
    FirstToken,
}

impl Measure {
    const ALL: [Self; 5] = [Self::Decode, Self::Prefill512, Self::Prefill2048, Self::Decode4k, Self::FirstToken];

    /// For people who wait.
    pub(in crate::cli) fn doing(self) -> &'static str {
        match self {
            Self::Decode => "writing, and reading memory, in turns",
            Self::Prefill512 => "reading 512 tokens",
            Self::Prefill2048 => "reading 2,048 tokens",
            Self::Decode4k => "writing after 4,000 tokens",
            Self::FirstToken => "reading 3,000 tokens, and coming back to them",
        }
    }
}
