//! A page of HTML as text: headings, lists, tables and links in Markdown's way, and nothing that is not read.
//!
//! Builds no tree and keeps no stack, so nothing in a page can be nested too deeply; what it does not know it passes
//! over. Start at [`read`].

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{StartTag, Token, Tokenizer};
use iri_string::types::{IriAbsoluteString, IriReferenceStr};

/// The longest text that is made, in bytes.
const MAX_TEXT: usize = 4 << 20;
/// A longer target of a link is left out, in bytes: nobody types it, and a model would get it wrong.
const MAX_TARGET: usize = 500;
/// Lists further in are not indented more.
pub(crate) const MAX_INDENT: usize = 8;

/// What is read of a page.
#[derive(Debug, Default, PartialEq)]
pub struct Page {
    /// May be empty.
    pub title: String,
    /// All of it, without an end of line at its end.
    pub text: String,
}

/// Reads a page that came from a URL.
pub fn read(html: &str, url: &str) -> Page {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut reader = Reader { base: base(url), ..Reader::default() };
    for token in Tokenizer::new_with_emitter(html, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => reader.start(&tag),
            Token::EndTag(tag) => reader.end(&tag.name),
            Token::String(text) => reader.text(&String::from_utf8_lossy(&text)),
            _ => {}
        }
        if reader.text.len() > MAX_TEXT {
            break;
        }
    }
    reader.close_link();
    let text = reader.text.trim_end().to_owned();
    Page { title: reader.title.split_whitespace().collect::<Vec<_>>().join(" "), text }
}

fn base(url: &str) -> Option<IriAbsoluteString> {
    url.split('#').next()?.to_owned().try_into().ok()
}

/// What is written so far, and where in the page that is.
#[derive(Default)]
struct Reader {
    base: Option<IriAbsoluteString>,
    title: String,
    text: String,
    /// Ends of lines, and a blank, that come before the next word.
    n_breaks: usize,
    is_blank: bool,
    /// What the next line begins with: a bullet, the signs of a heading.
    mark: String,
    /// An element whose content is not read, and how many of its name are open.
    hidden: Option<(Vec<u8>, usize)>,
    in_title: bool,
    n_pre: usize,
    /// Of each list that is open, the number of its next item; 0 is a bullet. Only as many as are indented.
    lists: Vec<usize>,
    n_cells: usize,
    link: Option<Link>,
}

struct Link {
    target: String,
    /// Whether a word of it has been written.
    is_open: bool,
}

impl Reader {
    fn start(&mut self, tag: &StartTag<()>) {
        let name = tag.name.as_slice();
        if let Some((hidden, n_open)) = &mut self.hidden {
            *n_open += usize::from(hidden == name);
            return;
        }
        match name {
            b"script" | b"style" | b"noscript" | b"template" | b"svg" | b"iframe" | b"object" | b"canvas" => {
                self.hidden = (!tag.self_closing || name == b"script").then(|| (name.to_vec(), 1));
            }
            b"title" => self.in_title = self.title.is_empty(),
            b"base" => {
                let target = attribute(tag, b"href").and_then(|href| self.target(&href));
                self.base = target.and_then(|url| base(&url)).or(self.base.take());
            }
            b"br" => self.n_breaks = (self.n_breaks + 1).min(2),
            b"hr" => self.ruled(),
            b"a" => self.open_link(attribute(tag, b"href")),
            b"img" => self.image(attribute(tag, b"alt").unwrap_or_default()),
            b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => {
                self.ends_line(2);
                self.mark = format!("{} ", "#".repeat(usize::from(name[1] - b'0')));
            }
            b"ul" | b"ol" => {
                self.ends_line(if self.lists.is_empty() { 2 } else { 1 });
                if self.lists.len() < MAX_INDENT {
                    self.lists.push(usize::from(name == b"ol"));
                }
            }
            b"li" => self.item(),
            b"tr" => {
                self.ends_line(1);
                self.n_cells = 0;
            }
            b"td" | b"th" => {
                if self.n_cells > 0 {
                    self.word(" | ");
                }
                self.n_cells += 1;
            }
            b"pre" => {
                self.ends_line(2);
                self.n_pre += 1;
            }
            _ => self.ends_line(n_breaks(name)),
        }
    }

