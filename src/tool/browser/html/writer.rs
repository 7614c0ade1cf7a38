//! Words to lines: white space collapsed as CSS does it, breaks and empty lines between blocks, what stands before each line
//! of a list or a quotation, and marks round words.
//!
//! What it is not: it knows no elements. Lines are not wrapped. Start at [`Writer::text`].

use super::clean::{is_space, shown, shown_in_link};
use super::links::Links;
use url::Url;

/// Bytes of a page's text.
pub(super) const MAX_TEXT: usize = 4 << 20;
/// Lists and quotations within each other that are still indented.
const MAX_PREFIXES: usize = 20;

/// What stands before the lines of a block.
struct Prefix {
    /// Before its first line, until that is written.
    first: Option<String>,
    rest: &'static str,
}

/// What opens before a word.
enum Mark {
    Plain(&'static str),
    Link(Url),
}

/// The link whose words are being written.
enum OpenLink {
    None,
    /// It has no words yet.
    Waiting,
    /// What closes it; empty when it has no number.
    Open(String),
}

/// Writes a page's text.
pub(super) struct Writer {
    text: String,
    pub(super) links: Links,
    prefixes: Vec<Prefix>,
    n_unkept_prefixes: usize,
    /// Line ends wanted before the next word; 2 leaves an empty line.
    gap: usize,
    n_empty_lines: usize,
    /// White space that counts if a word follows on the same line.
    space: String,
    /// Marks that wait for a word.
    marks: Vec<Mark>,
    link: OpenLink,
    /// Cells begun on this line since its last word.
    n_cells: usize,
    /// Nonzero: all is one line.
    flat: usize,
    /// Nonzero: a line's end is a space.
    unbroken: usize,
    /// Nonzero: white space is kept.
    verbatim: usize,
}

impl Writer {
    pub(super) fn new(links: Links) -> Self {
        Self {
            text: String::new(),
            links,
            prefixes: Vec::new(),
            n_unkept_prefixes: 0,
            gap: 1,
            n_empty_lines: 0,
            space: String::new(),
            marks: Vec::new(),
            link: OpenLink::None,
            n_cells: 0,
            flat: 0,
            unbroken: 0,
            verbatim: 0,
        }
    }

    /// No more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= MAX_TEXT
    }

    /// Empty lines so far; `with_next` counts the one that comes before the next word.
    pub(super) fn n_empty_lines(&self, with_next: bool) -> usize {
        let next = if with_next && !self.text.is_empty() { self.gap.saturating_sub(1) } else { 0 };
        self.n_empty_lines + next
    }

    pub(super) fn is_flat(&self) -> bool {
        self.flat > 0
    }

    pub(super) fn is_verbatim(&self) -> bool {
        self.verbatim > 0
    }

