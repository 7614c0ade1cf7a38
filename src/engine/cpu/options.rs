//! How an engine is set up, and what that comes to for a model: how long a context, and how much memory.
//!
//! What it is not: it takes no memory, and reads no settings. What nobody chose is chosen by one of two profiles, the
//! usual one and the one for machines with little memory. Start at [`Options::sizes`].

use super::config::ModelConfig;
use super::forward::{MAX_BATCH, State};
use super::kv_cache::{CacheFormat, KvCache};
use super::snapshots::Store;
use crate::engine::models::{self, Checkpoint, LoadError};

/// How an engine is set up.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Threads that compute; the machine's physical cores unless told otherwise.
    pub threads: Option<usize>,
    /// The longest transcript in tokens; 16,384, or what the model reads where that is less, unless told otherwise.
    pub context_length: Option<usize>,
    /// How keys and values are kept; half precision for a prepared model, and as computed for one that runs as it lies,
    /// unless told otherwise.
    pub cache: Option<CacheFormat>,
    /// Conversations that are kept in memory at most; 4 unless told otherwise.
    pub n_sessions: Option<usize>,
    /// Take little memory: what is not told otherwise is a context of 8,192 tokens in int8 and one conversation; and a
    /// prompt is read in passes of 128 tokens.
    pub low_memory: bool,
    /// Where what was read is kept from one run to the next; nowhere when left out.
    pub snapshots: Option<Store>,
}

/// What options come to for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// The longest transcript, in tokens.
    pub(crate) context_length: usize,
    /// How keys and values are kept.
    pub(crate) cache: CacheFormat,
    /// Conversations that are kept in memory at most.
    pub(crate) n_sessions: usize,
    /// The most tokens of a pass.
    pub(crate) n_batch: usize,
}

const USUAL: Sizes = Sizes { context_length: 16_384, cache: CacheFormat::F16, n_sessions: 4, n_batch: MAX_BATCH };

/// For the 20b this takes 163 MiB where the usual one takes 543, and a second conversation another 452.
const SMALL: Sizes = Sizes { context_length: 8192, cache: CacheFormat::Int8, n_sessions: 1, n_batch: 128 };

/// What to do about too little memory while there is a way to take less.
const LESS: &str = "close other programs, ask for a shorter context, or take less with --low-memory";

impl Options {
    /// What they come to, for a model whose matrices are in panels or not. One that runs as it lies is as exact as it can
    /// be, and so are its keys and values, unless little memory is to be taken.
    pub(crate) fn sizes(&self, config: &ModelConfig, in_panels: bool) -> Sizes {
        let profile = if self.low_memory { SMALL } else { USUAL };
        let cache = if in_panels || self.low_memory { profile.cache } else { CacheFormat::F32 };
        let context_length = self.context_length.unwrap_or(profile.context_length.min(config.max_context));
        Sizes {
            context_length,
            cache: self.cache.unwrap_or(cache),
            n_sessions: self.n_sessions.unwrap_or(profile.n_sessions),
            n_batch: profile.n_batch.min(context_length),
        }
    }

    /// The same for a checkpoint that fits into this machine.
    ///
    /// # Errors
    /// [`LoadError::Context`] when the model reads less than what was asked for; [`LoadError::Memory`] and
    /// [`LoadError::TooLarge`], which say where taking less is a way out.
    pub(crate) fn fitting_sizes(&self, checkpoint: &Checkpoint, in_panels: bool) -> Result<Sizes, LoadError> {
        let (name, config, weights) = (&checkpoint.name, &checkpoint.config, checkpoint.n_bytes());
        let limit = config.max_context;
        if let Some(asked) = self.context_length.filter(|asked| *asked > limit) {
            return Err(LoadError::Context { name: name.clone(), asked, limit });
        }
        let sizes = self.sizes(config, in_panels);
        let needed = sizes.n_bytes(config);
        let least = Self { low_memory: true, ..self.clone() }.sizes(config, in_panels).n_bytes(config);
        let what = format!("a context of {} tokens", sizes.context_length);
        models::check_memory(name, &what, needed, if least < needed { LESS } else { models::SHORTER })?;
        let fits = models::total_memory().is_some_and(|total| weights.saturating_add(least) <= total);
        models::check_size(name, weights.saturating_add(needed), if fits { LESS } else { models::SMALLER })?;
        Ok(sizes)
    }
}

