//! What makes a guest's loops end: a thread that advances the engine's epoch while calls run, and sleeps when none do.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use std::thread::{self, Thread};
use std::time::Duration;
use wasmtime::Engine;

/// How long a guest runs before it lets others run and its time limit is looked at.
const TICK: Duration = Duration::from_millis(10);

/// Ticks while there is a [`Ticking`].
pub(super) struct Ticker {
    n_calls: Arc<AtomicUsize>,
    thread: Thread,
}

impl Ticker {
    pub(super) fn new(engine: &Engine) -> Self {
        let n_calls = Arc::new(AtomicUsize::new(0));
        let (watched, engine) = (Arc::downgrade(&n_calls), engine.clone());
        let thread = thread::spawn(move || tick(&watched, &engine)).thread().clone();
        Self { n_calls, thread }
    }

    /// The engine's epoch advances while the value lives.
    pub(super) fn start(&self) -> Ticking {
        if self.n_calls.fetch_add(1, SeqCst) == 0 {
            self.thread.unpark();
        }
        Ticking(self.n_calls.clone())
    }
}

fn tick(n_calls: &Weak<AtomicUsize>, engine: &Engine) {
    // With the host, the count goes, and the thread with it.
    while let Some(n_calls) = n_calls.upgrade() {
        let is_idle = n_calls.load(SeqCst) == 0;
        drop(n_calls);
        if is_idle {
            // A call that has begun meanwhile wakes it at once; the limit is for a host that is gone.
            thread::park_timeout(Duration::from_secs(1));
        } else {
            thread::sleep(TICK);
            engine.increment_epoch();
        }
    }
}

pub(super) struct Ticking(Arc<AtomicUsize>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
