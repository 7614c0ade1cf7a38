//! The policy of a session: the user's choice, made stricter by the system's and the project's where there are such.
//!
//! It decides nothing. Start at [`policy`].

use super::file::bundled;
use super::paths::home;
use super::wiring::{read_if_there, real, workspace};
use super::{ConfigError, Paths, Settings};
use crate::policy::{Places, Policy};
use std::path::{Path, PathBuf};

/// Where an administrator's policy lies: it holds for everybody here, and can only be tightened.
const SYSTEM: &str = "/etc/ossicle";

/// Where a project's lies, in the folder in which the user works. It makes stricter, and allows nothing.
const PROJECT: &str = ".ossicle";

/// The policy in TOML, in either of them.
const FILE: &str = "policy.toml";

/// Files of a folder of policies that are read.
const MAX_FILES: usize = 100;

/// The policy as a session would have it.
pub fn policy(settings: &Settings, paths: &Paths) -> Result<Policy, ConfigError> {
    composed(settings, paths, Path::new(SYSTEM))
}

fn composed(settings: &Settings, paths: &Paths, system: &Path) -> Result<Policy, ConfigError> {
    let own = paths.all().into_iter().map(|folder| real(&folder)).collect();
    let places = Places { workspace: workspace(settings), home: real(&home()), own };
    let chosen = match &settings.policy {
        None => Policy::default(),
        Some(path) => match bundled(path) {
            Some(policy) => policy,
            None => {
                let policy = file(path)?.ok_or_else(|| ConfigError::NoPolicy { path: path.clone() })?;
                // Cedar says nothing of money and of what may leave: then what the default says holds.
                if is_cedar(path) { policy.within_limits_of(&Policy::default()) } else { policy }
            }
        },
    };
    let project = settings.folder.as_ref().map(|folder| folder.join(PROJECT));
    let stricter = [Some(system.to_owned()), project].into_iter().flatten();
    let policy =
        stricter.map(|folder| in_folder(&folder)).try_fold(chosen.at(places.clone(), real), |policy, other| {
            Ok::<_, ConfigError>(match other? {
                Some(other) => policy.under(other.at(places.clone(), real)),
                None => policy,
            })
        })?;
    Ok(policy.acting(settings.principal.clone()))
}

/// A policy of somebody's, if the file is there: in Cedar if it is called so, else in TOML.
fn file(path: &Path) -> Result<Option<Policy>, ConfigError> {
    let Some(text) = read_if_there(path)? else { return Ok(None) };
    let name = path.display().to_string();
    Ok(Some(match is_cedar(path) {
        true => Policy::parse_cedar(&name, &text)?,
        false => Policy::parse(&name, &text)?,
    }))
}

fn is_cedar(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "cedar")
}

/// The policy of a folder: its `policy.toml` and its `*.cedar` files, as if they were one.
fn in_folder(folder: &Path) -> Result<Option<Policy>, ConfigError> {
    let mut whole = file(&folder.join(FILE))?;
    let mut files: Vec<PathBuf> = match folder.read_dir() {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
    .map_err(|error| ConfigError::Unreadable { path: folder.to_owned(), error })?;
    files.retain(|path| is_cedar(path));
    files.sort();
    let problem = |path: &Path, problem: String| ConfigError::Rules { path: path.to_owned(), problem };
    if files.len() > MAX_FILES {
        return Err(problem(folder, format!("has more than {MAX_FILES} policies in Cedar: put some into one file")));
    }
    for path in files {
        // One that went away meanwhile may have been a deny.
        let more = file(&path)?.ok_or_else(|| problem(&path, "went away while it was read: start again".into()))?;
        whole = Some(match whole {
            Some(whole) => whole.with_statements_of(&more).map_err(|conflict| problem(&path, conflict))?,
            None => more,
        });
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Answer, Effect, Principal, Question};

    const PERMIT: &str = "@id(\"anything\") permit (principal, action, resource);";
    const FORBID: &str = "@id(\"robots\") forbid (principal is Automation, action, resource in Package::\"notes\");";

    /// The policy of an automation with these files of the system's, and what it says to a tool.
    fn with(files: &[(&str, &str)]) -> Result<(Answer, String), ConfigError> {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(home.path().join(name), text).unwrap();
        }
        let folder = home.path().to_path_buf();
        let paths = Paths { config: folder.clone(), data: folder.clone(), state: folder.clone(), cache: folder };
        let principal = Principal::automation("x").unwrap();
        let policy = composed(&Settings { principal, ..Settings::default() }, &paths, home.path())?;
        assert_eq!(policy.budget().per_day, "$3".parse().ok(), "the user's own limits stay");
        Ok(policy.ruling(&Question::about(&"notes.list".parse().unwrap(), Effect::Read)))
    }

    #[test]
    fn an_administrators_files_count_as_one_and_make_stricter() {
        let rule = "version = 1\n[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"\n";
        for (files, answer, rule) in [
            (&[][..], Answer::Allow, "looking"),
            (&[("policy.toml", rule)], Answer::Allow, "looking"),
            (&[("policy.toml", rule), ("a.cedar", FORBID)], Answer::Deny, "robots"),
            (&[("a.cedar", FORBID), ("b.cedar", PERMIT)], Answer::Deny, "robots"),
            (&[("b.cedar", PERMIT)], Answer::Allow, "looking"),
            // A forbid alone permits nothing.
            (
                &[("a.cedar", "@id(\"x\") forbid (principal, action, resource in Package::\"y\");")],
                Answer::Deny,
                "default",
            ),
            (&[("a.txt", "whatever")], Answer::Allow, "looking"),
        ] {
            assert_eq!(with(files).unwrap(), (answer, rule.to_owned()), "{files:?}");
        }
        let error = with(&[("a.cedar", PERMIT), ("b.cedar", PERMIT)]).unwrap_err().to_string();
        assert!(error.contains("b.cedar") && error.contains("`anything`"), "{error}");
        assert!(with(&[("a.cedar", "permit")]).unwrap_err().to_string().contains("a.cedar:1"));
    }

    #[test]
    fn one_in_cedar_has_the_default_limits() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("mine.cedar");
        std::fs::write(&path, PERMIT).unwrap();
        let folder = home.path().to_path_buf();
        let paths = Paths { config: folder.clone(), data: folder.clone(), state: folder.clone(), cache: folder };
        let settings = Settings { policy: Some(path), ..Settings::default() };
        let policy = composed(&settings, &paths, Path::new("/nonexistent")).unwrap();
        assert_eq!(policy.budget(), Policy::default().budget());
        assert_eq!(policy.egress(), Policy::default().egress());
    }
}
