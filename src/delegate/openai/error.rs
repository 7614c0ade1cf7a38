//! Why a call gave nothing: each kind that a caller treats differently, in words that say what to do.
//!
//! What it is not: the decision to try again; `retry` makes it. A model's refusal in an answer is no error but a
//! [`Completion`](super::Completion). Start at [`OpenAiError`].

use super::ask::StepError;
use super::response::Problem;
use crate::egress::EgressError;
use serde::Deserialize;
use std::time::Duration;

/// Of what a server says, as much is shown. In characters.
const MAX_SAID: usize = 300;

/// The codes and types by which the API says that a request is against its policy.
const POLICY: &[&str] = &[
    "content_policy_violation",
    "moderation_blocked",
    "content_filter",
    "safety_violation",
    "image_content_policy_violation",
];

/// Why a call gave nothing. `Display` is fit for a person to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenAiError {
    /// It did not leave the machine, and nothing was paid.
    #[error(transparent)]
    NotSent(EgressError),
    /// Nothing usable came back from a call that costs nothing.
    #[error("{call}: nothing usable came back ({cause}); try again later")]
    Lost {
        /// What was asked for.
        call: &'static str,
        /// What happened.
        cause: String,
    },
    /// A paid call may have been done, and charged.
    #[error(
        "{call}: whether it was done and charged is not known ({cause}); it is not sent again before that was looked up"
    )]
    Unknown {
        /// What was asked for.
        call: &'static str,
        /// What happened.
        cause: String,
    },
    /// The key cannot be had; nothing was sent.
    #[error("{why}")]
    NoKey {
        /// Why not, and from where.
        why: String,
    },
    /// The key is missing, wrong, or not for this.
    #[error(
        "the service does not accept the key from {origin} (HTTP {status}); \
             make one at https://platform.openai.com/api-keys and put it there"
    )]
    Key {
        /// Where the key comes from.
        origin: String,
        /// HTTP's.
        status: u16,
    },
    /// There is no money left.
    #[error(
        "the account has nothing left to spend ({said}); \
             see https://platform.openai.com/settings/organization/billing"
    )]
    Quota {
        /// In the service's words.
        said: String,
    },
    /// Too much was asked for at once, and waiting did not help.
    #[error("the service asks for a pause{}; it was tried {n_attempts} times ({said})", pause(.after))]
    RateLimited {
        /// How long to wait, if it says so.
        after: Option<Duration>,
        /// Attempts that were made.
        n_attempts: u32,
        /// In the service's words.
        said: String,
    },
    /// The request is against the service's policy: a final answer.
    #[error("the service declines this request by its content policy ({said}); asking again will not help")]
    Policy {
        /// In the service's words.
        said: String,
    },
    /// The model is not there for this account.
    #[error("{said} Choose another one: `ossicle cloud models` lists those that there are.")]
    NoSuchModel {
        /// In the service's words.
        said: String,
    },
    /// What an id names is not there.
    #[error("{call}: there is no such thing ({said}); it may have been deleted, or belong to another project")]
    NotFound {
        /// What was asked for.
        call: &'static str,
        /// In the service's words.
        said: String,
    },
    /// The request is wrong.
    #[error("{call}: the service refuses the request (HTTP {status}{}): {said}", blamed(.param))]
    Rejected {
        /// What was asked for.
        call: &'static str,
        /// HTTP's.
        status: u16,
        /// What kind of wrong.
        code: Option<String>,
        /// What is to blame.
        param: Option<String>,
        /// In the service's words.
        said: String,
    },
    /// The service cannot serve, and waiting did not help.
    #[error("the service is not available (HTTP {status}: {said}); it was tried {n_attempts} times, try again later")]
    Unavailable {
        /// HTTP's.
        status: u16,
        /// Attempts that were made.
        n_attempts: u32,
        /// In the service's words.
        said: String,
    },
    /// The response was begun and came to nothing.
    #[error("the response failed ({code}): {said}")]
    Failed {
        /// The API's.
        code: String,
        /// In the service's words.
        said: String,
    },
    /// What came is not what the API promises.
    #[error("what came is not what the API promises: {what}; is the base URL right, and does it speak the API?")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// The answer is longer than it may be.
    #[error("the answer has more than {limit} bytes, which is more than is taken; ask for less")]
    TooLong {
        /// In bytes.
        limit: usize,
    },
    /// A step could not be written down, so the next was not taken.
    #[error(transparent)]
    Step(#[from] StepError),
}

