//! `browser.open`: follows a link, opens a URL, or scrolls a page that was opened before.
//!
//! Policy, the user and the journal see a URL in place of a link's number: [`Tool::resolve`] puts it there, and what is opened
//! is that URL and no other. Start at [`Goal`].

use super::view::{MAX_QUOTED, Opened, one_line};
use super::{Browser, BrowserError, Output, Page, Tool, ToolError, ToolSpec, arguments, check};
use crate::policy::{Effect, Grant, Targets};
use crate::tool::Progress;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task::spawn_blocking;
use url::Url;

/// Before a URL: its source is meant.
pub(super) const VIEW_SOURCE: &str = "view-source:";

/// Lines that are shown before the one that a link points to.
const LINES_BEFORE: usize = 4;

/// The argument that [`Tool::resolve`] adds: the number of the link whose URL it put in place of that number.
const LINK: &str = "link";

/// The tool.
pub(super) struct Open {
    browser: Browser,
    spec: ToolSpec,
}

/// What a call means.
enum Goal {
    /// A page that is in memory, from this line on as it is shown.
    Kept { opened: Arc<Opened>, line: usize },
    /// One to be fetched, from this unwrapped line on.
    Elsewhere { url: String, line: Option<usize> },
}

impl Open {
    pub(super) fn new(browser: Browser) -> Self {
        let number = || json!({ "type": ["number", "string", "null"] });
        let parameters = json!({
            "type": "object",
            "properties": {
                "id": number(),
                "cursor": number(),
                "loc": number(),
                "num_lines": number(),
                "view_source": { "type": ["boolean", "string", "null"] },
                "source": { "type": ["string", "null"] },
            },
        });
        let targets = Targets { urls: vec!["id".into()], ..Targets::default() };
        let spec = browser.spec("open", parameters, browser.effect(), browser.wants(), targets);
        Self { browser, spec }
    }

    /// The arguments with a URL in place of what stands for one; as they are where nothing does.
    fn resolved(&self, arguments: &Value) -> Option<Value> {
        let id = arguments.get("id").unwrap_or(&Value::Null);
        if let Some(url) = id.as_str() {
            if self.linked(arguments, url).is_some() {
                return None;
            }
            let source = url.trim().trim_start_matches(VIEW_SOURCE);
            if source.len() < url.trim().len() {
                let url = source;
                return Some(with(arguments, json!({ "id": url, "view_source": true })));
            }
        }
        let cursor = arguments::integer(arguments, "cursor", -1).ok()?;
        let (cursor, opened) = self.browser.history().at(cursor).ok()?;
        let link = match (number(id), id.as_str()) {
            (Some(number), _) => usize::try_from(number).ok(),
            // A URL is a URL, whatever a page calls its links.
            (None, Some(text)) if Url::parse(text.trim()).is_err() => labelled(&opened.page.text, text.trim()),
            (None, _) => None,
        };
        match link {
            Some(link) => {
                let url = &opened.page.links.get(link)?.url;
                Some(with(arguments, json!({ "id": url, "cursor": cursor, LINK: link })))
            }
            // The source of the page itself is fetched anew.
            None if !id.is_string() && arguments::flag(arguments, "view_source") => {
                let page = opened.found.as_ref().map_or(&opened.page.url, |found| &found.url);
                let url = page.strip_prefix(VIEW_SOURCE).unwrap_or(page);
                Some(with(arguments, json!({ "id": url, "cursor": cursor })))
            }
            None => None,
        }
    }

    /// The page on which the call's link stands, and its number, when they lead to this URL.
    fn linked(&self, arguments: &Value, url: &str) -> Option<(Arc<Opened>, usize)> {
        let link = usize::try_from(arguments.get(LINK)?.as_u64()?).ok()?;
        let (_, opened) = self.browser.history().at(arguments.get("cursor")?.as_i64()?).ok()?;
        (opened.page.links.get(link)?.url == url).then_some((opened, link))
    }

