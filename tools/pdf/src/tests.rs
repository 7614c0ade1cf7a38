//! PDFs written out by hand, so that every byte is known, and what becomes of them when bytes are changed.

use super::*;
use std::fmt::Write as _;
use tool_guest::Output;

/// A file whose pages draw these operators, in Helvetica as `F1`, with these objects more.
fn pdf(pages: &[&str], more: &str) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len()).map(|n| format!("{} 0 R", 10 + 2 * n)).collect();
    let mut objects = vec![
        (1, "<</Type/Catalog/Pages 2 0 R>>".to_owned()),
        (2, format!("<</Type/Pages/Count {}/Kids[{}]>>", pages.len(), kids.join(" "))),
        (3, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_owned()),
    ];
    for (n, page) in pages.iter().enumerate() {
        let contents = 11 + 2 * n;
        let resources = "<</Font<</F1 3 0 R/F2 5 0 R>>>>";
        let leaf =
            format!("<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources{resources}/Contents {contents} 0 R>>");
        objects.push((10 + 2 * n, leaf));
        objects.push((contents, format!("<</Length {}>>stream\n{page}\nendstream", page.len())));
    }
    let mut file = "%PDF-1.7\n".to_owned();
    for (n, object) in objects {
        write!(file, "{n} 0 obj\n{object}\nendobj\n").unwrap();
    }
    write!(file, "{more}trailer<</Root 1 0 R/Size 99>>\nstartxref\n0\n%%EOF\n").unwrap();
    file.into_bytes()
}

fn read(page: &str) -> String {
    Document::open(pdf(&[page], "")).unwrap().page(0).unwrap()
}

#[test]
fn gaps_are_spaces_and_jumps_are_lines() {
    for (page, expected) in [
        ("BT /F1 10 Tf 50 700 Td (Hello) Tj ( world) Tj ET", "Hello world"),
        ("BT /F1 10 Tf 50 700 Td [(A)20(V)-300(B)] TJ ET", "AV B"),
        ("BT /F1 10 Tf 50 700 Td (a) Tj 0 -12 Td (b) Tj 0 -30 Td (c) Tj ET", "a\nb\n\nc"),
        // Columns: the second begins above.
        ("BT /F1 10 Tf 50 700 Td (a) Tj 0 -12 Td (b) Tj 300 12 Td (c) Tj ET", "a\nb\n\nc"),
        ("BT /F1 10 Tf 50 700 Td (a) Tj 100 0 Td (b) Tj ET", "a  b"),
        // Raised, and drawn twice to look bold.
        ("BT /F1 10 Tf 50 700 Td (x) Tj /F1 6 Tf 5 4 Td (2) Tj ET", "x2"),
        ("BT /F1 10 Tf 50 700 Td (bold) Tj ET BT /F1 10 Tf 50.3 700 Td (bold) Tj ET", "bold"),
        // Sideways.
        ("BT /F1 10 Tf 0 1 -1 0 300 300 Tm (up) Tj 0 -12 Td (on) Tj ET", "up\non"),
        // Unseen text over a scanned page.
        ("BT 3 Tr /F1 10 Tf 50 700 Td (scan) Tj ET", "scan"),
        ("BT /F1 10 Tf 50 700 Td /Span<</ActualText(fi)>>BDC (xx) Tj EMC (n) Tj ET", "fin"),
        ("BT /F1 10 Tf 50 700 Td (\\344\\337\\223) Tj ET", "äß“"),
        ("", ""),
    ] {
        assert_eq!(read(page), expected, "{page}");
    }
}

#[test]
fn full_lines_go_on() {
    let line = "Lines that are as long as their block were broken where it ends";
    let lines = [line, "and the next one goes on with the same sent-", "ence. What is short ends.", "New."];
    let widths = [300.0, 300.0, 130.0, 30.0];
    let mut page = "BT /F1 10 Tf 50 700 Td ".to_owned();
    for (line, width) in lines.iter().zip(widths) {
        // Stretched or shrunk to a width, as a typesetter does it.
        let spaces = line.matches(' ').count().max(1) as f64;
        let natural = 4.9 * line.len() as f64;
        write!(page, "{} Tw ({line}) Tj 0 -12 Td ", (width - natural) / spaces).unwrap();
    }
    page.push_str("ET");
    let text = read(&page);
    assert!(text.contains("where it ends and the next one goes on with the same sentence."), "{text}");
    assert!(text.ends_with("ends.\nNew."), "{text}");
}

#[test]
fn characters_mean_what_their_font_says() {
    let cmap = "/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <0000> <ffff> endcodespacerange \
                2 beginbfchar <0001> <4E2D> <0002> <00660069> endbfchar endcmap";
    let more = format!(
        "5 0 obj\n<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[6 0 R]/ToUnicode 7 0 R>>\nendobj\n\
         6 0 obj\n<</Type/Font/Subtype/CIDFontType2/BaseFont/X/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)\
         /Supplement 0>>/DW 1000/FontDescriptor 8 0 R>>\nendobj\n\
         7 0 obj\n<</Length {}>>stream\n{cmap}\nendstream\nendobj\n8 0 obj\n<</Type/FontDescriptor/FontName/X/Flags 4>>\nendobj\n",
        cmap.len()
    );
    let file = pdf(&["BT /F2 10 Tf 50 700 Td <000100020009> Tj ET"], &more);
    assert_eq!(Document::open(file).unwrap().page(0).unwrap(), "中fi\u{fffd}");
}

