//! Multipart forms, taken apart: names, file names and bytes.
//!
//! For what well-behaved clients send; a form that is none has no parts. Start at [`Form::parse`].

/// A form's fields, in their order.
pub struct Form(Vec<Part>);

pub struct Part {
    name: String,
    pub file_name: Option<String>,
    pub bytes: Vec<u8>,
}

impl Form {
    pub fn parse(content_type: &str, body: &[u8]) -> Self {
        let boundary = content_type.split(';').find_map(|part| part.trim().strip_prefix("boundary="));
        let Some(boundary) = boundary.map(|boundary| boundary.trim_matches('"')) else { return Self(Vec::new()) };
        // The first boundary has no line before it.
        let body = [b"\r\n", body].concat();
        let delimiter = format!("\r\n--{boundary}");
        Self(split(&body, delimiter.as_bytes()).into_iter().skip(1).filter_map(Part::parse).collect())
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.first(name).map(|part| String::from_utf8_lossy(&part.bytes).into_owned())
    }

    pub fn first(&self, name: &str) -> Option<&Part> {
        self.0.iter().find(|part| part.name == name)
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Part> {
        self.0.iter().filter(move |part| part.name == name)
    }
}

impl Part {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(b"\r\n")?;
        let end = find(bytes, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
        let value = |key: &str| {
            let (_, rest) = line.split_once(&format!("; {key}=\""))?;
            Some(rest.split('"').next().unwrap_or_default().to_owned())
        };
        Some(Self { name: value("name")?, file_name: value("filename"), bytes: bytes[end + 4..].to_vec() })
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn split<'a>(mut bytes: &'a [u8], by: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = find(bytes, by) {
        parts.push(&bytes[..at]);
        bytes = &bytes[at + by.len()..];
    }
    parts.push(bytes);
    parts
}
