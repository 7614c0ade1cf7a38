//! Settings: what the user chose, on the command line or in `config.toml`. A flag beats the file, the file beats the defaults.

use super::paths::home;
use super::{BrowserSettings, CloudSettings, ConfigError, EngineSettings, Paths};
use crate::egress::Endpoint;
use crate::engine::models::Source;
use crate::harmony::ReasoningEffort;
use crate::policy::{Folder, Policy, Principal};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Every choice, each absent until somebody makes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The embedded model when absent.
    pub model: Option<Source>,
    /// The folder of a LoRA adapter for it.
    pub adapter: Option<PathBuf>,
    /// A policy file, or the name of a bundled policy; the bundled default when absent.
    pub policy: Option<PathBuf>,
    /// On whose behalf calls are made, for policies that distinguish.
    pub principal: Principal,
    /// How long the model may think.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// 0 is greedy.
    pub temperature: Option<f32>,
    /// Only the most probable tokens that make up this much are drawn from; 1 keeps all.
    pub top_p: Option<f32>,
    /// Only so many of the most probable tokens are drawn from; 0 keeps all.
    pub top_k: Option<usize>,
    /// Only tokens at least this probable, relative to the most probable one, are drawn from; 0 keeps all.
    pub min_p: Option<f32>,
    /// What was just said becomes less probable; 1 changes nothing.
    pub repetition_penalty: Option<f32>,
    /// Whether a loop in the reasoning is left; it is when absent.
    pub escape_loops: Option<bool>,
    /// With each token its log-probability and those of so many others.
    pub top_logprobs: Option<usize>,
    /// For sampling; drawn anew for each session when absent.
    pub seed: Option<u64>,
    /// Generations a turn.
    pub max_steps: Option<usize>,
    /// A turn's time.
    pub timeout: Option<Duration>,
    /// Threads of the CPU engine; physical cores when absent.
    pub threads: Option<usize>,
    /// The longest transcript, in tokens; bounds the cache's memory.
    pub context_length: Option<usize>,
    /// Nothing of the session is written to disk.
    pub ephemeral: bool,
    /// The session has no network.
    pub offline: bool,
    /// The model writes freely, not held to well-formed turns.
    pub no_grammar: bool,
    /// Answers are JSON of this schema.
    pub output_schema: Option<Value>,
    /// Where the work is: `AGENTS.md` files are read from here up, and tools that may work in folders work here.
    pub folder: Option<PathBuf>,
    /// More folders for such tools.
    pub folders: Vec<Folder>,
    /// The tools of a session, by `package` or `package.tool`; `all` is all of them. When absent, all but what would confuse
    /// the embedded model.
    pub tools: Option<Vec<String>>,
    /// How many tools a model reads of from the beginning.
    pub max_declared_tools: Option<usize>,
    /// Where the browser's pages come from.
    pub browser: BrowserSettings,
    /// Where hosted models are.
    pub cloud: CloudSettings,
    /// How the model runs.
    pub engine: EngineSettings,
}

/// `config.toml`, exactly as it may be written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    model: Option<PathBuf>,
    adapter: Option<PathBuf>,
    policy: Option<PathBuf>,
    reasoning_effort: Option<Effort>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<usize>,
    min_p: Option<f32>,
    repetition_penalty: Option<f32>,
    escape_loops: Option<bool>,
    seed: Option<u64>,
    max_steps: Option<usize>,
    /// In seconds.
    timeout: Option<u64>,
    threads: Option<usize>,
    context_length: Option<usize>,
    folder: Vec<FolderTable>,
    tools: Option<Vec<String>>,
    max_declared_tools: Option<usize>,
    browser: BrowserSettings,
    cloud: CloudSettings,
    engine: EngineSettings,
}

/// A folder that tools may work in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FolderTable {
    /// Absolute, or under `~`.
    path: PathBuf,
    #[serde(default)]
    write: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Effort {
    Low,
    Medium,
    High,
}

impl FolderTable {
    fn placed(self) -> Folder {
        let under_home = self.path.strip_prefix("~").map(|under| home().join(under));
        Folder { path: under_home.unwrap_or(self.path), is_writable: self.write }
    }
}

