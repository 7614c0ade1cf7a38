//! What holds of every page, whatever its bytes: no panic, bounded, no mark but our own, every number a link.

use super::{Kind, Options, kind, page, text_page};
use crate::tool::browser::page::Page;
use proptest::prelude::*;
use url::Url;

/// The numbers in the link marks of a text, which must be all the brackets there are.
fn ids(text: &str) -> Vec<usize> {
    let mut ids = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['【', '】']) {
        let mark = rest[at..].strip_prefix('【').expect("a bracket closes what was opened");
        let (id, after) = mark.split_once('†').expect("a mark has a text");
        let (words, after) = after.split_once('】').expect("a mark is closed");
        assert!(!words.contains(['【', '\n']), "{words:?}");
        assert!(words.chars().filter(|c| *c == '†').count() <= 1, "{words:?}");
        ids.push(id.parse().expect("a mark has a number"));
        rest = after;
    }
    ids
}

fn holds(page: &Page) {
    for id in ids(&page.text) {
        assert!(id < page.links.len());
    }
    assert!(ids(&page.title).is_empty() && !page.title.contains('\n'));
    let unseen = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!page.text.contains(unseen) && !page.title.contains(unseen), "{:?}", page.text);
    assert!(!page.text.contains('\u{200b}'));
}

fn pattern(pattern: &str) -> impl Strategy<Value = String> + use<> {
    proptest::string::string_regex(pattern).expect("a pattern")
}

/// Pieces of pages, the odd ones more often than anyone writes them.
fn html() -> impl Strategy<Value = String> {
    let names = "(a|b|p|div|li|ul|ol|dl|dd|table|tr|td|th|pre|code|h2|sup|svg|math|msup|mfrac|select|option|br|img|hr|\
                 blockquote|template|title|script|style|button|frameset|frame|details|form|input|textarea|body|html|x-y)";
    let attributes = "( (href|src|alt|title|colspan|rowspan|style|hidden|start|value|type)=\
                      ('#?[a-z:/.]{0,12}'|[0-9]{1,6}|\"display:none\"|【7†x】|https://o.test/))?";
    let piece = prop_oneof![
        3 => pattern(&format!("<{names}{attributes}>")),
        2 => pattern(&format!("</{names}>")),
        3 => "[ a-z\n\t]{0,12}",
        1 => "(【|】|†|&nbsp;|&#0;|&lt;|<!--|-->|<!\\[CDATA\\[|\u{200b}|\u{85}|\r|\0|\u{1b}|𝒳|é|\u{fffd})",
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn anywhere() -> impl Strategy<Value = Url> {
    prop_oneof![Just("https://o.test/a/b"), Just("file:///a/b.html"), Just("http://[::1]:8080/")]
        .prop_map(|url| Url::parse(url).expect("an address"))
}

proptest! {
    #[test]
    fn pages_are_pages(html in html(), url in anywhere(), main_content: bool) {
        let page = page(html.as_bytes(), Some("text/html"), &url, Options { main_content });
        holds(&page);
        prop_assert!(!page.text.contains("\n\n\n"), "{:?}", page.text);
        prop_assert!(!page.text.is_empty());
    }

    #[test]
    fn bytes_are_pages(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        charset in prop_oneof![Just("utf-16"), Just("shift_jis"), Just("iso-2022-jp"), Just("nonsense"), Just("gb18030")],
        url in anywhere(),
    ) {
        let content_type = format!("text/html; charset={charset}");
        holds(&page(&bytes, Some(&content_type), &url, Options::default()));
        holds(&page(&bytes, None, &url, Options::default()));
        holds(&text_page(&bytes, Some(&content_type), &url));
        let _: Kind = kind(None, &bytes);
    }

    #[test]
    fn texts_are_shown_line_for_line(
        text in "([ -~]|\n|\r\n|\\[|\\]|\\(|\\)|!|`|\\\\|【|】|†|é|\u{0}|~~~\n|\\[a\\]\\(b\\)|```\n){0,80}",
        url in anywhere(),
    ) {
        for content_type in ["text/plain", "text/markdown"] {
            let page = text_page(text.as_bytes(), Some(content_type), &url);
            holds(&page);
            let lines = page.text.split('\n').count();
            prop_assert_eq!(lines, text.strip_suffix('\n').unwrap_or(&text).split('\n').count());
            prop_assert_eq!(page.source_lines, (1..=lines as u32).collect::<Vec<_>>());
        }
    }
}
