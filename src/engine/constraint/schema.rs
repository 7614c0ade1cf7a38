//! JSON Schemas on their way into a grammar: what a grammar cannot say is found and named by its path, what says nothing is
//! left out, and what is longer than a message may be is cut to it. Start at [`prepare`].

use super::GrammarError;
use super::llguidance::Matcher;
use crate::harmony::{Body, Token, TurnGrammar, tokenizer};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt;

/// Part of a schema that no grammar can hold a model to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inexpressible {
    /// A JSON pointer to it: `/properties/city/pattern`.
    pub path: String,
    /// Why, and what to do.
    pub why: String,
}

impl fmt::Display for Inexpressible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A path may be as long as the schema is deep.
        let path: String = self.path.chars().take(200).collect();
        write!(f, "at {}: {}", if path.is_empty() { "its root" } else { &path }, self.why)
    }
}

/// Schemas within schemas, counting each once.
const MAX_SCHEMAS: usize = 10_000;
/// Keywords and names from the root down.
const MAX_DEPTH: usize = 128;
/// Definitions that are referred to: the library descends from one to the next.
const MAX_REFERENCES: usize = 256;
/// Values of an `enum`.
const MAX_VALUES: usize = 5_000;
/// Patterns for names: each is compared with each.
const MAX_NAME_PATTERNS: usize = 32;
/// Parts that are compiled alone to find out which one is to blame.
const MAX_TRIALS: usize = 64;
/// A string, in characters, or an array, in items, that must be longer cannot be written in one message.
const MAX_LEAST: u64 = 256;
/// An upper limit beyond this is lowered to it.
const MAX_MOST: u64 = 16_384;

/// The greatest integer that every program reads exactly: 2^53 - 1.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// Keywords that a grammar, which reads from left to right and remembers little, cannot follow.
const BEYOND: &[&str] = &[
    "not",
    "if",
    "then",
    "else",
    "contains",
    "minContains",
    "maxContains",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "$dynamicRef",
    "$recursiveRef",
];

/// Keywords that apply schemas to the same value. The library reads keywords in order, and what stands on both sides of one of
/// these it reads apart, so they go last.
const APPLICATORS: &[&str] = &["const", "enum", "allOf", "anyOf", "oneOf", "$ref"];

/// The other keywords that are enforced. Whatever is not named in this file allows and forbids nothing.
const ENFORCED: &[&str] = &[
    "$anchor",
    "$defs",
    "additionalItems",
    "additionalProperties",
    "definitions",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "required",
    "type",
];

/// Formats of strings that are enforced; any other is a remark, as the specification has it.
const FORMATS: &[&str] = &["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"];

/// The schema as llguidance reads it.
pub(super) fn prepare(schema: &Value) -> Result<Value, Inexpressible> {
    let mut preparation = Preparation::default();
    let mut prepared = match preparation.schema(schema)? {
        Value::Object(fields) => fields,
        // `true`, which allows everything, and `false`.
        other => Map::from_iter([("allOf".to_owned(), json!([other]))]),
    };
    // One space or one line break with its indentation: models write both styles, and neither goes on for ever.
    // A character has one spelling: what `\u` could write too is written as itself.
    let style = json!({ "whitespace_pattern": "( |\\n {0,24})", "json_allowed_escapes": "nrbtf\\\"" });
    prepared.insert("x-guidance".into(), style);
    Ok(prepared.into())
}

/// Texts that satisfy the patterns of the grammar's schemas, as tokens.
pub(super) fn witnesses(grammar: &TurnGrammar) -> Vec<Vec<Token>> {
    let mut patterns = BTreeSet::new();
    for body in grammar.calls.iter().map(|call| &call.body).chain(&grammar.answer) {
        if let Body::Json(schema) = body {
            let mut preparation = Preparation::default();
            if preparation.schema(schema).is_ok() {
                patterns.extend(preparation.patterns);
            }
        }
    }
    let found = patterns.iter().filter_map(|pattern| jsonschema_regex::pattern_witness(pattern));
    found.map(|text| tokenizer::encode_ordinary(&text)).collect()
}

#[derive(Default)]
struct Preparation {
    n_schemas: usize,
    path: Vec<String>,
    references: BTreeSet<String>,
    patterns: BTreeSet<String>,
}

impl Preparation {
    fn fail<T>(&self, why: impl Into<String>) -> Result<T, Inexpressible> {
        let escaped = self.path.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1")));
        Err(Inexpressible { path: escaped.collect(), why: why.into() })
    }

    fn within<T>(
        &mut self,
        part: impl Into<String>,
        inside: impl FnOnce(&mut Self) -> Result<T, Inexpressible>,
    ) -> Result<T, Inexpressible> {
        self.path.push(part.into());
        let result = inside(self)?;
        self.path.pop();
        Ok(result)
    }

