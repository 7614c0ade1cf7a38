//! How fast a model runs on this machine, and how near that is to what its memory allows.
//!
//! What it is not: a comparison with other programs; `tests/bench` holds one. It measures the same passes that sessions
//! make, with random tokens. Start at [`Bench::open`].

use super::forward::{Model, State};
use super::kernels::{Kernels, pool::Pool};
use super::kv_cache::KvCache;
use super::options::{Options, Sizes};
use super::session::Session;
use super::snapshot_key;
use super::snapshots::{Snapshots, Store};
use super::weights::Weights;
use crate::engine::models::{Checkpoint, LoadError};
use crate::engine::sampler::SamplingParams;
use crate::engine::{EngineError, Progress, Request};
use crate::harmony::Token;
use crate::world::Clock;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub use super::kernels::speed::{Speed, speeds as kernel_speeds};

/// Tokens that are decoded to measure it, after a prompt of [`N_BEFORE`].
const N_DECODED: usize = 64;
const N_BEFORE: usize = 32;

/// Bytes of one reading of memory, and how often it is read.
const READ: usize = 2 << 30;
const N_READINGS: usize = 3;

/// What was measured. Times in seconds, speeds in tokens for each second.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measured {
    /// The model.
    pub model: String,
    /// Instructions that its kernels use.
    pub kernels: String,
    /// Threads that compute.
    pub n_threads: usize,
    /// From opening its file to being ready to read.
    pub load_s: f64,
    /// Reading 512 tokens.
    pub prefill_512_tok_s: Option<f64>,
    /// Reading 2,048 tokens.
    pub prefill_2048_tok_s: Option<f64>,
    /// Writing, after a few tokens.
    pub decode_tok_s: Option<f64>,
    /// Writing, after 4,000 tokens.
    pub decode_4k_tok_s: Option<f64>,
    /// From a prompt whose first 3,000 tokens nobody knows to its first new token.
    pub first_token_cold_s: Option<f64>,
    /// The same when they are in memory.
    pub first_token_memory_s: Option<f64>,
    /// The same when they are on the disk.
    pub first_token_disk_s: Option<f64>,
    /// What one token reads of the weights.
    pub bytes_per_token: u64,
    /// Reading the weights' file in memory without computing, by the same threads, in 10^9 bytes for each second.
    pub bandwidth_gb_s: Option<f64>,
    /// How much of that decoding comes to.
    pub decode_fraction_of_limit: Option<f64>,
    /// The most memory that the process has had, mapped weights included.
    pub resident_bytes: Option<u64>,
    /// Of the mapped weights, bytes that lie in huge pages.
    pub huge_page_bytes: Option<u64>,
}

/// A model being measured.
pub struct Bench {
    checkpoint: Checkpoint,
    model: Option<Model>,
    state: State,
    pool: Pool,
    cache: KvCache,
    sizes: Sizes,
    clock: Arc<dyn Clock>,
    seed: u64,
    /// So far.
    pub measured: Measured,
}

