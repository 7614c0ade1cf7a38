//! What somebody looks for, in plain words: nothing that can be typed is a mistake.
//!
//! All words are wanted, and where too little has all of them, any; what stands in quotes is wanted as it stands. There are no
//! operators. Start at [`Sought::parse`].

use super::words::{analyzed, analyzer};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use tantivy::Term;
use tantivy::query::{BooleanQuery, BoostQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};

/// Of a query, in bytes; the rest is not looked at.
const MAX_QUERY: usize = 2000;

/// Words and phrases of a query; the rest is not looked at.
const MAX_PARTS: usize = 32;

/// How much more a word counts in a file's name or a heading.
const TITLE_BOOST: f32 = 2.0;

/// How much words that stand side by side count beside the words themselves.
const NEIGHBOURS_BOOST: f32 = 0.5;

/// Words so far apart still stand side by side.
const SLOP: u32 = 3;

/// Words of a question that say nothing of what is looked for.
const QUESTION_WORDS: &str = "a about am an and any are as at be by can could did do does find for from had has have how i if in is \
it its me my not of on or our s search should show t tell that the their there these they this those to was we were what when \
where which who whom whose why will with would you your";

/// A query in parts: words, and phrases, of which the words stand at these places.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sought {
    parts: Vec<Vec<(usize, String)>>,
}

