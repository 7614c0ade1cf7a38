//! The five tools on folders in memory, as tables.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::*;
use tool_guest::Output;

/// Files by path; folders are what lies before a `/`.
#[derive(Default)]
struct Memory(RefCell<BTreeMap<String, Vec<u8>>>);

impl Memory {
    fn with(files: &[(&str, &[u8])]) -> Self {
        Self(RefCell::new(files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect()))
    }

    fn text(&self, path: &str) -> Vec<u8> {
        self.0.borrow()[path].clone()
    }
}

fn checked(path: &str) -> Result<&str, String> {
    if path.split('/').any(|part| part == "..") || path.contains("locked") {
        return Err(format!("{path}: not granted"));
    }
    Ok(path.trim_end_matches('/').trim_start_matches("./"))
}

impl Folder for Memory {
    fn entries(&self, path: &str) -> Result<Vec<Entry>, String> {
        let above = match checked(path)? {
            "." | "" => String::new(),
            path => format!("{path}/"),
        };
        let mut entries = BTreeMap::new();
        for (path, bytes) in self.0.borrow().iter() {
            let Some(below) = path.strip_prefix(&above) else { continue };
            let (name, kind, size) = match below.split_once('/') {
                Some((name, _)) => (name, Kind::Folder, 0),
                None => (below, Kind::File, bytes.len() as u64),
            };
            entries.insert(name.to_owned(), Entry { name: name.to_owned(), kind, size });
        }
        if entries.is_empty() && !above.is_empty() {
            return Err(format!("{path}: no such file or folder"));
        }
        Ok(entries.into_values().collect())
    }

    fn stat(&self, path: &str) -> Result<Entry, String> {
        let name = checked(path)?;
        match self.0.borrow().get(name) {
            Some(bytes) => Ok(Entry { name: name.into(), kind: Kind::File, size: bytes.len() as u64 }),
            None => self.entries(path).map(|_| Entry { name: name.into(), kind: Kind::Folder, size: 0 }),
        }
    }

    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, String> {
        let files = self.0.borrow();
        let bytes = files.get(checked(path)?).ok_or_else(|| format!("{path}: no such file or folder"))?;
        let start = bytes.len().min(offset as usize);
        Ok(bytes[start..bytes.len().min(start + length as usize)].to_vec())
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), String> {
        self.0.borrow_mut().insert(checked(path)?.to_owned(), bytes.to_vec());
        Ok(())
    }
}

fn check(folder: &Memory, name: &str, cases: &[(&str, &str)]) {
    for (arguments, expected) in cases {
        let got = match call(folder, name, arguments) {
            Ok(text) => text,
            Err(Failure::Arguments(problem)) => format!("? {problem}"),
            Err(Failure::Failed(problem)) => format!("! {problem}"),
            Err(other) => format!("{other:?}"),
        };
        assert_eq!(got, *expected, "{name} {arguments}");
    }
}

#[test]
fn the_examples_of_the_manifest() {
    let folder = Memory::default();
    let run = |name: &str, arguments: &str| call(&folder, name, arguments).map(Output::from);
    tool_guest::examples::check(include_str!("../tool.toml"), run);
}

