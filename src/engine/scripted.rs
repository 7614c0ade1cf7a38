//! An engine that plays back given tokens: for tests, examples and demonstrations, wherever a real one would only be slow.
//!
//! What it is not: it reads no prompt and obeys neither `forbidden` list nor grammar; a script may hold what no model should say.
//! It knows no probabilities.
//! Start at [`ScriptedEngine::new`]; afterwards [`ScriptedEngine::requests`] tells what the engine was asked.

use super::{Engine, EngineError, Finish, Generation, GrammarError, ModelDescription, Progress, Request};
use crate::harmony::{Token, TurnGrammar};
use async_trait::async_trait;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

/// Plays back generations in order, one for each request.
pub struct ScriptedEngine {
    description: ModelDescription,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is still to be played.
    script: VecDeque<Vec<Token>>,
    /// What was asked, oldest first.
    requests: Vec<Request>,
    /// What a real engine would have in its cache.
    cached: Vec<Token>,
}

impl ScriptedEngine {
    /// An engine that answers its first request with the first of `generations`, and so on.
    pub fn new(generations: Vec<Vec<Token>>) -> Self {
        let description = ModelDescription {
            name: "scripted".into(),
            n_parameters: 0,
            n_bytes: 0,
            context_length: 131_072,
            notice: None,
        };
        Self { description, state: Mutex::new(State { script: generations.into(), ..State::default() }) }
    }

    /// The same with a context of so many tokens.
    pub fn with_context_length(mut self, n_tokens: usize) -> Self {
        self.description.context_length = n_tokens;
        self
    }

    /// Every request so far, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// How many generations have not been asked for yet.
    pub fn n_left(&self) -> usize {
        self.state().script.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[async_trait]
impl Engine for ScriptedEngine {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    /// Plays the next generation up to a stop token, `max_tokens`, the end of the context or cancellation. A generation
    /// that ends without a stop token finishes as [`Finish::Length`]. A script at its end is [`EngineError::Stopped`].
    async fn generate(
        &self,
        request: Request,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Generation, EngineError> {
        let limit = self.description.context_length;
        let n_prompt = request.tokens.len();
        let (script, n_reused) = {
            let mut state = self.state();
            state.requests.push(request.clone());
            if n_prompt > limit {
                return Err(EngineError::ContextFull { n_tokens: n_prompt, limit });
            }
            let script = state
                .script
                .pop_front()
                .ok_or_else(|| EngineError::Stopped("the script has no generation left for this request".into()))?;
            let n_common = state.cached.iter().zip(&request.tokens).take_while(|(old, new)| old == new).count();
            state.cached.clone_from(&request.tokens);
            // Like a real engine, which must run the last token again to have its logits.
            (script, n_common.min(n_prompt.saturating_sub(1)))
        };
        let total = n_prompt - n_reused;
        progress(Progress::Prefill { done: total, total });
        let n_max = request.max_tokens.min(limit - n_prompt);
        let mut tokens = Vec::new();
        let mut finish = Finish::Length;
        for token in script {
            // A real engine takes time between two tokens; this is where others run, and where cancellation is seen.
            tokio::task::yield_now().await;
            if request.cancel.is_cancelled() {
                finish = Finish::Cancelled;
                break;
            }
            if tokens.len() == n_max {
                break;
            }
            tokens.push(token);
            progress(Progress::Token(token));
            if request.stop.contains(&token) {
                finish = Finish::Stop;
                break;
            }
        }
        self.state().cached.extend(&tokens);
        Ok(Generation { tokens, finish, n_reused, n_forced: 0, logprobs: Vec::new() })
    }

    /// What is scripted is written, whatever the grammar.
    fn prepare(&self, _grammar: &Arc<TurnGrammar>) -> Result<(), GrammarError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::SamplingParams;
    use tokio_util::sync::CancellationToken;

    fn request(tokens: &[Token], max_tokens: usize) -> Request {
        Request {
            tokens: tokens.to_vec(),
            n_shared: 0,
            n_lasting: 0,
            stop: vec![99],
            forbidden: Vec::new(),
            max_tokens,
            sampling: SamplingParams::default(),
            top_logprobs: None,
            grammar: None,
            cancel: CancellationToken::new(),
        }
    }

    #[tokio::test]
    async fn plays_in_order_until_stop_or_limit_and_remembers_what_was_asked() {
        let engine = ScriptedEngine::new(vec![vec![1, 99, 2], vec![3, 4, 5], vec![6]]);
        let generation = |tokens: &[Token], finish, n_reused| Generation {
            tokens: tokens.to_vec(),
            finish,
            n_reused,
            n_forced: 0,
            logprobs: Vec::new(),
        };
        let cases = [
            (&[10, 11][..], 9, generation(&[1, 99], Finish::Stop, 0)),
            (&[10, 11, 1, 99, 12], 2, generation(&[3, 4], Finish::Length, 4)),
            (&[10, 11], 9, generation(&[6], Finish::Length, 1)),
        ];
        for (prompt, max_tokens, expected) in cases.clone() {
            let mut seen = Vec::new();
            let generation = engine.generate(request(prompt, max_tokens), &mut |step| seen.push(step)).await.unwrap();
            assert_eq!(generation, expected);
            let total = prompt.len() - expected.n_reused;
            let mut steps = vec![Progress::Prefill { done: total, total }];
            steps.extend(expected.tokens.into_iter().map(Progress::Token));
            assert_eq!(seen, steps);
        }
        let asked: Vec<_> = engine.requests().into_iter().map(|request| request.tokens).collect();
        assert_eq!(asked, cases.map(|case| case.0.to_vec()));
        assert_eq!(engine.n_left(), 0);
        let end = engine.generate(request(&[1], 1), &mut |_| {}).await.unwrap_err();
        assert!(matches!(&end, EngineError::Stopped(why) if why.contains("no generation left")), "{end}");
    }

    #[tokio::test]
    async fn stops_at_the_end_of_the_context() {
        let engine = ScriptedEngine::new(vec![vec![1, 2, 3]]).with_context_length(4);
        let full = engine.generate(request(&[0; 5], 9), &mut |_| {}).await.unwrap_err();
        assert!(matches!(full, EngineError::ContextFull { n_tokens: 5, limit: 4 }));
        let generation = engine.generate(request(&[0; 3], 9), &mut |_| {}).await.unwrap();
        assert_eq!((generation.tokens, generation.finish), (vec![1], Finish::Length));
    }

    #[tokio::test]
    async fn a_cancelled_request_keeps_what_came_before() {
        let engine = ScriptedEngine::new(vec![vec![1, 2, 3]]);
        let request = request(&[7], 9);
        let cancel = request.cancel.clone();
        let mut stop_after_two = |step| {
            if step == Progress::Token(2) {
                cancel.cancel();
            }
        };
        let generation = engine.generate(request, &mut stop_after_two).await.unwrap();
        assert_eq!((generation.tokens, generation.finish), (vec![1, 2], Finish::Cancelled));
    }
}
