//! Forms: what a reader sees of their controls.
//!
//! What it is not: a way to fill them in. Start at [`input`].

use super::clean;
use super::dom::{Dom, Element, NodeId};
use html5ever::local_name;

/// Options of a list that are shown.
const MAX_OPTIONS: usize = 20;
const MAX_LABEL: usize = 200;

/// A button's text; other inputs hold what a person writes.
pub(super) fn input(element: &Element) -> Option<String> {
    let kind = element.attribute(&local_name!("type"))?.to_ascii_lowercase();
    let name = match kind.as_str() {
        "submit" | "button" | "reset" => local_name!("value"),
        "image" => local_name!("alt"),
        _ => return None,
    };
    let text = clean::line(element.attribute(&name)?, MAX_LABEL);
    (!text.is_empty()).then(|| format!("[{text}]"))
}

/// The first options of a list, the rest by their number.
pub(super) fn options(dom: &Dom, select: NodeId) -> String {
    let mut shown = Vec::new();
    let mut n_more = 0;
    for node in dom.below(select) {
        if dom.element(node).is_some_and(|element| element.is(&local_name!("option"))) {
            let text = clean::line(&dom.inner_text(node, 4 * MAX_LABEL), MAX_LABEL);
            match text.is_empty() {
                false if shown.len() < MAX_OPTIONS => shown.push(text),
                is_empty => n_more += usize::from(!is_empty),
            }
        }
    }
    if n_more > 0 {
        shown.push(format!("and {n_more} more"));
    }
    if shown.is_empty() { String::new() } else { format!("[{}]", shown.join(", ")) }
}