impl Sought {
    /// Reads what somebody typed. Without any words it finds nothing.
    pub(super) fn parse(text: &str) -> Self {
        let text = &text[..text.floor_char_boundary(MAX_QUERY)];
        let mut parts = Vec::new();
        // What stands between two quotes is a phrase. One without a partner is none.
        let pieces: Vec<&str> = text.split(['"', '“', '”', '„']).collect();
        let n_pieces = pieces.len();
        for (n, piece) in pieces.into_iter().enumerate() {
            let is_phrase = n % 2 == 1 && n + 1 < n_pieces;
            parts.extend(if is_phrase { vec![phrase(piece)] } else { loose(piece) });
        }
        let mut seen = BTreeSet::new();
        parts.retain(|part| !part.is_empty() && seen.insert(part.clone()));
        let says_something = |part: &Vec<(usize, String)>| part.len() > 1 || !STOP_WORDS.contains(&part[0].1);
        if parts.iter().any(says_something) {
            parts.retain(says_something);
        }
        parts.truncate(MAX_PARTS);
        Self { parts }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether to look for any of its words finds more than to look for all.
    pub(super) fn has_many(&self) -> bool {
        self.parts.len() > 1
    }

    /// Its words, each once.
    pub(super) fn words(&self) -> BTreeSet<&str> {
        self.parts.iter().flatten().map(|(_, word)| word.as_str()).collect()
    }

    /// Finds what has all parts, or any of them.
    pub(super) fn query(&self, title: Field, text: Field, all: bool) -> BooleanQuery {
        let occur = if all { Occur::Must } else { Occur::Should };
        let of_part = |part: &Vec<(usize, String)>| {
            let in_title = BoostQuery::new(in_field(title, part), TITLE_BOOST);
            let either: Vec<(Occur, Box<dyn Query>)> =
                vec![(Occur::Should, Box::new(in_title)), (Occur::Should, in_field(text, part))];
            (occur, Box::new(BooleanQuery::new(either)) as Box<dyn Query>)
        };
        let mut clauses: Vec<_> = self.parts.iter().map(of_part).collect();
        clauses.extend(self.neighbours(text).map(|query| (Occur::Should, query)));
        BooleanQuery::new(clauses)
    }

    /// Finds the words where they stand together in their order.
    fn neighbours(&self, field: Field) -> Option<Box<dyn Query>> {
        let words = self.parts.iter().filter(|part| part.len() == 1).enumerate();
        let terms: Vec<_> = words.map(|(n, part)| (n, Term::from_field_text(field, &part[0].1))).collect();
        (terms.len() > 1).then(|| {
            let phrase = PhraseQuery::new_with_offset_and_slop(terms, SLOP);
            Box::new(BoostQuery::new(Box::new(phrase), NEIGHBOURS_BOOST)) as _
        })
    }
}

fn in_field(field: Field, part: &[(usize, String)]) -> Box<dyn Query> {
    match part {
        [(_, word)] => Box::new(TermQuery::new(Term::from_field_text(field, word), IndexRecordOption::WithFreqs)),
        part => {
            let terms = part.iter().map(|(at, word)| (*at, Term::from_field_text(field, word)));
            Box::new(PhraseQuery::new_with_offset(terms.collect()))
        }
    }
}

/// The words of a text as one part, at their places from 0.
fn phrase(text: &str) -> Vec<(usize, String)> {
    let tokens = analyzed(&mut analyzer(true), text);
    let first = tokens.first().map_or(0, |token| token.position);
    tokens.into_iter().take(MAX_PARTS).map(|token| (token.position - first, token.text)).collect()
}

/// Each word of a text as a part of its own. Signs without spaces between them belong together.
fn loose(text: &str) -> Vec<Vec<(usize, String)>> {
    let mut parts: Vec<Vec<(usize, String)>> = Vec::new();
    let mut end = None;
    for token in analyzed(&mut analyzer(true), text) {
        match parts.last_mut() {
            // Two pairs that share a sign.
            Some(part) if end.is_some_and(|end| token.offset_from < end) => {
                let at = part[part.len() - 1].0 + 1;
                part.push((at, token.text));
            }
            _ => parts.push(vec![(0, token.text)]),
        }
        end = Some(token.offset_to);
    }
    for part in &mut parts {
        part.truncate(MAX_PARTS);
    }
    parts
}

/// The words that say nothing, cut as texts are.
static STOP_WORDS: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| analyzed(&mut analyzer(true), QUESTION_WORDS).into_iter().map(|token| token.text).collect());

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<String> {
        let of_part = |part: &Vec<(usize, String)>| {
            part.iter().map(|(at, word)| format!("{at}{word}")).collect::<Vec<_>>().join(" ")
        };
        Sought::parse(text).parts.iter().map(of_part).collect()
    }

    #[test]
    fn words_are_words_and_quotes_make_phrases() {
        for (text, expect) in [
            ("harbour keys", &["0harbour", "0key"][..]),
            ("where are the Harbour keys?", &["0harbour", "0key"]),
            ("\"Harbour keys\" door", &["0harbour 1key", "0door"]),
            ("“left the harbour”", &["0left 1the 2harbour"]),
            ("what is it", &["0what", "0is", "0it"]),
            ("boat's", &["0boat"]),
            ("notes.md", &["0note", "0md"]),
            ("東京都 猫", &["0東京 1京都", "0猫"]),
            ("key keys KEY", &["0key"]),
            ("", &[]),
            ("\"\" ???", &[]),
            // Nothing is an operator, and nothing is wrong.
            ("title:(a* OR \"b", &["0titl", "0b"]),
            ("+must -not ^2~ [a TO b] {x} \\ && || ! field:", &["0must", "02", "0b", "0x", "0field"]),
        ] {
            assert_eq!(parts(text), expect, "{text}");
        }
    }

    #[test]
    fn a_query_without_end_has_one() {
        let long = (0..5000).map(|n| format!("w{n} ")).collect::<String>();
        assert_eq!(Sought::parse(&long).parts.len(), MAX_PARTS);
        assert!(Sought::parse(&format!("\"{long}\"")).parts.iter().all(|part| part.len() <= MAX_PARTS));
        assert!(Sought::parse(&"京都".repeat(500)).parts.iter().all(|part| part.len() <= MAX_PARTS));
    }

    proptest::proptest! {
        #[test]
        fn everything_is_a_query(text in "(?s).{0,200}") {
            let sought = Sought::parse(&text);
            let field = Field::from_field_id(0);
            for all in [true, false] {
                let _ = sought.query(field, field, all);
            }
        }
    }
}
