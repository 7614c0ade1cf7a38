//! What the terminal can do, by what it says of itself in the environment.

/// How a terminal shows pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pictures {
    /// Not at all.
    None,
    /// In coloured half blocks.
    Blocks,
    /// By the protocol of kitty.
    Kitty,
    /// By the protocol of iTerm2.
    Iterm,
    /// As sixels.
    Sixel,
}

/// How the terminal shows pictures, by what it says of itself.
pub fn terminal_pictures() -> Pictures {
    pictures_of(|name| std::env::var(name).unwrap_or_default())
}

fn pictures_of(variable: impl Fn(&str) -> String) -> Pictures {
    let (term, program, colours) = (variable("TERM"), variable("TERM_PROGRAM"), variable("COLORTERM"));
    let begins = |names: &[&str]| names.iter().any(|name| term.starts_with(name));
    // A multiplexer keeps what it draws: pictures that it does not know of would stay where text should be.
    let is_multiplexed = begins(&["tmux", "screen"]) || !variable("TMUX").is_empty();
    let has_colours = term.contains("256color") || matches!(colours.as_str(), "truecolor" | "24bit");
    match () {
        () if term.is_empty() || term == "dumb" => Pictures::None,
        () if is_multiplexed && has_colours => Pictures::Blocks,
        () if is_multiplexed => Pictures::None,
        () if begins(&["xterm-kitty", "xterm-ghostty"]) => Pictures::Kitty,
        () if ["iTerm.app", "WezTerm"].contains(&program.as_str()) => Pictures::Iterm,
        () if begins(&["foot", "mlterm", "yaft"]) => Pictures::Sixel,
        () if has_colours => Pictures::Blocks,
        () => Pictures::None,
    }
}

/// Whether the terminal says that it knows no more than lines: no cursor that moves, so nothing that edits one.
pub fn terminal_is_plain() -> bool {
    let term = std::env::var("TERM").unwrap_or_default().to_ascii_lowercase();
    matches!(term.as_str(), "dumb" | "cons25" | "emacs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_shows_pictures_as_it_says_it_can() {
        for (variables, expect) in [
            (&[("TERM", "xterm-kitty")][..], Pictures::Kitty),
            (&[("TERM", "xterm-256color"), ("KITTY_WINDOW_ID", "1")], Pictures::Blocks),
            (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "iTerm.app")], Pictures::Iterm),
            (&[("TERM", "foot-extra")], Pictures::Sixel),
            (&[("TERM", "xterm-256color")], Pictures::Blocks),
            (&[("TERM", "xterm"), ("COLORTERM", "truecolor")], Pictures::Blocks),
            (&[("TERM", "tmux-256color"), ("KITTY_WINDOW_ID", "1")], Pictures::Blocks),
            (&[("TERM", "xterm-kitty"), ("TMUX", "/tmp/tmux")], Pictures::None),
            (&[("TERM", "vt100")], Pictures::None),
            (&[("TERM", "dumb"), ("COLORTERM", "truecolor")], Pictures::None),
            (&[], Pictures::None),
        ] {
            let variable = |name: &str| {
                variables
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).to_owned())
                    .unwrap_or_default()
            };
            assert_eq!(pictures_of(variable), expect, "{variables:?}");
        }
    }
}
