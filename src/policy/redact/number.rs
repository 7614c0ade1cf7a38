//! Groups of digits with what stands between them, as cards and telephone numbers are written.
//!
//! It does not say what they are: that is for `card` and `phone`. Start at [`each`].

/// Groups that are looked at together.
pub(super) const MAX_GROUPS: usize = 8;
/// Digits of the longest number that is one, a card's.
const MAX_DIGITS: usize = 19;

/// Digits without anything between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// In bytes of the text.
    pub start: usize,
    /// In bytes of the text.
    pub end: usize,
    /// Whether a letter, a decimal point or the like joins them with what comes next.
    pub is_joined: bool,
}

impl Group {
    /// How many digits it has.
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Its digits.
    pub fn of(self, text: &str) -> &str {
        &text[self.start..self.end]
    }
}

/// Calls `visit` with the groups from each group of the text on, as far as they belong together: at most
/// [`MAX_GROUPS`], and none longer than a number can be. `visit` says how many of them it has taken. Each group is read
/// once.
pub(super) fn each(text: &str, mut visit: impl FnMut(&[Group]) -> usize) {
    let bytes = text.as_bytes();
    let mut window = [Group { start: 0, end: 0, is_joined: false }; MAX_GROUPS];
    let (mut n_groups, mut at) = (0, 0);
    while at < bytes.len() || n_groups > 0 {
        if n_groups == 0 {
            if !bytes[at].is_ascii_digit() {
                at += 1;
                continue;
            }
            let first = group(text, at);
            at = first.end;
            let is_inner = text[..first.start].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if first.len() > MAX_DIGITS || is_inner {
                continue;
            }
            window[0] = first;
            n_groups = 1;
        }
        n_groups = follow(text, &mut window, n_groups);
        let n_taken = visit(&window[..n_groups]).clamp(1, n_groups);
        at = window[n_taken - 1].end;
        window.copy_within(n_taken..n_groups, 0);
        n_groups -= n_taken;
    }
}

/// Fills in the groups that come after those that are there, and says how many there are.
fn follow(text: &str, window: &mut [Group; MAX_GROUPS], n_groups: usize) -> usize {
    for n in n_groups..MAX_GROUPS {
        let end = window[n - 1].end;
        let Some(len) = separator(&text[end..]) else { return n };
        let next = group(text, end + len);
        if next.len() > MAX_DIGITS {
            return n;
        }
        window[n] = next;
    }
    MAX_GROUPS
}

fn group(text: &str, start: usize) -> Group {
    let len = text.as_bytes()[start..].iter().take_while(|c| c.is_ascii_digit()).count();
    let mut after = text[start + len..].chars();
    let is_joined = match after.next() {
        Some(c) if c.is_alphanumeric() || c == '_' || c == '%' => true,
        Some('.' | ',' | ':') => after.next().is_some_and(|c| c.is_ascii_digit()),
        _ => false,
    };
    Group { start, end: start + len, is_joined }
}

/// The length in bytes of what parts two groups of one number: at most three characters, and no two spaces.
fn separator(text: &str) -> Option<usize> {
    let (mut len, mut n_spaces) = (0, 0);
    for (n, c) in text.chars().take(4).enumerate() {
        match c {
            '0'..='9' => return (n > 0).then_some(len),
            ' ' | '\u{a0}' | '\u{202f}' => n_spaces += 1,
            '-' | '\u{2010}' | '\u{2011}' | '\u{2013}' | '.' | '/' | '(' | ')' => n_spaces = 0,
            _ => return None,
        }
        if n == 3 || n_spaces == 2 {
            return None;
        }
        len += c.len_utf8();
    }
    None
}
