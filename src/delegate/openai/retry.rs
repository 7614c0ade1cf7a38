//! The one loop that tries again, and the rule by which it does: a paid request is repeated only when it was provably
//! not processed.
//!
//! What it is not: a queue; it gives up within minutes. Start at [`verdict`], which is the rule, then
//! [`OpenAi::answered`], the loop.

use super::error::{Answered, OpenAiError};
use super::transport::{Body, Call, Failure};
use super::{Limits, OpenAi};
use crate::egress::EgressError;
use crate::policy::Grant;
use std::time::{Duration, SystemTime};

/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause of our own.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// The longest pause that a server may ask for; past it the call fails and says so.
const LONGEST_ASKED: Duration = Duration::from_secs(120);

/// Whether a request may be sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It costs nothing and changes nothing that matters.
    Safe,
    /// Done twice it is paid twice.
    Paid,
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be sent again.
    Again,
    /// It may have been done: only a look can tell.
    Unknown,
    /// Again would be no better.
    Final,
}

/// The rule.
pub(super) fn verdict(failure: &Failure, repeat: Repeat) -> Verdict {
    let unless_paid = match repeat {
        Repeat::Safe => Verdict::Again,
        Repeat::Paid => Verdict::Unknown,
    };
    match failure {
        // Without a connection nothing can have been processed.
        Failure::NotSent(EgressError::NotConnected { .. }) => Verdict::Again,
        // Denied by policy, or not written down: not a matter of time.
        Failure::NotSent(_) | Failure::NoKey(_) => Verdict::Final,
        Failure::Lost(_) => unless_paid,
        // It was answered, and would be so again; but what a paid call gave is lost with it.
        Failure::TooLong(_) | Failure::Malformed(_) => Verdict::Final,
        Failure::Status(answered) => by_status(answered, unless_paid),
    }
}

fn by_status(answered: &Answered, unless_paid: Verdict) -> Verdict {
    // Only a word of the API's own says what it did; a gateway's HTML says nothing.
    let if_said = if answered.problem.is_some() { Verdict::Again } else { unless_paid };
    let is_told = |word: &str| answered.header("x-should-retry") == Some(word);
    let verdict = match answered.status {
        // No money: tomorrow, perhaps.
        _ if answered.is("insufficient_quota") => return Verdict::Final,
        // Turned away at the door.
        429 => Verdict::Again,
        // It did not get the whole request, waits for another one to end, or is too busy to begin.
        408 | 409 | 503 => if_said,
        // It broke while working, or a gateway lost sight of it: it may have gone on.
        500..=599 => unless_paid,
        _ => Verdict::Final,
    };
    match verdict {
        // A server that knows that again is pointless is believed ...
        Verdict::Again if is_told("false") => Verdict::Final,
        // ... and one that wishes for it where it costs nothing.
        Verdict::Final if is_told("true") && unless_paid == Verdict::Again => Verdict::Again,
        verdict => verdict,
    }
}

/// How long the answer asks to wait: milliseconds, seconds, or until a date.
pub(super) fn asked_pause(answered: &Answered, now: SystemTime) -> Option<Duration> {
    let number = |name: &str| answered.header(name).and_then(|text| text.trim().parse::<f64>().ok());
    let span = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
    if let Some(pause) = number("retry-after-ms").and_then(|ms| span(ms / 1000.0)) {
        return Some(pause);
    }
    if let Some(pause) = number("retry-after").and_then(span) {
        return Some(pause);
    }
    let date = jiff::fmt::rfc2822::parse(answered.header("retry-after")?).ok()?;
    let now = jiff::Timestamp::try_from(now).ok()?;
    Some(Duration::try_from(date.timestamp().duration_since(now)).unwrap_or(Duration::ZERO))
}

/// The pause before the next attempt, when the server asks for none; `random` is uniform.
pub(super) fn own_pause(n_attempts: u32, random: u64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(n_attempts.saturating_sub(1)));
    // A quarter of it is left to chance, so that many clients do not come back at once.
    let part = 0.75 + 0.25 * (random as f64 / u64::MAX as f64);
    doubled.min(LONGEST_PAUSE).mul_f64(part)
}

impl OpenAi {
    /// The answer to a call, after as many attempts as it may have.
    pub(super) async fn answered(&self, call: &Call<'_>, grant: &Grant) -> Result<Body, OpenAiError> {
        let Limits { n_attempts: most, retry_time, .. } = self.limits();
        let clock = &self.0.world.clock;
        let began = clock.elapsed();
        let mut n_attempts = 0;
        loop {
            n_attempts += 1;
            let failure = match self.attempt(call, grant).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            let asked = match &failure {
                Failure::Status(answered) => asked_pause(answered, clock.now()),
                _ => None,
            };
            let verdict = verdict(&failure, call.repeat);
            let pause = asked.unwrap_or_else(|| own_pause(n_attempts, self.0.world.random.next_u64()));
            let is_late = clock.elapsed().saturating_sub(began) + pause > retry_time;
            if verdict != Verdict::Again || n_attempts >= most || pause > LONGEST_ASKED || is_late {
                return Err(self.error(call.name, failure, verdict, n_attempts, asked));
            }
            tracing::debug!(call = call.name, n_attempts, ?pause, "tried again");
            clock.sleep(pause).await;
        }
    }

