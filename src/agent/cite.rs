//! Citations in an answer become links: `【1†L2】` is `[notes.md, line 3](file:///...)` to whoever reads it.
//!
//! It is text in, text out, as the answer comes in pieces; the transcript keeps what the model wrote. What looks like a
//! citation and is none of a page that was shown stays as it is. Start at [`Citations::push`].

use crate::tool::Citable;
use std::collections::HashMap;
use std::fmt::Write;

/// In characters, between `【` and `】`: what is longer is no citation, and is not held back for longer.
const MAX_MARK: usize = 200;

/// In characters, of a page's title.
const MAX_TITLE: usize = 80;

/// A filter over one answer.
#[derive(Debug, Default)]
pub struct Citations {
    /// What may become a citation: nothing, or a text that begins with `【`.
    held: String,
    /// Whether a space has to stand between the text so far and a link.
    needs_gap: bool,
    cited: Vec<Cited>,
}

/// A place that an answer names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cited {
    /// The page's number.
    pub cursor: usize,
    /// What people call it.
    pub title: String,
    /// Where it is.
    pub url: String,
    /// The lines of the file, from 1, where that is known and means something to people.
    pub first_line: Option<u32>,
    /// The last of them, which may be the first.
    pub last_line: Option<u32>,
}

impl Citations {
    /// The next piece as people read it, without the end of it that may be half a citation. `pages` are those that the model was
    /// shown, by cursor.
    pub fn push(&mut self, delta: &str, pages: &HashMap<usize, Citable>) -> String {
        let mut shown = String::with_capacity(delta.len());
        for c in delta.chars() {
            if self.held.is_empty() {
                self.begin(c, &mut shown);
            } else if c == '】' {
                self.held.push(c);
                let mark = std::mem::take(&mut self.held);
                match self.link(&mark, pages) {
                    Some(link) => self.show(&link, &mut shown),
                    None => self.show(&mark, &mut shown),
                }
            } else if self.goes_on(c) {
                self.held.push(c);
            } else {
                let text = std::mem::take(&mut self.held);
                self.show(&text, &mut shown);
                self.begin(c, &mut shown);
            }
        }
        shown
    }

    /// What was held back, as it is, and the places that were named, each once, in the order of the answer.
    pub fn finish(mut self) -> (String, Vec<Cited>) {
        (std::mem::take(&mut self.held), self.cited)
    }

    fn begin(&mut self, c: char, shown: &mut String) {
        if c == '【' {
            self.held.push(c);
        } else {
            self.show(c.encode_utf8(&mut [0; 4]), shown);
        }
    }

    fn show(&mut self, text: &str, shown: &mut String) {
        if let Some(last) = text.chars().next_back() {
            self.needs_gap = !last.is_whitespace() && !matches!(last, '(' | '[');
        }
        shown.push_str(text);
    }

    /// Whether what is held back may still become a citation with this character.
    fn goes_on(&self, c: char) -> bool {
        let is_in_number = !self.held.contains('†');
        let fits = if is_in_number { c.is_ascii_digit() || c == '†' } else { !matches!(c, '【' | '\n') };
        fits && self.held.chars().count() < MAX_MARK
    }

    /// The link that a mark stands for; `None` when it names no page that was shown.
    fn link(&mut self, mark: &str, pages: &HashMap<usize, Citable>) -> Option<String> {
        let (cursor, place) = mark.strip_prefix('【')?.strip_suffix('】')?.split_once('†')?;
        let page = pages.get(&cursor.parse().ok()?)?;
        let cited = cited(page, place)?;
        let mut link = String::from(if self.needs_gap { " [" } else { "[" });
        link.push_str(&escaped(&cited.title));
        match (cited.first_line, cited.last_line) {
            (Some(first), Some(last)) if first == last => _ = write!(link, ", line {first}"),
            (Some(first), Some(last)) => _ = write!(link, ", lines {first}-{last}"),
            _ => {}
        }
        let _ = write!(link, "]({})", address(&cited.url));
        if !self.cited.contains(&cited) {
            self.cited.push(cited);
        }
        Some(link)
    }
}

