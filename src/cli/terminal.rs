//! Text from models, tools and files made harmless for a terminal.
//!
//! A terminal obeys control characters: they move the cursor over what stands there, write to the clipboard, and make the
//! terminal answer as if somebody typed. Here they become visible text, one character at a time, so that no sequence can
//! hide by being cut into pieces. What it is not: it strips nothing that a person could have seen.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Running text: lines and tabs stay, every other control character is shown.
pub(super) fn block(text: &str) -> Cow<'_, str> {
    let hidden = |c| match c {
        '\n' | '\t' => false,
        // Joiners belong to some scripts and to emoji, marks to text of both directions; they reorder nothing around them.
        '\u{200c}'..='\u{200f}' | '\u{61c}' => false,
        c => is_control(c),
    };
    escape(text, hidden, show)
}

/// Text on one line, exact to the eye: also lines, tabs and whatever cannot be seen are shown.
pub(super) fn line(text: &str) -> Cow<'_, str> {
    escape(text, |c| is_control(c) || is_invisible(c), show)
}

/// JSON that says the same and is harmless to look at: what a terminal obeys is escaped, as JSON does it.
pub(super) fn json(json: &str) -> Cow<'_, str> {
    // The ASCII controls are escaped already, but for those that stand between values and for the last of them.
    escape(
        json,
        |c| c >= ' ' && is_control(c),
        |shown, c| {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write(shown, format_args!("\\u{unit:04x}"));
            }
        },
    )
}

fn escape(text: &str, hidden: impl Fn(char) -> bool, show: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.chars().any(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) {
            show(&mut shown, c);
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// As programmers write it.
fn show(shown: &mut String, c: char) {
    match c {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        '\u{1b}' => shown.push_str("\\e"),
        c => write(shown, format_args!("\\u{{{:x}}}", u32::from(c))),
    }
}

fn write(shown: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = shown.write_fmt(text);
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

/// What leaves no trace to see though a terminal does not obey it: the rest of Unicode's Default_Ignorable_Code_Point, such
/// as fillers and variation selectors, in which text can be hidden.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0080}'..='\u{e0fff}')
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
        assert_eq!(line("cafe\u{301}"), "cafe\u{301}", "an accent is seen");
    }

    #[test]
    fn what_cannot_be_seen_is_shown_on_a_line() {
        for c in ['\u{34f}', '\u{3164}', '\u{fe0f}', '\u{ffa0}', '\u{e0061}', '\u{e0101}', '\u{2062}'] {
            assert_eq!(line(&format!("a{c}b")), format!("a\\u{{{:x}}}b", u32::from(c)));
        }
        assert_eq!(block("\u{2764}\u{fe0f}"), "\u{2764}\u{fe0f}", "in running text an emoji stays one");
    }

    #[test]
    fn json_is_harmless_and_says_the_same() {
        let text = "a\u{9b}6n\u{7f}\u{202e}\u{2028}\u{e0041}\n\"é東👩\\";
        let written = json(&serde_json::Value::from(text).to_string()).into_owned();
        assert_eq!(written, r#""a\u009b6n\u007f\u202e\u2028\udb40\udc41\n\"é東👩\\""#);
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        let pretty = "{\n  \"a\": 1\n}";
        assert_eq!(json(pretty), pretty);
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
