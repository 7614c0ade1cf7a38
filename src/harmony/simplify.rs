//! Rewrites a JSON Schema in the words that the declaration knows: `$ref` is inlined, `anyOf` becomes `oneOf`, `const`
//! an enum, and what has no type gets one where its values show it. It judges no schema and loses none of its limits,
//! because arguments are checked against the original. Start at [`simplify`].

use serde_json::{Map, Value, json};

/// References followed in one schema, so that a small document cannot unfold into a huge prompt.
const MAX_REFS: usize = 200;

/// References followed within one another, so that depth on depth does not end the stack.
const MAX_NESTED_REFS: usize = 16;

/// The schema as the declaration can say it. A type within itself is `any`.
pub(super) fn simplify(root: &Value) -> Value {
    Rewriter { root, open: Vec::new(), n_refs: 0 }.rewrite(root)
}

struct Rewriter<'a> {
    root: &'a Value,
    /// The references being followed, outermost first.
    open: Vec<String>,
    /// How many have been followed so far.
    n_refs: usize,
}

impl Rewriter<'_> {
    fn rewrite(&mut self, schema: &Value) -> Value {
        let Value::Object(fields) = schema else { return schema.clone() };
        if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
            return self.follow(target, fields);
        }
        if let Some([only]) = fields.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
            return self.rewrite(&overlay(only, fields, "allOf"));
        }
        let mut out = Map::new();
        for (key, value) in fields {
            match (key.as_str(), value) {
                ("$defs" | "definitions", _) => {}
                ("properties", Value::Object(properties)) => {
                    let rewritten = properties.iter().map(|(name, value)| (name.clone(), self.rewrite(value)));
                    out.insert(key.clone(), rewritten.collect());
                }
                ("items", value) => {
                    out.insert(key.clone(), self.rewrite(value));
                }
                ("anyOf" | "oneOf", Value::Array(variants)) => {
                    let rewritten = variants.iter().map(|value| self.rewrite(value));
                    out.insert("oneOf".into(), rewritten.collect());
                }
                _ => {
                    out.insert(key.clone(), value.clone());
                }
            }
        }
        give_type(&mut out);
        Value::Object(out)
    }

    fn follow(&mut self, target: &str, fields: &Map<String, Value>) -> Value {
        let is_within_itself = self.open.iter().any(|open| open == target);
        match resolve(target, self.root) {
            Some(found) if !is_within_itself && self.n_refs < MAX_REFS && self.open.len() < MAX_NESTED_REFS => {
                self.n_refs += 1;
                self.open.push(target.to_owned());
                let rewritten = self.rewrite(&overlay(found, fields, "$ref"));
                self.open.pop();
                rewritten
            }
            _ => overlay(&json!({}), fields, "$ref"),
        }
    }
}

/// Follows a reference within the document, as in `#/$defs/Place`.
fn resolve<'a>(target: &str, root: &'a Value) -> Option<&'a Value> {
    root.pointer(target.strip_prefix('#')?)
}

/// What is referred to, with the fields that stand beside the reference laid over it.
fn overlay(found: &Value, fields: &Map<String, Value>, reference: &str) -> Value {
    let mut merged = found.as_object().cloned().unwrap_or_default();
    merged.extend(fields.iter().filter(|(key, _)| *key != reference).map(|(key, value)| (key.clone(), value.clone())));
    Value::Object(merged)
}

/// Names the type where the values or the other fields show it.
fn give_type(schema: &mut Map<String, Value>) {
    if let Some(value) = schema.remove("const") {
        schema.insert("enum".into(), json!([value]));
    }
    if schema.get("type").and_then(Value::as_str) == Some("null") {
        // The declaration writes a list of names as it stands, and a lone `null` as `any`.
        schema.insert("type".into(), json!(["null"]));
    }
    if schema.contains_key("type") || schema.contains_key("oneOf") {
        return;
    }
    if schema.contains_key("properties") {
        schema.insert("type".into(), json!("object"));
    } else if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        if values.iter().all(Value::is_string) {
            schema.insert("type".into(), json!("string"));
        } else if values.iter().all(Value::is_number) {
            schema.insert("type".into(), json!("number"));
        } else if values.iter().all(Value::is_boolean) {
            schema.insert("type".into(), json!("boolean"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harmony::schema::declare;

    #[test]
    fn what_the_reference_calls_any_gets_its_type() {
        for (property, expected) in [
            (json!({"$ref": "#/$defs/Unit"}), "p?: \"mm\" | \"cm\",\n"),
            (json!({"$ref": "#/$defs/Unit", "default": "mm"}), "p?: \"mm\" | \"cm\", // default: mm\n"),
            (json!({"$ref": "#/$defs/Unit", "description": "The unit"}), "// The unit\np?: \"mm\" | \"cm\",\n"),
            (json!({"$ref": "#/$defs/absent"}), "p?: any,\n"),
            (json!({"$ref": "elsewhere.json"}), "p?: any,\n"),
            (json!({"allOf": [{"$ref": "#/$defs/Unit"}]}), "p?: \"mm\" | \"cm\",\n"),
            (json!({"anyOf": [{"type": "integer"}, {"type": "null"}]}), "p?:\n | number\n | null\n,\n"),
            (json!({"const": "x"}), "p?: \"x\",\n"),
            (json!({"const": 7}), "p?: number,\n"),
            (json!({"enum": ["a", "b"]}), "p?: \"a\" | \"b\",\n"),
            (json!({"enum": [true]}), "p?: boolean,\n"),
            (json!({"enum": ["a", 1]}), "p?: any,\n"),
            (json!({"type": "null"}), "p?: null,\n"),
            (json!({"properties": {"const": {"type": "string"}}}), "p?: {\n    const?: string,\n    },\n"),
            (json!({"type": "array", "items": {"$ref": "#/$defs/Unit"}}), "p?: \"mm\" | \"cm\"[],\n"),
            (json!(true), "p?: any,\n"),
        ] {
            let schema = json!({
                "type": "object",
                "properties": {"p": property},
                "$defs": {"Unit": {"type": "string", "enum": ["mm", "cm"]}},
            });
            assert_eq!(declare(&simplify(&schema)), format!("{{\n{expected}}}"), "{property}");
        }
    }

    #[test]
    fn a_recursive_type_ends() {
        let tree = json!({
            "$ref": "#/$defs/Tree",
            "$defs": {"Tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}}}},
        });
        assert_eq!(declare(&simplify(&tree)), "{\nleft?: any,\n}");
    }

    #[test]
    fn a_small_schema_does_not_unfold_into_a_huge_one() {
        let mut definitions = Map::new();
        for level in 0..30 {
            let next = json!({"$ref": format!("#/$defs/t{}", level + 1)});
            let properties = json!({"a": next, "b": next, "c": next});
            definitions.insert(format!("t{level}"), json!({"type": "object", "properties": properties}));
        }
        let text = declare(&simplify(&json!({"$ref": "#/$defs/t0", "$defs": definitions})));
        assert!(text.len() < 100_000, "{} bytes", text.len());
    }

    #[test]
    fn a_plain_schema_stays_as_it_is() {
        let plain = json!({
            "type": "object",
            "properties": {"a": {"type": "string", "default": "x"}, "b": {"type": "array", "items": {"type": "number"}}},
            "required": ["a"],
        });
        assert_eq!(simplify(&plain), plain);
    }
}
