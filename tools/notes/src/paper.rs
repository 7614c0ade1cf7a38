//! Notes on paper: a Markdown file in which every line that starts with `- ` is a note.
//!
//! Everything else in the file (headings, text, indented lines) belongs to the user and is carried over unread.
//! Start at [`append`].

/// The most bytes the file may hold. More than this is no list of notes, and the model could not read it anyway.
pub const LIMIT: usize = 1 << 20;

const BULLET: &str = "- ";

/// The file as text.
pub fn check(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() > LIMIT {
        return Err(full());
    }
    String::from_utf8(bytes).map_err(|_| "the notes file is not UTF-8 text; nothing was changed".into())
}

/// The notes of the file, in its order.
pub fn notes(file: &str) -> impl Iterator<Item = &str> {
    file.lines().filter_map(|line| line.strip_prefix(BULLET))
}

/// The text on one line: runs of blanks, line ends and control characters become single spaces.
pub fn fold(text: &str) -> String {
    let blank = |c: char| c.is_whitespace() || c.is_control();
    text.split(blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The file with one note more at its end, and the note's number. The text must be [folded](fold).
pub fn append(file: &str, text: &str) -> Result<(String, usize), String> {
    let gap = if file.is_empty() || file.ends_with('\n') { "" } else { "\n" };
    let longer = format!("{file}{gap}{BULLET}{text}\n");
    if longer.len() > LIMIT {
        return Err(full());
    }
    Ok((longer, notes(file).count() + 1))
}

fn full() -> String {
    "the notes file is full (1 MiB); remove some notes by hand".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_lines_stay_and_are_no_notes() {
        let file = "# Home\r\n- one\r\n\n  - inner\n* star\n-none\n- two";
        assert_eq!(notes(file).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(append(file, "three").unwrap(), (format!("{file}\n- three\n"), 3));
    }

    #[test]
    fn folding() {
        for (text, folded) in [("a", "a"), (" a\r\n b\u{0}c\u{2028}d ", "a b c d"), ("\n\t", ""), ("- a", "- a")] {
            assert_eq!(fold(text), folded);
        }
    }

    #[test]
    fn the_limit_is_exact() {
        let file = "x".repeat(LIMIT - "\n- a\n".len());
        assert_eq!(append(&file, "a").unwrap().0.len(), LIMIT);
        assert!(append(&file, "ab").is_err());
        assert!(check(vec![b'x'; LIMIT + 1]).is_err());
    }
}
