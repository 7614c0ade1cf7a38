//! Hosted models: what the local one cannot do is delegated to them, under a grant.
//!
//! What it is not: a way around policy; every order needs the grant of the call that it serves, and leaves through `egress`. Nor
//! does it count money: it knows prices, and its caller keeps the budget. Start at [`Delegate`]; [`Hosted`] is the one that
//! speaks OpenAI's API, [`openai::OpenAi`] its client; [`catalogue`] knows models and their prices.

mod breaker;
pub mod catalogue;
mod hosted;
pub mod openai;
pub mod router;

pub use breaker::Breaker;
pub use hosted::{Hosted, Models};

use crate::policy::{Grant, Money};
use async_trait::async_trait;
use std::fmt;

/// What a hosted model can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ability {
    /// A picture from words.
    Image,
    /// A picture from words and others.
    EditImage,
    /// An answer to a question.
    Ask,
    /// An answer to a question about pictures.
    See,
    /// The words of a recording.
    Transcribe,
    /// A recording of words.
    Speak,
}

impl Ability {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Image, Self::EditImage, Self::Ask, Self::See, Self::Transcribe, Self::Speak];

    /// In a word, which is also the tool's: `cloud.image`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::EditImage => "edit_image",
            Self::Ask => "ask",
            Self::See => "see",
            Self::Transcribe => "transcribe",
            Self::Speak => "speak",
        }
    }
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A file that goes to a hosted model, or comes from one.
#[derive(Clone, PartialEq, Eq)]
pub struct Media {
    /// Without folders.
    pub name: String,
    /// Such as `image/png`.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {} bytes)", self.name, self.media_type, self.bytes.len())
    }
}

/// What is wanted of a hosted model, as it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What it should do.
    pub ability: Ability,
    /// The description, the question, the words.
    pub text: String,
    /// Files that it works on.
    pub files: Vec<Media>,
    /// Of a picture: `1024x1024`.
    pub size: Option<String>,
    /// Of a picture: `low`, `medium`, `high`.
    pub quality: Option<String>,
    /// Of a recording: `en`, `de`.
    pub language: Option<String>,
    /// Who speaks.
    pub voice: Option<String>,
}

impl Order {
    /// One of words alone.
    pub fn new(ability: Ability, text: impl Into<String>) -> Self {
        let (files, text) = (Vec::new(), text.into());
        Self { ability, text, files, size: None, quality: None, language: None, voice: None }
    }
}

/// Who would do it, and for how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The hosted model.
    pub model: String,
    /// The host that it goes to.
    pub destination: String,
    /// What it costs at most; `None` when nobody knows.
    pub cost: Option<Money>,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The answer or the transcript; empty for what is all files.
    pub text: String,
    /// Pictures, recordings.
    pub files: Vec<Media>,
    /// What it cost; `None` when nobody knows more than the offer.
    pub cost: Option<Money>,
    /// Whether the model would not: its text says why. A refusal is an answer, and nobody else is asked.
    pub is_refusal: bool,
}

/// Why nothing came. `Display` is fit for the model and says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DelegateError {
    /// There is no way there now; nothing was sent that costs.
    #[error("{0}")]
    Unreachable(String),
    /// The other side does nothing now: for its own reasons, or for the account's. It costs nothing.
    #[error("{0}")]
    Unserved(String),
    /// It was answered with an error, and costs nothing.
    #[error("{0}")]
    Failed(String),
    /// The host's own rules forbid it. That is an answer too, and nobody else is asked.
    #[error("{0}")]
    Forbidden(String),
    /// Nobody knows whether it was done, and charged. It is not repeated.
    #[error("{0}; `ossicle cloud ledger` shows it as unknown")]
    Unknown(String),
}

/// What became of an order after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconciled {
    /// It was done.
    Delivered(Delivery),
    /// It is still worked on.
    Running,
    /// There is no trace of it: it never arrived, or its end will be seen later.
    NoTrace,
    /// It came to nothing, and may have cost something all the same.
    Failed(String),
}

/// A step of an order, told before it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A hosted conversation was made, which costs nothing and lets a crash be cleared up.
    Conversation(String),
    /// What costs is about to be sent.
    Sending,
    /// The hosted response has a name.
    Response(String),
}

/// Writes steps down.
#[async_trait]
pub trait Witness: Send + Sync {
    /// When this returns `Ok`, a crash does not lose the step; on an error the order goes no further.
    async fn step(&self, step: Step) -> Result<(), String>;
}

/// Somebody who does what the local model cannot.
#[async_trait]
pub trait Delegate: Send + Sync {
    /// What it can do, with the models that there are.
    fn abilities(&self) -> Vec<Ability>;

    /// Who would do it and for how much. The files' bytes need not be there yet.
    fn offer(&self, order: &Order) -> Result<Offer, DelegateError>;

    /// Does it. The grant covers this order, its retries included.
    async fn complete(&self, order: Order, grant: Grant, witness: &dyn Witness) -> Result<Delivery, DelegateError>;

    /// After a crash: what became of an order whose conversation was written down. An error says that nobody knows.
    async fn reconcile(
        &self,
        conversation: &str,
        response: Option<&str>,
        grant: Grant,
    ) -> Result<Reconciled, DelegateError>;
}