/// What a place on a page means; `None` for one on a list where no entry stands.
fn cited(page: &Citable, place: &str) -> Option<Cited> {
    let (cursor, lines) = (page.cursor, seen_lines(place));
    if page.listed.is_empty() {
        let lines = lines.filter(|_| page.url.starts_with("file:")).and_then(|lines| file_lines(lines, &page.lines));
        let (title, url) = (page.title.clone(), page.url.clone());
        return Some(Cited {
            cursor,
            title,
            url,
            first_line: lines.map(|lines| lines.0),
            last_line: lines.map(|lines| lines.1),
        });
    }
    let (first, last) = lines?;
    let entry = page.listed.iter().rev().find(|entry| entry.first_line <= first.max(last))?;
    let (title, url) = (entry.title.clone(), entry.url.clone());
    Some(Cited { cursor, title, url, first_line: None, last_line: None })
}

/// The lines of a view that are meant by `L3`, `L3-L5` or `L3-5`, wherever that stands among other words.
fn seen_lines(place: &str) -> Option<(usize, usize)> {
    let (first, rest) = place.match_indices('L').find_map(|(at, _)| number(&place[at + 1..]))?;
    let last = rest.strip_prefix(['-', '–', '—']).and_then(|rest| number(rest.strip_prefix('L').unwrap_or(rest)));
    Some((first, last.map_or(first, |(last, _)| last)))
}

/// The lines of the file that these show.
fn file_lines((first, last): (usize, usize), lines: &[u32]) -> Option<(u32, u32)> {
    let (first, last) = (*lines.get(first)?, *lines.get(last).or(lines.last())?);
    (first > 0 && last > 0).then_some((first.min(last), first.max(last)))
}

/// The number that a text begins with, and the rest.
fn number(text: &str) -> Option<(usize, &str)> {
    let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    Some((digits.parse().ok()?, rest))
}

/// A title as the text of a Markdown link: in a line, and nothing in it means anything.
fn escaped(title: &str) -> String {
    let words: Vec<_> =
        title.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let title = words.join(" ");
    let title = if title.is_empty() { "page" } else { &title };
    let cut = title.char_indices().nth(MAX_TITLE).map_or(title, |(end, _)| &title[..end]);
    let mut text = String::new();
    for c in cut.chars() {
        if matches!(c, '[' | ']' | '\\' | '`' | '*' | '<' | '>' | '!') {
            text.push('\\');
        }
        text.push(c);
    }
    if cut.len() < title.len() { text + "…" } else { text }
}

