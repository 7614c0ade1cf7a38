//! `ossicle cloud`: hosted models, what was sent to them and what it cost, and what waits for a way out.
//!
//! It sends nothing but what waits, through the gate that every call goes through. Start at [`cloud`].

use super::approve::approver;
use super::report::{Failure, exit};
use super::screen::{Ink, Screen};
use super::{args, session, terminal};
use crate::agent::CallOutcome;
use crate::agent::cloud::{self as hosted, Drained};
use crate::config::{self, Paths, Settings};
use crate::delegate::catalogue::{Capability, Catalogue};
use crate::journal::ledger::{Line, verify};
use crate::journal::tasks::{End, Piece, Spent, State, Task, TaskId, TaskStore};
use crate::policy::Money;
use crate::world::World;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

pub(super) async fn cloud(command: &args::Cloud, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let (settings, paths) = session::settings(flags)?;
    let store = || config::tasks(&paths);
    match command {
        args::Cloud::Models { check: false } => models(&settings, screen),
        args::Cloud::Models { check: true } => check(&settings, &paths, flags, screen).await,
        args::Cloud::Budget => {
            let lines = budget(&settings, &paths, "").await?;
            // There is no session here.
            lines[1..].iter().try_for_each(|line| writeln!(io::stdout(), "{line}"))?;
            Ok(())
        }
        args::Cloud::Ledger { json, verify } => ledger(store()?.as_ref(), *json, *verify, screen).await,
        args::Cloud::Queue(args::Queue::List) => list(store()?.as_ref(), screen).await,
        args::Cloud::Queue(args::Queue::Show { task }) => {
            let store = store()?;
            let task = found(store.as_ref(), task).await?;
            show(&task, &store.results(&task.id).await.map_err(config::ConfigError::from)?, screen)
        }
        args::Cloud::Queue(args::Queue::Save { task, folder }) => {
            let store = store()?;
            let task = found(store.as_ref(), task).await?;
            save(&store.results(&task.id).await.map_err(config::ConfigError::from)?, folder, screen)
        }
        args::Cloud::Queue(args::Queue::Cancel { task }) => {
            let store = store()?;
            let task = found(store.as_ref(), task).await?;
            if !store.cancel(&task.id, World::real().clock.now()).await.map_err(config::ConfigError::from)? {
                let failure = Failure::usage(format!("task {} is {}", task.id, task.state.as_str()));
                return Err(failure.help("only what waits can be taken back"));
            }
            screen.say(Ink::Green, &format!("cancelled {}", task.id));
            Ok(())
        }
        args::Cloud::Queue(args::Queue::Settle { task, cost }) => {
            let store = store()?;
            let task = found(store.as_ref(), task).await?;
            let end = End::new(State::Failed, Some(*cost), "settled by the user");
            if task.state != State::Unknown
                || !store.settle(&task.id, end, World::real().clock.now()).await.map_err(config::ConfigError::from)?
            {
                let failure = Failure::usage(format!("task {} is {}", task.id, task.state.as_str()));
                return Err(failure.help("only what is unknown can be settled by hand"));
            }
            screen.say(Ink::Green, &format!("{} cost {cost}", task.id));
            Ok(())
        }
        args::Cloud::Queue(args::Queue::Drain) => drain(flags, screen).await,
    }
}

/// What a session and today have cost, and the limits; a line each.
pub(super) async fn budget(settings: &Settings, paths: &Paths, session: &str) -> Result<Vec<String>, Failure> {
    let policy = config::policy(settings, paths)?;
    let spent = config::tasks(paths)?.spent(session, &World::real().clock.today()).await;
    let Spent { task, day, reserved } = spent.map_err(config::ConfigError::from)?;
    let limit = |limit: Option<Money>| limit.map_or_else(|| "no limit".into(), |limit| format!("of at most {limit}"));
    let budget = policy.budget();
    Ok(vec![
        format!("session    {task} {}", limit(budget.per_task)),
        format!("today      {day} {}; {reserved} of it only reserved", limit(budget.per_day)),
        format!("one call   {}", limit(budget.per_call)),
    ])
}

/// The catalogue beside what the service lists now.
async fn check(settings: &Settings, paths: &Paths, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let (client, grant) = match config::hosted_client(settings, paths, approver(flags.approve, screen)).await? {
        Some(Ok(way)) => way,
        Some(Err(denial)) => return Err(Failure::new(exit::DENIED, denial.to_string())),
        None => return Err(not_set_up()),
    };
    let listed = client.models(&grant).await.map_err(|error| Failure::new(exit::FAILURE, error.to_string()))?;
    let today = World::real().clock.now();
    let today = Timestamp::try_from(today).unwrap_or_default().to_zoned_datetime(World::real().clock.zone()).date();
    let notes = Catalogue::embedded().compare(&listed, today);
    for note in &notes {
        screen.say(Ink::Yellow, &terminal::line(&note.to_string()));
    }
    screen.say(Ink::Green, &format!("{} models are listed; {} things to know", listed.len(), notes.len()));
    Ok(())
}

