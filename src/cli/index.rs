//! `ossicle index`: the folders that can be searched without a network.
//!
//! It searches nothing; `browser.search` does. Start at [`index`].

use super::report::Failure;
use super::screen::{Ink, Screen};
use super::{args, session, terminal};
use crate::config;
use crate::tool::browser::index::{Index, IndexError, Indexed, LeftOut, Step, Summary};
use crate::world::{Clock, World};
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// How often the line that says how far it is changes.
const BEAT: Duration = Duration::from_millis(100);

pub(super) async fn index(command: &args::Index, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let (_, paths) = session::settings(flags)?;
    let desk = Desk { index: config::new_index(&paths)?, clock: World::real().clock, screen };
    match command {
        args::Index::Add { folders } => {
            for folder in folders {
                desk.add(folder).await?;
            }
            Ok(())
        }
        args::Index::List { json } => desk.list(*json),
        args::Index::Update => desk.update().await,
        args::Index::Remove { folder } => desk.remove(folder).await,
    }
}

/// What the commands share.
struct Desk<'a> {
    index: Index,
    clock: Arc<dyn Clock>,
    screen: &'a Screen,
}

impl Desk<'_> {
    async fn add(&self, folder: &Path) -> Result<(), Failure> {
        if std::env::home_dir().is_some_and(|home| home.canonicalize().ok() == folder.canonicalize().ok()) {
            let warning = "this is all of your home folder; what a file .ossicleignore in it names is left out";
            self.screen.say(Ink::Yellow, &format!("warning: {warning}"));
        }
        let at = folder.to_owned();
        let (summary, took) = self.watched(move |index, go_on| index.add(&at, go_on)).await?;
        let Summary { n_files, n_bytes, left_out, .. } = summary;
        let files = files(n_files, n_bytes);
        let folder = folder.display().to_string();
        self.screen.say(Ink::Green, &format!("indexed {}: {files}, in {}", terminal::line(&folder), seconds(took)));
        self.tell(&left_out);
        Ok(())
    }

    async fn update(&self) -> Result<(), Failure> {
        if self.index.folders().is_empty() {
            self.screen.say(Ink::Dim, NOTHING);
            return Ok(());
        }
        let (summary, took) = self.watched(|index, go_on| index.update(go_on)).await?;
        let Summary { n_files, n_bytes, n_added, n_changed, n_removed, left_out, .. } = summary;
        let news = format!("{n_added} new, {n_changed} changed, {n_removed} gone");
        let files = files(n_files, n_bytes);
        self.screen.say(Ink::Green, &format!("the index holds {files}: {news}, in {}", seconds(took)));
        self.tell(&left_out);
        Ok(())
    }

    async fn remove(&self, folder: &Path) -> Result<(), Failure> {
        let at = folder.to_owned();
        let (path, _) = self.watched(move |index, go_on| index.remove(&at, go_on)).await?;
        let path = path.display().to_string();
        let words = format!("{} and its words are out of the index; the folder is as it was", terminal::line(&path));
        self.screen.say(Ink::Green, &words);
        Ok(())
    }

    fn list(&self, as_json: bool) -> Result<(), Failure> {
        let (folders, updated) = (self.index.list()?, self.index.updated());
        let updated = updated.and_then(|time| jiff::Timestamp::try_from(time).ok());
        let mut out = io::stdout().lock();
        if as_json {
            let folder = |Indexed { path, n_files, n_bytes }: &Indexed| json!({ "path": path.display().to_string(), "files": n_files, "bytes": n_bytes });
            let updated = updated.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            let folders: Vec<_> = folders.iter().map(folder).collect();
            let list = json!({ "folders": folders, "updated": updated, "bytes_on_disk": self.index.n_bytes() });
            writeln!(out, "{}", terminal::json(&format!("{list:#}")))?;
            return Ok(());
        }
        for Indexed { path, n_files, n_bytes } in &folders {
            let path = path.display().to_string();
            writeln!(out, "{}  {}", terminal::line(&path), files(*n_files, *n_bytes))?;
        }
        match updated {
            _ if folders.is_empty() => self.screen.say(Ink::Dim, NOTHING),
            Some(updated) => {
                let updated = updated.to_zoned_datetime(self.clock.zone()).strftime("%Y-%m-%d %H:%M");
                let size = bytes(self.index.n_bytes());
                self.screen.say(Ink::Dim, &format!("last updated {updated}; {size} on the disk"));
            }
            None => self.screen.say(Ink::Dim, "not read to the end yet; `ossicle index update` does"),
        }
        Ok(())
    }

    /// Does something that takes its time, shows how far it is, and says how long it took.
    async fn watched<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Index, &mut dyn FnMut(Step<'_>) -> bool) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<(T, Duration), Failure> {
        let (index, clock, screen) = (self.index.clone(), self.clock.clone(), self.screen.clone());
        let begun = clock.elapsed();
        let done = spawn_blocking(move || {
            let mut due = Duration::ZERO;
            work(&index, &mut |step| {
                if clock.elapsed() >= due {
                    due = clock.elapsed() + BEAT;
                    screen.wait(&progress(step));
                }
                true
            })
        });
        let done = done.await.map_err(config::ConfigError::from)?;
        self.screen.settle();
        Ok((done?, self.clock.elapsed().saturating_sub(begun)))
    }

    fn tell(&self, left_out: &LeftOut) {
        for (reason, (n, example)) in &left_out.0 {
            let example = terminal::line(example);
            self.screen.say(Ink::Dim, &format!("left out: {n} {reason}, such as {example}"));
        }
    }
}

const NOTHING: &str = "no folder is indexed; `ossicle index add DIR` adds one";

fn progress(step: Step<'_>) -> String {
    match step {
        Step::Looking(n) => format!("looking for files: {n}"),
        Step::Reading { n, of, file } => format!("reading {} of {of}: {file}", n + 1),
        Step::Cleaning => "putting the index in order".into(),
    }
}

fn files(n: usize, n_bytes: u64) -> String {
    format!("{n} file{}, {}", if n == 1 { "" } else { "s" }, bytes(n_bytes))
}

fn bytes(n: u64) -> String {
    match n {
        0..1000 => format!("{n} bytes"),
        1000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        _ => format!("{:.1} MB", n as f64 / 1e6),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
