//! Pages cut into passages: what is found is a passage, and the best line in it is where a page is opened.
//!
//! A whole file would be found by words that stand far apart, and a line by too few. Start at [`passages`].

/// In bytes: what a passage has at least before a paragraph may end it, and at most, but for one line that is longer still.
const MIN_PASSAGE: usize = 600;
const MAX_PASSAGE: usize = 1500;

/// In bytes: longer lines are cut.
const MAX_LINE: usize = 4000;

/// In bytes, of a heading above a passage.
const MAX_HEADING: usize = 200;

/// Lines that stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    /// The line of the page with which it begins, from 0.
    pub(super) line: usize,
    /// Its lines, without the marks of links.
    pub(super) text: String,
    /// The heading that it stands under.
    pub(super) heading: String,
}

/// The passages of a page's text, in order. Each word of it is in one of them.
pub(super) fn passages(text: &str) -> Vec<Passage> {
    let mut passages = Vec::new();
    let mut heading = String::new();
    let mut open = Passage { line: 0, text: String::new(), heading: String::new() };
    let mut close = |open: &mut Passage, line: usize, heading: &str| {
        let next = Passage { line, text: String::new(), heading: heading.to_owned() };
        let done = std::mem::replace(open, next);
        if !done.text.trim().is_empty() {
            passages.push(done);
        }
    };
    for (n, line) in text.split('\n').enumerate() {
        let line = unmarked(line);
        if let Some(words) = heading_of(&line) {
            heading = words;
            close(&mut open, n, &heading);
        }
        for piece in pieces(&line) {
            let is_full = open.text.len() + piece.len() > MAX_PASSAGE;
            let is_paragraph = line.trim().is_empty() && open.text.len() >= MIN_PASSAGE;
            if is_full || is_paragraph {
                close(&mut open, n, &heading);
            }
            if !open.text.is_empty() {
                open.text.push('\n');
            } else {
                open.line = n;
            }
            open.text.push_str(piece);
        }
    }
    close(&mut open, 0, "");
    passages
}

/// A line without the marks of its links: their text alone.
fn unmarked(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, mark)) = rest.split_once('【') {
        plain.push_str(before);
        let (inside, after) = mark.split_once('】').unwrap_or((mark, ""));
        plain.push_str(inside.split('†').nth(1).unwrap_or(inside));
        rest = after;
    }
    plain + rest
}

/// The words of a heading of Markdown, as pages have them.
fn heading_of(line: &str) -> Option<String> {
    let words = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?.trim();
    (!words.is_empty()).then(|| words[..words.floor_char_boundary(MAX_HEADING)].to_owned())
}

/// A line, or its parts when it is too long, cut between words where that can be.
fn pieces(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while rest.len() > MAX_LINE {
        let most = &rest[..rest.floor_char_boundary(MAX_LINE)];
        let at = most.rfind(' ').filter(|at| *at > 0).unwrap_or(most.len());
        pieces.push(&rest[..at]);
        rest = &rest[at..];
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_page_is_one_passage() {
        let found = passages("one\n\ntwo 【0†three†x.org】");
        assert_eq!(found, [Passage { line: 0, text: "one\n\ntwo three".into(), heading: String::new() }]);
        assert!(passages("").is_empty() && passages("\n \n").is_empty());
    }

    #[test]
    fn marks_are_taken_off_again() {
        assert_eq!(unmarked("a 【0†b】 c 【1†d†e.org】"), "a b c d");
        assert_eq!(unmarked("a 【0†b"), "a b");
        assert_eq!(unmarked("a 】 【】"), "a 】 ");
    }

    #[test]
    fn headings_and_long_paragraphs_part_passages() {
        let long = "word ".repeat(150);
        let text = format!("before\n# Boat\n{long}\n\nafter\n## Fuel\ntank");
        let found: Vec<_> =
            passages(&text).into_iter().map(|passage| (passage.line, passage.heading, passage.text.len())).collect();
        let expect =
            [(0, "", 6), (1, "Boat", "# Boat\n".len() + long.len()), (4, "Boat", "after".len()), (5, "Fuel", 12)];
        assert_eq!(found, expect.map(|(line, heading, n)| (line, heading.to_owned(), n)));
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let line = "é".repeat(10_000);
        let found = passages(&format!("x\n{line}"));
        assert!(found.iter().all(|passage| passage.text.len() <= MAX_LINE) && found.len() == 6, "{}", found.len());
        assert!(found[1..].iter().all(|passage| passage.line == 1));
    }

    proptest::proptest! {
        #[test]
        fn no_word_is_lost_and_lines_are_where_they_were(text in "(?s)([a-zé#【】† ]{0,300}\n){0,20}") {
            let lines: Vec<String> = text.split('\n').map(unmarked).collect();
            let mut n_words = 0;
            for passage in passages(&text) {
                for (n, line) in passage.text.split('\n').enumerate() {
                    assert_eq!(line, lines[passage.line + n]);
                }
                n_words += passage.text.split_whitespace().count();
            }
            assert_eq!(n_words, lines.iter().map(|line| line.split_whitespace().count()).sum::<usize>());
        }
    }
}
