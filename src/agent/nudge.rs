//! A call that is none: a model writes it as prose, in the form of another model family or without a recipient. It is
//! never run, because nobody can know what was meant; the model is told once how a call is made.
//! Start at [`meant_as_call`].

use crate::harmony::{Author, Channel, Content, Message, Role};
use crate::tool::Toolbox;
use serde_json::Value;

const NUDGE: &str = "Nothing was called: that was only text. To call a function, send a message to it, \
    for example to=functions.NAME, with the JSON of its arguments as the whole content. If it was meant as the answer, \
    say it again.";

/// How other models mark a call.
const TAGS: &[&str] = &["<tool_call", "<function_call", "<function=", "<functions.", "<invoke", "[TOOL_CALLS]"];

/// Beside a name, what makes an object a call.
const ARGUMENTS: &[&str] = &["arguments", "parameters", "args", "input"];

/// What the model is told.
pub(super) fn nudge() -> Message {
    Message { author: Author::from(Role::Developer), content: Content::Text(NUDGE.into()), ..Message::user("") }
}

/// Whether a message to nobody looks like a call of one of these tools.
pub(super) fn meant_as_call(message: &Message, toolbox: &Toolbox) -> bool {
    if message.recipient.is_some() || toolbox.is_empty() {
        return false;
    }
    let text = message.text().unwrap_or_default().trim();
    let names_a_tool = |text: &str| words(text).any(|word| toolbox.named(word).is_some());
    match message.channel {
        // A remark to the user is words; an object is the arguments of a call whose recipient is missing.
        Some(Channel::Commentary) if is_object(text) => true,
        Some(Channel::Commentary | Channel::Final) => {
            (TAGS.iter().any(|tag| text.starts_with(tag)) && names_a_tool(text))
                || addressed(text).is_some_and(|name| toolbox.named(name).is_some())
                || std::iter::once(text).chain(fenced(text)).any(|part| is_call_object(part, toolbox))
        }
        _ => false,
    }
}

fn is_object(text: &str) -> bool {
    text.starts_with('{') && matches!(serde_json::from_str(text), Ok(Value::Object(_)))
}

/// The name in `functions.calc(...)`, `to=functions.calc {...}` and the like.
fn addressed(text: &str) -> Option<&str> {
    let text = text.strip_prefix("commentary ").unwrap_or(text);
    let text = text.strip_prefix("to=").unwrap_or(text);
    let name = text.strip_prefix("functions.")?;
    let n_bytes = name.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-')).unwrap_or(name.len());
    let (name, rest) = name.split_at(n_bytes);
    rest.trim_start().starts_with(['(', '{']).then_some(name)
}

/// The blocks between fences of three backticks, without the word behind the opening one.
fn fenced(text: &str) -> impl Iterator<Item = &str> {
    text.split("```")
        .skip(1)
        .step_by(2)
        .map(|block| block.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).trim())
}

/// What may be names in a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.'))
}

/// `{"name": "calc", "arguments": ...}`, or the same as the value of `function`. With a description it is a declaration.
fn is_call_object(text: &str, toolbox: &Toolbox) -> bool {
    if !text.starts_with('{') {
        return false;
    }
    let Ok(value) = serde_json::from_str::<Value>(text) else { return false };
    let call = value.get("function").filter(|inner| inner.is_object()).unwrap_or(&value);
    let name = ["name", "recipient", "tool", "function"].iter().find_map(|key| call.get(key)?.as_str());
    let is_call = call.get("description").is_none() && ARGUMENTS.iter().any(|key| call.get(key).is_some());
    is_call && name.is_some_and(|name| toolbox.named(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::native::NativeTool;
    use std::sync::Arc;

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Nothing {}

    fn toolbox() -> Toolbox {
        let mut toolbox = Toolbox::default();
        let tool = NativeTool::new("calc.calc", "", async |_: Nothing| Ok(String::new())).unwrap();
        toolbox.register(Arc::new(tool)).unwrap();
        toolbox
    }

    #[test]
    fn a_call_written_as_prose_is_seen() {
        let toolbox = toolbox();
        for text in [
            r#"{"name": "calc", "arguments": {"expression": "1"}}"#,
            r#"{"type": "function", "function": {"name": "functions.calc", "arguments": "{}"}}"#,
            "I will compute.\n```json\n{\"name\": \"calc\", \"parameters\": {}}\n```\n",
            "```\n{\"tool\": \"calc\", \"input\": {}}\n```",
            "<tool_call>\n{\"name\": \"calc\"}\n</tool_call>",
            "<function=calc>{}</function>",
            "<functions.calc>1</functions.calc>",
            "<invoke name=\"calc\">",
            "functions.calc({\"expression\": \"1\"})",
            "to=functions.calc {\"expression\": \"1\"}",
            "commentary to=functions.calc {}",
        ] {
            assert!(meant_as_call(&Message::assistant(Channel::Final, text), &toolbox), "{text}");
            assert!(meant_as_call(&Message::assistant(Channel::Commentary, text), &toolbox), "{text}");
            assert!(!meant_as_call(&Message::assistant(Channel::Analysis, text), &toolbox), "{text}");
            assert!(!meant_as_call(&Message::assistant(Channel::Final, text), &Toolbox::default()), "{text}");
        }
        let bare = r#"{"expression": "1"}"#;
        assert!(meant_as_call(&Message::assistant(Channel::Commentary, bare), &toolbox));
    }

    #[test]
    fn an_answer_is_none() {
        let toolbox = toolbox();
        for text in [
            "",
            "The answer is 7.",
            r#"{"expression": "1"}"#,
            r#"{"name": "Ada", "arguments": 2}"#,
            r#"{"name": "calc"}"#,
            r#"{"name": "calc", "description": "Computes.", "parameters": {"type": "object"}}"#,
            "<invoke name=\"other\">",
            "```json\n{\"a\": 1}\n```",
            "functions.calc is the function that I used.",
            "functions.other({})",
            "Write <tool_call> to call.",
            "```",
        ] {
            assert!(!meant_as_call(&Message::assistant(Channel::Final, text), &toolbox), "{text}");
        }
        assert!(!meant_as_call(&Message::call("functions.calc", r#"{"name": "calc", "arguments": {}}"#), &toolbox));
    }
}
