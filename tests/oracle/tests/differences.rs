//! Where ours is meant to differ from the reference, one test a row of README.md's table. Whoever removes a difference removes
//! its row.

use openai_harmony::{StreamableParser, chat as theirs};
use oracle::{
    harmony::{
        Builtin, Channel, Declaration, DeveloperContent, Diagnostic, Encoding, Message, ResponseFormat, SystemContent,
        Token, history,
    },
    reference,
};
use serde_json::{Value, json};

/// The text of one of our messages, and of the same in the reference.
fn rendered(message: &Message) -> (String, String) {
    let ours = Encoding::new().render_conversation([message]);
    let theirs = reference::conversation(std::slice::from_ref(message));
    let theirs = reference::encoding().render_conversation(&theirs, None).unwrap();
    (decoded(&ours), decoded(&theirs))
}

fn decoded(ids: &[Token]) -> String {
    reference::encoding().tokenizer().decode_utf8(ids).unwrap()
}

fn ids(text: &str) -> Vec<Token> {
    reference::encoding().tokenizer().encode_with_special_tokens(text)
}

/// What we read after the prompt's `<|start|>assistant`, and whether the reference can.
fn read(text: &str) -> (Vec<Message>, Result<Vec<theirs::Message>, String>) {
    let mut ours = Encoding::new().parser_after_prompt();
    for id in ids(text) {
        ours.push(id);
    }
    let mut parser = StreamableParser::new(reference::encoding().clone(), Some(theirs::Role::Assistant)).unwrap();
    let outcome = ids(text).into_iter().try_for_each(|id| parser.process(id).map(drop));
    let theirs = outcome.map(|()| parser.messages().to_vec()).map_err(|error| error.to_string());
    (ours.finish().into_iter().map(|parsed| parsed.message).collect(), theirs)
}

fn declared(property: Value) -> Message {
    let parameters =
        json!({"type": "object", "properties": {"p": property}, "$defs": {"Unit": {"enum": ["mm", "cm"]}}});
    let functions = vec![Declaration { name: "f".into(), description: String::new(), parameters: Some(parameters) }];
    Message::developer(DeveloperContent { functions, ..DeveloperContent::default() })
}

#[test]
fn schemas_are_read_further() {
    for (property, ours) in [
        (json!({"$ref": "#/$defs/Unit"}), "p?: \"mm\" | \"cm\","),
        (json!({"anyOf": [{"type": "integer"}, {"type": "null"}]}), "p?:\n | number\n | null\n,"),
        (json!({"allOf": [{"type": "boolean"}]}), "p?: boolean,"),
        (json!({"const": "x"}), "p?: \"x\","),
        (json!({"enum": ["a", "b"]}), "p?: \"a\" | \"b\","),
        (json!({"type": "null"}), "p?: null,"),
    ] {
        let (text, their_text) = rendered(&declared(property.clone()));
        assert!(text.contains(ours), "{property}: {text}");
        assert!(their_text.contains("p?: any,"), "{property}: {their_text}");
    }
}

#[test]
fn a_response_format_is_declared() {
    let format =
        ResponseFormat { name: "answer".into(), description: String::new(), schema: json!({"type": "object"}) };
    let content = DeveloperContent { response_formats: vec![format], ..DeveloperContent::default() };
    let (ours, theirs) = rendered(&Message::developer(content));
    assert!(ours.contains("# Response Formats\n\n## answer\n\n{\"type\":\"object\"}"), "{ours}");
    assert!(!theirs.contains("Response Formats"));
}

#[test]
fn empty_instructions_are_none() {
    let content = DeveloperContent { instructions: Some(String::new()), ..DeveloperContent::default() };
    let (ours, theirs) = rendered(&Message::developer(content));
    assert!(!ours.contains("Instructions") && theirs.contains("# Instructions"), "{theirs}");
}

#[test]
fn python_says_that_there_is_no_network() {
    let (ours, _) =
        rendered(&Message::system(SystemContent { builtins: vec![Builtin::python(120)], ..SystemContent::default() }));
    assert!(ours.contains("Internet access for this session is disabled."));
    let description = theirs::ToolNamespaceConfig::python().description.unwrap();
    assert!(description.contains("Internet access for this session is UNKNOWN. Depends on the cluster."));
}

