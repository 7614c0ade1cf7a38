//! Rewrites a JSON Schema in the words that the declaration knows: `$ref` is inlined, `anyOf` becomes `oneOf`, `const`
//! an enum, and what has no type gets one where its values show it. It judges no schema and loses none of its limits,
//! because arguments are checked against the original. Start at [`simplify`].

use serde_json::{Map, Value, json};

/// Nesting beyond which references are no longer followed: a recursive type is `any` from here on.
const MAX_DEPTH: usize = 6;

/// The schema as the declaration can say it.
pub(super) fn simplify(root: &Value) -> Value {
    rewrite(root, root, 0)
}

fn rewrite(schema: &Value, root: &Value, n_refs: usize) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
        return match resolve(target, root) {
            Some(found) if n_refs < MAX_DEPTH => rewrite(&overlay(found, fields, "$ref"), root, n_refs + 1),
            _ => json!({}),
        };
    }
    if let Some([only]) = fields.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        return rewrite(&overlay(only, fields, "allOf"), root, n_refs);
    }
    let mut out = Map::new();
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("$defs" | "definitions", _) => {}
            ("properties", Value::Object(properties)) => {
                let rewritten = properties.iter().map(|(name, value)| (name.clone(), rewrite(value, root, n_refs)));
                out.insert(key.clone(), rewritten.collect());
            }
            ("items", value) => {
                out.insert(key.clone(), rewrite(value, root, n_refs));
            }
            ("anyOf" | "oneOf", Value::Array(variants)) => {
                let rewritten = variants.iter().map(|value| rewrite(value, root, n_refs));
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
