//! Orders done by OpenAI's API, or by whatever speaks it: which model, for how much, and each order as the calls that it takes.
//!
//! It retries nothing by itself and keeps nothing. Start at [`Hosted::new`], then its [`Delegate::complete`].

use super::catalogue::{self, Capability, Catalogue};
use super::openai::{
    self, Answer, Completion, Content, ImageRequest, Images, InputItem, OpenAi, OpenAiError, ResponseRequest,
    SpeechRequest, StepError, Steps, TranscriptRequest, Upload, Usage,
};
use super::{Ability, Delegate, DelegateError, Delivery, Media, Offer, Order, Reconciled, Step, Witness};
use crate::egress::EgressError;
use crate::policy::{Grant, Money};
use async_trait::async_trait;
use std::collections::BTreeMap;

/// Tokens that an answer may have, thoughts included: what an estimate of its price rests on.
const MAX_OUTPUT_TOKENS: u64 = 8192;

/// What a question has beside its own words: instructions, and what the service adds.
const MARGIN_TOKENS: u64 = 1000;

/// Tokens of sound for a byte of text, at most: speech has about 1,250 a minute, and in one even the slowest say 300 letters.
const SOUND_PER_BYTE: u64 = 4;

/// Bytes of a spoken text.
const MAX_SPEECH: usize = 64 << 20;

/// Where nobody says otherwise.
const SIZE: &str = "1024x1024";
const QUALITY: &str = "medium";
const VOICE: &str = "alloy";

/// Models that the user chose, by ability; the catalogue knows one for the others.
pub type Models = BTreeMap<Capability, String>;

/// Does orders by OpenAI's API.
pub struct Hosted {
    /// `None` when there is no way out.
    client: Option<OpenAi>,
    catalogue: Catalogue,
    models: Models,
    host: String,
    /// A server of the user's own: it has no conversations that a crash could be cleared up by.
    is_own: bool,
    /// Whether it costs nothing.
    is_free: bool,
}

impl Ability {
    /// What a model must be able to do for it.
    fn capability(self) -> Capability {
        match self {
            Self::Image | Self::EditImage => Capability::Image,
            Self::Ask => Capability::Text,
            Self::See => Capability::Vision,
            Self::Transcribe => Capability::Transcription,
            Self::Speak => Capability::Speech,
        }
    }
}

impl Hosted {
    /// Orders go through `client` to the host of this name; without one nothing is sent.
    pub fn new(client: Option<OpenAi>, host: String, catalogue: Catalogue, models: Models) -> Self {
        Self { client, catalogue, models, host, is_own: false, is_free: false }
    }

    /// The same for a server of the user's own, with these models and no others. What one costs that is not free nobody knows.
    pub fn of_ones_own(client: Option<OpenAi>, host: String, models: Models, is_free: bool) -> Self {
        Self { is_own: true, is_free, ..Self::new(client, host, Catalogue::embedded(), models) }
    }

    fn client(&self) -> Result<&OpenAi, OpenAiError> {
        let offline = || {
            let (host, cause) = (self.host.clone(), "the user wants nothing to leave".into());
            OpenAiError::NotSent(EgressError::NotConnected { host, cause })
        };
        self.client.as_ref().ok_or_else(offline)
    }

    fn model(&self, ability: Ability) -> Option<&str> {
        let of = |capability| {
            let chosen = self.models.get(&capability).map(String::as_str);
            let known = || self.catalogue.default_for(capability).map(catalogue::Model::id);
            chosen.or_else(|| known().filter(|_| !self.is_own))
        };
        // A model of text that cannot look says so itself, and costs nothing then.
        of(ability.capability()).or_else(|| of(Capability::Text).filter(|_| ability == Ability::See))
    }

    fn estimate(&self, model: &str, order: &Order) -> Option<Money> {
        if self.is_own {
            return self.is_free.then_some(Money::ZERO);
        }
        let (size, quality) = picture(order);
        match order.ability {
            Ability::Image => self.catalogue.estimate(&catalogue::Order::Image { model, quality, size, n: 1 }),
            // A token is a byte at least.
            Ability::Ask => self.catalogue.estimate(&catalogue::Order::Text {
                model,
                n_input_tokens: order.text.len() as u64 + MARGIN_TOKENS,
                n_output_tokens: MAX_OUTPUT_TOKENS,
            }),
            Ability::Speak => self.catalogue.estimate(&catalogue::Order::Text {
                model,
                n_input_tokens: order.text.len() as u64,
                n_output_tokens: order.text.len() as u64 * SOUND_PER_BYTE,
            }),
            // What their input costs is not known.
            Ability::EditImage | Ability::See | Ability::Transcribe => None,
        }
    }