fn not_set_up() -> Failure {
    Failure::usage("no hosted models are set up".to_owned())
        .help("set OPENAI_API_KEY, or `base_url` in `[cloud]` of config.toml")
}

/// The catalogue as a table.
fn models(settings: &Settings, screen: &Screen) -> Result<(), Failure> {
    let catalogue = Catalogue::embedded();
    let mut out = io::stdout().lock();
    for model in catalogue.models() {
        let does: Vec<&str> = model.capabilities.iter().map(|capability| capability.as_str()).collect();
        let is_taken = |capability: &Capability| match settings.cloud.models.get(capability) {
            Some(chosen) => chosen == model.id(),
            None => model.default_for.contains(capability),
        };
        let mark = if model.capabilities.iter().any(is_taken) { '*' } else { ' ' };
        let end = model.shutdown_date.map(|date| format!("ends {date}")).unwrap_or_default();
        let instead = model.replacement().map(|id| format!("; then {id}")).unwrap_or_default();
        writeln!(out, "{mark} {:<22} {:<14} {:<34} {end}{instead}", model.id(), does.join(", "), model.prices())?;
    }
    screen.say(Ink::Dim, &format!("* is taken unless `[cloud.models]` says otherwise; as of {}", catalogue.as_of));
    Ok(())
}

async fn found(store: &dyn TaskStore, id: &str) -> Result<Task, Failure> {
    let tasks = store.tasks().await.map_err(config::ConfigError::from)?;
    let id = TaskId::named(id);
    tasks.into_iter().find(|task| task.id == id).ok_or_else(|| {
        Failure::usage(format!("there is no task {id}")).help("`ossicle cloud queue list` names those that there are")
    })
}

/// What was wanted, and what came of it.
fn show(task: &Task, results: &[Piece], screen: &Screen) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if !task.request.is_empty() {
        writeln!(out, "{}", terminal::json(&task.request))?;
    }
    for piece in results {
        match (piece.media_type.as_str(), str::from_utf8(&piece.data)) {
            ("text/plain", Ok(text)) => writeln!(out, "{}", terminal::block(text).trim_end())?,
            _ => writeln!(out, "{} ({}, {:.1} kB)", piece.name, piece.media_type, piece.data.len() as f64 / 1e3)?,
        }
    }
    if task.request.is_empty() && results.is_empty() {
        let note = if task.note.is_empty() { String::new() } else { format!(": {}", terminal::line(&task.note)) };
        screen.say(Ink::Dim, &format!("{}{note}; what came of it is kept for 7 days", task.state.as_str()));
    }
    Ok(())
}

/// Writes what came of a task into a folder. Nothing that is there is written over.
fn save(results: &[Piece], folder: &Path, screen: &Screen) -> Result<(), Failure> {
    if results.is_empty() {
        return Err(Failure::new(exit::FAILURE, "nothing is kept of it").help("what came of a task is kept for 7 days"));
    }
    for piece in results {
        let name = Path::new(&piece.name).file_name().unwrap_or_else(|| OsStr::new("result"));
        let path = folder.join(name);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path).map_err(|error| {
            Failure::new(exit::FAILURE, format!("{} cannot be written: {error}", path.display()))
                .help("name a folder that is there, in which no such file is")
        })?;
        file.write_all(&piece.data)?;
        screen.say(Ink::Green, &format!("saved {}", path.display()));
    }
    Ok(())
}

async fn list(store: &dyn TaskStore, screen: &Screen) -> Result<(), Failure> {
    let tasks = store.tasks().await.map_err(config::ConfigError::from)?;
    let mut out = io::stdout().lock();
    for task in &tasks {
        let money = match (task.cost, task.state) {
            (Some(cost), _) => cost.to_string(),
            (None, State::Waiting) => String::new(),
            (None, _) => format!("{} reserved", task.reserved),
        };
        let until = match (task.state, task.expires) {
            (State::Waiting, Some(until)) => format!("until {}", day(until)),
            _ => String::new(),
        };
        let line = format!(
            "{}  {:<9} {:<10} {:<20} {money:<14} {until}{}",
            task.id,
            task.state.as_str(),
            task.capability,
            task.model,
            task.note
        );
        writeln!(out, "{}", terminal::line(line.trim_end()))?;
    }
    if tasks.is_empty() {
        screen.say(Ink::Dim, "nothing was delegated yet");
    }
    Ok(())
}

fn local(time: SystemTime, form: &str) -> String {
    let zone = World::real().clock.zone();
    Timestamp::try_from(time)
        .map_or_else(|_| "?".into(), |time| time.to_zoned_datetime(zone).strftime(form).to_string())
}

