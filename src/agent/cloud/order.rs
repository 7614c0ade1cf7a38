//! What a model asks for, as an order: the arguments of the `cloud` tools.

use super::metadata::without_metadata;
use crate::delegate::{Ability, Media, Order};
use crate::policy::Grant;
use crate::tool::{ToolError, read_granted};
use crate::world::World;
use serde_json::{Value, json};
use std::sync::Arc;

/// Bytes of a file that leaves.
const MAX_FILE: u64 = 24 << 20;

/// Characters of what is written to a hosted model: a brief, not a library. Those of a picture's description are not in its price.
fn max_text(ability: Ability) -> usize {
    match ability {
        Ability::Image | Ability::EditImage => 4_000,
        Ability::Speak => 10_000,
        Ability::Ask | Ability::See | Ability::Transcribe => 100_000,
    }
}

/// Bytes of an option.
const MAX_OPTION: usize = 9;

/// The argument that holds the words.
fn text_of(ability: Ability) -> Option<&'static str> {
    match ability {
        Ability::Image | Ability::EditImage => Some("prompt"),
        Ability::Ask | Ability::See => Some("question"),
        Ability::Speak => Some("text"),
        Ability::Transcribe => None,
    }
}

/// The argument that names a file.
pub(super) fn file_of(ability: Ability) -> Option<&'static str> {
    match ability {
        Ability::EditImage | Ability::See => Some("image"),
        Ability::Transcribe => Some("audio"),
        Ability::Image | Ability::Ask | Ability::Speak => None,
    }
}

/// What the model reads of a tool.
pub(super) fn description(ability: Ability) -> &'static str {
    match ability {
        Ability::Image => "Generate a picture with a hosted model.",
        Ability::EditImage => "Change a picture as the prompt says, with a hosted model.",
        Ability::Ask => {
            "Ask a stronger, hosted model. It knows nothing of this conversation: write all that it needs into the question, and nothing else."
        }
        Ability::See => "Have a hosted model look at a picture and answer a question about it.",
        Ability::Transcribe => "Write down what is said in a recording, with a hosted model.",
        Ability::Speak => "Speak a text into a recording, with a hosted model.",
    }
}

/// The arguments' schema.
pub(super) fn parameters(ability: Ability) -> Value {
    let text = |description: &str| json!({ "type": "string", "minLength": 1, "description": description });
    let picture = text("Its path.");
    let (properties, required) = match ability {
        Ability::Image => (
            json!({
                "prompt": text("What is to be seen, in one or two sentences."),
                "size": { "type": "string", "enum": ["1024x1024", "1536x1024", "1024x1536"] },
                "quality": { "type": "string", "enum": ["low", "medium", "high"] },
            }),
            vec!["prompt"],
        ),
        Ability::EditImage => {
            (json!({ "image": picture, "prompt": text("What is to change.") }), vec!["image", "prompt"])
        }
        Ability::Ask => (json!({ "question": text("With all that is needed to answer it.") }), vec!["question"]),
        Ability::See => {
            (json!({ "image": picture, "question": text("What to say about it.") }), vec!["image", "question"])
        }
        Ability::Transcribe => (
            json!({ "audio": text("Its path."), "language": { "type": "string", "pattern": "^[a-z]{2}$", "description": "Such as en or de, when known." } }),
            vec!["audio"],
        ),
        Ability::Speak => (json!({ "text": text("What to say.") }), vec!["text"]),
    };
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// The words of a call, as the model wrote them.
pub(super) fn words(ability: Ability, arguments: &Value) -> Result<&str, ToolError> {
    let Some(name) = text_of(ability) else { return Ok("") };
    let words = arguments[name].as_str().unwrap_or_default();
    let most = max_text(ability);
    match words.chars().nth(most) {
        Some(_) => Err(ToolError::InvalidArguments(format!("{name} has more than {most} characters; send a part"))),
        None => Ok(words),
    }
}

/// The path of the file that a call sends.
pub(super) fn path(ability: Ability, arguments: &Value) -> Option<&str> {
    file_of(ability).and_then(|name| arguments[name].as_str())
}

/// The order of a call whose words are `text` as they leave; without the files' bytes.
pub(super) fn order(ability: Ability, arguments: &Value, text: String) -> Result<Order, ToolError> {
    // Only short words of a known form leave beside the text, which alone was redacted.
    let option = |name: &str, is_good: fn(u8) -> bool| match arguments[name].as_str() {
        None => Ok(None),
        Some(word) if word.len() <= MAX_OPTION && word.bytes().all(is_good) => Ok(Some(word.to_owned())),
        Some(_) => Err(ToolError::InvalidArguments(format!("{name} is none that is known"))),
    };
    Ok(Order {
        size: option("size", |c| c.is_ascii_digit() || c == b'x')?,
        quality: option("quality", |c| c.is_ascii_lowercase())?,
        language: option("language", |c| c.is_ascii_lowercase())?,
        ..Order::new(ability, text)
    })
}

/// Reads the file that a call sends, as far as its grant lets it. It must be what it is sent as, by its own bytes: a file of another
/// kind with such a name stays here. It leaves without its name and without what a
/// picture says of its maker and its place.
pub(super) async fn file(ability: Ability, world: &World, grant: &Arc<Grant>, path: &str) -> Result<Media, ToolError> {
    let bytes = read_granted(world, grant, path, MAX_FILE).await.map_err(ToolError::Failed)?;
    let kinds = if ability == Ability::Transcribe { RECORDINGS } else { PICTURES };
    let is_of = |(magics, ..): &&Kind| {
        magics.iter().all(|(at, magic)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic)))
    };
    let Some((_, media_type, name)) = kinds.iter().find(is_of) else {
        let wanted = if ability == Ability::Transcribe { "recording" } else { "picture" };
        return Err(ToolError::InvalidArguments(format!("{path} is no {wanted} of a kind that is known here")));
    };
    Ok(Media { media_type: (*media_type).into(), name: (*name).into(), bytes: without_metadata(bytes) })
}

/// What a file of a kind has at which bytes, its media type, and the name that it leaves with.
type Kind = (&'static [(usize, &'static [u8])], &'static str, &'static str);

const PICTURES: &[Kind] = &[
    (&[(0, b"\x89PNG\r\n\x1a\n")], "image/png", "picture.png"),
    (&[(0, b"\xff\xd8\xff")], "image/jpeg", "picture.jpg"),
    (&[(0, b"GIF8")], "image/gif", "picture.gif"),
    (&[(0, b"RIFF"), (8, b"WEBP")], "image/webp", "picture.webp"),
];

const RECORDINGS: &[Kind] = &[
    (&[(0, b"ID3")], "audio/mpeg", "recording.mp3"),
    (&[(0, b"\xff\xfb")], "audio/mpeg", "recording.mp3"),
    (&[(0, b"\xff\xf3")], "audio/mpeg", "recording.mp3"),
    (&[(0, b"RIFF"), (8, b"WAVE")], "audio/wav", "recording.wav"),
    (&[(0, b"OggS")], "audio/ogg", "recording.ogg"),
    (&[(0, b"fLaC")], "audio/flac", "recording.flac"),
    (&[(4, b"ftyp")], "audio/mp4", "recording.m4a"),
    (&[(0, b"\x1a\x45\xdf\xa3")], "audio/webm", "recording.webm"),
];
