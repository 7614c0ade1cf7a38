//! The reference implementation, and our messages in its types.

use crate::harmony::{Content, Declaration, Message, ReasoningEffort, Role};
use openai_harmony::chat as theirs;
use openai_harmony::{HarmonyEncoding, HarmonyEncodingName, load_harmony_encoding};
use std::{path::Path, sync::LazyLock};

/// The folder of the reference's own fixtures.
pub fn fixtures() -> &'static Path {
    Path::new(env!("FIXTURES"))
}

/// The reference's encoding.
pub fn encoding() -> &'static HarmonyEncoding {
    static ENCODING: LazyLock<HarmonyEncoding> = LazyLock::new(|| {
        // SAFETY: std's own readers and writers of the environment exclude each other, and no C code of this process reads
        // it: the dependencies are Rust.
        unsafe { std::env::set_var("TIKTOKEN_ENCODINGS_BASE", env!("VOCABULARY")) };
        load_harmony_encoding(HarmonyEncodingName::HarmonyGptOss).expect("the vocabulary of tiktoken-rs")
    });
    &ENCODING
}

/// Our messages as the reference writes them.
pub fn conversation(messages: &[Message]) -> Vec<theirs::Message> {
    messages.iter().map(message).collect()
}

fn message(message: &Message) -> theirs::Message {
    let role = match message.author.role {
        Role::System => theirs::Role::System,
        Role::Developer => theirs::Role::Developer,
        Role::User => theirs::Role::User,
        Role::Assistant => theirs::Role::Assistant,
        Role::Tool => theirs::Role::Tool,
    };
    let content = match &message.content {
        Content::Text(text) => theirs::Content::from(text.as_str()),
        Content::System(content) => theirs::SystemContent {
            model_identity: Some(content.model_identity.clone()),
            reasoning_effort: Some(match content.reasoning_effort {
                ReasoningEffort::Low => theirs::ReasoningEffort::Low,
                ReasoningEffort::Medium => theirs::ReasoningEffort::Medium,
                ReasoningEffort::High => theirs::ReasoningEffort::High,
            }),
            tools: Some(
                content
                    .builtins
                    .iter()
                    .map(|builtin| {
                        (builtin.name.clone(), namespace(&builtin.name, Some(&builtin.description), &builtin.functions))
                    })
                    .collect(),
            ),
            conversation_start_date: content.current_date.clone(),
            knowledge_cutoff: content.knowledge_cutoff.clone(),
            channel_config: Some(theirs::ChannelConfig::require_channels(
                content.channels.iter().map(|channel| channel.as_str()),
            )),
        }
        .into(),
        Content::Developer(content) => {
            let functions = namespace("functions", None, &content.functions);
            let tools = (!content.functions.is_empty()).then(|| [("functions".to_owned(), functions)].into());
            theirs::DeveloperContent { instructions: content.instructions.clone(), tools }.into()
        }
    };
    theirs::Message {
        author: theirs::Author { role, name: message.author.name.clone() },
        recipient: message.recipient.clone(),
        content: vec![content],
        channel: message.channel.map(|channel| channel.as_str().to_owned()),
        // Ours is the word alone; that `json` follows the special token is the renderer's matter.
        content_type: message.content_type.as_deref().map(|word| match word {
            "json" => "<|constrain|>json".to_owned(),
            other => other.to_owned(),
        }),
    }
}

fn namespace(name: &str, description: Option<&str>, functions: &[Declaration]) -> theirs::ToolNamespaceConfig {
    let tools = functions.iter().map(|function| {
        theirs::ToolDescription::new(&function.name, &function.description, function.parameters.clone())
    });
    theirs::ToolNamespaceConfig::new(name, description.map(str::to_owned), tools.collect())
}
