//! Reads the goldens' conversations, renders each with openai-harmony, and writes the ids beside them.

use openai_harmony::chat::Message;
use oracle::reference;
use std::{fs, path::Path};

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    messages: Vec<Message>,
}

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/harmony");
    let cases = fs::read_to_string(folder.join("conversations.json")).expect("conversations.json");
    let cases: Vec<Case> = serde_json::from_str(&cases).expect("the form of openai-harmony");
    let lines: Vec<_> = cases
        .iter()
        .map(|case| {
            // Without a configuration nothing is dropped: the history rule is ours.
            let ids = reference::encoding()
                .render_conversation(&case.messages, None)
                .expect("a conversation that can be rendered");
            serde_json::json!({ "name": case.name, "ids": ids }).to_string()
        })
        .collect();
    fs::write(folder.join("conversations.ids.json"), format!("[\n{}\n]\n", lines.join(",\n"))).expect("to write");
}