    fn schema(&mut self, schema: &Value) -> Result<Value, Inexpressible> {
        self.n_schemas += 1;
        if self.n_schemas > MAX_SCHEMAS {
            return self.fail(format!("the schema has more than {MAX_SCHEMAS} parts"));
        }
        if self.path.len() > MAX_DEPTH {
            return self.fail("schemas are nested too deep");
        }
        let fields = match schema {
            Value::Bool(_) => return Ok(schema.clone()),
            Value::Object(fields) => fields,
            _ => return self.fail("a schema is an object, true or false"),
        };
        if fields.contains_key("prefixItems") && fields.contains_key("additionalItems") {
            return self
                .fail("`prefixItems` and `additionalItems` are of different drafts; use `items` beside the first");
        }
        let mut out = Map::new();
        let (last, first): (Vec<_>, Vec<_>) = fields.iter().partition(|(key, _)| APPLICATORS.contains(&key.as_str()));
        for (key, value) in first.into_iter().chain(last) {
            self.path.push(key.clone());
            if let Some((key, value)) = self.keyword(key, value)? {
                // An exclusive bound may have become one that stands there already: the narrower one counts.
                let is_wider = |other: &Value| match key {
                    "minimum" => value.as_f64() < other.as_f64(),
                    "maximum" => value.as_f64() > other.as_f64(),
                    _ => false,
                };
                if !out.get(key).is_some_and(is_wider) {
                    out.insert(key.to_owned(), value);
                }
            }
            self.path.pop();
        }
        Ok(out.into())
    }

    /// The keyword as it is enforced; `None` when it says nothing.
    fn keyword<'a>(&mut self, key: &'a str, value: &Value) -> Result<Option<(&'a str, Value)>, Inexpressible> {
        let number = value.as_f64();
        let prepared = match key {
            _ if BEYOND.contains(&key) => {
                return self.fail("a grammar cannot enforce this keyword; leave it out, or describe it in words");
            }
            "uniqueItems" if *value == Value::Bool(true) => {
                return self.fail("a grammar cannot compare items; leave it out, or describe it in words");
            }
            _ if !ENFORCED.contains(&key) && !APPLICATORS.contains(&key) => return Ok(None),
            "$ref" => {
                let Some(target) = value.as_str().filter(|target| target.starts_with('#')) else {
                    return self.fail("only references within the schema are followed; nothing is fetched");
                };
                self.references.insert(target.to_owned());
                if self.references.len() > MAX_REFERENCES {
                    return self.fail(format!("more than {MAX_REFERENCES} definitions are referred to"));
                }
                value.clone()
            }
            "format" if !value.as_str().is_some_and(|name| FORMATS.contains(&name)) => return Ok(None),
            "pattern" => {
                let Some(pattern) = value.as_str() else { return self.fail("must be a string") };
                self.patterns.insert(pattern.to_owned());
                self.regex(pattern)?.into()
            }
            "const" => self.exact(value)?,
            "enum" => {
                if value.as_array().is_some_and(|values| values.len() > MAX_VALUES) {
                    return self.fail(format!("has more than {MAX_VALUES} values"));
                }
                self.exact(value)?
            }
            "minLength" | "minItems" | "minProperties" => {
                if number.is_some_and(|least| least > MAX_LEAST as f64) {
                    return self.fail(format!("more than {MAX_LEAST} cannot be demanded of one message"));
                }
                value.clone()
            }
            "maxLength" | "maxItems" | "maxProperties" if number.is_some_and(|most| most > MAX_MOST as f64) => {
                json!(MAX_MOST)
            }
            // Bounds narrower than what was asked for, by numbers that not all programs tell apart.
            "minimum" if number.is_some_and(|least| least < -MAX_EXACT) => json!(-MAX_EXACT),
            "maximum" if number.is_some_and(|most| most > MAX_EXACT) => json!(MAX_EXACT),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum"
                if number.is_none_or(|n| n.abs() > MAX_EXACT) =>
            {
                return self.fail("must be a number that every program reads exactly: at most 2^53 - 1");
            }
            "exclusiveMinimum" => return Ok(Some(("minimum", beside(number, 1.0)))),
            "exclusiveMaximum" => return Ok(Some(("maximum", beside(number, -1.0)))),
            "multipleOf" if number.is_none_or(|n| !(1e-6..=1e6).contains(&n)) => {
                return self.fail("is enforced from 0.000001 to 1000000");
            }
            "properties" | "$defs" | "definitions" => self.named(value)?,
            "patternProperties" => {
                if value.as_object().is_some_and(|named| named.len() > MAX_NAME_PATTERNS) {
                    return self.fail(format!("has more than {MAX_NAME_PATTERNS} patterns"));
                }
                self.named(value)?
            }
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => self.list(value)?,
            "items" if value.is_array() => self.list(value)?,
            "items" | "additionalItems" | "additionalProperties" => self.schema(value)?,
            _ => value.clone(),
        };
        Ok(Some((key, prepared)))
    }

    fn named(&mut self, value: &Value) -> Result<Value, Inexpressible> {
        let Value::Object(named) = value else { return self.fail("must be an object") };
        let mut out = Map::new();
        for (name, schema) in named {
            out.insert(name.clone(), self.within(name.as_str(), |this| this.schema(schema))?);
        }
        Ok(out.into())
    }

    /// A pattern, which is written in ECMAScript's dialect, in the dialect of the library.
    fn regex(&self, pattern: &str) -> Result<String, Inexpressible> {
        match jsonschema_regex::to_rust_regex(pattern) {
            Ok(pattern) => Ok(pattern.into_owned()),
            Err(()) => self.fail("is no regular expression that can be enforced"),
        }
    }

    /// Values whose numbers mean the same to every program.
    fn exact(&self, value: &Value) -> Result<Value, Inexpressible> {
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            match value {
                Value::Number(number) if number.as_f64().is_none_or(|n| n.abs() > MAX_EXACT) => {
                    return self.fail("holds a number that not every program reads exactly: it is above 2^53 - 1");
                }
                Value::Array(items) => open.extend(items),
                Value::Object(fields) => open.extend(fields.values()),
                _ => {}
            }
        }
        Ok(value.clone())
    }

    fn list(&mut self, value: &Value) -> Result<Value, Inexpressible> {
        let Value::Array(schemas) = value else { return self.fail("must be an array") };
        let mut out = Vec::new();
        for (idx, schema) in schemas.iter().enumerate() {
            out.push(self.within(idx.to_string(), |this| this.schema(schema))?);
        }
        Ok(out.into())
    }
}

