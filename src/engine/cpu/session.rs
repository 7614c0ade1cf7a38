//! One transcript after the other: what is known already is kept, the rest is read, and new tokens are made.
//!
//! What it is not: it knows no threads but the pool's, and no channels; the engine's thread calls it.
//! Start at [`Session::generate`].

use super::forward::{Cancelled, MAX_BATCH, Model, State};
use super::kernels::pool::Pool;
use super::kv_cache::KvCache;
use crate::engine::constraint::{Allowed, Constraint, Next};
use crate::engine::sampler::Sampler;
use crate::engine::{EngineError, Finish, Generation, Progress, Request};
use crate::harmony::Token;

/// Of so many allowed tokens only their own rows of the head are computed.
const N_FEW: usize = 4_096;

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
        constraint: Option<Constraint>,
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
        let mut generation = Generation { tokens: Vec::new(), finish: Finish::Cancelled, n_reused, n_forced: 0 };
        if let Ok(last_idx) = self.prefill(request, n_reused, is_cancelled, report) {
            self.decode(request, constraint, last_idx, &mut generation, is_cancelled, report)?;
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

    /// Writes. What is sampled and what the grammar forces after it is read in one pass, when logits are next needed.
    fn decode(
        &mut self,
        request: &Request,
        mut constraint: Option<Constraint>,
        mut last_idx: usize,
        generation: &mut Generation,
        is_cancelled: &dyn Fn() -> bool,
        report: &mut dyn FnMut(Progress),
    ) -> Result<(), EngineError> {
        let n_max = request.max_tokens.min(self.context_length - request.tokens.len());
        let mut sampler = Sampler::new(request.sampling, self.model.config.n_vocab);
        let mut unread = Vec::new();
        loop {
            let n_left = n_max - generation.tokens.len();
            if n_left == 0 {
                generation.finish = Finish::Length;
                return Ok(());
            }
            if is_cancelled() {
                return Ok(());
            }
            let next = constraint.as_mut().map(|constraint| constraint.next(n_left)).transpose()?;
            let (allowed, forced) = match next {
                None => (None, Vec::new()),
                Some(Next::Choice(allowed)) => (Some(allowed), Vec::new()),
                Some(Next::Forced(tokens)) => (None, tokens),
                Some(Next::End) => {
                    generation.finish = Finish::Stop;
                    return Ok(());
                }
            };
            generation.n_forced += forced.len().min(n_left);
            let mut new = forced;
            if new.is_empty() {
                match self.read(&mut unread, is_cancelled) {
                    Ok(Some(read)) => last_idx = read,
                    Ok(None) => {}
                    Err(Cancelled) => return Ok(()),
                }
                let position = request.tokens.len() + generation.tokens.len();
                let sampled = self.sample(&mut sampler, request, allowed, last_idx, position)?;
                new.push(match &mut constraint {
                    None => sampled,
                    Some(constraint) => constraint.settle(sampled, n_left)?,
                });
            } else if let Some(constraint) = &mut constraint {
                constraint.follow(&new)?;
            }
            for token in new.into_iter().take(n_left) {
                generation.tokens.push(token);
                unread.push(token);
                report(Progress::Token(token));
                if request.stop.contains(&token) {
                    generation.finish = Finish::Stop;
                    return Ok(());
                }
            }
        }
    }

    /// Reads what has been written; returns where in the last pass its last token was, if there was any.
    fn read(&mut self, unread: &mut Vec<Token>, is_cancelled: &dyn Fn() -> bool) -> Result<Option<usize>, Cancelled> {
        let mut last_idx = None;
        for batch in unread.chunks(MAX_BATCH) {
            self.model.forward(batch, &mut self.cache, &mut self.state, &mut self.pool, is_cancelled)?;
            last_idx = Some(batch.len() - 1);
        }
        unread.clear();
        Ok(last_idx)
    }

    /// The next token after `last_idx` of the last pass, among `allowed` or else among all but the request's forbidden ones.
    fn sample(
        &mut self,
        sampler: &mut Sampler,
        request: &Request,
        allowed: Option<Allowed<'_>>,
        last_idx: usize,
        position: usize,
    ) -> Result<Token, EngineError> {
        let token = match allowed {
            None => {
                let logits = self.model.logits(last_idx, &mut self.state, &mut self.pool);
                sampler.sample(logits, &request.forbidden, position)
            }
            Some(allowed) if allowed.n_tokens() <= N_FEW => {
                let tokens: Vec<Token> = allowed.iter().collect();
                let logits = self.model.logits_of(&tokens, last_idx, &mut self.state, &mut self.pool);
                sampler.sample(logits, &[], position).map(|idx| tokens[idx as usize])
            }
            Some(allowed) => {
                let forbidden: Vec<Token> = allowed.others(self.model.config.n_vocab).collect();
                let logits = self.model.logits(last_idx, &mut self.state, &mut self.pool);
                sampler.sample(logits, &forbidden, position)
            }
        };
        token.ok_or_else(|| EngineError::Stopped("every token is forbidden, or the weights are no numbers".into()))
    }
}
