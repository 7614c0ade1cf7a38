//! Telephone numbers: international ones, the national forms of Germany, its neighbours, Britain and North America, and
//! any number after a word that says so.
//!
//! No dates, versions or sums: what has a decimal point, a currency or the order of a date is none. Numbers have no
//! checksum, so this is by form alone. Start at [`find`].

use super::number::{self, Group, MAX_GROUPS};
use super::{Kind, Span};

/// Digits of a number, the country's included (E.164).
const MAX_DIGITS: usize = 15;
/// With the zeros that are dialled before it.
const MAX_DIALLED: usize = MAX_DIGITS + 2;
/// Words before a number, in small letters.
const WORDS: [&str; 17] = [
    "tel",
    "telefon",
    "telephone",
    "phone",
    "mobile",
    "mobil",
    "handy",
    "fax",
    "whatsapp",
    "rufnummer",
    "call me at",
    "call me on",
    "my number is",
    "meine nummer ist",
    "handynummer",
    "telefonnummer",
    "phone number is",
];
/// Bytes before a number in which such a word counts.
const NEAR: usize = 24;
/// What a sum has before or after it.
const MONEY: [&str; 11] = ["€", "$", "£", "¥", "EUR", "USD", "CHF", "GBP", "Euro", "euro", "Dollar"];

/// All telephone numbers of the text.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    number::each(text, |groups| {
        let start = start(text, groups[0].start);
        let before = &text[..start];
        let is_announced = is_announced(before);
        if !(is_announced || may_begin(text, start, groups)) || is_money_or_joined(before) {
            return 0;
        }
        for n in (1..=groups.len()).rev() {
            if Number::new(text, start, &groups[..n]).is_some_and(|number| number.is_phone(is_announced)) {
                spans.push(Span { start, end: groups[n - 1].end, kind: Kind::Phone });
                return n;
            }
        }
        0
    });
}

/// With the `+` or `(` before the first digit.
fn start(text: &str, digits: usize) -> usize {
    let before = &text[..digits];
    let before = before.strip_suffix('(').unwrap_or(before);
    before.strip_suffix('+').unwrap_or(before).len()
}

/// Whether a number that no word announces can begin so: most do not, and need not be looked at.
fn may_begin(text: &str, start: usize, groups: &[Group]) -> bool {
    let first = groups[0].of(text);
    let follows = |n: usize, len: usize| groups.get(n).is_some_and(|group| group.len() == len);
    let is_dialled = |next: &Group| !next.of(text).starts_with('0');
    match first {
        "00" => groups.get(1).is_some_and(is_dialled),
        _ if first.starts_with('0') => first.len() >= 2,
        "1" if follows(1, 3) => true,
        _ => text[start..].starts_with('+') || first.len() == 3 && follows(1, 3),
    }
}

/// Whether what stands before makes it another thing: part of a word, of a larger number, or a sum.
fn is_money_or_joined(before: &str) -> bool {
    let mut chars = before.chars().rev();
    let is_joined = match chars.next() {
        Some(c) if c.is_alphanumeric() || c == '_' => true,
        Some('.' | ',' | '-' | '/' | ':') => chars.next().is_some_and(|c| c.is_alphanumeric()),
        Some('#') => true,
        _ => false,
    };
    let last_word = before.strip_suffix(' ').unwrap_or(before);
    is_joined || MONEY.iter().any(|money| last_word.ends_with(money))
}

/// A word that says what the number is stands close before it.
fn is_announced(before: &str) -> bool {
    let from = (before.len().saturating_sub(NEAR)..=before.len()).find(|at| before.is_char_boundary(*at)).unwrap_or(0);
    let near = &before[from..];
    // A number that comes between has taken the word for itself.
    let near = &near[near.rfind(|c: char| c.is_ascii_digit() || c == '\n').map_or(0, |at| at + 1)..];
    if near.trim().len() < 3 || !near.contains(char::is_alphabetic) {
        return false;
    }
    let near = near.to_lowercase();
    WORDS.iter().any(|word| {
        near.match_indices(word).any(|(at, _)| {
            let is_begun = !near[..at].ends_with(char::is_alphanumeric);
            is_begun && !near[at + word.len()..].starts_with(char::is_alphanumeric)
        })
    })
}