    fn cost(&self, model: &str, usage: Option<&Usage>) -> Option<Money> {
        match self.is_own {
            true => self.is_free.then_some(Money::ZERO),
            false => usage.and_then(|usage| self.catalogue.cost(model, usage)),
        }
    }

    async fn image(&self, model: &str, order: &Order, grant: &Grant) -> Result<Delivery, OpenAiError> {
        let (size, quality) = picture(order);
        let request = ImageRequest {
            model: model.into(),
            prompt: order.text.clone(),
            size: Some(size.into()),
            quality: Some(quality.into()),
            output_format: Some("png".into()),
            ..ImageRequest::default()
        };
        let images = match order.ability {
            Ability::EditImage => self.client()?.edit_image(&request, &uploads(order), None, grant).await?,
            _ => self.client()?.generate_image(&request, grant).await?,
        };
        let cost = self.cost(model, images.usage.as_ref()).or_else(|| self.estimate(model, order));
        let Images { data, .. } = images;
        let files = (1..).zip(data).map(|(n, image)| Media {
            name: if n == 1 { "picture.png".into() } else { format!("picture-{n}.png") },
            media_type: "image/png".into(),
            bytes: image.bytes,
        });
        Ok(Delivery { text: String::new(), files: files.collect(), cost, is_refusal: false })
    }

    async fn transcribe(&self, model: &str, order: &Order, grant: &Grant) -> Result<Delivery, OpenAiError> {
        let request = TranscriptRequest { model: model.into(), language: order.language.clone(), prompt: None };
        let uploads = uploads(order);
        let audio = uploads.first().ok_or(OpenAiError::Malformed { what: "an order without a recording".into() })?;
        let transcript = self.client()?.transcribe(&request, audio, grant).await?;
        let cost = self.cost(model, transcript.usage.as_ref());
        Ok(Delivery { text: transcript.text, files: Vec::new(), cost, is_refusal: false })
    }

    async fn speak(&self, model: &str, order: &Order, grant: &Grant) -> Result<Delivery, OpenAiError> {
        let request = SpeechRequest {
            model: model.into(),
            voice: order.voice.clone().unwrap_or_else(|| VOICE.into()),
            input: order.text.clone(),
            response_format: Some("wav".into()),
            ..SpeechRequest::default()
        };
        let mut speech = self.client()?.speak(&request, grant).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = speech.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_SPEECH {
                return Err(OpenAiError::TooLong { limit: MAX_SPEECH });
            }
        }
        let file = Media { name: "speech.wav".into(), media_type: "audio/wav".into(), bytes };
        // Nobody says what it was.
        let cost = self.cost(model, None).or_else(|| self.estimate(model, order));
        Ok(Delivery { text: String::new(), files: vec![file], cost, is_refusal: false })
    }

    async fn ask(
        &self,
        model: &str,
        order: &Order,
        grant: &Grant,
        witness: &dyn Witness,
    ) -> Result<Delivery, OpenAiError> {
        let pictures = order.files.iter().map(|file| Content::image(&file.media_type, &file.bytes));
        let content = std::iter::once(Content::text(&order.text)).chain(pictures).collect();
        let request = ResponseRequest {
            input: vec![InputItem::user(content)],
            max_output_tokens: Some(MAX_OUTPUT_TOKENS),
            ..ResponseRequest::question(model, "")
        };
        let answer = match self.is_own {
            true => self.client()?.ask_once(&request, grant, &Told(witness)).await?,
            false => self.client()?.ask(&request, grant, &Told(witness)).await?,
        };
        Ok(self.delivery(answer, model))
    }

    /// What an answer says, of a question to `asked`: the service may answer with a model's longer name.
    fn delivery(&self, answer: Answer, asked: &str) -> Delivery {
        let cost = |model: &str| self.cost(model, answer.usage.as_ref());
        let cost = cost(&answer.model).or_else(|| cost(asked));
        let (text, is_refusal) = match answer.completion {
            Completion::Finished { text, .. } => (text, false),
            Completion::Refused { reason } => (reason, true),
            Completion::Cut { text, reason } => (format!("{text}\n[it broke off: {reason}]"), false),
        };
        Delivery { text, files: Vec::new(), cost, is_refusal }
    }
}

