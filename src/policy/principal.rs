//! On whose behalf calls are made: a person who can be asked, or a run that nobody watches.
//!
//! It proves nothing: whoever starts the program says what it is. Start at [`Principal`].

use std::fmt;
use std::str::FromStr;

/// Who acts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Somebody at a terminal.
    #[default]
    Interactive,
    /// A run without a person, by the name that its owner gave it.
    Automation(String),
}

/// What comes before the name of one that is not a person.
const AUTOMATION: &str = "automation:";

/// Characters of a name.
const MAX_NAME: usize = 64;

impl Principal {
    /// A run without a person. The error says what is wrong with its name.
    pub fn automation(name: &str) -> Result<Self, String> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        match !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(is_good) {
            true => Ok(Self::Automation(name.into())),
            false => Err(format!(
                "`{name}` cannot name an automation: write up to {MAX_NAME} letters, digits, `-`, `_` and `.`"
            )),
        }
    }
}

impl FromStr for Principal {
    type Err = String;

    /// Reads `interactive` or `automation:NAME`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(AUTOMATION) {
            Some(name) => Self::automation(name),
            None if text == "interactive" => Ok(Self::Interactive),
            None => Err(format!("`{text}` is nobody: write `interactive`, `automation:NAME` or `automation:*`")),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interactive => f.write_str("interactive"),
            Self::Automation(name) => write!(f, "{AUTOMATION}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_read_as_it_is_written() {
        for text in ["interactive", "automation:nightly", "automation:ci.build-2"] {
            assert_eq!(text.parse::<Principal>().unwrap().to_string(), text);
        }
        for text in ["", "automation", "automation:", "automation:a b", "automation:*", "Interactive", "root"] {
            assert!(text.parse::<Principal>().is_err(), "{text}");
        }
    }
}
