//! `ossicle models`: what there is on this machine, checkpoints described and prepared.
//!
//! What it is not: it changes nothing that another program stored; `remove` says whose that is. Start at [`models`].

mod remove;

use super::report::{Failure, exit};
use super::screen::{Ink, Screen};
use super::{args, session, terminal};
use crate::config::{self, Paths, Settings};
use crate::engine::cpu;
use crate::engine::models::{self, Found, LoadError, Origin, Original, PreparedForm, Source, amount, found};
use serde_json::json;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

pub(super) async fn models(command: &args::Models, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let paths = Paths::from_environment()?;
    let places = paths.places();
    match command {
        args::Models::Inspect { checkpoint } => match checkpoint.as_ref().or(flags.model.as_ref()) {
            Some(word) => inspect(Source::find(word, Path::new(""), &places)?, flags),
            None => inspect(Source::default(), flags),
        },
        args::Models::List { json } => list(&found(&places), &models::prepared_forms(&paths.prepared()), *json, screen),
        args::Models::Prepare { checkpoint, verify } => {
            let flags = args::Session { model: checkpoint.clone().or(flags.model.clone()), ..flags.clone() };
            let (verify, screen) = (*verify, screen.clone());
            tokio::task::spawn_blocking(move || prepare(&flags, verify, &screen))
                .await
                .map_err(config::ConfigError::from)?
        }
        args::Models::Remove { name, yes } => remove::remove(name, *yes, &paths, screen),
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
fn inspect(source: Source, flags: &args::Session) -> Result<(), Failure> {
    let (settings, paths) = session::settings(flags)?;
    let inspection = config::inspection(&Settings { model: Some(source), ..settings }, &paths)?;
    write!(io::stdout(), "{}", terminal::block(&inspection.to_string()))?;
    if inspection.is_complete() {
        return Ok(());
    }
    Err(Failure::new(exit::NO_MODEL, "the checkpoint is not complete").help("download it again"))
}

/// Prints the models that can be named with --model, and what was prepared.
fn list(models: &[Found], forms: &[PreparedForm], as_json: bool, screen: &Screen) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let forms: Vec<_> = forms.iter().map(|form| (form, fault(form.is_whole, form.original()))).collect();
    if as_json {
        let prepared = forms.iter().map(|(form, fault)| described_form(form, *fault));
        let all: Vec<_> = models.iter().map(described).chain(prepared).collect();
        writeln!(out, "{}", terminal::json(&format!("{:#}", json!(all))))?;
        return Ok(());
    }
    write!(out, "{}", table(models, &forms))?;
    let embedded = "stapes, the demonstration model inside the program, is always there";
    screen.say(Ink::Dim, if models.is_empty() { NOTHING } else { embedded });
    if !forms.is_empty() {
        screen
            .say(Ink::Dim, "what is prepared can go: `ossicle models remove NAME`; where it is needed it is made anew");
    }
    Ok(())
}

const NOTHING: &str =
    "no gpt-oss was found: neither pulled, nor in Hugging Face's cache, nor LM Studio's, nor Ollama's";

/// What a prepared form is stored in, beside the formats of models.
const PREPARED: &str = "prepared";

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

fn described_form(form: &PreparedForm, fault: Option<&str>) -> serde_json::Value {
    json!({
        "name": form.name,
        "path": form.path.display().to_string(),
        "origin": Origin::Ossicle.to_string(),
        "format": PREPARED,
        "bytes": form.n_bytes,
        "fault": fault,
        "of": form.of.as_ref().map(|of| of.display().to_string()),
    })
}

/// Why nothing uses a form, or not yet.
fn fault(is_whole: bool, original: Original) -> Option<&'static str> {
    match original {
        Original::There if is_whole => None,
        Original::There => Some("it was not finished, and `ossicle models prepare` goes on with it"),
        Original::Changed => Some("the model has changed since, and this may be of no more use"),
        Original::Gone => Some("the model is not there"),
        Original::Unknown if !is_whole => Some("it was not finished, and of which model it is was not noted"),
        Original::Unknown => Some("of which model it is was not noted; where that is used, it will be"),
    }
}

/// A line for each, and below it why it cannot be used where it cannot; below a form also of what it is one.
fn table(models: &[Found], forms: &[(&PreparedForm, Option<&str>)]) -> String {
    let of_model = |model: &Found| {
        let below = model.fault.clone();
        (terminal::line(&model.name).into_owned(), model.origin, model.format.to_string(), model.n_bytes, below)
    };
    let of_form = |(form, fault): &(&PreparedForm, Option<&str>)| {
        let of = form.of.as_ref().map(|of| format!("of {}", of.display()));
        let below = [of.as_deref(), *fault].into_iter().flatten().collect::<Vec<_>>().join(": ");
        (terminal::line(&form.name).into_owned(), Origin::Ossicle, PREPARED.to_owned(), form.n_bytes, Some(below))
    };
    let rows: Vec<_> = models.iter().map(of_model).chain(forms.iter().map(of_form)).collect();
    let width = rows.iter().map(|(name, ..)| console::measure_text_width(name)).max().unwrap_or_default();
    let mut text = String::new();
    for (name, origin, format, n_bytes, below) in rows {
        let size = if n_bytes > 0 { amount(n_bytes) } else { "-".into() };
        let name = console::pad_str(&name, width, console::Alignment::Left, None);
        text += &format!("{name}  {origin:<12}  {format:<11}  {size:>10}\n");
        if let Some(below) = below {
            text += &format!("    {}\n", terminal::line(&below));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::models::Format;
    use std::path::PathBuf;

    pub(super) fn model(name: &str, origin: Origin) -> Found {
        let path = PathBuf::from("/m").join(name);
        Found { name: name.into(), path, origin, format: Format::Gguf, n_bytes: 13 << 30, fault: None }
    }

    #[test]
    fn a_model_is_a_line_and_its_fault_another() {
        let broken = Found { n_bytes: 0, fault: Some("cut\nshort".into()), ..model("東京/x", Origin::HuggingFace) };
        assert_eq!(
            table(&[model("gpt-oss:20b", Origin::Ollama), broken], &[]),
            "gpt-oss:20b  Ollama        GGUF           13.0 GiB\n\
             東京/x       Hugging Face  GGUF                  -\n    cut\\nshort\n"
        );
        assert_eq!(table(&[], &[]), "");
    }

    #[test]
    fn a_prepared_form_says_of_what_it_is_one_and_why_nothing_uses_it() {
        let name = "gpt-oss-20b-0123456789abcdef";
        let path = PathBuf::from("/c").join(name).with_extension("weights");
        let form = PreparedForm { name: name.into(), path, n_bytes: 12 << 30, of: Some("/m/x".into()), is_whole: true };
        let unknown = PreparedForm { of: None, ..form.clone() };
        for (form, original, below) in [
            (&form, Original::There, "of /m/x"),
            (&form, Original::Gone, "of /m/x: the model is not there"),
            (&form, Original::Changed, "of /m/x: the model has changed since, and this may be of no more use"),
            (&unknown, Original::Unknown, "of which model it is was not noted; where that is used, it will be"),
        ] {
            let expected = format!("{name}  Ossicle       prepared       12.0 GiB\n    {below}\n");
            assert_eq!(table(&[], &[(form, fault(true, original))]), expected);
        }
        assert!(fault(false, Original::There).unwrap().contains("goes on with it"));
    }
}
