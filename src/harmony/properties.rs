//! What holds for any tokens and any message: nothing is lost, nothing is split, and a rendered message is read back.
//! The cases are drawn by proptest. Start at the tests.

use super::{Author, Channel, Content, Encoding, Message, Role, StreamParser, Token, special, tokenizer};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// Any id: structure and header words more often than chance would have them.
fn token() -> impl Strategy<Value = Token> {
    let words = [" to", "=", "assistant", "user", "analysis", "final", "comment", "ary", "functions", ".", "json", " "];
    let words: Vec<_> = words.iter().flat_map(|word| tokenizer::encode_ordinary(word)).collect();
    prop_oneof![
        4 => special::STARTOFTEXT..200_014,
        4 => select(words),
        3 => 0..special::N_TEXT,
        1 => any::<Token>(),
    ]
}

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_<|>-]{1,12}(\\.[a-z]{1,8})?".prop_filter("neither everyone nor a word of the header", |name| {
        !name.starts_with("<|") && !["all", "assistant", "system", "developer", "user"].contains(&name.as_str())
    })
}

/// Any characters, whitespace and the format's own markup among them.
fn text() -> impl Strategy<Value = String> + Clone {
    let markup = ["<|start|>", "<|message|>", "<|end|>", "<|channel|>final", " to=", "\n", "  ", "\r\n\t"];
    let piece =
        prop_oneof![3 => any::<char>().prop_map(String::from), 1 => select(markup.to_vec()).prop_map(String::from)];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn message() -> impl Strategy<Value = Message> {
    let channel = select(Channel::ALL.to_vec());
    let content_type = option::of(select(vec!["json", "code", "yaml"]));
    let text = text();
    let spoken = (channel.clone(), option::of(name()), content_type, text.clone()).prop_map(
        |(channel, recipient, content_type, text)| Message {
            recipient,
            content_type: content_type.map(str::to_owned),
            ..Message::assistant(channel, text)
        },
    );
    let answer = (name(), channel, text.clone()).prop_map(|(name, channel, text)| Message::tool(name, channel, text));
    let heard = (select(vec![Role::User, Role::System, Role::Developer]), option::of(name()), text).prop_map(
        |(role, name, text)| Message {
            author: Author { role, name },
            content: Content::Text(text),
            ..Message::user("")
        },
    );
    prop_oneof![spoken, answer, heard]
}

proptest! {
    #[test]
    fn every_token_belongs_to_one_message(ids in vec(token(), 0..120), is_after_prompt in any::<bool>()) {
        let mut parser = if is_after_prompt { StreamParser::after_prompt() } else { StreamParser::new() };
        let mut streamed = String::new();
        for &id in &ids {
            streamed.extend(parser.push(id).into_iter().map(|delta| delta.text));
        }
        streamed.extend(parser.close().into_iter().map(|delta| delta.text));
        let parsed = parser.finish();
        let accounted: Vec<_> = parsed.iter().flat_map(|parsed| parsed.tokens.iter().copied()).collect();
        prop_assert_eq!(accounted, ids);
        prop_assert!(parsed.iter().all(|parsed| !parsed.tokens.is_empty()));
        let texts: String = parsed.iter().filter_map(|parsed| parsed.message.text()).collect();
        prop_assert_eq!(streamed, texts);
    }

    #[test]
    fn a_rendered_conversation_is_read_back(messages in vec(message(), 0..5)) {
        let encoding = Encoding::new();
        let mut parser = encoding.parser();
        let ids = encoding.render_conversation(&messages);
        for &id in &ids {
            parser.push(id);
        }
        let parsed = parser.finish();
        let accounted: Vec<_> = parsed.iter().flat_map(|parsed| parsed.tokens.iter().copied()).collect();
        let read: Vec<_> = parsed.into_iter().map(|parsed| parsed.message).collect();
        prop_assert_eq!(read, messages);
        prop_assert_eq!(accounted, ids);
    }

    #[test]
    fn any_text_is_encoded_as_text_and_decoded_to_itself(text in text()) {
        let ids = tokenizer::encode_ordinary(&text);
        prop_assert!(ids.iter().all(|&id| id < special::N_TEXT));
        prop_assert_eq!(tokenizer::decode_lossy(&ids), text);
    }
}
