//! A dialogue as `generate.py` writes it, and the token ids that the project's own renderer makes of it.

use ossicle::harmony::{
    Author, Builtin, Channel, Content, Declaration, DeveloperContent, Encoding, Message, ReasoningEffort, Role,
    SystemContent, Token, TurnGrammar, special,
};
use serde::Deserialize;
use serde_json::Value;

/// Marks the ids that the model has to learn.
pub const LEARNT: u32 = 1 << 31;

#[derive(Deserialize)]
pub struct Bundle {
    system: System,
    developer: Developer,
    pub branches: Vec<Branch>,
}

#[derive(Deserialize)]
struct System {
    date: String,
    effort: String,
    #[serde(default)]
    builtins: Vec<Named>,
}

/// A built-in tool, declared as the project declares it.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Named {
    /// With its sources, the default one first.
    Browser(Vec<String>),
    /// With its time limit in seconds.
    Python(u32),
}

#[derive(Deserialize)]
struct Developer {
    instructions: Option<String>,
    functions: Vec<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    description: String,
    parameters: Option<Value>,
}

#[derive(Deserialize)]
pub struct Branch {
    /// What kind of request the last turn is.
    #[allow(dead_code, reason = "of the two programs that share this file, one reads it")]
    pub category: String,
    pub messages: Vec<Turn>,
}

#[derive(Deserialize)]
pub struct Turn {
    pub role: String,
    name: Option<String>,
    pub channel: Option<String>,
    pub to: Option<String>,
    #[serde(rename = "type")]
    content_type: Option<String>,
    pub text: String,
    /// Part of a finished turn: read, not learnt.
    #[serde(default)]
    pub history: bool,
}

impl Bundle {
    /// What the model may write under it.
    #[allow(dead_code, reason = "of the two programs that share this file, one reads it")]
    pub fn grammar(&self) -> TurnGrammar {
        TurnGrammar::new(&declarations(&self.developer.functions), &self.builtins())
    }

    fn builtins(&self) -> Vec<Builtin> {
        let builtin = |named: &Named| match named {
            Named::Browser(sources) => Builtin::browser(&sources.iter().map(String::as_str).collect::<Vec<_>>()),
            Named::Python(limit_s) => Builtin::python(*limit_s),
        };
        self.system.builtins.iter().map(builtin).collect()
    }

    /// The system and the developer message.
    pub fn prefix(&self, encoding: &Encoding) -> Vec<Token> {
        let effort = match self.system.effort.as_str() {
            "low" => ReasoningEffort::Low,
            "high" => ReasoningEffort::High,
            _ => ReasoningEffort::Medium,
        };
        encoding.render_conversation(&[
            Message::system(SystemContent {
                current_date: Some(self.system.date.clone()),
                reasoning_effort: effort,
                builtins: self.builtins(),
                functions_declared: !self.developer.functions.is_empty(),
                ..SystemContent::default()
            }),
            Message::developer(DeveloperContent {
                instructions: self.developer.instructions.clone(),
                functions: declarations(&self.developer.functions),
                ..DeveloperContent::default()
            }),
        ])
    }
}

fn declarations(functions: &[Function]) -> Vec<Declaration> {
    let declare = |f: &Function| Declaration {
        name: f.name.clone(),
        description: f.description.clone(),
        parameters: f.parameters.clone(),
    };
    functions.iter().map(declare).collect()
}

impl Turn {
    /// Appends the message. `goes_on` says whether the model spoke just before and writes `<|start|>assistant` itself, as it
    /// does after its reasoning; it is changed to what holds after this message.
    pub fn render(&self, encoding: &Encoding, goes_on: &mut bool, ids: &mut Vec<u32>) {
        let learnt = if self.history { 0 } else { LEARNT };
        if self.role == "assistant" {
            let header = if *goes_on { learnt } else { 0 };
            ids.extend(encoding.generation_prompt().iter().map(|id| id | header));
            ids.extend(self.said().iter().map(|id| id | learnt));
            *goes_on = self.to.is_none() && self.channel.as_deref() != Some("final");
            return;
        }
        let author = match self.role.as_str() {
            "user" => Author::from(Role::User),
            _ => Author { role: Role::Tool, name: self.name.clone() },
        };
        let message = Message {
            recipient: (author.role == Role::Tool).then(|| "assistant".into()),
            channel: self.channel.as_deref().map(channel),
            author,
            content_type: None,
            content: Content::Text(self.text.clone()),
            diagnostics: Vec::new(),
        };
        encoding.render(&message, ids);
        *goes_on = false;
    }

    /// What the model writes after `<|start|>assistant`: models put the recipient behind the channel, the renderer before it.
    fn said(&self) -> Vec<Token> {
        let text = |text: &str| ossicle::harmony::tokenizer::encode_ordinary(text);
        let mut ids = vec![special::CHANNEL];
        ids.extend(text(channel(self.channel.as_deref().unwrap_or_default()).as_str()));
        if let Some(recipient) = &self.to {
            ids.extend(text(&format!(" to={recipient}")));
            match self.content_type.as_deref() {
                Some("json") => {
                    ids.extend(text(" "));
                    ids.push(special::CONSTRAIN);
                    ids.extend(text("json"));
                }
                Some(other) => ids.extend(text(&format!(" {other}"))),
                None => {}
            }
        }
        ids.push(special::MESSAGE);
        ids.extend(text(&self.text));
        ids.push(match (&self.to, self.channel.as_deref(), self.history) {
            (Some(_), _, _) => special::CALL,
            (None, Some("final"), false) => special::RETURN,
            _ => special::END,
        });
        ids
    }
}

fn channel(name: &str) -> Channel {
    match name {
        "analysis" => Channel::Analysis,
        "commentary" => Channel::Commentary,
        _ => Channel::Final,
    }
}
