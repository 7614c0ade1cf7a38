//! `browser.find`: the lines of a page that hold some words, as a page of links to them.
//!
//! Matching is by line as it is shown, whatever the case of the letters, and does not see the marks of links: only their text.

use super::view::{Found, MAX_QUOTED, Opened, one_line};
use super::{Browser, BrowserError, Link, Output, Page, Tool, ToolError, ToolSpec, arguments, check};
use crate::policy::{Capabilities, Effect, Grant, Targets};
use crate::tool::Progress;
use async_trait::async_trait;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::ops::Range;
use std::sync::Arc;

/// Results, and lines of each.
const MAX_RESULTS: usize = 50;
const N_LINES: usize = 4;

/// The tool.
pub(super) struct Find {
    browser: Browser,
    spec: ToolSpec,
}

impl Find {
    pub(super) fn new(browser: Browser) -> Self {
        let parameters = json!({
            "type": "object",
            "properties": {
                "pattern": { "type": ["string", "number"] },
                "cursor": { "type": ["number", "string", "null"] },
            },
            "required": ["pattern"],
        });
        let spec = browser.spec("find", parameters, Effect::Read, Capabilities::default(), Targets::default());
        Self { browser, spec }
    }

    fn find(&self, arguments: &Value) -> Result<Output, BrowserError> {
        let cursor = arguments::integer(arguments, "cursor", -1)?;
        let (_, opened) = self.browser.history().at(cursor)?;
        if opened.page.is_listing {
            return Err(BrowserError::NotSearchable);
        }
        let found = found(&opened, &arguments::text(arguments, "pattern"));
        self.browser.show(Arc::new(found), 0, None)
    }
}

#[async_trait]
impl Tool for Find {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, arguments: Value, grant: Grant, _: &Progress) -> Result<Output, ToolError> {
        check(&grant, &self.spec)?;
        Ok(self.find(&arguments)?)
    }
}

/// The page of what was found.
fn found(on: &Arc<Opened>, pattern: &str) -> Opened {
    let lowercase = pattern.to_lowercase();
    let lines = without_links(on);
    let (mut text, mut source_lines, mut at, mut links) = (String::new(), Vec::new(), Vec::new(), Vec::new());
    let mut line_idx = 0;
    while line_idx < lines.len() && at.len() < MAX_RESULTS {
        if !lines[line_idx].to_lowercase().contains(&lowercase) {
            line_idx += 1;
            continue;
        }
        let end = (line_idx + N_LINES).min(lines.len());
        let gap = if at.is_empty() { "" } else { "\n\n" };
        text += &format!("{gap}# 【{}†match at L{line_idx}】\n{}", at.len(), lines[line_idx..end].join("\n"));
        // The line of the file for each: the empty one between two results and the one with the link count as the first.
        let header = if at.is_empty() { 1 } else { 2 };
        let shown = std::iter::repeat_n(line_idx, header).chain(line_idx..end);
        source_lines.extend(shown.filter_map(|line| on.page.source_lines.get(on.lines[line].origin as usize)));
        links.push(Link { url: on.page.url.clone(), line: Some(on.lines[line_idx].origin as usize) });
        at.push(line_idx);
        line_idx = end;
    }
    let shown = one_line(&lowercase, MAX_QUOTED);
    if at.is_empty() {
        text = format!("No `find` results for pattern: `{shown}`");
    }
    let quoted: String = utf8_percent_encode(&shown, NON_ALPHANUMERIC).collect();
    let mut opened = Opened::new(Page {
        url: format!("{}/find?pattern={quoted}", on.page.url),
        title: format!("Find results for text: `{shown}` in `{}`", on.page.title),
        text,
        links,
        is_listing: true,
        source_lines,
    });
    let (url, title) = (on.page.url.clone(), on.page.title.clone());
    opened.found = Some(Found { on: Arc::downgrade(on), url, title, lines: at });
    opened
}

/// The lines as they are shown, with the text of a link in place of its mark. A mark may begin on one line and end on another.
fn without_links(opened: &Opened) -> Vec<String> {
    let text = opened.page.text.as_str();
    let marks = marks(text);
    let mut first = 0;
    let line = |line: &super::wrap::Line| {
        let (start, end) = (line.start as usize, line.end as usize);
        while marks.get(first).is_some_and(|mark| mark.end <= start) {
            first += 1;
        }
        let (mut kept, mut from) = (String::new(), start);
        for mark in marks[first..].iter().take_while(|mark| mark.start < end) {
            kept.push_str(&text[from..mark.start.clamp(from, end)]);
            from = mark.end.clamp(from, end);
        }
        kept + &text[from..end]
    };
    opened.lines.iter().map(line).collect()
}

