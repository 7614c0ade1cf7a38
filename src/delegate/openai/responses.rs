//! The calls about responses: create, look, attach, cancel, delete, count.
//!
//! Those that create are paid, and sent again only as `retry` says; the others are free. Start at
//! [`OpenAi::create_response`].

use super::OpenAi;
use super::conversations::Items;
use super::error::OpenAiError;
use super::events::Events;
use super::request::{After, InputItem, Reasoning, ResponseRequest, TextSettings, Tool, ToolChoice};
use super::response::Response;
use super::sse::Frames;
use super::transport::Call;
use crate::policy::Grant;
use serde::{Deserialize, Serialize};

/// A request, and how it is to be answered.
#[derive(Serialize)]
struct Asked<'a> {
    #[serde(flatten)]
    request: &'a ResponseRequest,
    #[serde(skip_serializing_if = "Option::is_none")]
    background: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
}

/// What of a request counts as input.
#[derive(Serialize)]
struct Counted<'a> {
    model: &'a str,
    input: &'a [InputItem],
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    after: Option<&'a After>,
    #[serde(skip_serializing_if = "<[Tool]>::is_empty")]
    tools: &'a [Tool],
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'a ToolChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<&'a Reasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a TextSettings>,
}

impl OpenAi {
    /// Asks, and waits for the whole answer. Paid.
    pub async fn create_response(&self, request: &ResponseRequest, grant: &Grant) -> Result<Response, OpenAiError> {
        self.value(&create(request, None, None)?, grant).await
    }

    /// Asks, and gives the answer as it comes. Paid; a stream that breaks off is [`OpenAiError::Unknown`].
    pub async fn stream_response(&self, request: &ResponseRequest, grant: &Grant) -> Result<Events, OpenAiError> {
        let call = create(request, None, Some(true))?.streamed();
        let body = self.answered(&call, grant).await?;
        Ok(Events::new(Frames::new(self, &call, body)))
    }

    /// Asks, and lets the service work on it: the answer is a response that waits. Paid.
    pub async fn start_response(&self, request: &ResponseRequest, grant: &Grant) -> Result<Response, OpenAiError> {
        self.value(&create(request, Some(true), Some(false))?, grant).await
    }

    /// A response as it is now.
    pub async fn response(&self, id: &str, grant: &Grant) -> Result<Response, OpenAiError> {
        self.value(&Call::new("the response", "GET", &["responses", id]), grant).await
    }

    /// The events of a response in the background, from the first one or from after one that has this number.
    pub async fn attach_response(
        &self,
        id: &str,
        starting_after: Option<u64>,
        grant: &Grant,
    ) -> Result<Events, OpenAiError> {
        let mut call = Call::new("the response's events", "GET", &["responses", id]).streamed();
        call.query.push(("stream", "true".into()));
        call.query.extend(starting_after.map(|n| ("starting_after", n.to_string())));
        call.idle = Some(self.limits().attached_idle);
        let body = self.answered(&call, grant).await?;
        Ok(Events::new(Frames::new(self, &call, body)))
    }

    /// Stops a response in the background, and gives it as it is then.
    pub async fn cancel_response(&self, id: &str, grant: &Grant) -> Result<Response, OpenAiError> {
        self.value(&Call::new("to cancel the response", "POST", &["responses", id, "cancel"]), grant).await
    }

    /// Has the service forget a response.
    pub async fn delete_response(&self, id: &str, grant: &Grant) -> Result<(), OpenAiError> {
        self.answered(&Call::new("to delete the response", "DELETE", &["responses", id]), grant).await.map(drop)
    }

    /// What a response was asked with, the newest first.
    pub async fn input_items(&self, id: &str, grant: &Grant) -> Result<Items, OpenAiError> {
        self.value(&Call::new("the response's input", "GET", &["responses", id, "input_items"]), grant).await
    }

    /// How many tokens the input of a request is, before it is paid.
    pub async fn input_tokens(&self, request: &ResponseRequest, grant: &Grant) -> Result<u64, OpenAiError> {
        #[derive(Deserialize)]
        struct Count {
            input_tokens: u64,
        }
        let counted = Counted {
            model: &request.model,
            input: &request.input,
            instructions: request.instructions.as_deref(),
            after: request.after.as_ref(),
            tools: &request.tools,
            tool_choice: request.tool_choice.as_ref(),
            reasoning: request.reasoning.as_ref(),
            text: request.text.as_ref(),
        };
        let call = Call::new("to count tokens", "POST", &["responses", "input_tokens"]).json(&counted)?;
        self.value::<Count>(&call, grant).await.map(|count| count.input_tokens)
    }
}

fn create(
    request: &ResponseRequest,
    background: Option<bool>,
    stream: Option<bool>,
) -> Result<Call<'static>, OpenAiError> {
    let call = Call::new("to create a response", "POST", &["responses"]).paid();
    call.json(&Asked { request, background, stream })
}
