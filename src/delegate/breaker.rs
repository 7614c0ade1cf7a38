//! Whether it is worth trying: after a server was not there, it is left alone for a while, and for longer each time.
//!
//! It sends nothing and knows no clock; it is told what happened, and when. Start at [`Breaker::is_closed`].

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long it is left alone after the first time, and at most.
const FIRST: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_secs(600);

/// A server's circuit. Times are those of a clock that never goes back.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    n_failures: u32,
    /// Until when it is left alone.
    opened_until: Option<Duration>,
}

impl Breaker {
    /// Whether it may be tried: always, but for a while after it was not there.
    pub fn is_closed(&self, now: Duration) -> bool {
        self.state().opened_until.is_none_or(|until| now >= until)
    }

    /// It was there: an error is an answer too.
    pub fn there(&self) {
        *self.state() = State::default();
    }

    /// There was no way to it.
    pub fn not_there(&self, now: Duration) {
        let mut state = self.state();
        let pause = FIRST.saturating_mul(1 << state.n_failures.min(10)).min(LONGEST);
        state.n_failures = state.n_failures.saturating_add(1);
        state.opened_until = Some(now + pause);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_left_alone_for_longer_each_time() {
        let at = Duration::from_secs;
        let breaker = Breaker::default();
        assert!(breaker.is_closed(at(0)));
        let mut now = at(100);
        for pause in [15, 30, 60, 120, 240, 480, 600, 600] {
            breaker.not_there(now);
            assert!(!breaker.is_closed(now) && !breaker.is_closed(now + at(pause) - at(1)), "{pause}");
            now += at(pause);
            assert!(breaker.is_closed(now), "{pause}");
        }
        breaker.there();
        breaker.not_there(now);
        assert!(breaker.is_closed(now + at(15)), "it begins anew");
        (0..100).for_each(|_| breaker.not_there(now));
        assert!(breaker.is_closed(now + at(600)));
    }
}
