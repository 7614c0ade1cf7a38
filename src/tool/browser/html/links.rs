//! The links of a page: which addresses count, the number of each, and the mark that stands for it in the text.
//!
//! What it is not: leave to open them. A page on the network cannot link to files here at all.
//! Start at [`Links`].

use super::super::page::Link;
use std::collections::HashMap;
use url::{Position, Url};

/// Links with numbers on one page; the text of those beyond is plain.
const MAX_LINKS: usize = 20_000;
/// Bytes of all addresses.
const MAX_BYTES: usize = 4 << 20;
/// Bytes of one address as it is written.
const MAX_ADDRESS: usize = 4096;

/// The links of one page.
pub(super) struct Links {
    /// Where the page came from.
    page: Url,
    /// What its addresses are relative to.
    base: Url,
    all: Vec<Link>,
    by_address: HashMap<String, usize>,
    n_bytes: usize,
}

impl Links {
    pub(super) fn new(page: &Url) -> Self {
        Self { page: page.clone(), base: page.clone(), all: Vec::new(), by_address: HashMap::new(), n_bytes: 0 }
    }

    /// The page says what its addresses are relative to.
    pub(super) fn rebase(&mut self, href: &str) {
        if let Some(base) = self.resolve(href) {
            self.base = base;
        }
    }

    /// Where an address leads, if a model can go there: another page, and not a place on this one.
    pub(super) fn target(&self, href: &str) -> Option<Url> {
        if href.trim_start().starts_with('#') {
            return None;
        }
        let url = self.resolve(href)?;
        let is_here = url.fragment().is_some() && url[..Position::AfterQuery] == self.page[..Position::AfterQuery];
        (!is_here).then_some(url)
    }

    fn resolve(&self, href: &str) -> Option<Url> {
        if href.len() > MAX_ADDRESS {
            return None;
        }
        let url = self.base.join(href).ok()?;
        let may_follow = match url.scheme() {
            "http" | "https" => url.has_host(),
            "file" => self.page.scheme() == "file" && !url.has_host(),
            _ => false,
        };
        may_follow.then_some(url)
    }

    /// The number of a link and what closes its mark, with the host when it is another's. `None`: there are too many.
    pub(super) fn number(&mut self, url: &Url) -> Option<(usize, String)> {
        let id = match self.by_address.get(url.as_str()) {
            Some(id) => *id,
            None => {
                let n_bytes = self.n_bytes + url.as_str().len();
                if self.all.len() >= MAX_LINKS || n_bytes > MAX_BYTES {
                    return None;
                }
                self.n_bytes = n_bytes;
                self.by_address.insert(url.to_string(), self.all.len());
                self.all.push(Link { url: url.to_string(), line: None });
                self.all.len() - 1
            }
        };
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let is_own = host == &self.page[Position::BeforeHost..Position::AfterPort];
        Some((id, if is_own { "】".into() } else { format!("†{host}】") }))
    }

    pub(super) fn into_all(self) -> Vec<Link> {
        self.all
    }
}