    fn end(&mut self, name: &[u8]) {
        if let Some((hidden, n_open)) = &mut self.hidden {
            *n_open -= usize::from(hidden == name);
            if *n_open == 0 {
                self.hidden = None;
            }
            return;
        }
        match name {
            b"title" => self.in_title = false,
            b"a" => self.close_link(),
            b"ul" | b"ol" => {
                self.lists.pop();
                self.ends_line(if self.lists.is_empty() { 2 } else { 1 });
            }
            b"pre" => {
                self.n_pre = self.n_pre.saturating_sub(1);
                self.ends_line(2);
            }
            b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => {
                self.mark.clear();
                self.ends_line(2);
            }
            _ => self.ends_line(n_breaks(name)),
        }
    }

    fn text(&mut self, text: &str) {
        if self.hidden.is_some() {
            return;
        }
        if self.in_title {
            return self.title.push_str(text);
        }
        if self.n_pre > 0 {
            for (n, line) in text.split('\n').enumerate() {
                if n > 0 {
                    // No limit here: a listing has the empty lines that it has.
                    self.n_breaks += 1;
                }
                self.word(line);
            }
            return;
        }
        for (n, word) in text.split(char::is_whitespace).enumerate() {
            self.is_blank |= n > 0;
            self.word(word);
        }
    }

    /// Writes what is due before a word, and the word.
    fn word(&mut self, word: &str) {
        if word.is_empty() {
            return;
        }
        let is_first = self.text.is_empty();
        if !is_first && self.n_breaks > 0 {
            self.text.truncate(self.text.trim_end_matches(' ').len());
            self.text.extend(std::iter::repeat_n('\n', self.n_breaks.min(MAX_TEXT)));
        } else if !is_first && self.is_blank && !self.text.ends_with([' ', '\n']) {
            self.text.push(' ');
        }
        (self.n_breaks, self.is_blank) = (0, false);
        self.text.push_str(&std::mem::take(&mut self.mark));
        if let Some(link) = self.link.as_mut().filter(|link| !link.is_open) {
            link.is_open = true;
            self.text.push('[');
        }
        self.text.push_str(word);
    }

    fn ends_line(&mut self, n_breaks: usize) {
        self.n_breaks = self.n_breaks.max(n_breaks);
    }

    fn ruled(&mut self) {
        self.ends_line(2);
        self.word("---");
        self.ends_line(2);
    }

    fn image(&mut self, alt: String) {
        let alt = alt.split_whitespace().collect::<Vec<_>>().join(" ");
        if !alt.is_empty() {
            self.word(&format!("[image: {alt}]"));
        }
    }

    fn item(&mut self) {
        self.ends_line(1);
        let indent = "  ".repeat(self.lists.len().saturating_sub(1));
        self.mark = match self.lists.last_mut() {
            Some(number @ 1..) => {
                *number += 1;
                format!("{indent}{}. ", *number - 1)
            }
            _ => format!("{indent}- "),
        };
    }

    fn open_link(&mut self, href: Option<String>) {
        self.close_link();
        let target = href.and_then(|href| self.target(&href));
        self.link = target.map(|target| Link { target, is_open: false });
    }

    fn close_link(&mut self) {
        if let Some(Link { target, is_open: true }) = self.link.take() {
            self.text.push_str(&format!("]({target})"));
        }
    }

    /// Where a link leads, if that is another page.
    fn target(&self, href: &str) -> Option<String> {
        let href = href.trim().replace(' ', "%20");
        if href.starts_with('#') || href.len() > MAX_TARGET {
            return None;
        }
        let target = IriReferenceStr::new(&href).ok()?.resolve_against(self.base.as_ref()?).to_string();
        let is_web = ["http://", "https://"].iter().any(|scheme| target.starts_with(scheme));
        (is_web && target.len() <= MAX_TARGET).then_some(target)
    }
}

/// How many ends of lines an element has before and after it.
fn n_breaks(name: &[u8]) -> usize {
    match name {
        b"p" | b"blockquote" | b"table" | b"dl" | b"figure" | b"section" | b"article" | b"details" | b"form" => 2,
        b"main" | b"nav" | b"header" | b"footer" | b"aside" | b"fieldset" => 2,
        b"div" | b"address" | b"dt" | b"dd" | b"li" | b"tr" | b"caption" | b"figcaption" | b"summary" => 1,
        b"option" | b"legend" | b"label" | b"body" | b"center" => 1,
        _ => 0,
    }
}

fn attribute(tag: &StartTag<()>, name: &[u8]) -> Option<String> {
    tag.attributes.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
}
