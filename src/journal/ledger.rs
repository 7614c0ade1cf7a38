//! The ledger: what left the machine, what it was to cost and what it did cost, each line sealed by those before it.
//!
//! It keeps lines and proves that none was changed; what they say is JSON of [`super::record`] and [`super::tasks`]. Whoever can
//! write the whole file can write another history: the last line's seal, noted elsewhere, shows that too. Start at [`verify`].

use sha2::{Digest, Sha256};
use std::time::SystemTime;

/// What the first line's seal is made with.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counts from 1, without gaps.
    pub seq: u64,
    /// By the wall clock, to the millisecond.
    pub at: SystemTime,
    /// Whose it is.
    pub session: String,
    /// JSON.
    pub body: String,
    /// SHA-256 over the seal before it and all of this, in hexadecimal.
    pub seal: String,
}

/// A line that is not as it was written, or is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ledger was changed at line {0}: what stands there, or before it, is not what was written; lines before it are sound"
)]
pub struct Broken(pub u64);

/// The seal of a line that follows one with the seal `previous`.
pub(super) fn seal(previous: &str, seq: u64, at_ms: i64, session: &str, body: &str) -> String {
    // Each part is told from the next by its length, so that no two lines have the same bytes.
    let head = format!("{previous} {seq} {at_ms} {} {} ", session.len(), body.len());
    let digest = Sha256::new().chain_update(head).chain_update(session).chain_update(body).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether all lines are as they were written; the seal of the last.
pub fn verify(lines: &[Line]) -> Result<&str, Broken> {
    let mut previous = GENESIS;
    for (n, line) in (1..).zip(lines) {
        let at_ms = super::milliseconds(line.at);
        if line.seq != n || line.seal != seal(previous, n, at_ms, &line.session, &line.body) {
            return Err(Broken(n));
        }
        previous = &line.seal;
    }
    Ok(previous)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn lines(bodies: &[String]) -> Vec<Line> {
        let mut previous = GENESIS.to_owned();
        let line = |(n, body): (usize, &String)| {
            let (seq, at) = (n as u64 + 1, SystemTime::UNIX_EPOCH + Duration::from_millis(n as u64));
            previous = seal(&previous, seq, n as i64, "s", body);
            Line { seq, at, session: "s".into(), body: body.clone(), seal: previous.clone() }
        };
        bodies.iter().enumerate().map(line).collect()
    }

    proptest! {
        #[test]
        fn whatever_is_changed_is_found_where_it_was_changed(
            bodies in proptest::collection::vec("[a-z ]{0,8}", 1..8), at: prop::sample::Index, how in 0..5,
        ) {
            let sound = lines(&bodies);
            prop_assert_eq!(verify(&sound), Ok(sound[sound.len() - 1].seal.as_str()));
            let mut changed = sound.clone();
            let at = at.index(changed.len());
            match how {
                0 => changed[at].body.push('x'),
                1 => changed[at].session = "t".into(),
                2 => changed[at].at += Duration::from_millis(1),
                3 => changed[at].seal = GENESIS.into(),
                // The last line can go unseen by the others: its seal is what to note down.
                _ => drop(changed.remove(at)),
            }
            match verify(&changed) {
                Err(Broken(n)) => prop_assert_eq!(n, at as u64 + 1),
                Ok(_) => prop_assert!(how == 4 && at == bodies.len() - 1),
            }
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(seal(GENESIS, 1, 0, "ab", "c"), seal(GENESIS, 1, 0, "a", "bc"));
        assert_eq!(verify(&[]), Ok(GENESIS));
    }
}
