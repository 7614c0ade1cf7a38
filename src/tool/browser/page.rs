//! A page as the model reads it: text with the marks of its links, and where they lead.
//!
//! It is plain data: how it is wrapped, numbered and shown is not its matter, nor where it came from. Start at [`Page`].

/// A page as the model reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Where it is; empty for one that is nowhere, as a list of hits is.
    pub url: String,
    /// What people call it.
    pub title: String,
    /// Unwrapped lines joined by `\n`, with link marks `【n†text】` in it. No other bracket of that form stands in it.
    pub text: String,
    /// By the number in the mark.
    pub links: Vec<Link>,
    /// A list of hits or of what was found on a page: nothing can be found in it.
    pub is_listing: bool,
    /// For each line of `text`, the line of the file it came from, from 1; empty when that means nothing.
    pub source_lines: Vec<u32>,
}

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Absolute.
    pub url: String,
    /// The unwrapped line of that page, from 0, if known.
    pub line: Option<usize>,
}
