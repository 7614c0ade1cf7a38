//! The token ids of a conversation, exactly as the model saw and produced them.
//!
//! It never renders a message twice: within a turn ids are only appended; between turns whole messages leave
//! (the reasoning of finished turns), and the ids of the others stay as they are.

use crate::harmony::{Channel, Encoding, Message, Role, Token, special};

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

    /// Appends a message of the model's with the ids it came from, ended as a history ends it: a call by `<|call|>`, all
    /// else by `<|end|>`, whatever the model ended it with. `<|return|>` exists while decoding only.
    pub(super) fn push_generated(&mut self, message: Message, mut tokens: Vec<Token>) {
        while tokens.pop_if(|last| special::is_terminator(*last) || *last == special::ENDOFTEXT).is_some() {}
        tokens.push(if message.is_call() { special::CALL } else { special::END });
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

    /// How many messages there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes back what came after the first `n_messages`.
    pub(super) fn truncate(&mut self, n_messages: usize) {
        self.entries.truncate(n_messages);
    }

    /// Ids of what conversations begin with: who speaks, instructions and tools.
    pub(super) fn n_opening(&self) -> usize {
        let opening = |entry: &&Entry| matches!(entry.message.author.role, Role::System | Role::Developer);
        self.entries.iter().take_while(opening).map(|entry| entry.tokens.len()).sum()
    }

    /// Ids of what stays when the user speaks again: all up to what they said last.
    pub(super) fn n_lasting(&self) -> usize {
        let last = self.entries.iter().rposition(|entry| entry.message.author.role == Role::User);
        self.entries[..last.map_or(0, |idx| idx + 1)].iter().map(|entry| entry.tokens.len()).sum()
    }

    /// Everything so far.
    pub(super) fn tokens(&self) -> Vec<Token> {
        self.entries.iter().flat_map(|entry| &entry.tokens).copied().collect()
    }
}
