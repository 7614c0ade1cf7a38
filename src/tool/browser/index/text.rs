//! Text files as pages: line for line, in Markdown with the marks of its links.
//!
//! It renders nothing: a heading keeps its `#` and a list its bullets, so that a line of the page is that line of the file.
//! Start at [`plain`] and [`markdown`].

use crate::tool::browser::{Link, Page};
use std::collections::HashMap;
use url::Url;

/// Links of one page; the rest stays as it is written.
const MAX_LINKS: usize = 20_000;

/// Bytes of a link's text and address, each.
const MAX_PART: usize = 2000;

/// Brackets in brackets.
const MAX_DEPTH: usize = 8;

/// A text file's page, without title and URL.
pub(super) fn plain(bytes: &[u8]) -> Result<Page, String> {
    let text = decoded(bytes)?;
    let lines: Vec<String> = lines(&text).map(harmless).collect();
    Ok(page(lines, Vec::new()))
}

/// The same of a Markdown file: `[text](address)` becomes the mark of a link, outside of code.
pub(super) fn markdown(bytes: &[u8], url: &Url) -> Result<Page, String> {
    let text = decoded(bytes)?;
    let mut links = Links { base: url, known: HashMap::new(), links: Vec::new() };
    let mut fence: Option<&str> = None;
    let mut shown = Vec::new();
    for line in lines(&text) {
        let start = line.trim_start();
        let marks = ["```", "~~~"].into_iter().find(|marks| start.starts_with(marks));
        let is_code = fence.is_some() || marks.is_some();
        match (fence, marks) {
            (None, Some(marks)) => fence = Some(marks),
            (Some(open), Some(marks)) if open == marks => fence = None,
            _ => {}
        }
        shown.push(if is_code { harmless(line) } else { links.marked(line) });
    }
    Ok(page(shown, links.links))
}

fn page(lines: Vec<String>, links: Vec<Link>) -> Page {
    let source_lines = (1..).take(lines.len()).collect();
    Page { text: lines.join("\n"), links, source_lines, ..Page::default() }
}

/// The characters of a file, by its byte order mark, or as UTF-8, or else in the way of old Windows and Unix files.
fn decoded(bytes: &[u8]) -> Result<String, String> {
    if let Some((encoding, n)) = encoding_rs::Encoding::for_bom(bytes) {
        return Ok(encoding.decode_without_bom_handling(&bytes[n..]).0.into_owned());
    }
    if bytes.contains(&0) {
        return Err("it is not text".into());
    }
    Ok(match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    })
}

/// The lines of a file. An end of line at its end begins none.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.trim_end_matches('\r'))
}

/// Text that imitates neither a citation nor the mark of a link, on one line.
pub(super) fn harmless(text: &str) -> String {
    let is_plain = |c: char| {
        !matches!(c, '【' | '】' | '\u{200b}')
            && (c >= ' ' || c == '\t')
            && !matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}')
    };
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    let one = |c| match c {
        '【' => Some('〖'),
        '】' => Some('〗'),
        '\u{200b}' => None,
        c if is_plain(c) => Some(c),
        _ => Some(' '),
    };
    text.chars().filter_map(one).collect()
}

/// The same for the text of a link.
pub(super) fn one_line(text: &str) -> String {
    harmless(text).replace('†', "‡").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line without the marks of its links: their text alone.
pub(super) fn unmarked(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, mark)) = rest.split_once('【') {
        plain.push_str(before);
        let (inside, after) = mark.split_once('】').unwrap_or((mark, ""));
        plain.push_str(inside.split('†').nth(1).unwrap_or(inside));
        rest = after;
    }
    plain + rest
}

/// The links of a page while it is made.
struct Links<'a> {
    base: &'a Url,
    known: HashMap<String, usize>,
    links: Vec<Link>,
}

