//! What an answer cost in tokens, or in seconds of audio, as the API says it.
//!
//! What it is not: money; the catalogue makes that of it. Start at [`Usage`].

use serde::{Deserialize, Deserializer};

/// One form for all kinds of answers; what does not apply is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// All that was put in.
    #[serde(deserialize_with = "or_default")]
    pub input_tokens: u64,
    /// Of the input.
    #[serde(alias = "input_token_details", deserialize_with = "or_default")]
    pub input_tokens_details: InputDetails,
    /// All that came out.
    #[serde(deserialize_with = "or_default")]
    pub output_tokens: u64,
    /// Of the output.
    #[serde(alias = "output_token_details", deserialize_with = "or_default")]
    pub output_tokens_details: OutputDetails,
    /// Both.
    #[serde(deserialize_with = "or_default")]
    pub total_tokens: u64,
    /// Of audio, where that is what counts.
    pub seconds: Option<f64>,
}

/// Of the input's tokens, how many are what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct InputDetails {
    /// Read before, and cheaper.
    #[serde(deserialize_with = "or_default")]
    pub cached_tokens: u64,
    /// Kept, to be cheaper the next time.
    #[serde(deserialize_with = "or_default")]
    pub cache_write_tokens: u64,
    /// Of text.
    #[serde(deserialize_with = "or_default")]
    pub text_tokens: u64,
    /// Of images.
    #[serde(deserialize_with = "or_default")]
    pub image_tokens: u64,
    /// Of audio.
    #[serde(deserialize_with = "or_default")]
    pub audio_tokens: u64,
}

/// Of the output's tokens, how many are what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct OutputDetails {
    /// Thought, and not shown.
    #[serde(deserialize_with = "or_default")]
    pub reasoning_tokens: u64,
    /// Of text.
    #[serde(deserialize_with = "or_default")]
    pub text_tokens: u64,
    /// Of images.
    #[serde(deserialize_with = "or_default")]
    pub image_tokens: u64,
}

/// A value that may be `null`: some servers write that for what they do not count.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_answer_has_its_usage_read() {
        for (json, expect) in [
            (
                r#"{"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":2,
                "output_tokens_details":{"reasoning_tokens":1},"total_tokens":11,"new":{}}"#,
                (9, 4, 2, 1, None),
            ),
            (
                r#"{"type":"tokens","input_tokens":3,"input_token_details":{"audio_tokens":3},"output_tokens":1}"#,
                (3, 0, 1, 0, None),
            ),
            (r#"{"type":"duration","seconds":7.5}"#, (0, 0, 0, 0, Some(7.5))),
            (r#"{"input_tokens":3,"input_tokens_details":null,"output_tokens":null}"#, (3, 0, 0, 0, None)),
        ] {
            let usage: Usage = serde_json::from_str(json).unwrap();
            let (input, output) = (usage.input_tokens_details, usage.output_tokens_details);
            let read =
                (usage.input_tokens, input.cached_tokens, usage.output_tokens, output.reasoning_tokens, usage.seconds);
            assert_eq!(read, expect, "{json}");
        }
        for json in
            [r#"{"input_tokens":"many"}"#, r#"{"input_tokens":-1}"#, r#"{"input_tokens_details":7}"#, "[]x", "7"]
        {
            assert!(serde_json::from_str::<Usage>(json).is_err(), "{json}");
        }
    }
}
