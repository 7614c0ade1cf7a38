//! `ossicle models`: what there is on this machine, checkpoints described, and what Ossicle stored removed.
//!
//! What it is not: it changes nothing that another program stored, and says whose it is instead.
//! Start at [`models`].

use super::add::agreed;
use super::report::{Failure, exit};
use super::screen::{Ink, Screen};
use super::{args, session, terminal};
use crate::config::{self, Paths};
use crate::engine::cpu;
use crate::engine::models::{self, Found, Inspection, LoadError, Origin, Source, amount, called, found};
use serde_json::json;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

pub(super) async fn models(command: &args::Models, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let paths = Paths::from_environment()?;
    let places = paths.places();
    match command {
        args::Models::Inspect { checkpoint } => match checkpoint.as_ref().or(flags.model.as_ref()) {
            Some(word) => inspect(&Source::find(word, Path::new(""), &places)?),
            None => inspect(&Source::default()),
        },
        args::Models::List { json } => list(&found(&places), *json, screen),
        args::Models::Prepare { checkpoint, verify } => {
            let flags = args::Session { model: checkpoint.clone().or(flags.model.clone()), ..flags.clone() };
            let (verify, screen) = (*verify, screen.clone());
            tokio::task::spawn_blocking(move || prepare(&flags, verify, &screen))
                .await
                .map_err(config::ConfigError::from)?
        }
        args::Models::Remove { name, yes } => remove(name, *yes, &paths, screen),
        args::Models::Pull(_) => unreachable!("it has a file of its own"),
    }
}

/// Writes a model for this machine, where that is not done, and says where it is.
fn prepare(flags: &args::Session, verify: bool, screen: &Screen) -> Result<(), Failure> {
    let (settings, paths) = session::settings(flags)?;
    let checkpoint = settings.model.clone().unwrap_or_default().open()?;
    if checkpoint.is_prepared() || !models::can_prepare(&checkpoint) {
        screen.say(Ink::Dim, &format!("{} runs as it lies: there is nothing to prepare", checkpoint.name));
        return Ok(());
    }
    let path = models::prepared_path(&checkpoint, config::preparation(&settings), &paths.prepared());
    let was_there = path.exists();
    let show = session::preparing(screen);
    let mut progress = |done, total| {
        show(&checkpoint.name, done, total);
        true
    };
    let preparation = config::preparation(&settings);
    let prepared = models::prepare(&checkpoint, preparation, &paths.prepared(), &mut progress)?;
    if verify {
        let result = models::verify(&path, &mut |done, total| screen.fill("comparing with checksums", done, total));
        if let Err(LoadError::Damaged { problem, .. }) = result {
            screen.say(Ink::Yellow, &format!("{}: {problem}; it is made anew", path.display()));
            fs::remove_file(&path)?;
            models::prepare(&checkpoint, preparation, &paths.prepared(), &mut progress)?;
        } else {
            result?;
        }
    }
    screen.settle();
    let size = fs::metadata(&path).map_or(String::new(), |metadata| format!(", {}", amount(metadata.len())));
    let words = match (verify, was_there) {
        (true, _) => "is as it was written",
        (false, true) => "was prepared already",
        (false, false) => "is prepared",
    };
    screen.say(Ink::Green, &format!("{} {words}: {}{size}", checkpoint.name, path.display()));
    if checkpoint.is_dequantised() && !was_there {
        screen.wait("reading a short text with both");
        let drift = cpu::drift(&checkpoint, &prepared, preparation.n_threads)?;
        screen.settle();
        screen.say(Ink::Plain, &drift.to_string());
    }
    Ok(())
}

/// Prints what is in the model. A checkpoint with faults is described, and is a failure.
fn inspect(source: &Source) -> Result<(), Failure> {
    let inspection = Inspection::of(source.open()?);
    write!(io::stdout(), "{}", terminal::block(&inspection.to_string()))?;
    if inspection.is_complete() {
        return Ok(());
    }
    Err(Failure::new(exit::NO_MODEL, "the checkpoint is not complete").help("download it again"))
}

/// Prints the models that can be named with --model.
fn list(models: &[Found], as_json: bool, screen: &Screen) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if as_json {
        let models: Vec<_> = models.iter().map(described).collect();
        writeln!(out, "{}", terminal::json(&format!("{:#}", json!(models))))?;
        return Ok(());
    }
    write!(out, "{}", table(models))?;
    let embedded = "stapes, the demonstration model inside the program, is always there";
    screen.say(Ink::Dim, if models.is_empty() { NOTHING } else { embedded });
    Ok(())
}

const NOTHING: &str =
    "no gpt-oss was found: neither pulled, nor in Hugging Face's cache, nor LM Studio's, nor Ollama's";

fn described(model: &Found) -> serde_json::Value {
    json!({
        "name": model.name,
        "path": model.path.display().to_string(),
        "origin": model.origin.to_string(),
        "format": model.format.to_string(),
        "bytes": model.n_bytes,
        "fault": model.fault,
    })
}

/// A line for each model, and below it why it cannot be used where it cannot.
fn table(models: &[Found]) -> String {
    let names: Vec<_> = models.iter().map(|model| terminal::line(&model.name)).collect();
    let width = names.iter().map(|name| console::measure_text_width(name)).max().unwrap_or_default();
    let mut text = String::new();
    for (model, name) in models.iter().zip(names) {
        let size = if model.n_bytes > 0 { amount(model.n_bytes) } else { "-".into() };
        let name = console::pad_str(&name, width, console::Alignment::Left, None);
        text += &format!("{name}  {:<12}  {:<11}  {size:>10}\n", model.origin, model.format);
        if let Some(fault) = &model.fault {
            text += &format!("    {}\n", terminal::line(fault));
        }
    }
    text
}

