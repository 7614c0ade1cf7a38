//! Runs of digits, in whatever groups they are written.
//!
//! What it is not: it knows no phone numbers, cards or amounts, and checks no sum. Start at [`runs`].

/// Digits of the shortest run, and of the shortest part of one in several groups.
const MIN_RUN: usize = 4;
const MIN_PART: usize = 7;
/// Groups of the longest part.
const MAX_GROUPS: usize = 10;

/// Says each run of digits: all its groups as one; each group that is long enough, but for the year of a date; and
/// each part of several groups, for another number may stand beside it.
pub(super) fn runs(text: &str, say: &mut dyn FnMut(&str)) {
    let bytes = text.as_bytes();
    let (mut digits, mut ends) = (String::new(), Vec::new());
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(u8::is_ascii_digit) {
        at += found;
        digits.clear();
        ends.clear();
        loop {
            let len = bytes[at..].iter().take_while(|c| c.is_ascii_digit()).count();
            digits.push_str(&text[at..at + len]);
            at += len;
            match joiner(&bytes[at..]) {
                Joiner::None => break,
                Joiner::Thousands => at += 1,
                Joiner::Groups(len) => {
                    ends.push(digits.len());
                    at += len;
                }
            }
        }
        ends.push(digits.len());
        run(&digits, &ends, say);
    }
}

/// What stands between two groups of digits.
enum Joiner {
    None,
    /// A comma or an apostrophe before three digits: no new group.
    Thousands,
    /// So many bytes between two groups.
    Groups(usize),
}

fn joiner(bytes: &[u8]) -> Joiner {
    let n_digits = |at: usize| bytes.iter().skip(at).take(4).take_while(|c| c.is_ascii_digit()).count();
    if matches!(bytes.first(), Some(b',' | b'\'')) && n_digits(1) == 3 {
        return Joiner::Thousands;
    }
    let mut len = 0;
    for may_stand in [b")".as_slice(), b" -./", b"("] {
        len += usize::from(bytes.get(len).is_some_and(|c| may_stand.contains(c)));
    }
    if len > 0 && n_digits(len) > 0 { Joiner::Groups(len) } else { Joiner::None }
}

/// A run whose groups end there.
fn run(digits: &str, ends: &[usize], say: &mut dyn FnMut(&str)) {
    if digits.len() < MIN_RUN {
        return;
    }
    say(digits);
    let start = |group: usize| group.checked_sub(1).map_or(0, |before| ends[before]);
    let n_long = (0..ends.len()).filter(|group| ends[*group] - start(*group) > 2).count();
    for first in 0..ends.len() {
        let group = &digits[start(first)..ends[first]];
        let is_year = group.len() == 4 && (group.starts_with("19") || group.starts_with("20"));
        let is_of_date = is_year && n_long == 1;
        if group.len() >= MIN_RUN && !is_of_date && ends.len() > 1 {
            say(group);
        }
        for last in first + 1..ends.len().min(first + MAX_GROUPS) {
            let part = &digits[start(first)..ends[last]];
            if part.len() >= MIN_PART && part.len() < digits.len() {
                say(part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        runs(text, &mut |run| all.push(run.to_owned()));
        all
    }

    #[test]
    fn groups_make_one_number() {
        let cases = [
            ("4111 1111-1111.1111", "4111111111111111"),
            ("de89 3704 0044 0532 0130 00", "89370400440532013000"),
            ("call (555) 123-4567 now", "5551234567"),
            ("+49 (0)30/123 45 67", "490301234567"),
            ("call 555 1234 2 times", "5551234"),
            ("pay 10,000 now", "10000"),
            ("pay 1,234,567.50", "1234567"),
            ("in 2019 2020", "2020"),
            ("2026-11-26", "20261126"),
        ];
        for (text, expected) in cases {
            assert!(all(text).contains(&expected.to_owned()), "{text}: {:?}", all(text));
        }
    }

    #[test]
    fn what_is_short_or_apart_is_no_number() {
        for text in ["123", "12 3", "1, 2, 3, 4", "12:34", "12 -\n34", "a1b2c3d4", "12,34"] {
            assert_eq!(all(text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(all("2026-11-26"), ["20261126"], "a year of a date is no number");
    }
}
