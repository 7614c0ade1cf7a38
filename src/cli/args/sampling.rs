//! The flags that say how tokens are chosen, and those that tell how likely they were. What is seldom changed, the guards
//! against repetition, is in `config.toml` alone. Start at [`Sampling`].

use crate::engine::MAX_TOP_LOGPROBS;
use clap::Args;

/// How tokens are chosen.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Session")]
pub(in crate::cli) struct Sampling {
    /// 0 always takes the likeliest token, higher is more varied
    #[arg(long, global = true, value_name = "T", value_parser = temperature)]
    pub(in crate::cli) temperature: Option<f32>,
    /// With a temperature above 0: draw from the likeliest tokens that together make up P, from 0 to 1
    #[arg(long, global = true, value_name = "P", value_parser = share)]
    pub(in crate::cli) top_p: Option<f32>,
    /// With a temperature above 0: draw from the K likeliest tokens; 0 is all
    #[arg(long, global = true, value_name = "K")]
    pub(in crate::cli) top_k: Option<usize>,
    /// With a temperature above 0: draw from the tokens at least P times as likely as the likeliest, from 0 to 1
    #[arg(long, global = true, value_name = "P", value_parser = share)]
    pub(in crate::cli) min_p: Option<f32>,
    /// The same seed and the same of these give the same answer
    #[arg(long, global = true, value_name = "N")]
    pub(in crate::cli) seed: Option<u64>,
}

fn temperature(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.0..=2.0).contains(&value) => Ok(value),
        _ => Err("write a number from 0 to 2".into()),
    }
}

fn share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("write a number from 0 to 1".into()),
    }
}

/// How many alternatives are told of each token.
pub(super) fn n_logprobs(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n) if n <= MAX_TOP_LOGPROBS => Ok(n),
        _ => Err(format!("write a whole number from 0 to {MAX_TOP_LOGPROBS}")),
    }
}