impl Links<'_> {
    /// A line with marks in the place of its links.
    fn marked(&mut self, line: &str) -> String {
        let mut marked = String::with_capacity(line.len());
        let mut rest = line;
        while let Some(at) = rest.find(['[', '`', '\\', '!']) {
            marked.push_str(&harmless(&rest[..at]));
            let here = &rest[at..];
            let n = match here.as_bytes()[0] {
                b'`' => code(here),
                // What is escaped is no link, and a picture is not one either.
                b'\\' => 1 + here.chars().nth(1).map_or(0, char::len_utf8),
                b'!' if here.starts_with("![") => 2,
                b'[' => match inline_link(here).and_then(|link| Some((self.mark(&link)?, link.length))) {
                    Some((mark, length)) => {
                        marked.push_str(&mark);
                        rest = &here[length..];
                        continue;
                    }
                    None => 1,
                },
                _ => 1,
            };
            marked.push_str(&harmless(&here[..n]));
            rest = &here[n..];
        }
        marked + &harmless(rest)
    }

    /// The mark of a link that can be opened; `None` leaves it as it is written.
    fn mark(&mut self, link: &Inline<'_>) -> Option<String> {
        if link.address.starts_with('#') || link.address.is_empty() {
            return None;
        }
        let url = self.base.join(link.address).ok()?;
        if !matches!(url.scheme(), "http" | "https" | "file") {
            return None;
        }
        let text = one_line(link.text);
        let text = if text.is_empty() { one_line(link.address) } else { text };
        let domain = url.host_str().filter(|host| Some(*host) != self.base.host_str());
        let domain = domain.map(|host| format!("†{host}")).unwrap_or_default();
        let n = match self.known.get(url.as_str()) {
            Some(n) => *n,
            None if self.links.len() == MAX_LINKS => return None,
            None => {
                self.known.insert(url.to_string(), self.links.len());
                self.links.push(Link { url: url.into(), line: None });
                self.links.len() - 1
            }
        };
        Some(format!("【{n}†{text}{domain}】"))
    }
}

/// How many bytes a piece of code in a line has, which begins here. Backticks that nothing closes are just that.
fn code(text: &str) -> usize {
    let n_ticks = text.bytes().take_while(|byte| *byte == b'`').count();
    let inside = &text[n_ticks..];
    let inside = &inside[..inside.floor_char_boundary(MAX_PART)];
    let mut at = 0;
    while let Some(found) = inside[at..].find('`') {
        let n = inside[at + found..].bytes().take_while(|byte| *byte == b'`').count();
        if n == n_ticks {
            return n_ticks + at + found + n;
        }
        at += found + n;
    }
    n_ticks
}

/// `[text](address)` or `[text](<address> "title")`.
struct Inline<'a> {
    text: &'a str,
    address: &'a str,
    /// Of the whole, in bytes.
    length: usize,
}

/// The link that begins here, if one does.
fn inline_link(text: &str) -> Option<Inline<'_>> {
    let end_of_text = closing(text, b'[', b']')?;
    let after = &text[end_of_text + 1..];
    if !after.starts_with('(') {
        return None;
    }
    let end = closing(after, b'(', b')')?;
    let inside = after[1..end].trim();
    let address = match inside.strip_prefix('<') {
        Some(inside) => inside.split_once('>')?.0,
        None => inside.split_whitespace().next().unwrap_or_default(),
    };
    Some(Inline { text: &text[1..end_of_text], address, length: end_of_text + 1 + end + 1 })
}

