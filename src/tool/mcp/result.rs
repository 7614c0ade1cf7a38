//! What a server gave, as the model reads it: text, and files beside it.

use crate::tool::{Attachment, Output, ToolError};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};

/// More text than this is no answer. In bytes.
const MAX_TEXT: usize = 1024 * 1024;

const UNKNOWN: &str = "[left out: content of a kind that is not known here]";

/// The result of a call. One that the server calls an error is one.
pub(super) fn output(result: CallToolResult) -> Result<Output, ToolError> {
    let mut parts = Parts::default();
    for block in result.content {
        parts.add(block);
    }
    let mut text = parts.lines.join("\n");
    // A server that has structured content should write it as text too; some do not.
    if let Some(structured) = result.structured_content.filter(|_| text.trim().is_empty()) {
        text = structured.to_string();
    }
    if text.len() > MAX_TEXT {
        return Err(ToolError::OutputTooLong { limit: MAX_TEXT });
    }
    if result.is_error == Some(true) {
        let is_silent = text.trim().is_empty();
        return Err(ToolError::Failed(if is_silent { "the tool failed and did not say why".into() } else { text }));
    }
    Ok(Output { attachments: parts.attachments, ..Output::from(text) })
}

#[derive(Default)]
struct Parts {
    lines: Vec<String>,
    attachments: Vec<Attachment>,
}

impl Parts {
    fn add(&mut self, block: ContentBlock) {
        match block {
            ContentBlock::Text(text) => self.lines.push(text.text),
            ContentBlock::Image(image) => self.attach("image", None, &image.data, image.mime_type),
            ContentBlock::Audio(audio) => self.attach("audio", None, &audio.data, audio.mime_type),
            ContentBlock::ResourceLink(link) => self.lines.push(format!("[{}]({})", link.name, link.uri)),
            ContentBlock::Resource(embedded) => match embedded.resource {
                ResourceContents::TextResourceContents { text, .. } => self.lines.push(text),
                ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
                    let media_type = mime_type.unwrap_or_else(|| "application/octet-stream".into());
                    self.attach("file", Some(uri), &blob, media_type);
                }
                _ => self.lines.push(UNKNOWN.into()),
            },
            _ => self.lines.push(UNKNOWN.into()),
        }
    }

    /// A file with the last part of its address as its name, or with a number.
    fn attach(&mut self, kind: &str, uri: Option<String>, base64: &str, media_type: String) {
        let Ok(data) = BASE64_STANDARD.decode(base64.trim()) else {
            self.lines.push(format!("[left out: {kind} that is no base64]"));
            return;
        };
        let named = uri.as_deref().and_then(|uri| uri.rsplit('/').next()).filter(|name| !name.is_empty());
        let name = match named {
            Some(name) => name.to_owned(),
            None => {
                let extension = media_type.rsplit('/').next().unwrap_or_default();
                format!("{kind}-{}.{extension}", self.attachments.len() + 1)
            }
        };
        self.attachments.push(Attachment { name, media_type, data });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(result: Value) -> Result<Output, String> {
        output(serde_json::from_value(result).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn text_is_joined_and_files_stand_beside_it() {
        let output = check(json!({ "content": [
            { "type": "text", "text": "one" },
            { "type": "image", "data": "aGk=", "mimeType": "image/png" },
            { "type": "resource", "resource": { "uri": "file:///a/b.bin", "blob": "aGk=" } },
            { "type": "resource", "resource": { "uri": "file:///a/b.txt", "text": "two" } },
            { "type": "resource_link", "uri": "file:///c", "name": "c" },
            { "type": "audio", "data": "no base64!", "mimeType": "audio/wav" },
        ] }))
        .unwrap();
        assert_eq!(output.text, "one\ntwo\n[c](file:///c)\n[left out: audio that is no base64]");
        let files: Vec<_> = output.attachments.iter().map(|a| (a.name.as_str(), a.media_type.as_str())).collect();
        assert_eq!(files, [("image-1.png", "image/png"), ("b.bin", "application/octet-stream")]);
        assert_eq!(output.attachments[0].data, b"hi");
    }

    #[test]
    fn structured_content_speaks_where_no_text_does() {
        let structured = json!({ "content": [], "structuredContent": { "sum": 3 } });
        assert_eq!(check(structured).unwrap().text, r#"{"sum":3}"#);
        let both = json!({ "content": [{ "type": "text", "text": "3" }], "structuredContent": { "sum": 3 } });
        assert_eq!(check(both).unwrap().text, "3");
    }

    #[test]
    fn an_error_is_one_and_a_book_is_none() {
        let text = |text: &str| json!([{ "type": "text", "text": text }]);
        assert_eq!(check(json!({ "content": text("no such city"), "isError": true })).unwrap_err(), "no such city");
        assert!(check(json!({ "content": [], "isError": true })).unwrap_err().contains("did not say why"));
        assert!(check(json!({ "content": text(&"x".repeat(MAX_TEXT + 1)) })).unwrap_err().contains("ask for less"));
    }
}
