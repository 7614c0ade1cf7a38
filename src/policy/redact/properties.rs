//! What holds for any text: it comes back as it was, however it is cut, and no known value is left in it. The cases are
//! drawn by proptest. Start at the tests.

use super::canary::{canaries, known};
use super::tests::redactor;
use super::*;
use proptest::{collection::vec, prelude::*, sample::select};

/// Any characters, and pieces of what placeholders and values are made of.
fn text() -> impl Strategy<Value = String> {
    let pieces = [
        "⟦",
        "⟧",
        "[[",
        "]]",
        "[",
        "]",
        "【",
        "】",
        "EMAIL",
        "_1",
        "⟦EMAIL_1⟧",
        "[[email 1]]",
        "⟦TEXT_1⟧",
        "API",
        "_KEY_",
        "1",
        " ",
        "\\_",
        "@",
        "a@b.de",
        "https://",
        "<a ",
        ">",
        "](",
        ")",
        "+49 30 1234567",
        "4111 1111 1111 1111",
        "annika",
        "kuckucksuhr!17",
        "%40",
        "YW5uYUBleGFtcGxlLm9yZw==",
        "password=",
        "sk-",
        "\n",
        "DE89370400440532013000",
        "K",
        "ſ",
        "０",
    ];
    let planted = (0..20u64, 0..100usize).prop_map(|(seed, n)| canaries(seed)[n].sentence.clone());
    let piece = prop_oneof![
        3 => any::<char>().prop_map(String::from),
        6 => select(pieces.to_vec()).prop_map(String::from),
        1 => planted,
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_comes_back(first in text(), second in text()) {
        let (redactor, mut table) = (redactor(), Placeholders::new());
        let one = redactor.redact(&first, &mut table);
        // What a session learns later changes nothing about what came before.
        let two = redactor.redact(&second, &mut table);
        prop_assert_eq!(table.restore(&one.text), first);
        prop_assert_eq!(table.restore(&two.text), second);
    }

    #[test]
    fn a_text_in_pieces_is_the_text(
        text in text(),
        cuts in vec(any::<prop::sample::Index>(), 0..8),
        is_redacted in any::<bool>(),
    ) {
        let (redactor, mut table) = (redactor(), Placeholders::new());
        let redacted = redactor.redact(&text, &mut table).text;
        let text = if is_redacted { redacted } else { text };
        let boundaries: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let mut cuts: Vec<usize> = match boundaries.is_empty() {
            true => Vec::new(),
            false => cuts.iter().map(|cut| *cut.get(&boundaries)).collect(),
        };
        cuts.sort_unstable();
        cuts.push(text.len());
        for is_prose in [false, true] {
            let mut restoring = if is_prose { Restoring::prose(&table) } else { Restoring::new(&table) };
            let (mut at, mut restored) = (0, String::new());
            for &cut in &cuts {
                restored.push_str(&restoring.push(&text[at..cut]));
                at = cut;
            }
            restored.push_str(&restoring.finish());
            prop_assert_eq!(restored, if is_prose { table.restore_prose(&text) } else { table.restore(&text) });
        }
    }

    #[test]
    fn no_known_secret_is_left(before in text(), after in text(), n in 0..3usize) {
        let secret = &known().secrets[n];
        let redacted = redactor().redact(&format!("{before}{secret}{after}"), &mut Placeholders::new());
        prop_assert!(!redacted.text.contains(secret.as_str()), "{}", redacted.text);
    }

    #[test]
    fn what_was_found_is_what_was_put_in(text in text()) {
        let redacted = redactor().redact(&text, &mut Placeholders::new());
        for found in &redacted.found {
            prop_assert!(redacted.text.contains(&found.placeholder));
        }
        prop_assert!(!redacted.found.is_empty() || redacted.text == text);
    }
}
