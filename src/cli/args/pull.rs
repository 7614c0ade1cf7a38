//! `ossicle models pull`, exactly as it was typed.
//!
//! What the words mean is the command's matter. Start at [`Pull`].

use clap::Args;

#[derive(Debug, Args)]
pub(in crate::cli) struct Pull {
    /// ORG/NAME, such as openai/gpt-oss-20b
    #[arg(value_name = "REPO")]
    pub(in crate::cli) repo: String,
    /// A branch, a tag or a commit
    #[arg(long, value_name = "REVISION", default_value = "main")]
    pub(in crate::cli) revision: String,
    /// Of a repository of GGUF files (ggml-org/gpt-oss-20b-GGUF): the one to fetch, and its other parts if it was split
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) gguf: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    pub(in crate::cli) yes: bool,
}
