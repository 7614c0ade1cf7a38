//! The message that a parser is reading: its tokens, its header, its text so far. Which token means what is not known
//! here, only how bytes become text. Start at [`Open::write`].

use super::{
    Channel, Content, Diagnostic, Message, Parsed, Token,
    header::{Header, Opening},
};

/// The message being read.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) tokens: Vec<Token>,
    pub(super) opening: Opening,
    pub(super) header: Header,
    /// Its header is set where the content begins, its content where it ends.
    pub(super) message: Message,
    pub(super) text: String,
    /// The beginning of a character whose other bytes are still to come: at most 3 bytes.
    tail: Vec<u8>,
    /// Whether invalid bytes were noted: once a message, however many there are.
    is_invalid: bool,
}

impl Open {
    pub(super) fn new(opening: Opening) -> Self {
        Self {
            tokens: Vec::new(),
            opening,
            header: Header::default(),
            message: Message { channel: None, ..Message::assistant(Channel::Final, "") },
            text: String::new(),
            tail: Vec::new(),
            is_invalid: false,
        }
    }

    pub(super) fn note(&mut self, diagnostic: Diagnostic) {
        self.message.diagnostics.push(diagnostic);
    }

    /// Appends content. Invalid bytes become U+FFFD, one for each maximal broken sequence.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        loop {
            match std::str::from_utf8(&self.tail) {
                Ok(valid) => {
                    self.text.push_str(valid);
                    self.tail.clear();
                    return;
                }
                Err(error) => {
                    let n_valid = error.valid_up_to();
                    self.text.push_str(&String::from_utf8_lossy(&self.tail[..n_valid]));
                    let Some(n_broken) = error.error_len() else {
                        self.tail.drain(..n_valid);
                        return;
                    };
                    self.write_replacement();
                    self.tail.drain(..n_valid + n_broken);
                }
            }
        }
    }

    fn write_replacement(&mut self) {
        self.text.push(char::REPLACEMENT_CHARACTER);
        if !std::mem::replace(&mut self.is_invalid, true) {
            self.note(Diagnostic::InvalidUtf8);
        }
    }

    /// Reads the header. `is_closed` says that `<|message|>` ended it; else its last part may hold content.
    pub(super) fn begin_content(&mut self, is_closed: bool) {
        let reading = self.header.read(self.opening, is_closed);
        self.message.author = reading.author;
        self.message.recipient = reading.recipient;
        self.message.channel = reading.channel;
        self.message.content_type = reading.content_type;
        self.is_invalid = reading.diagnostics.contains(&Diagnostic::InvalidUtf8);
        self.message.diagnostics.extend(reading.diagnostics);
        if !is_closed {
            self.note(Diagnostic::MissingMessage);
        }
        self.text = reading.rest;
    }

    /// The message as it stands, and its tokens.
    pub(super) fn end(mut self) -> Parsed {
        if !self.tail.is_empty() {
            self.write_replacement();
        }
        self.message.content = Content::Text(self.text);
        Parsed { message: self.message, tokens: self.tokens }
    }
}