fn pause(after: &Option<Duration>) -> String {
    after.map(|time| format!(" of {} s", time.as_secs_f64().ceil())).unwrap_or_default()
}

fn blamed(param: &Option<String>) -> String {
    param.as_ref().map(|param| format!(", for `{param}`")).unwrap_or_default()
}

impl OpenAiError {
    /// Whether a paid call that ended so may have cost something: then it is looked up, not repeated.
    pub fn may_be_paid(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. } | Self::Malformed { .. } | Self::TooLong { .. } | Self::Failed { .. } | Self::Step(_)
        )
    }

    /// The same of a call that costs nothing: what came back from it is of no use, and nothing was paid.
    pub(super) fn free(self) -> Self {
        match self {
            error if error.may_be_paid() => Self::Lost { call: "before the question", cause: error.to_string() },
            error => error,
        }
    }

    fn policy(problem: &Problem) -> Self {
        Self::Policy { said: said(problem) }
    }

    fn failed(problem: &Problem) -> Self {
        let code = problem.code.as_deref().or(problem.kind.as_deref()).unwrap_or("without a code");
        Self::Failed { code: shown(code), said: said(problem) }
    }

    pub(super) fn failed_or_policy(problem: &Problem) -> Self {
        if is_policy(problem) { Self::policy(problem) } else { Self::failed(problem) }
    }
}

/// An answer that is an error, read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// `None` where the body is not the API's: HTML of some gateway, or nothing.
    pub problem: Option<Problem>,
    /// The body's beginning, where it is not the API's.
    pub otherwise: String,
}

impl Answered {
    pub(super) fn new(status: u16, headers: Vec<(String, String)>, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Whole {
            error: Problem,
        }
        let problem = serde_json::from_slice::<Whole>(body).ok().map(|whole| whole.error);
        let otherwise = match problem {
            Some(_) => String::new(),
            None => shown(&String::from_utf8_lossy(&body[..body.len().min(4 * MAX_SAID)])),
        };
        Self { status, headers, problem, otherwise }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Whether the problem has this code or type.
    pub(super) fn is(&self, word: &str) -> bool {
        let words = self.problem.iter().flat_map(|problem| [problem.code.as_deref(), problem.kind.as_deref()]);
        words.flatten().any(|own| own == word)
    }

    /// The error that it is, in the end.
    pub(super) fn error(
        &self,
        call: &'static str,
        origin: &str,
        n_attempts: u32,
        after: Option<Duration>,
    ) -> OpenAiError {
        let problem = self.problem.clone().unwrap_or_default();
        let said = match &self.problem {
            Some(problem) => said(problem),
            None if self.otherwise.is_empty() => "it says nothing".into(),
            None => self.otherwise.clone(),
        };
        match self.status {
            _ if is_policy(&problem) => OpenAiError::Policy { said },
            _ if self.is("insufficient_quota") => OpenAiError::Quota { said },
            401 | 403 => OpenAiError::Key { origin: origin.to_owned(), status: self.status },
            404 if self.is("model_not_found") => OpenAiError::NoSuchModel { said },
            404 => OpenAiError::NotFound { call, said },
            429 => OpenAiError::RateLimited { after, n_attempts, said },
            status @ (400..=499) => {
                let code = problem.code.as_deref().map(shown);
                OpenAiError::Rejected { call, status, code, param: problem.param.as_deref().map(shown), said }
            }
            status @ 300..=399 => {
                let location = self.header("location").map_or("it does not say where".to_owned(), shown);
                OpenAiError::Malformed { what: format!("the service is elsewhere (HTTP {status}, {location})") }
            }
            status => OpenAiError::Unavailable { status, n_attempts, said },
        }
    }
}

/// Whether a problem is one with the service's policy.
fn is_policy(problem: &Problem) -> bool {
    [&problem.code, &problem.kind].into_iter().flatten().any(|word| POLICY.contains(&word.as_str()))
}

fn said(problem: &Problem) -> String {
    match problem.message.as_deref().map(shown) {
        Some(message) if !message.is_empty() => message,
        _ => problem.code.as_deref().map_or("it says nothing".to_owned(), shown),
    }
}

/// The beginning of a server's words, without what would steer a terminal.
pub(super) fn shown(text: &str) -> String {
    let plain = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    let line = plain.collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_SAID).collect()
}

