//! Reads what stands between `<|start|>` and `<|message|>`: role, name, recipient, channel, content type, in the order
//! of the specification or as models really write them. It keeps no tokens and decides nothing about tools.
//! Start at [`Header::read`].

use super::{
    Author, Channel, Diagnostic, Role, Token,
    special::{CHANNEL, CONSTRAIN},
    word::{ROLES, TYPES, channel, guess, split_known},
};
use std::borrow::Cow;

/// How a header began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// With `<|start|>`: the first word is the role, or a tool's name in its place.
    Start,
    /// After the prompt's `<|start|>assistant`, or without any start: the assistant speaks.
    Implied,
}

/// The text of a header, cut at its special tokens.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// The first part has no mark and holds the author; every other begins after the special token it names.
    parts: Vec<(Option<Token>, Vec<u8>)>,
}

impl Default for Header {
    fn default() -> Self {
        Self { parts: vec![(None, Vec::new())] }
    }
}

/// What a header says.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) author: Author,
    pub(super) recipient: Option<String>,
    pub(super) channel: Option<Channel>,
    pub(super) content_type: Option<String>,
    /// Content that stood in an unclosed header.
    pub(super) rest: String,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Header {
    /// Appends text.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if let Some((_, part)) = self.parts.last_mut() {
            part.extend_from_slice(bytes);
        }
    }

    /// A special token ends a word and begins a part.
    pub(super) fn mark(&mut self, token: Token) {
        self.parts.push((Some(token), Vec::new()));
    }

    /// Whether the last part ends with a whole character, or is broken anyway.
    pub(super) fn is_whole(&self) -> bool {
        let is_cut = |part: &[u8]| std::str::from_utf8(part).is_err_and(|error| error.error_len().is_none());
        self.parts.last().is_none_or(|(_, part)| !is_cut(part))
    }

    /// Whether there is nothing yet but perhaps the assistant's role.
    pub(super) fn is_role_only(&self) -> bool {
        let [(_, part)] = self.parts.as_slice() else { return false };
        matches!(part.trim_ascii(), b"" | b"assistant")
    }

    /// Reads the header. An unclosed one (no `<|message|>`) may hold content in its last part.
    pub(super) fn read(&self, opening: Opening, is_closed: bool) -> Reading {
        let mut reader = Reader::new(opening);
        let n_closed = if is_closed { self.parts.len() } else { self.parts.len() - 1 };
        for (part_idx, (mark, bytes)) in self.parts.iter().enumerate() {
            let text = String::from_utf8_lossy(bytes);
            if matches!(text, Cow::Owned(_)) {
                reader.note(Diagnostic::InvalidUtf8);
            }
            if part_idx < n_closed {
                reader.read_closed(*mark, &text);
            } else {
                reader.read_unclosed(*mark, &text);
            }
        }
        reader.conclude()
    }
}

struct Reader {
    opening: Opening,
    author: Author,
    recipient: Option<String>,
    /// The channel, and whether it was spelled as it should be.
    channel: Option<(Channel, bool)>,
    /// The word after `<|constrain|>`.
    constrained: Option<String>,
    /// Words of no known kind, in order.
    loose: Vec<String>,
    rest: String,
    diagnostics: Vec<Diagnostic>,
}

impl Reader {
    fn new(opening: Opening) -> Self {
        Self {
            opening,
            author: Role::Assistant.into(),
            recipient: None,
            channel: None,
            constrained: None,
            loose: Vec::new(),
            rest: String::new(),
            diagnostics: Vec::new(),
        }
    }

