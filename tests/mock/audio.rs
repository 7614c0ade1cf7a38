//! Audio: a transcription of any file that is sent, and speech as a real, short WAV: a tone.
//!
//! It listens to nothing. Start at [`transcribe`] or [`speak`].

use super::form::Form;
use super::reply::Reply;
use super::routes::{Ask, model};
use super::store::Store;
use serde_json::{Value, json};

type Answered = Result<Reply, Reply>;

/// Samples in a second.
const RATE: u32 = 24_000;

pub fn transcribe(store: &mut Store, ask: &Ask<'_>) -> Answered {
    let form = Form::parse(ask.content_type, ask.body);
    model(&form.text("model").map_or(Value::Null, Value::from), "transcription")?;
    let file = form.first("file").ok_or_else(|| Reply::missing("file"))?;
    if file.bytes.is_empty() {
        return Err(Reply::invalid("file", "invalid_value", "Audio file might be corrupted or unsupported."));
    }
    let name = file.file_name.clone().unwrap_or_default();
    let text = format!("The mock listened to {name}, {} bytes.", file.bytes.len());
    let (n_input, n_output) = (file.bytes.len().div_ceil(1000) as u64, text.len().div_ceil(4) as u64);
    let usage = json!({
        "type": "tokens", "input_tokens": n_input, "input_token_details": {"text_tokens": 0, "audio_tokens": n_input},
        "output_tokens": n_output, "total_tokens": n_input + n_output,
    });
    let id = store.new_id("tr");
    store.charge(&id, ask.path, &usage);
    match form.text("response_format").as_deref() {
        None | Some("json") => Ok(Reply::json(json!({"text": text, "usage": usage}))),
        Some("text") => Ok(Reply::bytes("text/plain; charset=utf-8", text.into_bytes())),
        Some(other) => {
            let message = format!("response_format '{other}' is not compatible with this model.");
            Err(Reply::invalid("response_format", "unsupported_value", &message))
        }
    }
}

pub fn speak(store: &mut Store, ask: &Ask<'_>) -> Answered {
    let request = ask.json()?;
    model(&request["model"], "speech")?;
    for field in ["input", "voice"] {
        if request[field].as_str().is_none_or(str::is_empty) {
            return Err(Reply::missing(field));
        }
    }
    if request["response_format"] != "wav" {
        return Err(Reply::invalid("response_format", "invalid_value", "This server speaks WAV alone."));
    }
    let id = store.new_id("speech");
    let n_characters = request["input"].as_str().unwrap_or_default().chars().count();
    store.charge(&id, ask.path, &json!({"characters": n_characters}));
    Ok(Reply::bytes("audio/wav", tone(n_characters)))
}

/// A tone, longer for longer texts: 16 bits, one channel.
fn tone(n_characters: usize) -> Vec<u8> {
    let n_samples = (RATE / 20).saturating_mul(n_characters.clamp(1, 200) as u32);
    let n_bytes = n_samples * 2;
    let mut wav = Vec::with_capacity(44 + n_bytes as usize);
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + n_bytes).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    wav.extend_from_slice(&16_u32.to_le_bytes());
    for field in [1_u16, 1] {
        wav.extend_from_slice(&field.to_le_bytes());
    }
    wav.extend_from_slice(&RATE.to_le_bytes());
    wav.extend_from_slice(&(RATE * 2).to_le_bytes());
    for field in [2_u16, 16] {
        wav.extend_from_slice(&field.to_le_bytes());
    }
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&n_bytes.to_le_bytes());
    for n in 0..n_samples {
        // A square wave of 240 Hz, quiet.
        let sample: i16 = if (n / 50) % 2 == 0 { 2000 } else { -2000 };
        wav.extend_from_slice(&sample.to_le_bytes());
    }
    wav
}
