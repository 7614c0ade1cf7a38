//! A JSON Schema as the TypeScript-like declaration that the models were trained on. The layout is fixed to the byte
//! by the reference implementation, its oddities included; what it does not know is `any`, and
//! [`simplify`](super::simplify) rewrites such schemas beforehand. Start at [`declare`].

use serde_json::{Map, Value};

/// The type of a function's parameters.
pub(super) fn declare(schema: &Value) -> String {
    type_of(schema, "")
}

/// The type of a schema whose own lines are indented by `indent`.
fn type_of(schema: &Value, indent: &str) -> String {
    if let Some(variants) = array(schema, "oneOf") {
        let inner = format!("{indent}   ");
        let variant = |variant: &Value| {
            let mut notes: Vec<_> = string(variant, "description").map(str::to_owned).into_iter().collect();
            notes.extend(default_of(variant, EnumDefault::Quoted));
            format!("\n{indent} | {}{}", nullable_type_of(variant, &inner), trailing(&notes))
        };
        return variants.iter().map(variant).collect();
    }
    if let Some(names) = array(schema, "type") {
        let names: Vec<_> = names.iter().filter_map(Value::as_str).map(number_for_integer).collect();
        if !names.is_empty() {
            return names.join(" | ");
        }
    }
    match string(schema, "type") {
        Some("object") => object(schema, indent),
        Some("string") => literals(schema).unwrap_or_else(|| "string".into()),
        Some("number" | "integer") => "number".into(),
        Some("boolean") => "boolean".into(),
        Some("array") => match schema.get("items") {
            Some(items) => format!("{}[]", type_of(items, indent)),
            None => "Array<any>".into(),
        },
        _ => "any".into(),
    }
}

fn nullable_type_of(schema: &Value, indent: &str) -> String {
    let name = type_of(schema, indent);
    let is_nullable = schema.get("nullable").and_then(Value::as_bool).unwrap_or(false);
    if is_nullable && !name.contains("null") { format!("{name} | null") } else { name }
}

fn object(schema: &Value, indent: &str) -> String {
    let mut out = String::new();
    if let Some(description) = string(schema, "description") {
        out.push_str(&format!("{indent}// {description}\n"));
    }
    out.push_str("{\n");
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let required = array(schema, "required").map(Vec::as_slice).unwrap_or_default();
    for (key, property) in properties {
        let mark = if required.iter().any(|name| name.as_str() == Some(key)) { "" } else { "?" };
        out.push_str(&comments(property, indent));
        match array(property, "oneOf") {
            Some(variants) => out.push_str(&union(key, mark, property, variants, indent)),
            None => {
                let name = nullable_type_of(property, &format!("{indent}    "));
                let is_plain = property.get("oneOf").is_none();
                let default = default_of(property, EnumDefault::Bare).filter(|_| is_plain);
                let default = default.map(|text| format!(" // {text}")).unwrap_or_default();
                out.push_str(&format!("{indent}{key}{mark}: {name},{default}\n"));
            }
        }
    }
    out.push_str(&format!("{indent}}}"));
    out
}

/// The comments above a property: title, description, examples.
fn comments(property: &Value, indent: &str) -> String {
    let mut out = String::new();
    if let Some(title) = string(property, "title") {
        out.push_str(&format!("{indent}// {title}\n{indent}//\n"));
    }
    // A union places its description itself, below the examples.
    if let Some(description) = string(property, "description").filter(|_| property.get("oneOf").is_none()) {
        out.push_str(&format!("{indent}// {description}\n"));
    }
    if let Some(examples) = array(property, "examples").filter(|examples| !examples.is_empty()) {
        out.push_str(&format!("{indent}// Examples:\n"));
        for example in examples.iter().filter_map(Value::as_str) {
            out.push_str(&format!("{indent}// - \"{example}\"\n"));
        }
    }
    out
}

/// A property that is a union, one variant a line.
fn union(key: &str, mark: &str, property: &Value, variants: &[Value], indent: &str) -> String {
    let mut out = String::new();
    let description = string(property, "description");
    let first = variants.first().and_then(|variant| string(variant, "description"));
    // Said once: above the property, or behind the first variant when both say the same.
    let is_above = description.is_some() && description != first;
    if let Some(text) = description.filter(|_| is_above) {
        out.push_str(&format!("{indent}// {text}\n"));
    }
    if let Some(default) = default_of(property, EnumDefault::Bare) {
        out.push_str(&format!("{indent}// {default}\n"));
    }
    out.push_str(&format!("{indent}{key}{mark}:\n"));
    let inner = format!("{indent}   ");
    for (variant_idx, variant) in variants.iter().enumerate() {
        let own = string(variant, "description").filter(|text| Some(*text) != description);
        let own = own.filter(|_| variant_idx > 0 || !is_above);
        let mut notes: Vec<_> = own.map(str::to_owned).into_iter().collect();
        notes.extend(default_of(variant, EnumDefault::Bare));
        out.push_str(&format!("{indent} | {}{}\n", nullable_type_of(variant, &inner), trailing(&notes)));
    }
    out.push_str(&format!("{indent},\n"));
    out
}

/// How the default of an enum is written; a plain string's is always quoted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EnumDefault {
    Bare,
    Quoted,
}

fn default_of(schema: &Value, of_enum: EnumDefault) -> Option<String> {
    let is_enum = array(schema, "enum").is_some_and(|values| !values.is_empty());
    Some(match schema.get("default")? {
        Value::String(text) if !is_enum => format!("default: \"{text}\""),
        Value::String(text) if of_enum == EnumDefault::Bare => format!("default: {text}"),
        other => format!("default: {other}"),
    })
}

fn literals(schema: &Value) -> Option<String> {
    let values = array(schema, "enum")?;
    let literals: Vec<_> = values.iter().filter_map(Value::as_str).map(|text| format!("\"{text}\"")).collect();
    (!literals.is_empty()).then(|| literals.join(" | "))
}

fn trailing(notes: &[String]) -> String {
    if notes.is_empty() { String::new() } else { format!(" // {}", notes.join(" ")) }
}

fn number_for_integer(name: &str) -> &str {
    if name == "integer" { "number" } else { name }
}

fn array<'a>(schema: &'a Value, key: &str) -> Option<&'a Vec<Value>> {
    schema.get(key).and_then(Value::as_array)
}

fn string<'a>(schema: &'a Value, key: &str) -> Option<&'a str> {
    schema.get(key).and_then(Value::as_str)
}
