//! What the model sees of a page: a header, and as many numbered lines as a budget of tokens allows.
//!
//! It is all text: which page is shown, and from which line, is decided elsewhere. The form is the one that the models were
//! trained with. Start at [`Opened`], a page made ready to be shown, and its [`Opened::view`].

use super::BrowserError;
use super::page::Page;
use super::wrap::{Line, expand_tabs, wrap};
use crate::harmony::tokenizer::encode_ordinary;
use percent_encoding::percent_decode_str;
use std::fmt::Write;
use std::sync::{Arc, Weak};

/// Of a view that does not ask for a number of lines, rounded up to a line.
const VIEW_TOKENS: usize = 1024;
/// Of a view that does: one page must not fill a model's context.
const MAX_VIEW_TOKENS: usize = 4096;
/// In characters, of a page's title.
const MAX_TITLE: usize = 300;
/// In characters, of what stands in a sentence: a URL, a query, an error's cause.
pub(super) const MAX_QUOTED: usize = 1024;

/// A page made ready: wrapped once, shown often.
#[derive(Debug)]
pub(super) struct Opened {
    /// Its text without tabs.
    pub(super) page: Page,
    pub(super) lines: Vec<Line>,
    /// For each of these the line of the file that it is from, where that is one.
    pub(super) file_lines: Arc<[u32]>,
    /// Where the results stand that it lists, when it is what was found on a page.
    pub(super) found: Option<Found>,
}

/// What was found on a page.
#[derive(Debug)]
pub(super) struct Found {
    /// The page. It may be forgotten meanwhile.
    pub(super) on: Weak<Opened>,
    /// Its URL and its title.
    pub(super) url: String,
    pub(super) title: String,
    /// The line of each result as it is shown there, by the number of its link.
    pub(super) lines: Vec<usize>,
}

impl Opened {
    pub(super) fn new(mut page: Page) -> Self {
        if page.text.contains('\t') {
            page.text = expand_tabs(&page.text);
        }
        let lines = wrap(&page.text);
        let of_file = |line: &Line| page.source_lines.get(line.origin as usize).copied().unwrap_or(0);
        let is_file = page.url.starts_with("file:") && !page.source_lines.is_empty();
        let file_lines = if is_file { lines.iter().map(of_file).collect() } else { Arc::default() };
        Self { page, lines, file_lines, found: None }
    }

    /// The memory that it holds, about.
    pub(super) fn n_bytes(&self) -> usize {
        let links: usize = self.page.links.iter().map(|link| link.url.len() + size_of_val(link)).sum();
        let lines = size_of_val(&*self.file_lines)
            + size_of_val(self.lines.as_slice())
            + size_of_val(self.page.source_lines.as_slice());
        size_of::<Self>() + self.page.text.len() + self.page.url.len() + self.page.title.len() + links + lines
    }

    /// The first line, as it is shown, of an unwrapped one.
    pub(super) fn shown_line(&self, unwrapped: usize) -> usize {
        self.lines.partition_point(|line| (line.origin as usize) < unwrapped)
    }

    /// The view from line `loc`, as the page number `cursor`; of so many lines where that is asked for.
    pub(super) fn view(&self, cursor: usize, loc: usize, n_lines: Option<usize>) -> Result<String, BrowserError> {
        let last = self.lines.len().saturating_sub(1);
        if loc > last {
            return Err(BrowserError::Location { loc, last });
        }
        let (wanted, n_tokens) = match n_lines {
            Some(n_lines) => (n_lines.max(1), MAX_VIEW_TOKENS),
            None => (usize::MAX, VIEW_TOKENS),
        };
        let (body, n_shown) = self.body(loc, wanted, n_tokens);
        let title = one_line(&self.page.title, MAX_TITLE);
        let url = one_line(&percent_decode_str(&self.page.url).decode_utf8_lossy(), MAX_QUOTED);
        let url = if url.is_empty() { url } else { format!(" ({url})") };
        Ok(format!("[{cursor}] {title}{url}\n**viewing lines [{loc} - {}] of {last}**\n\n{body}", loc + n_shown - 1))
    }

    /// Numbered lines, and how many they are: at most `wanted`, and no more after the one in which the tokens run out.
    fn body(&self, loc: usize, wanted: usize, n_tokens: usize) -> (String, usize) {
        let (mut body, mut n_used, mut n_shown) = (String::new(), 0, 0);
        for (idx, line) in self.lines.iter().enumerate().skip(loc).take(wanted) {
            let start = body.len();
            let _ = writeln!(body, "L{idx}: {}", line.of(&self.page.text));
            n_shown += 1;
            // No token reaches over the end of a line, so lines can be counted one by one.
            n_used += encode_ordinary(&body[start..]).len();
            if n_used > n_tokens {
                break;
            }
        }
        body.pop();
        (body, n_shown)
    }
}