/// Size and quality of a picture.
fn picture(order: &Order) -> (&str, &str) {
    (order.size.as_deref().unwrap_or(SIZE), order.quality.as_deref().unwrap_or(QUALITY))
}

fn uploads(order: &Order) -> Vec<Upload> {
    let upload = |Media { name, media_type, bytes }: Media| Upload { name, media_type, bytes };
    order.files.iter().cloned().map(upload).collect()
}

#[async_trait]
impl Delegate for Hosted {
    fn abilities(&self) -> Vec<Ability> {
        Ability::ALL.into_iter().filter(|ability| self.model(*ability).is_some()).collect()
    }

    fn offer(&self, order: &Order) -> Result<Offer, DelegateError> {
        let model = self.model(order.ability).ok_or_else(|| {
            DelegateError::Failed(format!(
                "no hosted model is known here for {}; `[cloud.models]` can name one",
                order.ability
            ))
        })?;
        Ok(Offer { model: model.into(), destination: self.host.clone(), cost: self.estimate(model, order) })
    }

    async fn complete(&self, order: Order, grant: Grant, witness: &dyn Witness) -> Result<Delivery, DelegateError> {
        let Offer { model, .. } = self.offer(&order)?;
        // What leaves no trace that could be looked up is written down before it leaves.
        if !matches!(order.ability, Ability::Ask | Ability::See) {
            witness.step(Step::Sending).await.map_err(DelegateError::Failed)?;
        }
        let done = match order.ability {
            Ability::Image | Ability::EditImage => self.image(&model, &order, &grant).await,
            Ability::Ask | Ability::See => self.ask(&model, &order, &grant, witness).await,
            Ability::Transcribe => self.transcribe(&model, &order, &grant).await,
            Ability::Speak => self.speak(&model, &order, &grant).await,
        };
        done.map_err(|error| explained(&error))
    }

    async fn reconcile(
        &self,
        conversation: &str,
        response: Option<&str>,
        grant: Grant,
    ) -> Result<Reconciled, DelegateError> {
        let client = self.client().map_err(|error| explained(&error))?;
        match client.reconcile(conversation, response, None, &grant).await {
            Ok(openai::Reconciled::Finished(answer)) => Ok(Reconciled::Delivered(self.delivery(answer, ""))),
            Ok(openai::Reconciled::Running) => Ok(Reconciled::Running),
            Ok(openai::Reconciled::NotThere) => Ok(Reconciled::NoTrace),
            Ok(openai::Reconciled::Failed { reason }) => Ok(Reconciled::Failed(reason)),
            Err(error) => Err(explained(&error)),
        }
    }
}

/// An error in the words of a delegate: whether it may have cost something is what matters.
fn explained(error: &OpenAiError) -> DelegateError {
    let words = error.to_string();
    match error {
        OpenAiError::NotSent(EgressError::NotConnected { .. }) => DelegateError::Unreachable(words),
        OpenAiError::Policy { .. } => DelegateError::Forbidden(words),
        OpenAiError::Key { .. }
        | OpenAiError::NoKey { .. }
        | OpenAiError::Quota { .. }
        | OpenAiError::RateLimited { .. }
        | OpenAiError::Unavailable { .. } => DelegateError::Unserved(words),
        error if error.may_be_paid() => DelegateError::Unknown(words),
        _ => DelegateError::Failed(words),
    }
}

/// Tells a witness of the client's steps.
struct Told<'a>(&'a dyn Witness);

#[async_trait]
impl Steps for Told<'_> {
    async fn step(&self, step: openai::Step) -> Result<(), StepError> {
        let step = match step {
            openai::Step::ConversationCreated { id } => Step::Conversation(id),
            openai::Step::Intent { .. } => Step::Sending,
            openai::Step::ResponseCreated { id } => Step::Response(id),
            openai::Step::Done { .. } => return Ok(()),
        };
        self.0.step(step).await.map_err(StepError)
    }
}
