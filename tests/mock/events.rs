//! A response as the events of a stream: numbered, in the API's order, the same each time they are asked for.
//!
//! They are made from the response as it ends; nothing here knows of time. Start at [`of`].

use serde_json::{Value, json};

/// Characters of text in one event.
const PIECE: usize = 8;

pub fn of(done: &Value) -> Vec<Value> {
    let mut begun = done.clone();
    begun["output"] = json!([]);
    for field in ["usage", "error", "incomplete_details"] {
        begun[field] = Value::Null;
    }
    let mut events = Vec::new();
    let early = if done["background"] == true {
        &["created", "queued", "in_progress"][..]
    } else {
        &["created", "in_progress"]
    };
    for kind in early {
        begun["status"] =
            if *kind == "in_progress" || done["background"] != true { "in_progress" } else { "queued" }.into();
        events.push(json!({"type": format!("response.{kind}"), "response": begun}));
    }
    for (idx, item) in done["output"].as_array().into_iter().flatten().enumerate() {
        events.push(json!({"type": "response.output_item.added", "output_index": idx, "item": opened(item)}));
        match item["type"].as_str() {
            Some("message") => message(&mut events, idx, item),
            Some("function_call") => {
                let at = json!({"item_id": item["id"], "output_index": idx});
                let arguments = item["arguments"].as_str().unwrap_or_default();
                let name = "response.function_call_arguments";
                deltas(&mut events, &at, &format!("{name}.delta"), arguments);
                events.push(with(
                    &at,
                    json!({"type": format!("{name}.done"), "arguments": arguments, "name": item["name"]}),
                ));
            }
            _ => {}
        }
        events.push(json!({"type": "response.output_item.done", "output_index": idx, "item": item}));
    }
    let status = done["status"].as_str().unwrap_or("completed");
    events.push(json!({"type": format!("response.{status}"), "response": done}));
    for (n, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = n.into();
    }
    events
}

/// An item before anything is in it.
fn opened(item: &Value) -> Value {
    let mut item = item.clone();
    item["status"] = "in_progress".into();
    for (field, empty) in [("content", json!([])), ("arguments", json!(""))] {
        if item.get(field).is_some() {
            item[field] = empty;
        }
    }
    item
}

fn message(events: &mut Vec<Value>, output_idx: usize, item: &Value) {
    for (idx, part) in item["content"].as_array().into_iter().flatten().enumerate() {
        let at = json!({"item_id": item["id"], "output_index": output_idx, "content_index": idx});
        let field = if part["type"] == "refusal" { "refusal" } else { "text" };
        let kind = if field == "refusal" { "refusal" } else { "output_text" };
        let mut empty = part.clone();
        empty[field] = "".into();
        events.push(with(&at, json!({"type": "response.content_part.added", "part": empty})));
        let said = part[field].as_str().unwrap_or_default();
        deltas(events, &at, &format!("response.{kind}.delta"), said);
        let mut over = with(&at, json!({"type": format!("response.{kind}.done")}));
        over[field] = said.into();
        if field == "text" {
            over["logprobs"] = json!([]);
        }
        events.push(over);
        events.push(with(&at, json!({"type": "response.content_part.done", "part": part})));
    }
}

fn deltas(events: &mut Vec<Value>, at: &Value, kind: &str, text: &str) {
    let characters: Vec<char> = text.chars().collect();
    for piece in characters.chunks(PIECE) {
        let mut event = with(at, json!({"type": kind, "delta": piece.iter().collect::<String>()}));
        if kind.contains("output_text") {
            event["logprobs"] = json!([]);
        }
        events.push(event);
    }
}

/// The fields of both.
fn with(at: &Value, more: Value) -> Value {
    let mut event = more;
    for (name, value) in at.as_object().into_iter().flatten() {
        event[name.as_str()] = value.clone();
    }
    event
}
