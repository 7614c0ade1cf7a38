//! Time: the wall's for dates that people and tools read, the monotonic one for limits and durations.

use async_trait::async_trait;
use jiff::tz::TimeZone;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// A source of time. Limits use [`Clock::elapsed`], which never goes back when the wall clock is set.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> SystemTime;
    /// Time since this clock was made; monotonic.
    fn elapsed(&self) -> Duration;
    /// Waits until [`Clock::elapsed`] has grown by so much.
    async fn sleep(&self, time: Duration);
    /// The user's time zone.
    fn zone(&self) -> TimeZone;
    /// The date where the user is: `YYYY-MM-DD`.
    fn today(&self) -> String {
        let now = jiff::Timestamp::try_from(self.now()).unwrap_or_default();
        self.zone().to_datetime(now).date().to_string()
    }
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

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn zone(&self) -> TimeZone {
        TimeZone::system()
    }
}

/// A clock in UTC that stands at 2026-01-01T00:00:00Z until it is [advanced](Self::advance).
#[derive(Default)]
pub struct SimulatedClock(watch::Sender<Duration>);

/// 2026-01-01T00:00:00Z in seconds since the Unix epoch.
const SIMULATED_START: Duration = Duration::from_secs(1_767_225_600);

impl SimulatedClock {
    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|elapsed| *elapsed += by);
    }
}

#[async_trait]
impl Clock for SimulatedClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + SIMULATED_START + self.elapsed()
    }

    fn elapsed(&self) -> Duration {
        *self.0.borrow()
    }

    async fn sleep(&self, time: Duration) {
        let mut watch = self.0.subscribe();
        let end = self.elapsed() + time;
        // The sender lives as long as `self`, so the wait ends only as it should.
        let _ = watch.wait_for(|elapsed| *elapsed >= end).await;
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

    #[tokio::test]
    async fn a_sleep_ends_when_the_clock_is_there() {
        let clock = std::sync::Arc::new(SimulatedClock::default());
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(3600)).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(3599));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
    }
}
