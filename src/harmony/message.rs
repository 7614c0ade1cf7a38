//! What a conversation is made of: [`Message`] and the parts of its header. Plain data; nothing here knows a token.

use serde_json::Value;

/// A token id of o200k_harmony: 0..201088.
pub type Token = u32;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The frame: identity, dates, effort, channels, built-in tools.
    System,
    /// The application: instructions and function declarations.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's answer; the author's name says which tool.
    Tool,
}

impl Role {
    /// The word in a message's header. A tool is written by its name instead.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// A role and, where there is one, a name (`functions.calc` for a tool's answer).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// Who speaks.
    pub role: Role,
    /// The tool's name as the model sees it; `None` for everyone else as a rule.
    pub name: Option<String>,
}

impl From<Role> for Author {
    fn from(role: Role) -> Self {
        Self { role, name: None }
    }
}

/// Where the assistant speaks: to itself, to tools and as an aside, or to the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Reasoning, and calls of built-in tools.
    Analysis,
    /// Function calls; without a recipient a remark that the person sees.
    Commentary,
    /// The answer.
    Final,
}

impl Channel {
    /// All three, in the order of the system message.
    pub const ALL: [Self; 3] = [Self::Analysis, Self::Commentary, Self::Final];

    /// The word in a message's header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Analysis => "analysis",
            Self::Commentary => "commentary",
            Self::Final => "final",
        }
    }
}

/// One message: header and content.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub author: Author,
    /// To whom, when not to everyone: `functions.calc`, `python`, `assistant`.
    pub recipient: Option<String>,
    /// `None` for system, developer and user messages.
    pub channel: Option<Channel>,
    /// The word after the channel, without `<|constrain|>`: `json`, `code`.
    pub content_type: Option<String>,
    /// What is said.
    pub content: Content,
    /// What was wrong with the tokens it was parsed from; empty for a well-formed message.
    pub diagnostics: Vec<Diagnostic>,
}

/// The body of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Ordinary text. Rendered as ordinary text whatever it contains.
    Text(String),
    /// The system message's frame.
    System(SystemContent),
    /// The developer message's instructions and declarations.
    Developer(DeveloperContent),
}

/// How long the model may think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningEffort {
    /// A sentence.
    Low,
    /// The model's habit.
    #[default]
    Medium,
    /// As long as it takes.
    High,
}

impl ReasoningEffort {
    /// The word after `Reasoning: `.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// The system message's parts, in the order they are written.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemContent {
    /// The identity line. The model was trained on the default; a persona belongs in the developer message.
    pub model_identity: String,
    /// `YYYY-MM`.
    pub knowledge_cutoff: Option<String>,
    /// `YYYY-MM-DD`, pinned for a session so that midnight does not change the prefix.
    pub current_date: Option<String>,
    /// How long the model may think.
    pub reasoning_effort: ReasoningEffort,
    /// Built-in namespaces (`browser`, `python`) with their text, in this order under `# Tools`.
    pub builtins: Vec<Builtin>,
    /// The channels the model may use; empty writes no such line.
    pub channels: Vec<Channel>,
    /// Whether the line that sends function calls to the commentary channel is written: iff functions are declared.
    pub functions_declared: bool,
}

impl Default for SystemContent {
    fn default() -> Self {
        Self {
            model_identity: "You are ChatGPT, a large language model trained by OpenAI.".into(),
            knowledge_cutoff: Some("2024-06".into()),
            current_date: None,
            reasoning_effort: ReasoningEffort::default(),
            builtins: Vec::new(),
            channels: Channel::ALL.to_vec(),
            functions_declared: false,
        }
    }
}

/// A tool the model was trained with, declared in the system message.
#[derive(Clone, Debug, PartialEq)]
pub struct Builtin {
    /// The namespace: `browser`, `python`.
    pub name: String,
    /// The text above the declarations, or the whole text when there are none.
    pub description: String,
    /// The functions of the namespace; empty for `python`, which takes raw code.
    pub functions: Vec<Declaration>,
}

/// The developer message's parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeveloperContent {
    /// Under `# Instructions`; `None` or empty writes no such section.
    pub instructions: Option<String>,
    /// The namespace `functions`.
    pub functions: Vec<Declaration>,
    /// What the answer has to look like; written last.
    pub response_formats: Vec<ResponseFormat>,
}

/// The form of an answer that is JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseFormat {
    /// A word for it, `[A-Za-z0-9_-]{1,64}`.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// A JSON Schema, written as it is.
    pub schema: Value,
}

/// A function as the model sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    /// `[A-Za-z0-9_-]{1,64}`, without the namespace.
    pub name: String,
    /// One or more lines; written as comments above the declaration.
    pub description: String,
    /// A JSON Schema of type object; `None` for a function without parameters.
    pub parameters: Option<Value>,
}

/// Something wrong with generated tokens that the parser read anyway. Later parsing is never affected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Diagnostic {
    /// A header word that is none of role, recipient, channel or content type.
    UnexpectedHeader(String),
    /// A channel name that was understood as another (`comment`), or as analysis when nothing came near.
    UnknownChannel(String),
    /// Content began without `<|message|>`.
    MissingMessage,
    /// A message began without `<|start|>`.
    MissingStart,
    /// The next message began before this one ended.
    MissingEnd,
    /// The assistant named no channel: a call is read as commentary, anything else as final.
    MissingChannel,
    /// A special token where it has no meaning.
    StraySpecial(Token),
    /// Two different recipients; the last one counts.
    TwoRecipients(String, String),
    /// Bytes that are not UTF-8, shown as U+FFFD.
    InvalidUtf8,
    /// The tokens ended before the message did.
    Unfinished,
}

impl Message {
    fn new(author: impl Into<Author>, content: Content) -> Self {
        Self {
            author: author.into(),
            recipient: None,
            channel: None,
            content_type: None,
            content,
            diagnostics: Vec::new(),
        }
    }

    /// The frame.
    pub fn system(content: SystemContent) -> Self {
        Self::new(Role::System, Content::System(content))
    }

    /// Instructions and declarations.
    pub fn developer(content: DeveloperContent) -> Self {
        Self::new(Role::Developer, Content::Developer(content))
    }

    /// What the person said.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, Content::Text(text.into()))
    }

    /// What the model said on a channel.
    pub fn assistant(channel: Channel, text: impl Into<String>) -> Self {
        Self { channel: Some(channel), ..Self::new(Role::Assistant, Content::Text(text.into())) }
    }

    /// A call of the model: JSON arguments to `recipient` on the commentary channel.
    pub fn call(recipient: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self {
            recipient: Some(recipient.into()),
            content_type: Some("json".into()),
            ..Self::assistant(Channel::Commentary, arguments)
        }
    }

    /// The answer of the tool `name` (as the model sees it), on the channel of the call.
    pub fn tool(name: impl Into<String>, channel: Channel, output: impl Into<String>) -> Self {
        let author = Author { role: Role::Tool, name: Some(name.into()) };
        Self {
            recipient: Some(Role::Assistant.as_str().into()),
            channel: Some(channel),
            ..Self::new(author, Content::Text(output.into()))
        }
    }

    /// Whether the model calls a tool with it.
    pub fn is_call(&self) -> bool {
        let to_tool = |recipient: &str| recipient != Role::Assistant.as_str() && recipient != "all";
        self.author.role == Role::Assistant && self.recipient.as_deref().is_some_and(to_tool)
    }

    /// The text, when the content is text.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            Content::System(_) | Content::Developer(_) => None,
        }
    }
}
