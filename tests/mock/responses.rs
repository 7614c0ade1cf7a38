//! Responses: created whole, streamed or in the background, looked at, cancelled, deleted, counted.
//!
//! What the model "says" follows from the request alone, so that tests know it. Start at [`create`].

use super::conversations::{list, not_found, now, with_id};
use super::events;
use super::plan::Fault;
use super::reply::Reply;
use super::routes::{Ask, model};
use super::store::{DONE, Kept, Store};
use serde_json::{Map, Value, json};

type Answered = Result<Reply, Reply>;

/// What a request may hold; the API refuses other fields.
const FIELDS: &[&str] = &[
    "background",
    "context_management",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// The least that `max_output_tokens` may be.
const LEAST_OUTPUT: u64 = 16;

pub fn create(store: &mut Store, ask: &Ask<'_>) -> Answered {
    let request = ask.json()?;
    let input = checked(store, &request)?;
    let conversation = conversation(store, &request)?;
    let done = done(store, &request, &input, conversation.as_deref(), ask.fault);
    let id = done["id"].as_str().unwrap_or_default().to_owned();
    store.charge(&id, ask.path, &done["usage"]);
    let kept_input: Vec<Value> = input.iter().map(|item| with_id(store, item)).collect();
    let is_background = request["background"] == true;
    let kept =
        Kept { done: done.clone(), input: kept_input, conversation, stage: if is_background { 0 } else { DONE } };
    let now = kept.now();
    if !is_background {
        store.finish(&kept);
    }
    store.responses.insert(id.clone(), kept);
    if request["stream"] == true {
        store.complete(&id);
        return Ok(Reply::events(events::of(&done)));
    }
    Ok(Reply::json(now))
}

pub fn retrieve(store: &mut Store, ask: &Ask<'_>, id: &str) -> Answered {
    if ask.parameter("stream") == Some("true") {
        store.complete(id);
        let done = store.look(id).ok_or_else(|| no_response(id))?;
        let after: i64 = ask.parameter("starting_after").and_then(|n| n.parse().ok()).unwrap_or(-1);
        let is_later = |event: &Value| event["sequence_number"].as_i64().is_some_and(|n| n > after);
        return Ok(Reply::events(events::of(&done).into_iter().filter(is_later).collect()));
    }
    store.look(id).map(Reply::json).ok_or_else(|| no_response(id))
}

pub fn delete(store: &mut Store, id: &str) -> Answered {
    store.responses.remove(id).ok_or_else(|| no_response(id))?;
    Ok(Reply::json(json!({"id": id, "object": "response", "deleted": true})))
}

pub fn cancel(store: &mut Store, id: &str) -> Answered {
    let kept = store.responses.get_mut(id).ok_or_else(|| no_response(id))?;
    if kept.done["background"] != true {
        let message = "Only responses created with background=true can be cancelled.";
        return Err(Reply::error(400, "invalid_request_error", None, None, message));
    }
    if kept.stage < DONE {
        kept.done["status"] = "cancelled".into();
        kept.done["output"] = json!([]);
        kept.stage = DONE;
    }
    Ok(Reply::json(kept.done.clone()))
}

pub fn input_items(store: &mut Store, id: &str) -> Answered {
    let kept = store.responses.get(id).ok_or_else(|| no_response(id))?;
    let newest_first: Vec<Value> = kept.input.iter().rev().cloned().collect();
    Ok(list(&newest_first, false))
}

pub fn count(store: &mut Store, ask: &Ask<'_>) -> Answered {
    let request = ask.json()?;
    let input = checked(store, &request)?;
    Ok(Reply::json(json!({"object": "response.input_tokens", "input_tokens": tokens(&request, &input)})))
}

fn no_response(id: &str) -> Reply {
    Reply::not_found(&format!("Response with id '{id}'"))
}

/// What the request holds as a list of items, when all of it is well.
fn checked(store: &Store, request: &Value) -> Result<Vec<Value>, Reply> {
    for name in request.as_object().into_iter().flat_map(Map::keys) {
        if !FIELDS.contains(&name.as_str()) {
            return Err(Reply::invalid(name, "unknown_parameter", &format!("Unknown parameter: '{name}'.")));
        }
    }
    model(&request["model"], "text")?;
    let input = match &request["input"] {
        Value::String(text) => vec![json!({"type": "message", "role": "user", "content": text})],
        Value::Array(items) => items.clone(),
        _ => return Err(Reply::missing("input")),
    };
    for (idx, item) in input.iter().enumerate() {
        check_item(store, idx, item)?;
    }
    if request["max_output_tokens"].as_u64().is_some_and(|n| n < LEAST_OUTPUT) {
        let message = format!("Invalid 'max_output_tokens': integer below minimum value, {LEAST_OUTPUT}.");
        return Err(Reply::invalid("max_output_tokens", "integer_below_min_value", &message));
    }
    if request["background"] == true && request["store"] == false {
        return Err(Reply::invalid("background", "invalid_value", "Background mode requires store=true."));
    }
    let is_nameless = |tool: &Value| tool["type"] == "function" && tool["name"].as_str().is_none_or(str::is_empty);
    if request["tools"].as_array().is_some_and(|tools| tools.iter().any(is_nameless)) {
        return Err(Reply::missing("tools[0].name"));
    }
    Ok(input)
}

fn check_item(store: &Store, idx: usize, item: &Value) -> Result<(), Reply> {
    match item["type"].as_str().unwrap_or("message") {
        "message" => {}
        "function_call_output" if item["call_id"].is_string() && !item["output"].is_null() => return Ok(()),
        "function_call" if item["call_id"].is_string() && item["arguments"].is_string() => return Ok(()),
        kind => {
            return Err(Reply::invalid(&format!("input[{idx}]"), "invalid_value", &format!("Invalid item: {kind}.")));
        }
    }
    if !["user", "assistant", "system", "developer"].contains(&item["role"].as_str().unwrap_or_default()) {
        return Err(Reply::invalid(&format!("input[{idx}].role"), "invalid_value", "Invalid role."));
    }
    for (part_idx, part) in item["content"].as_array().into_iter().flatten().enumerate() {
        let is_there = |names: &[&str]| names.iter().any(|name| part[*name].is_string());
        let is_good = match part["type"].as_str().unwrap_or_default() {
            "input_text" | "output_text" => is_there(&["text"]),
            "refusal" => is_there(&["refusal"]),
            "input_image" => is_there(&["image_url", "file_id"]),
            "input_file" => is_there(&["file_data", "file_id", "file_url"]),
            _ => false,
        };
        let param = format!("input[{idx}].content[{part_idx}]");
        if !is_good {
            return Err(Reply::invalid(&param, "invalid_value", &format!("Invalid content: {}.", part["type"])));
        }
        if part["file_id"].as_str().is_some_and(|id| !store.files.contains_key(id)) {
            return Err(Reply::invalid(&param, "invalid_value", "The file does not exist."));
        }
    }
    Ok(())
}

fn conversation(store: &Store, request: &Value) -> Result<Option<String>, Reply> {
    let named = &request["conversation"];
    let id = named.as_str().or_else(|| named["id"].as_str());
    if let Some(previous) = request["previous_response_id"].as_str() {
        if id.is_some() {
            let message = "Mutually exclusive parameters: 'previous_response_id' and 'conversation'.";
            return Err(Reply::invalid("previous_response_id", "mutually_exclusive_parameters", message));
        }
        if !store.responses.contains_key(previous) {
            let message = format!("Previous response with id '{previous}' not found.");
            return Err(Reply::invalid("previous_response_id", "previous_response_not_found", &message));
        }
    }
    match id {
        Some(id) if !store.conversations.contains_key(id) => Err(not_found(id)),
        id => Ok(id.map(str::to_owned)),
    }
}

/// A token for four bytes of what is put in.
fn tokens(request: &Value, input: &[Value]) -> u64 {
    let n_bytes = json!([input, request["instructions"], request["tools"]]).to_string().len();
    n_bytes.div_ceil(4) as u64
}

/// The response, as it is in the end.
fn done(
    store: &mut Store,
    request: &Value,
    input: &[Value],
    conversation: Option<&str>,
    fault: Option<&Fault>,
) -> Value {
    let mut output = output(store, request, input, fault);
    let n_output = output.to_string().len().div_ceil(4) as u64;
    let (mut status, mut error, mut incomplete) = ("completed", Value::Null, Value::Null);
    if let Some(limit) = request["max_output_tokens"].as_u64().filter(|limit| *limit < n_output) {
        (status, incomplete) = ("incomplete", json!({"reason": "max_output_tokens"}));
        if let Some(text) = output[0]["content"][0]["text"].as_str() {
            output[0]["content"][0]["text"] = text.chars().take(limit as usize).collect::<String>().into();
            output[0]["status"] = status.into();
        }
    }
    if let Some(Fault::Fail(code)) = fault {
        (status, output) = ("failed", json!([]));
        error = json!({"code": code, "message": "The response could not be made."});
    }
    let n_input = tokens(request, input);
    let n_reasoning = if request["reasoning"].is_object() { 8 } else { 0 };
    let field =
        |name: &str, default: Value| request.get(name).filter(|value| !value.is_null()).cloned().unwrap_or(default);
    json!({
        "id": store.new_id("resp"), "object": "response", "created_at": now(), "status": status,
        "background": field("background", false.into()), "error": error, "incomplete_details": incomplete,
        "instructions": request["instructions"], "max_output_tokens": request["max_output_tokens"],
        "metadata": field("metadata", json!({})), "model": request["model"], "output": output,
        "parallel_tool_calls": true, "previous_response_id": request["previous_response_id"],
        "conversation": conversation.map(|id| json!({"id": id})),
        "reasoning": field("reasoning", json!({"effort": null, "summary": null})), "service_tier": "default",
        "store": field("store", true.into()), "temperature": 1.0, "text": field("text", json!({"format": {"type": "text"}})),
        "tool_choice": field("tool_choice", "auto".into()), "tools": field("tools", json!([])), "top_p": 1.0,
        "truncation": "disabled", "user": null,
        "usage": {
            "input_tokens": n_input, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": n_output + n_reasoning, "output_tokens_details": {"reasoning_tokens": n_reasoning},
            "total_tokens": n_input + n_output + n_reasoning,
        },
    })
}

fn output(store: &mut Store, request: &Value, input: &[Value], fault: Option<&Fault>) -> Value {
    let id = store.new_id("msg");
    let message = |content: Value| json!([{"id": id, "type": "message", "role": "assistant", "status": "completed", "content": [content]}]);
    let text = |text: String| message(json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}));
    match fault {
        Some(Fault::Say(words)) => return text(words.clone()),
        Some(Fault::Refusal) => return message(json!({"type": "refusal", "refusal": "I cannot help with that."})),
        _ => {}
    }
    let tools = request["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let chosen = match &request["tool_choice"] {
        Value::String(choice) if choice == "required" => tools.first(),
        choice => tools.iter().find(|tool| choice["name"].is_string() && tool["name"] == choice["name"]),
    };
    if let Some(tool) = chosen {
        let (id, call_id) = (store.new_id("fc"), store.new_id("call"));
        let arguments = skeleton(&tool["parameters"], 0).to_string();
        return json!([{
            "id": id, "type": "function_call", "status": "completed", "name": tool["name"], "call_id": call_id,
            "arguments": arguments,
        }]);
    }
    let format = &request["text"]["format"];
    if format["type"] == "json_schema" {
        return text(skeleton(&format["schema"], 0).to_string());
    }
    text(format!("The mock heard: {}", heard(input)))
}

/// What the last item of an input says, with a word for what is no text.
fn heard(input: &[Value]) -> String {
    let Some(last) = input.last() else { return "nothing".into() };
    if let Some(text) = last["content"].as_str().or_else(|| last["output"].as_str()) {
        return text.to_owned();
    }
    let part = |part: &Value| match part["type"].as_str() {
        Some("input_image") => "[an image]".to_owned(),
        Some("input_file") => format!("[the file {}]", part["filename"].as_str().unwrap_or("without a name")),
        _ => part["text"].as_str().unwrap_or_default().to_owned(),
    };
    last["content"].as_array().into_iter().flatten().map(part).collect::<Vec<_>>().join(" ")
}

/// The plainest value that a schema allows.
fn skeleton(schema: &Value, depth: usize) -> Value {
    if depth > 16 {
        return Value::Null;
    }
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            Value::Object(fields.map(|(name, schema)| (name.clone(), skeleton(schema, depth + 1))).collect())
        }
        Some("array") => json!([skeleton(&schema["items"], depth + 1)]),
        Some("string") => "text".into(),
        Some("integer" | "number") => 1.into(),
        Some("boolean") => true.into(),
        _ => Value::Null,
    }
}
