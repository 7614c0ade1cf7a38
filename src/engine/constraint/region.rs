//! Where in a turn the tokens have come to, and whether something there has gone on for too long. It forbids nothing itself.
//! Start at [`Regions::push`].

use super::json::Json;
use crate::harmony::{Body, Channel, Token, TurnGrammar, special, tokenizer};
use std::sync::Arc;

/// What kind of token is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A header, or what stands between two messages.
    Header,
    /// Words or code.
    Text,
    /// Inside a string of JSON.
    JsonString,
    /// Elsewhere in JSON.
    Json,
}

/// The place, and how long it has been going on.
#[derive(Clone)]
pub(super) struct Regions {
    grammar: Arc<TurnGrammar>,
    is_lifted: bool,
    header: Vec<u8>,
    content: Option<Content>,
}

#[derive(Clone)]
struct Content {
    /// In tokens.
    cap: usize,
    n_tokens: usize,
    json: Option<Json>,
}

impl Regions {
    pub(super) fn new(grammar: Arc<TurnGrammar>) -> Self {
        Self { is_lifted: false, grammar, header: Vec::new(), content: None }
    }

    /// From now on nothing is too long.
    pub(super) fn lift_caps(&mut self) {
        self.is_lifted = true;
    }

    pub(super) fn push(&mut self, token: Token) {
        match (token, &mut self.content) {
            (special::MESSAGE, _) => self.content = Some(self.open()),
            (special::START | special::END, _) => {
                self.header.clear();
                self.content = None;
            }
            (_, Some(content)) => {
                content.n_tokens += 1;
                if let (Some(json), Some(bytes)) = (&mut content.json, tokenizer::decode_bytes(token)) {
                    json.push(bytes);
                }
            }
            (special::CHANNEL | special::CONSTRAIN, None) => self.header.push(b' '),
            (_, None) => self.header.extend(tokenizer::decode_bytes(token).unwrap_or_default()),
        }
    }

    /// The content that the header announces.
    fn open(&self) -> Content {
        let caps = &self.grammar.caps;
        let header = String::from_utf8_lossy(&self.header);
        let is_on = |channel: Channel| header.split_whitespace().any(|word| word == channel.as_str());
        let recipient = header.split_whitespace().find_map(|word| word.strip_prefix("to="));
        let call = recipient.and_then(|name| self.grammar.calls.iter().find(|call| call.recipient == name));
        let (cap, body) = match call {
            Some(call) => (caps.call, Some(&call.body)),
            None if is_on(Channel::Final) => (caps.answer, self.grammar.answer.as_ref()),
            None if is_on(Channel::Commentary) => (caps.preamble, None),
            None => (caps.analysis, None),
        };
        Content { cap, n_tokens: 0, json: matches!(body, Some(Body::Json(_))).then(Json::default) }
    }

    pub(super) fn place(&self) -> Place {
        match &self.content {
            None => Place::Header,
            Some(Content { json: None, .. }) => Place::Text,
            Some(Content { json: Some(json), .. }) if json.is_in_string => Place::JsonString,
            Some(_) => Place::Json,
        }
    }

    /// Whether the token, though the grammar allows it, would make JSON that is read in more than one way.
    pub(super) fn is_spoilt_by(&self, token: Token) -> bool {
        let json = self.content.as_ref().and_then(|content| content.json.as_ref());
        json.is_some_and(|json| json.is_spoilt_by(tokenizer::decode_bytes(token).unwrap_or_default()))
    }

    /// Whether a turn may end in an answer.
    pub(super) fn may_answer(&self) -> bool {
        self.grammar.answer.is_some()
    }

    /// Whether something has met its cap.
    pub(super) fn is_full(&self) -> bool {
        let content = self.content.as_ref().filter(|_| !self.is_lifted);
        content.is_some_and(|content| {
            let is_full = |json: &Json| json.is_full(&self.grammar.caps);
            content.n_tokens >= content.cap || content.json.as_ref().is_some_and(is_full)
        })
    }
}
