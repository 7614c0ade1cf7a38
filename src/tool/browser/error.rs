//! What the model reads when a call of the browser gives nothing: the sentences that it was trained with, and a few of ours
//! in their manner.

use super::ToolError;

/// Why a call gave nothing; nothing was put on the stack of pages either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrowserError {
    /// Nothing was opened yet.
    #[error("No pages to access!")]
    NoPages,
    /// No page has this cursor.
    #[error("Cursor `{cursor}` is out of range. Available cursor indices: [0 - {last}].")]
    Cursor {
        /// What was asked for.
        cursor: i64,
        /// The last one that there is.
        last: usize,
    },
    /// The page was dropped to make room for others.
    #[error("Page `{cursor}` is no longer in memory. Open {url} again.")]
    Forgotten {
        /// Its number.
        cursor: usize,
        /// Where it was from.
        url: String,
    },
    /// The page has no such link.
    #[error("Invalid link id `{0}`.")]
    Link(String),
    /// The page is not that long.
    #[error("Invalid location parameter: `{loc}`. Cannot exceed page maximum of {last}.")]
    Location {
        /// The line that was asked for.
        loc: usize,
        /// The last one that there is.
        last: usize,
    },
    /// An argument is no whole number.
    #[error("`{name}` should be an integer, not `{kind}`")]
    NotInteger {
        /// The argument.
        name: &'static str,
        /// What it is.
        kind: &'static str,
    },
    /// Results are not searched in again.
    #[error("Cannot run `find` on search results page or find results page")]
    NotSearchable,
    /// No backend is called so.
    #[error("Unknown source `{name}`. Available sources: {known}.")]
    Source {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The backend could not search.
    #[error("Error during search for `{query}`: {cause}")]
    Search {
        /// In a line.
        query: String,
        /// In a sentence.
        cause: String,
    },
    /// The backend could not open it.
    #[error("Error fetching URL `{url}`: {cause}")]
    Fetch {
        /// In a line.
        url: String,
        /// In a sentence.
        cause: String,
    },
}

impl From<BrowserError> for ToolError {
    fn from(error: BrowserError) -> Self {
        Self::Failed(error.to_string())
    }
}
