//! `ossicle route explain`: where a line would be answered, and why. Nothing is sent.

use super::report::Failure;
use super::{args, session, terminal};
use crate::config;
use crate::delegate::router;
use std::io::{self, Write};

pub(super) async fn explain(words: &str, flags: &args::Session) -> Result<(), Failure> {
    let (settings, paths) = session::settings(flags)?;
    let route = config::route(&settings, &paths, words).await?;
    write!(io::stdout(), "{}", terminal::block(&router::explain(&route)))?;
    Ok(())
}
