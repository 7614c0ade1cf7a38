//! Whether what lies somewhere is a gpt-oss, and whether it can be used.
//!
//! What it is not: it knows no program's store; those who do hand over a path and a name. Nothing but headers is read.
//! Start at [`directory`] and [`file`].

use super::super::{LoadError, gguf};
use super::{Format, Found, Origin};
use serde_json::Value;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A manifest or a config.json that is longer is not read. Real ones take a few kB.
const LONGEST_TEXT: u64 = 1 << 20;

/// How many entries of folders a search still looks at.
pub(super) struct Walk {
    pub(super) left: usize,
}

impl Default for Walk {
    /// More than the stores of all programs have; a minute's bound, not a user's.
    fn default() -> Self {
        Self { left: 50_000 }
    }
}

impl Walk {
    /// The names in a folder in order; those that are no UTF-8, or hidden, no program gave.
    pub(super) fn names(&mut self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let Some(left) = self.left.checked_sub(1) else { break };
            self.left = left;
            names.extend(entry?.file_name().into_string().ok().filter(|name| !name.starts_with('.')));
        }
        names.sort();
        Ok(names)
    }

    /// The same of a folder that may be missing or be something else.
    pub(super) fn names_if_any(&mut self, folder: &Path) -> Vec<String> {
        self.names(folder).unwrap_or_default()
    }

    /// The same of a whole store. A store that may not be read is said to be there.
    pub(super) fn store(&mut self, folder: &Path, origin: Origin, faults: &mut Vec<Found>) -> Vec<String> {
        match self.names(folder) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let (name, fault) = (folder.display().to_string(), format!("the folder may not be read ({error})"));
                let format = Format::Safetensors;
                faults.push(Found { name, path: folder.to_owned(), origin, format, n_bytes: 0, fault: Some(fault) });
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }

    /// The GGUF models in a folder: of one in parts the first.
    pub(super) fn ggufs(&mut self, folder: &Path) -> Vec<PathBuf> {
        let names = self.names_if_any(folder).into_iter();
        let is_first = |name: &String| gguf::part_of(name).is_none_or(|(_, number)| number == 1);
        names.filter(is_first).map(|name| folder.join(name)).filter(|path| is_gguf(path)).collect()
    }
}

/// Whether the name says so.
pub(super) fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

/// The GGUF model of a folder that has one and no other.
pub(super) fn only_gguf(folder: &Path) -> Option<PathBuf> {
    let mut files = Walk::default().ggufs(folder);
    if files.len() == 1 { files.pop() } else { None }
}

/// A model in the official layout; `None` where it is another model.
pub(super) fn directory(path: PathBuf, name: String, origin: Origin) -> Option<Found> {
    let config = path.join("config.json");
    let fault = match text(&config).map(|text| serde_json::from_str::<Value>(&text)) {
        Ok(Ok(config)) if config.get("model_type").is_some_and(|kind| kind == "gpt_oss") => None,
        Ok(Ok(_)) => return None,
        Ok(Err(error)) => Some(format!("its config.json is not JSON ({error})")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some("it has no config.json".into()),
        Err(error) => Some(format!("its config.json cannot be read ({error})")),
    };
    let found = Found { name, path, origin, format: Format::Safetensors, n_bytes: 0, fault };
    if found.fault.is_some() {
        return found.is_called_gpt_oss().then_some(found);
    }
    let n_bytes = super::super::open(&found.path).and_then(|checkpoint| {
        checkpoint.parts().try_for_each(|part| checkpoint.check(part))?;
        Ok(checkpoint.n_bytes())
    });
    Some(found.weighed(n_bytes))
}

/// A model in a GGUF file; `None` where it is another model.
pub(super) fn file(path: PathBuf, name: String, origin: Origin) -> Option<Found> {
    let architecture = gguf::check_architecture(&path);
    let found = Found { name, path, origin, format: Format::Gguf, n_bytes: 0, fault: None };
    match architecture {
        Err(LoadError::Foreign { .. }) => None,
        Err(error) => found.is_called_gpt_oss().then(|| found.weighed(Err(error))),
        Ok(()) => {
            let opened = gguf::Gguf::open(&found.path);
            let n_bytes = opened.and_then(|gguf| gguf.check_all().map(|()| gguf.n_bytes()));
            Some(found.weighed(n_bytes))
        }
    }
}

impl Found {
    /// What cannot be read is shown only where its name says that it matters.
    pub(super) fn is_called_gpt_oss(&self) -> bool {
        self.origin == Origin::Ossicle || self.name.to_ascii_lowercase().contains("gpt-oss")
    }

    fn weighed(self, n_bytes: Result<u64, LoadError>) -> Self {
        match n_bytes {
            Ok(n_bytes) => Self { n_bytes, ..self },
            Err(error) => Self { fault: Some(error.to_string()), ..self },
        }
    }
}

/// The text of a small file. What is no plain file is not opened: a pipe would wait for its writer.
pub(super) fn text(path: &Path) -> io::Result<String> {
    let described = fs::metadata(path)?;
    if !described.is_file() || described.len() > LONGEST_TEXT {
        return Err(io::Error::other(format!("it is no file of at most {LONGEST_TEXT} bytes")));
    }
    let mut text = String::new();
    fs::File::open(path)?.take(LONGEST_TEXT).read_to_string(&mut text)?;
    Ok(text)
}
