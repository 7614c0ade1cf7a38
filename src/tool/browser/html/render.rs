//! A tree to text: what each element says to the writer when it begins and when it ends.
//!
//! What it is not: a style sheet. Of an element's own style only whether it is shown, and as a block, counts.
//! Start at [`render`]; `Renderer::enter_html` is the list of elements.

use super::dom::{DOCUMENT, Dom, Element, NodeId};
use super::form;
use super::links::Links;
use super::style;
use super::table::{self, Rows};
use super::writer::Writer;
use html5ever::{LocalName, local_name, ns};
use std::collections::HashSet;

/// What is due at an element's end.
pub(super) enum Leave {
    Nothing,
    /// The line ends before the next block.
    Block(usize),
    /// What closes it.
    Mark(&'static str),
    Link,
    /// A heading; line breaks count again.
    Heading,
    Quotation,
    List(usize),
    /// An item of a list. Empty lines before it, to know whether any are in it.
    Item(usize),
    Verbatim(usize),
    Table,
    Row,
}

/// Where the walk has come to.
pub(super) struct Renderer<'a> {
    pub(super) dom: &'a Dom,
    left_out: &'a HashSet<NodeId>,
    pub(super) out: Writer,
    /// The number of the next item, in lists that have numbers.
    lists: Vec<Option<i64>>,
    /// `None`: its cells are blocks.
    tables: Vec<Option<Rows>>,
    pub(super) n_images: usize,
}

/// The text below a node, without what is left out, and the links in it.
pub(super) fn render(dom: &Dom, root: NodeId, left_out: &HashSet<NodeId>, links: Links) -> Writer {
    let out = Writer::new(links);
    let mut renderer = Renderer { dom, left_out, out, lists: Vec::new(), tables: Vec::new(), n_images: 0 };
    renderer.walk(root);
    renderer.out
}

