//! Files whose contents are marked by where they lie: a stranger's words, secrets, and what stays on this machine.
//!
//! It opens none of them and forbids nothing: what a call read becomes part of its label, and rules and the ways out look at
//! that. Start at [`Marks::label`].

use super::place::{Area, Places};
use super::{Confidentiality, Label};
use std::path::{Path, PathBuf};

/// A policy's marks.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// What lies here was written by strangers.
    pub(super) untrusted: Vec<Area>,
    /// What lies here is secret.
    pub(super) secret: Vec<Area>,
    /// What lies here stays on this machine.
    pub(super) local_only: Vec<Area>,
}

impl Marks {
    /// The label of what a file says. The path is absolute.
    pub(super) fn label(&self, path: &Path) -> Label {
        let holds = |areas: &[Area]| areas.iter().any(|area| area.holds(path));
        let mut label = Label::default();
        if holds(&self.untrusted) {
            label.join(&Label::untrusted(path.display().to_string()));
        }
        let confidentiality = if holds(&self.local_only) {
            Confidentiality::LocalOnly
        } else if holds(&self.secret) {
            Confidentiality::Secret
        } else {
            return label;
        };
        label.join(&Label::confidential(confidentiality, path.display().to_string()));
        label
    }

    /// Where the variables mean these places.
    pub(super) fn placed(&self, places: &Places, real: &impl Fn(&Path) -> PathBuf) -> Self {
        let placed = |areas: &[Area]| areas.iter().map(|area| area.clone().placed(places, real)).collect();
        Self { untrusted: placed(&self.untrusted), secret: placed(&self.secret), local_only: placed(&self.local_only) }
    }

    /// Those of both.
    pub(super) fn joined(&self, other: &Self) -> Self {
        Self {
            untrusted: [&self.untrusted[..], &other.untrusted].concat(),
            secret: [&self.secret[..], &other.secret].concat(),
            local_only: [&self.local_only[..], &other.local_only].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Integrity;

    #[test]
    fn a_file_is_labelled_by_where_it_lies() {
        let areas = |text: &str| vec![Area::parse(text).unwrap()];
        let marks =
            Marks { untrusted: areas("~/Downloads"), secret: areas("$WORKSPACE/keys"), local_only: areas("~/diary") };
        use Confidentiality::{LocalOnly, Public, Secret};
        use Integrity::{Trusted, Untrusted};
        for (path, integrity, confidentiality) in [
            ("/workspace/a.md", Trusted, Public),
            ("/home/user/Downloads/a.pdf", Untrusted, Public),
            ("/workspace/keys/a", Trusted, Secret),
            ("/home/user/diary/2026", Trusted, LocalOnly),
            ("/", Trusted, Public),
        ] {
            let label = marks.label(Path::new(path));
            assert_eq!((label.integrity(), label.confidentiality()), (integrity, confidentiality), "{path}");
        }
    }
}
