//! Arguments as models write them: numbers as numbers, as `3.0`, as strings, or missing.
//!
//! It judges no value, only its form: whether a cursor exists is the history's matter.

use super::BrowserError;
use serde_json::Value;

/// A whole number, or the default where there is none. One that is too large for its type is the largest.
pub(super) fn integer(arguments: &Value, name: &'static str, default: i64) -> Result<i64, BrowserError> {
    let value = arguments.get(name).unwrap_or(&Value::Null);
    let kind = match value {
        Value::Null => return Ok(default),
        Value::String(text) if text.trim().is_empty() => return Ok(default),
        Value::Number(_) => "float",
        Value::String(_) => "str",
        Value::Bool(_) => "bool",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    };
    as_integer(value).ok_or(BrowserError::NotInteger { name, kind })
}

/// The whole number that a value is, or says.
pub(super) fn as_integer(value: &Value) -> Option<i64> {
    let whole = |number: f64| (number.fract() == 0.0).then_some(number as i64);
    match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => {
            let text = text.trim();
            let is_number = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '.'));
            text.parse().ok().or_else(|| whole(text.parse().ok().filter(|_| is_number)?))
        }
        _ => None,
    }
}

/// A text; a number is taken for the text that it is written as, and anything else for none.
pub(super) fn text(arguments: &Value, name: &str) -> String {
    match arguments.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// Whether something is wanted.
pub(super) fn flag(arguments: &Value, name: &str) -> bool {
    match arguments.get(name) {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_read_however_they_are_written() {
        for (value, expect) in [
            (json!(3), Ok(3)),
            (json!(3.0), Ok(3)),
            (json!("3"), Ok(3)),
            (json!(" -1 "), Ok(-1)),
            (json!("3.0"), Ok(3)),
            (json!(null), Ok(7)),
            (json!(""), Ok(7)),
            (json!(1e300), Ok(i64::MAX)),
            (json!(-1e300), Ok(i64::MIN)),
            (json!(u64::MAX), Ok(i64::MAX)),
            (json!("99999999999999999999999"), Ok(i64::MAX)),
            (json!(-0.0), Ok(0)),
            (json!(3.7), Err("`loc` should be an integer, not `float`")),
            (json!("NaN"), Err("`loc` should be an integer, not `str`")),
            (json!("inf"), Err("`loc` should be an integer, not `str`")),
            (json!("three"), Err("`loc` should be an integer, not `str`")),
            (json!(true), Err("`loc` should be an integer, not `bool`")),
            (json!([3]), Err("`loc` should be an integer, not `list`")),
            (json!({}), Err("`loc` should be an integer, not `dict`")),
        ] {
            let read = integer(&json!({"loc": value}), "loc", 7).map_err(|error| error.to_string());
            assert_eq!(read, expect.map_err(str::to_owned), "{value}");
        }
        assert_eq!(integer(&json!({}), "loc", 7), Ok(7));
    }

    #[test]
    fn texts_and_flags_are_read_however_they_are_written() {
        assert_eq!(text(&json!({"query": 23}), "query"), "23");
        assert_eq!(text(&json!({"query": ["a"]}), "query"), "");
        for (value, expect) in [(json!(true), true), (json!("True"), true), (json!("no"), false), (json!(1), false)] {
            assert_eq!(flag(&json!({"view_source": value}), "view_source"), expect);
        }
    }
}