impl Renderer<'_> {
    fn walk(&mut self, root: NodeId) {
        let mut open: Vec<(NodeId, Leave)> = Vec::new();
        let mut next = Some(root);
        while !self.out.is_full() {
            if let Some(node) = next {
                next = match self.enter(node) {
                    Some(leave) => {
                        open.push((node, leave));
                        self.dom.first_child(node)
                    }
                    None => self.dom.next_sibling(node),
                };
            } else if let Some((node, leave)) = open.pop() {
                self.leave(leave, node);
                next = if node == root { None } else { self.dom.next_sibling(node) };
            } else {
                break;
            }
        }
    }

    /// Begins a node; `None` passes over what is below it.
    fn enter(&mut self, node: NodeId) -> Option<Leave> {
        if let Some(text) = self.dom.text(node) {
            self.out.text(text);
            return None;
        }
        let Some(element) = self.dom.element(node) else { return (node == DOCUMENT).then_some(Leave::Nothing) };
        if style::is_hidden(element) || self.left_out.contains(&node) {
            return None;
        }
        match element.name.ns {
            ns!(html) => self.enter_html(&element.name.local, element, node),
            ns!(mathml) => self.enter_math(element, node),
            ns!(svg) => self.enter_drawing(element),
            _ => Some(Leave::Nothing),
        }
    }

    fn enter_html(&mut self, name: &LocalName, element: &Element, node: NodeId) -> Option<Leave> {
        match *name {
            local_name!("p") => Some(self.block(2)),
            local_name!("h1") => Some(self.heading("# ")),
            local_name!("h2") => Some(self.heading("## ")),
            local_name!("h3") => Some(self.heading("### ")),
            local_name!("h4") => Some(self.heading("#### ")),
            local_name!("h5") => Some(self.heading("##### ")),
            local_name!("h6") => Some(self.heading("###### ")),
            local_name!("pre") | local_name!("listing") | local_name!("xmp") | local_name!("plaintext") => {
                Some(self.verbatim(2))
            }
            local_name!("textarea") => Some(self.verbatim(1)),
            local_name!("blockquote") => Some(self.quotation()),
            local_name!("dd") => Some(self.described()),
            local_name!("ul") | local_name!("ol") | local_name!("menu") | local_name!("dir") => {
                Some(self.list(element))
            }
            local_name!("li") => Some(self.item(element)),
            local_name!("dl") | local_name!("figure") => Some(self.block(if self.lists.is_empty() { 2 } else { 1 })),
            local_name!("table") => Some(self.table(node)),
            local_name!("tr") => Some(self.row()),
            local_name!("td") | local_name!("th") => Some(self.cell(element)),
            local_name!("a") => self.link(element, node),
            local_name!("br") => {
                self.out.line_break();
                None
            }
            local_name!("hr") => {
                self.rule();
                None
            }
            local_name!("img") => {
                self.image(element);
                None
            }
            _ => self.enter_inline(name, element, node),
        }
    }

    fn enter_inline(&mut self, name: &LocalName, element: &Element, node: NodeId) -> Option<Leave> {
        match *name {
            local_name!("code") | local_name!("tt") | local_name!("kbd") | local_name!("samp") => Some(self.code()),
            local_name!("sup") => Some(self.superscript(node)),
            local_name!("sub") => Some(self.mark("_{", "}")),
            local_name!("q") => Some(self.mark("“", "”")),
            local_name!("del") | local_name!("s") | local_name!("strike") => Some(self.mark("~~", "~~")),
            local_name!("rt") => Some(self.mark("(", ")")),
            local_name!("button") => Some(self.mark("[", "]")),
            local_name!("input") => {
                if let Some(text) = form::input(element) {
                    self.out.text(&text);
                }
                None
            }
            local_name!("select") => {
                self.out.text(&form::options(self.dom, node));
                None
            }
            local_name!("frame") => {
                self.frame(element);
                None
            }
            _ if style::is_block(element) => Some(self.block(1)),
            _ => Some(Leave::Nothing),
        }
    }

    fn leave(&mut self, leave: Leave, node: NodeId) {
        match leave {
            Leave::Nothing => {}
            Leave::Block(gap) => self.out.block(gap),
            Leave::Mark(mark) => self.out.close(mark),
            Leave::Link => self.leave_link(node),
            Leave::Heading => {
                self.out.set_unbroken(false);
                self.out.pop_prefix();
                self.out.block(2);
            }
            Leave::Quotation => {
                self.out.pop_prefix();
                self.out.block(2);
            }
            Leave::List(gap) => {
                self.lists.pop();
                if gap == 2 {
                    self.out.pop_prefix();
                }
                self.out.block(gap);
            }
            Leave::Item(n_empty_lines) => {
                let is_long = self.out.n_empty_lines(false) > n_empty_lines;
                self.out.pop_prefix();
                self.out.block(if is_long { 2 } else { 1 });
                if !is_long {
                    self.out.tighten();
                }
            }
            Leave::Verbatim(gap) => {
                self.out.set_verbatim(false);
                self.out.block(gap);
            }
            Leave::Table => {
                self.tables.pop();
                self.out.block(2);
            }
            Leave::Row => self.leave_row(),
        }
    }

    fn block(&mut self, gap: usize) -> Leave {
        self.out.block(gap);
        Leave::Block(gap)
    }

    pub(super) fn mark(&mut self, opening: &'static str, closing: &'static str) -> Leave {
        self.out.open(opening);
        Leave::Mark(closing)
    }

    fn heading(&mut self, mark: &str) -> Leave {
        if self.out.is_flat() {
            return self.block(1);
        }
        self.out.block(2);
        self.out.push_prefix(mark.into(), "");
        self.out.set_unbroken(true);
        Leave::Heading
    }

    fn verbatim(&mut self, gap: usize) -> Leave {
        self.out.block(gap);
        self.out.set_verbatim(true);
        Leave::Verbatim(gap)
    }

    fn quotation(&mut self) -> Leave {
        if self.out.is_flat() {
            return self.block(1);
        }
        self.out.block(2);
        self.out.push_prefix("> ".into(), "> ");
        Leave::Quotation
    }

    /// What a term means, or a function does.
    fn described(&mut self) -> Leave {
        if self.out.is_flat() {
            return self.block(1);
        }
        self.out.block(1);
        self.out.push_prefix("    ".into(), "    ");
        Leave::Item(self.out.n_empty_lines(true))
    }

    /// A list within a list stands in its item; only the outermost is set in.
    fn list(&mut self, element: &Element) -> Leave {
        let is_outermost = self.lists.is_empty() && !self.out.is_flat();
        let gap = if is_outermost { 2 } else { 1 };
        self.out.block(gap);
        if is_outermost {
            self.out.push_prefix("  ".into(), "  ");
        }
        let start = element.attribute(&local_name!("start")).and_then(|n| n.trim().parse().ok());
        self.lists.push(element.is(&local_name!("ol")).then(|| start.unwrap_or(1)));
        Leave::List(gap)
    }

    fn item(&mut self, element: &Element) -> Leave {
        let number = match self.lists.last_mut() {
            Some(Some(next)) => {
                let value = element.attribute(&local_name!("value")).and_then(|n| n.trim().parse().ok());
                let number = value.unwrap_or(*next);
                *next = number.saturating_add(1);
                Some(number)
            }
            _ => None,
        };
        let first = number.map_or_else(|| "* ".to_owned(), |n| format!("{n}. "));
        self.out.block(1);
        if self.out.is_flat() {
            self.out.text(&first);
            return Leave::Block(1);
        }
        self.out.push_prefix(first, if number.is_some() { "   " } else { "  " });
        Leave::Item(self.out.n_empty_lines(true))
    }

    fn table(&mut self, node: NodeId) -> Leave {
        self.out.block(2);
        let is_layout = self.out.is_flat() || table::is_layout(self.dom, node);
        self.tables.push((!is_layout).then(Rows::default));
        Leave::Table
    }

    fn row(&mut self) -> Leave {
        let Some(Some(rows)) = self.tables.last_mut().filter(|_| !self.out.is_flat()) else { return self.block(1) };
        rows.begin_row();
        self.out.row();
        self.out.set_flat(true);
        Leave::Row
    }

    fn leave_row(&mut self) {
        self.out.set_flat(false);
        self.out.row();
        if let Some(line) = self.tables.last_mut().and_then(Option::as_mut).and_then(Rows::end_row) {
            self.out.text(&line);
            self.out.row();
        }
    }

    fn cell(&mut self, element: &Element) -> Leave {
        let Some(Some(rows)) = self.tables.last_mut() else { return self.block(1) };
        self.out.cross_borders(rows.place(element));
        Leave::Nothing
    }

    fn rule(&mut self) {
        self.out.block(2);
        if !self.out.is_flat() {
            self.out.text("* * *");
            self.out.block(2);
        }
    }
}
