//! Text to a tree, by html5ever, kept from taking more time and memory than a page is worth.
//!
//! What it is not: a parser of its own. Pages that nest, name or repeat beyond all reason are read as if they did not; the
//! words of them still come through. Start at [`parse`].

use super::dom::{Builder, Dom, Handle};
use html5ever::interface::{Tracer, TreeSink};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, StartTag, Tag, TagToken, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use html5ever::tree_builder::{TreeBuilder, TreeBuilderOpts};
use html5ever::{LocalName, TokenizerResult, local_name};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;

/// Elements open at once. The tree builder may look through all of them at a tag; browsers stop at 512.
const MAX_OPEN: usize = 256;
/// Start tags between two counts of what is open.
const TAGS_PER_COUNT: u32 = 32;
/// Nodes of a tree. Ten megabytes of manual have some 700,000.
const MAX_NODES: usize = 1_000_000;
/// Different names of elements longer than the atoms that cost nothing.
const MAX_NAMES: usize = 1000;
/// Attributes of a tag. The tokenizer compares each with all before it.
const MAX_ATTRIBUTES: u16 = 128;

/// A parsed page, and whether it was left before its end.
pub(super) struct Parsed {
    pub(super) dom: Dom,
    pub(super) is_cut: bool,
}

/// Parses a page.
pub(super) fn parse(mut text: String) -> Parsed {
    disarm_tags(&mut text);
    let options = TreeBuilderOpts { drop_doctype: true, ..TreeBuilderOpts::default() };
    let guard = Guard {
        builder: TreeBuilder::new(Builder::new(), options),
        until_count: Cell::new(TAGS_PER_COUNT),
        is_deep: Cell::new(false),
        is_cut: Cell::new(false),
        names: RefCell::new(HashSet::new()),
    };
    let tokenizer = Tokenizer::new(guard, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(text));
    // Stops at scripts, which are not run, and at declared encodings, which are decided by now.
    while !matches!(tokenizer.feed(&input), TokenizerResult::Done) {}
    tokenizer.end();
    let guard = tokenizer.sink;
    Parsed { is_cut: guard.is_cut.get(), dom: guard.builder.sink.finish() }
}

/// Stands between tokenizer and tree builder, and lets through what the tree builder can do in time linear in the page.
struct Guard {
    builder: TreeBuilder<Handle, Builder>,
    /// Start tags until the next count of open elements.
    until_count: Cell<u32>,
    /// Too much was open at the last count.
    is_deep: Cell<bool>,
    is_cut: Cell<bool>,
    names: RefCell<HashSet<LocalName>>,
}

struct Counter(Cell<usize>);

impl Tracer for Counter {
    type Handle = Handle;

    fn trace_handle(&self, _: &Handle) {
        self.0.set(self.0.get() + 1);
    }
}

impl Guard {
    /// May an element begin here? Those that hold no elements always may.
    fn may_open(&self, name: &LocalName) -> bool {
        let left = self.until_count.get();
        self.until_count.set(left.saturating_sub(1));
        if left == 0 || self.is_deep.get() {
            let counter = Counter(Cell::new(0));
            self.builder.trace_handles(&counter);
            self.is_deep.set(counter.0.get() > MAX_OPEN);
            self.until_count.set(TAGS_PER_COUNT);
        }
        !self.is_deep.get() || holds_no_elements(name)
    }

    fn is_known(&self, name: &LocalName) -> bool {
        let mut names = self.names.borrow_mut();
        // Seven bytes fit into the atom itself; longer ones lie in a table that hostile names could make slow.
        name.len() <= 7 || names.contains(name) || (names.len() < MAX_NAMES && names.insert(name.clone()))
    }

    fn lets_through(&self, tag: &mut Tag) -> bool {
        tag.attrs.retain(|attribute| is_kept(&attribute.name.local));
        self.is_known(&tag.name) && (tag.kind != StartTag || self.may_open(&tag.name))
    }
}

impl TokenSink for Guard {
    type Handle = Handle;

    fn process_token(&self, mut token: Token, line: u64) -> TokenSinkResult<Handle> {
        let is_end = matches!(token, Token::EOFToken);
        if self.builder.sink.n_nodes() >= MAX_NODES && !is_end {
            self.is_cut.set(true);
            return TokenSinkResult::Continue;
        }
        let is_let_through = match &mut token {
            TagToken(tag) => self.lets_through(tag),
            Token::ParseError(_) => false,
            _ => true,
        };
        if is_let_through { self.builder.process_token(token, line) } else { TokenSinkResult::Continue }
    }

    fn end(&self) {
        self.builder.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.builder.adjusted_current_node_present_but_not_in_html_namespace()
    }
}

/// Without these start tags their contents would be read as something else, or nothing is gained.
fn holds_no_elements(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("script")
            | local_name!("style")
            | local_name!("textarea")
            | local_name!("title")
            | local_name!("xmp")
            | local_name!("iframe")
            | local_name!("noembed")
            | local_name!("noframes")
            | local_name!("noscript")
            | local_name!("plaintext")
            | local_name!("br")
            | local_name!("hr")
            | local_name!("img")
            | local_name!("input")
    )
}

