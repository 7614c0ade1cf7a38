//! The main part of a page: what is left when menus, headers, footers and questions about cookies are taken away.
//!
//! What it is not: sure. When little would be left, the page stays whole. Start at [`main`].

use super::dom::{DOCUMENT, Dom, Element, NodeId};
use super::style;
use html5ever::local_name;
use std::collections::HashSet;

/// Bytes of words below a node, and how many of them are words of links.
#[derive(Clone, Copy, Default)]
struct Weight {
    text: usize,
    linked: usize,
    n_links: usize,
}

/// Bytes of a question about cookies.
const MAX_NOTICE: usize = 2000;
/// Bytes of a menu for each of its links.
const MAX_MENU_LINK: usize = 40;

/// Where the main part begins, and what is left out of it.
pub(super) fn main(dom: &Dom) -> (NodeId, HashSet<NodeId>) {
    let weights = weigh(dom);
    let whole = weights[DOCUMENT as usize].text;
    let is_most = |node: &NodeId| weights[*node as usize].text * 2 >= whole;
    let marked = dom.below(DOCUMENT).filter(|node| dom.element(*node).is_some_and(is_marked_main)).find(is_most);
    let root = marked.unwrap_or(DOCUMENT);
    let mut left_out = HashSet::new();
    let mut kept = weights[root as usize].text;
    let mut next = dom.first_child(root);
    while let Some(node) = next {
        let weight = weights[node as usize];
        let is_chrome = dom.element(node).is_some_and(|element| {
            is_said_to_be_chrome(dom, element, node) || is_notice(element, weight) || is_menu(element, weight)
        });
        // Never at the price of most of the page: an index is nothing but links.
        if is_chrome && (kept - weight.text) * 2 >= weights[root as usize].text {
            kept -= weight.text;
            left_out.insert(node);
            next = dom.after(node, root);
        } else {
            next = dom.first_child(node).or_else(|| dom.after(node, root));
        }
    }
    (root, left_out)
}

/// Adds up what is shown, from the leaves to the root.
fn weigh(dom: &Dom) -> Vec<Weight> {
    let mut order = Vec::new();
    let mut next = dom.first_child(DOCUMENT);
    while let Some(node) = next {
        let is_hidden = dom.element(node).is_some_and(style::is_hidden);
        let inner = if is_hidden { None } else { dom.first_child(node) };
        order.push(node);
        next = inner.or_else(|| dom.after(node, DOCUMENT));
    }
    let mut weights = vec![Weight::default(); dom.n_nodes()];
    // Parents come before their children in that order; backwards, each is complete when its parent takes it.
    for node in order.into_iter().rev() {
        let mut weight = weights[node as usize];
        weight.text += dom.text(node).map_or(0, |text| text.split_ascii_whitespace().map(|word| word.len() + 1).sum());
        if dom.element(node).is_some_and(|element| element.is(&local_name!("a"))) {
            (weight.linked, weight.n_links) = (weight.text, 1);
        }
        weights[node as usize] = weight;
        if let Some(parent) = dom.parent(node) {
            let above = &mut weights[parent as usize];
            above.text += weight.text;
            above.linked += weight.linked;
            above.n_links += weight.n_links;
        }
    }
    weights
}

fn role(element: &Element) -> &str {
    element.attribute(&local_name!("role")).unwrap_or_default()
}

fn is_marked_main(element: &Element) -> bool {
    matches!(element.html(), Some(&(local_name!("main") | local_name!("article")))) || role(element) == "main"
}

/// The page says that this is not its contents.
fn is_said_to_be_chrome(dom: &Dom, element: &Element, node: NodeId) -> bool {
    match element.html() {
        Some(&(local_name!("nav") | local_name!("footer") | local_name!("aside"))) => true,
        // The title of a page stands in its header.
        Some(&local_name!("header")) => {
            !dom.below(node).any(|inner| dom.element(inner).is_some_and(|inner| inner.is(&local_name!("h1"))))
        }
        _ => matches!(role(element), "navigation" | "contentinfo" | "complementary" | "banner" | "search"),
    }
}

/// A question about cookies and the like.
fn is_notice(element: &Element, weight: Weight) -> bool {
    const WORDS: [&str; 4] = ["cookie", "consent", "gdpr", "newsletter"];
    let names = [element.attribute(&local_name!("id")), element.attribute(&local_name!("class"))];
    weight.text < MAX_NOTICE
        && names.into_iter().flatten().any(|name| {
            let name = name.to_ascii_lowercase();
            WORDS.iter().any(|word| name.contains(word))
        })
}

/// A block that is nearly all links.
fn is_menu(element: &Element, weight: Weight) -> bool {
    let is_holder = matches!(
        element.html(),
        Some(
            &(local_name!("div")
                | local_name!("ul")
                | local_name!("ol")
                | local_name!("table")
                | local_name!("section"))
        )
    );
    is_holder
        && weight.n_links >= 5
        && weight.linked * 10 >= weight.text * 8
        && weight.text < weight.n_links * MAX_MENU_LINK
}
