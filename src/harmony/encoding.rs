//! Messages to tokens: one message, a conversation, the prompt of a generation. It never re-renders what a model said
//! within a turn (the transcript is ids, and a caller appends to it) and it does not read tokens: the parser does.
//! Start at [`Encoding::render_for_completion`].

use super::{
    Channel, Content, Message, Role, StreamParser, Token,
    prompt::{self, Dialect},
    special::{self, CALL, CHANNEL, CONSTRAIN, END, MESSAGE, START},
    tokenizer,
};

/// The harmony encoding. Costs nothing to copy; the tables behind it are shared and built on first use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    dialect: Dialect,
}

impl Encoding {
    /// The encoding in daily use.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares functions exactly as the reference implementation does, which knows neither `$ref` nor `anyOf`.
    pub fn reference() -> Self {
        Self { dialect: Dialect::Reference }
    }

    /// Appends a message: `<|start|>header<|message|>content<|end|>`, or `<|call|>` after a call.
    pub fn render(&self, message: &Message, into: &mut Vec<Token>) {
        into.push(START);
        self.render_author(message, into);
        if let Some(recipient) = message.recipient.as_deref().filter(|name| *name != "all") {
            text(&format!(" to={recipient}"), into);
        }
        if let Some(channel) = message.channel {
            into.push(CHANNEL);
            text(channel.as_str(), into);
        }
        match message.content_type.as_deref() {
            None => {}
            // A model writes `json` only after the token that promises it.
            Some("json") => {
                text(" ", into);
                into.push(CONSTRAIN);
                text("json", into);
            }
            Some(other) => text(&format!(" {other}"), into),
        }
        into.push(MESSAGE);
        match &message.content {
            Content::Text(content) => text(content, into),
            Content::System(system) => text(&prompt::system(system, self.dialect), into),
            Content::Developer(developer) => text(&prompt::developer(developer, self.dialect), into),
        }
        let is_call = message.author.role == Role::Assistant && message.recipient.is_some();
        into.push(if is_call { CALL } else { END });
    }

    fn render_author(&self, message: &Message, into: &mut Vec<Token>) {
        let role = message.author.role.as_str();
        match (&message.author.name, message.author.role) {
            (Some(name), Role::Tool) => text(name, into),
            (Some(name), _) => {
                text(role, into);
                text(&format!(":{name}"), into);
            }
            (None, _) => text(role, into),
        }
    }

    /// The messages, one after the other.
    pub fn render_conversation<'a>(&self, messages: impl IntoIterator<Item = &'a Message>) -> Vec<Token> {
        let mut tokens = Vec::new();
        for message in messages {
            self.render(message, &mut tokens);
        }
        tokens
    }

    /// The prompt of a generation: the conversation as [`history`] leaves it, then `<|start|>assistant`.
    pub fn render_for_completion(&self, messages: &[Message]) -> Vec<Token> {
        let mut tokens = self.render_conversation(history(messages));
        tokens.extend(self.generation_prompt());
        tokens
    }

    /// What every prompt ends with: `<|start|>assistant`. The model writes the rest of the header itself.
    pub fn generation_prompt(&self) -> Vec<Token> {
        let mut tokens = vec![START];
        text(Role::Assistant.as_str(), &mut tokens);
        tokens
    }

    /// A parser for what is generated after [`generation_prompt`](Self::generation_prompt).
    pub fn parser_after_prompt(&self) -> StreamParser {
        StreamParser::after_prompt()
    }

    /// A parser for whole messages.
    pub fn parser(&self) -> StreamParser {
        StreamParser::new()
    }

    /// The rest of the header of a message on `channel`: after [`generation_prompt`](Self::generation_prompt), it leaves a
    /// model nothing to write there but the content.
    pub fn header(&self, channel: Channel) -> Vec<Token> {
        let mut tokens = vec![CHANNEL];
        text(channel.as_str(), &mut tokens);
        tokens.push(MESSAGE);
        tokens
    }

    /// Where a generation stops: return, call and the end of text, in ascending order.
    pub fn stop_tokens(&self) -> &'static [Token] {
        &special::STOP
    }

    /// What a generation must never contain, in ascending order: the reserved ids and the start of text.
    pub fn forbidden_tokens(&self) -> Vec<Token> {
        special::forbidden()
    }
}

