//! Whose words a call is made of: what a model has read in a session, and what of a call's arguments is taken from it.
//!
//! A model reads pages, foreign files and answers of servers, then makes a call. **An argument is untrusted if,
//! normalised, it shares with strangers' text, and not with the user's own words,**
//! - an identifier: a URL (the whole, its host or a name below that host, its path of six characters or more); an
//!   e-mail address (the whole, its domain); a path of a file (the whole, of two parts or more; the name at its end,
//!   with an ending and of six characters or more); four digits or more in a run, in whatever groups (joined over a
//!   space, `-`, `.`, `/` and brackets between groups, and over the comma of thousands); a word of five characters or
//!   more that has letters and digits, or letters and `_`, `-`, `@` or `#`; or
//! - four words in a row; in scripts without spaces, six signs in a row; or
//! - the whole of it, if it is a string of two or three words only (of three to five such signs). One plain word is
//!   never enough: it would taint everything.
//!
//! Normalised is: NFKC, lower case, without invisible characters, one kind of dashes, quotes and spaces. Percent signs,
//! entities of HTML and escapes of JSON are also decoded, and what is found in any of these readings counts.
//!
//! What it is not: it sees no translation, no paraphrase, no base64, no `mallory at evil dot example`, no letters of
//! other scripts that look alike, and it reads tags of HTML as words. What it finds is a reason to ask; what it does
//! not find is no proof. It keeps hashes, never text, and decides nothing: the policy's rules do. Start at
//! [`Readings::judge`]; `fingerprint` knows what an identifier is.

mod fingerprint;
mod normal;
mod numbers;
#[cfg(test)]
mod tests;

use super::Label;
use fingerprint::{Eye, Rows};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// Fingerprints of strangers that a session remembers; with the user's they are less than two million. What a table of
/// 2²¹ places holds, 34 MiB, so that the last one does not double it.
const MAX_STRANGERS: usize = 7 << 18;
/// Fingerprints of the user's, in a table of their own that no stranger can fill.
const MAX_OWN: usize = 7 << 14;
/// Sources that are remembered by name, and the bytes of a name.
const MAX_SOURCES: usize = 256;
const MAX_SOURCE_LEN: usize = 256;
/// Who the rest are, and whose everything is once there is no room.
const OTHERS: &str = "others";
/// Arguments that are named to a person.
const MAX_NAMED: usize = 32;

/// What has been read in a session, by whose words it is: strangers', by source, and the user's own.
///
/// It remembers a fingerprint, a 64-bit SipHash, of each identifier and row of words, under keys of its own, so that no
/// stranger can make a text that collides with the user's. Once there was no room for all that strangers said, every
/// argument with any fingerprint that is not the user's own is untrusted.
#[derive(Clone, Default)]
pub struct Readings {
    keys: RandomState,
    own: HashSet<u64, Hashed>,
    strangers: HashMap<u64, u16, Hashed>,
    /// By index; one past the end is [`OTHERS`].
    sources: Vec<String>,
    is_full: bool,
}

impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readings")
            .field("n_own", &self.own.len())
            .field("n_strangers", &self.strangers.len())
            .field("sources", &self.sources)
            .field("is_full", &self.is_full)
            .finish_non_exhaustive()
    }
}

/// What of a call's arguments strangers wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taint {
    /// Of all arguments together.
    pub label: Label,
    /// Which they are, for people: the first 32.
    pub arguments: Vec<Tainted>,
}

/// An argument that is made of strangers' words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tainted {
    /// Its JSON pointer, `/to/0`; empty for what only all arguments together say.
    pub argument: String,
    /// Whose words.
    pub sources: Vec<String>,
}

static TRUSTED: Taint = Taint { label: Label::TRUSTED, arguments: Vec::new() };

impl Taint {
    /// Nothing is a stranger's.
    pub fn trusted() -> &'static Self {
        &TRUSTED
    }

    /// That all of them are from this source.
    pub fn of_all(source: &str) -> Self {
        let sources = vec![source.to_owned()];
        Self { label: Label::untrusted(source), arguments: vec![Tainted { argument: String::new(), sources }] }
    }
}

impl fmt::Display for Tainted {
    /// `` `to/0` from browser.open``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.argument.strip_prefix('/') {
            Some(name) => write!(f, "`{name}`")?,
            None => f.write_str("the arguments together")?,
        }
        write!(f, " from {}", self.sources.join(", "))
    }
}

impl Readings {
    /// The user's words, or the program's, such as the names of a tool's arguments: what is in them is not untrusted,
    /// whoever else says it.
    pub fn own(&mut self, text: &str) {
        let Self { keys, own, .. } = self;
        each_print(text, keys, Eye::Wide, &mut |print| {
            if own.len() < MAX_OWN || own.contains(&print) {
                own.insert(print);
            }
        });
    }

    /// The words of what `source` names, such as `browser.open`. The first source of each is remembered. Takes time in
    /// proportion to the text.
    pub fn strangers(&mut self, source: &str, text: &str) {
        let source = self.source(source);
        let Self { keys, strangers, is_full, .. } = self;
        each_print(text, keys, Eye::Narrow, &mut |print| {
            if strangers.len() < MAX_STRANGERS {
                strangers.entry(print).or_insert(source);
            } else if !strangers.contains_key(&print) {
                *is_full = true;
            }
        });
    }

