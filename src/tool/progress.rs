//! What a running call tells whoever waits for it.
//!
//! Only what is known before the result, or even without one; the result is the call's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

type Listener = Box<dyn Fn(&str) + Send + Sync>;

/// Shared by the two sides of a call, by cloning.
#[derive(Clone, Default)]
pub struct Progress(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// The most linear memory at once, in bytes; 0 when nobody measured it.
    memory: AtomicU64,
    listener: Option<Listener>,
}

impl Progress {
    /// One whose words go to `listener` as they come.
    pub fn to(listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { memory: AtomicU64::new(0), listener: Some(Box::new(listener)) }))
    }

    /// Says how far the call is, in a few words.
    pub fn say(&self, words: &str) {
        if let Some(listener) = &self.0.listener {
            listener(words);
        }
    }

    /// The call uses so much memory, in bytes.
    pub fn uses_memory(&self, n_bytes: u64) {
        self.0.memory.fetch_max(n_bytes, Ordering::Relaxed);
    }

    /// The most memory that it used at once, in bytes, if that was measured.
    pub fn memory_peak(&self) -> Option<u64> {
        Some(self.0.memory.load(Ordering::Relaxed)).filter(|n_bytes| *n_bytes > 0)
    }
}
