//! Which elements are shown at all and which as blocks: what a browser's own style sheet says, and an element's own style as
//! far as it says it in the element.
//!
//! What it is not: style sheets of pages are not read. Start at [`is_hidden`].

use super::dom::Element;
use html5ever::{LocalName, local_name};

/// Is it, with all that is in it, not there for a reader?
pub(super) fn is_hidden(element: &Element) -> bool {
    if element.html().is_some_and(is_never_shown) || (is_closed_dialog(element)) {
        return true;
    }
    let is_hidden = element.attribute(&local_name!("hidden")).is_some_and(|value| value != "until-found");
    is_hidden || is_formula_for_the_eye(element) || hides(element)
}

fn hides(element: &Element) -> bool {
    element.attribute(&local_name!("style")).is_some_and(|style| {
        says(style, "display").is_some_and(|value| value.eq_ignore_ascii_case("none"))
            || says(style, "visibility").is_some_and(|value| value.eq_ignore_ascii_case("hidden"))
    })
}

/// The value of a property in an element's own style.
fn says<'a>(style: &'a str, property: &str) -> Option<&'a str> {
    style.split(';').find_map(|part| {
        let (name, value) = part.split_once(':')?;
        name.trim().eq_ignore_ascii_case(property).then(|| value.trim().trim_end_matches("!important").trim())
    })
}

fn is_closed_dialog(element: &Element) -> bool {
    element.is(&local_name!("dialog")) && element.attribute(&local_name!("open")).is_none()
}

/// KaTeX writes each formula twice; the other one is MathML.
fn is_formula_for_the_eye(element: &Element) -> bool {
    element.is(&local_name!("span")) && element.attribute(&local_name!("class")) == Some("katex-html")
}

fn is_never_shown(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("head")
            | local_name!("title")
            | local_name!("script")
            | local_name!("style")
            | local_name!("noscript")
            | local_name!("template")
            | local_name!("noembed")
            | local_name!("noframes")
            | local_name!("datalist")
            | local_name!("rp")
            | local_name!("audio")
            | local_name!("video")
            | local_name!("canvas")
            | local_name!("iframe")
    )
}

/// Does it stand on lines of its own?
pub(super) fn is_block(element: &Element) -> bool {
    let own = element.attribute(&local_name!("style")).and_then(|style| says(style, "display"));
    match own {
        Some(display) if display.eq_ignore_ascii_case("block") => true,
        Some(display) if display.starts_with("inline") => false,
        _ => element.html().is_some_and(is_block_by_name),
    }
}

fn is_block_by_name(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("address")
            | local_name!("article")
            | local_name!("aside")
            | local_name!("body")
            | local_name!("caption")
            | local_name!("center")
            | local_name!("details")
            | local_name!("dialog")
            | local_name!("div")
            | local_name!("dt")
            | local_name!("fieldset")
            | local_name!("figcaption")
            | local_name!("footer")
            | local_name!("form")
            | local_name!("frameset")
            | local_name!("header")
            | local_name!("hgroup")
            | local_name!("html")
            | local_name!("legend")
            | local_name!("main")
            | local_name!("nav")
            | local_name!("search")
            | local_name!("section")
            | local_name!("summary")
            | local_name!("tbody")
            | local_name!("tfoot")
            | local_name!("thead")
    )
}
