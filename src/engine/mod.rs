//! Engines: tokens in, tokens out. An [`Engine`] never sees a message; harmony stands above it.
//!
//! What it is not: it knows no roles, tools or policy, and decides nothing about when to stop but the stop set it is given.
//! Start at [`Engine::generate`]; [`cpu`] is our own engine, [`scripted`] plays back tokens for tests and examples.

pub mod constraint;
pub mod cpu;
pub mod models;
pub mod sampler;
pub mod scripted;

use crate::harmony::{Token, TurnGrammar};
use async_trait::async_trait;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub use constraint::GrammarError;
pub use cpu::{CpuEngine, Options};
pub use sampler::{MAX_TOP_LOGPROBS, SamplingParams, TokenLogprob, TopLogprob};
pub use scripted::ScriptedEngine;

/// What runs a model.
#[async_trait]
pub trait Engine: Send + Sync {
    /// What is loaded, for people: a name, sizes, where it came from.
    fn description(&self) -> &ModelDescription;

    /// Continues `request.tokens` until a stop token, the token limit, the end of the context, or cancellation.
    ///
    /// The engine keeps the longest common prefix with what it saw before; callers simply pass the whole transcript.
    /// `progress` is called in order, from one task: prefill counts first, then every token as it is sampled (the stop token included).
    async fn generate(
        &self,
        request: Request,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Generation, EngineError>;

    /// Whether the engine can hold a generation to this grammar; what it compiles is kept for the requests that follow.
    fn prepare(&self, grammar: &Arc<TurnGrammar>) -> Result<(), GrammarError>;
}

/// What is loaded.
#[derive(Clone, Debug)]
pub struct ModelDescription {
    /// A name for people: `stapes`, or the folder's.
    pub name: String,
    /// Parameters, counting each quantised weight once.
    pub n_parameters: u64,
    /// Bytes of weights in memory or mapped.
    pub n_bytes: u64,
    /// The longest transcript, in tokens, that this engine accepts.
    pub context_length: usize,
    /// Said once at the start when the model is not meant for real work.
    pub notice: Option<String>,
}

/// One generation.
#[derive(Clone, Debug)]
pub struct Request {
    /// The whole transcript, ending with `<|start|>assistant`.
    pub tokens: Vec<Token>,
    /// How many of the first tokens other transcripts are likely to begin with too: instructions and tools. 0 when unknown.
    pub n_shared: usize,
    /// How many of the first tokens stay when the conversation goes on: all up to what the user said last, after which a
    /// turn's reasoning is dropped. 0 when unknown.
    pub n_lasting: usize,
    /// Generation ends after one of these; it is part of the output.
    pub stop: Vec<Token>,
    /// Tokens that must not come out (reserved ids); sorted.
    pub forbidden: Vec<Token>,
    /// At most this many new tokens.
    pub max_tokens: usize,
    /// How the next token is chosen.
    pub sampling: SamplingParams,
    /// Asks for the log-probability of each token that is written, and of so many of the most probable ones in its place, at
    /// most [`MAX_TOP_LOGPROBS`]. `None` asks for none, and costs nothing.
    pub top_logprobs: Option<usize>,
    /// What may be written; `None` leaves the model free.
    pub grammar: Option<Constrained>,
    /// Checked within a layer's time.
    pub cancel: CancellationToken,
}

/// What a generation is held to.
#[derive(Clone, Debug)]
pub struct Constrained {
    /// The whole turn, from after `<|start|>assistant`.
    pub grammar: Arc<TurnGrammar>,
    /// How many of the transcript's last tokens are part of that turn already: a header that the caller wrote.
    pub n_written: usize,
}

/// What an engine reports on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many of the prompt's tokens that were not in the cache have been read.
    Prefill {
        /// Read so far.
        done: usize,
        /// To be read.
        total: usize,
    },
    /// The next token.
    Token(Token),
}

/// What a generation produced.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// The new tokens, in order, the stop token included.
    pub tokens: Vec<Token>,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens of the prompt that were already in the cache.
    pub n_reused: usize,
    /// New tokens that the grammar left no choice about, or whose place had gone on for too long: they were not sampled.
    pub n_forced: usize,
    /// One for each of the new tokens when the request asked for them and the engine knows them; else none.
    pub logprobs: Vec<TokenLogprob>,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// A stop token came.
    Stop,
    /// `max_tokens`, or the end of the context.
    Length,
    /// The request's token was cancelled.
    Cancelled,
}

/// Why an engine could not run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No model could be loaded. The message names the file and says what to do.
    #[error(transparent)]
    Load(#[from] models::LoadError),
    /// The transcript does not fit.
    #[error(
        "the conversation has {n_tokens} tokens and the model reads at most {limit}; start a new one, or raise the context length"
    )]
    ContextFull {
        /// Length of the transcript.
        n_tokens: usize,
        /// The engine's limit.
        limit: usize,
    },
    /// Nothing to continue: a caller's mistake.
    #[error("the transcript is empty, and a model can only continue one")]
    EmptyTranscript,
    /// The grammar does not compile, or could not be followed to its end.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    /// The prompt holds a part of the turn that its grammar does not allow: a caller's mistake.
    #[error("what the prompt holds of the turn is not allowed by its grammar")]
    NotInGrammar,
    /// An id outside the vocabulary: a caller's mistake.
    #[error("token id {0} is outside the model's vocabulary")]
    UnknownToken(Token),
    /// The engine's thread is gone.
    #[error("the engine stopped: {0}")]
    Stopped(String),
}
