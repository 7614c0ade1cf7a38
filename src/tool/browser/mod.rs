//! The browser that gpt-oss models were trained with: `browser.search`, `browser.open` and `browser.find` over one stack of
//! pages, each shown in numbered lines under a cursor, with numbered links.
//!
//! It does not know where pages come from (the [`backend`]s do, under the call's grant), nor how an answer cites them. What it
//! says when something is wrong are the sentences of the training. Start at [`Browser`] and [`tools`].

mod arguments;
pub mod backend;
mod cache;
mod error;
mod find;
mod history;
pub mod html;
pub mod index;
mod open;
pub mod page;
mod search;
mod view;
mod wrap;

pub use backend::{Backend, BackendError, Hit};
pub use cache::Cache;
pub use error::BrowserError;
pub use page::{Link, Page};

use super::{Citable, Listed, Output, Recovery, Tool, ToolError, ToolSpec};
use crate::harmony::Builtin;
use crate::policy::{Capabilities, Effect, Grant, Integrity, Targets, ToolId};
use history::History;
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use view::{Opened, one_line};

/// In characters, of a title in a citation.
const MAX_CITED_TITLE: usize = 120;

/// What the three tools of a session share: where pages come from, and those that were shown.
#[derive(Clone)]
pub struct Browser(Arc<Shared>);

struct Shared {
    backends: Vec<Arc<dyn Backend>>,
    history: Mutex<History>,
}

impl Browser {
    /// A browser without pages yet. The first backend is the default one.
    pub fn new(backends: Vec<Arc<dyn Backend>>) -> Self {
        Self(Arc::new(Shared { backends, history: Mutex::default() }))
    }

    /// The names of the backends, as a model may say them, the default one first.
    pub fn sources(&self) -> Vec<&'static str> {
        self.0.backends.iter().map(|backend| backend.source()).collect()
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.0.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The backend that a call names, or the default one.
    fn backend(&self, arguments: &Value) -> Result<&Arc<dyn Backend>, BrowserError> {
        let name = arguments::text(arguments, "source");
        let mut backends = self.0.backends.iter();
        let found = match name.trim() {
            "" => backends.next(),
            name => backends.find(|backend| backend.source() == name),
        };
        found.ok_or_else(|| BrowserError::Source { name: one_line(&name, 100), known: self.sources().join(", ") })
    }

    /// Puts a page on top and shows it from a line on. What cannot be shown is not put there.
    fn show(&self, opened: Arc<Opened>, loc: usize, n_lines: Option<usize>) -> Result<Output, BrowserError> {
        let mut history = self.history();
        let cursor = history.next();
        let text = opened.view(cursor, loc, n_lines)?;
        let page = citable(cursor, &opened);
        history.push(opened);
        Ok(Output { page, ..Output::from(text) })
    }

    /// What is known of one of the three tools before it is called.
    fn spec(&self, tool: &str, parameters: Value, effect: Effect, wants: Capabilities, targets: Targets) -> ToolSpec {
        let mut builtin = Builtin::browser(&self.sources());
        builtin.functions.retain(|function| function.name == tool);
        let declared = builtin.functions.first();
        ToolSpec {
            id: ToolId { package: "browser".into(), tool: tool.into() },
            description: declared.map(|function| function.description.clone()).unwrap_or_default(),
            parameters: Some(parameters),
            effect,
            recovery: Recovery::Repeat,
            wants,
            targets,
            integrity: Integrity::Untrusted,
            builtin: Some(builtin),
        }
    }

    /// What all backends together want of a grant.
    fn wants(&self) -> Capabilities {
        self.0.backends.iter().map(|backend| backend.wants()).fold(Capabilities::default(), |all, wants| Capabilities {
            folders: [all.folders, wants.folders].concat(),
            hosts: [all.hosts, wants.hosts].concat(),
            ..all
        })
    }

    /// The farthest that any of the backends reaches.
    fn effect(&self) -> Effect {
        let sends = self.0.backends.iter().any(|backend| backend.effect() == Effect::Send);
        if sends { Effect::Send } else { Effect::Read }
    }
}

/// `browser.search`, `browser.open` and `browser.find` over this browser.
pub fn tools(browser: Browser) -> Vec<Arc<dyn Tool>> {
    vec![
        Arc::new(search::Search::new(browser.clone())),
        Arc::new(open::Open::new(browser.clone())),
        Arc::new(find::Find::new(browser)),
    ]
}

/// The page as an answer can cite it; `None` for one that stands nowhere and lists nothing.
fn citable(cursor: usize, opened: &Opened) -> Option<Citable> {
    let page = &opened.page;
    let (url, title) = match &opened.found {
        Some(found) => (&found.url, &found.title),
        None => (&page.url, &page.title),
    };
    let url = url.strip_prefix(open::VIEW_SOURCE).unwrap_or(url);
    let title = one_line(title, MAX_CITED_TITLE);
    let listed = if url.is_empty() { listed(opened) } else { Vec::new() };
    let is_somewhere = !url.is_empty() || !listed.is_empty();
    is_somewhere.then(|| Citable {
        cursor,
        title,
        url: url.to_owned(),
        lines: opened.file_lines.clone(),
        listed: listed.into(),
    })
}

/// The hits of a list, by the lines that begin with the mark of their link.
fn listed(opened: &Opened) -> Vec<Listed> {
    let page = &opened.page;
    let entry = |(first_line, line): (usize, &wrap::Line)| {
        let (number, words) = page.text[line.start as usize..].strip_prefix(search::MARK)?.split_once('†')?;
        let link = page.links.get(number.parse::<usize>().ok()?)?;
        let title = words.split(['†', '】']).next()?;
        Some(Listed { first_line, title: one_line(title, MAX_CITED_TITLE), url: link.url.clone() })
    };
    opened.lines.iter().enumerate().filter_map(entry).collect()
}

/// A tool refuses a grant of another.
fn check(grant: &Grant, spec: &ToolSpec) -> Result<(), ToolError> {
    match grant.tool() == &spec.id {
        true => Ok(()),
        false => Err(ToolError::Unavailable(format!("the grant is for {}", grant.tool()))),
    }
}

#[cfg(test)]
mod tests;