#[test]
fn list_shows_paths_that_the_other_tools_take() {
    let folder = Memory::with(&[
        (".git/config", b"x"),
        ("a b.txt", b""),
        ("evil\n\x1b[2J.txt", &[b'x'; 1234]),
        ("locked/secret", b"x"),
        ("src/deep/er/c.rs", &[b'x'; 999_600]),
        ("src/target/x.o", b"x"),
    ]);
    check(
        &folder,
        "list",
        &[
            ("", ".git/\na b.txt (0 B)\nevil\\n\\u{1b}[2J.txt (1.2 kB)\nlocked/\nsrc/"),
            (r#"{"path":"./src/","depth":2}"#, "src/deep/\nsrc/deep/er/\nsrc/target/ (not shown)"),
            (r#"{"path":"src/deep","depth":9}"#, "src/deep/er/\nsrc/deep/er/c.rs (1.0 MB)"),
            (r#"{"path":"src/target"}"#, "src/target/x.o (1 B)"),
            (r#"{"path":"a b.txt"}"#, "a b.txt (0 B)"),
            (r#"{"path":"gone"}"#, "! gone: no such file or folder"),
            (r#"{"path":"../etc"}"#, "! ../etc: not granted"),
            (r#"{"path":"."  ,"depth":-1}"#, "? invalid value: integer `-1`, expected usize at line 1 column 24"),
        ],
    );
    let text = call(&folder, "list", r#"{"depth":2}"#).unwrap();
    assert!(text.contains("locked/ (locked: not granted)\n") && text.contains(".git/ (not shown)\n"), "{text}");
}

#[test]
fn a_long_list_is_cut() {
    let files: Vec<(String, &[u8])> = (0..3000).map(|n| (format!("file-{n:04}"), &b""[..])).collect();
    let folder = Memory::with(&files.iter().map(|(path, bytes)| (path.as_str(), *bytes)).collect::<Vec<_>>());
    let text = call(&folder, "list", "").unwrap();
    assert!(text.len() < list::MAX_SHOWN + 100 && text.starts_with("file-0000 (0 B)\n"));
    assert!(text.ends_with("[999 lines shown, 2001 more; list a folder below, or less deep]"), "{}", &text[15_900..]);
}

#[test]
fn read_numbers_lines_and_says_where_to_go_on() {
    let long: String = (1..=300).map(|n| format!("{n}\n")).collect();
    let wide = format!("{}\nend", "é".repeat(5000));
    let folder = Memory::with(&[
        ("long", long.as_bytes()),
        ("wide", wide.as_bytes()),
        ("bom", b"\xef\xbb\xbfa\r\nb\rc\r\n\r\n"),
        ("latin", b"caf\xe9\nok"),
        ("late", &[&[b'x'; 300_000][..], b"\n\0\n"].concat()),
        ("png", b"\x89PNG\r\n\x1a\n"),
        ("nul", b"a\0b"),
        ("utf16", b"\xff\xfea\0"),
        ("empty", b""),
        ("newline", b"\n"),
        ("cut", &[&[b'x'; 7999][..], "é".as_bytes(), b"yy\n"].concat()),
    ]);
    let cut = format!("1: {}… [a line of 10000 bytes, cut]\n2: end\n[all 2 lines of wide]", "é".repeat(2000));
    check(
        &folder,
        "read",
        &[
            (r#"{"path":"long","from":299}"#, "299: 299\n300: 300\n[lines 299-300 of 300, the end]"),
            (r#"{"path":"long","from":2,"lines":2}"#, "2: 2\n3: 3\n[lines 2-3 of 300; read on with from = 4]"),
            (r#"{"path":"long","from":301}"#, "? long has only 300 lines; from is 301"),
            (r#"{"path":"wide"}"#, &cut),
            (r#"{"path":"bom"}"#, "1: a\n2: b\rc\n3: \n[all 3 lines of bom; line ends are CR LF]"),
            (
                r#"{"path":"latin"}"#,
                "1: caf\u{fffd}\n2: ok\n[all 2 lines of latin; bytes that are not UTF-8 are shown as \u{fffd}]",
            ),
            (r#"{"path":"late","from":2}"#, "2: \u{fffd}\n[lines 2-2 of 2, the end]"),
            (r#"{"path":"png"}"#, "! png is a PNG image, 8 B long; read shows text only"),
            (r#"{"path":"nul"}"#, "! nul is a binary file, 3 B long; read shows text only"),
            (r#"{"path":"utf16"}"#, "! utf16 is UTF-16 text, 4 B long; read shows text only"),
            (r#"{"path":"empty"}"#, "empty is empty"),
            (r#"{"path":"newline"}"#, "1: \n[all 1 line of newline]"),
            (r#"{"path":"gone\u0000"}"#, "! gone\0: no such file or folder"),
            (r#"{"path":""}"#, "!  is a folder; list shows what is in it"),
        ],
    );
    let first = call(&folder, "read", r#"{"path":"long"}"#).unwrap();
    assert!(first.ends_with("200: 200\n[lines 1-200 of 300; read on with from = 201]"), "{first}");
    // A character that the cut goes through is no damage.
    assert!(!call(&folder, "read", r#"{"path":"cut"}"#).unwrap().contains("not UTF-8"));
}

#[test]
fn long_text_is_shown_in_parts_that_join() {
    let text: String = (0..2000).map(|n| format!("{n} {}\n", "x".repeat(n % 90))).collect();
    let folder = Memory::with(&[("a", text.as_bytes())]);
    let (mut from, mut joined) = (1, String::new());
    while from <= 2000 {
        let part = call(&folder, "read", &format!(r#"{{"path":"a","from":{from},"lines":9999}}"#)).unwrap();
        assert!(part.len() < 16_200);
        for line in part.lines().filter(|line| !line.starts_with('[')) {
            let (number, line) = line.split_once(": ").unwrap();
            assert_eq!(number, from.to_string());
            joined.push_str(&format!("{line}\n"));
            from += 1;
        }
    }
    assert_eq!(joined, text);
}

#[test]
fn lines_do_not_depend_on_where_pieces_end() {
    for n in [262_143, 262_144, 262_145, lines::MAX_LINE - 1, lines::MAX_LINE, lines::MAX_LINE + 1, 3 << 20] {
        let folder = Memory::with(&[("a", &[&vec![b'x'; n][..], b"\r\nb"].concat())]);
        let mut lines = lines::Lines::open(&folder, "a").unwrap();
        let line = lines.next_line().unwrap().unwrap();
        // The end of a line that is too long is not kept either.
        let is_whole = n + 2 <= lines::MAX_LINE;
        let expected = if is_whole { (n, n, true) } else { (lines::MAX_LINE, n + 2, false) };
        assert_eq!((line.bytes.len(), line.n_bytes, line.is_crlf), expected, "{n}");
        assert_eq!(lines.next_line().unwrap().unwrap().bytes, b"b");
        assert_eq!(lines.next_line().unwrap(), None);
    }
}

#[test]
fn search_finds_lines() {
    let far = format!("{}needle{}", "é".repeat(3000), "x".repeat(3000));
    let folder = Memory::with(&[
        (".git/a.txt", b"needle"),
        ("a.txt", b"one needle\r\nNeedle\nnot here\nneedle(1)"),
        ("b/c.rs", b"needle(1) \xff"),
        ("b/d.md", far.as_bytes()),
        ("b/locked.txt", b"needle"),
        ("bin", b"needle\0"),
        ("b/node_modules/x/a.txt", b"needle"),
    ]);
    let shown = format!("b/d.md:1: …{}needle{}… [a line of 9006 bytes, cut]", "é".repeat(20), "x".repeat(174));
    check(
        &folder,
        "search",
        &[
            (r#"{"pattern":"needle$","name":"a.*"}"#, "a.txt:1: one needle\n[1 result in 1 file]"),
            (r#"{"pattern":"(?i)^needle$","name":"a.*"}"#, "a.txt:2: Needle\n[1 result in 1 file]"),
            (
                r#"{"pattern":"needle(1)","plain":true,"name":"*.{txt,rs}"}"#,
                "a.txt:4: needle(1)\nb/c.rs:1: needle(1) \u{fffd}\n\
                 [2 results in 2 files; searched as plain text; 1 path could not be read]",
            ),
            (
                r#"{"pattern":"needle(","path":"b/c.rs"}"#,
                "b/c.rs:1: needle(1) \u{fffd}\n[1 result in 1 file; searched as plain text]",
            ),
            (r#"{"pattern":"needle","name":"b/**/*.md"}"#, &format!("{shown}\n[1 result in 1 file]")),
            (r#"{"pattern":"needle","path":".git"}"#, ".git/a.txt:1: needle\n[1 result in 1 file]"),
            (r#"{"pattern":"n\u00e9edle","path":"a.txt"}"#, "[0 results in 1 file]"),
            (r#"{"pattern":"needle","path":"bin"}"#, "! bin is a binary file; search reads text only"),
            (r#"{"pattern":"needle","path":"gone"}"#, "! gone: no such file or folder"),
            (r#"{"pattern":""}"#, "? the pattern is empty; list shows the files"),
            (r#"{"pattern":"a\nb"}"#, "? the pattern has more than one line; search for one of them"),
            (r#"{"pattern":"(x{1000}){1000}"}"#, "? the pattern is too big; use a shorter one with fewer repetitions"),
            (
                r#"{"pattern":"a","name":"{a"}"#,
                "? \"{a\" is not a name pattern; write it like *.rs or src/**/*.{md,txt}",
            ),
        ],
    );
}

#[test]
fn many_results_are_cut() {
    let folder = Memory::with(&[("a", "x\n".repeat(101).as_bytes()), ("b", "y\n".repeat(100).as_bytes())]);
    let told = call(&folder, "search", r#"{"pattern":"x"}"#).unwrap();
    assert!(
        told.ends_with("a:100: x\n[100 results in 1 file; there are more results; narrow the pattern, path or name]")
    );
    assert!(call(&folder, "search", r#"{"pattern":"y"}"#).unwrap().ends_with("[100 results in 2 files]"));
    let deep = format!("{}z", "a/".repeat(500));
    let folder = Memory::with(&[(&deep, b"z")]);
    assert_eq!(call(&folder, "search", r#"{"pattern":"z"}"#).unwrap(), "[0 results in 0 files]");
}

#[test]
fn write_tells_new_from_old() {
    let folder = Memory::with(&[("a", b"old")]);
    check(
        &folder,
        "write",
        &[
            (r#"{"path":"a","text":"x"}"#, "replaced a: 1 line, 1 B (before: 3 B)"),
            (r#"{"path":"b/c","text":"\u0000\r\n\r\n"}"#, "created b/c: 2 lines, 5 B"),
            (r#"{"path":"../a","text":"x"}"#, "! ../a: not granted"),
            (r#"{"path":"a"}"#, "? missing field `text` at line 1 column 12"),
        ],
    );
    assert_eq!(folder.text("b/c"), b"\0\r\n\r\n");
}

#[test]
fn edit_replaces_what_is_there_once() {
    for (file, old, new, edited) in [
        (&b"a b c"[..], "b", "x", &b"a x c"[..]),
        (b"a\r\nb\r\n", "a\nb", "1\n2\n3", b"1\r\n2\r\n3\r\n"),
        (b"a\r\nb\r\n", "a\r\n", "", b"b\r\n"),
        (b"a\nb\n", "a\r\nb", "1\r\n2", b"1\n2\n"),
        (b"a\nb\r\nc\n", "b\nc", "x\ny", b"a\nx\r\ny\n"),
        (b"a\nb\r\nc\r\nd\n", "b\nc", "x\ny", b"a\nx\r\ny\r\nd\n"),
        (b"\xff a \xfe", "a", "\u{e9}", b"\xff \xc3\xa9 \xfe"),
        (b"\xef\xbb\xbfa", "a", "b", b"\xef\xbb\xbfb"),
    ] {
        let folder = Memory::with(&[("f", file)]);
        let arguments = serde_json::json!({"path": "f", "old": old, "new": new}).to_string();
        let got = call(&folder, "edit", &arguments);
        assert!(got.as_ref().is_ok_and(|text| text.starts_with("edited f: 1 place at line ")), "{arguments}: {got:?}");
        assert_eq!(folder.text("f"), edited, "{arguments}");
    }
}

#[test]
fn an_edit_that_fails_changes_nothing_and_says_what_to_do() {
    let file = b"fn a() {\n    one();\n}\nfn b() {\n    one();\n    Two();\n}\n".as_slice();
    let many = "x\n".repeat(50);
    let folder = Memory::with(&[
        ("f", file),
        ("many", many.as_bytes()),
        ("png", b"\x89PNG\r\n\x1a\n"),
        ("big", &vec![b'x'; 9 << 20]),
    ]);
    for (path, old, expected) in [
        ("f", "", "? old is empty; give the text to replace, or use write for a whole file"),
        ("f", "new", "? old and new are the same; there is nothing to change"),
        ("f", "one();", "! old is in f 2 times, at lines 2, 5; give more of the text around it, or all = true"),
        ("f", "5:     one();", "! old is not in f; leave out the line numbers that read shows"),
        (
            "f",
            "a(){\n one();",
            "! old is not in f, but it is at lines 1-2 with only the blanks different; read there and copy exactly",
        ),
        (
            "f",
            "\tTwo();",
            "! old is not in f, but it is at line 6 with only the blanks different; read there and copy exactly",
        ),
        ("f", "two();", "! old is not in f, but it is at line 6 in other case of letters; read there and copy exactly"),
        (
            "f",
            "    one();\n    three();",
            "! old is not in f; its first line is, at line 2, 5, but not what follows; read there and copy exactly",
        ),
        ("f", "nothing", "! old is not in f; read it and copy the text to replace exactly"),
        ("f", " \u{b} ", "! old is not in f; read it and copy the text to replace exactly"),
        (
            "many",
            "x",
            "! old is in many 50 times, at lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...; \
             give more of the text around it, or all = true",
        ),
        ("png", "PNG", "! png is a PNG image; edit takes text only"),
        ("big", "x", "! big is 9.4 MB long; edit takes files of at most 8 MiB"),
        ("gone", "x", "! gone: no such file or folder"),
        ("../f", "x", "! ../f: not granted"),
        (".", "x", "! . is a folder; edit takes a file"),
    ] {
        check(&folder, "edit", &[(&serde_json::json!({"path": path, "old": old, "new": "new"}).to_string(), expected)]);
    }
    assert_eq!(folder.text("f"), file);
    assert_eq!(folder.text("many"), many.as_bytes());
}
