//! One page of a long list: the items from some place on, as many as a model should read at once.
//!
//! Knows nothing of what the items are. Start at [`Page::offer`].

/// A page while it is filled. Items are counted to the end of the list and written down only as long as there is room.
pub struct Page {
    skip: usize,
    n_most: usize,
    n_bytes: usize,
    n_seen: usize,
    n_shown: usize,
    is_full: bool,
    text: String,
}

impl Page {
    /// A page that begins after `skip` items and has room for so many items and bytes; its first one always fits.
    pub fn new(skip: usize, n_most: usize, n_bytes: usize) -> Self {
        Self { skip, n_most, n_bytes, n_seen: 0, n_shown: 0, is_full: n_most == 0, text: String::new() }
    }

    /// The next item of the list, which is written only when it is on this page.
    pub fn offer(&mut self, item: impl FnOnce() -> String) {
        self.n_seen += 1;
        if self.is_full || self.n_seen <= self.skip {
            return;
        }
        let item = item();
        if self.n_shown > 0 {
            if self.text.len() + 1 + item.len() > self.n_bytes {
                self.is_full = true;
                return;
            }
            self.text.push('\n');
        }
        self.text.push_str(&item);
        self.n_shown += 1;
        self.is_full = self.n_shown == self.n_most;
    }

    /// How many items the list has, of those offered so far.
    pub fn n_seen(&self) -> usize {
        self.n_seen
    }

    /// The items on the page, one a line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What of the list the page does not show, and how to see it; nothing when it shows all.
    pub fn note(&self, items: &str) -> Option<String> {
        let (n, end) = (self.n_seen, self.skip + self.n_shown);
        if self.n_shown == n {
            return None;
        }
        if self.skip >= n {
            return Some(format!("there are only {n} {items}; skip fewer than {n}"));
        }
        let place = format!("{items} {} to {end} of {n}", self.skip + 1);
        Some(if end == n { place } else { format!("{place}; for the rest call again with skip = {end}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        let rest = |n| format!("for the rest call again with skip = {n}");
        for (n, skip, n_most, n_bytes, text, note) in [
            (0, 0, 9, 99, "", None),
            (3, 0, 9, 99, "1\n2\n3", None),
            (3, 0, 3, 5, "1\n2\n3", None),
            (3, 0, 2, 99, "1\n2", Some(format!("rows 1 to 2 of 3; {}", rest(2)))),
            (3, 0, 9, 4, "1\n2", Some(format!("rows 1 to 2 of 3; {}", rest(2)))),
            (3, 0, 9, 0, "1", Some(format!("rows 1 to 1 of 3; {}", rest(1)))),
            (3, 1, 1, 99, "2", Some(format!("rows 2 to 2 of 3; {}", rest(2)))),
            (3, 2, 9, 99, "3", Some("rows 3 to 3 of 3".into())),
            (3, 3, 9, 99, "", Some("there are only 3 rows; skip fewer than 3".into())),
        ] {
            let mut page = Page::new(skip, n_most, n_bytes);
            (1..=n).for_each(|item: usize| page.offer(|| item.to_string()));
            assert_eq!(
                (page.text(), page.note("rows"), page.n_seen()),
                (text, note, n),
                "{n} {skip} {n_most} {n_bytes}"
            );
        }
    }

    #[test]
    fn what_is_not_shown_is_not_written() {
        let mut page = Page::new(1, 1, 99);
        page.offer(|| panic!("before the page"));
        page.offer(String::new);
        page.offer(|| panic!("after the page"));
        assert_eq!(page.n_seen(), 3);
    }
}
