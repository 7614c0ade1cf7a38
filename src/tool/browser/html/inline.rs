//! What stands within a line: links, pictures, code, raised text, formulas, what is written in a drawing.
//!
//! What it is not: the list of elements, which is `Renderer::enter_html`. Start at [`Renderer::link`].

use super::clean;
use super::dom::{Element, NodeId};
use super::math;
use super::render::{Leave, Renderer};
use html5ever::local_name;

/// Characters of a picture's text.
const MAX_ALT: usize = 500;

impl Renderer<'_> {
    pub(super) fn code(&mut self) -> Leave {
        if self.out.is_in_link() || self.out.is_verbatim() { Leave::Nothing } else { self.mark("`", "`") }
    }

    /// The number of a note keeps its own brackets.
    pub(super) fn superscript(&mut self, node: NodeId) -> Leave {
        let has_brackets = self.dom.inner_text(node, 40).trim_start().starts_with(['[', '(']);
        if has_brackets { Leave::Nothing } else { self.mark("^{", "}") }
    }

    pub(super) fn image(&mut self, element: &Element) {
        let alt = element.attribute(&local_name!("alt"));
        let title = element.attribute(&local_name!("title")).unwrap_or_default();
        let text = clean::line(alt.filter(|alt| !alt.trim().is_empty()).unwrap_or(title), MAX_ALT);
        if text.is_empty() && alt.is_some() {
            // The page says that it is an ornament.
            return;
        }
        let n = self.n_images;
        self.n_images += 1;
        self.out.text(&if text.is_empty() { format!("[Image {n}]") } else { format!("[Image {n}: {text}]") });
    }

    pub(super) fn link(&mut self, element: &Element, node: NodeId) -> Option<Leave> {
        let Some(href) = element.attribute(&local_name!("href")) else { return Some(Leave::Nothing) };
        let Some(url) = self.out.links.target(href) else {
            return (!self.is_sign_of_a_place(node)).then_some(Leave::Nothing);
        };
        if self.out.is_in_link() {
            return Some(Leave::Nothing);
        }
        self.out.open_link(url);
        Some(Leave::Link)
    }

    /// The ¶ behind headings, which links to where it stands.
    pub(super) fn is_sign_of_a_place(&self, link: NodeId) -> bool {
        matches!(self.dom.inner_text(link, 8).trim(), "¶" | "#" | "§" | "🔗" | "\u{f0c1}")
    }

    pub(super) fn leave_link(&mut self, node: NodeId) {
        if self.out.is_link_waiting() {
            let element = self.dom.element(node);
            let label = element.and_then(|element| element.attribute(&local_name!("aria-label")));
            let title = element.and_then(|element| element.attribute(&local_name!("title")));
            self.out.text(&clean::line(label.or(title).unwrap_or_default(), MAX_ALT));
        }
        self.out.end_link();
    }

    /// A page of frames has nothing but them.
    pub(super) fn frame(&mut self, element: &Element) {
        let target = element.attribute(&local_name!("src")).and_then(|src| self.out.links.target(src));
        if let Some(url) = target {
            let name = element.attribute(&local_name!("title")).or(element.attribute(&local_name!("name")));
            self.out.block(1);
            self.out.open_link(url);
            self.out.text(&clean::line(name.unwrap_or("frame"), MAX_ALT));
            self.out.end_link();
            self.out.block(1);
        }
    }

    pub(super) fn enter_math(&mut self, element: &Element, node: NodeId) -> Option<Leave> {
        if element.name.local == local_name!("math")
            && let Some(source) = math::source(self.dom, node)
        {
            self.out.text(&source);
            return None;
        }
        if math::is_annotation(self.dom, node) {
            return None;
        }
        Some(math::marks(self.dom, node).map_or(Leave::Nothing, |(opening, closing)| self.mark(opening, closing)))
    }

    /// Of a drawing, what is written in it.
    pub(super) fn enter_drawing(&mut self, element: &Element) -> Option<Leave> {
        match element.name.local {
            local_name!("svg") | local_name!("text") | local_name!("foreignObject") => {
                self.out.text(" ");
                Some(Leave::Nothing)
            }
            local_name!("g")
            | local_name!("a")
            | local_name!("tspan")
            | local_name!("textPath")
            | local_name!("switch") => Some(Leave::Nothing),
            _ => None,
        }
    }
}
