//! `ossicle tool build --watch`: builds again whenever a source changes, and keeps the added copy up to date, which open
//! chats take up by themselves.
//!
//! A build that wants more than the copy that the user agreed to is not put in its place: that is what `tool add` asks about.

use super::super::add::news;
use super::super::{args, session};
use super::{Failure, Ink, Screen, build, terminal};
use crate::config::Packages;
use crate::tool::wasm::Package;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Between two looks at the sources.
const PAUSE: Duration = Duration::from_millis(300);

/// Folders of a package in which nobody writes by hand.
const MADE: [&str; 7] = ["target", "node_modules", ".venv", "build", "__pycache__", ".git", "wit"];

/// Builds until the program is stopped. A build that fails is shown, and the next change tries again.
pub(in super::super) async fn watch(folder: &Path, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    loop {
        let before = sources(folder);
        match build(folder, screen) {
            Ok(()) => renew(folder, flags, screen)?,
            Err(failure) => screen.say(Ink::Red, &failure.to_string()),
        }
        screen.say(Ink::Dim, "waiting for a change; Ctrl-C ends");
        // What was written during the build counts as a change, but for what the build itself wrote.
        while sources(folder) == before {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Puts the build in the place of the added copy, if there is one.
fn renew(folder: &Path, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let (_, paths) = session::settings(flags)?;
    let packages = Packages::new(&paths);
    let package = match Package::read(folder) {
        Ok(package) => package,
        Err(error) => {
            screen.say(Ink::Red, &error.to_string());
            return Ok(());
        }
    };
    let Some(added) = packages.find(package.name())? else { return Ok(()) };
    let news = news(&package, &added);
    if !news.is_empty() {
        let news = terminal::line(&news.join(", ")).into_owned();
        screen
            .say(Ink::Yellow, &format!("the added copy stays, for this one has new: {news}; `ossicle tool add` asks"));
        return Ok(());
    }
    packages.add(&package)?;
    screen.say(Ink::Green, "the added copy is this one now");
    Ok(())
}

/// Every file that somebody may write by hand, and when that was. Of the manifest it is the text without the hash, which a
/// build writes.
fn sources(folder: &Path) -> BTreeMap<PathBuf, (Option<SystemTime>, String)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                if !MADE.iter().any(|made| name == *made) {
                    folders.push(path);
                }
            } else if name == "tool.toml" {
                let text = fs::read_to_string(&path).unwrap_or_default();
                let lines = text.lines().filter(|line| !line.trim_start().starts_with("sha256"));
                found.insert(path, (None, lines.collect::<Vec<_>>().join("\n")));
            } else if path.extension().is_none_or(|extension| extension != "wasm" && extension != "lock") {
                found.insert(path, (metadata.modified().ok(), String::new()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_writes_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("src")).unwrap();
        fs::create_dir_all(at("target")).unwrap();
        fs::write(at("src/lib.rs"), "a").unwrap();
        fs::write(at("tool.toml"), "name = \"a\"\nsha256 = \"\"\n").unwrap();
        let before = sources(folder.path());
        fs::write(at("tool.toml"), "name = \"a\"\nsha256 = \"00\"\n").unwrap();
        fs::write(at("a.wasm"), "x").unwrap();
        fs::write(at("target/x"), "x").unwrap();
        assert_eq!(sources(folder.path()), before);
        fs::write(at("tool.toml"), "name = \"b\"\nsha256 = \"00\"\n").unwrap();
        assert_ne!(sources(folder.path()), before);
        let before = sources(folder.path());
        fs::write(at("src/more.rs"), "b").unwrap();
        assert_ne!(sources(folder.path()), before);
    }
}