    /// Words with the white space between them.
    pub(super) fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if is_space(c) {
                self.white(c);
                rest = &rest[c.len_utf8()..];
                continue;
            }
            let end = rest.find(is_space).unwrap_or(rest.len());
            self.word(&rest[..end]);
            rest = &rest[end..];
        }
    }

    fn white(&mut self, c: char) {
        match c {
            '\n' if self.verbatim > 0 && self.flat == 0 => {
                self.close_link();
                self.end_line();
            }
            _ if self.verbatim > 0 => self.space.push(if c == '\t' { c } else { ' ' }),
            _ if self.gap == 0 && self.space.is_empty() => self.space.push(' '),
            _ => {}
        }
    }

    fn word(&mut self, word: &str) {
        let is_plain = word.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
        if is_plain {
            self.begin();
            self.text.push_str(word);
            return;
        }
        // What shows nothing opens no line.
        if word.chars().any(|c| shown(c).is_some()) {
            self.begin();
            let show = if matches!(self.link, OpenLink::Open(_)) { shown_in_link } else { shown };
            self.text.extend(word.chars().filter_map(show));
        }
    }

    /// Everything that was waiting for a word.
    fn begin(&mut self) {
        if self.is_full() {
            return;
        }
        let is_first = self.gap > 0;
        if is_first {
            if self.verbatim == 0 {
                self.space.clear();
            }
            self.begin_line();
        }
        if self.n_cells > 0 {
            let bars = " | ".repeat(self.n_cells);
            self.text.push_str(if is_first { bars.trim_start() } else { &bars });
            self.n_cells = 0;
            self.space.clear();
        }
        self.text.push_str(&self.space);
        self.space.clear();
        for mark in std::mem::take(&mut self.marks) {
            match mark {
                Mark::Plain(mark) => self.text.push_str(mark),
                Mark::Link(url) => {
                    let closing = self.links.number(&url).map_or_else(String::new, |(id, closing)| {
                        self.text.push_str(&format!("【{id}†"));
                        closing
                    });
                    self.link = OpenLink::Open(closing);
                }
            }
        }
    }

    fn begin_line(&mut self) {
        if !self.text.is_empty() {
            self.text.push_str(if self.gap > 1 { "\n\n" } else { "\n" });
            self.n_empty_lines += self.gap - 1;
        }
        self.gap = 0;
        for prefix in &mut self.prefixes {
            match prefix.first.take() {
                Some(first) => self.text.push_str(&first),
                None => self.text.push_str(prefix.rest),
            }
        }
    }

    /// One more line's end, at most one empty line.
    fn end_line(&mut self) {
        self.space.clear();
        self.gap = (self.gap + 1).min(2);
    }

    /// A break within a block.
    pub(super) fn line_break(&mut self) {
        match self.link {
            OpenLink::Open(_) => self.white(' '),
            _ if self.flat > 0 || self.unbroken > 0 => self.white(' '),
            _ => self.end_line(),
        }
    }

    /// A block begins or ends here, with `gap` line ends between it and its neighbours.
    pub(super) fn block(&mut self, gap: usize) {
        if self.flat > 0 {
            self.white(' ');
            return;
        }
        self.close_link();
        self.space.clear();
        // Behind the mark of a list's item no paragraph begins anew.
        let is_fresh = self.prefixes.last().is_some_and(|prefix| prefix.first.is_some());
        self.gap = self.gap.max(if is_fresh { 1 } else { gap });
    }

    /// No empty line before the next word, whatever its block wants.
    pub(super) fn tighten(&mut self) {
        self.gap = self.gap.min(1);
    }

    /// From here on lines begin with `first` once and then with `rest`, within what they began with before.
    pub(super) fn push_prefix(&mut self, first: String, rest: &'static str) {
        if self.prefixes.len() < MAX_PREFIXES {
            self.prefixes.push(Prefix { first: Some(first), rest });
        } else {
            self.n_unkept_prefixes += 1;
        }
    }

    pub(super) fn pop_prefix(&mut self) {
        match self.n_unkept_prefixes {
            0 => drop(self.prefixes.pop()),
            n => self.n_unkept_prefixes = n - 1,
        }
    }

    /// What stands before the next word, if one comes before [`close`](Self::close).
    pub(super) fn open(&mut self, mark: &'static str) {
        self.marks.push(Mark::Plain(mark));
    }

    pub(super) fn close(&mut self, mark: &str) {
        if self.marks.pop().is_none() {
            self.text.push_str(mark);
        }
    }

    /// The next words are those of a link, until they end or their block does.
    pub(super) fn open_link(&mut self, url: Url) {
        self.link = OpenLink::Waiting;
        self.marks.push(Mark::Link(url));
    }

    pub(super) fn is_in_link(&self) -> bool {
        !matches!(self.link, OpenLink::None)
    }

    /// A link was opened and has no words yet.
    pub(super) fn is_link_waiting(&self) -> bool {
        matches!(self.link, OpenLink::Waiting)
    }

    pub(super) fn end_link(&mut self) {
        if self.is_link_waiting() {
            self.marks.retain(|mark| !matches!(mark, Mark::Link(_)));
            self.link = OpenLink::None;
        }
        self.close_link();
    }

    fn close_link(&mut self) {
        if let OpenLink::Open(closing) = &self.link {
            self.text.push_str(closing);
            self.link = OpenLink::None;
        }
    }

    /// A cell begins, on the line of the one before, behind so many borders.
    pub(super) fn cross_borders(&mut self, n_borders: usize) {
        self.close_link();
        self.n_cells += n_borders;
    }

    /// A row begins or ends, on a line of its own.
    pub(super) fn row(&mut self) {
        self.n_cells = 0;
        self.block(1);
    }

    pub(super) fn set_flat(&mut self, is_flat: bool) {
        self.flat = if is_flat { self.flat + 1 } else { self.flat.saturating_sub(1) };
    }

    pub(super) fn set_unbroken(&mut self, is_unbroken: bool) {
        self.unbroken = if is_unbroken { self.unbroken + 1 } else { self.unbroken.saturating_sub(1) };
    }

    pub(super) fn set_verbatim(&mut self, is_verbatim: bool) {
        self.verbatim = if is_verbatim { self.verbatim + 1 } else { self.verbatim.saturating_sub(1) };
    }

    /// The text and its links.
    pub(super) fn finish(mut self) -> (String, Links) {
        self.close_link();
        if self.is_full() {
            self.text.truncate(self.text.floor_char_boundary(MAX_TEXT));
            // Half a mark is none.
            if let Some(mark) = self.text.rfind('【').filter(|at| !self.text[*at..].contains('】')) {
                self.text.truncate(mark);
            }
        }
        self.text.truncate(self.text.trim_end().len());
        (self.text, self.links)
    }
}