impl Bench {
    /// Opens a model as a session would, with room for 4,096 tokens.
    ///
    /// # Errors
    /// Those of opening it.
    pub fn open<E: From<LoadError>>(
        open: impl FnOnce() -> Result<Checkpoint, E>,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, E> {
        let start = clock.elapsed();
        let checkpoint = open()?;
        let weights = Weights::open(&checkpoint)?;
        let sizes = options.sizes(&checkpoint.config, weights.are_in_panels());
        let sizes = Sizes { context_length: 4096, n_sessions: 2, ..sizes };
        let kernels = Kernels::best();
        let model = Model::new(checkpoint.config.clone(), weights, kernels);
        let n_threads = options.threads.unwrap_or_else(num_cpus::get_physical).max(1);
        let pool = Pool::new(n_threads).map_err(LoadError::Thread)?;
        let cache = KvCache::new(&checkpoint.config, sizes.context_length, sizes.cache);
        let state = State::new(&checkpoint.config, sizes.n_batch);
        let measured = Measured {
            model: checkpoint.name.clone(),
            kernels: format!("{kernels}"),
            n_threads,
            load_s: (clock.elapsed() - start).as_secs_f64(),
            bytes_per_token: model.bytes_per_token(),
            ..Measured::default()
        };
        Ok(Self {
            checkpoint,
            model: Some(model),
            state,
            pool,
            cache,
            sizes,
            clock,
            seed: 88_172_645_463_325_252,
            measured,
        })
    }

    fn tokens(&mut self, n: usize) -> Vec<Token> {
        let n_vocab = self.checkpoint.config.n_vocab as u64;
        let seed = &mut self.seed;
        let next = || {
            *seed ^= *seed << 13;
            *seed ^= *seed >> 7;
            *seed ^= *seed << 17;
            (*seed >> 16) % n_vocab
        };
        std::iter::repeat_with(next).take(n).map(|token| token as Token).collect()
    }

    fn timed(&mut self, work: impl FnOnce(&mut Self)) -> f64 {
        let start = self.clock.elapsed();
        work(self);
        (self.clock.elapsed() - start).as_secs_f64()
    }

    /// Passes over these tokens, and the logits of the last.
    fn read(&mut self, tokens: &[Token]) {
        let model = self.model.as_ref().expect("the model is there until the sessions are measured");
        for batch in tokens.chunks(self.sizes.n_batch) {
            let pass = model.forward(batch, &mut self.cache, &mut self.state, &mut self.pool, &mut |_| false);
            pass.expect("nobody cancels it");
            model.logits(batch.len() - 1, &mut self.state, &mut self.pool);
        }
    }

    /// Reading a prompt of so many tokens, in tokens for each second.
    pub fn prefill(&mut self, n: usize) -> f64 {
        self.cache.keep_common_prefix(&[], 0);
        let tokens = self.tokens(n);
        n as f64 / self.timed(|bench| bench.read(&tokens))
    }

    /// Writing after so many tokens, in tokens for each second. A long context is filled with random numbers: their values do
    /// not matter to how long it takes.
    pub fn decode(&mut self, n_before: Option<usize>) -> f64 {
        self.cache.keep_common_prefix(&[], 0);
        let before = self.tokens(n_before.unwrap_or(N_BEFORE));
        match n_before {
            None => self.read(&before),
            Some(_) => self.fill(&before),
        }
        let tokens = self.tokens(N_DECODED);
        let time = self.timed(|bench| tokens.chunks(1).for_each(|token| bench.read(token)));
        N_DECODED as f64 / time
    }

    fn fill(&mut self, tokens: &[Token]) {
        let (width, n_layers) = (self.checkpoint.config.kv_width(), self.checkpoint.config.n_layers());
        let numbers: Vec<f32> = (0..width).map(|i| (i % 17) as f32 * 0.1 - 0.8).collect();
        for token in tokens {
            (0..n_layers).for_each(|layer_idx| self.cache.write(layer_idx, &numbers, &numbers));
            self.cache.append(&[*token]);
        }
    }

    /// Measures decoding and the memory's bandwidth in turns, so that neighbours disturb both alike.
    pub fn decode_and_bandwidth(&mut self) {
        let mut speeds = Vec::new();
        let mut bandwidths = vec![self.bandwidth()];
        for _ in 0..N_READINGS {
            speeds.push(self.decode(None));
            bandwidths.push(self.bandwidth());
        }
        let speed = median(speeds);
        let bandwidth = median(bandwidths);
        self.measured.decode_tok_s = Some(speed);
        self.measured.bandwidth_gb_s = Some(bandwidth);
        let limit = bandwidth * 1e9 / self.measured.bytes_per_token as f64;
        self.measured.decode_fraction_of_limit = Some(speed / limit);
    }

    /// Reads the first matrices of the experts, without computing, in 10^9 bytes for each second.
    fn bandwidth(&mut self) -> f64 {
        const PIECE: usize = 1 << 20;
        let model = self.model.as_ref().expect("the model is there until the sessions are measured");
        let pieces: Vec<&[u8]> =
            model.weights.experts().flat_map(|bytes| bytes.chunks(PIECE)).take(READ / PIECE).collect();
        let n_bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        let sum = AtomicU64::new(0);
        let (pool, clock) = (&mut self.pool, &self.clock);
        let start = clock.elapsed();
        pool.run(pieces.len(), &|idx| {
            // Four streams, to which memory gives more than to one, and eight sums, so that adding takes less time than reading.
            let mut sums = [0u64; 8];
            let lines = pieces[idx].as_chunks::<64>().0;
            let (front, back) = lines.split_at(lines.len() / 2);
            let ((a, b), (c, d)) = (front.split_at(front.len() / 2), back.split_at(back.len() / 2));
            for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
                for line in [a, b, c, d] {
                    let words = line.as_chunks::<8>().0;
                    sums.iter_mut()
                        .zip(words)
                        .for_each(|(sum, word)| *sum = sum.wrapping_add(u64::from_le_bytes(*word)));
                }
            }
            sum.fetch_add(sums.iter().fold(0, |a, b| a ^ b), Ordering::Relaxed);
        });
        let time = (clock.elapsed() - start).as_secs_f64();
        std::hint::black_box(sum.into_inner());
        n_bytes as f64 / time / 1e9
    }