struct Memory(Vec<u8>);

impl Folder for Memory {
    fn size(&self, path: &str) -> Result<Option<u64>, String> {
        match path {
            "." => Ok(None),
            "huge.pdf" => Ok(Some(1 << 40)),
            "a.pdf" if !self.0.is_empty() => Ok(Some(self.0.len() as u64)),
            _ => Err(format!("{path}: no such file or folder")),
        }
    }

    fn read(&self, _: &str, offset: u64, length: u32) -> Result<Vec<u8>, String> {
        let start = offset as usize;
        Ok(self.0[start..self.0.len().min(start + length as usize)].to_vec())
    }
}

fn three_pages() -> Memory {
    Memory(pdf(&["BT /F1 10 Tf 50 700 Td (one) Tj ET", "", "BT /F1 10 Tf 50 700 Td (three) Tj ET"], ""))
}

#[test]
fn pages_are_asked_for_by_their_numbers() {
    for (arguments, expected) in [
        (r#"{"path": "a.pdf"}"#, "[page 1]\none\n\n[page 2]\n(no text)\n\n[page 3]\nthree\n\n[pages 1-3 of 3]"),
        (r#"{"path": "a.pdf", "first_page": 3, "last_page": 9}"#, "[page 3]\nthree\n\n[page 3 of 3]"),
        (r#"{"path": "a.pdf", "first_page": 4}"#, "invalid arguments: a.pdf has 3 pages; there are no pages 4 to 3"),
        (r#"{"path": "a.pdf", "last_page": 0}"#, "invalid arguments: a.pdf has 3 pages; there are no pages 1 to 0"),
        (r#"{"path": "."}"#, ". is no file"),
        (r#"{"path": "huge.pdf"}"#, "huge.pdf is larger than 32 MiB"),
        (r#"{"path": "b.pdf"}"#, "b.pdf: no such file or folder"),
    ] {
        assert_eq!(said(&three_pages(), "text", arguments), expected, "{arguments}");
    }
    assert_eq!(said(&Memory(b"nothing".to_vec()), "text", r#"{"path": "a.pdf"}"#), "a.pdf: it is damaged, or no PDF");
}

fn said(folder: &Memory, name: &str, arguments: &str) -> String {
    match call(folder, name, arguments) {
        Ok(text) => text,
        Err(Failure::Arguments(problem)) => format!("invalid arguments: {problem}"),
        Err(Failure::Unknown(problem) | Failure::Failed(problem)) => problem,
    }
}

#[test]
fn a_long_file_is_read_in_parts() {
    let page = format!("BT /F1 10 Tf 50 700 Td {} ET", "(words and words) Tj 0 -20 Td ".repeat(500));
    let folder = Memory(pdf(&[page.as_str(); 4], ""));
    let text = said(&folder, "text", r#"{"path": "a.pdf"}"#);
    assert!(text.ends_with("[page 1 of 4; read on with first_page = 2]"), "{text}");
    let folder = Memory(pdf(&[page.repeat(3).as_str()], ""));
    assert!(
        said(&folder, "text", r#"{"path": "a.pdf"}"#)
            .contains("\n[the rest of this page is left out]\n\n[page 1 of 1]")
    );
}

#[test]
fn the_host_hands_in_a_file_and_gets_all_of_it() {
    let file = pdf(&["BT /F1 10 Tf 50 700 Td (one) Tj ET", "BT /F1 10 Tf 50 700 Td (two) Tj ET"], "");
    assert_eq!(said(&three_pages(), "all", &base64(&file)), "one\x0ctwo");
    assert_eq!(said(&three_pages(), "all", "?"), "invalid arguments: no base64");
    assert_eq!(said(&three_pages(), "all", ""), "it is damaged, or no PDF");
    for bytes in [&b""[..], b"a", b"ab", b"abc", b"\xff\xfe\xfd\xfc"] {
        assert_eq!(decoded(&base64(bytes)).unwrap(), bytes);
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = three.iter().enumerate().fold(0_u32, |word, (n, byte)| word | u32::from(*byte) << (16 - 8 * n));
        for n in 0..4 {
            text.push(if n > three.len() { '=' } else { char::from(LETTERS[(word >> (18 - 6 * n)) as usize % 64]) });
        }
    }
    text
}

#[test]
fn the_manifest_keeps_its_promises() {
    let nothing = Memory(Vec::new());
    tool_guest::examples::check(include_str!("../tool.toml"), |name, arguments| {
        call(&nothing, name, arguments).map(Output::from)
    });
}
