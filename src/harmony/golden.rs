//! The tokenizer and the renderer against ids that others made: Python's tiktoken and the reference implementation.
//! Their provenance stands in tests/fixtures/harmony/README.md. Start at the two tests.

use super::{
    Author, Builtin, Channel, Content, Declaration, DeveloperContent, Encoding, Message, ReasoningEffort, Role,
    SystemContent, Token, tokenizer,
};
use serde_json::Value;

const TOKENIZER: &str = include_str!("../../tests/fixtures/harmony/tokenizer.json");
const CONVERSATIONS: &str = include_str!("../../tests/fixtures/harmony/conversations.json");
const IDS: &str = include_str!("../../tests/fixtures/harmony/conversations.ids.json");

#[test]
fn text_has_the_ids_of_tiktoken() {
    let cases: Vec<(String, Vec<Token>)> = serde_json::from_str(TOKENIZER).unwrap();
    assert!(cases.len() > 400, "{}", cases.len());
    for (text, ids) in cases {
        assert_eq!(tokenizer::encode_ordinary(&text), ids, "{text:?}");
        assert_eq!(tokenizer::decode_lossy(&ids), text);
    }
}

#[test]
fn conversations_have_the_ids_of_the_reference() {
    let cases: Vec<Value> = serde_json::from_str(CONVERSATIONS).unwrap();
    let goldens: Vec<Value> = serde_json::from_str(IDS).unwrap();
    assert_eq!(cases.len(), goldens.len());
    for (case, golden) in cases.iter().zip(&goldens) {
        assert_eq!(case["name"], golden["name"]);
        let ids: Vec<Token> = serde_json::from_value(golden["ids"].clone()).unwrap();
        let ours = Encoding::reference().render_conversation(&conversation(case));
        assert_eq!(tokenizer::decode_lossy(&ours), tokenizer::decode_lossy(&ids), "{}", case["name"]);
        assert_eq!(ours, ids, "{}", case["name"]);
    }
}

/// The conversation of a case. That functions are declared is something the reference finds out while rendering.
fn conversation(case: &Value) -> Vec<Message> {
    let mut messages: Vec<_> = case["messages"].as_array().unwrap().iter().map(message).collect();
    let has_functions = messages
        .iter()
        .any(|message| matches!(&message.content, Content::Developer(content) if !content.functions.is_empty()));
    for message in &mut messages {
        if let Content::System(content) = &mut message.content {
            content.functions_declared = has_functions;
        }
    }
    messages
}

fn message(value: &Value) -> Message {
    let role = match value["role"].as_str().unwrap() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        other => panic!("{other}"),
    };
    let content = match &value["content"] {
        Value::String(text) => Content::Text(text.clone()),
        list => match list[0]["type"].as_str().unwrap() {
            "system_content" => Content::System(system(&list[0])),
            "developer_content" => Content::Developer(DeveloperContent {
                instructions: owned(&list[0]["instructions"]),
                functions: declarations(&list[0]["tools"]["functions"]["tools"]),
                ..DeveloperContent::default()
            }),
            other => panic!("{other}"),
        },
    };
    Message {
        author: Author { role, name: owned(&value["name"]) },
        recipient: owned(&value["recipient"]),
        channel: owned(&value["channel"]).map(|name| channel(&name)),
        content_type: owned(&value["content_type"])
            .map(|text| text.strip_prefix("<|constrain|>").map(str::to_owned).unwrap_or(text)),
        content,
        diagnostics: Vec::new(),
    }
}

fn system(value: &Value) -> SystemContent {
    let none = serde_json::Map::new();
    let builtins = value["tools"].as_object().unwrap_or(&none).values().map(|namespace| Builtin {
        name: owned(&namespace["name"]).unwrap(),
        description: owned(&namespace["description"]).unwrap(),
        functions: declarations(&namespace["tools"]),
    });
    let channels = value["channel_config"]["valid_channels"].as_array().map(Vec::as_slice).unwrap_or_default();
    SystemContent {
        model_identity: owned(&value["model_identity"]).unwrap(),
        knowledge_cutoff: owned(&value["knowledge_cutoff"]),
        current_date: owned(&value["conversation_start_date"]),
        reasoning_effort: match value["reasoning_effort"].as_str().unwrap() {
            "Low" => ReasoningEffort::Low,
            "Medium" => ReasoningEffort::Medium,
            "High" => ReasoningEffort::High,
            other => panic!("{other}"),
        },
        builtins: builtins.collect(),
        channels: channels.iter().map(|name| channel(name.as_str().unwrap())).collect(),
        functions_declared: false,
    }
}

fn declarations(value: &Value) -> Vec<Declaration> {
    let declaration = |tool: &Value| Declaration {
        name: owned(&tool["name"]).unwrap(),
        description: owned(&tool["description"]).unwrap(),
        parameters: Some(tool["parameters"].clone()).filter(|schema| !schema.is_null()),
    };
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(declaration).collect()
}

fn channel(name: &str) -> Channel {
    Channel::ALL.into_iter().find(|channel| channel.as_str() == name).unwrap()
}

fn owned(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