/// What of a conversation goes into the next prompt: all but the analysis of finished turns.
///
/// A turn is finished when the user has spoken again. Within the last turn everything stays, because a model that loses
/// its reasoning between two calls gets worse with each. With the analysis go the calls made on that channel and their
/// results, which were part of the reasoning.
pub fn history(messages: &[Message]) -> Vec<&Message> {
    let last_user = messages.iter().rposition(|message| message.author.role == Role::User).unwrap_or(0);
    let is_kept = |idx: usize, message: &Message| idx >= last_user || message.channel != Some(Channel::Analysis);
    messages.iter().enumerate().filter(|(idx, message)| is_kept(*idx, message)).map(|(_, message)| message).collect()
}

fn text(text: &str, into: &mut Vec<Token>) {
    into.extend(tokenizer::encode_ordinary(text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harmony::{DeveloperContent, SystemContent};

    fn turns() -> Vec<Message> {
        vec![
            Message::system(SystemContent::default()),
            Message::developer(DeveloperContent::default()),
            Message::user("one"),
            Message::assistant(Channel::Analysis, "think"),
            Message { channel: Some(Channel::Analysis), ..Message::call("python", "1") },
            Message::tool("python", Channel::Analysis, "1"),
            Message::call("functions.f", "{}"),
            Message::tool("functions.f", Channel::Commentary, "ok"),
            Message::assistant(Channel::Final, "done"),
            Message::user("two"),
            Message::assistant(Channel::Analysis, "think again"),
            Message::call("functions.f", "{}"),
            Message::tool("functions.f", Channel::Commentary, "ok"),
        ]
    }

    #[test]
    fn analysis_of_finished_turns_is_dropped_and_that_of_the_last_kept() {
        let all = turns();
        let indices = |n_messages: usize| -> Vec<usize> {
            let kept = history(&all[..n_messages]);
            (0..n_messages)
                .filter(|&idx| kept.iter().any(|message| std::ptr::eq(*message, &raw const all[idx])))
                .collect()
        };
        assert_eq!(indices(13), [0, 1, 2, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(indices(10), [0, 1, 2, 6, 7, 8, 9], "the new user message ends the turn before it");
        assert_eq!(indices(9), (0..9).collect::<Vec<_>>(), "an answer alone does not");
        assert_eq!(indices(2), [0, 1], "no user at all");
        assert!(history(&[]).is_empty());
    }

    #[test]
    fn a_prompt_is_the_history_and_an_open_assistant_message() {
        let all = turns();
        let encoding = Encoding::new();
        let prompt = encoding.render_for_completion(&all);
        let mut expected = encoding.render_conversation(history(&all));
        expected.extend([START, 173_781]);
        assert_eq!(prompt, expected);
    }

    #[test]
    fn only_the_renderer_makes_special_tokens() {
        let all_markup = "<|start|><|end|><|message|><|channel|><|constrain|><|return|><|call|><|endoftext|>";
        let message = Message {
            recipient: Some(all_markup.into()),
            content_type: Some(all_markup.into()),
            ..Message::tool(all_markup, Channel::Commentary, all_markup)
        };
        let mut tokens = Vec::new();
        Encoding::new().render(&message, &mut tokens);
        let specials: Vec<_> = tokens.into_iter().filter(|&token| token >= special::N_TEXT).collect();
        assert_eq!(specials, [START, CHANNEL, MESSAGE, END]);
    }

    #[test]
    fn the_stop_set_is_ascending_and_allowed() {
        let encoding = Encoding::new();
        assert!(encoding.stop_tokens().is_sorted());
        assert!(encoding.stop_tokens().iter().all(|token| !encoding.forbidden_tokens().contains(token)));
    }
}
