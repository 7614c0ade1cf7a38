//! What a response is asked for with: input, tools, format, and what it follows.
//!
//! Only the fields that this program sets; how an answer comes (whole, streamed, in the background) is the call's
//! matter. Start at [`ResponseRequest`].

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A request for a response.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ResponseRequest {
    /// Its id, as the catalogue or the API lists it.
    pub model: String,
    /// What it is to read.
    pub input: Vec<InputItem>,
    /// The developer's message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// What it follows.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub after: Option<After>,
    /// What it may call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Whether it has to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Thoughts included; 16 at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// How much it thinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Reasoning>,
    /// The form of its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextSettings>,
    /// More that an answer shall contain: `reasoning.encrypted_content`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Whether the service keeps it; it has to for what runs in the background.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<bool>,
    /// `auto`, `default`, `flex`, `priority`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// The caller's own; kept with the response.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Of a person behind it, hashed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<String>,
}

impl ResponseRequest {
    /// A question in plain text.
    pub fn question(model: &str, text: &str) -> Self {
        let input = vec![InputItem::user(vec![Content::text(text)])];
        Self { model: model.into(), input, ..Self::default() }
    }

    /// SHA-256 of what is asked, in hexadecimal, without what it follows: the same before and after it has a
    /// conversation.
    pub fn hash(&self) -> String {
        let asked = Self { after: None, ..self.clone() };
        // All of its types can be written as JSON: maps have text for keys.
        let bytes = serde_json::to_vec(&asked).unwrap_or_default();
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a response follows: one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum After {
    /// A response's id.
    #[serde(rename = "previous_response_id")]
    Response(String),
    /// A conversation's id; what is said is added to it.
    #[serde(rename = "conversation")]
    Conversation(String),
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The program.
    Developer,
}

/// A piece of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum InputItem {
    /// Something said.
    Message {
        /// By whom.
        role: Role,
        /// In parts.
        content: Vec<Content>,
    },
    /// What the model called before.
    FunctionCall {
        /// Ties a call to its output.
        call_id: String,
        /// The tool's name.
        name: String,
        /// JSON in text.
        arguments: String,
    },
    /// What came of it.
    FunctionCallOutput {
        /// Of the call.
        call_id: String,
        /// For the model to read.
        output: String,
    },
}

impl InputItem {
    /// What the person says.
    pub fn user(content: Vec<Content>) -> Self {
        Self::Message { role: Role::User, content }
    }
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Text for the model.
    InputText {
        /// Itself.
        text: String,
    },
    /// Text of the model's own, from before.
    OutputText {
        /// Itself.
        text: String,
    },
    /// An image to look at.
    InputImage {
        /// `data:image/png;base64,...`.
        image_url: String,
        /// How closely.
        detail: Detail,
    },
    /// A file to read, whole.
    InputFile {
        /// What it is called.
        filename: String,
        /// `data:application/pdf;base64,...`.
        file_data: String,
    },
    /// A file that was uploaded.
    #[serde(rename = "input_file")]
    UploadedFile {
        /// Its id.
        file_id: String,
    },
}

impl Content {
    /// Text for the model.
    pub fn text(text: &str) -> Self {
        Self::InputText { text: text.into() }
    }

    /// An image for the model, of a media type such as `image/png`.
    pub fn image(media_type: &str, bytes: &[u8]) -> Self {
        Self::InputImage { image_url: data_url(media_type, bytes), detail: Detail::Auto }
    }

    /// A file for the model, of a media type such as `application/pdf`.
    pub fn file(name: &str, media_type: &str, bytes: &[u8]) -> Self {
        Self::InputFile { filename: name.into(), file_data: data_url(media_type, bytes) }
    }
}

fn data_url(media_type: &str, bytes: &[u8]) -> String {
    use base64::Engine;
    format!("data:{media_type};base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}

/// How closely an image is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// As the model likes.
    Auto,
    /// Few tokens.
    Low,
    /// Many.
    High,
}

/// Something that the model may call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Tool {
    /// A function of the caller's.
    Function {
        /// What the model calls it.
        name: String,
        /// What it is for.
        description: String,
        /// A JSON schema.
        parameters: Value,
        /// Whether arguments are held to the schema.
        strict: bool,
    },
}

/// Whether a tool has to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As the model likes.
    Auto,
    /// None.
    None,
    /// Some one.
    Required,
    /// This function.
    Function(String),
}

impl Serialize for ToolChoice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::None => serializer.serialize_str("none"),
            Self::Required => serializer.serialize_str("required"),
            Self::Function(name) => serde_json::json!({"type": "function", "name": name}).serialize(serializer),
        }
    }
}

/// How much the model thinks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reasoning {
    /// `low`, `medium`, `high` ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// `auto`, `concise`, `detailed`: whether its thoughts are summed up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// The form of an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextSettings {
    /// Itself.
    pub format: Format,
}

/// The form of an answer's text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Format {
    /// Any.
    Text,
    /// JSON that keeps to a schema.
    JsonSchema {
        /// What the schema is called.
        name: String,
        /// Itself.
        schema: Value,
        /// Whether the answer is held to it.
        strict: bool,
    },
}
