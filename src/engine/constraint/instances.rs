//! Schemas drawn at random with a value that fits each and values that do not: the first are accepted token by token, the
//! others refused, by a judge (the crate jsonschema) that the grammar does not use. Start at [`valid_is_accepted`].

use super::*;
use crate::harmony::Encoding;
use serde_json::{Map, Value, json};

/// Numbers from a seed: PCG's multiplier, the upper half of the state.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    /// The schema, and one of the values.
    fn one_of(&mut self, schema: Value, values: Value) -> (Value, Value) {
        let n = values.as_array().map_or(0, Vec::len);
        (schema, values[self.below(n)].clone())
    }

    fn text(&mut self) -> String {
        let pieces = ["a", "Zürich", " ", "\"", "\\", "\n", "日本", "0", "/", "naïve", "{}", "é", "🦴", "null"];
        (0..self.below(5)).map(|_| pieces[self.below(pieces.len())]).collect()
    }
}

/// A schema and a value that fits it.
fn draw(random: &mut Random, depth: usize) -> (Value, Value) {
    let n_kinds = if depth == 0 { 9 } else { 13 };
    match random.below(n_kinds) {
        0 => (json!({"type": "string"}), random.text().into()),
        1 => (json!({"type": "string", "maxLength": 20, "minLength": 1}), format!("x{}", random.below(1000)).into()),
        2 => (json!({"type": "string", "pattern": "^[a-z]{1,3}-[0-9]+$"}), format!("ab-{}", random.below(100)).into()),
        3 => random
            .one_of(json!({"enum": ["red", "dark green", 7, true, null]}), json!(["red", "dark green", 7, true, null])),
        4 => {
            let (low, n) = (random.below(100) as i64 - 50, random.below(500) as i64);
            (json!({"type": "integer", "minimum": low, "maximum": low + 500}), (low + n).into())
        }
        5 => random.one_of(json!({"type": "number"}), json!([0.5, -3.0, 12345.678, 0, -7])),
        6 => (json!({"type": "boolean"}), (random.below(2) == 0).into()),
        7 => (json!({"const": "only this"}), "only this".into()),
        8 => random.one_of(json!({"type": ["string", "null"]}), json!([null, "x"])),
        9 => {
            let (items, first) = draw(random, depth - 1);
            let n = random.below(4);
            let schema = json!({"type": "array", "items": items, "minItems": n.min(1), "maxItems": 4});
            (schema, vec![first; n].into())
        }
        10 => {
            let (one, value) = draw(random, depth - 1);
            let other = draw(random, depth - 1).0;
            (json!({"anyOf": if random.below(2) == 0 { [one, other] } else { [other, one] }}), value)
        }
        _ => {
            let (mut properties, mut value, mut required) = (Map::new(), Map::new(), Vec::new());
            for idx in 0..random.below(4) {
                let name = ["city", "a-b", "ключ", "x y"][idx].to_owned();
                let (schema, inner) = draw(random, depth - 1);
                let is_required = random.below(2) == 0;
                if is_required || random.below(2) == 0 {
                    value.insert(name.clone(), inner);
                }
                if is_required {
                    required.push(name.clone());
                }
                properties.insert(name, schema);
            }
            let schema = json!({
                "type": "object", "properties": properties, "required": required, "additionalProperties": false,
            });
            (schema, value.into())
        }
    }
}

/// Values near one: something of it left out, added or of another type.
fn mutants(value: &Value) -> Vec<Value> {
    let mut out = vec![json!(null), json!("mutant"), json!(-987_654), json!(0.123_25), json!([]), json!({"mutant": 1})];
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let with = |changed: Option<Value>| {
                    let mut fields = fields.clone();
                    match changed {
                        Some(changed) => drop(fields.insert(name.clone(), changed)),
                        None => drop(fields.shift_remove(name)),
                    }
                    Value::from(fields)
                };
                out.push(with(None));
                out.extend(mutants(inner).into_iter().map(|changed| with(Some(changed))));
            }
            let mut more = fields.clone();
            more.insert("mutant".into(), json!(1));
            out.push(more.into());
        }
        Value::Array(items) if !items.is_empty() => {
            out.push(vec![items[0].clone(); 9].into());
            out.extend(mutants(&items[0]).into_iter().map(|changed| vec![changed; items.len()].into()));
        }
        Value::String(text) => out.push(format!("{text}{text}-").into()),
        _ => {}
    }
    out
}

/// Whether the text of the value is taken to the end of an answer.
fn accepts(grammar: &CompiledGrammar, text: &str) -> bool {
    let mut tokens = Encoding::new().header(Channel::Final);
    tokens.extend(tokenizer::encode_ordinary(text));
    tokens.push(special::RETURN);
    let mut constraint = Constraint::start(grammar, &[]).unwrap();
    tokens.iter().all(|&token| constraint.accept(token)) && matches!(constraint.next(1), Ok(Next::End))
}

#[test]
fn valid_is_accepted_and_invalid_refused() {
    let mut random = Random(7);
    let (mut n_valid, mut n_invalid) = (0, 0);
    for _ in 0..300 {
        let (schema, value) = draw(&mut random, 3);
        let judge = jsonschema::validator_for(&schema).unwrap();
        assert!(judge.is_valid(&value), "{value} was drawn for {schema}");
        let grammar = TurnGrammar::new(&[], &[]).with_response_format(schema.clone());
        let grammar = CompiledGrammar::new(Arc::new(grammar)).unwrap_or_else(|error| panic!("{schema}: {error}"));
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            assert!(accepts(&grammar, &text), "{text} is refused under {schema}");
            n_valid += 1;
        }
        for mutant in mutants(&value).into_iter().filter(|mutant| !judge.is_valid(mutant)) {
            assert!(!accepts(&grammar, &mutant.to_string()), "{mutant} is accepted under {schema}");
            n_invalid += 1;
        }
    }
    assert!(n_valid == 600 && n_invalid > 1_500, "{n_valid} valid, {n_invalid} invalid");
}
