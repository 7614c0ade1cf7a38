//! What makes a guest's loops end: a thread that advances the engine's epoch while calls run, and sleeps when none do.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::Duration;
use wasmtime::Engine;

/// How long a guest runs before it lets others run and its time limit is looked at.
const TICK: Duration = Duration::from_millis(10);

/// Ticks while there is a [`Ticking`].
pub(super) struct Ticker(Arc<Shared>);

#[derive(Default)]
struct Shared {
    n_calls: Mutex<usize>,
    begun: Condvar,
}

impl Shared {
    fn n_calls(&self) -> MutexGuard<'_, usize> {
        self.n_calls.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Ticker {
    pub(super) fn new(engine: &Engine) -> Self {
        let shared = Arc::new(Shared::default());
        let (watched, engine) = (Arc::downgrade(&shared), engine.clone());
        std::thread::spawn(move || tick(&watched, &engine));
        Self(shared)
    }

    /// The engine's epoch advances while the value lives.
    pub(super) fn start(&self) -> Ticking {
        *self.0.n_calls() += 1;
        self.0.begun.notify_one();
        Ticking(self.0.clone())
    }
}

fn tick(watched: &Weak<Shared>, engine: &Engine) {
    // With the host, the shared state goes, and the thread with it.
    while let Some(shared) = watched.upgrade() {
        let waited = shared.begun.wait_timeout_while(shared.n_calls(), Duration::from_secs(1), |n_calls| *n_calls == 0);
        let idle = waited.map_or(true, |(_, result)| result.timed_out());
        drop(shared);
        if !idle {
            std::thread::sleep(TICK);
            engine.increment_epoch();
        }
    }
}

pub(super) struct Ticking(Arc<Shared>);

impl Drop for Ticking {
    fn drop(&mut self) {
        *self.0.n_calls() -= 1;
    }
}