/// Attributes that the tree builder or the renderer reads.
fn is_kept(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("alt")
            | local_name!("alttext")
            | local_name!("aria-label")
            | local_name!("class")
            | local_name!("colspan")
            | local_name!("encoding")
            | local_name!("face")
            | local_name!("hidden")
            | local_name!("href")
            | local_name!("id")
            | local_name!("label")
            | local_name!("name")
            | local_name!("open")
            | local_name!("role")
            | local_name!("rowspan")
            | local_name!("selected")
            | local_name!("src")
            | local_name!("start")
            | local_name!("style")
            | local_name!("title")
            | local_name!("type")
            | local_name!("value")
    )
}

/// For each state that the tokenizer can be in within a tag: how many attributes begin from here to the tag's end.
#[derive(Clone, Copy, Default)]
struct Counts {
    in_name: u16,
    before_attribute: u16,
    in_attribute: u16,
    after_attribute: u16,
    before_value: u16,
    in_double: u16,
    in_single: u16,
    in_unquoted: u16,
}

impl Counts {
    /// What holds before a byte, from what holds after it.
    fn before(self, byte: u8) -> Self {
        let begun = self.in_attribute.saturating_add(1);
        match byte {
            b'>' => Self { in_double: self.in_double, in_single: self.in_single, ..Self::default() },
            b'\t' | b'\n' | b'\x0c' | b'\r' | b' ' => Self {
                in_name: self.before_attribute,
                in_attribute: self.after_attribute,
                in_unquoted: self.before_attribute,
                ..self
            },
            b'/' => Self {
                in_name: self.before_attribute,
                in_attribute: self.before_attribute,
                after_attribute: self.before_attribute,
                before_value: self.in_unquoted,
                ..self
            },
            b'=' => Self {
                before_attribute: begun,
                in_attribute: self.before_value,
                after_attribute: self.before_value,
                before_value: self.in_unquoted,
                ..self
            },
            b'"' => Self { before_value: self.in_double, in_double: self.before_attribute, ..self.starting(begun) },
            b'\'' => Self { before_value: self.in_single, in_single: self.before_attribute, ..self.starting(begun) },
            _ => Self { before_value: self.in_unquoted, ..self.starting(begun) },
        }
    }

    fn starting(self, begun: u16) -> Self {
        Self { before_attribute: begun, after_attribute: begun, ..self }
    }
}

/// Takes the `<` from every tag that would have more than [`MAX_ATTRIBUTES`].
///
/// Whether a `<` begins a tag depends on all that comes before it (scripts, comments), which only the parser knows. But how
/// many attributes it would have, if it did, depends only on what comes after; so the page is read from its end.
fn disarm_tags(text: &mut String) {
    let mut bytes = std::mem::take(text).into_bytes();
    let mut counts = Counts::default();
    let mut was_plain = false;
    for at in (0..bytes.len()).rev() {
        let byte = bytes[at];
        let is_plain = !matches!(byte, b'\t' | b'\n' | b'\x0c' | b'\r' | b' ' | b'/' | b'>' | b'=' | b'"' | b'\'');
        // A second plain byte changes no count.
        if !(is_plain && was_plain) {
            counts = counts.before(byte);
        }
        was_plain = is_plain;
        if byte == b'<' && counts.in_name > MAX_ATTRIBUTES {
            let after = bytes[at + 1..].strip_prefix(b"/").unwrap_or(&bytes[at + 1..]);
            if after.first().is_some_and(u8::is_ascii_alphabetic) {
                bytes[at] = b'-';
            }
        }
    }
    *text = String::from_utf8(bytes).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::{MAX_ATTRIBUTES, disarm_tags};

    fn disarmed(text: &str) -> bool {
        let mut after = text.to_owned();
        disarm_tags(&mut after);
        assert_eq!(after.len(), text.len());
        after != text
    }

    #[test]
    fn tags_with_too_many_attributes_are_no_tags() {
        let n = usize::from(MAX_ATTRIBUTES);
        for attribute in ["a ", "a=1 ", "a='>'", "a=\"<'>\"", "a/", "a = b ", "\n\"", "a=b/c "] {
            for (start, end) in [("<p ", ">"), ("<p/", ""), ("x</p ", ">x"), ("<a b='><p c'", ">")] {
                assert!(disarmed(&format!("{start}{}{end}", attribute.repeat(n + 2))), "{start} {attribute}");
                assert!(!disarmed(&format!("{start}{}{end}", attribute.repeat(n - 3))), "{start} {attribute}");
            }
        }
        let words = "a ".repeat(2 * n);
        for harmless in
            [format!("<!-- {words} -->"), format!("<p b='{words}'>"), format!("<p>{words}"), format!("a < {words}")]
        {
            assert!(!disarmed(&harmless), "{harmless}");
        }
    }
}
