//! A turn's grammar in the language that llguidance reads, a dialect of Lark. Start at [`turn`].

use super::GrammarError;
use super::schema::prepare;
use crate::harmony::{Body, CallGrammar, Channel, TurnGrammar};
use serde_json::Value;
use std::fmt::Write;

/// The whole turn. Fails only for a schema that is known beforehand to be beyond the language.
pub(super) fn turn(grammar: &TurnGrammar) -> Result<String, GrammarError> {
    let mut out = format!("start: block{{0,{}}} last\n", grammar.caps.n_blocks);
    out += r#"block: (reasoning | remark) <|end|> <|start|> "assistant"
reasoning: <|channel|> "analysis" <|message|> TEXT
remark: <|channel|> "commentary" <|message|> TEXT
TEXT: /(.|\n)*/
WORDS: /(.|\n)+/
json_type: (" " <|constrain|> "json" | <|constrain|> "json" | " json" | " code")?
code_type: (" " <|constrain|> "code" | " code")?
"#;
    let mut last: Vec<String> = (0..grammar.calls.len()).map(|idx| format!("call{idx}")).collect();
    for (idx, call) in grammar.calls.iter().enumerate() {
        write_call(idx, call, &mut out)?;
    }
    match &grammar.answer {
        None => {}
        Some(Body::Text | Body::Code) => {
            out += "answer: <|channel|> \"final\" <|message|> WORDS <|return|>\n";
            last.push("answer".into());
        }
        Some(Body::Json(schema)) => {
            let schema = json(schema, "the answer")?;
            let _ = writeln!(
                out,
                "answer: <|channel|> \"final\" json_type <|message|> format <|return|>\nformat: {schema}"
            );
            last.push("answer".into());
        }
    }
    let _ = writeln!(out, "last: {}", last.join(" | "));
    Ok(out)
}

/// The recipient behind the channel, where models put it, or before it, where the renderer does; on either channel.
fn write_call(idx: usize, call: &CallGrammar, out: &mut String) -> Result<(), GrammarError> {
    let (body, kind) = match &call.body {
        Body::Json(schema) => (json(schema, &call.recipient)?, "json_type"),
        Body::Code | Body::Text => ("TEXT".into(), "code_type"),
    };
    let to = Value::from(format!(" to={}", call.recipient));
    let (channel, other) = match call.channel {
        Channel::Analysis => ("analysis", "commentary"),
        Channel::Commentary | Channel::Final => ("commentary", "analysis"),
    };
    let _ = writeln!(
        out,
        "call{idx}: (<|channel|> (\"{channel}\" | \"{other}\") {to} | {to} <|channel|> (\"{channel}\" | \"{other}\")) \
         {kind} <|message|> body{idx} <|call|>\nbody{idx}: {body}"
    );
    Ok(())
}

fn json(schema: &Value, of: &str) -> Result<String, GrammarError> {
    let prepared = prepare(schema).map_err(|reason| GrammarError::Schema { of: of.to_owned(), reason })?;
    Ok(format!("%json {prepared}"))
}