    /// What arguments mean that were resolved as far as they can be.
    fn goal(&self, arguments: &Value) -> Result<Goal, BrowserError> {
        let id = arguments.get("id").unwrap_or(&Value::Null);
        let Some(url) = id.as_str().filter(|text| number(id).is_none() && !text.trim().is_empty()) else {
            return self.unresolved(arguments, id);
        };
        let Some((from, link)) = self.linked(arguments, url) else {
            return Ok(Goal::Elsewhere { url: url.trim().to_owned(), line: None });
        };
        if arguments::flag(arguments, "view_source") {
            return Ok(Goal::Elsewhere { url: url.to_owned(), line: None });
        }
        let there = from.found.as_ref().and_then(|found| Some((found.on.upgrade()?, *found.lines.get(link)?)));
        if let Some((opened, line)) = there {
            return Ok(Goal::Kept { opened, line });
        }
        let line = from.page.links.get(link).and_then(|link| link.line);
        // A file may have changed, and to read it again costs nothing.
        let whole = url.split('#').next().unwrap_or(url);
        let kept = self.browser.history().of_url(whole).filter(|_| !url.starts_with("file:"));
        Ok(match kept {
            Some(opened) => {
                let line = line.map_or(0, |line| opened.shown_line(line));
                Goal::Kept { opened, line }
            }
            None => Goal::Elsewhere { url: url.to_owned(), line },
        })
    }

    /// A number that stands for no link, or none at all, which scrolls.
    fn unresolved(&self, arguments: &Value, id: &Value) -> Result<Goal, BrowserError> {
        let wanted = arguments::integer(arguments, "id", -1)
            .map_err(|_| BrowserError::Link(one_line(&id.to_string(), MAX_QUOTED)))?;
        let (_, opened) = self.browser.history().at(arguments::integer(arguments, "cursor", -1)?)?;
        match wanted {
            ..0 => Ok(Goal::Kept { opened, line: 0 }),
            wanted => Err(BrowserError::Link(wanted.to_string())),
        }
    }

    async fn open(&self, arguments: &Value, grant: &Grant) -> Result<Output, BrowserError> {
        let loc = arguments::integer(arguments, "loc", -1)?;
        let n_lines = arguments::integer(arguments, "num_lines", -1)?;
        let n_lines = usize::try_from(n_lines).ok().filter(|n_lines| *n_lines > 0);
        self.browser.backend(arguments)?;
        let (opened, line) = match self.goal(arguments)? {
            Goal::Kept { opened, line } => (opened, line),
            Goal::Elsewhere { url, line } => {
                let page = self.fetch(&url, arguments, grant).await?;
                let opened = Arc::new(wrapped(page, &url).await?);
                let line = line.map_or(0, |line| opened.shown_line(line));
                (opened, line)
            }
        };
        let line = line.min(opened.lines.len().saturating_sub(1));
        let line = line.saturating_sub(LINES_BEFORE);
        self.browser.show(opened, usize::try_from(loc).unwrap_or(line), n_lines)
    }

    /// The page from the first backend whose it is; the one that the call names is asked first.
    async fn fetch(&self, url: &str, arguments: &Value, grant: &Grant) -> Result<Page, BrowserError> {
        let failed =
            |cause: String| BrowserError::Fetch { url: one_line(url, MAX_QUOTED), cause: one_line(&cause, MAX_QUOTED) };
        let is_source = arguments::flag(arguments, "view_source");
        let parsed = Url::parse(url)
            .map_err(|error| failed(format!("it is no URL ({error}); a URL begins with https:// or file://")))?;
        let first = self.browser.backend(arguments)?;
        let others = self.browser.0.backends.iter().filter(|other| !Arc::ptr_eq(other, first));
        for backend in std::iter::once(first).chain(others) {
            let opened = backend.open(&parsed, grant, is_source).await;
            if let Some(page) = opened.map_err(|error| failed(error.to_string()))? {
                let url = if is_source { format!("{VIEW_SOURCE}{}", page.url) } else { page.url };
                return Ok(Page { url, ..page });
            }
        }
        Err(failed(match parsed.scheme() {
            "file" => "it lies in no folder that was indexed".into(),
            "http" | "https" => "there is no way to the web".into(),
            scheme => format!("{scheme}: only http, https and file URLs can be opened"),
        }))
    }
}

