//! Account numbers: the country's length, and the remainder 97 of ISO 7064. Groups may be parted by one space, dot or
//! dash. Start at [`find`].

use super::{Kind, Span};

/// Country and length, of the registry of SWIFT.
const LENGTHS: &str = "\
    AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18\
    FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24\
    ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28\
    TL23TN24TR26UA29VA22VG24XK20YE30";

/// All account numbers of the text.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    for at in 2..bytes.len().saturating_sub(1) {
        // The two check digits are rarer than the two letters.
        if !(bytes[at].is_ascii_digit() && bytes[at + 1].is_ascii_digit() && bytes[at - 1].is_ascii_alphabetic()) {
            continue;
        }
        let start = at - 2;
        let is_inner = start > 0 && bytes[start - 1].is_ascii_alphanumeric();
        if !bytes[start].is_ascii_alphabetic() || is_inner {
            continue;
        }
        if let Some(end) = length(&text[start..start + 2]).and_then(|length| end(text, start, length)) {
            spans.push(Span { start, end, kind: Kind::Iban });
        }
    }
}

fn length(country: &str) -> Option<usize> {
    let country = country.to_ascii_uppercase();
    (0..LENGTHS.len())
        .step_by(4)
        .find(|at| LENGTHS[*at..*at + 2] == country)
        .and_then(|at| LENGTHS[at + 2..at + 4].parse().ok())
}

/// Where the number that begins at `start` ends, if its checksum is right.
fn end(text: &str, start: usize, length: usize) -> Option<usize> {
    let mut digits = Vec::with_capacity(length);
    let mut is_parted = false;
    let mut end = start;
    for c in text[start..].chars() {
        if c.is_ascii_alphanumeric() {
            digits.push(c);
            is_parted = false;
        } else if !is_parted && matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '-' | '.') {
            is_parted = true;
        } else {
            return None;
        }
        end += c.len_utf8();
        if digits.len() == length {
            break;
        }
    }
    let is_whole = digits.len() == length && !text[end..].starts_with(|c: char| c.is_ascii_alphanumeric());
    (is_whole && remainder(&digits) == 1).then_some(end)
}

/// The remainder by 97, the first four moved to the end and letters counted from 10.
fn remainder(digits: &[char]) -> u32 {
    digits[4..]
        .iter()
        .chain(&digits[..4])
        .filter_map(|c| c.to_digit(36))
        .fold(0, |remainder, digit| (if digit < 10 { remainder * 10 } else { remainder * 100 } + digit) % 97)
}
