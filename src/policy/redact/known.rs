//! Values that the program knows to be the user's: secrets of the environment in every usual encoding, the names of the
//! user and of the machine, and the home folder.
//!
//! It reads no environment: `config` does, and hands them in as [`Known`]. Start at [`Exact::find`].

use super::{Kind, Span, ends_with_word};
use aho_corasick::{AhoCorasick, BuildError};
use base64::Engine;
use base64::alphabet;
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};
use std::fmt;

/// What the program knows of its user and their machine.
#[derive(Clone, Default)]
pub struct Known {
    /// Values of variables whose names contain KEY, SECRET, TOKEN or PASSWORD, and the like.
    pub secrets: Vec<String>,
    /// Login and full name.
    pub users: Vec<String>,
    /// The home folder, absolute.
    pub home: Option<String>,
    /// The machine's name.
    pub host: Option<String>,
}

impl fmt::Debug for Known {
    /// Without the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known({} secrets, {} names)", self.secrets.len(), self.users.len())
    }
}

/// Bytes of the shortest secret: `true` is a value of many variables, and of nobody's secret.
const MIN_SECRET: usize = 6;
/// Bytes of the shortest encoded part that is looked for.
const MIN_PART: usize = 8;
/// Characters of the shortest name.
const MIN_NAME: usize = 3;
/// Names that say nothing of anybody, in small letters.
const NOBODY: [&str; 14] = [
    "root",
    "user",
    "admin",
    "ubuntu",
    "debian",
    "guest",
    "nobody",
    "runner",
    "vscode",
    "node",
    "localhost",
    "docker",
    "public",
    "shared",
];

/// How a value must stand in a text to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// Anywhere.
    Anywhere,
    /// In base64, with what stands around it in the same code.
    Encoded,
    /// As a folder: its name must not go on.
    Folder,
    /// As a whole word.
    Word,
}

/// All known values, looked for at once.
pub(super) struct Exact {
    cased: AhoCorasick,
    cased_as: Vec<(Kind, Stand)>,
    words: AhoCorasick,
    words_as: Vec<(Kind, Stand)>,
}

impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exact({})", self.cased_as.len() + self.words_as.len())
    }
}

impl Exact {
    pub(super) fn new(known: &Known, is_on: impl Fn(Kind) -> bool) -> Result<Self, BuildError> {
        let mut cased: Vec<(String, Kind, Stand)> = Vec::new();
        for secret in known.secrets.iter().map(|secret| secret.trim()).filter(|secret| secret.len() >= MIN_SECRET) {
            cased.extend(forms(secret).into_iter().map(|(form, stand)| (form, Kind::Secret, stand)));
        }
        let home = known.home.as_deref().map(|home| home.trim_end_matches(['/', '\\']));
        if let Some(home) = home.filter(|home| home.len() >= 4 && *home != "/root") {
            cased.push((home.to_owned(), Kind::Home, Stand::Folder));
            cased.push((home.replace('\\', "\\\\"), Kind::Home, Stand::Folder));
        }
        let users = known.users.iter().map(|name| (name.trim(), Kind::User));
        let hosts = known.host.iter().map(|name| (name.trim(), Kind::Host));
        let names = users.chain(hosts);
        let is_name = |name: &str| name.chars().count() >= MIN_NAME && !NOBODY.contains(&name.to_lowercase().as_str());
        let mut words: Vec<(String, Kind, Stand)> =
            names.filter(|(name, _)| is_name(name)).map(|(name, kind)| (name.to_owned(), kind, Stand::Word)).collect();
        cased.retain(|(_, kind, _)| is_on(*kind));
        words.retain(|(_, kind, _)| is_on(*kind));
        let how = |values: &[(String, Kind, Stand)]| values.iter().map(|(_, kind, stand)| (*kind, *stand)).collect();
        Ok(Self {
            cased: AhoCorasick::new(cased.iter().map(|(text, ..)| text))?,
            words: AhoCorasick::builder().ascii_case_insensitive(true).build(words.iter().map(|(text, ..)| text))?,
            cased_as: how(&cased),
            words_as: how(&words),
        })
    }

    /// All known values of the text.
    pub(super) fn find(&self, text: &str, spans: &mut Vec<Span>) {
        // Up to where a run of base64 has been taken already.
        let mut taken = 0;
        for (automaton, stands) in [(&self.cased, &self.cased_as), (&self.words, &self.words_as)] {
            if stands.is_empty() {
                continue;
            }
            for found in automaton.find_overlapping_iter(text) {
                let Some((kind, stand)) = stands.get(found.pattern().as_usize()).copied() else { continue };
                let (mut start, mut end) = (found.start(), found.end());
                match stand {
                    Stand::Anywhere => {}
                    Stand::Encoded if start < taken => continue,
                    Stand::Encoded => {
                        let is_code = |c: &u8| c.is_ascii_alphanumeric() || b"+/=_-".contains(c);
                        start -= text.as_bytes()[..start].iter().rev().take_while(|c| is_code(c)).count();
                        end += text.as_bytes()[end..].iter().take_while(|c| is_code(c)).count();
                        taken = end;
                    }
                    Stand::Folder => {
                        let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
                        if text[end..].starts_with(goes_on) {
                            continue;
                        }
                    }
                    Stand::Word => {
                        let is_whole = ends_with_word(&text[..end], &text[start..end]);
                        if !is_whole || text[end..].starts_with(char::is_alphanumeric) {
                            continue;
                        }
                    }
                }
                spans.push(Span { start, end, kind });
            }
        }
    }
}

/// A secret as it is, and as it looks in JSON, in hexadecimal, in a URL, and in base64 wherever it begins there.
fn forms(secret: &str) -> Vec<(String, Stand)> {
    let hex = |upper: bool| -> String {
        secret.bytes().map(|c| if upper { format!("{c:02X}") } else { format!("{c:02x}") }).collect()
    };
    let percent = |upper: bool, space: &str| -> String {
        let one = |c: u8| match c {
            b' ' => space.to_owned(),
            c if c.is_ascii_alphanumeric() || b"-._~".contains(&c) => char::from(c).to_string(),
            c if upper => format!("%{c:02X}"),
            c => format!("%{c:02x}"),
        };
        secret.bytes().map(one).collect()
    };
    let json = serde_json::Value::from(secret).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let mut forms = vec![
        secret.to_owned(),
        json,
        hex(true),
        hex(false),
        percent(true, "%20"),
        percent(false, "%20"),
        percent(true, "+"),
    ];
    forms.sort();
    forms.dedup();
    let mut forms: Vec<_> = forms.into_iter().map(|form| (form, Stand::Anywhere)).collect();
    for alphabet in [&alphabet::STANDARD, &alphabet::URL_SAFE] {
        let code = GeneralPurpose::new(alphabet, NO_PAD);
        for n_before in 0..3 {
            let bytes = [&[0; 2][..n_before.min(2)], secret.as_bytes()].concat();
            // Only the characters that hang on nothing but the secret.
            let (from, to) = ((8 * n_before).div_ceil(6), 8 * bytes.len() / 6);
            let text = code.encode(&bytes);
            let part = text.get(from..to).unwrap_or_default();
            if part.len() >= MIN_PART {
                forms.push((part.to_owned(), Stand::Encoded));
            }
        }
    }
    forms
}