impl File {
    /// The first key whose value makes no sense, and what it may be.
    fn out_of_range(&self) -> Option<(&'static str, &'static str)> {
        let values = [
            ("temperature", self.temperature.is_none_or(|t| (0.0..=2.0).contains(&t)), "from 0 to 2"),
            ("top_p", self.top_p.is_none_or(|p| (0.0..=1.0).contains(&p)), "from 0 to 1"),
            ("min_p", self.min_p.is_none_or(|p| (0.0..=1.0).contains(&p)), "from 0 to 1"),
            ("repetition_penalty", self.repetition_penalty.is_none_or(|p| (1.0..=2.0).contains(&p)), "from 1 to 2"),
            ("max_steps", self.max_steps != Some(0), "above 0"),
            ("timeout", self.timeout != Some(0), "above 0"),
            ("threads", self.threads.is_none_or(|n| (1..=1024).contains(&n)), "from 1 to 1024"),
            ("context_length", self.context_length != Some(0), "above 0"),
            ("engine.sessions", self.engine.sessions.is_none_or(|n| (1..=64).contains(&n)), "from 1 to 64"),
            ("engine.snapshots_gb", self.engine.snapshots_gb.is_none_or(|n| n <= 10_000), "at most 10000"),
            ("max_declared_tools", self.max_declared_tools.is_none_or(|n| n >= 2), "at least 2"),
            (
                "browser.searxng_url",
                self.browser.searxng_url.as_ref().is_none_or(|url| Endpoint::parse(url).is_ok()),
                "a URL such as http://127.0.0.1:8888",
            ),
            (
                "cloud.base_url",
                self.cloud.base_url.as_ref().is_none_or(|url| Endpoint::parse(url).is_ok()),
                "a URL such as https://api.openai.com/v1/",
            ),
            (
                "folder.path",
                self.folder.iter().all(|folder| folder.path.is_absolute() || folder.path.starts_with("~")),
                "absolute, or under ~",
            ),
        ];
        values.into_iter().find_map(|(key, makes_sense, range)| (!makes_sense).then_some((key, range)))
    }
}

impl Settings {
    /// Fills what is absent from `config.toml`, when there is one. Relative paths in it are relative to its folder.
    pub fn or_file(self, paths: &Paths) -> Result<Self, ConfigError> {
        let path = paths.config.join("config.toml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(self),
            Err(error) => return Err(ConfigError::Unreadable { path, error }),
        };
        let file: File =
            toml::from_str(&text).map_err(|error| ConfigError::File { path: path.clone(), error: Box::new(error) })?;
        if let Some((key, range)) = file.out_of_range() {
            return Err(ConfigError::Value { path, key, range });
        }
        let effort = file.reasoning_effort.map(|effort| match effort {
            Effort::Low => ReasoningEffort::Low,
            Effort::Medium => ReasoningEffort::Medium,
            Effort::High => ReasoningEffort::High,
        });
        Ok(Self {
            model: match (self.model, file.model) {
                (None, Some(model)) => Some(Source::wanted(&model, &paths.config, paths.places())),
                (model, _) => model,
            },
            adapter: self.adapter.or(file.adapter.map(|folder| paths.config.join(folder))),
            policy: self.policy.or(file.policy.map(|policy| match bundled(&policy) {
                Some(_) => policy,
                None => paths.config.join(policy),
            })),
            principal: self.principal,
            reasoning_effort: self.reasoning_effort.or(effort),
            temperature: self.temperature.or(file.temperature),
            top_p: self.top_p.or(file.top_p),
            top_k: self.top_k.or(file.top_k),
            min_p: self.min_p.or(file.min_p),
            repetition_penalty: self.repetition_penalty.or(file.repetition_penalty),
            escape_loops: self.escape_loops.or(file.escape_loops),
            top_logprobs: self.top_logprobs,
            seed: self.seed.or(file.seed),
            max_steps: self.max_steps.or(file.max_steps),
            timeout: self.timeout.or(file.timeout.map(Duration::from_secs)),
            threads: self.threads.or(file.threads),
            context_length: self.context_length.or(file.context_length),
            ephemeral: self.ephemeral,
            offline: self.offline,
            no_grammar: self.no_grammar,
            output_schema: self.output_schema,
            folder: self.folder,
            folders: file.folder.into_iter().map(FolderTable::placed).collect(),
            tools: self.tools.or(file.tools),
            max_declared_tools: self.max_declared_tools.or(file.max_declared_tools),
            browser: file.browser,
            cloud: file.cloud,
            engine: self.engine.or(file.engine),
        })
    }
}

