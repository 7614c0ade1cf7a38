//! How the server misbehaves: a list of faults, each for the next so many requests, perhaps of one path.
//!
//! A plan says nothing of requests that it does not name; those are answered well. Start at [`Planned`].

use serde::{Deserialize, Serialize};

/// A fault, and when it happens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Planned {
    /// `POST` ...; any, without it.
    #[serde(default)]
    pub method: Option<String>,
    /// Below the base, `/responses`; with `*` at its end, all that begin so; any, without it.
    #[serde(default)]
    pub path: Option<String>,
    /// For so many requests.
    #[serde(default = "once")]
    pub n: u32,
    /// What happens then.
    pub fault: Fault,
}

fn once() -> u32 {
    1
}

/// What can go wrong. In a plan: `"reset"`, or `{"cut_after_events": 3}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// 429, with these headers.
    RateLimit {
        /// `retry-after-ms`.
        #[serde(default)]
        ms: Option<u64>,
        /// `retry-after`: seconds, or a date.
        #[serde(default)]
        after: Option<String>,
    },
    /// 429 of another kind: nothing is left to spend.
    Quota,
    /// 500, in HTML.
    ServerError,
    /// 503, as the API says it.
    Unavailable,
    /// Any status, headers and body.
    Status {
        /// HTTP's.
        status: u16,
        /// Names and values.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// As it is.
        #[serde(default)]
        body: String,
    },
    /// The connection closes, and nothing was done.
    Reset,
    /// All is done and charged, and the connection closes without an answer.
    ResetAfterBilling,
    /// Nothing is done, and nothing ever comes.
    Silence,
    /// The answer breaks off after so many bytes.
    CutAfterBytes(usize),
    /// A stream breaks off after so many events.
    CutAfterEvents(usize),
    /// A stream falls silent after so many events.
    StallAfterEvents(usize),
    /// The answer comes byte by byte, with so many milliseconds between.
    SlowBytes(u64),
    /// Numbers where text is promised, and text where numbers are.
    WrongTypes,
    /// Events that nobody has heard of, in between.
    UnknownEvents,
    /// The answer is followed by so many bytes more.
    HugeBody(usize),
    /// The model refuses.
    Refusal,
    /// 400: the prompt is against the content policy.
    ContentPolicy,
    /// The response fails, with this code.
    Fail(String),
    /// The model says this.
    Say(String),
}

impl Planned {
    pub fn is_of(&self, method: &str, path: &str) -> bool {
        let is_path = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == pattern,
        };
        self.n > 0 && self.method.as_ref().is_none_or(|own| own == method) && self.path.as_ref().is_none_or(is_path)
    }
}
