//! Conversations drawn at random: ours and the reference's ids are the same, and both parsers read the same messages.

use openai_harmony::{StreamableParser, chat as theirs};
use oracle::{
    harmony::{
        Author, Builtin, Channel, Content, Declaration, DeveloperContent, Encoding, Message, ReasoningEffort, Role,
        SystemContent, special, tokenizer,
    },
    reference,
};
use proptest::{collection::vec, option, prelude::*, sample::select, test_runner::RngSeed};
use serde_json::{Map, Value, json};

/// Any characters, whitespace and the format's own markup among them.
fn text() -> impl Strategy<Value = String> + Clone {
    let pieces =
        ["<|start|>", "<|message|>", "<|end|>", "<|channel|>final", " to=", "\n", "  ", "\r\n\t", "the ", "don't "];
    let piece =
        prop_oneof![2 => any::<char>().prop_map(String::from), 3 => select(pieces.to_vec()).prop_map(String::from)];
    vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn name() -> impl Strategy<Value = String> + Clone {
    "[A-Za-z_][A-Za-z0-9_-]{0,11}(\\.[a-z]{1,8})?".prop_filter("no word of the header", |name| {
        !["all", "assistant", "system", "developer", "user", "tool"].contains(&name.as_str())
    })
}

/// A schema as users write them, its keywords in any combination, sensible or not.
fn schema() -> impl Strategy<Value = Value> {
    let kinds = json!([
        "object",
        "string",
        "number",
        "integer",
        "boolean",
        "array",
        "null",
        "thing",
        ["string", "null"],
        ["integer", "boolean"],
        [],
        7
    ]);
    let kinds = kinds.as_array().unwrap().clone();
    let values = json!(["a", "b c", 1, -2.5, true, null, [1], {"k": "v"}]).as_array().unwrap().clone();
    let base = (
        option::weighted(0.85, select(kinds)),
        option::of(text().prop_map(Value::from)),
        option::weighted(0.2, text().prop_map(Value::from)),
        option::weighted(0.3, select(values.clone())),
        option::weighted(0.2, vec(select(values.clone()), 0..4).prop_map(Value::from)),
        option::weighted(0.2, vec(select(values), 0..3).prop_map(Value::from)),
        option::weighted(0.2, any::<bool>().prop_map(Value::from)),
        option::weighted(0.1, select(vec![json!({"const": 1}), json!({"$ref": "#/$defs/A"}), json!({"allOf": [{}]})])),
    )
        .prop_map(|(kind, description, title, default, values, examples, nullable, other)| {
            let mut fields = Map::new();
            let mut put = |key: &str, value: Option<Value>| fields.extend(value.map(|value| (key.to_owned(), value)));
            put("type", kind);
            put("description", description);
            put("title", title);
            put("default", default);
            put("enum", values);
            put("examples", examples);
            put("nullable", nullable);
            fields.extend(other.and_then(|other| other.as_object().cloned()).into_iter().flatten());
            fields
        });
    let leaf = base.clone().prop_map(Value::from);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let properties = vec((name(), inner.clone(), any::<bool>()), 0..4);
        (
            base.clone(),
            option::of(properties),
            option::weighted(0.3, inner.clone()),
            option::weighted(0.25, vec(inner, 0..4)),
        )
            .prop_map(|(mut fields, properties, items, variants)| {
                if let Some(properties) = properties {
                    let required = properties.iter().filter(|(.., is_required)| *is_required);
                    fields.insert("required".into(), required.map(|(name, ..)| name.clone()).collect());
                    let properties = properties.into_iter().map(|(name, schema, _)| (name, schema));
                    fields.insert("properties".into(), Value::Object(properties.collect()));
                    fields.insert("type".into(), "object".into());
                }
                fields.extend(items.map(|items| ("items".to_owned(), items)));
                fields.extend(variants.map(|variants| ("oneOf".to_owned(), Value::from(variants))));
                Value::Object(fields)
            })
    })
}

fn declarations() -> impl Strategy<Value = Vec<Declaration>> {
    let declaration = (name(), text(), option::of(schema())).prop_map(|(name, description, parameters)| Declaration {
        name,
        description,
        parameters,
    });
    vec(declaration, 0..4)
}

fn system() -> impl Strategy<Value = SystemContent> {
    let own = (name(), text(), declarations()).prop_map(|(name, description, functions)| Builtin {
        name,
        description,
        functions,
    });
    let builtin = prop_oneof![Just(Builtin::browser(&["web"])), (1..1000_u32).prop_map(Builtin::python), own];
    (
        text(),
        option::of(text()),
        option::of(text()),
        select(vec![ReasoningEffort::Low, ReasoningEffort::Medium, ReasoningEffort::High]),
        vec(builtin, 0..3),
        proptest::sample::subsequence(Channel::ALL.to_vec(), 0..=3),
    )
        .prop_map(|(model_identity, knowledge_cutoff, current_date, reasoning_effort, mut builtins, channels)| {
            // The reference keeps them in a sorted map.
            builtins.sort_by(|a, b| a.name.cmp(&b.name));
            builtins.dedup_by(|a, b| a.name == b.name);
            SystemContent {
                model_identity,
                knowledge_cutoff,
                current_date,
                reasoning_effort,
                builtins,
                channels,
                functions_declared: false,
            }
        })
}