/// The bundled policy of this name. A file of such a name is `./strict`.
pub(super) fn bundled(policy: &Path) -> Option<Policy> {
    Policy::bundled(policy.to_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(text: &str, flags: Settings) -> Result<Settings, ConfigError> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), text).unwrap();
        let folder = home.path().to_path_buf();
        let paths = Paths { config: folder.clone(), data: folder.clone(), state: folder.clone(), cache: folder };
        flags.or_file(&paths)
    }

    #[test]
    fn a_flag_beats_the_file() {
        let flags = Settings { seed: Some(1), ..Settings::default() };
        let settings = with_file("seed = 2\nmax_steps = 3\nreasoning_effort = \"high\"", flags).unwrap();
        assert_eq!((settings.seed, settings.max_steps), (Some(1), Some(3)));
        assert_eq!(settings.reasoning_effort, Some(ReasoningEffort::High));
    }

    #[test]
    fn how_tokens_are_chosen_is_a_setting() {
        let text = "top_p = 0.9\ntop_k = 40\nmin_p = 0.05\nrepetition_penalty = 1.1\nescape_loops = false";
        let flags = Settings { top_p: Some(0.5), ..Settings::default() };
        let expected = Settings {
            top_p: Some(0.5),
            top_k: Some(40),
            min_p: Some(0.05),
            repetition_penalty: Some(1.1),
            escape_loops: Some(false),
            ..with_file("", Settings::default()).unwrap()
        };
        assert_eq!(with_file(text, flags).unwrap(), expected);
    }

    #[test]
    fn names_are_no_paths() {
        let settings = with_file("model = \"stapes\"\npolicy = \"strict\"", Settings::default()).unwrap();
        assert_eq!((settings.model, settings.policy), (Some(Source::Embedded), Some("strict".into())));
        let settings = with_file("model = \"20b\"\npolicy = \"./strict\"", Settings::default()).unwrap();
        let Some(Source::Wanted { word, folder, .. }) = settings.model else {
            panic!("it is looked up when it is opened")
        };
        assert!(word == Path::new("20b") && folder.is_absolute(), "{word:?} in {folder:?}");
        assert!(settings.policy.unwrap().is_absolute(), "a path is relative to the file");
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        for line in [
            "temperature = -3.0",
            "temperature = nan",
            "top_p = 1.01",
            "top_p = nan",
            "min_p = -0.1",
            "repetition_penalty = 0.9",
            "repetition_penalty = inf",
            "max_steps = 0",
            "timeout = 0",
            "threads = 5000",
        ] {
            let error = with_file(line, Settings::default()).unwrap_err().to_string();
            assert!(error.contains(line.split(' ').next().unwrap()) && error.contains("must be"), "{error}");
        }
        for line in ["top_k = -1", "top_k = 1.5", "top_p = \"1\"", "escape_loops = 1"] {
            let error = with_file(line, Settings::default()).unwrap_err().to_string();
            assert!(error.contains("config.toml") && error.contains(line.split(' ').next().unwrap()), "{error}");
        }
        let error = with_file("[browser]\nsearxng_url = \"localhost\"", Settings::default()).unwrap_err().to_string();
        assert!(error.contains("`browser.searxng_url` must be a URL"), "{error}");
    }

    #[test]
    fn a_mistake_names_the_file_and_the_key() {
        let error = with_file("modle = \"x\"", Settings::default()).unwrap_err().to_string();
        assert!(error.contains("config.toml") && error.contains("modle"), "{error}");
    }
}
