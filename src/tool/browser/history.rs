//! The pages of a session, each under its cursor: a number that only grows.
//!
//! It fetches and shows nothing. Cursors stay valid for ever; of the pages behind them only so many bytes are kept, the last
//! used ones. Start at [`History::push`] and [`History::at`].

use super::BrowserError;
use super::view::Opened;
use std::collections::VecDeque;
use std::sync::Arc;

/// What the pages of a session may hold together, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// A stack that nothing is taken from.
pub(super) struct History {
    /// By cursor.
    pages: Vec<Entry>,
    /// The kept pages, the last used one last.
    kept: VecDeque<Arc<Opened>>,
    n_bytes: usize,
    max_bytes: usize,
}

struct Entry {
    url: String,
    opened: Option<Arc<Opened>>,
}

impl Default for History {
    fn default() -> Self {
        Self { pages: Vec::new(), kept: VecDeque::new(), n_bytes: 0, max_bytes: MAX_BYTES }
    }
}

impl History {
    /// The cursor that the next page gets.
    pub(super) fn next(&self) -> usize {
        self.pages.len()
    }

    /// Puts a page on top; the same page may be there before.
    pub(super) fn push(&mut self, opened: Arc<Opened>) {
        match self.kept.iter().position(|kept| Arc::ptr_eq(kept, &opened)) {
            Some(at) => drop(self.kept.remove(at)),
            None => self.n_bytes += opened.n_bytes(),
        }
        self.kept.push_back(opened.clone());
        self.pages.push(Entry { url: opened.page.url.clone(), opened: Some(opened) });
        while self.n_bytes > self.max_bytes && self.kept.len() > 1 {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.kept.pop_front() else { return };
        self.n_bytes = self.n_bytes.saturating_sub(oldest.n_bytes());
        for page in &mut self.pages {
            page.opened.take_if(|opened| Arc::ptr_eq(opened, &oldest));
        }
    }

    /// The page under a cursor: the last one for -1, those before it for other negative numbers.
    pub(super) fn at(&self, cursor: i64) -> Result<(usize, Arc<Opened>), BrowserError> {
        let last = self.pages.len().checked_sub(1).ok_or(BrowserError::NoPages)?;
        let at = if cursor < 0 { (last as i64).saturating_add(1).saturating_add(cursor) } else { cursor };
        let entry = usize::try_from(at).ok().and_then(|at| Some((at, self.pages.get(at)?)));
        let (at, entry) = entry.ok_or(BrowserError::Cursor { cursor, last })?;
        match &entry.opened {
            Some(opened) => Ok((at, opened.clone())),
            None => Err(BrowserError::Forgotten { cursor: at, url: entry.url.clone() }),
        }
    }

    /// The page that was last opened from a URL, if it is kept.
    pub(super) fn of_url(&self, url: &str) -> Option<Arc<Opened>> {
        self.kept.iter().rev().find(|opened| opened.page.url == url).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::browser::page::Page;

    fn page(url: &str, n_bytes: usize) -> Arc<Opened> {
        Arc::new(Opened::new(Page { url: url.into(), text: "x".repeat(n_bytes), ..Page::default() }))
    }

    fn urls(history: &History) -> Vec<String> {
        let url = |cursor| match history.at(cursor) {
            Ok((_, opened)) => opened.page.url.clone(),
            Err(error) => error.to_string(),
        };
        (0..history.next() as i64).map(url).collect()
    }

    #[test]
    fn a_cursor_finds_its_page() {
        let mut history = History::default();
        assert_eq!(history.at(-1).unwrap_err(), BrowserError::NoPages);
        assert_eq!(history.at(0).unwrap_err(), BrowserError::NoPages);
        for url in ["a", "b", "c"] {
            history.push(page(url, 1));
        }
        for (cursor, expect) in [(-1, "c"), (0, "a"), (2, "c"), (-2, "b"), (-3, "a")] {
            assert_eq!(history.at(cursor).unwrap().1.page.url, expect, "{cursor}");
        }
        for cursor in [3, 9, -4, i64::MAX, i64::MIN] {
            let error = history.at(cursor).unwrap_err().to_string();
            assert_eq!(error, format!("Cursor `{cursor}` is out of range. Available cursor indices: [0 - 2]."));
        }
    }

    #[test]
    fn the_oldest_pages_are_forgotten_and_say_so() {
        let size = page("a", 1000).n_bytes();
        let mut history = History { max_bytes: 3 * size, ..History::default() };
        let first = page("a", 1000);
        history.push(first.clone());
        history.push(page("b", 1000));
        history.push(first);
        history.push(page("c", 1000));
        assert_eq!(urls(&history), ["a", "b", "a", "c"], "one page counts once");
        history.push(page("d", 1000));
        assert_eq!(urls(&history), ["a", "Page `1` is no longer in memory. Open b again.", "a", "c", "d"]);
        assert!(history.of_url("b").is_none() && history.of_url("d").is_some());
        history.push(page("e", 1_000_000));
        assert_eq!(history.at(-1).unwrap().1.page.url, "e", "the last one stays, whatever its size");
        assert!(history.at(4).is_err());
    }
}
