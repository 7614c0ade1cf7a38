//! Tokens to messages, one token at a time. It never fails and loses nothing: every token fed belongs to exactly one
//! message, and what was wrong with it is a [`Diagnostic`] beside it. It does not judge: whether a recipient exists and
//! whether arguments are JSON is not asked here. Start at [`StreamParser::push`]; headers are read in `header.rs`.

use super::{
    Channel, Diagnostic, Message, Role, Token,
    header::{Header, Opening},
    open::Open,
    special::{self, CHANNEL, CONSTRAIN, ENDOFTEXT, MESSAGE, START},
    tokenizer,
};

/// Tokens of text after which an unclosed header is content after all: a model that forgot the format is streamed.
const MAX_HEADER_TOKENS: usize = 64;

/// A message and the tokens it was read from, in order. The tokens of all messages together are the tokens fed.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// What was said.
    pub message: Message,
    /// From `<|start|>` (or what stood in its place) to the terminator, stray tokens included.
    pub tokens: Vec<Token>,
}

/// A piece of content as it arrives: always whole characters, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta<'a> {
    /// Who speaks.
    pub role: Role,
    /// On which channel.
    pub channel: Option<Channel>,
    /// To whom; a call's arguments have one.
    pub recipient: Option<&'a str>,
    /// The piece.
    pub text: &'a str,
}

/// Reads generated tokens. One parser reads one generation, or any rendered conversation.
#[derive(Clone, Debug)]
pub struct StreamParser {
    stage: Stage,
    open: Open,
    finished: Vec<Parsed>,
}

/// Where in a message the next token falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Between,
    Header,
    Content,
}

impl Default for StreamParser {
    fn default() -> Self {
        Self::new()
    }
}

impl StreamParser {
    /// A parser for whole messages: the first token is expected to be `<|start|>`.
    pub fn new() -> Self {
        Self { stage: Stage::Between, open: Open::new(Opening::Implied), finished: Vec::new() }
    }

    /// A parser for what a model writes after the prompt's last tokens, `<|start|>assistant`.
    pub fn after_prompt() -> Self {
        Self { stage: Stage::Header, ..Self::new() }
    }

    /// Takes the next token and gives the text that it completes, if any.
    pub fn push(&mut self, token: Token) -> Option<Delta<'_>> {
        let (n_finished, n_bytes) = (self.finished.len(), self.open.text.len());
        match tokenizer::decode_bytes(token) {
            Some(bytes) => self.push_text(token, bytes),
            None => self.push_special(token),
        }
        self.delta(n_finished, n_bytes)
    }

    /// Says that no token follows: ends an unfinished message and gives what was held back of its text.
    pub fn close(&mut self) -> Option<Delta<'_>> {
        let (n_finished, n_bytes) = (self.finished.len(), self.open.text.len());
        if !self.open.tokens.is_empty() {
            if self.stage != Stage::Content {
                self.open.begin_content(false);
            }
            self.open.note(Diagnostic::Unfinished);
            self.end();
        }
        self.stage = Stage::Between;
        self.delta(n_finished, n_bytes)
    }

    /// The messages that have ended so far.
    pub fn finished(&self) -> &[Parsed] {
        &self.finished
    }

    /// All messages; one that had not ended carries [`Diagnostic::Unfinished`].
    pub fn finish(mut self) -> Vec<Parsed> {
        self.close();
        self.finished
    }

    /// What was added to the message that was open when there were `n_finished` and it had `n_bytes` of text.
    fn delta(&self, n_finished: usize, n_bytes: usize) -> Option<Delta<'_>> {
        let (message, text) = match self.finished.get(n_finished) {
            Some(parsed) => (&parsed.message, parsed.message.text().unwrap_or_default()),
            None => (&self.open.message, self.open.text.as_str()),
        };
        let text = text.get(n_bytes..).filter(|text| !text.is_empty())?;
        let (role, channel) = (message.author.role, message.channel);
        Some(Delta { role, channel, recipient: message.recipient.as_deref(), text })
    }

    fn push_text(&mut self, token: Token, bytes: &[u8]) {
        if self.stage == Stage::Between {
            self.begin(Opening::Implied);
        }
        self.open.tokens.push(token);
        if self.stage == Stage::Content {
            self.open.write(bytes);
            return;
        }
        self.open.header.push(bytes);
        if self.open.tokens.len() > MAX_HEADER_TOKENS && self.open.header.is_whole() {
            self.open.begin_content(false);
            self.stage = Stage::Content;
        }
    }

    fn push_special(&mut self, token: Token) {
        match (self.stage, token) {
            (Stage::Between, START) => {
                self.begin(Opening::Start);
                self.open.tokens.push(token);
            }
            (Stage::Between, CHANNEL | CONSTRAIN | MESSAGE) => {
                self.begin(Opening::Implied);
                self.push_special(token);
            }
            (Stage::Between, _) => self.stray_between(token),
            (Stage::Header, START) if self.open.header.is_role_only() => {
                self.stray(token);
                self.open.header = Header::default();
                self.open.opening = Opening::Start;
            }
            (Stage::Header | Stage::Content, START) => {
                self.end_early();
                self.push_special(token);
            }
            (Stage::Header, MESSAGE) => {
                self.open.tokens.push(token);
                self.open.begin_content(true);
                self.stage = Stage::Content;
            }
            // A new header inside the content: what ended the message and began the next is missing.
            (Stage::Content, CHANNEL) => {
                self.end_early();
                self.push_special(token);
            }
            (_, token) if special::is_terminator(token) => {
                self.open.tokens.push(token);
                self.end_at_terminator();
            }
            (_, ENDOFTEXT) => {
                self.stray(token);
                self.end_at_terminator();
            }
            (Stage::Header, CHANNEL | CONSTRAIN) => {
                self.open.tokens.push(token);
                self.open.header.mark(token);
            }
            (Stage::Header, _) => {
                self.stray(token);
                self.open.header.mark(token);
            }
            (Stage::Content, _) => self.stray(token),
        }
    }

    /// Begins a message, where strays before the first one may already lie.
    fn begin(&mut self, opening: Opening) {
        self.open.opening = opening;
        self.stage = Stage::Header;
        if opening == Opening::Implied {
            self.open.note(Diagnostic::MissingStart);
        }
    }

    fn stray(&mut self, token: Token) {
        self.open.tokens.push(token);
        self.open.note(Diagnostic::StraySpecial(token));
    }

    /// A token between messages belongs to the one before it, or else to the first to come.
    fn stray_between(&mut self, token: Token) {
        match self.finished.last_mut() {
            Some(parsed) => {
                parsed.tokens.push(token);
                parsed.message.diagnostics.push(Diagnostic::StraySpecial(token));
            }
            None => self.stray(token),
        }
    }

    fn end_at_terminator(&mut self) {
        if self.stage == Stage::Header {
            self.open.begin_content(false);
        }
        self.end();
    }

    fn end_early(&mut self) {
        if self.stage == Stage::Header {
            self.open.begin_content(false);
        }
        self.open.note(Diagnostic::MissingEnd);
        self.end();
    }

    fn end(&mut self) {
        let open = std::mem::replace(&mut self.open, Open::new(Opening::Implied));
        self.finished.push(open.end());
        self.stage = Stage::Between;
    }
}