pub(super) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

/// How much may be asked for, as the last answer said it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests.
    pub requests: Allowance,
    /// Tokens.
    pub tokens: Allowance,
}

/// An allowance; `None` where nothing was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// In a period.
    pub limit: Option<u64>,
    /// Of it.
    pub remaining: Option<u64>,
    /// Until all of it is there again.
    pub reset: Option<Duration>,
}

impl RateLimits {
    pub(super) fn of(headers: &[(String, String)]) -> Self {
        let allowance = |what: &str| {
            let value = |part: &str| header(headers, &format!("x-ratelimit-{part}-{what}"));
            let number = |part: &str| value(part).and_then(|text| text.parse().ok());
            Allowance { limit: number("limit"), remaining: number("remaining"), reset: value("reset").and_then(span) }
        };
        Self { requests: allowance("requests"), tokens: allowance("tokens") }
    }
}

/// Reads `6m0s`, `1.5s`, `120ms`.
fn span(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let n_digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(n_digits);
        let n_letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(n_letters);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_and_say_what_to_do() {
        let json = |kind: &str, code: &str| {
            format!(r#"{{"error":{{"type":"{kind}","code":"{code}","param":null,"message":"M"}}}}"#)
        };
        for (status, body, words) in [
            (401, json("invalid_request_error", "invalid_api_key"), "from the variable K"),
            (403, String::new(), "api-keys"),
            (429, json("insufficient_quota", "insufficient_quota"), "billing"),
            (429, json("requests", "rate_limit_exceeded"), "pause of 2 s"),
            (404, json("invalid_request_error", "model_not_found"), "`ossicle cloud models`"),
            (404, json("invalid_request_error", ""), "deleted"),
            (400, json("image_generation_user_error", "content_policy_violation"), "will not help"),
            (400, json("invalid_request_error", "invalid_value"), "refuses the request (HTTP 400)"),
            (400, "<html>\u{1b}[31m\n<b>Bad</b></html>".into(), "<html> [31m <b>Bad</b></html>"),
            (500, "<html>oops</html>".into(), "<html>oops</html>"),
            (503, String::new(), "it says nothing"),
            (302, String::new(), "base URL"),
            (999, "{\"error\":7}".into(), "not available"),
        ] {
            let answered = Answered::new(status, Vec::new(), body.as_bytes());
            let error = answered.error("the call", "the variable K", 3, Some(Duration::from_millis(1500)));
            assert!(error.to_string().contains(words), "{status} {body}: {error}");
        }
    }

    #[test]
    fn a_long_complaint_is_cut_and_blame_is_named() {
        let long = Answered::new(500, Vec::new(), "é".repeat(1 << 20).as_bytes());
        assert!(long.error("x", "y", 1, None).to_string().chars().count() < 500);
        let body = br#"{"error":{"message":"No.","param":"size","code":"invalid_value","type":"t","more":{}}}"#;
        let error = Answered::new(400, Vec::new(), body).error("the image", "y", 1, None);
        assert_eq!(error.to_string(), "the image: the service refuses the request (HTTP 400, for `size`): No.");
    }

    #[test]
    fn allowances_are_read() {
        let headers = [
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-tokens", "nine"),
            ("x-ratelimit-reset-requests", "6m0.5s"),
            ("x-ratelimit-reset-tokens", "12parsecs"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let reset = Some(Duration::from_millis(360_500));
        let requests = Allowance { limit: Some(500), remaining: None, reset };
        assert_eq!(RateLimits::of(&headers), RateLimits { requests, tokens: Allowance::default() });
        for (text, expect) in
            [("120ms", Some(120)), ("1s", Some(1000)), ("", None), ("5", None), ("s", None), ("9e9s", None)]
        {
            assert_eq!(span(text), expect.map(Duration::from_millis), "{text}");
        }
    }
}
