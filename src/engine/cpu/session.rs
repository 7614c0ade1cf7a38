//! One transcript after the other: what is known already is kept, the rest is read, and new tokens are made.
//!
//! What it is not: it knows no threads but the pool's, and no channels; the engine's thread calls it.
//! Start at [`Session::generate`].

use super::forward::{Cancelled, MAX_BATCH, Model, State};
use super::kernels::pool::Pool;
use super::kv_cache::KvCache;
use crate::engine::sampler::Sampler;
use crate::engine::{EngineError, Finish, Generation, Progress, Request};

/// A model and what it has read.
pub(super) struct Session {
    model: Model,
    cache: KvCache,
    state: State,
    pool: Pool,
    context_length: usize,
}

impl Session {
    pub(super) fn new(model: Model, pool: Pool, context_length: usize) -> Self {
        let cache = KvCache::new(&model.config, context_length);
        let state = State::new(&model.config);
        Self { model, cache, state, pool, context_length }
    }

    /// Continues the request's transcript. `is_cancelled` is asked at every layer.
    pub(super) fn generate(
        &mut self,
        request: &Request,
        is_cancelled: &dyn Fn() -> bool,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Generation, EngineError> {
        let n_prompt = request.tokens.len();
        let (limit, n_vocab) = (self.context_length, self.model.config.n_vocab);
        if n_prompt > limit {
            return Err(EngineError::ContextFull { n_tokens: n_prompt, limit });
        }
        if let Some(unknown) = request.tokens.iter().find(|&&token| token as usize >= n_vocab) {
            return Err(EngineError::UnknownToken(*unknown));
        }
        // The last token is read again even when it is known, for its logits.
        let n_longest = n_prompt.checked_sub(1).ok_or(EngineError::EmptyTranscript)?;
        let n_reused = self.cache.keep_common_prefix(&request.tokens, n_longest);
        let mut generation = Generation { tokens: Vec::new(), finish: Finish::Cancelled, n_reused };
        if let Ok(last_idx) = self.prefill(request, n_reused, is_cancelled, report) {
            self.decode(request, last_idx, &mut generation, is_cancelled, report)?;
        }
        Ok(generation)
    }

    /// Reads the prompt from `n_reused` on; returns where in the last pass its last token was.
    fn prefill(
        &mut self,
        request: &Request,
        n_reused: usize,
        is_cancelled: &dyn Fn() -> bool,
        report: &mut dyn FnMut(Progress),
    ) -> Result<usize, Cancelled> {
        let new = &request.tokens[n_reused..];
        let total = new.len();
        report(Progress::Prefill { done: 0, total });
        let mut done = 0;
        let mut last_idx = 0;
        for batch in new.chunks(MAX_BATCH) {
            self.model.forward(batch, &mut self.cache, &mut self.state, &mut self.pool, is_cancelled)?;
            done += batch.len();
            last_idx = batch.len() - 1;
            report(Progress::Prefill { done, total });
        }
        Ok(last_idx)
    }

    fn decode(
        &mut self,
        request: &Request,
        mut last_idx: usize,
        generation: &mut Generation,
        is_cancelled: &dyn Fn() -> bool,
        report: &mut dyn FnMut(Progress),
    ) -> Result<(), EngineError> {
        let n_max = request.max_tokens.min(self.context_length - request.tokens.len());
        let mut sampler = Sampler::new(request.sampling, self.model.config.n_vocab);
        loop {
            if generation.tokens.len() == n_max {
                generation.finish = Finish::Length;
                return Ok(());
            }
            if is_cancelled() {
                return Ok(());
            }
            let logits = self.model.logits(last_idx, &mut self.state, &mut self.pool);
            let position = request.tokens.len() + generation.tokens.len();
            let token = sampler.sample(logits, &request.forbidden, position).ok_or_else(|| {
                EngineError::Stopped("every token is forbidden, or the weights are no numbers".into())
            })?;
            generation.tokens.push(token);
            report(Progress::Token(token));
            if request.stop.contains(&token) {
                generation.finish = Finish::Stop;
                return Ok(());
            }
            if generation.tokens.len() < n_max {
                let pass = self.model.forward(&[token], &mut self.cache, &mut self.state, &mut self.pool, is_cancelled);
                if pass == Err(Cancelled) {
                    return Ok(());
                }
                last_idx = 0;
            }
        }
    }
}