/// A message of text, as anyone may send it.
fn spoken() -> impl Strategy<Value = Message> {
    let channel = select(Channel::ALL.to_vec());
    let content_type = option::of(select(vec!["json", "code", "yaml"]));
    let assistant = (channel.clone(), option::of(name()), content_type, text()).prop_map(
        |(channel, recipient, content_type, text)| Message {
            // Without a recipient the reference takes the type for one: differences.rs.
            content_type: content_type.filter(|_| recipient.is_some()).map(str::to_owned),
            recipient,
            ..Message::assistant(channel, text)
        },
    );
    let answer = (name(), channel, text()).prop_map(|(name, channel, text)| Message::tool(name, channel, text));
    let heard = (select(vec![Role::User, Role::System, Role::Developer]), text()).prop_map(|(role, text)| Message {
        author: Author::from(role),
        content: Content::Text(text),
        ..Message::user("")
    });
    prop_oneof![assistant, answer, heard]
}

fn conversation() -> impl Strategy<Value = Vec<Message>> {
    let developer =
        (option::of(text().prop_filter("an empty text is none to us", |text| !text.is_empty())), declarations())
            .prop_map(|(instructions, functions)| DeveloperContent {
                instructions,
                functions,
                ..DeveloperContent::default()
            });
    (option::of(system()), option::of(developer), vec(spoken(), 0..6)).prop_map(|(system, developer, spoken)| {
        let functions_declared = developer.as_ref().is_some_and(|content| !content.functions.is_empty());
        let system = system.map(|content| Message::system(SystemContent { functions_declared, ..content }));
        system.into_iter().chain(developer.map(Message::developer)).chain(spoken).collect()
    })
}

/// The same cases at every run, unless `OSSICLE_DEEP=1` asks for many others.
fn config() -> ProptestConfig {
    let is_deep = std::env::var("OSSICLE_DEEP").is_ok_and(|value| value == "1");
    let (cases, rng_seed) = if is_deep { (20_000, RngSeed::Random) } else { (1_000, RngSeed::Fixed(1)) };
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn text_has_the_same_ids(text in text()) {
        prop_assert_eq!(tokenizer::encode_ordinary(&text), reference::encoding().tokenizer().encode_ordinary(&text));
    }

    #[test]
    fn a_conversation_has_the_same_ids(messages in conversation()) {
        let ours = Encoding::reference().render_conversation(&messages);
        let theirs = reference::encoding().render_conversation(&reference::conversation(&messages), None).unwrap();
        prop_assert_eq!(tokenizer::decode_lossy(&ours), tokenizer::decode_lossy(&theirs));
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn a_conversation_is_read_as_the_same_messages(messages in vec(spoken(), 0..6)) {
        let ids = Encoding::new().render_conversation(&messages);
        let mut parser = StreamableParser::new(reference::encoding().clone(), None).unwrap();
        for &id in &ids {
            parser.process(id).unwrap();
        }
        let mut ours = Encoding::new().parser();
        for &id in &ids {
            ours.push(id);
        }
        let ours: Vec<_> = ours.finish().into_iter().map(|parsed| parsed.message).collect();
        prop_assert_eq!(reference::conversation(&ours), parser.messages().to_vec());
    }

    /// What a model writes: the recipient in either place, any end.
    #[test]
    fn a_generation_is_read_as_the_same_messages(
        channel in select(Channel::ALL.to_vec()),
        recipient in name(),
        content_type in option::of(select(vec!["json", "code"])),
        is_late in any::<bool>(),
        end in select(vec![special::END, special::CALL, special::RETURN]),
        text in text(),
    ) {
        let mut ids = Vec::new();
        let to = tokenizer::encode_ordinary(&format!(" to={recipient}"));
        if !is_late {
            ids.extend(&to);
        }
        ids.push(special::CHANNEL);
        ids.extend(tokenizer::encode_ordinary(channel.as_str()));
        if is_late {
            ids.extend(&to);
        }
        if let Some(word) = content_type {
            ids.extend(tokenizer::encode_ordinary(" "));
            ids.push(special::CONSTRAIN);
            ids.extend(tokenizer::encode_ordinary(word));
        }
        ids.push(special::MESSAGE);
        ids.extend(tokenizer::encode_ordinary(&text));
        ids.push(end);
        let mut parser = StreamableParser::new(reference::encoding().clone(), Some(theirs::Role::Assistant)).unwrap();
        for &id in &ids {
            parser.process(id).unwrap();
        }
        let mut ours = Encoding::new().parser_after_prompt();
        for &id in &ids {
            ours.push(id);
        }
        let ours: Vec<_> = ours.finish().into_iter().map(|parsed| parsed.message).collect();
        prop_assert_eq!(ours.len(), 1);
        let expected = &parser.messages()[0];
        prop_assert_eq!(ours[0].text(), Some(text.as_str()));
        prop_assert_eq!(&ours[0].recipient, &expected.recipient);
        prop_assert_eq!(ours[0].channel.map(|channel| channel.as_str().to_owned()), expected.channel.clone());
        let their_type = expected.content_type.as_deref().map(|word| word.trim_start_matches("<|constrain|>"));
        prop_assert_eq!(ours[0].content_type.as_deref(), their_type);
    }
}
