//! The tool `fetch`: one request to the web, and its answer as text for a model.
//!
//! Decides nothing about where a request may go: the host checks every URL and redirect, and what it says of one is
//! handed on. Start at [`call`]; [`html`] is how a page becomes text, [`answer`] what kind of thing an answer is.

pub mod answer;
pub mod html;

use serde::Deserialize;
use tool_guest::{Attachment, Failure, Output};

use answer::{Answer, Content};

/// So many bytes of text are given at once.
const MAX_SHOWN: usize = 20_000;
/// So many characters of a line of the answer's head.
const MAX_HEAD: usize = 500;
const NO_TEXT: &str = "[the page has no text; it may be one that its scripts make]";
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// What is sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// In upper case.
    pub method: String,
    /// As the model wrote it.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// May be empty.
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// After redirects.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Decompressed.
    pub body: Vec<u8>,
}

/// The web, as far as the package was granted it. Errors are for the model.
pub trait Web {
    /// Sends a request; any status is an answer.
    fn send(&self, request: Request) -> Result<Response, String>;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fetch {
    url: String,
    method: Option<String>,
    headers: Option<Vec<String>>,
    body: Option<String>,
    from: Option<usize>,
}

/// Runs the tool of this name on the web.
pub fn call(web: &dyn Web, name: &str, arguments: &str) -> Result<Output, Failure> {
    match name {
        "fetch" => fetch(web, tool_guest::arguments(arguments)?),
        _ => Err(tool_guest::unknown(name)),
    }
}

fn fetch(web: &dyn Web, arguments: Fetch) -> Result<Output, Failure> {
    let from = arguments.from.unwrap_or(0);
    let request = request(arguments)?;
    let method = request.method.clone();
    let response = web.send(request).map_err(Failure::Failed)?;
    let answer = Answer(&response);
    let mut head = vec![format!("status: {}", response.status), format!("url: {}", response.url)];
    if method == "HEAD" {
        head.extend(response.headers.iter().take(100).map(|(name, value)| format!("{name}: {value}")));
        return Ok(folded(head).into());
    }
    head.extend(
        ["content-type", "location"].into_iter().filter_map(|name| Some(format!("{name}: {}", answer.header(name)?))),
    );
    if response.body.is_empty() {
        return Ok(format!("{}\n\n[the answer is empty]", folded(head)).into());
    }
    let attached = || Attachment {
        name: answer.file_name(),
        media_type: answer.media_type().unwrap_or_else(|| "application/octet-stream".into()),
        data: response.body.clone(),
    };
    let text = match answer.content() {
        Content::Text => answer.text(),
        Content::Page => {
            let html::Page { title, text } = html::read(&answer.text(), &response.url);
            head.extend((!title.is_empty()).then(|| format!("title: {title}")));
            if text.is_empty() { NO_TEXT.into() } else { text }
        }
        Content::Other => {
            let file = attached();
            let n_bytes = file.data.len();
            let text = format!("{}\n\n[not text: {n_bytes} bytes, attached as {}]", folded(head), file.name);
            return Ok(Output { text, attachments: vec![file] });
        }
    };
    let (part, end) = part(&text, from)?;
    // What is sent again to read on must be harmless; else all of it is attached.
    let (note, attachments) = match end {
        None => (String::new(), vec![]),
        Some(end) if method == "GET" => {
            (format!("\n[{end}; read on with from = {}]", from + part.chars().count()), vec![])
        }
        Some(end) => (format!("\n[{end}; the whole answer is attached]"), vec![attached()]),
    };
    Ok(Output { text: format!("{}\n\n{part}{note}", folded(head)), attachments })
}

fn request(Fetch { url, method, headers, body, .. }: Fetch) -> Result<Request, Failure> {
    let refused = |problem: String| Err(Failure::Arguments(problem));
    let method = method.unwrap_or_else(|| if body.is_some() { "POST" } else { "GET" }.into()).to_ascii_uppercase();
    if !METHODS.contains(&method.as_str()) {
        return refused(format!("there is no method {:?}; use one of {}", short(&method), METHODS.join(", ")));
    }
    let body = body.unwrap_or_default();
    if !body.is_empty() && ["GET", "HEAD"].contains(&method.as_str()) {
        return refused(format!("a {method} request has no body; use POST, or leave the body out"));
    }
    let mut pairs = Vec::new();
    for header in headers.unwrap_or_default() {
        match answer::header(&header) {
            Some(pair) => pairs.push(pair),
            None => return refused(format!("the header {:?} is not one; write it like Name: value", short(&header))),
        }
    }
    if !body.is_empty() && !pairs.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        let is_json = body.trim_start().starts_with(['{', '[']);
        let kind = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
        pairs.push(("Content-Type".into(), kind.into()));
    }
    Ok(Request { method, url, headers: pairs, body: body.into_bytes() })
}

/// The lines of the head, each on one line and not longer than a head should be.
fn folded(head: Vec<String>) -> String {
    let line = |line: String| {
        let plain = line.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        plain.collect::<Vec<_>>().join(" ").chars().take(MAX_HEAD).collect()
    };
    head.into_iter().map(line).collect::<Vec<String>>().join("\n")
}

/// What is shown of a text from a character on, and which part that is, if more follows.
fn part(text: &str, from: usize) -> Result<(&str, Option<String>), Failure> {
    let n_chars = text.chars().count();
    if from > 0 && from >= n_chars {
        return Err(Failure::Arguments(format!("the text has only {n_chars} characters; from is {from}")));
    }
    let place = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(place, _)| place);
    let rest = &text[place(from)..];
    let limit = rest.floor_char_boundary(MAX_SHOWN);
    if limit == rest.len() {
        return Ok((rest, None));
    }
    // At the end of a line, when one is near.
    let end = rest[..limit].rfind('\n').filter(|end| limit - end < MAX_SHOWN / 10).map_or(limit, |end| end + 1);
    let part = &rest[..end];
    Ok((part, Some(format!("characters {from}-{} of {n_chars}", from + part.chars().count()))))
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(target_family = "wasm")]
mod export {
    //! The component's side of `wit/tool.wit`.

    use tool_guest::host::http;
    use tool_guest::{Failure, Output};

    struct Tools;

    impl tool_guest::Package for Tools {
        const TOOLS: &'static str = include_str!("../tools.json");

        fn call(name: &str, arguments: &str) -> Result<Output, Failure> {
            crate::call(&Granted, name, arguments)
        }
    }

    struct Granted;

    impl crate::Web for Granted {
        fn send(
            &self,
            crate::Request { method, url, headers, body }: crate::Request,
        ) -> Result<crate::Response, String> {
            let http::Response { status, url, headers, body } =
                http::send(&http::Request { method, url, headers, body })?;
            Ok(crate::Response { status, url, headers, body })
        }
    }

    tool_guest::export!(Tools);
}

#[cfg(test)]
mod tests;
