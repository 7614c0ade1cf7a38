//! Takes personal data and secrets out of a text before it leaves the machine, and puts them back afterwards.
//!
//! What it is not: it reads no file, no environment and no clock, asks no model, and decides nothing: which kinds are
//! taken out is the policy's `redact`, and whether a text may leave at all is its label's. It finds values by their
//! form, so what has none (a story about somebody, a name that the program was not told) stays in the text.
//!
//! Start at [`Redactor::redact`]; what a placeholder is stands in `placeholder`, and each kind has a file of its own.

#[cfg(test)]
pub(crate) mod canary;
mod card;
mod email;
mod encoded;
mod iban;
mod ip;
mod key;
mod keyword;
mod kind;
mod known;
mod link;
mod number;
mod phone;
mod place;
mod placeholder;
#[cfg(test)]
mod properties;
mod restoring;
mod table;
#[cfg(test)]
mod tests;

pub use kind::{Kind, UnknownKind};
pub use known::Known;
pub use restoring::Restoring;
pub use table::Placeholders;

use super::Confidentiality;
use keyword::Keywords;
use known::Exact;
use place::Streets;
use placeholder::Scan;
use std::collections::BTreeSet;

/// Which kinds are taken out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(BTreeSet<Kind>);

impl Rules {
    /// All kinds.
    pub fn all() -> Self {
        Self(Kind::ALL.into())
    }

    /// The kinds of a policy's `redact`, by name.
    ///
    /// # Errors
    /// A name that is none; the error lists those that there are.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownKind> {
        names.into_iter().map(str::parse).collect::<Result<_, _>>().map(Self)
    }

    /// The kinds of both.
    pub fn joined(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).copied().collect())
    }

    /// Those of what is more confidential than this.
    pub fn above(&self, confidentiality: Confidentiality) -> Self {
        Self(self.0.iter().copied().filter(|kind| Confidentiality::of([*kind]) > confidentiality).collect())
    }

    /// Whether a kind is among them.
    pub fn has(&self, kind: Kind) -> bool {
        self.0.contains(&kind)
    }
}

impl FromIterator<Kind> for Rules {
    fn from_iter<T: IntoIterator<Item = Kind>>(kinds: T) -> Self {
        Self(kinds.into_iter().collect())
    }
}

/// Why there is no redactor; without one nothing may leave.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// The known values are too many or too long to be looked for at once.
    #[error("the known secrets cannot be looked for: name fewer or shorter ones")]
    Known(#[from] aho_corasick::BuildError),
    /// A rule of ours is wrong.
    #[error("a rule of redaction does not compile")]
    Rule(#[from] regex::Error),
}

/// Part of a text, in bytes, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
    kind: Kind,
}

/// A recogniser: adds what it finds in a text.
type Find<'a> = &'a dyn Fn(&str, &mut Vec<Span>);

/// A value that was taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// What stands in its place, such as `⟦EMAIL_1⟧`.
    pub placeholder: String,
}

/// A text without the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// With placeholders.
    pub text: String,
    /// Each value once, in the text's order.
    pub found: Vec<Found>,
}

/// Finds values. Made once for a policy, used for every text.
#[derive(Debug)]
pub struct Redactor {
    rules: Rules,
    exact: Exact,
    keywords: Keywords,
    streets: Streets,
}

impl Redactor {
    /// A redactor of these kinds that knows these values.
    ///
    /// # Errors
    /// Known values without any measure.
    pub fn new(rules: Rules, known: &Known) -> Result<Self, RedactError> {
        let exact = Exact::new(known, |kind| rules.has(kind))?;
        Ok(Self { rules, exact, keywords: Keywords::new()?, streets: Streets::new()? })
    }

    /// The text with a placeholder for each value, which `table` remembers.
    ///
    /// For text as a person or a file has it: a placeholder in it is taken for one that somebody wrote, and gets a
    /// placeholder itself, so that restoring gives back exactly the text. Do not redact what was redacted. Takes time
    /// in proportion to the text.
    pub fn redact(&self, text: &str, table: &mut Placeholders) -> Redacted {
        let mut redacted = String::with_capacity(text.len());
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let mut at = 0;
        for span in self.spans(text) {
            let number = table.number(span.kind, &text[span.start..span.end]);
            let placeholder = placeholder::write(span.kind, number);
            redacted.push_str(&text[at..span.start]);
            redacted.push_str(&placeholder);
            if seen.insert((span.kind, number)) {
                found.push(Found { kind: span.kind, placeholder });
            }
            at = span.end;
        }
        redacted.push_str(&text[at..]);
        Redacted { text: redacted, found }
    }

    /// What is taken out, in order. Values that overlap are one, of the greater kind: no part of either is left.
    fn spans(&self, text: &str) -> Vec<Span> {
        let mut spans = self.plain(text);
        encoded::find(text, &|text| self.plain(text), &mut spans);
        lookalikes(text, &mut spans);
        spans.sort_unstable_by_key(|span| (span.start, span.end));
        let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut().filter(|last| span.start < last.end) {
                Some(last) => {
                    last.end = last.end.max(span.end);
                    last.kind = last.kind.max(span.kind);
                }
                None => merged.push(span),
            }
        }
        merged
    }

    /// What is recognised in the text as it stands, in any order.
    fn plain(&self, text: &str) -> Vec<Span> {
        let mut spans = Vec::new();
        self.exact.find(text, &mut spans);
        let recognisers: [(Kind, Find<'_>); 9] = [
            (Kind::ApiKey, &key::find),
            (Kind::ApiKey, &|text, spans| self.keywords.find(text, spans)),
            (Kind::Email, &email::find),
            (Kind::Iban, &iban::find),
            (Kind::Card, &card::find),
            (Kind::Phone, &phone::find),
            (Kind::Ip, &ip::find),
            (Kind::Address, &|text, spans| self.streets.find(text, spans)),
            (Kind::Home, &place::homes),
        ];
        for (kind, find) in recognisers {
            if self.rules.has(kind) {
                find(text, &mut spans);
            }
        }
        spans
    }
}

/// What would be restored though it stands for nothing.
fn lookalikes(text: &str, spans: &mut Vec<Span>) {
    for (start, _) in text.match_indices(placeholder::FIRST) {
        if let Scan::Whole { len, .. } = placeholder::scan(&text[start..]) {
            spans.push(Span { start, end: start + len, kind: Kind::Text });
        }
    }
}

/// Whether the text ends with this word, and not with a longer one. Small and capital ASCII letters are the same.
fn ends_with_word(text: &str, word: &str) -> bool {
    let Some(at) = text.len().checked_sub(word.len()).filter(|at| text.is_char_boundary(*at)) else { return false };
    text[at..].eq_ignore_ascii_case(word) && !text[..at].ends_with(char::is_alphanumeric)
}
