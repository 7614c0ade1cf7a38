//! Time: the wall's for dates that people and tools read, the monotonic one for limits and durations.

use jiff::tz::TimeZone;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

/// A source of time. Limits use [`Clock::elapsed`], which never goes back when the wall clock is set.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> SystemTime;
    /// Time since this clock was made; monotonic.
    fn elapsed(&self) -> Duration;
    /// The user's time zone.
    fn zone(&self) -> TimeZone;
}

/// The machine's clock.
pub struct SystemClock(Instant);

impl SystemClock {
    /// A clock whose [`Clock::elapsed`] starts at zero now.
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn zone(&self) -> TimeZone {
        TimeZone::system()
    }
}

/// A clock in UTC that stands at 2026-01-01T00:00:00Z until it is [advanced](Self::advance).
#[derive(Default)]
pub struct SimulatedClock(Mutex<Duration>);

/// 2026-01-01T00:00:00Z in seconds since the Unix epoch.
const SIMULATED_START: Duration = Duration::from_secs(1_767_225_600);

impl SimulatedClock {
    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) += by;
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + SIMULATED_START + self.elapsed()
    }

    fn elapsed(&self) -> Duration {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn zone(&self) -> TimeZone {
        TimeZone::UTC
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_clock_moves_only_when_told() {
        let clock = SimulatedClock::default();
        let before = clock.now();
        assert_eq!(clock.now(), before);
        clock.advance(Duration::from_secs(7));
        assert_eq!(clock.now().duration_since(before).unwrap(), Duration::from_secs(7));
        assert_eq!(clock.elapsed(), Duration::from_secs(7));
    }
}
