//! llama.cpp measured from inside one process: load, prefill, decode and memory, by the wall clock, with the settings
//! that it has by default. What it is not: a test of what the model says; tokens are random and nothing is sampled.
//! Start at [`run`].

use crate::Failure;
use crate::machine::Memory;
use clap::ValueEnum;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde_json::{Map, Value, json};
use std::ffi::CStr;
use std::fs::File;
use std::num::{NonZero, NonZeroU32};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Room for every measurement, in tokens.
const N_CONTEXT: u32 = 4096;
/// Tokens that llama.cpp takes in one call: its default.
const N_BATCH: u32 = 2048;
/// Tokens that go through a layer together: its default.
const N_UBATCH: u32 = 512;
const N_WARM_UP: u32 = 16;
const N_PROMPT: u32 = 32;
const N_DECODED: u32 = 64;
const N_LONG_PROMPT: u32 = 4000;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A GGUF file.
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
    /// Show what llama.cpp says.
    #[arg(long)]
    verbose: bool,
}

/// What `run` and `compare` both understand.
#[derive(clap::Args)]
pub(crate) struct Settings {
    /// What to measure; loading is measured always.
    #[arg(long, value_delimiter = ',', default_value = "load,decode,prefill512,prefill2048,memory")]
    pub(crate) what: Vec<What>,
    /// Threads for prefill and decode; as many as there are processors when left out.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    /// Have llama.cpp read the file into memory of its own: no page is held twice.
    #[arg(long)]
    pub(crate) no_mmap: bool,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// From the start of the process until a context is ready.
    Load,
    /// 64 tokens one by one, after a prompt of 32.
    Decode,
    /// A prompt of 512 tokens.
    #[value(name = "prefill512")]
    Prefill512,
    /// A prompt of 2,048 tokens.
    #[value(name = "prefill2048")]
    Prefill2048,
    /// 64 tokens one by one, after a prompt of 4,000.
    #[value(name = "decode4k")]
    Decode4k,
    /// Resident memory after each of the others.
    Memory,
}

/// Measures, and prints lines for people on stderr and the result on stdout. `started` is when the process began.
pub(crate) fn run(options: &Options, started: Instant) -> Result<(), Failure> {
    let settings = &options.settings;
    let asked = |what| settings.what.contains(&what);
    let n_threads = settings.threads.unwrap_or_else(n_processors);
    let backend = backend(options.verbose)?;
    let model = load(&backend, options)?;
    let mut peer = Peer::new(&backend, &model, n_threads)?;
    let mut report = Report { values: Map::new(), memory: asked(What::Memory).then(Vec::new) };
    report.note("peer", json!(format!("llama.cpp {}", version())));
    report.note("system", json!(system()));
    report.note("n_threads", json!(n_threads));
    report.note("n_layers", json!(model.n_layer()));
    report.note("model_bytes", json!(model.size()));
    report.figure("load", "load_s", started.elapsed().as_secs_f64())?;
    report.figure("warm-up", "warm_up_s", peer.prefill(N_WARM_UP)?.as_secs_f64())?;
    if asked(What::Decode) {
        report.figure("decode", "decode_tok_s", per_second(N_DECODED, peer.decode_after(N_PROMPT)?))?;
    }
    for (what, step, key, n_tokens) in [
        (What::Prefill512, "prefill512", "prefill_512_tok_s", 512),
        (What::Prefill2048, "prefill2048", "prefill_2048_tok_s", 2048),
    ] {
        if asked(what) {
            report.figure(step, key, per_second(n_tokens, peer.prefill(n_tokens)?))?;
        }
    }
    if asked(What::Decode4k) {
        report.figure("decode4k", "decode_4k_tok_s", per_second(N_DECODED, peer.decode_after(N_LONG_PROMPT)?))?;
    }
    let result = report.finish()?;
    if options.json {
        println!("{}", Value::Object(result));
    }
    Ok(())
}

fn per_second(n_tokens: u32, time: Duration) -> f64 {
    f64::from(n_tokens) / time.as_secs_f64()
}

fn n_processors() -> u32 {
    std::thread::available_parallelism().map_or(1, NonZero::get) as u32
}

fn backend(is_verbose: bool) -> Result<LlamaBackend, Failure> {
    let mut backend = LlamaBackend::init().map_err(refused("start"))?;
    if !is_verbose {
        backend.void_logs();
    }
    Ok(backend)
}

fn load(backend: &LlamaBackend, options: &Options) -> Result<LlamaModel, Failure> {
    let path = &options.model;
    // The system's reason, where there is one: llama.cpp's own is only in its log.
    File::open(path).map_err(Failure::read(path))?;
    let parameters = LlamaModelParams::default().with_use_mmap(!options.settings.no_mmap);
    let refused = |error| Failure::Peer { action: "load the model", reason: format!("{}: {error}", path.display()) };
    LlamaModel::load_from_file(backend, path, &parameters).map_err(refused)
}