/// The bound that is next to an exclusive one, as near as a decimal of a dozen digits tells them apart.
fn beside(bound: Option<f64>, direction: f64) -> Value {
    let bound = bound.unwrap_or_default();
    json!(bound + direction * (bound.abs() * 1e-12).max(1e-12))
}

/// Finds the schema, and the part of it, for which a grammar that was refused is to blame.
pub(super) fn blame(grammar: &TurnGrammar) -> Option<GrammarError> {
    let calls = grammar.calls.iter().map(|call| (call.recipient.as_str(), &call.body));
    let answer = grammar.answer.iter().map(|body| ("the answer", body));
    calls.chain(answer).find_map(|(of, body)| {
        let Body::Json(schema) = body else { return None };
        let problem = problem_of(schema, schema)?;
        let mut reason = Inexpressible { path: String::new(), why: problem };
        let mut n_trials = MAX_TRIALS;
        narrow(schema, schema, &mut reason, &mut n_trials);
        Some(GrammarError::Schema { of: of.to_owned(), reason })
    })
}

/// Moves the blame to the deepest part that fails alone.
fn narrow(part: &Value, root: &Value, reason: &mut Inexpressible, n_trials: &mut usize) {
    let fields = part.as_object().into_iter().flatten();
    let children = fields.flat_map(|(key, value)| -> Vec<(String, &Value)> {
        let escape = |name: &str| name.replace('~', "~0").replace('/', "~1");
        match (key.as_str(), value) {
            ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(named)) => {
                named.iter().map(|(name, schema)| (format!("/{key}/{}", escape(name)), schema)).collect()
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Value::Array(schemas)) => {
                schemas.iter().enumerate().map(|(idx, schema)| (format!("/{key}/{idx}"), schema)).collect()
            }
            ("items" | "additionalItems" | "additionalProperties", Value::Object(_)) => {
                vec![(format!("/{key}"), value)]
            }
            _ => Vec::new(),
        }
    });
    for (path, child) in children {
        if *n_trials == 0 {
            return;
        }
        *n_trials -= 1;
        if let Some(problem) = problem_of(child, root) {
            reason.path += &path;
            reason.why = problem;
            return narrow(child, root, reason, n_trials);
        }
    }
}

/// What is wrong with a part of `root` when it stands alone, with the root's definitions beside it.
fn problem_of(part: &Value, root: &Value) -> Option<String> {
    let mut alone = match part {
        Value::Object(fields) => fields.clone(),
        _ => return None,
    };
    for key in ["$defs", "definitions"] {
        if let Some(definitions) = root.get(key) {
            alone.entry(key).or_insert_with(|| definitions.clone());
        }
    }
    let prepared = prepare(&alone.into()).ok()?;
    Matcher::compile(&format!("start: %json {prepared}")).err()
}
