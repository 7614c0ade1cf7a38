//! Names that come from outside: of repositories and revisions, which users type, and of files, which hubs list.
//!
//! It asks nobody whether anything is there; it says what may become part of a path or of a URL. Start at [`Repo`], then
//! [`check_listed`] for whatever a hub lists and [`check_kept`] for what is written to the disk.

use super::PullError;
use std::fmt;
use std::str::FromStr;

/// Characters of each half of a repository's name, of a revision, and of a path inside a repository.
const MAX_HALF: usize = 96;
const MAX_REVISION: usize = 200;
const MAX_PATH: usize = 1024;

/// Of a file that is kept: what is still coming has a longer name.
const MAX_KEPT: usize = 150;

/// What Windows takes for a device, whatever stands behind a dot.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// A repository of a hub: `openai/gpt-oss-20b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repo {
    pub(super) owner: String,
    pub(super) name: String,
}

impl Repo {
    /// The name of its folder. No half has two hyphens in a row, so two repositories never share one.
    pub fn folder(&self) -> String {
        format!("{}--{}", self.owner, self.name)
    }
}

impl FromStr for Repo {
    type Err = PullError;

    fn from_str(text: &str) -> Result<Self, PullError> {
        let is_half = |half: &str| {
            let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            half.len() <= MAX_HALF
                && half.chars().all(is_fit)
                && half.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && !half.ends_with(['-', '.'])
                && !half.contains("--")
                && !half.contains("..")
        };
        let repo = text.split_once('/').filter(|(owner, name)| is_half(owner) && is_half(name));
        let repo = repo.map(|(owner, name)| Self { owner: owner.into(), name: name.into() });
        repo.filter(|repo| !is_device(&repo.folder())).ok_or_else(|| {
            PullError::Name(format!(
                "{text:?} names no repository of a hub: write ORG/NAME, such as openai/gpt-oss-20b"
            ))
        })
    }
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// Whether the words can name a branch, a tag or a commit.
pub(super) fn check_revision(revision: &str) -> Result<(), PullError> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let is_good = revision.len() <= MAX_REVISION && revision.chars().all(is_fit);
    match is_good && revision.split('/').all(|part| !part.is_empty() && !part.starts_with('.')) {
        true => Ok(()),
        false => Err(PullError::Name(format!("{revision:?} names no revision: write a branch, a tag or a commit"))),
    }
}

/// Whether a path can stand in a repository, on whatever system; the error says why not.
pub(super) fn check_listed(path: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("a file called {}, {why}", quoted(path)));
    if path.len() > MAX_PATH {
        return wrong("which is longer than any path");
    }
    if path.chars().any(|c| c.is_control() || c == '\\') {
        return wrong("with characters that no file's name has");
    }
    if path.as_bytes().get(1) == Some(&b':') || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return wrong("which leads out of its folder");
    }
    Ok(())
}

/// Whether a file can be kept under this name, in one folder, on every system; the error says why not.
pub(super) fn check_kept(name: &str) -> Result<(), String> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '=' | ',' | '@');
    let is_good = !name.is_empty() && name.len() <= MAX_KEPT && name.chars().all(is_fit);
    match is_good && !name.starts_with(['.', '-']) && !name.ends_with('.') && !is_device(name) {
        true => Ok(()),
        false => Err(format!("a file called {}, which cannot be kept under that name", quoted(name))),
    }
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let is_port = ["com", "lpt"]
        .iter()
        .any(|port| stem.strip_prefix(port).is_some_and(|n| n.len() == 1 && n.chars().all(|c| c.is_ascii_digit())));
    is_port || DEVICES.contains(&stem.as_str())
}

/// The beginning of a name, harmless to look at.
pub(super) fn quoted(name: &str) -> String {
    const SHOWN: usize = 80;
    let shown: String = name.chars().take(SHOWN).collect();
    format!("{shown:?}{}", if shown.len() < name.len() { " (and so on)" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    #[test]
    fn a_repository_has_an_owner_and_a_name() {
        let repo: Repo = "openai/gpt-oss-20b".parse().unwrap();
        assert_eq!((repo.folder().as_str(), repo.to_string().as_str()), ("openai--gpt-oss-20b", "openai/gpt-oss-20b"));
        for text in ["a/b", "ggml-org/gpt-oss-20b-GGUF", "_me/x.y_z", "me/gpt-oss.v2"] {
            assert!(text.parse::<Repo>().is_ok(), "{text}");
        }
        for text in [
            "",
            "gpt-oss-20b",
            "a/b/c",
            "/b",
            "a/",
            "../b",
            "a/..",
            "a/b..c",
            "a--b/c",
            "a/b--c",
            ".a/b",
            "-a/b",
            "a/b.",
            "con.x/b",
            "a/b?x",
            "a/b#x",
            "a/b%2e",
            "a b/c",
            "a/b\n",
            "ä/b",
            "https://huggingface.co/a/b",
            &format!("a/{}", "x".repeat(97)),
        ] {
            let error = text.parse::<Repo>().unwrap_err().to_string();
            assert!(error.contains("write ORG/NAME"), "{text}: {error}");
        }
    }

    #[test]
    fn a_revision_is_a_branch_a_tag_or_a_commit() {
        for text in ["main", "v1.0", "refs/pr/7", "6cee5e81ee83917806bbde320786a8fb61efebee"] {
            assert!(check_revision(text).is_ok(), "{text}");
        }
        for text in ["", "..", "a/../b", "/main", "main/", "a//b", "a?b", "a b", ".git", &"x".repeat(201)] {
            assert!(check_revision(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_leads_elsewhere_is_no_file_of_a_repository() {
        for path in ["config.json", "original/model.safetensors", "a/b c/ü.txt", ".gitattributes", "aux.py"] {
            assert_eq!(check_listed(path), Ok(()), "{path}");
        }
        for path in
            ["", "..", "../x", "a/../x", "/etc/passwd", "a//b", "a/", "C:/x", "c:x", "a\\b", "a\0b", "a\nb", "\u{9b}6n"]
        {
            assert!(check_listed(path).is_err(), "{path:?}");
        }
        let error = check_listed(&format!("a{}", "x/".repeat(9000))).unwrap_err();
        assert!(error.len() < 250 && error.contains("(and so on)"), "{error}");
    }

    #[test]
    fn what_is_kept_has_a_plain_name() {
        for name in ["config.json", "model-00001-of-00002.safetensors", "USAGE_POLICY", "gpt-oss-20b-mxfp4.gguf"] {
            assert_eq!(check_kept(name), Ok(()), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            ".hidden",
            "-rf",
            "a/b",
            "a\\b",
            "a b",
            "a.",
            "a:b",
            "CON",
            "nul.safetensors",
            "Aux.gguf",
            "com1.json",
            "LPT9",
            "conin$",
            "a\u{202e}b",
            &"x".repeat(151),
        ] {
            assert!(check_kept(name).is_err(), "{name:?}");
        }
        assert!(check_kept("com10.json").is_ok() && check_kept("console.gguf").is_ok());
    }

    proptest! {
        #[test]
        fn a_name_that_is_kept_stays_in_its_folder(name in "[ -~]{0,12}|[a-zA-Z0-9./\\\\:]{0,9}|\\PC{0,8}") {
            if check_kept(&name).is_ok() {
                let parts: Vec<_> = Path::new(&name).components().collect();
                prop_assert!(matches!(parts[..], [Component::Normal(part)] if part == name.as_str()), "{}", name);
            }
        }
    }
}