/// Removes a model that Ossicle stored. Who stored another is named, and nothing is done.
fn remove(name: &str, is_agreed: bool, paths: &Paths, screen: &Screen) -> Result<(), Failure> {
    let places = paths.places();
    let models = found(&places);
    let model = removable(&models, name)?;
    let folder = if model.path.is_dir() { &model.path } else { model.path.parent().unwrap_or(&places.own) };
    // Only a folder of the store itself: what a link in it leads to is not ours.
    let is_ours = folder.parent() == Some(&places.own);
    if !is_ours || folder.is_symlink() {
        return Err(Failure::usage(format!("{} is not a folder that Ossicle made", folder.display()))
            .help("if it is a link of yours, remove it yourself"));
    }
    if let Some(other) = models.iter().find(|other| other.path != model.path && other.path.starts_with(folder)) {
        return Err(Failure::usage(format!("{} lies in the same folder, {}", other.name, folder.display()))
            .help("remove the file that you mean yourself"));
    }
    let (shown, size) = (folder.display().to_string(), amount(model.n_bytes));
    if !is_agreed && !agreed(&format!("Remove {} ({size})?", terminal::line(&shown)), screen)? {
        screen.say(Ink::Dim, "nothing was removed");
        return Ok(());
    }
    for name in [folder.file_name(), model.path.file_stem()].into_iter().flatten() {
        models::remove_prepared(&name.to_string_lossy(), &paths.prepared())?;
    }
    fs::remove_dir_all(folder)
        .map_err(|error| Failure::new(exit::FAILURE, format!("{shown} could not be removed: {error}")))?;
    screen.say(Ink::Green, &format!("removed {}", terminal::line(&model.name)));
    Ok(())
}

/// The model of this name that Ossicle stored.
fn removable<'a>(models: &'a [Found], name: &str) -> Result<&'a Found, Failure> {
    let named = called(models, name);
    let (own, others): (Vec<&Found>, Vec<_>) = named.into_iter().partition(|model| model.origin == Origin::Ossicle);
    if let [model] = own[..] {
        return Ok(model);
    }
    if !own.is_empty() {
        let names: Vec<_> = own.iter().map(|model| model.name.as_str()).collect();
        return Err(Failure::usage(format!("{name} stands for {} models", own.len()))
            .help(format!("name one of {}", names.join(", "))));
    }
    let Some(model) = others.first() else {
        return Err(
            Failure::usage(format!("there is no model {name}")).help("`ossicle models list` names those there are")
        );
    };
    let whose = match model.origin {
        Origin::Ollama => format!("`ollama rm {}` does", model.name),
        Origin::HuggingFace => "`hf cache` of Hugging Face's command line does".into(),
        Origin::LmStudio | Origin::Ossicle => "LM Studio does, under My Models".into(),
    };
    let problem = format!("{}, which {} stored, is not Ossicle's to remove", model.name, model.origin);
    Err(Failure::usage(problem).help(whose))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::models::Format;
    use std::path::PathBuf;

    fn model(name: &str, origin: Origin) -> Found {
        let path = PathBuf::from("/m").join(name);
        Found { name: name.into(), path, origin, format: Format::Gguf, n_bytes: 13 << 30, fault: None }
    }

    #[test]
    fn a_model_is_a_line_and_its_fault_another() {
        let broken = Found { n_bytes: 0, fault: Some("cut\nshort".into()), ..model("東京/x", Origin::HuggingFace) };
        assert_eq!(
            table(&[model("gpt-oss:20b", Origin::Ollama), broken]),
            "gpt-oss:20b  Ollama        GGUF           13.0 GiB\n\
             東京/x       Hugging Face  GGUF                  -\n    cut\\nshort\n"
        );
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn only_what_ossicle_stored_is_removed() {
        let models = [
            model("a/x", Origin::Ossicle),
            model("a/x", Origin::HuggingFace),
            model("b/y", Origin::Ossicle),
            model("c/y", Origin::Ossicle),
            model("d/z", Origin::LmStudio),
            model("e/h", Origin::HuggingFace),
            model("o:1", Origin::Ollama),
        ];
        assert_eq!(removable(&models, "x").ok(), Some(&models[0]));
        for (name, words) in [
            ("y", "y stands for 2 models"),
            ("z", "d/z, which LM Studio stored, is not Ossicle's to remove"),
            ("h", "e/h, which Hugging Face stored"),
            ("o:1", "o:1, which Ollama stored"),
            ("q", "there is no model q"),
            ("stapes", "there is no model stapes"),
        ] {
            let message = removable(&models, name).unwrap_err().to_string();
            assert!(message.contains(words), "{words:?} is not in: {message}");
        }
    }

    #[test]
    fn a_folder_of_ours_goes_and_a_link_in_its_place_stays() {
        let folder = tempfile::tempdir().unwrap();
        let [config, data, state, cache] = ["config", "data", "state", "cache"].map(|name| folder.path().join(name));
        let paths = Paths { config, data, state, cache };
        let ours = paths.models().join("a--b");
        fs::create_dir_all(&ours).unwrap();
        remove("a/b", true, &paths, &Screen::of_process()).unwrap();
        assert!(!ours.exists() && paths.models().exists());
        let elsewhere = folder.path().join("elsewhere");
        fs::create_dir_all(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &ours).unwrap();
        let message = remove("a/b", true, &paths, &Screen::of_process()).unwrap_err().to_string();
        assert!(message.contains("is not a folder that Ossicle made") && elsewhere.exists(), "{message}");
    }
}
