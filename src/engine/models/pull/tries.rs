//! What passes by itself, told from what stays so, and how often it is waited for.
//!
//! It knows nothing of hubs: who tries says which of the two it was. Start at [`Failed`], which [`Tries`] counts.

use super::PullError;
use crate::world::Clock;
use std::time::Duration;

/// Tries without getting on, the pause after the first of them, which doubles, and the longest that a hub may ask for.
const N_TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why one try did not succeed.
pub(super) enum Failed {
    /// The next one may: why, and how long the hub wants to be left alone.
    Passing(String, Option<Duration>),
    /// It stays so.
    Lasting(PullError),
}

impl From<PullError> for Failed {
    fn from(error: PullError) -> Self {
        Self::Lasting(error)
    }
}

/// Tries that got nowhere, counted; those that got on do not count.
#[derive(Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// There is more now than there was ever before.
    pub(super) fn got_on(&mut self) {
        self.0 = 0;
    }

    /// How long to wait before the next try, and why; an error when it was the last.
    pub(super) fn next(&mut self, what: &str, failed: Failed) -> Result<(Duration, String), PullError> {
        self.0 += 1;
        match failed {
            Failed::Lasting(error) => Err(error),
            Failed::Passing(cause, _) if self.0 >= N_TRIES => {
                Err(PullError::BrokeOff { what: what.to_owned(), n_tries: self.0, cause })
            }
            Failed::Passing(cause, wait) => {
                let pause = FIRST_PAUSE * 2u32.saturating_pow(self.0 - 1);
                Ok((wait.unwrap_or_default().max(pause).min(LONGEST_PAUSE), cause))
            }
        }
    }

    /// Waits for the next try; an error when the last one was the last.
    pub(super) async fn pause(&mut self, clock: &dyn Clock, what: &str, failed: Failed) -> Result<(), PullError> {
        let (pause, cause) = self.next(what, failed)?;
        tracing::debug!(what, cause, ?pause, "tried again");
        clock.sleep(pause).await;
        Ok(())
    }
}

/// Less came than was to come.
pub(super) fn short(came: u64, expected: u64) -> Failed {
    Failed::Passing(format!("it ended after {came} of {expected} bytes"), None)
}
