//! The reference's own 23 fixtures, read from its source. Each is rendered, or parsed, by our code alone.

use oracle::{
    harmony::{
        Builtin, Channel, Declaration, DeveloperContent, Encoding, Message, ReasoningEffort, Role, SystemContent, Token,
    },
    reference,
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};

const ROBOT: &str = "Answer the user's questions like a robot.";
const CAPITAL: &str = "What is the capital of the largest country in the world?";

fn text(name: &str) -> String {
    let path = reference::fixtures().join(format!("{name}.txt"));
    fs::read_to_string(path).unwrap().replace("\r\n", "\n").trim_end().to_owned()
}

/// The ids of a fixture's text, in which markup means special tokens.
fn ids(name: &str) -> Vec<Token> {
    reference::encoding().tokenizer().encode_with_special_tokens(&text(name))
}

fn numbers(name: &str) -> Vec<Token> {
    text(name).split_whitespace().map(|id| id.parse().unwrap()).collect()
}

fn decoded(ids: &[Token]) -> String {
    reference::encoding().tokenizer().decode_utf8(ids).unwrap()
}

fn check(name: &str, ours: Vec<Token>) {
    assert_eq!(decoded(&ours), text(name), "{name}");
    assert_eq!(ours, ids(name), "{name}");
}

fn prompt(messages: &[Message]) -> Vec<Token> {
    Encoding::reference().render_for_completion(messages)
}

fn function(name: &str, description: &str, parameters: Option<Value>) -> Declaration {
    Declaration { name: name.into(), description: description.into(), parameters }
}

fn functions(instructions: Option<&str>, functions: Vec<Declaration>) -> Message {
    let instructions = instructions.map(str::to_owned);
    Message::developer(DeveloperContent { instructions, functions, ..DeveloperContent::default() })
}

fn dated() -> SystemContent {
    SystemContent { current_date: Some("2025-06-28".into()), ..SystemContent::default() }
}

/// Our python says that there is no network; the reference does not know.
fn python() -> Builtin {
    let ours = Builtin::python(120);
    let unknown = "Internet access for this session is UNKNOWN. Depends on the cluster.";
    let description = ours.description.replace("Internet access for this session is disabled.", unknown);
    assert_ne!(description, ours.description);
    Builtin { description, ..ours }
}

#[test]
fn every_fixture_is_looked_at() {
    let source = include_str!("fixtures.rs");
    let names: BTreeSet<_> = fs::read_dir(reference::fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 23);
    for name in names {
        // The six about the effort have composed names.
        assert!(source.contains(&format!("\"{name}\"")) || name.starts_with("test_simple_convo_"), "{name}");
    }
}

#[test]
fn questions() {
    check("test_simple_convo", prompt(&[Message::system(SystemContent::default()), Message::user("What is 2 + 2?")]));
    check("test_no_tools", prompt(&[Message::system(dated())]));
    for effort in [ReasoningEffort::Low, ReasoningEffort::Medium, ReasoningEffort::High] {
        let system = Message::system(SystemContent { reasoning_effort: effort, ..SystemContent::default() });
        let name = format!("test_simple_convo_{}_effort", effort.as_str());
        check(&format!("{name}_no_instruction"), prompt(&[system.clone(), Message::user(CAPITAL)]));
        check(&name, prompt(&[system, functions(Some(ROBOT), Vec::new()), Message::user(CAPITAL)]));
    }
}

#[test]
fn reasoning_and_dates() {
    let channels = vec![Channel::Analysis, Channel::Final];
    let frame = SystemContent { channels, ..SystemContent::default() };
    check("test_reasoning_system_message", prompt(&[Message::system(frame.clone()), Message::user("What is 2 + 2?")]));
    let high = SystemContent { reasoning_effort: ReasoningEffort::High, ..frame.clone() };
    check(
        "test_reasoning_system_message_no_instruction",
        prompt(&[Message::system(high), Message::user("What is the best place to eat candy in the world?")]),
    );
    let old =
        SystemContent { current_date: Some("2021-01-01".into()), knowledge_cutoff: Some("2021-01".into()), ..frame };
    check(
        "test_reasoning_system_message_with_dates",
        prompt(&[Message::system(old), Message::user("What is 42 * pi?")]),
    );
}

