//! Lines of at most 80 columns, broken where Python's `textwrap` breaks them: the models learned line numbers with it, and
//! citations point to them.
//!
//! It wraps and does nothing else: no whitespace is dropped, so the lines joined give back the text. Checked against
//! Python itself (`tests/fixtures/browser/wrap.json`). Start at [`wrap`].

/// In characters.
const WIDTH: usize = 80;
/// In columns.
const TAB: usize = 8;

/// A line as it is shown: a piece of an unwrapped one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// In bytes of the text.
    pub(super) start: u32,
    /// In bytes of the text.
    pub(super) end: u32,
    /// The unwrapped line that it is of, from 0.
    pub(super) origin: u32,
}

impl Line {
    /// Its characters.
    pub(super) fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }
}

/// Tabs become spaces up to the next stop, as wrapping counts them.
pub(super) fn expand_tabs(text: &str) -> String {
    let (mut expanded, mut column) = (String::with_capacity(text.len()), 0);
    for c in text.chars() {
        if c == '\t' {
            let n = TAB - column % TAB;
            expanded.extend(std::iter::repeat_n(' ', n));
            column += n;
        } else {
            expanded.push(c);
            column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
        }
    }
    expanded
}

/// The lines of a text of less than 4 GiB. An empty line is one too.
pub(super) fn wrap(text: &str) -> Vec<Line> {
    let (mut lines, mut chars, mut start) = (Vec::new(), Vec::new(), 0);
    for (origin, line) in text.split('\n').enumerate() {
        let mut add = |from: usize, to: usize| {
            lines.push(Line { start: (start + from) as u32, end: (start + to) as u32, origin: origin as u32 });
        };
        if line.len() <= WIDTH {
            add(0, line.len());
        } else {
            chars.clear();
            chars.extend(line.char_indices());
            wrap_line(&chars, line.len(), &mut add);
        }
        start += line.len() + 1;
    }
    lines
}

/// Fills lines with chunks; a chunk that is longer than a line is broken itself.
fn wrap_line(chars: &[(usize, char)], n_bytes: usize, add: &mut impl FnMut(usize, usize)) {
    let byte = |at: usize| chars.get(at).map_or(n_bytes, |(byte, _)| *byte);
    // A line is from `start` to `at`; the chunk that follows ends at `end`.
    let (mut start, mut at, mut end) = (0, 0, 0);
    while at < chars.len() {
        if end == at {
            end = chunk(chars, at);
        }
        let room = WIDTH - (at - start);
        if end - at <= room {
            at = end;
            continue;
        }
        if end - at > WIDTH {
            at += broken(&chars[at..end], room);
        }
        add(byte(start), byte(at));
        start = at;
    }
    if start < at {
        add(byte(start), byte(at));
    }
}

/// How much of a chunk that is too long still fits: all the room, or up to the last hyphen in it.
fn broken(chunk: &[(usize, char)], room: usize) -> usize {
    let hyphen = chunk[..room].iter().rposition(|(_, c)| *c == '-');
    match hyphen {
        Some(at) if chunk[..at].iter().any(|(_, c)| *c != '-') => at + 1,
        _ => room,
    }
}

/// Where the chunk that begins at `from` ends: whitespace, a dash between words, or a word up to its end, to a hyphen in it, or
/// to a dash.
fn chunk(chars: &[(usize, char)], from: usize) -> usize {
    let char_at = |at: usize| chars.get(at).map(|(_, c)| *c);
    let is = |at: Option<usize>, test: fn(char) -> bool| at.and_then(char_at).is_some_and(test);
    let dash = |at: usize| {
        if !is(Some(at), |c| c == '-') || !is(at.checked_sub(1), ends_word) {
            return None;
        }
        let end = (at..).find(|at| char_at(*at) != Some('-'))?;
        (end >= at + 2 && is(Some(end), is_word)).then_some(end)
    };
    if is(Some(from), is_space) {
        return (from..).find(|at| !is(Some(*at), is_space)).unwrap_or(chars.len());
    }
    if let Some(end) = dash(from) {
        return end;
    }
    // The letters around a hyphen may stand before the chunk.
    let hyphen = |at: usize| {
        let before = |n: usize| at.checked_sub(n);
        is(Some(at), |c| c == '-')
            && is(before(1), is_letter)
            && (is(before(2), is_letter) || is(before(2), |c| c == '-') && is(before(3), is_letter))
            && is(Some(at + 1), is_letter)
            && (is(Some(at + 2), is_letter) || is(Some(at + 2), |c| c == '-') && is(Some(at + 3), is_letter))
    };
    for at in from + 1..chars.len() {
        if hyphen(at) {
            return at + 1;
        }
        if is(Some(at), is_space) || dash(at).is_some() {
            return at;
        }
    }
    chars.len()
}

fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ')
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_letter(c: char) -> bool {
    is_word(c) && !c.is_numeric()
}

/// What a dash between words may follow.
fn ends_word(c: char) -> bool {
    is_word(c) || matches!(c, '!' | '"' | '\'' | '&' | '.' | ',' | '?')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PYTHON: &str = include_str!("../../../tests/fixtures/browser/wrap.json");

    #[test]
    fn lines_break_where_python_breaks_them() {
        let texts: Vec<(String, Vec<usize>)> = serde_json::from_str(PYTHON).unwrap();
        let mut different = Vec::new();
        for (text, expect) in &texts {
            let expanded = expand_tabs(text);
            let ends = |line: &Line| expanded[..line.end as usize].chars().count();
            let ends: Vec<_> = wrap(&expanded).iter().map(ends).collect();
            if ends != *expect {
                different.push(format!("{text:?}\n  ours {ends:?}\n  its  {expect:?}"));
            }
        }
        assert!(different.is_empty(), "{} of {}:\n{}", different.len(), texts.len(), different.join("\n"));
    }

    #[test]
    fn each_line_knows_the_one_that_it_is_of() {
        let text = format!("a\n\n{}\nb", "word ".repeat(40));
        let lines = wrap(&text);
        assert_eq!(lines.iter().map(|line| line.origin).collect::<Vec<_>>(), [0, 1, 2, 2, 2, 3]);
        assert_eq!(lines.last().unwrap().of(&text), "b");
    }

    #[test]
    fn tabs_reach_the_next_stop() {
        assert_eq!(expand_tabs("a\tb\n\tc\té\t|"), "a       b\n        c       é       |");
    }

    #[test]
    fn hostile_lines_take_no_time() {
        for text in
            ["a-".repeat(500_000), format!("a{}", "-".repeat(1_000_000)), "a.--".repeat(250_000), "x".repeat(1_000_000)]
        {
            assert!(wrap(&text).len() >= 12_500);
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_line_is_too_long(text in "[a-c\\-—é日 \u{a0}.\n]{0,600}") {
            let lines = wrap(&text);
            prop_assert_eq!(lines.iter().map(|line| line.of(&text)).collect::<String>(), text.replace('\n', ""));
            prop_assert!(lines.iter().all(|line| line.of(&text).chars().count() <= WIDTH));
        }
    }
}