/// A URL in the brackets of a Markdown link.
fn address(url: &str) -> String {
    let mut address = String::new();
    for c in url.chars() {
        let is_special = matches!(c, '(' | ')' | '<' | '>' | '\\') || c.is_whitespace() || c.is_control();
        match is_special {
            true => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| _ = write!(address, "%{byte:02X}")),
            false => address.push(c),
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::Listed;
    use proptest::prelude::*;

    fn pages() -> HashMap<usize, Citable> {
        let page = |cursor: usize, title: &str, url: &str, lines: &[u32]| {
            let (title, url) = (title.into(), url.into());
            (cursor, Citable { cursor, title, url, lines: lines.into(), listed: [].into() })
        };
        let entry = |first_line, title: &str, url: &str| Listed { first_line, title: title.into(), url: url.into() };
        let listed = [entry(2, "notes.md", "file:///n/notes.md"), entry(4, "A page", "https://example.org/")];
        let list = Citable { listed: listed.into(), ..page(4, "keys", "", &[]).1 };
        [
            page(1, "notes.md", "file:///n/notes.md", &[1, 2, 3, 3, 3, 4]),
            page(2, "A [b] page", "https://example.org/a_(b)", &[1, 2, 3]),
            page(3, "found", "file:///n/found.md", &[0, 7]),
            (4, list),
        ]
        .into()
    }

    fn read(pieces: &[&str]) -> (String, Vec<Cited>) {
        let mut citations = Citations::default();
        let mut text: String = pieces.iter().map(|piece| citations.push(piece, &pages())).collect();
        let (rest, cited) = citations.finish();
        text += &rest;
        (text, cited)
    }

    #[test]
    fn a_citation_becomes_a_link() {
        for (text, expect) in [
            ("door.【1†L2】", "door. [notes.md, line 3](file:///n/notes.md)"),
            ("【1†L0-L1】 x", "[notes.md, lines 1-2](file:///n/notes.md) x"),
            ("a 【1†L2-L4】.", "a [notes.md, line 3](file:///n/notes.md)."),
            ("a 【1†L5-1】.", "a [notes.md, lines 2-4](file:///n/notes.md)."),
            ("a 【1†L1–L5†source】", "a [notes.md, lines 2-4](file:///n/notes.md)"),
            ("a 【1†L4-L99】", "a [notes.md, lines 3-4](file:///n/notes.md)"),
            ("a 【1†L99】", "a [notes.md](file:///n/notes.md)"),
            ("a 【1†notes.md】", "a [notes.md](file:///n/notes.md)"),
            ("a 【1†】", "a [notes.md](file:///n/notes.md)"),
            (
                "a【2†L1】【1†L0】",
                "a [A \\[b\\] page](https://example.org/a_%28b%29) [notes.md, line 1](file:///n/notes.md)",
            ),
            ("(【3†L1】)", "([found, line 7](file:///n/found.md))"),
            ("【3†L0】", "[found](file:///n/found.md)"),
        ] {
            assert_eq!(read(&[text]).0, expect, "{text}");
        }
    }

    #[test]
    fn a_line_of_a_list_means_what_is_listed_there() {
        let (notes, page) = ("[notes.md](file:///n/notes.md)", "[A page](https://example.org/)");
        for (mark, expect) in [
            ("【4†L2】", notes),
            ("【4†L3】", notes),
            ("【4†L4】", page),
            ("【4†L99】", page),
            ("【4†L0-L2】", notes),
            ("【4†L1】", "【4†L1】"),
            ("【4†notes.md】", "【4†notes.md】"),
        ] {
            assert_eq!(read(&[mark]).0, expect);
        }
    }

    #[test]
    fn what_is_no_citation_stays() {
        for text in [
            "【9†L1】",
            "【1】",
            "【†L1】",
            "【a†L1】",
            "【99999999999999999999999†L1】",
            "【1†L1",
            "【",
            "【【",
            "【1\n†L1】",
            "【1†L1\n】",
            "】†【",
            "array[1], 【not】 one",
        ] {
            assert_eq!(read(&[text]), (text.to_owned(), Vec::new()), "{text}");
        }
        let long = format!("【1†{}】", "x".repeat(10_000));
        assert_eq!(read(&[&long]).0, long);
        assert_eq!(read(&["【【1†L0】"]).0, "【 [notes.md, line 1](file:///n/notes.md)");
    }

    #[test]
    fn half_a_citation_is_held_back() {
        let mut citations = Citations::default();
        for (piece, expect) in [
            ("door.【", "door."),
            ("1†", ""),
            ("L2", ""),
            ("】 And", " [notes.md, line 3](file:///n/notes.md) And"),
            (" 【x", " 【x"),
            ("【1†L", ""),
        ] {
            assert_eq!(citations.push(piece, &pages()), expect, "{piece}");
        }
        assert_eq!(citations.finish().0, "【1†L");
    }

    #[test]
    fn each_place_is_listed_once() {
        let (_, cited) = read(&["a【1†L0】 b【2†L1】 c【1†L0】 d【1†L1】"]);
        let short: Vec<_> = cited.iter().map(|cited| (cited.cursor, cited.first_line, cited.last_line)).collect();
        assert_eq!(short, [(1, Some(1), Some(1)), (2, None, None), (1, Some(2), Some(2))]);
    }

    #[test]
    fn a_title_cannot_break_out_of_its_link() {
        let page = |title: &str, url: &str| {
            let (title, url) = (title.into(), url.into());
            let page = Citable { cursor: 0, title, url, lines: [].into(), listed: [].into() };
            Citations::default().push("【0†L1】", &[(0, page)].into())
        };
        assert_eq!(page("a](http://evil.test/) [b\n\n# c", "x:y"), "[a\\](http://evil.test/) \\[b # c](x:y)");
        assert_eq!(page("", "x:a b)\n<c>"), "[page](x:a%20b%29%0A%3Cc%3E)");
        assert!(page(&"x".repeat(10_000), "x:y").len() < 200);
    }

    proptest! {
        #[test]
        fn pieces_mean_nothing(text in "[【】†L0-3a\n -]{0,40}", cuts in prop::collection::vec(0..40usize, 0..6)) {
            let whole = read(&[&text]);
            let chars: Vec<char> = text.chars().collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(chars.len())).collect();
            cuts.extend([0, chars.len()]);
            cuts.sort();
            let pieces: Vec<String> = cuts.windows(2).map(|cut| chars[cut[0]..cut[1]].iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(read(&pieces), whole);
        }

        #[test]
        fn nothing_but_citations_changes(text in ".{0,200}") {
            prop_assert_eq!(read(&[&text]).0, text);
        }
    }
}