    /// Whose words the arguments are: each string and key in them, each number, and all strings together in their
    /// order, with and without spaces between, for a text can be cut in pieces.
    pub fn judge(&self, arguments: &Value) -> Taint {
        let mut taint = Taint::default();
        if self.strangers.is_empty() {
            return taint;
        }
        let mut known = BTreeSet::new();
        let mut strings = Vec::new();
        walk(arguments, &mut |pointer, text, is_string| {
            let sources = self.sources_of(text);
            self.add(&mut taint, pointer, &sources);
            known.extend(sources);
            if is_string {
                strings.push(text.to_owned());
            }
        });
        if strings.len() > 1 {
            let mut together = self.sources_of(&strings.join(" "));
            together.extend(self.sources_of(&strings.concat()));
            self.add(&mut taint, "", &(&together - &known));
        }
        taint
    }

    /// Writes down that an argument is theirs.
    fn add(&self, taint: &mut Taint, pointer: &str, sources: &BTreeSet<u16>) {
        let name = |source: &u16| self.sources.get(usize::from(*source)).map_or(OTHERS, String::as_str);
        let names: Vec<String> = sources.iter().map(name).map(str::to_owned).collect();
        names.iter().for_each(|name| taint.label.join(&Label::untrusted(name)));
        if names.is_empty() {
            return;
        }
        let has_room = taint.arguments.len() < MAX_NAMED;
        match taint.arguments.last_mut() {
            // A key and its value have one pointer.
            Some(last) if last.argument == pointer => {
                let new: Vec<String> = names.into_iter().filter(|name| !last.sources.contains(name)).collect();
                last.sources.extend(new);
            }
            _ if has_room => taint.arguments.push(Tainted { argument: pointer.to_owned(), sources: names }),
            _ => {}
        }
    }

    /// Who wrote a text's fingerprints that the user did not.
    fn sources_of(&self, text: &str) -> BTreeSet<u16> {
        let mut sources = BTreeSet::new();
        for reading in normal::readings(text) {
            fingerprint::identifiers(&reading, Eye::Wide, &mut |name| {
                let print = hash(&self.keys, name);
                if self.own.contains(&print) {
                    return;
                }
                sources.extend(self.source_of(print));
                let above = fingerprint::above(name).map(|host| hash(&self.keys, host));
                sources.extend(
                    above.filter(|print| self.strangers.contains_key(print)).filter_map(|print| self.source_of(print)),
                );
            });
            let words = fingerprint::words(&reading, &self.keys);
            fingerprint::rows(&words, &self.keys, Rows::OfArgument, &mut |print| sources.extend(self.source_of(print)));
        }
        sources
    }

    /// The stranger whose print it is.
    fn source_of(&self, print: u64) -> Option<u16> {
        let source = self.strangers.get(&print).copied().or(self.is_full.then_some(u16::MAX))?;
        (!self.own.contains(&print)).then_some(source)
    }

    /// The index of a source's name.
    fn source(&mut self, name: &str) -> u16 {
        let end = name.floor_char_boundary(MAX_SOURCE_LEN);
        let name = &name[..end];
        let known = self.sources.iter().position(|source| source == name);
        let idx = known.unwrap_or_else(|| {
            if self.sources.len() < MAX_SOURCES {
                self.sources.push(name.to_owned());
                self.sources.len() - 1
            } else {
                MAX_SOURCES
            }
        });
        u16::try_from(idx).unwrap_or(u16::MAX)
    }
}

/// Says each fingerprint of a text, in all its readings.
fn each_print(text: &str, keys: &RandomState, eye: Eye, say: &mut dyn FnMut(u64)) {
    for reading in normal::readings(text) {
        fingerprint::identifiers(&reading, eye, &mut |name| say(hash(keys, name)));
        fingerprint::rows(&fingerprint::words(&reading, keys), keys, Rows::Every, say);
    }
}

/// An identifier's hash; no row of words has it.
fn hash(keys: &RandomState, identifier: &str) -> u64 {
    keys.hash_one((identifier, "identifier"))
}

/// A step of [`walk`].
enum Step<'a> {
    Enter(Option<Place<'a>>, &'a Value),
    /// Back to a pointer of so many bytes.
    Leave(usize),
}

enum Place<'a> {
    Key(&'a str),
    Index(usize),
}

/// Says each string, key and number with its pointer, in their order, and whether it is a string. It keeps a stack of
/// its own, for a value may be nested deeper than the program's stack allows.
fn walk(value: &Value, say: &mut dyn FnMut(&str, &str, bool)) {
    let mut pointer = String::new();
    let mut steps = vec![Step::Enter(None, value)];
    while let Some(step) = steps.pop() {
        let (place, value) = match step {
            Step::Enter(place, value) => (place, value),
            Step::Leave(len) => {
                pointer.truncate(len);
                continue;
            }
        };
        steps.push(Step::Leave(pointer.len()));
        match place {
            Some(Place::Key(key)) => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                say(&pointer, key, false);
            }
            Some(Place::Index(idx)) => pointer.push_str(&format!("/{idx}")),
            None => {}
        }
        match value {
            Value::String(text) => say(&pointer, text, true),
            Value::Number(number) => say(&pointer, &number.to_string(), false),
            Value::Array(items) => {
                let items = items.iter().enumerate().rev();
                steps.extend(items.map(|(idx, item)| Step::Enter(Some(Place::Index(idx)), item)));
            }
            Value::Object(members) => {
                let members = members.iter().rev();
                steps.extend(members.map(|(key, member)| Step::Enter(Some(Place::Key(key)), member)));
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
}

/// Takes a fingerprint for its own hash: it is one.
#[derive(Clone, Copy, Debug, Default)]
struct Print(u64);

type Hashed = BuildHasherDefault<Print>;

impl Hasher for Print {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, print: u64) {
        self.0 = print;
    }
}
