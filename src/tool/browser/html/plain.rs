//! Texts that are shown as they are, line for line: plain text, source code, JSON, Markdown with link marks for its links.
//!
//! What it is not: a renderer of Markdown. Its lines stay what they are, so that a citation finds them in the file.
//! Start at [`lines`].

use super::clean::{shown, shown_in_link};
use super::links::Links;
use super::writer::MAX_TEXT;

/// Bytes of a link's address, and of a piece of code in a line.
const MAX_PART: usize = 2000;

/// The lines of a text, cleaned; no more than fit.
pub(super) struct Lines {
    pub(super) text: String,
    pub(super) n_lines: usize,
    pub(super) is_cut: bool,
}

/// The lines of a text. `links` asks for link marks.
pub(super) fn lines(text: &str, mut links: Option<&mut Links>) -> Lines {
    let end = if text.contains('\n') || !text.contains('\r') { '\n' } else { '\r' };
    let text = text.strip_suffix(end).unwrap_or(text);
    let mut out = Lines { text: String::with_capacity(text.len().min(MAX_TEXT)), n_lines: 0, is_cut: false };
    let mut fence = None;
    for line in text.split(end) {
        if out.text.len() + line.len() >= MAX_TEXT {
            out.is_cut = true;
            break;
        }
        if out.n_lines > 0 {
            out.text.push('\n');
        }
        out.n_lines += 1;
        let line = line.trim_end_matches('\r');
        match &mut links {
            Some(links) if !is_code(line, &mut fence) => mark_links(line, links, &mut out.text),
            _ => out.text.extend(line.chars().filter_map(in_line)),
        }
    }
    out
}

fn in_line(c: char) -> Option<char> {
    if c == '\r' { Some(' ') } else { shown(c) }
}

/// Is this line part of a fenced block?
fn is_code(line: &str, fence: &mut Option<(char, usize)>) -> bool {
    let start = line.trim_start();
    let mark = start.chars().next().filter(|c| matches!(c, '`' | '~'));
    let n = mark.map_or(0, |mark| start.chars().take_while(|c| *c == mark).count());
    match (*fence, mark) {
        (Some(open), Some(mark)) if mark == open.0 && n >= open.1 && start[n..].trim().is_empty() => {
            *fence = None;
            true
        }
        (Some(_), _) => true,
        (None, Some(mark)) if n >= 3 => {
            *fence = Some((mark, n));
            true
        }
        _ => false,
    }
}

/// Writes a line with `【id†text】` for each `[text](address)` in it that leads somewhere.
fn mark_links(line: &str, links: &mut Links, out: &mut String) {
    let mut rest = line;
    while let Some(at) = rest.find(['[', '`', '\\', '!']) {
        out.extend(rest[..at].chars().filter_map(in_line));
        rest = &rest[at..];
        let (taken, mark) = match rest.as_bytes()[0] {
            b'`' => (code_span(rest), None),
            b'\\' => (rest.chars().take(2).map(char::len_utf8).sum(), None),
            // A picture is not a link.
            b'!' if rest.starts_with("![") => (2, None),
            b'[' => match inline_link(rest) {
                Some((taken, text, address)) => (taken, link_mark(text, address, links)),
                None => (1, None),
            },
            _ => (1, None),
        };
        match mark {
            Some(mark) => out.push_str(&mark),
            None => out.extend(rest[..taken].chars().filter_map(in_line)),
        }
        rest = &rest[taken..];
    }
    out.extend(rest.chars().filter_map(in_line));
}

/// Bytes of the code that begins here, its ticks included; only the ticks, when none close it.
fn code_span(text: &str) -> usize {
    let n = text.bytes().take_while(|byte| *byte == b'`').count();
    match near(&text[n..], MAX_PART.max(n)).find(&text[..n]) {
        Some(at) => n + at + n,
        None => n,
    }
}

/// The bytes, text and address of a link that begins here. Neither holds brackets of its own kind.
fn inline_link(text: &str) -> Option<(usize, &str, &str)> {
    let label_end = text[1..].find(['[', ']'])? + 1;
    let label = &text[1..label_end];
    if text.as_bytes()[label_end] == b'[' {
        return None;
    }
    let inside = text[label_end + 1..].strip_prefix('(')?;
    let n = near(inside, MAX_PART).find(')')?;
    // Behind the address may stand a title.
    let address = inside[..n].split_whitespace().next()?.trim_start_matches('<').trim_end_matches('>');
    Some((label_end + 2 + n + 1, label, address))
}

/// So much of a text at most. Where each of many parts looked for its end in all that follows, a page would take hours.
fn near(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

fn link_mark(text: &str, address: &str, links: &mut Links) -> Option<String> {
    let shown: String = text.chars().filter_map(shown_in_link).collect();
    if shown.trim().is_empty() {
        return None;
    }
    let url = links.target(address)?;
    let (id, closing) = links.number(&url)?;
    Some(format!("【{id}†{}{closing}", shown.trim()))
}

#[cfg(test)]
mod tests {
    use super::super::text_page;
    use url::Url;

    fn markdown(text: &str) -> String {
        let url = Url::parse("file:///home/me/notes/a.md").expect("an address");
        text_page(text.as_bytes(), Some("text/markdown; charset=utf-8"), &url).text
    }

    /// If each part looked through all the rest, this would take minutes.
    #[test]
    fn what_never_closes_takes_no_time() {
        for part in ["[", "[](", "[x](", "`a``a", "![", "[`"] {
            let text = part.repeat((1 << 20) / part.len());
            assert_eq!(markdown(&text), text);
        }
    }

    #[test]
    fn the_links_of_markdown_get_marks() {
        for (text, expected) in [
            ("see [the log](boat/log.md \"The log\")!", "see 【0†the log】!"),
            ("[a](b.md) [c](https://d.test/) [e](b.md)", "【0†a】 【1†c†d.test】 【0†e】"),
            ("[a](<b.md>)", "【0†a】"),
            (
                "[a](#b) [c](mailto:d) [e] (f) ![g](h.png) \\[i](j)",
                "[a](#b) [c](mailto:d) [e] (f) ![g](h.png) \\[i](j)",
            ),
            ("`[a](b)` ``[c](d) ` `` [e](f)", "`[a](b)` ``[c](d) ` `` 【0†e】"),
            ("```\n[a](b)\n~~~\n```\n[c](d)", "```\n[a](b)\n~~~\n```\n【0†c】"),
            ("[a†b【](c)", "【0†a‡b〖】"),
            ("[[a](b)", "[【0†a】"),
            ("[](b) [ ](c)", "[](b) [ ](c)"),
        ] {
            assert_eq!(markdown(text), expected);
        }
    }

    #[test]
    fn a_text_stays_as_it_is() {
        let url = Url::parse("https://here.test/x.txt").expect("an address");
        let page = text_page("a  b\r\n\n\n\tc【1†d】\x0c \n".as_bytes(), Some("text/plain"), &url);
        assert_eq!(page.text, "a  b\n\n\n\tc〖1†d〗 ");
        assert_eq!((page.source_lines, page.links.len(), page.title.as_str()), (vec![1, 2, 3, 4], 0, "here.test"));
        assert_eq!(text_page(b"a\rb", None, &url).text, "a\nb");
        let source = text_page(b"<meta charset=koi8-r>\xc1", Some("text/html"), &url);
        assert_eq!(source.text, "<meta charset=koi8-r>а");
    }
}