fn refused<E: std::fmt::Display>(action: &'static str) -> impl Fn(E) -> Failure {
    move |error| Failure::Peer { action, reason: error.to_string() }
}

/// The instruction sets and options that it was built with, as it says itself.
fn system() -> String {
    // SAFETY: it returns a text that ends in a zero and stays until the process ends, and it is asked by one thread.
    let text = unsafe { CStr::from_ptr(llama_cpp_sys_2::llama_print_system_info()) };
    text.to_string_lossy().trim().to_owned()
}

fn version() -> String {
    // SAFETY: it returns a constant text that ends in a zero.
    let text = unsafe { CStr::from_ptr(llama_cpp_sys_2::llama_version()) };
    text.to_string_lossy().into_owned()
}

/// A context, and the random tokens that it is fed.
struct Peer<'model> {
    context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
    random: Xoshiro256PlusPlus,
    n_vocab: u32,
}

impl<'model> Peer<'model> {
    fn new(backend: &LlamaBackend, model: &'model LlamaModel, n_threads: u32) -> Result<Self, Failure> {
        let parameters = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(N_CONTEXT))
            .with_n_batch(N_BATCH)
            .with_n_ubatch(N_UBATCH)
            .with_n_threads(n_threads as i32)
            .with_n_threads_batch(n_threads as i32);
        Ok(Self {
            context: model.new_context(backend, parameters).map_err(refused("make a context"))?,
            batch: LlamaBatch::new(N_BATCH as usize, 1),
            random: Xoshiro256PlusPlus::seed_from_u64(0),
            n_vocab: model.n_vocab().unsigned_abs().max(1),
        })
    }

    /// The time of a prompt of so many tokens, in an empty context.
    fn prefill(&mut self, n_tokens: u32) -> Result<Duration, Failure> {
        self.context.clear_kv_cache();
        let began = Instant::now();
        for begin in (0..n_tokens).step_by(N_BATCH as usize) {
            self.feed(begin..n_tokens.min(begin + N_BATCH))?;
        }
        Ok(began.elapsed())
    }

    /// The time of [`N_DECODED`] tokens, one by one, behind a prompt whose time is not in it.
    fn decode_after(&mut self, n_prompt: u32) -> Result<Duration, Failure> {
        self.prefill(n_prompt)?;
        let began = Instant::now();
        for position in n_prompt..n_prompt + N_DECODED {
            self.feed(position..position + 1)?;
        }
        Ok(began.elapsed())
    }

    /// Random tokens for these positions, and the logits of the last.
    fn feed(&mut self, positions: std::ops::Range<u32>) -> Result<(), Failure> {
        self.batch.clear();
        for position in positions.clone() {
            let token = LlamaToken((self.random.next_u32() % self.n_vocab) as i32);
            let is_last = position + 1 == positions.end;
            self.batch.add(token, position as i32, &[0], is_last).map_err(refused("take a token"))?;
        }
        self.context.decode(&mut self.batch).map_err(refused("run the model"))?;
        let logits = self.context.get_logits_ith(self.batch.n_tokens() - 1); // [n_vocab]
        // One is enough: what is not finite within a layer spreads to all of them.
        match logits.first().is_some_and(|logit| logit.is_finite()) {
            true => Ok(()),
            false => Err(refused("run the model")("a logit is not a finite number")),
        }
    }
}

/// The result as it grows.
struct Report {
    values: Map<String, Value>,
    /// Where it was asked for: after each step.
    memory: Option<Vec<Value>>,
}

impl Report {
    fn note(&mut self, key: &str, value: Value) {
        eprintln!("{key}: {value}");
        self.values.insert(key.into(), value);
    }

    fn figure(&mut self, step: &str, key: &str, figure: f64) -> Result<(), Failure> {
        eprintln!("{key}: {figure:.3}");
        self.values.insert(key.into(), json!(figure));
        if let Some(entries) = &mut self.memory {
            let memory = Memory::of_this_process()?;
            let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
            let (peak, anonymous, file) = (gib(memory.peak), gib(memory.anonymous), gib(memory.file));
            eprintln!("  memory: {peak:.2} GiB at most, now {anonymous:.2} of its own and {file:.2} of files");
            entries.push(memory.after(step));
        }
        Ok(())
    }

    /// With the most memory that the process ever held.
    fn finish(mut self) -> Result<Map<String, Value>, Failure> {
        if let Some(entries) = self.memory {
            self.values.insert("resident_bytes".into(), json!(Memory::of_this_process()?.peak));
            self.values.insert("memory".into(), Value::Array(entries));
        }
        Ok(self.values)
    }
}
