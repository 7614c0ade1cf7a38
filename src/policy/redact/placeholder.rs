//! What stands in a text instead of a value, `⟦EMAIL_1⟧`, and how it is read again after a model wrote it its own way.
//!
//! It knows no values: that is the [`super::Placeholders`]' matter. Start at [`scan`], the one place that says what a
//! placeholder is: what is escaped, what is restored and what a stream waits for all follow from it.

use super::Kind;

/// What begins one. The first is ours; models write the others instead.
const OPENERS: [&str; 4] = ["⟦", "〚", "【", "[["];
/// What ends one, whatever began it.
const CLOSERS: [&str; 4] = ["⟧", "〛", "】", "]]"];
/// The first characters of [`OPENERS`].
pub(super) const FIRST: [char; 4] = ['⟦', '〚', '【', '['];
/// Bytes between opener and closer: `API_KEY_999999999`, with some spaces.
const MAX_BODY: usize = 24;

/// What a text begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// A placeholder of so many bytes.
    Whole { len: usize, kind: Kind, number: u32 },
    /// The text ends within what may become one.
    Partial,
    /// Something else.
    No,
}

/// The placeholder as we write it.
pub(super) fn write(kind: Kind, number: u32) -> String {
    format!("⟦{}_{number}⟧", kind.word())
}

/// Reads a placeholder at the text's beginning: any of the brackets, any case, and `_`, `-`, `\` and spaces anywhere
/// inside. Looks at no more than 40 bytes. No two placeholders of a text overlap: none has an opener inside.
pub(super) fn scan(text: &str) -> Scan {
    let Some(opener) = OPENERS.iter().find(|opener| text.starts_with(**opener)) else {
        return if text == "[" { Scan::Partial } else { Scan::No };
    };
    let body = &text[opener.len()..];
    let is_inner = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b' ' | b'\\');
    let n_inner = body.bytes().take(MAX_BODY + 1).take_while(is_inner).count();
    let (inner, rest) = body.split_at(n_inner);
    if n_inner > MAX_BODY {
        return Scan::No;
    }
    match CLOSERS.iter().find(|closer| rest.starts_with(**closer)) {
        Some(closer) => read(inner).map_or(Scan::No, |(kind, number)| Scan::Whole {
            len: opener.len() + n_inner + closer.len(),
            kind,
            number,
        }),
        None if (rest.is_empty() || rest == "]") && may_become_one(inner) => Scan::Partial,
        None => Scan::No,
    }
}

/// Its letters in capitals and its digits, without what stands between; `None` where they are not in this order.
fn parts(inner: &str) -> Option<(String, &str)> {
    let inner = inner.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let n_digits = inner.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (word, digits) = inner.split_at(inner.len() - n_digits);
    let letters = word.bytes().filter(u8::is_ascii_alphanumeric).map(|c| char::from(c.to_ascii_uppercase()));
    let letters: String = letters.collect();
    letters.bytes().all(|c| c.is_ascii_uppercase()).then_some((letters, digits))
}

fn plain_word(kind: Kind) -> String {
    kind.word().replace('_', "")
}

fn read(inner: &str) -> Option<(Kind, u32)> {
    let (letters, digits) = parts(inner)?;
    if digits.starts_with('0') || digits.len() > 9 {
        return None;
    }
    let kind = Kind::placed().find(|kind| plain_word(*kind) == letters)?;
    Some((kind, digits.parse().ok()?))
}

fn may_become_one(inner: &str) -> bool {
    parts(inner).is_some_and(|(letters, digits)| {
        let fits = |kind: Kind| match digits {
            "" => plain_word(kind).starts_with(&letters),
            _ => plain_word(kind) == letters,
        };
        Kind::placed().any(fits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_models_make_of_a_placeholder_is_read() {
        for text in [
            "⟦API_KEY_12⟧",
            "⟦api_key_12⟧",
            "⟦ API KEY 12 ⟧",
            "[[API_KEY_12]]",
            "[[Api-Key-12]]",
            "【API_KEY_12】",
            "⟦API\\_KEY\\_12⟧",
            "〚APIKEY12〛",
            "[[api_key_12⟧",
        ] {
            let expect = Scan::Whole { len: text.len(), kind: Kind::ApiKey, number: 12 };
            assert_eq!(scan(text), expect, "{text}");
            assert_eq!(scan(&format!("{text}] and more")), expect, "{text}");
            // Whatever the stream has brought of it so far may still become it.
            for (end, _) in text.char_indices().skip(1) {
                assert_eq!(scan(&text[..end]), Scan::Partial, "{}", &text[..end]);
            }
        }
    }

    #[test]
    fn other_brackets_are_left_alone() {
        for text in [
            "[EMAIL_1]",
            "[[rule]]",
            "[[EMAIL]]",
            "[[EMAIL_0]]",
            "[[EMAIL_01]]",
            "[[EMAIL_1234567890]]",
            "⟦EMAIL_1 or so⟧",
            "⟦1 EMAIL⟧",
            "⟦EMAIL_1)",
            "[[EMAILS_1]]",
            "EMAIL_1",
            "",
            "[[                              EMAIL_1]]",
        ] {
            assert_eq!(scan(text), Scan::No, "{text}");
        }
    }
}