#[async_trait]
impl Tool for Open {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn resolve(&self, mut arguments: Value) -> Value {
        let is_its_own = arguments["id"].as_str().is_some_and(|url| self.linked(&arguments, url).is_some());
        if !is_its_own && let Some(arguments) = arguments.as_object_mut() {
            arguments.shift_remove(LINK);
        }
        self.resolved(&arguments).unwrap_or(arguments)
    }

    fn effect(&self, arguments: &Value) -> Effect {
        let url = match self.goal(arguments) {
            Ok(Goal::Elsewhere { url, .. }) => Url::parse(&url).ok(),
            Ok(Goal::Kept { .. }) | Err(_) => None,
        };
        let is_away = url.is_some_and(|url| matches!(url.scheme(), "http" | "https"));
        if is_away { self.spec.effect } else { Effect::Read }
    }

    async fn call(&self, arguments: Value, grant: Grant, _: &Progress) -> Result<Output, ToolError> {
        check(&grant, &self.spec)?;
        Ok(self.open(&arguments, &grant).await?)
    }
}

/// Made ready on another thread: a long page takes its time.
async fn wrapped(page: Page, url: &str) -> Result<Opened, BrowserError> {
    let crashed = |error: tokio::task::JoinError| BrowserError::Fetch {
        url: one_line(url, MAX_QUOTED),
        cause: format!("it cannot be shown ({error})"),
    };
    spawn_blocking(|| Opened::new(page)).await.map_err(crashed)
}

/// The arguments with these in place of theirs.
fn with(arguments: &Value, changed: Value) -> Value {
    let mut arguments = arguments.clone();
    if let (Some(arguments), Value::Object(changed)) = (arguments.as_object_mut(), changed) {
        arguments.extend(changed);
    }
    arguments
}

/// The number that an id is, also one that is written as `"3"`, `"3†words"` or `"【3†words】"`.
fn number(id: &Value) -> Option<i64> {
    let mark = id.as_str().and_then(|text| text.trim().trim_start_matches('【').split_once('†'));
    arguments::as_integer(&mark.map_or_else(|| id.clone(), |(number, _)| number.into()))
}

/// The number of the first link with these words, as in `【3†words】`.
fn labelled(text: &str, words: &str) -> Option<usize> {
    if words.is_empty() || words.contains(['†', '\n']) {
        return None;
    }
    text.match_indices(&format!("†{words}")).find_map(|(at, mark)| {
        let is_whole = text[at + mark.len()..].starts_with(['†', '】']);
        let before = text[..at].trim_end_matches(|c: char| c.is_ascii_digit());
        let number = &text[before.len()..at];
        if !is_whole || !before.ends_with('【') {
            return None;
        }
        number.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_number_however_it_is_written() {
        for (id, expect) in [
            (json!(3), Some(3)),
            (json!(3.0), Some(3)),
            (json!("3"), Some(3)),
            (json!("3†notes.md"), Some(3)),
            (json!("【3†notes.md】"), Some(3)),
            (json!(-1), Some(-1)),
            (json!("https://example.org/†"), None),
            (json!("notes.md"), None),
            (json!(null), None),
            (json!(3.5), None),
        ] {
            assert_eq!(number(&id), expect, "{id}");
        }
    }

    #[test]
    fn a_link_is_known_by_its_words() {
        let text = "# x\n  * 【0†notes.md.txt】 a\n  * 【1†notes.md】 b 【2†Title†example.org】 †bad】";
        for (words, expect) in [
            ("notes.md", Some(1)),
            ("Title", Some(2)),
            ("notes", None),
            ("bad", None),
            ("", None),
            ("example.org", None),
        ] {
            assert_eq!(labelled(text, words), expect, "{words}");
        }
    }
}
