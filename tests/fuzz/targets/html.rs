//! Any bytes as a page or a text: no panic, no bracket of a mark but our own, no number without its link. The first byte
//! chooses what is said of the others.
#![no_main]

use fuzz::html::{Options, kind, page, text_page};
use fuzz::page::Page;
use libfuzzer_sys::fuzz_target;
use url::Url;

const TYPES: [Option<&str>; 6] = [
    None,
    Some("text/html; charset=utf-8"),
    Some("text/html; charset=shift_jis"),
    Some("application/xhtml+xml"),
    Some("text/markdown"),
    Some("text/plain; charset=utf-16"),
];
const PLACES: [&str; 3] = ["https://here.test/a/b?c#d", "file:///home/a.html", "http://[::1]:8080/"];

/// All brackets belong to marks `【id†text】`, and the ids to links.
fn check(page: &Page) {
    let mut rest = page.text.as_str();
    while let Some(at) = rest.find(['【', '】']) {
        let mark = rest[at..].strip_prefix('【').expect("a bracket closes what was opened");
        let (id, after) = mark.split_once('†').expect("a mark has a text");
        let (words, after) = after.split_once('】').expect("a mark is closed");
        assert!(!words.contains(['【', '\n']), "{words:?}");
        assert!(id.parse::<usize>().expect("a mark has a number") < page.links.len());
        rest = after;
    }
    assert!(!page.title.contains(['【', '】', '\n']));
    assert!(!page.text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
}

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else { return };
    let first = usize::from(*first);
    let content_type = TYPES[first % TYPES.len()];
    let url = Url::parse(PLACES[first / TYPES.len() % PLACES.len()]).expect("an address");
    let _ = kind(content_type, bytes);
    let read = page(bytes, content_type, &url, Options { main_content: first >= 128 });
    check(&read);
    assert!(!read.text.contains("\n\n\n") && !read.text.is_empty());
    let read = text_page(bytes, content_type, &url);
    check(&read);
    assert_eq!(read.source_lines.len(), read.text.split('\n').count());
});
