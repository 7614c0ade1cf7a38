//! The command line, exactly as it was typed. What it means is [`Session::settings`]'s matter and that of the commands.

mod bench;
mod cloud;
mod pull;
mod sampling;

pub(super) use bench::{Bench, Measure};
pub(super) use cloud::{Cloud, Queue, Route};
pub(super) use pull::Pull;
use sampling::{Sampling, n_logprobs};

use crate::config::{EngineSettings, Settings};
use crate::harmony::ReasoningEffort;
use crate::policy::Principal;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Talk to a gpt-oss model on this machine, with tools that run in a sandbox.
///
/// Without a command it opens the chat. `ossicle run "What is 23 * 47?"` asks once.
#[derive(Debug, Parser)]
#[command(name = "ossicle", version, after_help = EXIT_CODES, max_term_width = 110)]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) session: Session,
    #[command(flatten)]
    pub(super) general: General,
}

const EXIT_CODES: &str = "Exit codes: 0 answered, 1 failure, 2 usage or configuration, 3 a limit was reached, 4 a call was denied or \
nobody could approve it, 5 forbidden while offline, 6 the model cannot be used, 7 the answer does not fit --output-schema, 130 interrupted. A broken pipe is 0.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Ask once: the answer goes to stdout, everything else to stderr
    #[command(visible_alias = "exec")]
    Run(Run),
    /// Talk in the terminal
    Chat,
    /// The tools that the model can call
    #[command(subcommand)]
    Tool(Tool),
    /// MCP servers: programs and services whose tools the model can call too
    #[command(subcommand)]
    Mcp(Mcp),
    /// Folders of yours that can be searched without a network
    #[command(subcommand)]
    Index(Index),
    /// Hosted models: what they cost, what was sent to them, and what waits
    #[command(subcommand)]
    Cloud(Cloud),
    /// What would be answered here, and what by a hosted model
    #[command(subcommand)]
    Route(Route),
    /// What tools may do, and why
    #[command(subcommand)]
    Policy(Policy),
    /// Offer the tools to other programs, as an MCP server on stdin and stdout
    ///
    /// Calls pass the same policy and the same journal. Nobody can be asked, so what the policy asks about is refused, unless
    /// --approve always is given.
    McpServer,
    /// Models
    #[command(subcommand)]
    Models(Models),
    /// How fast a model runs here, and how near that is to what the memory allows
    Bench(Bench),
    /// Check that everything is in place, and say what is not
    Doctor,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// What to ask; `-` reads it from stdin, and a piped stdin is read as well
    ///
    /// Piped stdin alone is the prompt. Beside a prompt it follows it, between <stdin> and </stdin>.
    pub(super) prompt: Option<String>,
    /// Write what happens to stdout as JSON Lines, instead of the answer
    #[arg(long)]
    pub(super) json: bool,
    /// With --json: tell after each generation how likely each token was, and the N likeliest in its place, at most 20
    ///
    /// They are an item of type logprobs: natural logarithms of the model's own probabilities among the tokens that the
    /// grammar allowed there, before temperature, cuts and penalties. What was `forced` was not chosen and has 0.
    #[arg(long, value_name = "N", requires = "json", value_parser = n_logprobs)]
    pub(super) logprobs: Option<usize>,
    /// Write the answer into FILE too, exactly as the model wrote it
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) output_last_message: Option<PathBuf>,
    /// The answer is JSON that fits the JSON Schema in FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) output_schema: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    /// Load a policy, try its examples, and look for rules that name no tool
    Check {
        /// A file, or default, strict, offline or automation; the session's own when left out
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        policy: Option<PathBuf>,
    },
    /// Say how a call would be answered, by which rules, and what would change that
    Explain {
        /// A tool's identity, such as files.write
        tool: String,
        /// The call's arguments, as a JSON object
        #[arg(default_value = "{}")]
        arguments: String,
        /// As after the model has read what strangers wrote
        #[arg(long)]
        untrusted: bool,
        /// As if the arguments were taken from that
        #[arg(long)]
        untrusted_argument: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Tool {
    /// List them, with what the policy says to each
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Begin a package, in a new folder of its name
    New {
        /// Small letters, digits, `_` and `-`
        name: String,
        /// What it is written in
        #[arg(short, long, value_enum, default_value_t)]
        lang: Lang,
    },
    /// Build a package into a component, with the tools of its language
    Build {
        /// Its folder
        #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
        package: PathBuf,
        /// Build again at every change, and keep the added copy up to date, which open chats take up
        #[arg(short, long)]
        watch: bool,
    },
    /// Show what a package is, what it does and what it wants
    Inspect {
        /// A package's folder, or the name of one that is there already
        #[arg(default_value = ".")]
        package: String,
    },
    /// Run a package's own examples, in the real sandbox and a simulated world
    Test {
        /// A package's folder, or the name of one that is there already
        #[arg(default_value = ".")]
        package: String,
    },
    /// Call a tool yourself, through the same gate as the model; its result goes to stdout
    Call {
        /// Its identity, such as notes.list or browser.search, or python
        tool: String,
        /// A JSON object, or the code for python; `-` reads it from stdin
        #[arg(default_value = "{}")]
        arguments: String,
    },
    /// Write a package into one file, to hand it on
    Pack {
        /// Its folder
        #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
        package: PathBuf,
        /// NAME-VERSION.wasm when left out
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },
    /// Add a package, after showing what it wants
    Add {
        /// Its folder, a packed file, the URL of one, or oci://REGISTRY/NAME:TAG
        #[arg(value_name = "PLACE", value_hint = ValueHint::AnyPath)]
        package: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Remove a package that was added; what it has written stays
    Remove {
        /// Its name
        package: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Mcp {
    /// Add a server, after showing the tools that it offers
    ///
    /// `ossicle mcp add files -- npx -y @modelcontextprotocol/server-filesystem .` adds a program, `ossicle mcp add web --url
    /// https://example.com/mcp` a service. A program is not confined: it can do what you can.
    Add {
        /// What you call it: letters, digits, `-` and single `_`
        name: String,
        /// A variable for the program's environment; it inherits no name that has KEY, SECRET, TOKEN or PASSWORD in it
        #[arg(short, long, value_name = "NAME=VALUE", value_parser = variable)]
        env: Vec<(String, String)>,
        /// The address of a service over streamable HTTP
        #[arg(long, value_hint = ValueHint::Url, conflicts_with_all = ["program", "env"])]
        url: Option<String>,
        /// The variable of your environment that holds the key for the service
        #[arg(long, value_name = "NAME", requires = "url")]
        bearer_token_env_var: Option<String>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        /// The program and its arguments
        #[arg(last = true, value_name = "COMMAND", required_unless_present = "url")]
        program: Vec<String>,
    },
    /// List the servers, without starting them
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what has changed in what a server offers, and agree to it
    Approve {
        /// Its name
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Remove a server
    Remove {
        /// Its name
        name: String,
    },
    /// Add the servers of another program's JSON file, one after the other
    Import {
        /// A file with an object `mcpServers`
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Do not ask, neither before a program is started nor before it is added
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Index {
    /// Add folders: the text, Markdown, HTML and PDF files in them
    ///
    /// Nothing leaves the machine. Hidden files are left out, and what the folder's .ossicleignore names: a file in the form of a
    /// .gitignore, which keeps files from all tools.
    Add {
        /// Each with all that is in it
        #[arg(required = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
        folders: Vec<PathBuf>,
    },
    /// List them
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Read what is new and what has changed, and forget what is gone
    Update,
    /// Take a folder out of the index, and its words off the disk; the folder itself stays as it is
    Remove {
        /// One of those that `list` names
        // A field's name is the argument's, and the general one is called so already.
        #[arg(id = "indexed", value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Models {
    /// Fetch a gpt-oss model from huggingface.co, or from the hub that HF_ENDPOINT names
    ///
    /// Its licence and its size are shown first. What broke off is taken up by the same command. HF_TOKEN says who asks, where
    /// a repository wants to know.
    Pull(Pull),
    /// List the models on this machine: pulled ones, those of Hugging Face's cache, LM Studio and Ollama, and what was prepared
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a model for this machine's kernels now, which is otherwise done when it is first used
    Prepare {
        /// A model's name, a checkpoint folder or a GGUF file
        #[arg(value_name = "MODEL", value_hint = ValueHint::AnyPath)]
        checkpoint: Option<PathBuf>,
        /// Read all of it again and compare it with its checksums
        #[arg(long)]
        verify: bool,
    },
    /// Describe a checkpoint without loading it
    Inspect {
        /// A model's name, a checkpoint folder, a GGUF file, or `stapes`, the embedded model, which is meant when left out
        #[arg(value_name = "MODEL", value_hint = ValueHint::AnyPath)]
        checkpoint: Option<PathBuf>,
    },
    /// Remove a model that was pulled, with what was prepared of it; of another program's only what was prepared
    Remove {
        /// As `list` names it, or what was prepared of it
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// What a session is made of. Each is accepted before and after the command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Session")]
pub(super) struct Session {
    /// A model's name as `ossicle models list` shows it, a checkpoint folder, a GGUF file, or `stapes`, which is embedded
    ///
    /// Without it the `model` of config.toml is used, and without that stapes. A folder of such a name is ./NAME.
    #[arg(short, long, global = true, value_name = "MODEL", value_hint = ValueHint::AnyPath)]
    pub(super) model: Option<PathBuf>,
    /// A LoRA adapter for the model: the folder that peft saved
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) adapter: Option<PathBuf>,
    /// Compute with the checkpoint's own numbers, as it lies, slowly; for checking
    #[arg(long, global = true)]
    pub(super) exact: bool,
    /// Take little memory: 8,192 tokens of context in int8 and one conversation, where config.toml says nothing else
    #[arg(long, global = true)]
    pub(super) low_memory: bool,
    /// How long the model may think
    #[arg(long, global = true, value_enum)]
    pub(super) reasoning_effort: Option<Effort>,
    #[command(flatten)]
    pub(super) sampling: Sampling,
    /// Stop a turn after this many generations
    #[arg(long, global = true, value_name = "N")]
    pub(super) max_steps: Option<NonZeroUsize>,
    /// Stop a turn after this time: 90, 90s, 5m or 1h
    #[arg(long, global = true, value_name = "TIME", value_parser = duration)]
    pub(super) timeout: Option<Duration>,
    /// What happens when the policy wants a call approved
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub(super) approve: Approve,
    /// Who may do what: a file of yours, or one that comes along: default, strict, offline, automation
    ///
    /// The default lets tools look, and asks before they write or something leaves the machine. A file of such a name is
    /// ./strict.
    #[arg(long, global = true, value_name = "POLICY", value_hint = ValueHint::FilePath)]
    pub(super) policy: Option<PathBuf>,
    /// Act as an automation of this name, for policies that speak of it (principals = ["automation:NAME"])
    ///
    /// Without it somebody at a terminal is `interactive`, and a run that nobody can be asked in is automation:unnamed.
    #[arg(long = "as", global = true, value_name = "NAME", value_parser = Principal::automation)]
    pub(super) principal: Option<Principal>,
    /// The tools of the session: packages or single tools (notes,files.read), or all; -cloud leaves some out
    ///
    /// Without it they are all that there are; but stapes, which is small, gets calc, clock, notes and what you added.
    #[arg(long, global = true, value_name = "TOOLS", value_delimiter = ',', allow_hyphen_values = true)]
    pub(super) tools: Option<Vec<String>>,
    /// Keep no journal of the session
    #[arg(long, global = true)]
    pub(super) ephemeral: bool,
    /// Look up no name and connect to nothing
    #[arg(long, global = true)]
    pub(super) offline: bool,
    /// Let the model write freely, not held to well-formed calls that fit their tools; for experiments
    #[arg(long, global = true)]
    pub(super) no_grammar: bool,
}

/// How the program behaves, whatever it does.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "General")]
pub(super) struct General {
    /// Work in this folder; other paths are relative to it
    #[arg(short = 'C', long = "cd", global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) folder: Option<PathBuf>,
    /// When to use colours; NO_COLOR is heeded too
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(super) color: Color,
    /// Log to stderr what happens (-vv: all of it); RUST_LOG chooses more finely
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

/// What a package can be written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Lang {
    /// Small and fast
    #[default]
    Rust,
    /// By zig, which brings the C library
    C,
    /// In QuickJS: 1 MB, with packages of npm
    Js,
    /// In CPython: 18 MB, with packages of pure Python
    Python,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Effort {
    Low,
    Medium,
    High,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Approve {
    /// Ask in the terminal; without one the call is refused
    #[default]
    Ask,
    /// Refuse the call
    Never,
    /// Approve it unasked; what the policy denies stays denied
    Always,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Also into files and pipes
    Always,
    /// Nowhere
    Never,
}

impl Effort {
    pub(super) fn resolve(self) -> ReasoningEffort {
        match self {
            Self::Low => ReasoningEffort::Low,
            Self::Medium => ReasoningEffort::Medium,
            Self::High => ReasoningEffort::High,
        }
    }
}

impl Session {
    /// The flags as settings; what was not typed is left to the configuration file and the defaults.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            adapter: self.adapter.clone(),
            policy: self.policy.clone(),
            tools: self.tools.clone(),
            reasoning_effort: self.reasoning_effort.map(Effort::resolve),
            temperature: self.sampling.temperature,
            top_p: self.sampling.top_p,
            top_k: self.sampling.top_k,
            min_p: self.sampling.min_p,
            seed: self.sampling.seed,
            max_steps: self.max_steps.map(NonZeroUsize::get),
            timeout: self.timeout,
            ephemeral: self.ephemeral,
            offline: self.offline,
            no_grammar: self.no_grammar,
            engine: EngineSettings {
                exact: self.exact.then_some(true),
                low_memory: self.low_memory.then_some(true),
                ..EngineSettings::default()
            },
            ..Settings::default()
        }
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".into()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let (digits, seconds) = match text.as_bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1),
        Some(b'm') => (&text[..text.len() - 1], 60),
        Some(b'h') => (&text[..text.len() - 1], 3600),
        _ => (text, 1),
    };
    let n = digits.parse::<u32>().ok().filter(|n| *n > 0);
    let n = n.ok_or("write a whole number above 0, of seconds or with s, m or h behind it")?;
    Ok(Duration::from_secs(u64::from(n) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn flags_stand_before_or_after_the_command() {
        for line in [
            "ossicle --seed 7 -m models/x run hi",
            "ossicle run --seed 7 hi -m models/x",
            "ossicle exec hi --model models/x --seed 7",
        ] {
            let parsed = parse(line).unwrap();
            let settings = parsed.session.settings();
            assert_eq!((settings.seed, parsed.session.model), (Some(7), Some("models/x".into())), "{line}");
            assert!(matches!(parsed.command, Some(Command::Run(Run { prompt: Some(prompt), .. })) if prompt == "hi"));
        }
        let bare = parse("ossicle --reasoning-effort high").unwrap();
        assert!(bare.command.is_none());
        assert_eq!(bare.session.settings().reasoning_effort, Some(ReasoningEffort::High));
        assert_eq!(parse("ossicle").unwrap().session.settings(), Settings::default());
    }

    #[test]
    fn arguments_are_not_taken_for_one_another() {
        // clap knows an argument by its field's name, and a flag that counts everywhere meets those of every command.
        let parsed = parse("ossicle -C a -m b models inspect c").unwrap();
        assert_eq!((parsed.general.folder, parsed.session.model), (Some("a".into()), Some("b".into())));
        let Some(Command::Models(Models::Inspect { checkpoint })) = parsed.command else { panic!("inspect") };
        assert_eq!(checkpoint, Some("c".into()));
        let parsed = parse("ossicle models pull a/b --revision v1 --gguf c -y -m d").unwrap();
        let Some(Command::Models(Models::Pull(pull))) = parsed.command else { panic!("pull") };
        let words = [Some(pull.repo), Some(pull.revision), pull.gguf].map(Option::unwrap_or_default);
        assert_eq!((words.each_ref().map(String::as_str), pull.yes), (["a/b", "v1", "c"], true));
    }

    #[test]
    fn values_that_make_no_sense_are_usage_errors() {
        for flag in [
            "--timeout 0",
            "--timeout 1.5",
            "--timeout m",
            "--timeout 5d",
            "--timeout 99999999999",
            "--timeout é",
            "--temperature NaN",
            "--temperature -1",
            "--temperature 3",
            "--top-p NaN",
            "--top-p 1.1",
            "--min-p -0.1",
            "--top-k -1",
            "--logprobs 1",
            "--json --logprobs 21",
            "--max-steps 0",
            "--seed -1",
            "--seed x",
            "--approve maybe",
            "--reasoning-effort extreme",
            "--color sometimes",
        ] {
            let error = parse(&format!("ossicle run hi {flag}")).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{flag}");
        }
    }

    #[test]
    fn times_are_read() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }
}