    /// The time to the first token of a prompt of so many tokens and a few new ones: when they have to be read, when they
    /// are in memory, and when they are in a snapshot in `folder`.
    ///
    /// # Errors
    /// Those of a generation.
    pub fn first_tokens(&mut self, n: usize, folder: &Path) -> Result<(), EngineError> {
        let prefix = self.tokens(n);
        let (folder, clock) = (folder.to_owned(), self.clock.clone());
        let store = Store { folder, most_bytes: u64::MAX, least_free: 0, clock };
        let snapshots = Snapshots::new(store, &snapshot_key(&self.checkpoint.key, self.sizes.cache));
        let ask = |bench: &mut Self, session: &mut Session| {
            let mut tokens = prefix.clone();
            tokens.extend(bench.tokens(16));
            bench.first_token(session, tokens, n)
        };
        let model = self.model.take().expect("the model is there until the sessions are measured");
        let mut session = self.session(model, snapshots.clone())?;
        self.measured.first_token_cold_s = Some(ask(self, &mut session)?.as_secs_f64());
        self.measured.first_token_memory_s = Some(ask(self, &mut session)?.as_secs_f64());
        drop(session); // and what it writes is on the disk
        let weights = Weights::open(&self.checkpoint)?;
        let model = Model::new(self.checkpoint.config.clone(), weights, Kernels::best());
        let mut session = self.session(model, snapshots)?;
        self.measured.first_token_disk_s = Some(ask(self, &mut session)?.as_secs_f64());
        Ok(())
    }

    fn session(&self, model: Model, snapshots: Snapshots) -> Result<Session, LoadError> {
        let pool = Pool::new(self.measured.n_threads).map_err(LoadError::Thread)?;
        Ok(Session::new(model, pool, self.sizes, Some(snapshots)))
    }

    fn first_token(&self, session: &mut Session, tokens: Vec<Token>, n_shared: usize) -> Result<Duration, EngineError> {
        let request = Request {
            tokens,
            n_shared,
            n_lasting: 0,
            stop: Vec::new(),
            forbidden: Vec::new(),
            max_tokens: 1,
            sampling: SamplingParams::default(),
            top_logprobs: None,
            grammar: None,
            cancel: CancellationToken::new(),
        };
        let start = self.clock.elapsed();
        let mut first = None;
        session.generate(&request, None, &|| false, &mut |step| {
            if matches!(step, Progress::Token(_)) {
                first.get_or_insert(self.clock.elapsed());
            }
        })?;
        Ok(first.unwrap_or_default().saturating_sub(start))
    }

    /// What the process has taken so far.
    pub fn memory(&mut self) {
        self.measured.resident_bytes = kilobytes("/proc/self/status", "VmHWM:");
        self.measured.huge_page_bytes = kilobytes("/proc/self/smaps_rollup", "FilePmdMapped:");
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// A line of a file of the system's, in bytes; where there is no such system, none.
fn kilobytes(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|n| n * 1024)
}
