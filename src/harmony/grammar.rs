//! What a model may write in one turn, as plain data: from after the prompt's `<|start|>assistant` to the token that stops
//! generation. Blocks of reasoning and remarks, then one call or one answer.
//!
//! It masks no token and knows no grammar language: `engine::constraint` makes it executable. Start at [`TurnGrammar::new`].

use super::{Builtin, Channel, Declaration};
use serde_json::{Value, json};

/// One turn as it may be written.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnGrammar {
    /// What may be called. Empty forbids calls.
    pub calls: Vec<CallGrammar>,
    /// What an answer contains; `None` forbids answers, so that the turn ends in a call.
    pub answer: Option<Body>,
    /// How much may be written where nothing else ends it.
    pub caps: Caps,
}

/// One recipient and what is sent to it.
#[derive(Clone, Debug, PartialEq)]
pub struct CallGrammar {
    /// As it stands behind `to=`: `functions.calc`, `python`, `browser.search`.
    pub recipient: String,
    /// What the message contains.
    pub body: Body,
    /// The channel that models are trained to make the call on. They may make it on the other one too.
    pub channel: Channel,
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Any text.
    Text,
    /// Any text, announced as code.
    Code,
    /// JSON that this schema allows.
    Json(Value),
}

/// The most that may be written, in tokens unless said otherwise. At a cap the shortest completion goes on, so that a model
/// that ends nothing is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Messages of reasoning and remarks before the call or the answer.
    pub n_blocks: usize,
    /// One message of reasoning.
    pub analysis: usize,
    /// One remark to the user between calls.
    pub preamble: usize,
    /// The answer.
    pub answer: usize,
    /// The body of a call, code included.
    pub call: usize,
    /// A JSON string.
    pub string: usize,
    /// A JSON number.
    pub number: usize,
    /// Items of a JSON array.
    pub n_items: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            n_blocks: 8,
            analysis: 8_192,
            preamble: 512,
            answer: 8_192,
            call: 8_192,
            string: 4_096,
            number: 32,
            n_items: 1_024,
        }
    }
}

/// Which calls a turn may make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// Any of the declared ones, or none.
    #[default]
    Auto,
    /// None.
    None,
    /// Any of the declared ones, and no answer.
    Required,
    /// This recipient, and no answer.
    Named(String),
}

impl TurnGrammar {
    /// Calls of the declared functions and of the built-in tools, or an answer in words.
    pub fn new(functions: &[Declaration], builtins: &[Builtin]) -> Self {
        let function = |declaration: &Declaration| CallGrammar {
            recipient: format!("functions.{}", declaration.name),
            body: Body::Json(parameters(declaration)),
            channel: Channel::Commentary,
        };
        let mut calls: Vec<_> = functions.iter().map(function).collect();
        for builtin in builtins {
            let own = |body, name: String| CallGrammar { recipient: name, body, channel: Channel::Analysis };
            if builtin.functions.is_empty() {
                calls.push(own(Body::Code, builtin.name.clone()));
            }
            calls.extend(builtin.functions.iter().map(|declaration| {
                own(Body::Json(parameters(declaration)), format!("{}.{}", builtin.name, declaration.name))
            }));
        }
        Self { calls, answer: Some(Body::Text), caps: Caps::default() }
    }

    /// The same with only those calls. A choice that demands a call holds for one generation: held to it after the call, a model
    /// could never answer.
    pub fn with_choice(mut self, choice: &ToolChoice) -> Self {
        match choice {
            ToolChoice::Auto => {}
            ToolChoice::None => self.calls.clear(),
            ToolChoice::Required => self.answer = None,
            ToolChoice::Named(recipient) => {
                self.calls.retain(|call| call.recipient == *recipient);
                self.answer = None;
            }
        }
        self
    }

    /// The same with an answer that is JSON of this schema.
    pub fn with_response_format(mut self, schema: Value) -> Self {
        self.answer = Some(Body::Json(schema));
        self
    }
}

/// A function without parameters is called with an empty object.
fn parameters(declaration: &Declaration) -> Value {
    let none = || json!({ "type": "object", "properties": {}, "additionalProperties": false });
    declaration.parameters.clone().unwrap_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declaration(name: &str) -> Declaration {
        Declaration { name: name.into(), description: "-".into(), parameters: None }
    }

    fn grammar() -> TurnGrammar {
        let builtin = |name: &str, functions| Builtin { name: name.into(), description: "-".into(), functions };
        TurnGrammar::new(
            &[declaration("a"), declaration("b")],
            &[builtin("browser", vec![declaration("search")]), builtin("python", vec![])],
        )
    }

    fn recipients(grammar: &TurnGrammar) -> Vec<&str> {
        grammar.calls.iter().map(|call| call.recipient.as_str()).collect()
    }

    #[test]
    fn every_declared_tool_can_be_called_on_its_channel_with_its_body() {
        let grammar = grammar();
        assert_eq!(recipients(&grammar), ["functions.a", "functions.b", "browser.search", "python"]);
        let none = json!({ "type": "object", "properties": {}, "additionalProperties": false });
        assert_eq!(grammar.calls[0].body, Body::Json(none));
        assert_eq!(grammar.calls[3].body, Body::Code);
        let channels: Vec<_> = grammar.calls.iter().map(|call| call.channel).collect();
        assert_eq!(channels, [Channel::Commentary, Channel::Commentary, Channel::Analysis, Channel::Analysis]);
    }

    #[test]
    fn a_choice_narrows_it() {
        let none = grammar().with_choice(&ToolChoice::None);
        assert_eq!((recipients(&none).len(), none.answer), (0, Some(Body::Text)));
        let required = grammar().with_choice(&ToolChoice::Required);
        assert_eq!((recipients(&required).len(), required.answer), (4, None));
        let named = grammar().with_choice(&ToolChoice::Named("functions.b".into()));
        assert_eq!((recipients(&named), named.answer.clone()), (vec!["functions.b"], None));
        let absent = grammar().with_choice(&ToolChoice::Named("functions.c".into()));
        assert!(absent.calls.is_empty() && absent.answer.is_none(), "nothing can be written, and compiling says so");
        let structured = grammar().with_response_format(json!({"type": "object"}));
        assert_eq!(structured.answer, Some(Body::Json(json!({"type": "object"}))));
    }
}
