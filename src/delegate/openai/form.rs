//! Multipart forms, written: fields and files as one body (RFC 7578).
//!
//! It only writes. Start at [`Form::new`].

use super::files::Upload;
use crate::world::Random;

/// A form.
pub(super) struct Form {
    boundary: String,
    bytes: Vec<u8>,
}

impl Form {
    /// An empty one. Its boundary is random, so that nothing in it can know it.
    pub(super) fn new(random: &dyn Random) -> Self {
        let boundary = format!("ossicle-{:016x}{:016x}", random.next_u64(), random.next_u64());
        Self { boundary, bytes: Vec::new() }
    }

    pub(super) fn text(mut self, name: &str, value: &str) -> Self {
        self.begin(name, "");
        self.bytes.extend_from_slice(b"\r\n");
        self.end(value.as_bytes())
    }

    pub(super) fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    pub(super) fn file(mut self, name: &str, upload: &Upload) -> Self {
        self.begin(name, &format!("; filename=\"{}\"", escaped(&upload.name)));
        let media_type: String = upload.media_type.chars().filter(char::is_ascii_graphic).collect();
        self.bytes.extend_from_slice(format!("Content-Type: {media_type}\r\n\r\n").as_bytes());
        self.end(&upload.bytes)
    }

    /// Its media type, and itself.
    pub(super) fn finish(mut self) -> (String, Vec<u8>) {
        self.bytes.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        (format!("multipart/form-data; boundary={}", self.boundary), self.bytes)
    }

    fn begin(&mut self, name: &str, more: &str) {
        let head = format!("--{}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n", self.boundary);
        self.bytes.extend_from_slice(head.as_bytes());
    }

    fn end(mut self, value: &[u8]) -> Self {
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
        self
    }
}

/// A file's name as browsers write it: what would end it is encoded.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::SeededRandom;

    #[test]
    fn a_form_is_written_and_a_name_cannot_break_out_of_it() {
        let name = "a\"\r\nX: y.png".to_owned();
        let upload = Upload { name, media_type: "image/png\r\nX: y".into(), bytes: b"\x89PNG".to_vec() };
        let form = Form::new(&SeededRandom::new(1)).text("n", "2").maybe("size", None).file("image[]", &upload);
        let (media_type, bytes) = form.finish();
        let boundary = media_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        let expect = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n2\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"a%22%0D%0AX: y.png\"\r\n\
             Content-Type: image/pngX:y\r\n\r\n"
        );
        let expect = [expect.as_bytes(), b"\x89PNG\r\n", format!("--{boundary}--\r\n").as_bytes()].concat();
        assert_eq!(bytes, expect);
    }
}
