//! What the environment says: where the program keeps its files (the XDG folders, or all under `OSSICLE_HOME`), what it
//! logs, and what the terminal is.

use super::ConfigError;
use crate::engine::models::Places;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The four folders. None of them needs to exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// What the user writes: `config.toml`, policies, prompts.
    pub config: PathBuf,
    /// What the user would miss: sessions, notes.
    pub data: PathBuf,
    /// What is handy to keep: the chat's history of lines.
    pub state: PathBuf,
    /// What can be made again: compiled tools.
    pub cache: PathBuf,
}

impl Paths {
    /// From the environment.
    pub fn from_environment() -> Result<Self, ConfigError> {
        Self::resolve(|name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
    }

    fn resolve(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<Self, ConfigError> {
        if let Some(home) = variable("OSSICLE_HOME") {
            return Ok(Self {
                config: home.join("config"),
                data: home.join("data"),
                state: home.join("state"),
                cache: home.join("cache"),
            });
        }
        let folder = |name: &str, under_home: &str| -> Result<PathBuf, ConfigError> {
            // The XDG specification wants relative values ignored.
            let base = match variable(name).filter(|path| path.is_absolute()) {
                Some(base) => base,
                None => variable("HOME").ok_or(ConfigError::NoHome)?.join(under_home),
            };
            Ok(base.join("ossicle"))
        };
        Ok(Self {
            config: folder("XDG_CONFIG_HOME", ".config")?,
            data: folder("XDG_DATA_HOME", ".local/share")?,
            state: folder("XDG_STATE_HOME", ".local/state")?,
            cache: folder("XDG_CACHE_HOME", ".cache")?,
        })
    }

    /// The sessions' database.
    pub fn journal(&self) -> PathBuf {
        self.data.join("sessions.sqlite")
    }

    /// The tool packages that the user added. No package's own folder is called so: its name has no dot.
    pub fn packages(&self) -> PathBuf {
        self.data.join("tool.packages")
    }

    /// The files that calls made, by session.
    pub fn attachments(&self) -> PathBuf {
        self.data.join("attachments")
    }

    /// The index of the user's folders.
    pub fn index(&self) -> PathBuf {
        self.data.join("search.index")
    }

    /// Models in the form that this machine's kernels read.
    pub fn prepared(&self) -> PathBuf {
        self.cache.join("models")
    }

    /// What models have read already.
    pub fn snapshots(&self) -> PathBuf {
        self.cache.join("snapshots")
    }

    /// Models that were pulled from a hub.
    pub fn models(&self) -> PathBuf {
        self.data.join("hub.models")
    }

    /// Where models may lie: here, and where other programs store theirs.
    pub fn places(&self) -> Places {
        Places::resolve(self.models(), &home(), |name| std::env::var_os(name).map(PathBuf::from))
    }

    /// Compiled tools.
    pub fn compiled(&self) -> PathBuf {
        self.cache.join("tools")
    }

    /// Pages of the web, as their servers allow it.
    pub fn pages(&self) -> PathBuf {
        self.cache.join("pages")
    }

    /// All four.
    pub fn all(&self) -> Vec<PathBuf> {
        vec![self.config.clone(), self.data.clone(), self.state.clone(), self.cache.clone()]
    }

    /// The chat's history of lines.
    pub fn history(&self) -> PathBuf {
        self.state.join("history")
    }
}

/// The user's home folder; where there is none, a place where nothing is.
pub fn home() -> PathBuf {
    std::env::home_dir().filter(|home| home.is_absolute()).unwrap_or_else(|| "/nonexistent".into())
}

/// The environment, as far as it is text. Which of it a tool is given is said by its manifest.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// What `RUST_LOG` asks to be logged.
pub fn log_filter() -> Option<String> {
    std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], data: &str) {
        let lookup = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| PathBuf::from(value));
        assert_eq!(Paths::resolve(lookup).unwrap().data, PathBuf::from(data), "{variables:?}");
    }

    #[test]
    fn the_first_variable_that_counts_wins() {
        check(&[("HOME", "/h")], "/h/.local/share/ossicle");
        check(&[("HOME", "/h"), ("XDG_DATA_HOME", "/x")], "/x/ossicle");
        check(&[("HOME", "/h"), ("XDG_DATA_HOME", "relative")], "/h/.local/share/ossicle");
        check(&[("HOME", "/h"), ("XDG_DATA_HOME", "/x"), ("OSSICLE_HOME", "/o")], "/o/data");
    }

    #[test]
    fn no_home_is_an_error_that_says_what_to_set() {
        let error = Paths::resolve(|_| None).unwrap_err();
        assert!(error.to_string().contains("OSSICLE_HOME"), "{error}");
    }
}
