//! Where pages come from: each [`Backend`] searches one source, and opens the URLs that are its own.
//!
//! It sees the grant of the call and nothing of cursors and views. Start at the trait; [`Web`] is the network's, and a local
//! index can stand beside it.

mod direct;
mod exa;
mod searxng;
#[cfg(test)]
mod tests;
mod web;
mod you;

pub use direct::{Direct, PdfReader};
pub use exa::{EXA, Exa};
pub use searxng::Searxng;
pub use web::{SearchApi, Web};
pub use you::{YOU, You};

use super::Page;
use crate::policy::{Capabilities, Effect, Grant};
use async_trait::async_trait;
use url::Url;

/// A source of pages.
#[async_trait]
pub trait Backend: Send + Sync {
    /// As in the declaration's `sources=`: `web`, `local`.
    fn source(&self) -> &'static str;

    /// What its search does: [`Effect::Read`] when nothing leaves the machine, [`Effect::Send`] otherwise.
    fn effect(&self) -> Effect;

    /// What it wants of a grant to open what is its own.
    fn wants(&self) -> Capabilities {
        Capabilities::default()
    }

    /// At most `topn` hits, the best first.
    async fn search(&self, query: &str, topn: usize, grant: &Grant) -> Result<Vec<Hit>, BackendError>;

    /// The page at a URL, or its source; `None` when it is not one of its own.
    async fn open(&self, url: &Url, grant: &Grant, view_source: bool) -> Result<Option<Page>, BackendError>;
}

/// Something that a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hit {
    /// Where it is.
    pub url: String,
    /// What people call it.
    pub title: String,
    /// A few words around what was found.
    pub snippet: String,
    /// The unwrapped line of the page, from 0, where it stands.
    pub line: Option<usize>,
}

/// Why a backend gave nothing, in a sentence for the model. Of others' words it holds no more than needed, and never a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BackendError(pub String);
