//! What of a stranger's characters a model gets to see: the marks of our own stay ours, and nothing is there unseen.
//!
//! What it is not: a judgement on words. Start at [`shown`].

/// A character as it is shown, if it is. Line ends and tabs are the caller's matter.
pub(super) fn shown(c: char) -> Option<char> {
    match c {
        ' '..='~' => Some(c),
        '\n' | '\t' => Some(c),
        '【' => Some('〖'),
        '】' => Some('〗'),
        // Line ends to some and not to others.
        '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => None,
        // The soft hyphen, zero widths, orders to write backwards, the byte order mark, tags: seen by models alone.
        '\u{ad}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' => None,
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => None,
        _ => Some(c),
    }
}

/// The same within the text of a link, where † divides.
pub(super) fn shown_in_link(c: char) -> Option<char> {
    if c == '†' { Some('‡') } else { shown(c) }
}

/// Does CSS collapse it? The no-break space too: here it only costs tokens.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\n' | '\t' | '\r' | '\x0c' | '\u{a0}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// One line of at most `limit` characters: a title, an image's text.
pub(super) fn line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    let mut n_chars = 0;
    for word in text.split(is_space) {
        let mut chars = word.chars().filter_map(shown).peekable();
        if chars.peek().is_some() && !line.is_empty() {
            line.push(' ');
        }
        for c in chars {
            n_chars += 1;
            if n_chars > limit {
                line.push('…');
                return line;
            }
            line.push(c);
        }
    }
    line
}
