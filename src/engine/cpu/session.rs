//! One request after the other: what is known already is kept, the rest is read, and new tokens are made.
//!
//! What it is not: it knows no threads but the pool's, and no channels; the engine's thread calls it.
//! Start at [`Session::generate`].

use super::caches::Caches;
use super::forward::{Cancelled, Model, State};
use super::kernels::pool::Pool;
use super::kv_cache::KvCache;
use super::options::Sizes;
use super::snapshots::{Snapshots, WORTH_KEEPING};
use crate::engine::constraint::{Allowed, Constraint, Next};
use crate::engine::sampler::{Row, Sampler, TokenLogprob};
use crate::engine::{EngineError, Finish, Generation, Progress, Request};
use crate::harmony::Token;
use std::thread::JoinHandle;

/// Of so many allowed tokens only their own rows of the head are computed.
const N_FEW: usize = 512;

/// A reader of a long prompt can come back to each of so many positions.
const BETWEEN_MARKS: usize = 2048;

/// A model and what it has read.
pub(super) struct Session {
    model: Model,
    caches: Caches,
    snapshots: Option<Snapshots>,
    writers: Vec<JoinHandle<()>>,
    state: State,
    pool: Pool,
    context_length: usize,
}

impl Session {
    pub(super) fn new(model: Model, pool: Pool, sizes: Sizes, snapshots: Option<Snapshots>) -> Self {
        let Sizes { context_length, cache, n_sessions, n_batch } = sizes;
        let caches = Caches::new(&model.config, context_length, cache, n_sessions);
        let state = State::new(&model.config, n_batch);
        Self { model, caches, snapshots, writers: Vec::new(), state, pool, context_length }
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
        self.writers.retain(|writer| !writer.is_finished());
        let (snapshots, writers) = (&self.snapshots, &mut self.writers);
        let (cache, mut n_reused) = self.caches.choose(&request.tokens, n_longest, &mut |leaving| {
            writers.extend(snapshots.as_ref().and_then(|snapshots| keep_conversation(snapshots, leaving)));
        });
        if let Some(snapshots) = snapshots
            && let Some(n) = snapshots.longest(&request.tokens, n_reused + WORTH_KEEPING, n_longest, cache)
        {
            n_reused = n;
            cache.mark();
        } else {
            n_reused = n_reused.min(cache.len()); // a damaged snapshot leaves nothing
        }
        let mut turn = Turn {
            model: &self.model,
            cache,
            state: &mut self.state,
            pool: &mut self.pool,
            snapshots: self.snapshots.as_ref(),
            writers: &mut self.writers,
            context_length: self.context_length,
            is_cancelled,
        };
        let (tokens, logprobs, finish) = (Vec::new(), Vec::new(), Finish::Cancelled);
        let mut generation = Generation { tokens, finish, n_reused, n_forced: 0, logprobs };
        if let Ok(last_idx) = turn.prefill(request, n_reused, report) {
            turn.decode(request, constraint, last_idx, &mut generation, report)?;
        }
        Ok(generation)
    }
}

impl Drop for Session {
    /// Conversations may go on another day. One is copied and written after the other.
    fn drop(&mut self) {
        let snapshots = self.snapshots.as_ref();
        let kept = self.caches.all().iter().filter_map(|cache| keep_conversation(snapshots?, cache));
        for writer in self.writers.drain(..).chain(kept) {
            let _ = writer.join(); // a snapshot that could not be written is no loss
        }
    }
}

/// Keeps what a conversation goes on from, when that is much more than what it began with.
fn keep_conversation(snapshots: &Snapshots, cache: &KvCache) -> Option<JoinHandle<()>> {
    let n = cache.lasting();
    let is_much = n > 2 * WORTH_KEEPING && !snapshots.holds_most(&cache.tokens()[..n]);
    is_much.then(|| snapshots.keep(cache, n)).flatten()
}

/// A token that the sampler chose.
struct Sampled {
    token: Token,
    /// Where the request asks for it.
    logprob: Option<TokenLogprob>,
}

impl Generation {
    /// Takes the next token: the sampled one, or one that was not sampled.
    fn push(&mut self, token: Token, sampled: Option<Sampled>, wants_logprobs: bool) {
        let is_forced = sampled.is_none();
        self.tokens.push(token);
        self.n_forced += usize::from(is_forced);
        if wants_logprobs {
            let logprob = sampled.and_then(|sampled| sampled.logprob);
            self.logprobs.push(logprob.unwrap_or_else(|| TokenLogprob::forced(token)));
        }
    }
}

