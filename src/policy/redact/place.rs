//! Where people live: streets with a number, and home folders with a name in them.
//!
//! Streets are found in German and English only, by the words that end their names; a town alone is none. Start at
//! [`Streets::find`].

use super::{Kind, Span};
use regex::Regex;

/// Bytes of the longest name of a home folder.
const MAX_NAME: usize = 64;
/// Names of home folders that are nobody's, in small letters.
const NOBODY: [&str; 10] =
    ["shared", "public", "default", "user", "username", "runner", "ubuntu", "vscode", "node", "you"];

/// Bytes before and after the word that ends a street's name in which the rest of the address is looked for.
const NEAR: usize = 96;
/// Bytes of the shortest name before `straße`: `Weg 3` alone is none.
const MIN_STEM: usize = 3;

/// The compiled forms of streets: the word that ends the name, which is rare, is looked for first.
#[derive(Debug)]
pub(super) struct Streets {
    german: Regex,
    english: Regex,
    /// What may follow an English street.
    unit: Regex,
    number: Regex,
}

impl Streets {
    pub(super) fn new() -> Result<Self, regex::Error> {
        // Words' boundaries are those of ASCII: the others make the automaton slow where a text is not in ASCII.
        let end =
            "(?i:stra(?:ß|ss)e|str\\.|gasse|allee|weg|platz|ufer|damm|chaussee|graben|steig)|(?-u:\\b)(?:Markt|Ring)";
        let town = "(?:,?\\s{1,2}(?:D-|A-|CH-)?[0-9]{4,5}\\s[A-ZÄÖÜ][a-zäöüß-]{1,24})?";
        let german =
            format!("(?:{end})\\s[0-9]{{1,4}}(?:\\s?[a-h](?-u:\\b))?(?:\\s?[-/]\\s?[0-9]{{1,4}})?(?-u:\\b){town}");
        let kind = "Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Square|Sq|Terrace|Parkway|Pkwy|\
                    Crescent";
        let unit = "^\\.?(?:\\s(?:NE|NW|SE|SW|N|S|E|W)(?-u:\\b))?\
                    (?:,\\s(?:Apt|Suite|Unit|Flat)\\.?\\s[0-9A-Za-z]{1,5})?\
                    (?:,\\s[A-Z][a-z]{1,24}(?:\\s[A-Z][a-z]{1,24})?,\\s[A-Z]{2}\\s[0-9]{5})?";
        Ok(Self {
            german: Regex::new(&german)?,
            english: Regex::new(&format!("\\s(?:{kind})(?-u:\\b)"))?,
            unit: Regex::new(unit)?,
            number: Regex::new("^[0-9]{1,5}[A-Za-z]?$")?,
        })
    }

    /// All streets with a number of the text.
    pub(super) fn find(&self, text: &str, spans: &mut Vec<Span>) {
        for found in self.german.find_iter(text) {
            if let Some(start) = german_name(text, found.start(), found.as_str()) {
                spans.push(Span { start, end: found.end(), kind: Kind::Address });
            }
        }
        for found in self.english.find_iter(text) {
            if let Some(start) = self.english_number(text, found.start()) {
                let after = &text[found.end()..near_end(text, found.end())];
                let unit = self.unit.find(after).map_or(0, |unit| unit.end());
                spans.push(Span { start, end: found.end() + unit, kind: Kind::Address });
            }
        }
    }

    /// Where the number is that one to four words in capitals part from the place: `221B Baker`.
    fn english_number(&self, text: &str, end: usize) -> Option<usize> {
        let mut start = end;
        for n_words in 0..=4 {
            let word = word_before(text, start);
            if n_words > 0 && self.number.is_match(word) {
                return Some(start - word.len());
            }
            if !word.starts_with(char::is_uppercase) || !text[..start - word.len()].ends_with(' ') {
                return None;
            }
            start -= word.len() + 1;
        }
        None
    }
}

/// Where the name begins that ends with what was found: `Linden|straße 5`, `Lange |Straße 5`, `Am |Markt 3`.
fn german_name(text: &str, end: usize, found: &str) -> Option<usize> {
    let stem =
        word_before(text, end).rsplit(|c: char| !c.is_alphabetic() && c != '-' && c != '.').next().unwrap_or_default();
    let is_alone = found.starts_with(char::is_uppercase);
    if !is_alone || !stem.is_empty() {
        let start = end - stem.len();
        return (stem.len() >= MIN_STEM && stem.starts_with(char::is_uppercase)).then_some(start);
    }
    let before = text[..end].strip_suffix([' ', '-'])?;
    let name = word_before(text, before.len());
    name.starts_with(char::is_uppercase).then(|| before.len() - name.len())
}

/// The word that ends at a place, of at most [`NEAR`] bytes.
fn word_before(text: &str, end: usize) -> &str {
    let from = (end.saturating_sub(NEAR)..=end).find(|at| text.is_char_boundary(*at)).unwrap_or(end);
    let is_inside = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '\'');
    let start = text[from..end].rfind(|c| !is_inside(c)).map(|at| from + at);
    start.map_or(&text[from..end], |at| &text[at + text[at..].chars().next().map_or(0, char::len_utf8)..end])
}

fn near_end(text: &str, from: usize) -> usize {
    (from..=(from + NEAR).min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(from)
}

/// All home folders of the text, up to the name and with it: `/home/anna`, `/Users/anna`, `C:\Users\anna`.
pub(super) fn homes(text: &str, spans: &mut Vec<Span>) {
    for folder in ["/home/", "/Users/", "\\Users\\", "\\\\Users\\\\", "/c/Users/"] {
        for (at, _) in text.match_indices(folder) {
            let before = &text[..at];
            let is_drive = |drive: &str| drive.ends_with(|c: char| c.is_ascii_alphabetic());
            let start = match before.strip_suffix(':').filter(|drive| is_drive(drive)) {
                Some(drive) => drive.len() - 1,
                // A part of a longer path, or of a URL.
                None if before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-')) => continue,
                None => at,
            };
            let rest = &text[at + folder.len()..];
            let is_inside = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
            let len: usize = rest.chars().take(MAX_NAME).take_while(is_inside).map(char::len_utf8).sum();
            let name = rest[..len].trim_end_matches(['.', '-']);
            if !name.is_empty() && !NOBODY.contains(&name.to_lowercase().as_str()) {
                spans.push(Span { start, end: at + folder.len() + name.len(), kind: Kind::Home });
            }
        }
    }
}
