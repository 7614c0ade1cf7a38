//! Whether a place in a text is inside a URL, read character by character.
//!
//! It parses no URL: it errs towards calling something one, because what stands inside is then left as it is. Start at
//! [`Link::push`].

/// Schemes that need no `//`.
const SCHEMES: [&str; 8] = ["mailto:", "data:", "javascript:", "vbscript:", "tel:", "sms:", "blob:", "file:"];
/// Bytes of a word that are remembered whole, longer than any host's name.
const MAX_WORD: usize = 320;
/// Bytes of a longer word that are remembered.
const TAIL: usize = 16;

/// The place reached so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    /// What was read since the last white space, in small letters; its end only, when it is long.
    word: String,
    is_cut: bool,
    /// The word has become a URL.
    is_url: bool,
    /// Between `<x` and `>`, where white space ends nothing.
    is_tag: bool,
    /// A URL has begun in the tag.
    is_tag_url: bool,
    /// Brackets that are open in a Markdown link's destination, `](` being the first.
    n_open: u32,
    last: Option<char>,
}

impl Link {
    /// Goes on by one character.
    pub(super) fn push(&mut self, c: char) {
        let last = self.last.replace(c);
        match (last, c) {
            (Some(']'), '(') if self.n_open == 0 => self.n_open = 1,
            (_, '(') if self.n_open > 0 => self.n_open += 1,
            (_, ')') => self.n_open = self.n_open.saturating_sub(1),
            (Some('\n'), '\n') => self.n_open = 0,
            (Some('<'), c) if c.is_ascii_alphabetic() || matches!(c, '/' | '!') => self.is_tag = true,
            (_, '>') => (self.is_tag, self.is_tag_url) = (false, false),
            _ => {}
        }
        if c.is_whitespace() {
            self.word.clear();
            (self.is_cut, self.is_url) = (false, false);
            return;
        }
        self.word.extend(c.to_lowercase());
        if self.word.len() > MAX_WORD {
            let cut = self.word.len() - TAIL;
            let cut = (cut..self.word.len()).find(|at| self.word.is_char_boundary(*at)).unwrap_or(0);
            self.word.drain(..cut);
            self.is_cut = true;
        }
        if matches!(c, ':' | '/' | '.' | '?' | '#' | '\\') && self.begins_url() {
            self.is_url = true;
            self.is_tag_url |= self.is_tag;
        }
    }

    /// Whether what comes next is a URL's.
    pub(super) fn is_inside(&self) -> bool {
        self.is_url || self.is_tag_url || self.n_open > 0
    }

    /// Whether the word, as far as it is read, makes what follows a URL.
    fn begins_url(&self) -> bool {
        let after_boundary = |start: &str| {
            self.word.strip_suffix(start).is_some_and(|before| !before.ends_with(|c: char| c.is_alphanumeric()))
        };
        let is_host = |text: &str| {
            let labels: Vec<&str> = text.split('.').collect();
            let is_label = |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
            let is_top =
                |label: &&str| label.chars().count() >= 2 && label.chars().all(|c| c.is_alphabetic() || c == '-');
            labels.len() >= 2 && labels.iter().all(is_label) && labels.last().is_some_and(is_top)
        };
        self.word.ends_with("://")
            || self.word.ends_with(":\\\\")
            || after_boundary("//")
            || after_boundary("www.")
            || SCHEMES.iter().any(|scheme| after_boundary(scheme))
            || !self.is_cut
                && self.word.strip_suffix(['/', '?', '#', ':']).is_some_and(|word| {
                    let start = word.rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-')));
                    let host = start.map_or(word, |at| &word[at..]);
                    let before = start.and_then(|at| word[at..].chars().next());
                    let host = &host[before.map_or(0, char::len_utf8)..];
                    // A part of a path is no host.
                    !matches!(before, Some('/' | '\\' | '~' | '_')) && is_host(host)
                })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_known_by_its_beginning() {
        for (text, expect) in [
            ("https://", true),
            ("see (https://x.org/a?b=", true),
            ("https://x.org/ and ", false),
            ("ftp://a b", false),
            ("[a](", true),
            ("[a](b) ", false),
            ("[a](b(c) ", true),
            ("[a](b\n\n", false),
            ("f(x) and g(", false),
            ("<a href='x://y' title='", true),
            ("<a href='x://y'>", true),
            ("<a href='x://y'> ", false),
            ("a < b: ", false),
            ("Phone: ", false),
            ("Email:", false),
            ("tel:", true),
            ("motel:", false),
            ("a//b ", false),
            ("./src/a.b/", false),
            ("/home/me/x.org/", false),
            ("x.org/", true),
            ("1.5/", false),
            ("and/or/", false),
        ] {
            let mut link = Link::default();
            text.chars().for_each(|c| link.push(c));
            assert_eq!(link.is_inside(), expect, "{text}");
        }
    }
}
