//! A paid question that survives a crash: each step is written down by the caller before the next byte goes out.
//!
//! The API has no key that would make a second sending harmless. So a conversation is made first, which is free and has
//! an id; the paid response is created in it, in the background; and after a crash the conversation is read, not the
//! request repeated. What it is not: the journal; that implements [`Steps`]. Start at [`OpenAi::ask`], then
//! [`OpenAi::reconcile`].

use super::OpenAi;
use super::error::OpenAiError;
use super::events::Event;
use super::request::{After, ResponseRequest};
use super::response::{Completion, Item, Response, Status};
use super::retry::own_pause;
use super::usage::Usage;
use crate::egress::EgressError;
use crate::policy::Grant;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// A stream that breaks off is attached to again so often; after that the response is polled.
const MAX_ATTACHED: u32 = 4;

/// The conversation's note of what it was made for.
const HASH: &str = "request_sha256";

/// What was done so far.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// There is a conversation; nothing was paid.
    ConversationCreated {
        /// `conv_...`.
        id: String,
    },
    /// The paid request is about to leave.
    Intent {
        /// [`ResponseRequest::hash`].
        request_hash: String,
    },
    /// It was taken, and is worked on.
    ResponseCreated {
        /// `resp_...`.
        id: String,
    },
    /// It is over.
    Done {
        /// What it cost, if that is known.
        usage: Option<Usage>,
    },
}

/// Why a step could not be written down.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call stopped, because a step could not be written down: {0}")]
pub struct StepError(pub String);

/// Somewhere to write steps down.
#[async_trait]
pub trait Steps: Send + Sync {
    /// When this returns `Ok`, a crash does not lose the step. Until it does, nothing more is sent.
    async fn step(&self, step: Step) -> Result<(), StepError>;

    /// What is heard meanwhile, for a screen. Nothing depends on it.
    fn heard(&self, _event: &Event) {}
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// `resp_...`; not known when it was found in a conversation.
    pub response_id: Option<String>,
    /// The model, by its exact name; empty when it was found in a conversation.
    pub model: String,
    /// What came of it.
    pub completion: Completion,
    /// What it cost; not known when it was found in a conversation.
    pub usage: Option<Usage>,
}

/// What became of a paid question after a crash.
#[derive(Clone, Debug, PartialEq)]
pub enum Reconciled {
    /// It was answered.
    Finished(Answer),
    /// It is still worked on: to be reconciled again, with the response's id where there is one.
    Running,
    /// Nothing is there. It never arrived, or it is still worked on: question and answer are put into a conversation together,
    /// at the end. Only time tells.
    NotThere,
    /// It came to nothing; it may have been paid.
    Failed {
        /// Why.
        reason: String,
    },
}

impl OpenAi {
    /// Asks a paid question, step by step. The request must follow nothing: its conversation is made here.
    ///
    /// An error once the response was created is [`OpenAiError::Unknown`], unless it says how the response ended: the
    /// answer may be there, and [`reconcile`](Self::reconcile) finds it.
    pub async fn ask(
        &self,
        request: &ResponseRequest,
        grant: &Grant,
        steps: &dyn Steps,
    ) -> Result<Answer, OpenAiError> {
        if request.after.is_some() {
            let problem = "a question that is asked so follows nothing: leave out the conversation";
            return Err(OpenAiError::NotSent(EgressError::Malformed(problem.into())));
        }
        let request_hash = request.hash();
        let note = BTreeMap::from([(HASH.to_owned(), request_hash.clone())]);
        // Until here nothing costs, whatever goes wrong.
        let conversation = self.create_conversation(&note, grant).await.map_err(OpenAiError::free)?;
        steps.step(Step::ConversationCreated { id: conversation.id.clone() }).await?;
        steps.step(Step::Intent { request_hash }).await?;
        let inside = ResponseRequest { after: Some(After::Conversation(conversation.id)), ..request.clone() };
        let begun = self.start_response(&inside, grant).await?;
        steps.step(Step::ResponseCreated { id: begun.id.clone() }).await?;
        let ended = match begun.status.is_over() {
            true => begun,
            false => self.awaited(&begun.id, grant, steps).await?,
        };
        steps.step(Step::Done { usage: ended.usage }).await?;
        answer(&ended)
    }

    /// Asks a server that has neither conversations nor a background, as those that one runs oneself mostly have not: in one
    /// request, of which nothing stays there. After a crash nobody knows of it.
    pub async fn ask_once(
        &self,
        request: &ResponseRequest,
        grant: &Grant,
        steps: &dyn Steps,
    ) -> Result<Answer, OpenAiError> {
        steps.step(Step::Intent { request_hash: request.hash() }).await?;
        let unkept = ResponseRequest { store: Some(false), ..request.clone() };
        let ended = self.create_response(&unkept, grant).await?;
        steps.step(Step::Done { usage: ended.usage }).await?;
        answer(&ended)
    }

