//! `browser.search`: asks a backend and shows its hits as a page of links.

use super::view::{MAX_QUOTED, Opened, one_line};
use super::{Browser, BrowserError, Hit, Link, Output, Page, Tool, ToolError, ToolSpec, arguments, check};
use crate::policy::{Capabilities, Effect, Grant, Targets};
use crate::tool::Progress;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Arc;
use url::Url;

/// Hits where a call does not say how many, and at most.
const N_HITS: i64 = 10;
const MAX_HITS: usize = 20;
/// In characters, of a hit.
const MAX_HIT_TITLE: usize = 200;
const MAX_SNIPPET: usize = 500;

/// How the line of a hit begins.
pub(super) const MARK: &str = "  * 【";

/// The tool.
pub(super) struct Search {
    browser: Browser,
    spec: ToolSpec,
}

impl Search {
    pub(super) fn new(browser: Browser) -> Self {
        let parameters = json!({
            "type": "object",
            "properties": {
                "query": { "type": ["string", "number"] },
                "topn": { "type": ["number", "string", "null"] },
                "source": { "type": ["string", "null"] },
            },
            "required": ["query"],
        });
        // What is asked is sent to the backend's own server, if it has one; no page is opened.
        let wants = Capabilities { hosts: Vec::new(), ..browser.wants() };
        let spec = browser.spec("search", parameters, browser.effect(), wants, Targets::default());
        Self { browser, spec }
    }

    async fn search(&self, arguments: &Value, grant: &Grant) -> Result<Output, BrowserError> {
        let backend = self.browser.backend(arguments)?;
        let query = arguments::text(arguments, "query");
        let topn = arguments::integer(arguments, "topn", arguments::integer(arguments, "top_n", N_HITS)?)?;
        let topn = if topn > 0 { topn } else { N_HITS };
        let topn = usize::try_from(topn).unwrap_or(MAX_HITS).min(MAX_HITS);
        let found = match query.trim() {
            "" => Err("the query is empty".into()),
            query if query.chars().count() > MAX_QUOTED => {
                Err(format!("the query has more than {MAX_QUOTED} characters"))
            }
            query => backend.search(query, topn, grant).await.map_err(|error| error.to_string()),
        };
        let query = one_line(&query, MAX_QUOTED);
        let mut hits = found
            .map_err(|cause| BrowserError::Search { query: query.clone(), cause: one_line(&cause, MAX_QUOTED) })?;
        hits.truncate(topn);
        self.browser.show(Arc::new(Opened::new(listing(&query, hits))), 0, None)
    }
}

#[async_trait]
impl Tool for Search {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn effect(&self, arguments: &Value) -> Effect {
        // A source that there is not gets an answer and nothing else.
        self.browser.backend(arguments).map_or(Effect::Read, |backend| backend.effect())
    }

    async fn call(&self, arguments: Value, grant: Grant, _: &Progress) -> Result<Output, ToolError> {
        check(&grant, &self.spec)?;
        Ok(self.search(&arguments, &grant).await?)
    }
}

/// The page of what was found.
fn listing(query: &str, hits: Vec<Hit>) -> Page {
    let known = hits.into_iter().filter_map(|hit| Some((Url::parse(&hit.url).ok()?, hit)));
    let hits: Vec<_> = known.filter(|(url, _)| matches!(url.scheme(), "http" | "https" | "file")).collect();
    let mut text = match hits.is_empty() {
        true => format!("No results for `{query}`"),
        false => format!("# Search results for `{query}`\n"),
    };
    for (n, (url, hit)) in hits.iter().enumerate() {
        let domain = domain(url);
        let title = match one_line(&hit.title, MAX_HIT_TITLE).replace('†', "‡") {
            title if title.is_empty() => one_line(if domain.is_empty() { &hit.url } else { &domain }, MAX_HIT_TITLE),
            title => title,
        };
        let domain = if domain.is_empty() { domain } else { format!("†{domain}") };
        let line = format!("{MARK}{n}†{title}{domain}】 {}", one_line(&hit.snippet, MAX_SNIPPET));
        text.push('\n');
        text.push_str(line.trim_end());
    }
    let links = hits.into_iter().map(|(url, hit)| Link { url: url.into(), line: hit.line }).collect();
    Page { url: String::new(), title: query.to_owned(), text, links, is_listing: true, source_lines: Vec::new() }
}

/// The host with its port, where it is not the usual one; empty for a file.
fn domain(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(url: &str, title: &str, snippet: &str) -> Hit {
        Hit { url: url.into(), title: title.into(), snippet: snippet.into(), line: None }
    }

    #[test]
    fn hits_become_a_list_of_links() {
        let page = listing(
            "harbour keys",
            vec![
                hit("file:///n/notes.md", "notes.md", "The harbour keys hang behind the kitchen door."),
                hit("https://example.org/a", "A \n title†of", "  of   two\nlines 【0†x】 "),
                hit("http://example.org:8080/", "", ""),
            ],
        );
        assert_eq!(
            page.text,
            "# Search results for `harbour keys`\n\n  \
             * 【0†notes.md】 The harbour keys hang behind the kitchen door.\n  \
             * 【1†A title‡of†example.org】 of two lines 〖0†x〗\n  \
             * 【2†example.org:8080†example.org:8080】"
        );
        assert_eq!((page.links.len(), page.is_listing, page.url.as_str()), (3, true, ""));
    }

    #[test]
    fn nothing_found_is_said_in_a_line() {
        assert_eq!(listing("x", Vec::new()).text, "No results for `x`");
    }

    #[test]
    fn what_cannot_be_opened_is_no_hit() {
        let hits = ["javascript:alert(1)", "7", "", "view-source:https://x.org/", "data:,x", "ftp://x.org/"];
        let page = listing("x", hits.iter().map(|url| hit(url, "t", "s")).collect());
        assert!(page.links.is_empty() && page.text.starts_with("No results"), "{page:?}");
    }
}
