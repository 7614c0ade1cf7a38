//! Formulas: what stands between the parts of a MathML expression when it is written on one line.
//!
//! What it is not: a typesetter. A formula that brings its own source in TeX is shown by that.
//! Start at [`source`], then [`marks`].

use super::dom::{Dom, NodeId};
use html5ever::{local_name, ns};

/// Bytes of a formula's source.
const MAX_SOURCE: usize = 4000;

/// What the author wrote, if the page says.
pub(super) fn source(dom: &Dom, math: NodeId) -> Option<String> {
    if let Some(text) = dom.element(math)?.attribute(&local_name!("alttext")) {
        return Some(text.chars().take(MAX_SOURCE).collect());
    }
    let annotation = dom.below(math).find(|node| {
        dom.element(*node).is_some_and(|element| {
            element.name.local == local_name!("annotation")
                && element.attribute(&local_name!("encoding")).is_some_and(|e| e.ends_with("tex"))
        })
    })?;
    Some(dom.inner_text(annotation, MAX_SOURCE))
}

/// Only for machines.
pub(super) fn is_annotation(dom: &Dom, node: NodeId) -> bool {
    dom.element(node)
        .is_some_and(|element| matches!(element.name.local, local_name!("annotation") | local_name!("annotation-xml")))
}

/// What opens and closes a part of a formula, by its parent and its place in it: `x^{2}`, `(a)/(b)`, `√(2)`.
pub(super) fn marks(dom: &Dom, node: NodeId) -> Option<(&'static str, &'static str)> {
    let parent = dom.parent(node)?;
    let outer = dom.element(parent).filter(|element| element.name.ns == ns!(mathml))?;
    let place = dom.children(parent).filter(|child| dom.element(*child).is_some()).take(3).position(|c| c == node)?;
    let (below, above) = (("_{", "}"), ("^{", "}"));
    let name = &outer.name.local;
    match (name, place) {
        (&(local_name!("msup") | local_name!("mover")), 1) => Some(above),
        (&(local_name!("msub") | local_name!("munder")), 1) => Some(below),
        (&(local_name!("msubsup") | local_name!("munderover")), 1) => Some(below),
        (&(local_name!("msubsup") | local_name!("munderover")), 2) => Some(above),
        (&local_name!("mfrac"), 0) => Some(("(", ")/")),
        (&local_name!("mfrac"), 1) => Some(("(", ")")),
        (&local_name!("msqrt"), 0) => Some(("√(", ")")),
        _ => None,
    }
}
