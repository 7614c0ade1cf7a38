//! A file as lines: read in pieces, so that a file may be longer than the guest's memory, and a line too.
//!
//! Knows bytes and no encoding; [`shown`] is where they become text. Start at [`Lines::open`].

use crate::Folder;

/// The most bytes of a line that are kept.
pub const MAX_LINE: usize = 1 << 20;

/// In bytes; read at once.
const PIECE: u32 = 256 << 10;

/// The lines of a file.
pub struct Lines<'a> {
    folder: &'a dyn Folder,
    path: &'a str,
    /// Of the next piece.
    offset: u64,
    piece: Vec<u8>,
    /// In the piece: what comes before has been given out.
    at: usize,
    is_end: bool,
    line: Vec<u8>,
}

/// One line, without its end.
#[derive(Debug, PartialEq)]
pub struct Line<'a> {
    /// Its first [`MAX_LINE`] bytes.
    pub bytes: &'a [u8],
    /// All its bytes.
    pub n_bytes: usize,
    /// Whether it ended with CR LF.
    pub is_crlf: bool,
}

impl<'a> Lines<'a> {
    /// A file, from its first line on.
    pub fn open(folder: &'a dyn Folder, path: &'a str) -> Result<Self, String> {
        let mut lines = Self { folder, path, offset: 0, piece: vec![], at: 0, is_end: false, line: vec![] };
        lines.refill()?;
        if lines.piece.starts_with(b"\xef\xbb\xbf") {
            lines.at = 3;
        }
        Ok(lines)
    }

    /// What the file is, if it is no text; before the first line is taken.
    pub fn binary(&self) -> Option<&'static str> {
        binary(&self.piece)
    }

    /// So many bytes of the file have been read.
    pub fn n_read(&self) -> u64 {
        self.offset
    }

    /// The next line; `None` after the last one.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, String> {
        self.line.clear();
        let mut n_bytes = 0;
        while self.at < self.piece.len() || self.refill()? {
            let rest = &self.piece[self.at..];
            let end = rest.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
            let taken = &rest[..end.unwrap_or(rest.len())];
            let room = MAX_LINE - self.line.len();
            self.line.extend_from_slice(&taken[..taken.len().min(room)]);
            n_bytes += taken.len();
            self.at += taken.len();
            if end.is_some() {
                break;
            }
        }
        if n_bytes == 0 {
            return Ok(None);
        }
        let whole = self.line.as_slice();
        let bytes = whole.strip_suffix(b"\n").unwrap_or(whole);
        let (bytes, is_crlf) = match bytes.strip_suffix(b"\r") {
            Some(bytes) if bytes.len() + 2 == whole.len() => (bytes, true),
            _ => (bytes, false),
        };
        let n_bytes = n_bytes - (whole.len() - bytes.len());
        Ok(Some(Line { bytes, n_bytes, is_crlf }))
    }

    fn refill(&mut self) -> Result<bool, String> {
        if self.is_end {
            return Ok(false);
        }
        self.piece = self.folder.read(self.path, self.offset, PIECE)?;
        self.at = 0;
        self.offset += self.piece.len() as u64;
        self.is_end = self.piece.len() < PIECE as usize;
        Ok(!self.piece.is_empty())
    }
}

/// What a file is that begins so, if it is no text.
pub fn binary(start: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 14] = [
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"GIF8", "a GIF image"),
        (b"%PDF-", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive (or an office document)"),
        (b"\x1f\x8b", "gzip data"),
        (b"\x28\xb5\x2f\xfd", "zstd data"),
        (b"\xfd7zXZ\0", "xz data"),
        (b"\x7fELF", "an ELF program"),
        (b"\0asm", "a WASM module"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"RIFF", "a RIFF file (sound or image)"),
        (b"\xff\xfe", "UTF-16 text"),
        (b"\xfe\xff", "UTF-16 text"),
    ];
    let known = KINDS.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, kind)| *kind);
    known.or_else(|| start.contains(&0).then_some("a binary file"))
}

/// A line as text: at most so many characters of it, with a word about the rest. Whether all its bytes were UTF-8.
pub fn shown(line: &Line, max_chars: usize) -> (String, bool) {
    // Four bytes are the longest character; one more is never shown.
    let (start, is_cut) = match line.bytes.get(..max_chars * 4) {
        Some(start) => (start, true),
        None => (line.bytes, line.n_bytes > line.bytes.len()),
    };
    let text = String::from_utf8_lossy(start);
    let is_valid = match std::str::from_utf8(start) {
        Ok(_) => true,
        Err(error) => is_cut && error.error_len().is_none(),
    };
    let text = text.replace('\0', "\u{fffd}");
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => (format!("{}… [a line of {} bytes, cut]", &text[..end], line.n_bytes), is_valid),
        None if is_cut => (format!("{text}… [a line of {} bytes, cut]", line.n_bytes), is_valid),
        None => (text, is_valid),
    }
}
