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
            None => file(path)?.ok_or_else(|| ConfigError::NoPolicy { path: path.clone() })?,
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
    Ok(Some(match path.extension().is_some_and(|kind| kind == "cedar") {
        true => Policy::parse_cedar(&name, &text)?,
        false => Policy::parse(&name, &text)?,
    }))
}

/// The policy of a folder: its `policy.toml` and its `*.cedar` files, as if they were one.
fn in_folder(folder: &Path) -> Result<Option<Policy>, ConfigError> {
    let mut whole = file(&folder.join(FILE))?;
    let mut files: Vec<PathBuf> = match folder.read_dir() {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(ConfigError::Unreadable { path: folder.to_owned(), error }),
    };
    files.retain(|path| path.extension().is_some_and(|kind| kind == "cedar"));
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
