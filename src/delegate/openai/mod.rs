//! The client of OpenAI's API, and of what speaks it: responses, conversations, images, audio, files, models.
//!
//! What it is not: a chooser of models or a holder of budgets; model names are the caller's, prices the catalogue's.
//! Every request leaves through `egress` under the caller's grant and on its account. Start at [`OpenAi::ask`], the
//! paid call that survives a crash; [`OpenAi::create_response`] and its neighbours are the API's calls one by one.

mod ask;
mod audio;
mod conversations;
mod error;
mod events;
mod files;
mod form;
mod images;
mod request;
mod response;
mod responses;
mod retry;
mod sse;
mod transport;
mod usage;

pub use ask::{Answer, Reconciled, Step, StepError, Steps};
pub use audio::{Speech, SpeechRequest, Transcript, TranscriptRequest};
pub use conversations::{Conversation, Items};
pub use error::{Allowance, OpenAiError, RateLimits};
pub use events::{Event, Events};
pub use files::{File, ListedModel, Upload};
pub use images::{Image, ImageEvent, ImageEvents, ImageRequest, Images};
pub use request::{
    After, Content, Detail, Format, InputItem, Reasoning, ResponseRequest, Role, TextSettings, Tool, ToolChoice,
};
pub use response::{Completion, FunctionCall, Item, Part, Problem, Response, Status};
pub use usage::{InputDetails, OutputDetails, Usage};

use crate::egress::{Egress, Endpoint};
use crate::world::World;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// Shorter ones are no secrets, and would be found everywhere.
const LEAST_SECRET: usize = 8;

/// A key of the API. Neither its `Debug` nor any error shows it.
pub struct Key {
    secret: OnceLock<String>,
    source: String,
    /// Gives the key when it is wanted for the first time.
    keeper: Option<Box<dyn Fn() -> Result<String, String> + Send + Sync>>,
}

impl Key {
    /// A key, and where it comes from in words: `the environment variable OPENAI_API_KEY`. The error says what is wrong
    /// with it without showing it.
    pub fn new(secret: &str, source: &str) -> Result<Self, String> {
        let secret = Self::checked(secret, source)?;
        Ok(Self { secret: OnceLock::from(secret), source: source.to_owned(), keeper: None })
    }

    /// A key that somebody else keeps, who is asked until they have given it; they may take their time.
    pub fn kept(source: &str, keeper: impl Fn() -> Result<String, String> + Send + Sync + 'static) -> Self {
        Self { secret: OnceLock::new(), source: source.to_owned(), keeper: Some(Box::new(keeper)) }
    }

    fn checked(secret: &str, source: &str) -> Result<String, String> {
        let secret = secret.trim();
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("what {source} holds is no key: it is empty, or has spaces or odd characters in it"));
        }
        Ok(secret.to_owned())
    }

    /// The key. It blocks for as long as who keeps it wants.
    fn secret(&self) -> Result<&str, String> {
        if let Some(secret) = self.secret.get() {
            return Ok(secret);
        }
        // One that is refused now may be given later.
        let keeper = self.keeper.as_ref().ok_or_else(|| format!("{} holds no key", self.source))?;
        let secret = Self::checked(&keeper()?, &self.source)?;
        Ok(self.secret.get_or_init(|| secret))
    }

    /// A text without the key, should it stand there.
    fn removed_from(&self, text: String) -> String {
        // One that was never asked for has not been sent.
        match self.secret.get() {
            Some(secret) if secret.len() >= LEAST_SECRET && text.contains(secret) => text.replace(secret, "…"),
            _ => text,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// What a call may take, and how often it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of one call, the first included.
    pub n_attempts: u32,
    /// After which no further attempt begins.
    pub retry_time: Duration,
    /// Without a byte from the other side.
    pub idle: Duration,
    /// As `idle`, for a stream that can be left for polling.
    pub attached_idle: Duration,
    /// Of one answer, its stream included.
    pub total: Duration,
    /// Of one answer. In bytes.
    pub n_bytes: usize,
    /// Of one event in a stream. In bytes.
    pub n_event_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            n_attempts: 5,
            retry_time: Duration::from_secs(300),
            idle: Duration::from_secs(300),
            attached_idle: Duration::from_secs(45),
            total: Duration::from_secs(1800),
            n_bytes: 256 << 20,
            n_event_bytes: 64 << 20,
        }
    }
}

/// What is said of the account, and the limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The header `openai-organization`.
    pub organization: Option<String>,
    /// The header `openai-project`.
    pub project: Option<String>,
    /// Of each call.
    pub limits: Limits,
}

/// The client. Shared by cloning.
#[derive(Clone)]
pub struct OpenAi(Arc<Shared>);

struct Shared {
    egress: Egress,
    endpoint: Endpoint,
    key: Arc<Key>,
    world: World,
    settings: Settings,
    rate_limits: Mutex<RateLimits>,
}

impl OpenAi {
    /// A client of the API at this base URL, such as `https://api.openai.com/v1/`.
    pub fn new(egress: Egress, endpoint: Endpoint, key: impl Into<Arc<Key>>, world: World, settings: Settings) -> Self {
        let (key, rate_limits) = (key.into(), Mutex::default());
        Self(Arc::new(Shared { egress, endpoint, key, world, settings, rate_limits }))
    }

    /// What the last answer said of how much may be asked for.
    pub fn rate_limits(&self) -> RateLimits {
        *self.0.rate_limits.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn limits(&self) -> Limits {
        self.0.settings.limits
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (endpoint, settings) = (&self.0.endpoint, &self.0.settings);
        f.debug_struct("OpenAi").field("endpoint", endpoint).field("settings", settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "../../../tests/mock/mod.rs"]
pub(crate) mod mock;
#[cfg(test)]
mod tests;