/// Where the bracket closes that opens at the beginning.
fn closing(text: &str, open: u8, close: u8) -> Option<usize> {
    let mut depth = 0;
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().take(MAX_PART) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            // Brackets in brackets without end would be looked through again and again.
            byte if byte == open && depth == MAX_DEPTH => return None,
            byte if byte == open => depth += 1,
            byte if byte == close => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Url {
        Url::parse("file:///home/me/notes/boat/log.md").unwrap()
    }

    #[track_caller]
    fn check(line: &str, expect: &str, urls: &[&str]) {
        let page = markdown(line.as_bytes(), &url()).unwrap();
        assert_eq!(page.text, expect, "{line}");
        assert_eq!(page.links.iter().map(|link| link.url.as_str()).collect::<Vec<_>>(), urls, "{line}");
    }

    #[test]
    fn links_of_markdown_get_their_marks() {
        let fuel = "file:///home/me/notes/fuel.md";
        for (line, expect, urls) in [
            ("see [fuel](../fuel.md).", "see 【0†fuel】.", &[fuel][..]),
            ("[a](../fuel.md) [b](../fuel.md)", "【0†a】 【0†b】", &[fuel]),
            ("[x](https://example.org/a \"T\")", "【0†x†example.org】", &["https://example.org/a"]),
            ("[x](<a b.md>)", "【0†x】", &["file:///home/me/notes/boat/a%20b.md"]),
            ("[](../fuel.md)", "【0†../fuel.md】", &[fuel]),
            ("[a [b]](w_(x))", "【0†a [b]】", &["file:///home/me/notes/boat/w_(x)"]),
            ("[ev【0†il】](a)", "【0†ev〖0‡il〗】", &["file:///home/me/notes/boat/a"]),
            // These stay as they are.
            ("[top](#top) [m](mailto:a@b.c) [j](javascript:x)", "[top](#top) [m](mailto:a@b.c) [j](javascript:x)", &[]),
            ("![alt](a.png) \\[x](a) [x] (a) [x]", "![alt](a.png) \\[x](a) [x] (a) [x]", &[]),
            ("`[x](a)` ``[x](a) ` `` [x](", "`[x](a)` ``[x](a) ` `` [x](", &[]),
            ("```\n[x](a)\n~~~\n[x](a)\n```", "```\n[x](a)\n~~~\n[x](a)\n```", &[]),
            ("【0†x】 a\u{200b}b \u{1b}[2J", "〖0†x〗 ab  [2J", &[]),
        ] {
            check(line, expect, urls);
        }
    }

    #[test]
    fn a_line_of_the_page_is_that_line_of_the_file() {
        let page = plain(b"one\r\n\r\nthree\n").unwrap();
        assert_eq!((page.text.as_str(), page.source_lines), ("one\n\nthree", vec![1, 2, 3]));
        assert_eq!(plain(b"").unwrap(), Page::default());
        assert_eq!(plain(b"a\n\n").unwrap().text, "a\n");
    }

    #[test]
    fn characters_are_read_in_the_way_they_were_written() {
        for (bytes, text) in [
            (&b"\xef\xbb\xbfna\xc3\xafve"[..], "naïve"),
            (b"na\xefve", "naïve"),
            (b"\xff\xfea\0b\0", "ab"),
            (b"\xfe\xff\0a\0b", "ab"),
        ] {
            assert_eq!(plain(bytes).unwrap().text, text);
        }
        assert!(plain(b"\x7fELF\0\0").is_err());
    }

    #[test]
    fn marks_are_taken_off_again() {
        assert_eq!(unmarked("a 【0†b】 c 【1†d†e.org】"), "a b c d");
        assert_eq!(unmarked("a 【0†b"), "a b");
        assert_eq!(unmarked("a 】 【】"), "a 】 ");
    }

    proptest::proptest! {
        #[test]
        fn every_file_is_a_page_whose_marks_are_its_links(text in "(?s)[\\[\\]()`!\\\\【】†a #<>\n\r\t\u{0}é]{0,80}") {
            let Ok(page) = markdown(text.as_bytes(), &url()) else { return Ok(()) };
            assert_eq!(page.text.split('\n').count(), page.source_lines.len().max(1));
            let mut rest = page.text.as_str();
            while let Some((_, mark)) = rest.split_once('【') {
                let (inside, after) = mark.split_once('】').unwrap();
                let n: usize = inside.split('†').next().unwrap().parse().unwrap();
                assert!(n < page.links.len(), "{}", page.text);
                rest = after;
            }
            assert!(!rest.contains('】'));
        }
    }
}