/// One request on its way.
struct Turn<'a> {
    model: &'a Model,
    cache: &'a mut KvCache,
    state: &'a mut State,
    pool: &'a mut Pool,
    snapshots: Option<&'a Snapshots>,
    writers: &'a mut Vec<JoinHandle<()>>,
    context_length: usize,
    is_cancelled: &'a dyn Fn() -> bool,
}

impl Turn<'_> {
    /// Reads the prompt from `n_reused` on; returns where in the last pass its last token was. What others may begin with
    /// as well, and the end, can be come back to.
    fn prefill(
        &mut self,
        request: &Request,
        n_reused: usize,
        report: &mut dyn FnMut(Progress),
    ) -> Result<usize, Cancelled> {
        let (tokens, total) = (&request.tokens, request.tokens.len() - n_reused);
        report(Progress::Prefill { done: 0, total });
        self.cache.set_lasting(request.n_lasting);
        let mut last_idx = 0;
        let mut reported = 0;
        while self.cache.len() < tokens.len() {
            let start = self.cache.len();
            let next_mark = (start + 1).next_multiple_of(BETWEEN_MARKS);
            let mut end = tokens.len().min(next_mark).min(start + self.state.n_batch());
            for place in [request.n_shared, request.n_lasting] {
                if (start + 1..end).contains(&place) {
                    end = place;
                }
            }
            let (n, n_layers, is_cancelled) = (end - start, self.model.config.n_layers(), self.is_cancelled);
            let mut at_layer = |layer_idx| {
                let done = start - n_reused + n * layer_idx / n_layers;
                if done > reported {
                    reported = done;
                    report(Progress::Prefill { done, total });
                }
                is_cancelled()
            };
            self.model.forward(&tokens[start..end], self.cache, self.state, self.pool, &mut at_layer)?;
            last_idx = n - 1;
            reported = end - n_reused;
            report(Progress::Prefill { done: reported, total });
            if [request.n_shared, request.n_lasting, next_mark, tokens.len()].contains(&end) {
                self.cache.mark();
            }
            if end == request.n_shared {
                let kept = self.snapshots.and_then(|snapshots| snapshots.keep(self.cache, end));
                self.writers.extend(kept);
            }
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
            if (self.is_cancelled)() {
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
            let (mut new, mut sampled) = (forced, None);
            if new.is_empty() {
                match self.read(&mut unread) {
                    Ok(Some(read)) => last_idx = read,
                    Ok(None) => {}
                    Err(Cancelled) => return Ok(()),
                }
                let chosen = self.sample(&mut sampler, request, allowed, last_idx)?;
                let settled = match &mut constraint {
                    None => chosen.token,
                    Some(constraint) => constraint.settle(chosen.token, n_left)?,
                };
                new.push(settled);
                sampled = Some(chosen).filter(|chosen| chosen.token == settled);
            } else if let Some(constraint) = &mut constraint {
                constraint.follow(&new)?;
            }
            for token in new.into_iter().take(n_left) {
                generation.push(token, sampled.take(), request.top_logprobs.is_some());
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
    fn read(&mut self, unread: &mut Vec<Token>) -> Result<Option<usize>, Cancelled> {
        let mut last_idx = None;
        for batch in unread.chunks(self.state.n_batch()) {
            self.model.forward(batch, self.cache, self.state, self.pool, &mut |_| (self.is_cancelled)())?;
            last_idx = Some(batch.len() - 1);
        }
        unread.clear();
        Ok(last_idx)
    }

    /// The next token after `last_idx` of the last pass, among `allowed` or else among all but the request's forbidden ones.
    /// All tokens before it have been read.
    fn sample(
        &mut self,
        sampler: &mut Sampler,
        request: &Request,
        allowed: Option<Allowed<'_>>,
        last_idx: usize,
    ) -> Result<Sampled, EngineError> {
        let ids: Vec<Token>; // the few that are allowed, or the few that are not
        let row = match allowed {
            Some(allowed) if allowed.n_tokens() <= N_FEW => {
                ids = allowed.iter().collect();
                Row::Few { logits: self.model.logits_of(&ids, last_idx, self.state, self.pool), tokens: &ids }
            }
            Some(allowed) => {
                ids = allowed.others(self.model.config.n_vocab).collect();
                Row::Whole { logits: self.model.logits(last_idx, self.state, self.pool), forbidden: &ids }
            }
            None => {
                Row::Whole { logits: self.model.logits(last_idx, self.state, self.pool), forbidden: &request.forbidden }
            }
        };
        let token = sampler.sample(&row, self.cache.tokens());
        let token = token
            .ok_or_else(|| EngineError::Stopped("every token is forbidden, or the weights are no numbers".into()))?;
        Ok(Sampled { token, logprob: request.top_logprobs.map(|n_top| row.logprob(token, n_top)) })
    }
}