impl Sizes {
    /// Bytes that an engine takes beside the mapped weights when the context of one conversation is full.
    pub(crate) fn n_bytes(&self, config: &ModelConfig) -> u64 {
        let state = State::n_bytes(config, self.n_batch);
        KvCache::n_bytes(config, self.context_length, self.cache).saturating_add(state)
    }

    /// The same with no more conversations than fit into half of the memory that the weights leave.
    pub(crate) fn with_fitting_sessions(self, config: &ModelConfig, weights: u64) -> Self {
        let Some(total) = models::total_memory() else { return self };
        let each = KvCache::n_bytes(config, self.context_length, self.cache).max(1);
        let n_fitting = (total.saturating_sub(weights) / 2 / each) as usize;
        Self { n_sessions: self.n_sessions.min(n_fitting).max(1), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::super::goldens::checkpoint;
    use super::*;
    use crate::engine::models::Source;

    const MIB: u64 = 1 << 20;

    #[test]
    fn little_memory_is_what_the_20b_takes_by_the_small_profile() {
        let config = Source::Random.open().unwrap().config;
        let low = Options { low_memory: true, ..Options::default() };
        for (options, expected, mib) in [
            (Options::default(), USUAL, 543),
            (low.clone(), SMALL, 163),
            (Options { context_length: Some(4096), ..low.clone() }, Sizes { context_length: 4096, ..SMALL }, 112),
            (Options { cache: Some(CacheFormat::F16), ..low }, Sizes { cache: CacheFormat::F16, ..SMALL }, 284),
        ] {
            let sizes = options.sizes(&config, true);
            assert_eq!((sizes, sizes.n_bytes(&config) / MIB), (expected, mib), "{options:?}");
        }
    }

    #[test]
    fn what_somebody_chose_holds_whatever_the_profile() {
        let config = checkpoint("long").config;
        let chosen = Options {
            context_length: Some(100),
            cache: Some(CacheFormat::F32),
            n_sessions: Some(3),
            low_memory: true,
            ..Options::default()
        };
        let expected = Sizes { context_length: 100, cache: CacheFormat::F32, n_sessions: 3, n_batch: 100 };
        assert_eq!(chosen.sizes(&config, true), expected);
        // No model reads more than it was made for, and one that runs as it lies keeps what it computed.
        let usual = Options::default().sizes(&config, false);
        assert_eq!((usual.context_length, usual.cache), (config.max_context, CacheFormat::F32));
    }

    #[test]
    fn nobody_gets_more_context_than_the_model_reads() {
        let checkpoint = checkpoint("long");
        let asked = checkpoint.config.max_context + 1;
        let options = Options { context_length: Some(asked), ..Options::default() };
        assert!(matches!(options.fitting_sizes(&checkpoint, true), Err(LoadError::Context { .. })));
    }

    #[test]
    fn too_little_memory_names_the_way_out_while_there_is_one() {
        let mut checkpoint = checkpoint("long");
        checkpoint.config.max_context = 1 << 41;
        let message = |options: Options| options.fitting_sizes(&checkpoint, true).unwrap_err().to_string();
        let vast = Options { context_length: Some(1 << 40), ..Options::default() };
        assert!(message(vast.clone()).contains("take less with --low-memory"), "{}", message(vast.clone()));
        let least = Options { low_memory: true, ..vast };
        assert!(message(least.clone()).contains("a shorter context"), "{}", message(least));
    }
}