#[test]
fn builtins_come_in_the_order_given() {
    let builtins = vec![Builtin::python(120), Builtin::browser(&["web"])];
    let (ours, theirs) = rendered(&Message::system(SystemContent { builtins, ..SystemContent::default() }));
    assert!(ours.find("## python") < ours.find("## browser") && theirs.find("## python") > theirs.find("## browser"));
}

#[test]
fn reasoning_goes_when_the_user_speaks_again() {
    let turn = |n: usize| {
        [
            Message::user(format!("question {n}")),
            Message::assistant(Channel::Analysis, format!("thought {n}")),
            Message::assistant(Channel::Final, format!("answer {n}")),
        ]
    };
    let both: Vec<_> =
        [turn(1), turn(2), [Message::user("question 3"), turn(3)[1].clone(), turn(3)[2].clone()]].concat();
    // The reference's own rule is its default configuration.
    let theirs = |messages: &[Message]| {
        let messages = reference::conversation(messages);
        decoded(&reference::encoding().render_conversation(&messages, Some(&Default::default())).unwrap())
    };
    let ours = |messages: &[Message]| decoded(&Encoding::new().render_conversation(history(messages)));
    // The reference drops only what came before the first answer ...
    let open = &both[..7];
    assert!(!ours(open).contains("thought 1") && !ours(open).contains("thought 2"));
    let text = theirs(open);
    assert!(!text.contains("thought 1") && text.contains("thought 2"), "{text}");
    // ... and nothing at all within a call, when the last word was not an answer.
    let in_call: Vec<_> = open.iter().cloned().chain([Message::call("functions.f", "{}")]).collect();
    assert!(!ours(&in_call).contains("thought 1"));
    assert!(theirs(&in_call).contains("thought 1"));
}

#[test]
fn a_content_type_is_no_recipient() {
    let (ours, theirs) = read("<|channel|>final <|constrain|>json<|message|>{}<|return|>");
    assert_eq!((ours[0].recipient.as_deref(), ours[0].content_type.as_deref()), (None, Some("json")));
    let theirs = &theirs.unwrap()[0];
    assert_eq!((theirs.recipient.as_deref(), theirs.content_type.as_deref()), (Some("<|constrain|>json"), None));
}

#[test]
fn prose_in_a_header_is_no_recipient() {
    let (ours, theirs) = read("<|channel|>analysis well then<|message|>x<|end|>");
    assert_eq!((ours[0].recipient.as_deref(), ours[0].diagnostics.len()), (None, 2));
    assert_eq!(theirs.unwrap()[0].recipient.as_deref(), Some("well"));
}

#[test]
fn nothing_is_refused_and_nothing_lost() {
    for text in [
        "<|channel|>finalHello<|return|>",
        "<|channel|>analysis<|message|>a<|channel|>final<|message|>b<|return|>",
        "<|channel|>final<|message|>x<|end|><|return|>",
        "<|channel|>analysis<|message|>x<|end|><|channel|>final<|message|>y<|return|>",
        "Hello there.<|return|>",
    ] {
        let (ours, theirs) = read(text);
        let n_read = ours.iter().filter_map(Message::text).filter(|text| !text.is_empty()).count();
        assert!(theirs.as_ref().map_or(true, |theirs| theirs.len() < n_read), "{text}: {theirs:?}");
        assert!(ours.iter().any(|message| !message.diagnostics.is_empty()), "{text}");
    }
}

#[test]
fn a_message_that_did_not_end_is_given_too() {
    let (ours, theirs) = read("<|channel|>final<|message|>Hel");
    assert_eq!((ours[0].text(), &ours[0].diagnostics[..]), (Some("Hel"), &[Diagnostic::Unfinished][..]));
    assert!(theirs.unwrap().is_empty());
}

#[test]
fn a_channel_is_one_of_three() {
    let (ours, theirs) = read("<|channel|>comment to=f<|message|>{}<|call|>");
    assert_eq!(ours[0].channel, Some(Channel::Commentary));
    assert_eq!(ours[0].diagnostics, [Diagnostic::UnknownChannel("comment".into())]);
    assert_eq!(theirs.unwrap()[0].channel.as_deref(), Some("comment"));
}
