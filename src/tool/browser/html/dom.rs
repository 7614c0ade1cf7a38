//! The tree of a document: nodes in one vector, linked by their indices, and what the parser's tree builder writes into it.
//!
//! What it is not: a DOM that can be changed or asked by selectors; it is built once and walked in order.
//! Start at [`Dom`]; [`Builder`] is the parser's side.

use html5ever::interface::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::StrTendril;
use html5ever::{Attribute, ExpandedName, LocalName, QualName, local_name, ns};
use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

/// Index of a node.
pub(super) type NodeId = u32;

/// The root of every tree.
pub(super) const DOCUMENT: NodeId = 0;

const NONE: NodeId = NodeId::MAX;

/// A parsed document.
pub(super) struct Dom {
    nodes: Vec<Node>,
    /// All texts, one after the other; nodes hold ranges of it.
    text: String,
}

struct Node {
    parent: NodeId,
    first: NodeId,
    last: NodeId,
    previous: NodeId,
    next: NodeId,
    content: Content,
}

enum Content {
    /// Bytes of `Dom::text`.
    Text {
        start: u32,
        end: u32,
    },
    Element(Box<Element>),
    /// The document, a comment, a template's contents.
    Other,
}

/// An element's name and those of its attributes that were kept.
pub(super) struct Element {
    pub(super) name: Rc<QualName>,
    attributes: Vec<Attribute>,
    /// Where a template's contents go: a node that hangs on nothing.
    contents: NodeId,
    is_integration_point: bool,
}

impl Element {
    /// The value of an attribute without a namespace.
    pub(super) fn attribute(&self, name: &LocalName) -> Option<&str> {
        let found = self.attributes.iter().find(|a| a.name.local == *name && a.name.ns == ns!());
        found.map(|attribute| &*attribute.value)
    }

    /// Is it this element of HTML?
    pub(super) fn is(&self, local: &LocalName) -> bool {
        self.name.local == *local && self.name.ns == ns!(html)
    }

    /// Its local name if it is an element of HTML.
    pub(super) fn html(&self) -> Option<&LocalName> {
        (self.name.ns == ns!(html)).then_some(&self.name.local)
    }
}

fn some(id: NodeId) -> Option<NodeId> {
    (id != NONE).then_some(id)
}

impl Dom {
    pub(super) fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn parent(&self, id: NodeId) -> Option<NodeId> {
        some(self.nodes[id as usize].parent)
    }

    pub(super) fn first_child(&self, id: NodeId) -> Option<NodeId> {
        some(self.nodes[id as usize].first)
    }

    pub(super) fn next_sibling(&self, id: NodeId) -> Option<NodeId> {
        some(self.nodes[id as usize].next)
    }

    /// The text of a text node.
    pub(super) fn text(&self, id: NodeId) -> Option<&str> {
        match self.nodes[id as usize].content {
            Content::Text { start, end } => Some(&self.text[start as usize..end as usize]),
            _ => None,
        }
    }

    pub(super) fn element(&self, id: NodeId) -> Option<&Element> {
        match &self.nodes[id as usize].content {
            Content::Element(element) => Some(element),
            _ => None,
        }
    }

    pub(super) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(self.first_child(id), |child| self.next_sibling(*child))
    }

    /// All nodes below `root`, in the document's order.
    pub(super) fn below(&self, root: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(self.first_child(root), move |node| {
            self.first_child(*node).or_else(|| self.after(*node, root))
        })
    }

    /// The node that follows the subtree of `node`, still below `root`.
    pub(super) fn after(&self, mut node: NodeId, root: NodeId) -> Option<NodeId> {
        while node != root {
            if let Some(next) = self.next_sibling(node) {
                return Some(next);
            }
            node = self.parent(node)?;
        }
        None
    }

    /// The first `limit` bytes or so of all text below a node, as it stands there.
    pub(super) fn inner_text(&self, root: NodeId, limit: usize) -> String {
        let mut text = String::new();
        for part in self.below(root).filter_map(|id| self.text(id)) {
            text.extend(part.chars().take(limit));
            if text.len() >= limit {
                break;
            }
        }
        text
    }

    fn add(&mut self, content: Content) -> NodeId {
        let id = self.nodes.len() as NodeId;
        self.nodes.push(Node { parent: NONE, first: NONE, last: NONE, previous: NONE, next: NONE, content });
        id
    }

    /// A text node, or the one before with more text.
    fn add_text(&mut self, text: &str, previous: NodeId) -> Option<NodeId> {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        let len = self.text.len() as u32;
        if previous != NONE
            && let Content::Text { end, .. } = &mut self.nodes[previous as usize].content
            && *end == start
        {
            *end = len;
            return None;
        }
        Some(self.add(Content::Text { start, end: len }))
    }

    fn detach(&mut self, id: NodeId) {
        let Node { parent, previous, next, .. } = self.nodes[id as usize];
        if parent == NONE {
            return;
        }
        match previous {
            NONE => self.nodes[parent as usize].first = next,
            previous => self.nodes[previous as usize].next = next,
        }
        match next {
            NONE => self.nodes[parent as usize].last = previous,
            next => self.nodes[next as usize].previous = previous,
        }
        let node = &mut self.nodes[id as usize];
        (node.parent, node.previous, node.next) = (NONE, NONE, NONE);
    }

    /// Puts a node that hangs on nothing before `next`, or last.
    fn insert(&mut self, parent: NodeId, next: NodeId, id: NodeId) {
        let previous = match next {
            NONE => std::mem::replace(&mut self.nodes[parent as usize].last, id),
            next => std::mem::replace(&mut self.nodes[next as usize].previous, id),
        };
        match previous {
            NONE => self.nodes[parent as usize].first = id,
            previous => self.nodes[previous as usize].next = id,
        }
        let node = &mut self.nodes[id as usize];
        (node.parent, node.previous, node.next) = (parent, previous, next);
    }
}

