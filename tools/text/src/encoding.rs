//! Hashes of a text, and the encodings it can be written in.
//!
//! A text counts as its bytes in UTF-8; what does not decode to such a text is refused. No hash here is meant for
//! passwords, and no encoding keeps a secret. Start at [`hash`] and [`Encoding`].

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_PAD_INDIFFERENT, URL_SAFE_NO_PAD_INDIFFERENT};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What RFC 3986 calls unreserved stays as it is.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A way to sum up a text.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-1, which is broken: only for comparing with what others have published.
    Sha1,
    /// CRC-32 as in zip and PNG.
    Crc32,
}

/// The hash in hexadecimal digits.
pub fn hash(text: &str, algorithm: Algorithm) -> String {
    match algorithm {
        Algorithm::Sha256 => hex(&Sha256::digest(text)),
        Algorithm::Sha1 => hex(&Sha1::digest(text)),
        Algorithm::Crc32 => format!("{:08x}", crc32fast::hash(text.as_bytes())),
    }
}

/// A way to write a text.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// RFC 4648, with padding.
    Base64,
    /// RFC 4648 for URLs, without padding.
    Base64Url,
    /// Two digits a byte.
    Hex,
    /// Percent signs, as in a part of a URL.
    Url,
    /// Entities, as in HTML.
    Html,
}

impl Encoding {
    /// The text in this encoding.
    pub fn encode(self, text: &str) -> String {
        match self {
            Self::Base64 => STANDARD_PAD_INDIFFERENT.encode(text),
            Self::Base64Url => URL_SAFE_NO_PAD_INDIFFERENT.encode(text),
            Self::Hex => hex(text.as_bytes()),
            Self::Url => utf8_percent_encode(text, RESERVED).to_string(),
            Self::Html => html_escape::encode_quoted_attribute(text).into_owned(),
        }
    }

    /// The text that is encoded so. Blanks and line breaks inside base64 and hex mean nothing.
    pub fn decode(self, encoded: &str) -> Result<String, String> {
        let packed = || encoded.split_whitespace().collect::<String>();
        let bytes = match self {
            Self::Base64 => STANDARD_PAD_INDIFFERENT.decode(packed()).map_err(|error| not("base64", &error)),
            Self::Base64Url => URL_SAFE_NO_PAD_INDIFFERENT.decode(packed()).map_err(|error| not("base64url", &error)),
            Self::Hex => unhex(&packed()),
            Self::Url => Ok(percent_decode_str(encoded).collect()),
            Self::Html => return Ok(html_escape::decode_html_entities(encoded).into_owned()),
        }?;
        String::from_utf8(bytes).map_err(|error| {
            let bytes = error.as_bytes();
            let (start, dots) = (&bytes[..bytes.len().min(32)], if bytes.len() > 32 { "..." } else { "" });
            format!("this decodes to {} bytes that are no UTF-8 text: {}{dots}", bytes.len(), hex(start))
        })
    }
}

fn not(encoding: &str, error: &dyn std::fmt::Display) -> String {
    format!("the text is not {encoding}: {}", error.to_string().trim_end_matches('.'))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Result<Vec<u8>, String> {
    if let Some(wrong) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(not("hex", &format!("{wrong:?} is no hexadecimal digit")));
    }
    if digits.len() % 2 == 1 {
        return Err(not("hex", &format!("{} digits make no whole number of bytes", digits.len())));
    }
    // Only hexadecimal digits, so that each two of them are a byte.
    Ok((0..digits.len()).step_by(2).filter_map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect())
}
