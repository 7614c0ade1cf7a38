//! A call's arguments: JSON text to a value that fits the tool's schema, or words that tell the model what to mend.
//!
//! Nothing is repaired by guessing: a call may have effects, and half of what was meant is not what was meant.

use super::ToolError;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// At most so many problems are named: the first ones explain the rest.
const MAX_PROBLEMS: usize = 3;
/// In characters.
const MAX_PROBLEM: usize = 300;

/// The judge of a schema. It fetches nothing, so a reference to elsewhere is an error; formats are remarks, in every draft.
pub fn validator(schema: &Value) -> Result<jsonschema::Validator, String> {
    let options = jsonschema::options().should_validate_formats(false);
    options.build(schema).map_err(|error| error.to_string())
}

/// Parses and checks. Empty text stands for no arguments.
pub(super) fn parse(
    text: &str,
    validator: &jsonschema::Validator,
    parameters: Option<&Value>,
) -> Result<Value, ToolError> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    let invalid = |problem: String| ToolError::InvalidArguments(format!("{problem}; {}", expected(parameters)));
    let Strict(value) = serde_json::from_str(text).map_err(|error| invalid(format!("not JSON: {error}")))?;
    if !value.is_object() {
        return Err(invalid("not a JSON object".into()));
    }
    let problems: Vec<String> = validator
        .iter_errors(&value)
        .take(MAX_PROBLEMS)
        .map(|error| {
            // The value itself stays out: it may be as long as a book.
            let problem = error.masked_with("this").to_string();
            let problem: String = problem.chars().take(MAX_PROBLEM).collect();
            match error.instance_path().to_string() {
                path if path.is_empty() => problem,
                path => format!("at {path}: {problem}"),
            }
        })
        .collect();
    if problems.is_empty() { Ok(value) } else { Err(invalid(problems.join("; "))) }
}

/// The parameters in a line: `the parameters are expression (string, required)`.
fn expected(parameters: Option<&Value>) -> String {
    let properties = parameters.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
        return "there are no parameters, send {}".into();
    };
    let required = |name: &str| {
        let names = parameters.and_then(|schema| schema.get("required")).and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|required| required == name))
    };
    let listed: Vec<String> = properties
        .iter()
        .map(|(name, schema)| {
            let kind = schema.get("type").and_then(Value::as_str).unwrap_or("any");
            format!("{name} ({kind}, {})", if required(name) { "required" } else { "optional" })
        })
        .collect();
    format!("the parameters are {}", listed.join(", "))
}

/// A JSON value in which no object has a key twice: policy and tool must not see different values.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if object.contains_key(&key) {
                return Err(de::Error::custom(format!("the key {key:?} stands there twice")));
            }
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(text: &str) -> Result<Value, String> {
        let schema = json!({
            "type": "object",
            "properties": { "text": { "type": "string" }, "n": { "type": "integer" } },
            "required": ["text"],
            "additionalProperties": false,
        });
        let validator = jsonschema::validator_for(&schema).unwrap();
        parse(text, &validator, Some(&schema)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_fits_passes_unchanged() {
        assert_eq!(check(r#"{"text": "a\u0000b", "n": 3}"#).unwrap(), json!({"text": "a\u{0}b", "n": 3}));
        let none = json!({"type": "object", "properties": {}});
        let validator = jsonschema::validator_for(&none).unwrap();
        assert_eq!(parse("", &validator, None).unwrap(), json!({}));
    }

    #[test]
    fn what_does_not_is_told_where_and_what_is_expected() {
        for (text, words) in [
            ("{\"text\": ", "not JSON"),
            ("{\"text\": \"a\"]", "line 1 column 13"),
            ("[1]", "not a JSON object"),
            ("{}", "text (string, required), n (integer, optional)"),
            ("{\"text\": 7}", "/text"),
            ("{\"text\": \"a\", \"colour\": 1}", "colour"),
            ("{\"text\": \"a\", \"text\": \"b\"}", "twice"),
            ("{\"text\": \"\\ud800\"}", "not JSON"),
            ("{\"__proto__\": 1}", "__proto__"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(check(&"[".repeat(100_000)).unwrap_err().contains("recursion"), "nesting is bounded");
        assert!(check(&format!("{{\"n\": \"{}\"}}", "x".repeat(100_000))).unwrap_err().len() < 1000);
    }

    proptest! {
        #[test]
        fn any_text_gives_an_answer(text in ".{0,200}") {
            let _ = check(&text);
        }

        #[test]
        fn any_string_passes_through(text in any::<String>()) {
            let sent = json!({ "text": text });
            prop_assert_eq!(check(&sent.to_string()).unwrap(), sent);
        }
    }
}
