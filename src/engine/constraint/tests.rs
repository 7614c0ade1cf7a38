//! Turns that are allowed and turns that are not, and turns of a writer that knows nothing.

use super::instances::Random;
use super::*;
use crate::harmony::faults::tokens;
use crate::harmony::{Body, Channel, Declaration, Encoding, ToolChoice, special, tokenizer};
use serde_json::{Value, json};

fn function(name: &str, parameters: Value) -> Declaration {
    Declaration { name: name.into(), description: "-".into(), parameters: Some(parameters) }
}

fn tools() -> Vec<Declaration> {
    let city = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
        "additionalProperties": false,
    });
    let list = json!({
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"enum": ["a", "b c", 3, null]}, "minItems": 1},
            "deep": {"$ref": "#/$defs/Node"},
            "size": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "boolean"}]},
            "when": {"type": "string", "format": "date"},
            "code": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"},
        },
        "required": ["items", "code"],
        "additionalProperties": false,
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}, "additionalProperties": false}},
    });
    vec![
        function("weather_get", city),
        function("list", list),
        Declaration { parameters: None, ..function("now", json!({})) },
    ]
}

fn builtins() -> Vec<crate::harmony::Builtin> {
    let own = |name: &str, functions| crate::harmony::Builtin { name: name.into(), description: "-".into(), functions };
    let query = json!({"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]});
    vec![own("browser", vec![function("search", query)]), own("python", vec![])]
}

fn compiled(grammar: TurnGrammar) -> CompiledGrammar {
    CompiledGrammar::new(Arc::new(grammar)).unwrap()
}

fn whole() -> CompiledGrammar {
    compiled(TurnGrammar::new(&tools(), &builtins()))
}

/// How many of the tokens are taken, and whether the turn is whole after the last one.
fn taken(grammar: &CompiledGrammar, text: &str) -> (usize, usize, bool) {
    let tokens = tokens(text);
    let mut constraint = Constraint::start(grammar, &[]).unwrap();
    let n_taken = tokens.iter().take_while(|&&token| constraint.accept(token)).count();
    let at_end = n_taken == tokens.len() && matches!(constraint.next(1000), Ok(Next::End));
    (n_taken, tokens.len(), at_end)
}

#[test]
fn what_the_format_allows_is_allowed() {
    let grammar = whole();
    for text in [
        "<|channel|>final<|message|>Hello.<|return|>",
        "<|channel|>analysis<|message|>Hm.\n\nWell <b>.<|end|><|start|>assistant<|channel|>final<|message|>Yes<|return|>",
        "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant<|channel|>commentary to=functions.now \
         <|constrain|>json<|message|>{}<|call|>",
        "<|channel|>commentary to=functions.weather_get <|constrain|>json<|message|>{\"city\": \"Sao Paulo\"}<|call|>",
        "<|channel|>commentary to=functions.weather_get <|constrain|>json<|message|>{\"city\":\"X\",\"days\":3}<|call|>",
        "<|channel|>commentary to=functions.weather_get <|constrain|>json<|message|>{\n  \"city\": \"X\"\n}<|call|>",
        " to=functions.weather_get<|channel|>commentary json<|message|>{\"city\": \"X\"}<|call|>",
        "<|channel|>analysis to=functions.weather_get<|message|>{\"city\": \"X\"}<|call|>",
        "<|channel|>analysis to=python code<|message|>print(1)\n<|call|>",
        "<|channel|>commentary to=python<|message|>print(1)<|call|>",
        "<|channel|>analysis to=browser.search code<|message|>{\"query\": \"q\"}<|call|>",
        "<|channel|>commentary to=functions.list <|constrain|>json<|message|>{\"items\": [\"b c\", 3, null], \"deep\": \
         {\"next\": {}}, \"size\": 0.5, \"when\": \"2026-02-28\", \"code\": \"AB-1\"}<|call|>",
    ] {
        let (n_taken, n, is_whole) = taken(&grammar, text);
        assert_eq!((n_taken, is_whole), (n, true), "{text}");
    }
}

#[test]
fn what_the_format_forbids_is_refused() {
    let grammar = whole();
    for text in [
        "<|channel|>final<|message|><|return|>",
        "<|channel|>finally<|message|>x<|return|>",
        "<|channel|>final<|message|>x<|end|>",
        "<|channel|>analysis<|message|>x<|return|>",
        "<|channel|>commentary to=functions.absent <|constrain|>json<|message|>{}<|call|>",
        "<|channel|>commentary to=weather_get <|constrain|>json<|message|>{\"city\": \"X\"}<|call|>",
        "<|channel|>commentary to=functions.weather_get <|constrain|>json<|message|>{\"town\": \"X\"}<|call|>",
        "<|channel|>commentary to=functions.weather_get <|constrain|>json<|message|>{}<|call|>",
        "<|channel|>commentary to=functions.weather_get <|constrain|>json<|message|>{\"city\": 3}<|call|>",
        "<|channel|>commentary to=functions.weather_get <|constrain|>json<|message|>{\"city\": \"X\"}<|end|>",
        "<|channel|>commentary to=functions.list <|constrain|>json<|message|>{\"items\": []}<|call|>",
        "<|channel|>commentary to=functions.list <|constrain|>json<|message|>{\"items\": [3], \"code\": \"A-1\"}<|call|>",
        "<|message|>x<|return|>",
        "Hello",
        "<|start|>assistant<|channel|>final<|message|>x<|return|>",
    ] {
        let (n_taken, n, _) = taken(&grammar, text);
        assert!(n_taken < n, "{text}");
    }
}

#[test]
fn names_are_written_in_one_run() {
    let mut constraint = Constraint::start(&whole(), &tokens("<|channel|>commentary to=functions.w")).unwrap();
    let Ok(Next::Forced(run)) = constraint.next(1000) else { panic!("nothing is forced") };
    assert!(run.len() >= 2, "{run:?}");
    assert_eq!(tokenizer::decode_lossy(&run), "eather_get");
}

#[test]
fn a_header_that_the_prompt_holds_is_gone_on_from() {
    let header = Encoding::new().header(Channel::Final);
    let mut constraint = Constraint::start(&whole(), &header).unwrap();
    assert!(constraint.accept(tokens("x")[0]) && constraint.accept(special::RETURN));
    assert!(matches!(constraint.next(10), Ok(Next::End)));
    assert!(Constraint::start(&whole(), &tokens("<|message|>")).is_none());
}

/// Writes a turn by drawing among the allowed tokens with equal chances: what random weights do at a high temperature.
fn draw(grammar: &CompiledGrammar, seed: u64, budget: usize) -> Vec<Token> {
    let mut random = Random(seed);
    let mut constraint = Constraint::start(grammar, &[]).unwrap();
    let mut out = Vec::new();
    loop {
        let n_left = budget.checked_sub(out.len()).expect("the turn goes beyond its budget");
        match constraint.next(n_left).unwrap() {
            Next::End => return out,
            Next::Forced(run) => {
                constraint.follow(&run).unwrap();
                out.extend(run);
            }
            Next::Choice(allowed) => {
                // Half of the time among the few that end something, or else a turn is nearly always one of text.
                let ends: Vec<_> = allowed.iter().filter(|token| !(100..special::N_TEXT).contains(token)).collect();
                let among = if random.below(2) == 0 && !ends.is_empty() { ends } else { allowed.iter().collect() };
                let token = among[random.below(among.len())];
                out.push(constraint.settle(token, n_left).expect("there is always a way out"));
            }
        }
    }
}

#[test]
fn whatever_is_drawn_parses_names_a_tool_and_fits_its_schema() {
    let (tools, grammar) = (tools(), whole());
    let caps =
        crate::harmony::Caps { analysis: 60, call: 200, string: 20, number: 4, n_items: 5, ..Default::default() };
    let tight = compiled(TurnGrammar { caps, ..TurnGrammar::new(&tools, &builtins()) });
    let mut n_calls = 0;
    let n_turns = 60;
    for seed in 0..n_turns {
        let (grammar, budget) = if seed % 2 == 0 { (&tight, 2_000) } else { (&grammar, 150) };
        let drawn = draw(grammar, seed, budget);
        let mut parser = Encoding::new().parser_after_prompt();
        for &token in &drawn {
            parser.push(token);
        }
        let parsed = parser.finish();
        let text = tokenizer::decode_lossy(&drawn);
        for message in parsed.iter().map(|parsed| &parsed.message) {
            assert_eq!(message.diagnostics, [], "{seed}: {text}");
        }
        let last = &parsed.last().unwrap().message;
        match last.recipient.as_deref() {
            None => assert_eq!(last.channel, Some(Channel::Final), "{seed}: {text}"),
            Some("python") => {}
            Some(recipient) => {
                n_calls += 1;
                let arguments: Value = serde_json::from_str(last.text().unwrap())
                    .unwrap_or_else(|error| panic!("{seed}: {error} in {text}"));
                let found = tools.iter().find(|tool| recipient == format!("functions.{}", tool.name));
                if let Some(schema) = found.and_then(|tool| tool.parameters.as_ref()) {
                    assert!(jsonschema::is_valid(schema, &arguments), "{seed}: {arguments}");
                }
            }
        }
    }
    assert!(n_calls > 20, "{n_calls} calls");
}

#[test]
fn what_a_grammar_alone_would_let_pass_is_stopped() {
    for schema in [
        json!({"type": "object"}),
        json!({"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}}),
        json!({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}),
        json!({"type": "number", "minimum": -0.5, "exclusiveMaximum": 0}),
        json!({"type": "integer", "multipleOf": 7}),
        json!({"type": "string", "pattern": "^.{1,9}$"}),
        json!({"type": "string", "maxLength": 17_000}),
        json!({"type": "string", "pattern": "\\.pdf$"}),
        json!({"items": {}, "type": "array"}),
        json!({"allOf": [{"minimum": 3}], "type": "integer", "maximum": 9}),
        json!({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": false}),
    ] {
        let grammar = answer(schema.clone()).unwrap_or_else(|error| panic!("{schema}: {error}"));
        for seed in 0..5 {
            let drawn = draw(&grammar, seed, 80);
            let mut parser = Encoding::new().parser_after_prompt();
            for &token in &drawn {
                parser.push(token);
            }
            let last = parser.finish().pop().unwrap().message;
            let value: Value = serde_json::from_str(last.text().unwrap())
                .unwrap_or_else(|error| panic!("{schema}: {error}: {:?}", last.text()));
            assert!(jsonschema::is_valid(&schema, &value), "{schema}: {value}");
        }
    }
}

#[test]
fn choices_are_kept() {
    let named = compiled(TurnGrammar::new(&tools(), &[]).with_choice(&ToolChoice::Named("functions.now".into())));
    assert!(taken(&named, "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}<|call|>").2);
    assert!(!taken(&named, "<|channel|>final<|message|>x<|return|>").2);
    let none = compiled(TurnGrammar::new(&tools(), &[]).with_choice(&ToolChoice::None));
    assert!(taken(&none, "<|channel|>final<|message|>x<|return|>").2);
    assert!(!taken(&none, "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}<|call|>").2);
    let empty = TurnGrammar::new(&[], &[]).with_choice(&ToolChoice::Required);
    assert_eq!(CompiledGrammar::new(Arc::new(empty)).err(), Some(GrammarError::Empty));
    let format = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false});
    let structured = compiled(TurnGrammar::new(&[], &[]).with_response_format(format));
    assert!(taken(&structured, "<|channel|>final <|constrain|>json<|message|>{\"n\": 3}<|return|>").2);
    assert!(!taken(&structured, "<|channel|>final<|message|>three<|return|>").2);
}

/// A schema of an answer, compiled, and how an attempt to write it ended.
fn answer(schema: Value) -> Result<CompiledGrammar, GrammarError> {
    CompiledGrammar::new(Arc::new(TurnGrammar::new(&[], &[]).with_response_format(schema)))
}

#[test]
fn hostile_schemas_are_bounded() {
    let named = |n: usize| (0..n).map(|idx| (format!("property_{idx}"), json!({"type": "string"})));
    let properties = |n| json!({"type": "object", "properties": named(n).collect::<serde_json::Map<_, _>>()});
    let string = |fields: Value| json!({"type": "object", "properties": {"a": fields}, "required": ["a"]});
    let pattern = |text: &str| string(json!({"type": "string", "pattern": text}));
    let choice = json!({"anyOf": [{"type": "object", "required": ["a"]}, {"type": "object", "required": ["b"]}]});
    let mut deep = json!({"type": "string"});
    for _ in 0..500 {
        deep = json!({"type": "array", "items": deep});
    }
    let chain: Value = (0..9_000)
        .map(|idx| (format!("d{idx}"), json!({"$ref": format!("#/$defs/d{}", (idx + 1).min(8_999))})))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let many_patterns: Value =
        (0..1_000).map(|idx| (format!("^p{idx}[a-z]*$"), json!({}))).collect::<serde_json::Map<_, _>>().into();
    for (schema, is_usable) in [
        (properties(100), true),
        (properties(5_000), false),
        (pattern("^((a{1,100}){1,100}){1,100}$"), true),
        (pattern("^(([a-z]+)+)+$"), true),
        (pattern("^([a-z]{1,1000}[0-9]){1,1000}$"), true),
        (pattern("^a{1000000000}$"), false),
        (string(json!({"type": "string", "maxLength": 1_000_000_000})), true),
        (string(json!({"type": "array", "items": {}, "maxItems": 1_000_000_000})), true),
        (string(json!({"type": "integer", "maximum": 1e300, "minimum": -1e300})), true),
        (pattern("\\.pdf$"), true),
        (pattern("^[^@\\s]+@[^@\\s]+\\.[a-z]{2,}$"), true),
        (json!({"$ref": "#/$defs/d0", "$defs": chain}), false),
        (json!({"type": "object", "patternProperties": many_patterns}), false),
        (json!({"$ref": "#"}), false),
        (json!({"type": "object", "properties": {"l": {"$ref": "#"}}}), true),
        (json!({"type": "object", "properties": {"l": {"$ref": "#"}}, "required": ["l"]}), false),
        (json!({"type": "string", "minLength": 5, "maxLength": 3}), false),
        (json!({"allOf": vec![choice; 20]}), false),
        (deep, false),
    ] {
        let text: String = schema.to_string().chars().take(80).collect();
        match answer(schema) {
            Ok(grammar) => {
                assert!(is_usable, "{text} is accepted");
                draw(&grammar, 1, 300);
            }
            Err(error) => assert!(!is_usable, "{text}: {error}"),
        }
    }
}

#[test]
fn a_schema_that_cannot_be_enforced_is_named_by_its_path() {
    for (schema, path, why) in [
        (json!({"type": "object", "properties": {"a": {"not": {"type": "string"}}}}), "/properties/a/not", "keyword"),
        (
            json!({"type": "object", "properties": {"a": {"$ref": "http://example.com/x"}}}),
            "/properties/a/$ref",
            "fetched",
        ),
        (
            json!({"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}),
            "/properties/a/$ref",
            "fetched",
        ),
        (json!({"type": "array", "items": {"type": "array", "uniqueItems": true}}), "/items/uniqueItems", "compare"),
        (
            json!({"properties": {"a/b": {"type": "string", "minLength": 1_000_000_000}}}),
            "/properties/a~1b/minLength",
            "256",
        ),
        (json!({"properties": {"a": {"type": "string", "pattern": "^(?=a)b"}}}), "/properties/a", ""),
        (json!({"properties": {"a": {"type": "string", "pattern": "("}}}), "/properties/a/pattern", ""),
        (json!({"oneOf": [{"type": "string", "maxLength": 3}, {"type": "string", "maxLength": 5}]}), "", "oneOf"),
        (json!({"properties": {"a": 3}}), "/properties/a", "a schema is"),
    ] {
        let grammar = TurnGrammar { answer: Some(Body::Json(schema.clone())), ..TurnGrammar::new(&[], &[]) };
        let Err(GrammarError::Schema { of, reason }) = CompiledGrammar::new(Arc::new(grammar)) else {
            panic!("{schema} is accepted")
        };
        assert_eq!((of.as_str(), reason.path.as_str()), ("the answer", path), "{schema}: {reason}");
        assert!(reason.why.contains(why), "{schema}: {reason}");
    }
}
