//! How far a JSON text has come, byte for byte: strings, numbers, what is open. The grammar has checked its form; this sees what
//! no grammar does: how long something goes on, keys that stand twice, numbers that programs read differently. Start at
//! [`Json::push`].

use crate::harmony::Caps;

/// Digits of a number, its exponent's aside: all that a 64-bit float keeps.
const MAX_DIGITS: usize = 15;
/// Digits of an exponent.
const MAX_EXPONENT_DIGITS: usize = 2;
/// Brackets within brackets; readers stop at about twice that.
const MAX_DEPTH: usize = 64;

#[derive(Clone, Default)]
pub(super) struct Json {
    pub(super) is_in_string: bool,
    is_escaped: bool,
    is_in_number: bool,
    /// Of the string or the number that is open.
    n_tokens: usize,
    n_digits: usize,
    /// Digits of the exponent, once there is one.
    n_exponent: Option<usize>,
    open: Vec<Open>,
    /// The key that is being written.
    key: Option<Vec<u8>>,
    is_spoilt: bool,
}

/// A bracket that is open.
#[derive(Clone)]
enum Open {
    Array { n_commas: usize },
    Object { keys: Vec<Vec<u8>>, expects_key: bool },
}

impl Json {
    pub(super) fn push(&mut self, token: &[u8]) {
        self.n_tokens += 1;
        for &byte in token {
            if self.is_in_string { self.push_in_string(byte) } else { self.push_between(byte) }
        }
    }

    fn push_in_string(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' => self.is_escaped = true,
            b'"' => {
                self.is_in_string = false;
                if let (Some(key), Some(Open::Object { keys, .. })) = (self.key.take(), self.open.last_mut()) {
                    // Each character has one spelling (see `schema::prepare`), so equal keys are equal bytes.
                    self.is_spoilt |= keys.contains(&key);
                    keys.push(key);
                }
                return;
            }
            _ => {}
        }
        if let Some(key) = &mut self.key {
            key.push(byte);
        }
    }

    fn push_between(&mut self, byte: u8) {
        match (byte, self.open.last_mut()) {
            (b'"', inside) => {
                (self.is_in_string, self.n_tokens) = (true, 0);
                if let Some(Open::Object { expects_key: expects_key @ true, .. }) = inside {
                    *expects_key = false;
                    self.key = Some(Vec::new());
                }
            }
            (b'{', _) => self.open.push(Open::Object { keys: Vec::new(), expects_key: true }),
            (b'[', _) => self.open.push(Open::Array { n_commas: 0 }),
            (b'}' | b']', _) => drop(self.open.pop()),
            (b',', Some(Open::Array { n_commas })) => *n_commas += 1,
            (b',', Some(Open::Object { expects_key, .. })) => *expects_key = true,
            _ => {}
        }
        // The letters of `true`, `false` and `null` follow no digit.
        let goes_on =
            matches!(byte, b'0'..=b'9' | b'-') || (self.is_in_number && matches!(byte, b'+' | b'.' | b'e' | b'E'));
        if goes_on && !self.is_in_number {
            (self.n_tokens, self.n_digits, self.n_exponent) = (0, 0, None);
        }
        self.is_in_number = goes_on;
        match (byte, &mut self.n_exponent) {
            (b'e' | b'E', n_exponent) if goes_on => *n_exponent = Some(0),
            (b'0'..=b'9', Some(n_digits)) => *n_digits += 1,
            (b'0'..=b'9', None) => self.n_digits += 1,
            _ => {}
        }
        self.is_spoilt |= self.n_digits > MAX_DIGITS || self.n_exponent.is_some_and(|n| n > MAX_EXPONENT_DIGITS);
    }

    /// Whether the text would come to hold a key twice, or a number that is not exact, with these bytes.
    pub(super) fn is_spoilt_by(&self, token: &[u8]) -> bool {
        let mut after = self.clone();
        after.push(token);
        after.is_spoilt
    }

    pub(super) fn is_full(&self, caps: &Caps) -> bool {
        if self.is_in_string {
            return self.n_tokens >= caps.string;
        }
        (self.is_in_number && self.n_tokens >= caps.number)
            || self.open.len() >= MAX_DEPTH
            || matches!(self.open.last(), Some(Open::Array { n_commas }) if n_commas + 1 >= caps.n_items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_grammar_sees() {
        for (text, next, expected) in [
            (r#"{"a": 1, "a"#, "\"", true),
            (r#"{"a": 1, "b"#, "\"", false),
            (r#"{"a": {"a"#, "\"", false),
            (r#"{"a": ["a", "a"#, "\"", false),
            (r#"{"a\"": 1, "a\""#, "\"", true),
            (r#"{"x": [{"a": 1}, {"a"#, "\"", false),
            ("[1e", "999", true),
            ("[1e", "99", false),
            ("[1e5, 123", "456", false),
            ("[123456789", "0123456789", true),
            ("[\"123456789", "0123456789", false),
        ] {
            let mut json = Json::default();
            json.push(text.as_bytes());
            assert_eq!(json.is_spoilt_by(next.as_bytes()), expected, "{text} {next}");
        }
    }
}
