//! Conversations with their items, and files that requests can name.
//!
//! Items get there by responses alone. Start at [`create`].

use super::form::Form;
use super::reply::Reply;
use super::routes::Ask;
use super::store::{Conversation, Store};
use serde_json::{Value, json};

type Answered = Result<Reply, Reply>;

/// The wall clock, in seconds.
pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

pub fn create(store: &mut Store, ask: &Ask<'_>) -> Answered {
    let body = if ask.body.is_empty() { json!({}) } else { ask.json()? };
    let metadata = body.get("metadata").filter(|value| value.is_object()).cloned().unwrap_or_else(|| json!({}));
    let id = store.new_id("conv");
    let items = match body.get("items").and_then(Value::as_array) {
        Some(items) => items.iter().map(|item| with_id(store, item)).collect(),
        None => Vec::new(),
    };
    store.conversations.insert(id.clone(), Conversation { created_at: now(), metadata, items });
    retrieve(store, &id)
}

pub fn retrieve(store: &mut Store, id: &str) -> Answered {
    let found = store.conversations.get(id).ok_or_else(|| not_found(id))?;
    let (created_at, metadata) = (found.created_at, &found.metadata);
    Ok(Reply::json(json!({"id": id, "object": "conversation", "created_at": created_at, "metadata": metadata})))
}

pub fn delete(store: &mut Store, id: &str) -> Answered {
    store.conversations.remove(id).ok_or_else(|| not_found(id))?;
    Ok(Reply::json(json!({"id": id, "object": "conversation.deleted", "deleted": true})))
}

/// To look at the items moves on what is being written into them.
pub fn items(store: &mut Store, ask: &Ask<'_>, id: &str) -> Answered {
    let mut items = store.conversations.get(id).ok_or_else(|| not_found(id))?.items.clone();
    let running = store.responses.iter().filter(|(_, kept)| kept.conversation.as_deref() == Some(id));
    let running: Vec<String> = running.map(|(id, _)| id.clone()).collect();
    for response in running {
        store.look(&response);
    }
    if ask.parameter("order") != Some("asc") {
        items.reverse();
    }
    let limit = ask.parameter("limit").and_then(|limit| limit.parse().ok()).unwrap_or(20);
    let has_more = items.len() > limit;
    items.truncate(limit);
    Ok(list(&items, has_more))
}

pub fn not_found(id: &str) -> Reply {
    Reply::not_found(&format!("Conversation with id '{id}'"))
}

pub fn list(items: &[Value], has_more: bool) -> Reply {
    let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let (first, last) = (id(items.first()), id(items.last()));
    Reply::json(json!({"object": "list", "data": items, "first_id": first, "last_id": last, "has_more": has_more}))
}

/// An item of an input as it is kept.
pub fn with_id(store: &mut Store, item: &Value) -> Value {
    let mut item = item.clone();
    if item.get("type").is_none() {
        item["type"] = "message".into();
    }
    if let Some(text) = item["content"].as_str().map(str::to_owned) {
        let kind = if item["role"] == "assistant" { "output_text" } else { "input_text" };
        item["content"] = json!([{"type": kind, "text": text}]);
    }
    let prefix = match item["type"].as_str() {
        Some("function_call") => "fc",
        Some("function_call_output") => "fco",
        _ => "msg",
    };
    item["id"] = store.new_id(prefix).into();
    item["status"] = "completed".into();
    item
}

pub fn create_file(store: &mut Store, ask: &Ask<'_>) -> Answered {
    let form = Form::parse(ask.content_type, ask.body);
    let purpose = form.text("purpose").ok_or_else(|| Reply::missing("purpose"))?;
    let part = form.first("file").ok_or_else(|| Reply::missing("file"))?;
    let id = store.new_id("file").replace("file_", "file-");
    let file = json!({
        "id": id, "object": "file", "bytes": part.bytes.len(), "created_at": now(), "expires_at": null,
        "filename": part.file_name.clone().unwrap_or_default(), "purpose": purpose, "status": "processed",
    });
    store.files.insert(id, file.clone());
    Ok(Reply::json(file))
}

pub fn file(store: &mut Store, id: &str) -> Answered {
    let found = store.files.get(id).cloned();
    found.map(Reply::json).ok_or_else(|| Reply::not_found(&format!("No such File object: {id}; it was")))
}

pub fn delete_file(store: &mut Store, id: &str) -> Answered {
    store.files.remove(id).ok_or_else(|| Reply::not_found(&format!("No such File object: {id}; it was")))?;
    Ok(Reply::json(json!({"id": id, "object": "file", "deleted": true})))
}