    /// A response in the background, at its end.
    async fn awaited(&self, id: &str, grant: &Grant, steps: &dyn Steps) -> Result<Response, OpenAiError> {
        let mut last = None;
        for _ in 0..MAX_ATTACHED {
            let Ok(mut events) = self.attach_response(id, last, grant).await else { break };
            loop {
                match events.next().await {
                    Ok(Some(Event::Ended(response))) => return Ok(*response),
                    Ok(Some(event)) => steps.heard(&event),
                    Ok(None) | Err(_) => break,
                }
            }
            // One that gave nothing new would give nothing the next time either.
            if events.last() <= last {
                break;
            }
            last = events.last();
        }
        self.polled(id, grant).await
    }

    async fn polled(&self, id: &str, grant: &Grant) -> Result<Response, OpenAiError> {
        let unknown = |cause: String| OpenAiError::Unknown { call: "the response", cause };
        let clock = &self.0.world.clock;
        let end = clock.elapsed() + self.limits().total;
        let mut n_looks = 0;
        loop {
            let response = self.response(id, grant).await.map_err(|error| unknown(format!("{id}: {error}")))?;
            if response.status.is_over() {
                return Ok(response);
            }
            if clock.elapsed() >= end {
                return Err(unknown(format!("{id} is still worked on")));
            }
            n_looks += 1;
            clock.sleep(own_pause(n_looks, self.0.world.random.next_u64())).await;
        }
    }

    /// After a crash: what became of a question whose conversation, and perhaps whose response, was written down.
    pub async fn reconcile(
        &self,
        conversation_id: &str,
        response_id: Option<&str>,
        request_hash: Option<&str>,
        grant: &Grant,
    ) -> Result<Reconciled, OpenAiError> {
        if let Some(id) = response_id {
            match self.response(id, grant).await {
                Ok(response) => return Ok(became(&response)),
                // Its answer may be in the conversation all the same.
                Err(OpenAiError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        // One that is not there may be another project's: then nothing is known, and that is an error.
        let conversation = self.conversation(conversation_id, grant).await?;
        if request_hash.is_some_and(|ours| conversation.metadata.get(HASH).is_some_and(|hash| hash != ours)) {
            let what = format!("the conversation {conversation_id} was made for another request");
            return Err(OpenAiError::Malformed { what });
        }
        self.in_conversation(conversation_id, response_id.is_some(), grant).await
    }

    async fn in_conversation(&self, id: &str, was_created: bool, grant: &Grant) -> Result<Reconciled, OpenAiError> {
        let items = self.conversation_items(id, None, grant).await?.data;
        Ok(match found(&items) {
            Some(found) => found,
            None if was_created => {
                Reconciled::Failed { reason: "the response was deleted, and nothing is left of it".into() }
            }
            None => Reconciled::NotThere,
        })
    }
}

fn answer(response: &Response) -> Result<Answer, OpenAiError> {
    let completion = response.completion()?;
    let (response_id, model) = (Some(response.id.clone()), response.model.clone());
    Ok(Answer { response_id, model, completion, usage: response.usage })
}

fn became(response: &Response) -> Reconciled {
    if !response.status.is_over() {
        return Reconciled::Running;
    }
    match answer(response) {
        Ok(answer) => Reconciled::Finished(answer),
        Err(error) => Reconciled::Failed { reason: error.to_string() },
    }
}

/// What a conversation's items say; `None` where there are none.
fn found(items: &[Item]) -> Option<Reconciled> {
    let is_made = |item: &&Item| match item {
        Item::Message { role, .. } => role == "assistant",
        Item::FunctionCall(_) => true,
        Item::Other => false,
    };
    let made: Vec<Item> = items.iter().filter(is_made).cloned().collect();
    let is_whole = |item: &Item| match item {
        Item::Message { status, .. } => status.is_none_or(|status| status == Status::Completed),
        Item::FunctionCall(_) | Item::Other => true,
    };
    match (items.is_empty(), made.is_empty()) {
        (true, _) => None,
        (_, true) => Some(Reconciled::Running),
        _ if made.iter().any(|item| matches!(item, Item::Message { status: Some(Status::InProgress), .. })) => {
            Some(Reconciled::Running)
        }
        _ => {
            let completion = match (Completion::of(&made), made.iter().all(is_whole)) {
                (Completion::Finished { text, .. }, false) => Completion::Cut { text, reason: "incomplete".into() },
                (completion, _) => completion,
            };
            Some(Reconciled::Finished(Answer { response_id: None, model: String::new(), completion, usage: None }))
        }
    }
}
