//! The token ids of a conversation, exactly as the model saw and produced them.
//!
//! It never renders a message twice: within a turn ids are only appended; between turns whole messages leave
//! (the reasoning of finished turns), and the ids of the others stay as they are.

use crate::harmony::{Channel, Encoding, Message, Token, special};

/// Messages with their ids, in order.
#[derive(Default)]
pub(super) struct Transcript {
    entries: Vec<Entry>,
}

struct Entry {
    message: Message,
    tokens: Vec<Token>,
}

impl Transcript {
    /// Appends a message of the runtime's own: a prompt, a user's line, a tool's reply. Returns its ids.
    pub(super) fn push_rendered(&mut self, encoding: &Encoding, message: Message) -> &[Token] {
        let mut tokens = Vec::new();
        encoding.render(&message, &mut tokens);
        self.push(message, tokens)
    }

    /// Appends a message of the model's with the ids it came from.
    pub(super) fn push_generated(&mut self, message: Message, mut tokens: Vec<Token>) {
        if let Some(last) = tokens.last_mut().filter(|last| **last == special::RETURN) {
            // `<|return|>` exists while decoding only; in a history the message simply ends.
            *last = special::END;
        }
        self.push(message, tokens);
    }

    fn push(&mut self, message: Message, tokens: Vec<Token>) -> &[Token] {
        self.entries.push(Entry { message, tokens });
        self.entries.last().map_or(&[], |entry| &entry.tokens)
    }

    /// The history rule: when the user speaks again, the reasoning of the turns before is dropped.
    pub(super) fn drop_finished_reasoning(&mut self) {
        self.entries.retain(|entry| entry.message.channel != Some(Channel::Analysis));
    }

    /// Everything so far.
    pub(super) fn tokens(&self) -> Vec<Token> {
        self.entries.iter().flat_map(|entry| &entry.tokens).copied().collect()
    }
}
