//! The kinds of values that are taken out of a text, by the names that a policy calls them.
//!
//! It finds nothing: each kind's recogniser has a file of its own. Start at [`Kind`].

use std::fmt;
use std::str::FromStr;

/// What a value is. Of two that overlap the greater one names both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Text that only looks like a placeholder: taken out so that restoring gives it back as it was.
    Text,
    /// An address of the network, version 4 or 6.
    Ip,
    /// The machine's name.
    Host,
    /// The user's name, as a whole word.
    User,
    /// A home folder.
    Home,
    /// A street with a number.
    Address,
    /// A telephone number.
    Phone,
    /// An e-mail address.
    Email,
    /// An account number whose checksum is right.
    Iban,
    /// A payment card's number whose checksum is right.
    Card,
    /// A key or password, by its form or by the word before it.
    ApiKey,
    /// A value that the program knows to be secret.
    Secret,
}

impl Kind {
    /// All that a policy can name, [`Kind::Text`] being always on.
    pub const ALL: [Self; 11] = [
        Self::Ip,
        Self::Host,
        Self::User,
        Self::Home,
        Self::Address,
        Self::Phone,
        Self::Email,
        Self::Iban,
        Self::Card,
        Self::ApiKey,
        Self::Secret,
    ];

    /// The name in a policy's `redact`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Ip => "ip",
            Self::Host => "host",
            Self::User => "user",
            Self::Home => "home",
            Self::Address => "address",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Card => "card",
            Self::ApiKey => "api_key",
            Self::Secret => "secret",
        }
    }

    /// The word in a placeholder.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Ip => "IP",
            Self::Host => "HOST",
            Self::User => "USER",
            Self::Home => "HOME",
            Self::Address => "ADDRESS",
            Self::Phone => "PHONE",
            Self::Email => "EMAIL",
            Self::Iban => "IBAN",
            Self::Card => "CARD",
            Self::ApiKey => "API_KEY",
            Self::Secret => "SECRET",
        }
    }

    /// Those that a placeholder can name.
    pub(super) fn placed() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().chain([Self::Text])
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A policy's `redact` names something that is no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is nothing that can be redacted: write one of {list}", list = Kind::ALL.map(Kind::as_str).join(", "))]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_named_as_in_a_policy() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        let error = "e-mail".parse::<Kind>().unwrap_err().to_string();
        assert!(error.contains("`e-mail`") && error.contains("email, iban, card, api_key"), "{error}");
        assert!("text".parse::<Kind>().is_err(), "it cannot be turned off, so it cannot be named");
    }
}
