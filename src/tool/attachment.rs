//! Files that calls make.

/// A file that a call made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// What the tool calls it; may be anything.
    pub name: String,
    /// Such as `image/png`, in the tool's word.
    pub media_type: String,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// What a file is, by its first bytes, and by its name where these say nothing.
pub(super) fn media_type(name: &str, data: &[u8]) -> &'static str {
    let begins: [(&[u8], &str); 9] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"ID3", "audio/mpeg"),
        (b"OggS", "audio/ogg"),
        (b"fLaC", "audio/flac"),
        (b"%PDF-", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
        (b"SQLite format 3\0", "application/vnd.sqlite3"),
    ];
    if let Some((_, kind)) = begins.iter().find(|(magic, _)| data.starts_with(magic)) {
        return kind;
    }
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        "m4a" => "audio/mp4",
        "webm" => "audio/webm",
        "csv" => "text/csv",
        "json" => "application/json",
        "html" | "htm" => "text/html",
        "md" => "text/markdown",
        "xml" => "application/xml",
        _ if std::str::from_utf8(data).is_ok_and(|text| !text.contains('\0')) => "text/plain",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_bytes_say_then_what_its_name_says() {
        for (name, data, expect) in [
            ("x.txt", &b"\x89PNG\r\n\x1a\n..."[..], "image/png"),
            ("a.SVG", b"<svg/>", "image/svg+xml"),
            ("a/b.csv", b"1,2", "text/csv"),
            ("png", b"plain", "text/plain"),
            ("x.bin", b"\0\x01", "application/octet-stream"),
            ("", b"", "text/plain"),
        ] {
            assert_eq!(media_type(name, data), expect, "{name}");
        }
    }
}
