//! How far a value may go: the second component of a label, beside whose words it is made of.
//!
//! It moves nothing and forbids nothing: each rung of the router's ladder says how much it may see. Start at
//! [`Confidentiality`].

use super::redact::Kind;
use serde::{Deserialize, Serialize};
use std::fmt;

/// From what anybody may see to what never leaves the machine. The label of a value that is made of two is the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidentiality {
    /// Anybody's.
    #[default]
    Public,
    /// Of a person: leaves only without what names them, or to whom they trust.
    Personal,
    /// Keys, passwords, and what was marked so.
    Secret,
    /// Of this machine alone, whatever the policy says of secrets.
    LocalOnly,
}

impl Confidentiality {
    /// All, from the least.
    pub const ALL: [Self; 4] = [Self::Public, Self::Personal, Self::Secret, Self::LocalOnly];

    /// The word in a policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Personal => "personal",
            Self::Secret => "secret",
            Self::LocalOnly => "local-only",
        }
    }

    /// Of a value made of both.
    pub fn join(self, other: Self) -> Self {
        self.max(other)
    }

    /// Of a text in which these were found, before they are taken out.
    pub fn of(found: impl IntoIterator<Item = Kind>) -> Self {
        found.into_iter().map(Self::of_kind).fold(Self::Public, Self::join)
    }

    fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Public,
            Kind::ApiKey | Kind::Secret => Self::Secret,
            Kind::Ip
            | Kind::Host
            | Kind::User
            | Kind::Home
            | Kind::Address
            | Kind::Phone
            | Kind::Email
            | Kind::Iban
            | Kind::Card => Self::Personal,
        }
    }
}

impl fmt::Display for Confidentiality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_confidential_part_decides() {
        for (found, expect) in [
            (&[][..], Confidentiality::Public),
            (&[Kind::Text], Confidentiality::Public),
            (&[Kind::Email, Kind::Text], Confidentiality::Personal),
            (&[Kind::Email, Kind::ApiKey, Kind::Phone], Confidentiality::Secret),
            (&[Kind::Secret], Confidentiality::Secret),
        ] {
            assert_eq!(Confidentiality::of(found.iter().copied()), expect, "{found:?}");
        }
        assert_eq!(Confidentiality::Secret.join(Confidentiality::LocalOnly), Confidentiality::LocalOnly);
        let word: Confidentiality = serde_json::from_str("\"local-only\"").unwrap();
        assert_eq!((word, word.as_str()), (Confidentiality::LocalOnly, "local-only"));
    }
}