/// What of the links' marks is not their text, ascending: `【3†` and `】`, or `†example.org】`.
fn marks(text: &str) -> Vec<Range<usize>> {
    let mut marks = Vec::new();
    for (start, bracket) in text.match_indices('【') {
        let inside = start + bracket.len();
        let Some(n) = text[inside..].find(['【', '】', '\n']).filter(|n| text[inside + n..].starts_with('】'))
        else {
            continue;
        };
        let (end, mark) = (inside + n + '】'.len_utf8(), &text[inside..inside + n]);
        let mut parts = mark.splitn(3, '†');
        let (number, words) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) || words.is_empty() {
            continue;
        }
        let words_at = inside + number.len() + '†'.len_utf8();
        marks.extend([start..words_at, words_at + words.len()..end]);
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(text: &str) -> Arc<Opened> {
        let (url, title) = ("https://example.org/p".into(), "P".into());
        Arc::new(Opened::new(Page { url, title, text: text.into(), ..Page::default() }))
    }

    #[test]
    fn results_are_links_with_their_lines() {
        let on = page("The Keys\na\nb\nc\nd keys\nx\n【0†no†keys.org】\nlast 【1†the KEYS†example.org】 end");
        let found = found(&on, "keys");
        assert_eq!(found.page.title, "Find results for text: `keys` in `P`");
        assert_eq!(found.page.url, "https://example.org/p/find?pattern=keys");
        assert_eq!(
            found.page.text,
            "# 【0†match at L0】\nThe Keys\na\nb\nc\n\n# 【1†match at L4】\nd keys\nx\nno\nlast the KEYS end"
        );
        let links: Vec<_> = found.page.links.iter().map(|link| (link.url.as_str(), link.line)).collect();
        assert_eq!(links, [("https://example.org/p", Some(0)), ("https://example.org/p", Some(4))]);
        assert!(found.page.is_listing);
    }

    #[test]
    fn nothing_found_is_said_in_a_line() {
        assert_eq!(found(&page("a"), "B\n【c").page.text, "No `find` results for pattern: `b 〖c`");
    }

    #[test]
    fn lines_of_the_file_are_kept() {
        let long = "word ".repeat(40);
        let on = Page { text: format!("{long}keys\n\nkeys"), source_lines: vec![7, 8, 9], ..Page::default() };
        let found = found(&Arc::new(Opened::new(on)), "keys");
        assert_eq!(found.page.text.split('\n').count(), found.page.source_lines.len());
        assert_eq!(found.page.source_lines, [7, 7, 8, 9]);
        let source_lines = (1..=6).collect();
        let on = Page { text: "keys\na\nb\nc\nd\nkeys".into(), source_lines, ..Page::default() };
        let found = super::found(&Arc::new(Opened::new(on)), "keys");
        assert_eq!(found.page.source_lines, [1, 1, 2, 3, 4, 6, 6, 6]);
    }

    #[test]
    fn there_are_at_most_fifty() {
        let found = found(&page(&"x\n".repeat(1000)), "x");
        assert_eq!((found.page.links.len(), found.lines.len()), (50, 50 * 6 - 1));
    }

    #[test]
    fn a_mark_that_is_wrapped_keeps_the_lines_numbers() {
        let words = "some words ".repeat(12);
        let on = page(&format!("{words}【3†{words}†example.org】 after\nnext"));
        let lines = without_links(&on);
        assert_eq!(lines.len(), on.lines.len());
        assert_eq!(lines.concat(), format!("{words}{words} afternext"));
    }

    proptest! {
        #[test]
        fn any_page_can_be_searched(text in "[a-c0-9【】†\n ]{0,300}", pattern in "[a-c【†\n]{0,3}") {
            let on = page(&text);
            prop_assert_eq!(without_links(&on).len(), on.lines.len());
            let found = found(&on, &pattern);
            prop_assert!(found.page.links.len() <= MAX_RESULTS);
        }
    }
}
