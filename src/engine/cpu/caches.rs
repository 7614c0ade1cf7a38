//! The caches of several conversations: which one a request goes on with.
//!
//! What it is not: it reads no token. A request that shares only its beginning with a conversation gets a copy of that, so
//! that the conversation can go on as well. Start at [`Caches::choose`].

use super::config::ModelConfig;
use super::kv_cache::{CacheFormat, KvCache};
use crate::harmony::Token;

/// Conversations that are kept in memory.
pub(super) struct Caches {
    caches: Vec<KvCache>, // the last used last
    most: usize,
    config: ModelConfig,
    capacity: usize,
    format: CacheFormat,
}

impl Caches {
    /// At most `most` of so many positions each; there is always one.
    pub(super) fn new(config: &ModelConfig, capacity: usize, format: CacheFormat, most: usize) -> Self {
        let first = KvCache::new(config, capacity, format);
        Self { caches: vec![first], most: most.max(1), config: config.clone(), capacity, format }
    }

    /// All, the last used last.
    pub(super) fn all(&self) -> &[KvCache] {
        &self.caches
    }

    /// The cache to go on with, which holds as many of the `tokens` as are known, at most `longest`; and how many. What
    /// will be forgotten is given to `leaving` first.
    pub(super) fn choose(
        &mut self,
        tokens: &[Token],
        longest: usize,
        leaving: &mut dyn FnMut(&KvCache),
    ) -> (&mut KvCache, usize) {
        let usable = self.caches.iter().map(|cache| cache.n_usable(tokens, longest));
        let (best, n) = usable.enumerate().max_by_key(|(idx, n)| (*n, *idx)).expect("there is always one");
        // What a turn has thought is dropped after its end: whoever shares all before that goes on with the conversation.
        if n >= self.caches[best].lasting() {
            let cache = self.caches.remove(best);
            self.caches.push(cache);
        } else if self.caches.len() < self.most {
            let mut cache = KvCache::new(&self.config, self.capacity, self.format);
            cache.copy_from(&self.caches[best], n);
            self.caches.push(cache);
        } else {
            let oldest = usize::from(best == 0 && self.caches.len() > 1);
            leaving(&self.caches[oldest]);
            let mut cache = self.caches.remove(oldest);
            if oldest != best {
                cache.copy_from(&self.caches[best - usize::from(oldest < best)], n);
            }
            self.caches.push(cache);
        }
        let cache = self.caches.last_mut().expect("one was just put there");
        let n = cache.keep_common_prefix(tokens, longest);
        (cache, n)
    }
}
