//! Payment cards: an issuer's first digits, a length that the issuer uses, and Luhn's checksum. Groups may be parted by
//! one space or dash. A number of another kind that fulfils all three by chance is taken out too. Start at [`find`].

use super::number::{self, Group};
use super::{Kind, Span};

/// First digits from and to, and the lengths in digits from and to.
const ISSUERS: [(u32, u32, usize, usize); 15] = [
    (4, 4, 16, 19),
    (51, 55, 16, 16),
    (2221, 2720, 16, 16),
    (34, 34, 15, 15),
    (37, 37, 15, 15),
    (6011, 6011, 16, 19),
    (644, 649, 16, 19),
    (65, 65, 16, 19),
    (300, 305, 14, 19),
    (36, 36, 14, 19),
    (38, 39, 14, 19),
    (3528, 3589, 16, 19),
    (62, 62, 16, 19),
    (6759, 6763, 12, 19),
    (5018, 5038, 12, 19),
];

/// All card numbers of the text.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    number::each(text, |groups| {
        if text[..groups[0].start].ends_with('+') {
            return 0;
        }
        // The longest that is one: a shorter one may only be its beginning.
        for n in (1..=groups.len()).rev() {
            if is_card(text, &groups[..n]) {
                spans.push(Span { start: groups[0].start, end: groups[n - 1].end, kind: Kind::Card });
                return n;
            }
        }
        0
    });
}

fn is_card(text: &str, groups: &[Group]) -> bool {
    let n_digits: usize = groups.iter().map(|group| group.len()).sum();
    if !(12..=19).contains(&n_digits) || groups.last().is_none_or(|group| group.is_joined) {
        return false;
    }
    let mut separators = groups.windows(2).map(|pair| &text[pair[0].end..pair[1].start]);
    let first = separators.next().unwrap_or(" ");
    if !matches!(first, " " | "-" | "\u{a0}" | "\u{202f}") || separators.any(|separator| separator != first) {
        return false;
    }
    // A group of one or two digits is no card's.
    if groups.len() > 1 && groups.iter().any(|group| group.len() < 3) {
        return false;
    }
    let digits: Vec<u32> =
        groups.iter().flat_map(|group| group.of(text).chars()).filter_map(|c| c.to_digit(10)).collect();
    let issued = |&(from, to, short, long): &(u32, u32, usize, usize)| {
        let n_first = from.to_string().len();
        let first = digits[..n_first].iter().fold(0, |number, digit| number * 10 + digit);
        (from..=to).contains(&first) && (short..=long).contains(&n_digits)
    };
    ISSUERS.iter().any(issued) && luhn(&digits)
}

/// Every second digit from the right doubled, the sum of all a multiple of ten.
fn luhn(digits: &[u32]) -> bool {
    let value = |(n, digit): (usize, &u32)| if n % 2 == 0 { *digit } else { digit * 2 / 10 + digit * 2 % 10 };
    digits.iter().rev().enumerate().map(value).sum::<u32>() % 10 == 0
}