    /// A failure in the caller's terms.
    pub(super) fn error(
        &self,
        call: &'static str,
        failure: Failure,
        verdict: Verdict,
        n_attempts: u32,
        after: Option<Duration>,
    ) -> OpenAiError {
        if verdict == Verdict::Unknown {
            return OpenAiError::Unknown { call, cause: failure.to_string() };
        }
        match failure {
            Failure::NotSent(error) => OpenAiError::NotSent(error),
            Failure::NoKey(why) => OpenAiError::NoKey { why },
            Failure::Lost(cause) => OpenAiError::Lost { call, cause },
            Failure::TooLong(limit) => OpenAiError::TooLong { limit },
            Failure::Malformed(what) => OpenAiError::Malformed { what },
            Failure::Status(answered) => answered.error(call, &self.0.key.source, n_attempts, after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, headers: &[(&str, &str)], body: &str) -> Failure {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Failure::Status(Box::new(Answered::new(status, headers.collect(), body.as_bytes())))
    }

    const SAID: &str = r#"{"error":{"code":"c","type":"t","message":"m"}}"#;
    const QUOTA: &str = r#"{"error":{"code":"insufficient_quota"}}"#;
    const HTML: &str = "<html>";
    const AGAIN: &[(&str, &str)] = &[("x-should-retry", "true")];
    const NOT: &[(&str, &str)] = &[("x-should-retry", "false")];

    /// Each line: what happened, what that means for what is free and for what is paid, and why.
    #[test]
    fn a_paid_request_is_sent_again_only_when_it_was_not_processed() {
        use Verdict::{Again, Final, Unknown};
        let host = || "h".to_owned();
        let not_connected = EgressError::NotConnected { host: host(), cause: "refused".into() };
        for (failure, safe, paid, why) in [
            (Failure::NotSent(not_connected), Again, Again, "no connection, so no request"),
            (Failure::NotSent(EgressError::Refused("policy".into())), Final, Final, "policy will say the same"),
            (Failure::NotSent(EgressError::Malformed("header".into())), Final, Final, "it will be as wrong again"),
            (Failure::Lost("reset".into()), Again, Unknown, "what was sent may have arrived"),
            (Failure::Lost("silence".into()), Again, Unknown, "it may be working still"),
            (Failure::Lost("cut".into()), Again, Unknown, "it was answering, so it was done"),
            (Failure::TooLong(9), Final, Final, "it would be as long again"),
            (Failure::Malformed("x".into()), Final, Final, "it would be as strange again"),
            (status(429, &[], SAID), Again, Again, "turned away before anything was done"),
            (status(429, &[], HTML), Again, Again, "by whoever stands at the door"),
            (status(429, &[], QUOTA), Final, Final, "waiting brings no money"),
            (status(429, AGAIN, QUOTA), Final, Final, "whatever else it says"),
            (status(429, NOT, SAID), Final, Final, "the server knows"),
            (status(408, &[], SAID), Again, Again, "the request did not arrive whole"),
            (status(408, &[], HTML), Again, Unknown, "a gateway may have waited for the answer"),
            (status(409, &[], SAID), Again, Again, "another request holds the lock"),
            (status(409, &[], ""), Again, Unknown, "who says so is not known"),
            (status(503, &[], SAID), Again, Again, "overloaded, said by the API itself"),
            (status(503, &[], HTML), Again, Unknown, "a gateway does not know what the API did"),
            (status(500, &[], SAID), Again, Unknown, "it broke while working"),
            (status(500, AGAIN, SAID), Again, Unknown, "that it may be repeated does not say what was charged"),
            (status(500, NOT, SAID), Final, Unknown, "no sense in repeating, and still not known"),
            (status(503, NOT, SAID), Final, Final, "it was not begun, and will not be"),
            (status(502, &[], HTML), Again, Unknown, "the gateway lost the API"),
            (status(504, &[], HTML), Again, Unknown, "the gateway did not wait; the API may have gone on"),
            (status(400, &[], SAID), Final, Final, "wrong is wrong"),
            (status(400, AGAIN, SAID), Again, Final, "believed where it costs nothing"),
            (status(401, &[], SAID), Final, Final, "the key will be as wrong again"),
            (status(404, &[], SAID), Final, Final, "it will be as absent again"),
            (status(302, &[], ""), Final, Final, "a redirect is not followed: it would take the key along"),
        ] {
            assert_eq!(verdict(&failure, Repeat::Safe), safe, "free: {failure}: {why}");
            assert_eq!(verdict(&failure, Repeat::Paid), paid, "paid: {failure}: {why}");
        }
    }

    #[test]
    fn pauses_double_to_a_limit_and_leave_a_quarter_to_chance() {
        for (n, least, most) in [(1, 375, 500), (2, 750, 1000), (3, 1500, 2000), (5, 6000, 8000), (90, 6000, 8000)] {
            assert_eq!(own_pause(n, 0), Duration::from_millis(least));
            assert_eq!(own_pause(n, u64::MAX), Duration::from_millis(most));
        }
    }

    #[test]
    fn a_pause_that_is_asked_for_is_read_in_all_its_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        for (name, value, expect) in [
            ("retry-after-ms", "250", Some(250)),
            ("retry-after-ms", "1.5", Some(1)),
            ("retry-after", "2", Some(2000)),
            ("retry-after", "0.5", Some(500)),
            ("retry-after", "Thu, 01 Jan 2026 00:00:30 GMT", Some(30_000)),
            ("retry-after", "Wed, 01 Jan 2020 00:00:30 GMT", Some(0)),
            ("retry-after", "soon", None),
            ("retry-after", "-1", None),
            ("retry-after", "NaN", None),
            ("retry-after", "1e300", None),
            ("retry-after", "", None),
        ] {
            let Failure::Status(answered) = status(429, &[(name, value)], SAID) else { unreachable!() };
            let pause = asked_pause(&answered, now).map(|pause| pause.as_millis());
            assert_eq!(pause, expect, "{name}: {value}");
        }
    }
}