/// What the parser knows a node by.
#[derive(Clone)]
pub(super) struct Handle {
    id: NodeId,
    /// Asked for so often that it lies here; empty for what has no name.
    name: Rc<QualName>,
}

/// Takes the tree builder's orders.
pub(super) struct Builder {
    dom: RefCell<Dom>,
    nameless: Rc<QualName>,
}

impl Builder {
    pub(super) fn new() -> Self {
        let mut dom = Dom { nodes: Vec::new(), text: String::new() };
        dom.add(Content::Other);
        let nameless = Rc::new(QualName::new(None, ns!(), local_name!("")));
        Self { dom: RefCell::new(dom), nameless }
    }

    pub(super) fn n_nodes(&self) -> usize {
        self.dom.borrow().n_nodes()
    }

    fn nameless(&self, id: NodeId) -> Handle {
        Handle { id, name: self.nameless.clone() }
    }

    fn place(&self, parent: NodeId, next: NodeId, child: NodeOrText<Handle>) {
        let mut dom = self.dom.borrow_mut();
        match child {
            NodeOrText::AppendNode(node) => {
                dom.detach(node.id);
                dom.insert(parent, next, node.id);
            }
            NodeOrText::AppendText(text) => {
                let previous = match next {
                    NONE => dom.nodes[parent as usize].last,
                    next => dom.nodes[next as usize].previous,
                };
                if let Some(id) = dom.add_text(&text, previous) {
                    dom.insert(parent, next, id);
                }
            }
        }
    }
}

impl TreeSink for Builder {
    type Handle = Handle;
    type Output = Dom;
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) -> Dom {
        self.dom.into_inner()
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Handle {
        self.nameless(DOCUMENT)
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> ExpandedName<'a> {
        target.name.expanded()
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> Handle {
        let mut dom = self.dom.borrow_mut();
        let name = Rc::new(name);
        let contents = if flags.template { dom.add(Content::Other) } else { NONE };
        let is_integration_point = flags.mathml_annotation_xml_integration_point;
        let element = Element { name: name.clone(), attributes, contents, is_integration_point };
        Handle { id: dom.add(Content::Element(Box::new(element))), name }
    }

    fn create_comment(&self, _: StrTendril) -> Handle {
        self.nameless(self.dom.borrow_mut().add(Content::Other))
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Handle {
        self.nameless(self.dom.borrow_mut().add(Content::Other))
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        self.place(parent.id, NONE, child);
    }

    fn append_based_on_parent_node(&self, element: &Handle, before: &Handle, child: NodeOrText<Handle>) {
        let has_parent = self.dom.borrow().parent(element.id).is_some();
        if has_parent { self.append_before_sibling(element, child) } else { self.append(before, child) }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn get_template_contents(&self, target: &Handle) -> Handle {
        let contents = self.dom.borrow().element(target.id).map_or(DOCUMENT, |element| element.contents);
        self.nameless(contents)
    }

    fn same_node(&self, x: &Handle, y: &Handle) -> bool {
        x.id == y.id
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Handle, child: NodeOrText<Handle>) {
        let parent = self.dom.borrow().parent(sibling.id);
        if let Some(parent) = parent {
            self.place(parent, sibling.id, child);
        }
    }

    fn add_attrs_if_missing(&self, target: &Handle, attributes: Vec<Attribute>) {
        if let Content::Element(element) = &mut self.dom.borrow_mut().nodes[target.id as usize].content {
            for attribute in attributes {
                if element.attributes.iter().all(|known| known.name != attribute.name) {
                    element.attributes.push(attribute);
                }
            }
        }
    }

    fn remove_from_parent(&self, target: &Handle) {
        self.dom.borrow_mut().detach(target.id);
    }

    fn reparent_children(&self, node: &Handle, new_parent: &Handle) {
        let mut dom = self.dom.borrow_mut();
        while let Some(child) = dom.first_child(node.id) {
            dom.detach(child);
            dom.insert(new_parent.id, NONE, child);
        }
    }

    fn is_mathml_annotation_xml_integration_point(&self, handle: &Handle) -> bool {
        self.dom.borrow().element(handle.id).is_some_and(|element| element.is_integration_point)
    }
}
