//! Text from models, tools and files made harmless for a terminal.
//!
//! A terminal obeys control characters: they move the cursor over what stands there, write to the clipboard, and make the
//! terminal answer as if somebody typed. Here they become visible text, one character at a time, so that no sequence can
//! hide by being cut into pieces. What it is not: it strips nothing that a person could have seen.

use std::borrow::Cow;
use std::fmt::Write;

/// Running text: lines and tabs stay, every other control character is shown.
pub(super) fn block(text: &str) -> Cow<'_, str> {
    escape(text, |c| match c {
        '\n' | '\t' => false,
        // Joiners belong to some scripts and to emoji, marks to text of both directions; they reorder nothing around them.
        '\u{200c}'..='\u{200f}' | '\u{61c}' => false,
        c => is_control(c),
    })
}

/// Text on one line, exact to the eye: also lines, tabs and whatever has no width are shown.
pub(super) fn line(text: &str) -> Cow<'_, str> {
    escape(text, is_control)
}

fn escape(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !hidden(c) => shown.push(c),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\u{1b}' => shown.push_str("\\e"),
            c => {
                // Writing to a String does not fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    Cow::Owned(shown)
}

/// What a terminal obeys, or what changes how other text looks without being seen.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            // No width; line and paragraph separators; embeddings, overrides and isolates of direction.
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            // Interlinear annotation; tags, which spell out hidden ASCII.
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// At most `width` columns of a line, with an ellipsis where something is missing.
pub(super) fn fit(text: &str, width: usize) -> Cow<'_, str> {
    console::truncate_str(text, width, "…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (text, expect) in [
            ("\u{1b}]52;c;aGk=\u{7}", "\\e]52;c;aGk=\\u{7}"),
            ("\u{1b}[2J\u{1b}[H allow? y", "\\e[2J\\e[H allow? y"),
            ("\u{1b}[?1049h\u{1b}c", "\\e[?1049h\\ec"),
            ("\u{1b}[6n \u{1b}P$q q\u{1b}\\ \u{9b}6n", "\\e[6n \\eP$q q\\e\\ \\u{9b}6n"),
            ("rm -rf /\rls -la     ", "rm -rf /\\rls -la     "),
            ("rm\u{8}\u{8}ls\u{7f}", "rm\\u{8}\\u{8}ls\\u{7f}"),
            ("safe\u{202e}gpj.exe", "safe\\u{202e}gpj.exe"),
            ("a\u{0}b", "a\\u{0}b"),
        ] {
            assert_eq!(block(text), expect);
            assert_eq!(line(text), expect);
        }
    }

    #[test]
    fn what_people_write_stays() {
        let text = "Größe\t→ 3 m²\n東京 👩\u{200d}🔬 می\u{200c}خواهم";
        assert_eq!(block(text), text);
        assert_eq!(line("a\nb\tc\u{200d}"), "a\\nb\\tc\\u{200d}");
    }

    #[test]
    fn lines_are_cut_by_columns() {
        assert_eq!(fit("東京東京", 5), "東京…");
        assert_eq!(fit("short", 5), "short");
    }

    proptest! {
        #[test]
        fn nothing_live_comes_through(text in any::<String>(), controls in "[\\x00-\\x1f\\x7f-\\x9f]{0,8}", cut in any::<prop::sample::Index>()) {
            let mixed = format!("{controls}{text}{controls}");
            let live = |c: char| c.is_control() && c != '\n' && c != '\t';
            prop_assert!(!block(&mixed).chars().any(live));
            prop_assert!(!line(&mixed).chars().any(char::is_control));
            // In pieces it is the same: nothing depends on what came before.
            let at = (0..=mixed.len()).rev().find(|at| *at <= cut.index(mixed.len() + 1) && mixed.is_char_boundary(*at)).unwrap();
            let (head, tail) = mixed.split_at(at);
            prop_assert_eq!(block(&mixed).into_owned(), format!("{}{}", block(head), block(tail)));
        }
    }
}