/// A text of somebody else's in one line of at most so many characters, without what could pass for a mark of ours.
pub(super) fn one_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    let mut n = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        let gap = (n > 0).then_some(' ');
        for c in gap.into_iter().chain(word.chars()) {
            if n == max {
                let kept: String = line.chars().take(max.saturating_sub(3)).collect();
                return format!("{kept}...");
            }
            match c {
                '【' => line.push('〖'),
                '】' => line.push('〗'),
                '\u{200b}' => continue,
                c => line.push(c),
            }
            n += 1;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn opened(text: &str) -> Opened {
        Opened::new(Page {
            title: "T".into(),
            url: "https://example.org/a%20b".into(),
            text: text.into(),
            ..Page::default()
        })
    }

    #[test]
    fn a_view_is_a_header_and_numbered_lines() {
        let opened = opened("# House\n\nThe keys hang behind the door.");
        assert_eq!(
            opened.view(1, 0, None).unwrap(),
            "[1] T (https://example.org/a b)\n**viewing lines [0 - 2] of 2**\n\nL0: # House\nL1: \nL2: The keys hang behind the door."
        );
        assert!(opened.view(7, 1, Some(1)).unwrap().ends_with("**viewing lines [1 - 1] of 2**\n\nL1: "));
        assert!(opened.view(7, 1, Some(usize::MAX)).unwrap().contains("[1 - 2] of 2"));
        let error = opened.view(1, 3, None).unwrap_err();
        assert_eq!(error.to_string(), "Invalid location parameter: `3`. Cannot exceed page maximum of 2.");
        assert!(Opened::new(Page::default()).view(0, 0, None).unwrap().ends_with("[0 - 0] of 0**\n\nL0: "));
    }

    #[test]
    fn a_header_stays_one_line_whatever_a_title_holds() {
        let page =
            Page { title: "a\n\nL0: 【1†b】\u{1b}[2J".into(), url: "x:%0Ay%E3%80%90".into(), ..Page::default() };
        let view = Opened::new(page).view(0, 0, None).unwrap();
        assert!(view.starts_with("[0] a L0: 〖1†b〗 [2J (x: y〖)\n**viewing"), "{view}");
        let page = Page { title: "x".repeat(10_000), ..Page::default() };
        assert!(Opened::new(page).view(0, 0, None).unwrap().len() < 500);
    }

    #[test]
    fn a_budget_is_rounded_up_to_a_line() {
        let text = vec!["one two three four five"; 1000].join("\n");
        let opened = opened(&text);
        for (n_lines, budget) in [(None, VIEW_TOKENS), (Some(1000), MAX_VIEW_TOKENS)] {
            let view = opened.view(0, 5, n_lines).unwrap();
            let body = view.split_once("**\n\n").unwrap().1;
            let but_last = body.rsplit_once('\n').unwrap().0;
            assert!(encode_ordinary(body).len() >= budget, "{n_lines:?}");
            assert!(encode_ordinary(&format!("{but_last}\n")).len() <= budget, "{n_lines:?}");
        }
    }

    #[test]
    fn a_budget_that_ends_with_a_line_lets_one_more_in() {
        let tokens = |lines: &[String]| {
            let numbered: String = lines.iter().enumerate().map(|(idx, line)| format!("L{idx}: {line}\n")).collect();
            encode_ordinary(&numbered).len()
        };
        let exact = (0..40).find_map(|n_words| {
            let mut lines = vec!["word ".repeat(n_words)];
            lines.extend(vec!["one two three four five".to_owned(); 300]);
            let n_lines = (1..300).find(|n_lines| tokens(&lines[..*n_lines]) == VIEW_TOKENS)?;
            Some((lines, n_lines))
        });
        let (lines, n_lines) = exact.unwrap();
        let view = opened(&lines.join("\n")).view(0, 0, None).unwrap();
        assert!(view.contains(&format!("lines [0 - {n_lines}] of")), "{n_lines}: {view}");
    }

    #[test]
    fn a_text_of_others_becomes_one_harmless_line() {
        for (text, expect) in [
            (" a \n\tb\u{0}c ", "a b c"),
            ("【1†x】\u{200b}", "〖1†x〗"),
            ("", ""),
            ("0123456789", "0123456789"),
            ("0123456789x", "0123456..."),
            ("ééééééééééé", "ééééééé..."),
        ] {
            assert_eq!(one_line(text, 10), expect);
        }
    }

    proptest! {
        /// What [`Opened::body`] relies on.
        #[test]
        fn the_tokens_of_lines_add_up(lines in prop::collection::vec("[ -~é日\u{a0}\u{2028}]{0,80}", 1..20)) {
            let numbered: Vec<_> = lines.iter().enumerate().map(|(idx, line)| format!("L{idx}: {line}\n")).collect();
            let one_by_one: usize = numbered.iter().map(|line| encode_ordinary(line).len()).sum();
            prop_assert_eq!(encode_ordinary(&numbered.concat()).len(), one_by_one);
        }

        #[test]
        fn any_page_can_be_shown_from_anywhere(text in ".{0,500}", title in ".{0,50}", loc in 0..20usize, n in 0..20usize) {
            let opened = Opened::new(Page { text, title, ..Page::default() });
            if let Ok(view) = opened.view(3, loc, Some(n).filter(|n| *n > 0)) {
                prop_assert!(view.starts_with("[3] "));
            }
        }
    }
}
