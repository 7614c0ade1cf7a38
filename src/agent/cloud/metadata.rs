//! What a picture says beside the picture: where and when it was taken, by whom, with what. It is taken out before it leaves.
//!
//! Only the containers are read, no picture is decoded; what is not understood is left as it is. Start at [`without_metadata`].

/// A JPEG's or PNG's bytes without its notes (Exif, XMP, IPTC, comments); colours stay as they are. Any other file as it is.
pub(super) fn without_metadata(bytes: Vec<u8>) -> Vec<u8> {
    let cleaned = match bytes.get(..4) {
        Some([0xff, 0xd8, 0xff, _]) => jpeg(&bytes),
        Some(b"\x89PNG") => png(&bytes),
        _ => None,
    };
    cleaned.unwrap_or(bytes)
}

/// Segments up to the picture's own data. `None` where they do not add up.
fn jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut kept = bytes.get(..2)?.to_vec();
    let mut at = 2;
    loop {
        let [0xff, marker] = *bytes.get(at..at + 2)? else { return None };
        if marker == 0xda {
            kept.extend_from_slice(&bytes[at..]);
            return Some(kept);
        }
        let length = usize::from(u16::from_be_bytes(bytes.get(at + 2..at + 4)?.try_into().ok()?));
        let segment = bytes.get(at..at + 2 + length)?;
        // Of the application's segments those of the colours stay: JFIF, the profile, Adobe's.
        let is_note = matches!(marker, 0xe1 | 0xe3..=0xed | 0xef | 0xfe);
        if !is_note {
            kept.extend_from_slice(segment);
        }
        at += segment.len();
    }
}

/// Chunks: length, type, data, checksum.
fn png(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut kept = bytes.get(..8)?.to_vec();
    let mut rest = &bytes[8..];
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let chunk = rest.get(..length.checked_add(12)?)?;
        if !matches!(&chunk[4..8], b"eXIf" | b"tEXt" | b"iTXt" | b"zTXt" | b"tIME") {
            kept.extend_from_slice(chunk);
        }
        rest = &rest[chunk.len()..];
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::ImageFormat;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
        [&[0xff, marker], &(data.len() as u16 + 2).to_be_bytes()[..], data].concat()
    }

    #[test]
    fn where_a_photo_was_taken_stays_here() {
        let start = [0xff, 0xd8];
        let (jfif, exif, profile) = (segment(0xe0, b"JFIF"), segment(0xe1, b"Exif GPS 52.5"), segment(0xe2, b"ICC"));
        let (comment, scan) = (segment(0xfe, b"by Anna"), [0xff, 0xda, 1, 2, 3, 0xff, 0xd9]);
        let photo = [&start[..], &jfif, &exif, &profile, &comment, &scan].concat();
        assert_eq!(without_metadata(photo.clone()), [&start[..], &jfif, &profile, &scan].concat());
        assert_eq!(without_metadata(photo[..20].to_vec()), photo[..20], "what is not understood is left as it is");

        let mut png = Vec::new();
        image::RgbImage::new(3, 2).write_to(&mut Cursor::new(&mut png), ImageFormat::Png).unwrap();
        let chunk = [&9_u32.to_be_bytes()[..], b"tEXt", b"Author\0An", &[0; 4]].concat();
        let signed = [&png[..33], &chunk, &png[33..]].concat();
        assert_eq!(without_metadata(signed), png);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>, start in 0_usize..3) {
            let start: &[u8] = [&[0xff, 0xd8, 0xff][..], b"\x89PNG\r\n\x1a\n", b""][start];
            let file = [start, &bytes].concat();
            let n_bytes = file.len();
            prop_assert!(without_metadata(file).len() <= n_bytes);
        }
    }
}