    fn note(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// A part that a special token ended: all of it is header.
    fn read_closed(&mut self, mark: Option<Token>, text: &str) {
        let mut words = text.split_whitespace().peekable();
        match (mark, words.peek().copied()) {
            (None, Some(word)) if self.read_author(word) => {
                words.next();
            }
            (Some(mark @ (CHANNEL | CONSTRAIN)), None) => self.note(Diagnostic::StraySpecial(mark)),
            (Some(CHANNEL), Some(word)) if !word.starts_with("to=") => {
                self.set_channel(word);
                words.next();
            }
            (Some(CONSTRAIN), Some(word)) if !word.starts_with("to=") => {
                self.constrained = Some(word.to_owned());
                words.next();
            }
            _ => {}
        }
        for word in words {
            match word.strip_prefix("to=") {
                Some(name) => self.set_recipient(name),
                None => self.loose.push(word.to_owned()),
            }
        }
    }

    /// The last part of an unclosed header: what cannot be header is content.
    fn read_unclosed(&mut self, mark: Option<Token>, text: &str) {
        let mut rest = text;
        match mark {
            None if self.opening == Opening::Start => {
                if let Some((role, after)) = split_known(text, &ROLES, Role::as_str) {
                    self.author = role.into();
                    rest = after;
                }
            }
            Some(CHANNEL) => rest = self.split_channel(text),
            Some(CONSTRAIN) => {
                if let Some((word, after)) = split_known(text, &TYPES, |word| word) {
                    self.constrained = Some(word.to_owned());
                    rest = after;
                }
            }
            _ => {}
        }
        if let Some(after) = rest.strip_prefix(" to=") {
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            let (name, after) = after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len()));
            self.set_recipient(name);
            rest = after;
        }
        if let Some((word, after)) = split_known(rest.trim_start(), &TYPES, |word| word)
            && self.recipient.is_some()
            && self.constrained.is_none()
            && !after.starts_with(|c: char| c.is_alphanumeric())
        {
            self.constrained = Some(word.to_owned());
            rest = after;
        }
        self.rest = rest.trim_start().to_owned();
    }

    /// Takes the longest channel that an unclosed header's last part begins with, and gives what follows.
    fn split_channel<'a>(&mut self, text: &'a str) -> &'a str {
        let text = text.trim_start();
        if let Some((channel, after)) = split_known(text, &Channel::ALL, Channel::as_str) {
            self.channel = Some((channel, true));
            return after;
        }
        let word = text.split_whitespace().next().unwrap_or_default();
        if word.is_empty() {
            self.note(Diagnostic::StraySpecial(CHANNEL));
            return text;
        }
        self.set_channel(word);
        if guess(word).is_some() { &text[word.len()..] } else { text }
    }

    /// Whether the word is the author. After an implied start only a role is, and it says nothing new.
    fn read_author(&mut self, word: &str) -> bool {
        let (role, name) = word.split_once(':').map_or((word, None), |(role, name)| (role, Some(name)));
        match ROLES.into_iter().find(|known| known.as_str() == role) {
            Some(role) => self.author = Author { role, name: name.map(str::to_owned) },
            None if self.opening == Opening::Start && !word.starts_with("to=") => {
                self.author = Author { role: Role::Tool, name: Some(word.to_owned()) };
            }
            None => return false,
        }
        true
    }

    fn set_channel(&mut self, word: &str) {
        let exact = channel(word);
        if exact.is_none() {
            self.note(Diagnostic::UnknownChannel(word.to_owned()));
        }
        match (exact, self.channel) {
            // A second channel that is none does not replace one that is.
            (None, Some((_, true))) => {}
            (None, _) => self.channel = Some((guess(word).unwrap_or(Channel::Analysis), false)),
            (Some(channel), before) => {
                if let Some((before, true)) = before
                    && before != channel
                {
                    self.note(Diagnostic::UnexpectedHeader(before.as_str().to_owned()));
                }
                self.channel = Some((channel, true));
            }
        }
    }

    fn set_recipient(&mut self, name: &str) {
        if name.is_empty() {
            self.note(Diagnostic::UnexpectedHeader("to=".to_owned()));
            return;
        }
        if let Some(before) = self.recipient.replace(name.to_owned())
            && before != name
        {
            self.note(Diagnostic::TwoRecipients(before, name.to_owned()));
        }
    }

    fn conclude(mut self) -> Reading {
        if self.channel.is_none()
            && let Some(word) = self.take_loose(|word| channel(word).is_some())
        {
            self.set_channel(&word);
        }
        let mut content_type = self.constrained.take();
        if content_type.is_none() {
            content_type = self.take_loose(|word| TYPES.contains(&word));
        }
        // A single word of no other kind is a content type nobody has heard of; several are prose.
        if content_type.is_none() && self.loose.len() == 1 {
            content_type = self.loose.pop();
        }
        let prose = std::mem::take(&mut self.loose);
        self.diagnostics.extend(prose.into_iter().map(Diagnostic::UnexpectedHeader));

        let is_assistant = self.author.role == Role::Assistant;
        let is_nobody = |name: &String| is_assistant && (name == Role::Assistant.as_str() || name.starts_with("<|"));
        if let Some(name) = self.recipient.take_if(|name| is_nobody(name)) {
            self.note(Diagnostic::UnexpectedHeader(format!("to={name}")));
        }
        if is_assistant && self.channel.is_none() {
            self.note(Diagnostic::MissingChannel);
            let channel = if self.recipient.is_some() { Channel::Commentary } else { Channel::Final };
            self.channel = Some((channel, false));
        }
        Reading {
            author: self.author,
            recipient: self.recipient,
            channel: self.channel.map(|(channel, _)| channel),
            content_type,
            rest: self.rest,
            diagnostics: self.diagnostics,
        }
    }

    /// Removes the last loose word that fits.
    fn take_loose(&mut self, fits: impl Fn(&str) -> bool) -> Option<String> {
        let word_idx = self.loose.iter().rposition(|word| fits(word))?;
        Some(self.loose.remove(word_idx))
    }
}