#[test]
fn tools() {
    let format = json!({"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"});
    let weather = json!({
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
            "format": format,
        },
        "required": ["location"],
    });
    let weathers = json!({
        "type": "object",
        "properties": {
            "locations": {
                "type": "array",
                "items": {"type": "string"},
                "description": "List of city and state, e.g. [\"San Francisco, CA\", \"New York, NY\"]",
            },
            "format": format,
        },
        "required": ["locations"],
    });
    let sink = json!({
        "description": "params object",
        "type": "object",
        "properties": {
            "string": {
                "type": "string", "title": "STRING", "description": "A string", "examples": ["hello", "world"],
            },
            "string_nullable": {
                "type": "string", "nullable": true, "description": "A nullable string", "default": "the default",
            },
            "string_enum": {"type": "string", "enum": ["a", "b", "c"]},
            "oneof_string_or_number": {
                "oneOf": [
                    {"type": "string", "default": "default_string_in_oneof"},
                    {"type": "number", "description": "numbers can happen too"},
                ],
                "description": "a oneof",
                "default": 20,
            },
        },
    });
    let frame = SystemContent { reasoning_effort: ReasoningEffort::High, functions_declared: true, ..dated() };
    let declared = vec![
        function("get_location", "Gets the location of the user.", None),
        function("get_current_weather", "Gets the current weather in the provided location.", Some(weather)),
        function(
            "get_multiple_weathers",
            "Gets the current weather in the provided list of locations.",
            Some(weathers),
        ),
        function("kitchensink", "A function with various complex schemas.", Some(sink)),
    ];
    check(
        "test_render_functions_with_parameters",
        prompt(&[
            Message::system(frame),
            functions(Some("Always respond in riddles"), declared),
            Message::user("What is the weather like in SF?"),
        ]),
    );
    let with = |builtins: Vec<Builtin>| SystemContent { builtins, ..dated() };
    check("test_browser_tool_only", prompt(&[Message::system(with(vec![Builtin::browser(&["web"])]))]));
    check("test_browser_and_python_tool", prompt(&[Message::system(with(vec![Builtin::browser(&["web"]), python()]))]));
    let lookup = function(
        "lookup_weather",
        "Use this tool to lookup the weather in a given location. Call it with the parameter 'location', can be any \
         textual description of a location.",
        Some(json!({"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]})),
    );
    let frame = SystemContent { functions_declared: true, ..with(vec![Builtin::browser(&["web"])]) };
    check("test_browser_and_function_tool", prompt(&[Message::system(frame), functions(None, vec![lookup])]));
}

#[test]
fn what_stays_of_earlier_turns() {
    let turns = |thought: &str| {
        [
            Message::user("What is 2 + 2?"),
            Message::assistant(Channel::Analysis, thought),
            Message::assistant(Channel::Final, "2 + 2 equals 4."),
            Message::user("What about 9 / 2?"),
        ]
    };
    check(
        "test_dropping_cot_by_default",
        prompt(&turns("User asks: “What is 2 + 2?” Simple arithmetic. Provide answer.")),
    );
    let encoding = Encoding::reference();
    let mut kept =
        encoding.render_conversation(&turns("User asks a simple question: \"What is 2 + 2?\" The answer: 4."));
    kept.extend(encoding.generation_prompt());
    check("test_preserve_cot", kept);
    // A reply without a channel, as the fixture has it.
    let reply = Message {
        channel: None,
        recipient: None,
        ..Message::tool(
            "functions.lookup_weather",
            Channel::Commentary,
            "{\"temperature\": 20, \"description\": \"sunny\"}",
        )
    };
    check(
        "test_does_not_drop_if_ongoing_analysis",
        prompt(&[
            Message::user("What is the weather in SF?"),
            Message::assistant(
                Channel::Analysis,
                "User asks: “What is the weather in SF?” We need to use lookup_weather tool.",
            ),
            Message::call("functions.lookup_weather", "{\"location\": \"San Francisco\"}"),
            reply,
        ]),
    );
    let kept: Vec<_> = oracle::harmony::history(&[
        Message::user("What is 2 + 2?"),
        Message::assistant(Channel::Analysis, "thinking 2+2"),
        Message::assistant(Channel::Final, "4"),
        Message::user("What is 3 + 5?"),
        Message::assistant(Channel::Analysis, "thinking 3+5"),
        Message::assistant(Channel::Final, "8"),
    ])
    .into_iter()
    .cloned()
    .collect();
    check("test_keep_analysis_between_finals", encoding.render_conversation(&kept));
}

#[test]
fn generated_tokens() {
    let read = |ids: &[Token], mut parser: oracle::harmony::StreamParser| -> Vec<Message> {
        for &id in ids {
            parser.push(id);
        }
        parser.finish().into_iter().map(|parsed| Message { diagnostics: Vec::new(), ..parsed.message }).collect()
    };
    let encoding = Encoding::new();
    let thought = "User asks: \"What is 2 + 2?\" Simple arithmetic. Provide answer.";
    assert_eq!(
        read(&numbers("test_simple_reasoning_response"), encoding.parser_after_prompt()),
        [Message::assistant(Channel::Analysis, thought), Message::assistant(Channel::Final, "2 + 2 = 4.")]
    );
    let read_call = read(&numbers("test_simple_tool_call"), encoding.parser_after_prompt());
    let call = &read_call[1];
    assert_eq!(call.recipient.as_deref(), Some("lookup_weather"));
    assert_eq!(call.content_type.as_deref(), Some("code"));
    assert_eq!(call.text(), Some("{\"location\": \"Tokyo\"}"));
    let read_all = read(&ids("test_streamable_parser"), encoding.parser_after_prompt());
    let senders: Vec<_> = read_all.iter().map(|message| message.author.role).collect();
    assert_eq!(senders, [Role::Assistant, Role::Assistant, Role::Tool]);
    assert_eq!(read_all[1].recipient.as_deref(), Some("browser.search"));
    assert_eq!(
        read(&ids("test_tool_response_parsing"), encoding.parser()),
        [Message::tool("browser.search", Channel::Commentary, "{\"result\": \"https://openai.com/\"}")]
    );
}