fn day(time: SystemTime) -> String {
    local(time, "%Y-%m-%d %H:%M")
}

async fn ledger(store: &dyn TaskStore, as_json: bool, is_verified: bool, screen: &Screen) -> Result<(), Failure> {
    let lines = store.lines().await.map_err(config::ConfigError::from)?;
    if is_verified {
        let seal = verify(&lines).map_err(|broken| Failure::new(exit::FAILURE, broken.to_string()))?;
        writeln!(io::stdout(), "{} lines, all as they were written; seal of the last: {seal}", lines.len())?;
        return Ok(());
    }
    let mut out = io::stdout().lock();
    for line in &lines {
        let body: Value = serde_json::from_str(&line.body).unwrap_or_default();
        if as_json {
            let at = Timestamp::try_from(line.at).map(|at| at.to_string()).unwrap_or_default();
            let line = json!({ "seq": line.seq, "at": at, "session": line.session, "entry": body, "seal": line.seal });
            writeln!(out, "{}", terminal::json(&line.to_string()))?;
        } else if let Some(words) = words(&body) {
            let Line { seq, at, .. } = line;
            writeln!(out, "{seq:>5}  {}  {}", local(*at, "%Y-%m-%d %H:%M:%S"), terminal::line(&words))?;
        }
    }
    if lines.is_empty() {
        screen.say(Ink::Dim, "nothing is on record yet (of ephemeral sessions there is only what they spent)");
    }
    Ok(())
}

/// A line of the ledger for people; `None` where another line says more.
fn words(body: &Value) -> Option<String> {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let money = |name: &str| {
        body[name].as_u64().map_or_else(|| "nobody knows".into(), |micro| Money::from_micro_dollars(micro).to_string())
    };
    Some(match text("type") {
        "egress_started" => {
            format!(
                "{:<14} {} {}, {} bytes, rule {}",
                text("sender"),
                text("method"),
                text("url"),
                body["n_bytes"],
                text("rule")
            )
        }
        "egress_ended" => match body["error"].as_str() {
            Some(error) => format!("{:<14} {error}", ""),
            None => return None,
        },
        kind @ ("task_reserved" | "task_deferred" | "task_claimed") => format!(
            "{} {} for {} at {}: {} reserved, {} bytes{}, rule {}{}",
            text("task"),
            match kind {
                "task_reserved" => "accepted",
                "task_claimed" => "taken up",
                _ => "waits",
            },
            text("model"),
            text("destination"),
            money("reserved_micro_dollars"),
            body["n_bytes"],
            body["hidden"]
                .as_array()
                .filter(|hidden| !hidden.is_empty())
                .map_or_else(String::new, |hidden| format!(", {} values taken out", hidden.len())),
            text("rule"),
            if body["approved"] == true { ", approved" } else { "" },
        ),
        "task_released" => format!("{} waits again: {}", text("task"), text("note")),
        "task_settled" => {
            format!("{} {}: cost {} {}", text("task"), text("state"), money("cost_micro_dollars"), text("note"))
        }
        _ => return None,
    })
}

/// Carries out what waits, each through the gate; asks the other side what became of what a crash left open.
async fn drain(flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let (settings, paths) = session::settings(flags)?;
    if settings.offline {
        return Err(Failure::new(exit::OFFLINE, "nothing leaves while --offline is given".to_owned()));
    }
    let (counter, warnings) = config::counter(&settings, &paths, approver(flags.approve, screen), None).await?;
    for warning in warnings {
        screen.say(Ink::Yellow, &format!("warning: {warning}"));
    }
    let cloud = counter.cloud.clone().ok_or_else(not_set_up)?;
    let now = || World::real().clock.now();
    let n_cleared = hosted::clear_up(&cloud, counter.caller.approver.as_ref(), now()).await;
    if n_cleared > 0 {
        screen.say(Ink::Green, &format!("{n_cleared} of what a crash left open were cleared up"));
    }
    let folders = config::folders(&settings, &paths);
    let told = screen.clone();
    let begins = &mut |task: &Task| told.wait(&format!("{}: cloud.{}", task.id, task.capability));
    let drained = hosted::drain(&cloud, &counter.caller, &folders, begins).await;
    screen.settle();
    let mut n_left = 0;
    for Drained { task, called, .. } in drained.map_err(config::ConfigError::from)? {
        let is_done = called.outcome == CallOutcome::Ok;
        n_left += usize::from(!is_done);
        let ink = if is_done { Ink::Green } else { Ink::Yellow };
        screen.say(ink, &format!("{task}  {}", terminal::block(&called.text).trim_end()));
        called.attachments.iter().for_each(|kept| screen.state().picture(&kept.file));
    }
    counter.servers.close().await;
    match n_left {
        0 => Ok(()),
        n => Err(Failure::new(
            exit::FAILURE,
            format!("{n} of them could not be done; they are in `ossicle cloud queue list`"),
        )),
    }
}
