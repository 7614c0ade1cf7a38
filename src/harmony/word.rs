//! The words of a header, well spelled and badly. Their order and their meaning are the header's matter.
//! Start at [`guess`].

use super::{Channel, Role};

/// Content types that are known even without `<|constrain|>`.
pub(super) const TYPES: [&str; 2] = ["json", "code"];

/// The roles that are written as a word; a tool is written by its name.
pub(super) const ROLES: [Role; 4] = [Role::System, Role::Developer, Role::User, Role::Assistant];

/// The known thing whose word the text begins with, and what follows it.
pub(super) fn split_known<'a, T: Copy>(
    text: &'a str,
    known: &[T],
    word: impl Fn(T) -> &'static str,
) -> Option<(T, &'a str)> {
    known.iter().find_map(|&thing| Some((thing, text.strip_prefix(word(thing))?)))
}

/// The channel of that name.
pub(super) fn channel(word: &str) -> Option<Channel> {
    Channel::ALL.into_iter().find(|channel| channel.as_str() == word)
}

/// The channel that a mistyped name means: its beginning, its beginning and more, or one letter off.
pub(super) fn guess(word: &str) -> Option<Channel> {
    let word = word.to_ascii_lowercase();
    Channel::ALL.into_iter().find(|channel| {
        let name = channel.as_str();
        (word.len() >= 3 && name.starts_with(&word)) || word.starts_with(name) || is_one_edit_apart(&word, name)
    })
}

/// Whether one insertion, deletion or replacement of a byte makes the two equal.
fn is_one_edit_apart(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let n_same = short.bytes().zip(long.bytes()).take_while(|(a, b)| a == b).count();
    let (short, long) = (&short.as_bytes()[n_same..], &long.as_bytes()[n_same..]);
    match long.len() - short.len() {
        0 => short.len() <= 1 || short[1..] == long[1..],
        1 => *short == long[1..],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_channel_is_understood() {
        for (word, expected) in [
            ("comment", Some(Channel::Commentary)),
            ("commentaryassistant", Some(Channel::Commentary)),
            ("Final", Some(Channel::Final)),
            ("finl", Some(Channel::Final)),
            ("fiinal", Some(Channel::Final)),
            ("anolysis", Some(Channel::Analysis)),
            ("ana", Some(Channel::Analysis)),
            ("an", None),
            ("fanil", None),
            ("??", None),
            ("", None),
        ] {
            assert_eq!(guess(word), expected, "{word:?}");
        }
    }

    #[test]
    fn one_edit_is_one_edit() {
        for (a, b, expected) in
            [("a", "a", true), ("a", "", true), ("abc", "abd", true), ("abc", "xbd", false), ("abc", "a", false)]
        {
            assert_eq!(is_one_edit_apart(a, b), expected, "{a} {b}");
            assert_eq!(is_one_edit_apart(b, a), expected, "{b} {a}");
        }
    }
}