/// Groups of digits that may be one number.
struct Number<'a> {
    text: &'a str,
    groups: &'a [Group],
    /// The digits of all groups.
    digits: [u8; MAX_DIALLED],
    n_digits: usize,
    /// How many digits each group has.
    lens: [usize; MAX_GROUPS],
    has_plus: bool,
}

impl<'a> Number<'a> {
    /// `None` for what is too short or too long, goes on behind, is a decimal number or a sum.
    fn new(text: &'a str, start: usize, groups: &'a [Group]) -> Option<Self> {
        let last = groups.last()?;
        let n_digits: usize = groups.iter().map(|group| group.len()).sum();
        if !(6..=MAX_DIALLED).contains(&n_digits) || last.is_joined {
            return None;
        }
        let after = text[last.end..].trim_start_matches([' ', '\u{a0}']);
        if MONEY.iter().any(|money| after.starts_with(money)) {
            return None;
        }
        let mut number =
            Self { text, groups, digits: [0; _], n_digits, lens: [0; _], has_plus: text[start..].starts_with('+') };
        let mut at = 0;
        for (group, len) in groups.iter().zip(&mut number.lens) {
            *len = group.len();
            number.digits[at..at + *len].copy_from_slice(group.of(text).as_bytes());
            at += *len;
        }
        Some(number)
    }

    fn is_phone(&self, is_announced: bool) -> bool {
        let (digits, n_digits) = (self.digits(), self.n_digits);
        if self.has_plus && digits[0] != b'0' && (9..=MAX_DIGITS).contains(&n_digits) {
            return true;
        }
        if self.is_date() || digits.iter().all(|c| *c == digits[0]) {
            return false;
        }
        let is_dialled = digits.starts_with(b"00") && digits[2] != b'0' && n_digits >= 11;
        is_dialled && (self.groups.len() > 2 || self.lens[0] == 2 || n_digits >= 12)
            || self.is_national()
            || self.is_american()
            || is_announced && n_digits <= MAX_DIGITS && self.separators().all(|separator| separator != ".")
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..self.n_digits]
    }

    fn lens(&self) -> &[usize] {
        &self.lens[..self.groups.len()]
    }

    fn separators(&self) -> impl Iterator<Item = &str> {
        self.groups.windows(2).map(|pair| &self.text[pair[0].end..pair[1].start])
    }

    /// A zero, an area or a mobile net, and the number.
    fn is_national(&self) -> bool {
        let (digits, lens) = (self.digits(), self.lens());
        if digits[0] != b'0' || digits[1] == b'0' || !(9..=12).contains(&digits.len()) {
            return false;
        }
        if lens.len() == 1 {
            let is_mobile = matches!(digits, [b'0', b'1', b'5'..=b'7', ..]) && digits.len() >= 11;
            return is_mobile || digits[1] == b'7' && digits.len() == 11;
        }
        if lens == [2; 5] {
            let mut separators = self.separators();
            let first = separators.next();
            return separators.all(|separator| Some(separator) == first);
        }
        (2..=6).contains(&lens[0]) && self.separators().all(|separator| !separator.contains('.'))
    }

    /// Area, exchange and line, perhaps after a one.
    fn is_american(&self) -> bool {
        let (digits, lens) = match self.lens() {
            [1, rest @ ..] if self.digits[0] == b'1' => (&self.digits()[1..], rest),
            lens => (self.digits(), lens),
        };
        let is_code = |at: usize| digits.get(at).is_some_and(|c| matches!(c, b'2'..=b'9'));
        lens == [3, 3, 4] && is_code(0) && is_code(3) && self.separators().all(|separator| !separator.contains('/'))
    }

    /// Three groups in the order of a date among the first four.
    fn is_date(&self) -> bool {
        let is_year = |group: Group| {
            let digits = group.of(self.text);
            digits.len() == 4 && (digits.starts_with("19") || digits.starts_with("20"))
        };
        let within = |group: Group, to: u32| {
            group.len() <= 2 && group.of(self.text).parse::<u32>().is_ok_and(|n| (1..=to).contains(&n))
        };
        let is_day_and_month = |a, b| within(a, 31) && within(b, 12) || within(a, 12) && within(b, 31);
        self.groups.windows(3).take(2).any(|three| match three {
            [a, b, c] => is_year(*a) && is_day_and_month(*c, *b) || is_year(*c) && is_day_and_month(*a, *b),
            _ => false,
        })
    }
}
