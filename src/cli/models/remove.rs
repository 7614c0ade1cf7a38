//! `ossicle models remove`: a pulled model goes with what was prepared of it, of another only what was prepared.
//!
//! What it is not: it changes nothing that another program stored, and says whose it is instead. Start at [`remove`].

use crate::cli::add::agreed;
use crate::cli::report::{Failure, exit};
use crate::cli::screen::{Ink, Screen};
use crate::cli::terminal;
use crate::config::Paths;
use crate::engine::models::{self, Found, Origin, PreparedForm, amount, called, found};
use std::fs;
use std::io;
use std::path::Path;

/// Removes what a word means, after a yes.
pub(super) fn remove(name: &str, is_agreed: bool, paths: &Paths, screen: &Screen) -> Result<(), Failure> {
    let places = paths.places();
    let models = found(&places);
    let forms = models::prepared_forms(&paths.prepared());
    let meant = of_others(&models, &forms, name)?;
    let (freed, what) = if meant.is_empty() {
        let model = removable(&models, name)?;
        let folder = own_folder(model, &models, &places.own)?;
        // Where nobody noted of which model a form is, its name says so.
        let names: Vec<_> = [folder.file_name(), model.path.file_stem()].into_iter().flatten().collect();
        let is_called = |form: &PreparedForm| names.iter().any(|name| form.is_called(&name.to_string_lossy()));
        let is_meant = |form: &&PreparedForm| form.is_of(folder) || form.of.is_none() && is_called(form);
        let forms: Vec<_> = forms.iter().filter(is_meant).collect();
        let n_bytes = bytes_in(folder)? + bytes_of(&forms);
        let question = format!("Remove {} ({})?", terminal::line(&folder.display().to_string()), amount(n_bytes));
        if !is_agreed && !agreed(&question, screen)? {
            return nothing(screen);
        }
        remove_forms(&forms)?;
        fs::remove_dir_all(folder).map_err(|error| {
            Failure::new(exit::FAILURE, format!("{} could not be removed: {error}", folder.display()))
        })?;
        (n_bytes, model.name.clone())
    } else {
        let names = meant.iter().map(|form| form.name.as_str()).collect::<Vec<_>>().join(", ");
        let question =
            format!("Remove {} ({})? No model goes with it.", terminal::line(&names), amount(bytes_of(&meant)));
        if !is_agreed && !agreed(&question, screen)? {
            return nothing(screen);
        }
        (remove_forms(&meant)?, names)
    };
    screen.say(Ink::Green, &format!("removed {}, which frees {}", terminal::line(&what), amount(freed)));
    Ok(())
}

fn nothing(screen: &Screen) -> Result<(), Failure> {
    screen.say(Ink::Dim, "nothing was removed");
    Ok(())
}

/// What was prepared of the one model that a word means, unless that is one of Ossicle's, which it belongs to.
fn of_others<'a>(models: &[Found], forms: &'a [PreparedForm], word: &str) -> Result<Vec<&'a PreparedForm>, Failure> {
    if let Some(form) = forms.iter().find(|form| form.name.eq_ignore_ascii_case(word)) {
        return Ok(vec![form]);
    }
    let named = called(models, word);
    if named.iter().any(|model| model.origin == Origin::Ossicle) {
        return Ok(Vec::new());
    }
    let is_meant = |form: &&PreparedForm| form.is_called(word) || named.iter().any(|model| form.is_of(&model.path));
    let meant: Vec<_> = forms.iter().filter(is_meant).collect();
    if meant.iter().any(|form| form.of != meant[0].of) {
        let names: Vec<_> = meant.iter().map(|form| form.name.as_str()).collect();
        return Err(Failure::usage(format!("{word} stands for what was prepared of several models"))
            .help(format!("name one of {}", names.join(", "))));
    }
    Ok(meant)
}

fn remove_forms(forms: &[&PreparedForm]) -> Result<u64, Failure> {
    let removed: Result<u64, _> = forms.iter().map(|form| form.remove()).sum();
    removed.map_err(|error| Failure::from_error(exit::FAILURE, &error))
}

fn bytes_of(forms: &[&PreparedForm]) -> u64 {
    forms.iter().map(|form| form.n_bytes).sum()
}

/// Of all files in a folder. What a link leads to does not count: it stays.
fn bytes_in(folder: &Path) -> io::Result<u64> {
    fs::read_dir(folder)?
        .map(|entry| {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() { bytes_in(&entry.path()) } else { Ok(metadata.len()) }
        })
        .sum()
}

/// The folder of a model that Ossicle stored, where nothing else lies in it.
fn own_folder<'a>(model: &'a Found, models: &[Found], store: &'a Path) -> Result<&'a Path, Failure> {
    let folder = if model.path.is_dir() { &model.path } else { model.path.parent().unwrap_or(store) };
    // Only a folder of the store itself: what a link in it leads to is not ours.
    if folder.parent() != Some(store) || folder.is_symlink() {
        return Err(Failure::usage(format!("{} is not a folder that Ossicle made", folder.display()))
            .help("if it is a link of yours, remove it yourself"));
    }
    match models.iter().find(|other| other.path != model.path && other.path.starts_with(folder)) {
        Some(other) => Err(Failure::usage(format!("{} lies in the same folder, {}", other.name, folder.display()))
            .help("remove the file that you mean yourself")),
        None => Ok(folder),
    }
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
    use crate::cli::models::tests::model;
    use std::path::PathBuf;

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

    fn form(name: &str, of: Option<&str>) -> PreparedForm {
        let path = PathBuf::from("/c").join(name).with_extension("weights");
        PreparedForm { name: name.into(), path, n_bytes: 1, of: of.map(PathBuf::from), is_whole: true }
    }

    #[test]
    fn only_what_was_prepared_of_one_model_is_removed() {
        let forms = [
            form("x-0000000000000001", Some("/a/x")),
            form("x-q8-0000000000000001", Some("/a/x")),
            form("y-0000000000000002", Some("/a/y")),
            form("y-0000000000000003", Some("/b/y")),
            form("y-q8-0000000000000004", None),
        ];
        let meant = |word: &str| of_others(&[model("o/z", Origin::Ossicle)], &forms, word);
        for (word, expected) in [("x", &forms[..2]), ("X-0000000000000001", &forms[..1]), ("o/z", &[]), ("q", &[])] {
            assert!(meant(word).is_ok_and(|meant| meant.into_iter().eq(expected)), "{word}");
        }
        assert!(meant("y").is_err_and(|error| error.to_string().contains("of several models")));
    }

    #[test]
    fn what_nobody_noted_goes_with_the_model_that_it_is_called_after() {
        let folder = tempfile::tempdir().unwrap();
        let [config, data, state, cache] = ["config", "data", "state", "cache"].map(|name| folder.path().join(name));
        let paths = Paths { config, data, state, cache };
        let ours = paths.models().join("a--b");
        fs::create_dir_all(&ours).unwrap();
        fs::create_dir_all(paths.prepared()).unwrap();
        let forms = ["a--b-0000000000000001", "a--bc-0000000000000001"].map(|name| paths.prepared().join(name));
        for form in &forms {
            fs::write(form.with_extension("weights"), "x").unwrap();
        }
        remove("a/b", true, &paths, &Screen::of_process()).unwrap();
        assert!(!ours.exists());
        assert_eq!(forms.map(|form| form.with_extension("weights").exists()), [false, true]);
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
