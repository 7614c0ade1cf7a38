//! `ossicle tool add`: a package is shown whole, agreed to by whoever sits at the terminal, and kept.

use super::report::{Failure, exit};
use super::screen::{Ink, Screen};
use super::tools::{described, read};
use super::{args, session, terminal};
use crate::config::{self, Packages, Paths, Settings};
use crate::tool::wasm::{self, Package};
use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

pub(super) async fn add(place: &str, is_agreed: bool, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let (settings, paths) = session::settings(flags)?;
    let package = found(place, &settings, &paths, screen).await?;
    let packages = Packages::new(&paths);
    screen.say(Ink::Bold, &described(&package, &config::policy(&settings, &paths)?, &paths).await?);
    if let Some(before) = packages.find(package.name())? {
        let news = news(&package, &before);
        screen.say(Ink::Yellow, &format!("It takes the place of version {}.", terminal::line(before.version())));
        if !news.is_empty() {
            screen.say(Ink::Yellow, &format!("New in it: {}.", terminal::line(&news.join(", "))));
        }
    }
    if let Some(file) =
        package.file().map(|file| paths.data.join(package.name()).join(file)).filter(|file| file.exists())
    {
        screen.say(Ink::Yellow, &format!("Its file is there already, and it can read it: {}", file.display()));
    }
    if !is_agreed && !agreed(&format!("Add {}?", terminal::line(package.name())), screen)? {
        screen.say(Ink::Dim, "nothing was added");
        return Ok(());
    }
    packages.add(&package)?;
    screen.say(Ink::Green, &format!("added {}", terminal::line(package.name())));
    Ok(())
}

/// The package at a place, which may be elsewhere.
async fn found(place: &str, settings: &Settings, paths: &Paths, screen: &Screen) -> Result<Package, Failure> {
    if !wasm::is_remote(place) {
        return read(Path::new(place));
    }
    let egress = config::egress(settings, paths).await?.ok_or_else(|| {
        Failure::new(exit::OFFLINE, "offline, nothing is fetched").help("leave --offline out, or add a file")
    })?;
    screen.wait(&format!("fetching {}", terminal::line(place)));
    let package = wasm::download(&egress, place).await;
    screen.settle();
    Ok(package.map_err(config::ConfigError::from)?)
}

/// What a newer package may do that the older one could not.
pub(super) fn news(package: &Package, before: &Package) -> Vec<String> {
    let (new, old) = (package.limits(), before.limits());
    let mut news: Vec<_> = package.wants().into_iter().filter(|want| !before.wants().contains(want)).collect();
    for (tool, effect) in package.effects() {
        match before.effects().into_iter().find(|(known, _)| *known == tool) {
            None => news.push(format!("a new tool, {tool} ({effect})")),
            Some((_, was)) if was != effect => news.push(format!("{tool} is {effect} instead of {was}")),
            Some(_) => {}
        }
    }
    if new.memory_mib > old.memory_mib
        || new.time_ms > old.time_ms
        || new.output_bytes > old.output_bytes
        || new.data_mib > old.data_mib
    {
        news.push("higher limits".into());
    }
    news
}

/// A yes from whoever sits at the terminal. The question is shown as it is.
pub(super) fn agreed(question: &str, screen: &Screen) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::usage(format!("nobody can be asked: {question}")).help("--yes does it unasked"));
    }
    screen.ask(&format!("{question} y or n: "));
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    screen.answered();
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
