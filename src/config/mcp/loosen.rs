//! Schemas of servers made fit for the grammar: servers write keywords that no grammar can hold a model to.
//!
//! What is taken out allows more than the server does, which is no harm: it checks the arguments itself and says what is wrong
//! with them. Which keywords these are is the grammar's word, not this file's.

use crate::engine::GrammarError;
use crate::engine::constraint::CompiledGrammar;
use crate::harmony::{Declaration, TurnGrammar};
use serde_json::{Value, json};
use std::sync::Arc;

/// So many places of a schema are loosened at most.
const MAX_PLACES: usize = 32;

/// Keywords whose values are schemas by name.
const NAMED: &[&str] = &["properties", "patternProperties", "$defs", "definitions"];

/// The declaration's parameters, loosened until a grammar can be made of them.
pub(super) fn loosened(mut declaration: Declaration) -> Result<Value, GrammarError> {
    for n_places in 0.. {
        let grammar = TurnGrammar::new(std::slice::from_ref(&declaration), &[]);
        let error = match CompiledGrammar::new(Arc::new(grammar)) {
            Ok(_) => break,
            Err(error) => error,
        };
        let GrammarError::Schema { reason, .. } = &error else { return Err(error) };
        let parameters = declaration.parameters.as_mut();
        if n_places == MAX_PLACES || !parameters.is_some_and(|parameters| take_out(parameters, &reason.path)) {
            return Err(error);
        }
    }
    Ok(declaration.parameters.unwrap_or_default())
}

/// Takes a keyword away, or lets a schema allow everything. `false` when there is nothing at the place.
fn take_out(schema: &mut Value, path: &str) -> bool {
    let Some((above, last)) = path.rsplit_once('/') else { return false };
    let last = last.replace("~1", "/").replace("~0", "~");
    let is_named = above.rsplit('/').next().is_some_and(|keyword| NAMED.contains(&keyword));
    // Within `properties` even a name may be `properties`; then more is allowed than need be.
    match schema.pointer_mut(above) {
        Some(Value::Object(fields)) if is_named => fields.insert(last, json!({})).is_some_and(|was| was != json!({})),
        Some(Value::Object(fields)) => fields.shift_remove(&last).is_some(),
        Some(Value::Array(schemas)) => match last.parse().ok().and_then(|idx: usize| schemas.get_mut(idx)) {
            Some(schema) if *schema != json!({}) => {
                *schema = json!({});
                true
            }
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parameters: Value, expect: Option<Value>) {
        let declaration =
            Declaration { name: "t".into(), description: String::new(), parameters: Some(parameters.clone()) };
        assert_eq!(loosened(declaration).ok(), expect, "{parameters}");
    }

    #[test]
    fn what_no_grammar_enforces_is_taken_out_and_nothing_else() {
        let plain = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"] });
        check(plain.clone(), Some(plain));
        check(
            json!({ "type": "object", "not": {}, "properties": {
                "a": { "type": "array", "items": { "type": "string" }, "uniqueItems": true },
                "b/c": { "anyOf": [{ "if": {} }, { "type": "string", "minLength": 9999 }] },
            } }),
            Some(json!({ "type": "object", "properties": {
                "a": { "type": "array", "items": { "type": "string" } },
                "b/c": { "anyOf": [{}, { "type": "string" }] },
            } })),
        );
        check(json!({ "type": "object", "properties": 7 }), None);
        let contradiction = json!({ "type": "object", "required": ["a"], "additionalProperties": false });
        check(contradiction, None);
    }
}
