//! Audio: speech to text, and text to speech that comes in pieces.
//!
//! Both are paid, and leave no trace that could be looked up. Start at [`OpenAi::transcribe`], or at [`OpenAi::speak`].

use super::OpenAi;
use super::error::OpenAiError;
use super::files::Upload;
use super::form::Form;
use super::transport::{Body, Call};
use super::usage::Usage;
use crate::policy::Grant;
use serde::{Deserialize, Serialize};

/// A request for a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TranscriptRequest {
    /// Its id.
    pub model: String,
    /// ISO 639-1: `en`.
    pub language: Option<String>,
    /// Words that are likely to be heard.
    pub prompt: Option<String>,
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Transcript {
    /// Itself.
    pub text: String,
    /// What it cost.
    #[serde(default)]
    pub usage: Option<Usage>,
}

/// A request for speech.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SpeechRequest {
    /// Its id.
    pub model: String,
    /// Whose.
    pub voice: String,
    /// What is to be said.
    pub input: String,
    /// How.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// `mp3`, `wav`, `opus` ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<String>,
}

/// Speech, as it comes.
pub struct Speech {
    openai: OpenAi,
    call: Call<'static>,
    body: Body,
}

impl OpenAi {
    /// Writes down what is said in a file. Paid.
    pub async fn transcribe(
        &self,
        request: &TranscriptRequest,
        audio: &Upload,
        grant: &Grant,
    ) -> Result<Transcript, OpenAiError> {
        let form = Form::new(&*self.0.world.random)
            .text("model", &request.model)
            .text("response_format", "json")
            .maybe("language", request.language.as_deref())
            .maybe("prompt", request.prompt.as_deref())
            .file("file", audio);
        let call = Call::new("to transcribe", "POST", &["audio", "transcriptions"]).paid().form(form.finish());
        self.value(&call, grant).await
    }

    /// Says a text. Paid.
    pub async fn speak(&self, request: &SpeechRequest, grant: &Grant) -> Result<Speech, OpenAiError> {
        let call = Call::new("to speak", "POST", &["audio", "speech"]).paid().streamed().json(request)?;
        let body = self.answered(&call, grant).await?;
        Ok(Speech { openai: self.clone(), call, body })
    }
}

impl Speech {
    /// The next bytes of the file; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, OpenAiError> {
        let chunk = self.body.chunk().await;
        chunk.map_err(|failure| self.openai.broken(self.call.name, self.call.repeat, failure))
    }
}
