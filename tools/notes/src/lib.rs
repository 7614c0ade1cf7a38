//! The tools over the user's notes: `add`, `list` and `search` on one Markdown file.
//!
//! Neither edits nor removes a note: the file is the user's, and what this package writes is only ever one more line.
//! Start at [`call`]; what a note is on paper is in [`paper`].

pub mod paper;

use serde::Deserialize;
use tool_guest::Failure;

/// The one file the package was granted.
pub trait Document {
    /// The whole file; empty when there is none yet.
    fn read(&self) -> Result<Vec<u8>, String>;
    /// Replaces the whole file.
    fn write(&self, bytes: &[u8]) -> Result<(), String>;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    query: String,
}

/// Runs the tool of this name on the document.
pub fn call(document: &dyn Document, name: &str, arguments: &str) -> Result<String, Failure> {
    match name {
        "add" => {
            let Add { text } = tool_guest::arguments(arguments)?;
            let text = paper::fold(&text);
            if text.is_empty() {
                return Err(Failure::Arguments("the text of the note is empty".into()));
            }
            let (file, number) = paper::append(&read(document)?, &text).map_err(Failure::Failed)?;
            document.write(file.as_bytes()).map_err(Failure::Failed)?;
            Ok(format!("saved as note {number}"))
        }
        "list" => {
            let List {} = tool_guest::arguments(arguments)?;
            let file = read(document)?;
            let lines = numbered(paper::notes(&file), |_| true);
            Ok(if lines.is_empty() { "no notes yet".into() } else { lines })
        }
        "search" => {
            let Search { query } = tool_guest::arguments(arguments)?;
            let query = paper::fold(&query);
            if query.is_empty() {
                return Err(Failure::Arguments("the query is empty; use list for all notes".into()));
            }
            let (file, wanted) = (read(document)?, query.to_lowercase());
            let lines = numbered(paper::notes(&file), |note| note.to_lowercase().contains(&wanted));
            Ok(if lines.is_empty() { format!("no note contains \"{query}\"") } else { lines })
        }
        _ => Err(tool_guest::unknown(name)),
    }
}

fn read(document: &dyn Document) -> Result<String, Failure> {
    let bytes = document.read().map_err(Failure::Failed)?;
    paper::check(bytes).map_err(Failure::Failed)
}

fn numbered<'a>(notes: impl Iterator<Item = &'a str>, wanted: impl Fn(&str) -> bool) -> String {
    let kept = (1..).zip(notes).filter(|(_, note)| wanted(note));
    kept.map(|(number, note)| format!("{number}. {note}")).collect::<Vec<_>>().join("\n")
}

#[cfg(target_family = "wasm")]
mod export {
    //! The component's side of `wit/tool.wit`.

    use tool_guest::host::document;
    use tool_guest::{Failure, Output};

    struct Tools;

    impl tool_guest::Package for Tools {
        const TOOLS: &'static str = include_str!("../tools.json");

        fn call(name: &str, arguments: &str) -> Result<Output, Failure> {
            crate::call(&Granted, name, arguments).map(Output::from)
        }
    }

    struct Granted;

    impl crate::Document for Granted {
        fn read(&self) -> Result<Vec<u8>, String> {
            document::read()
        }

        fn write(&self, bytes: &[u8]) -> Result<(), String> {
            document::write(bytes)
        }
    }

    tool_guest::export!(Tools);
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    struct Memory(RefCell<Vec<u8>>);

    impl Document for Memory {
        fn read(&self) -> Result<Vec<u8>, String> {
            Ok(self.0.borrow().clone())
        }

        fn write(&self, bytes: &[u8]) -> Result<(), String> {
            *self.0.borrow_mut() = bytes.to_vec();
            Ok(())
        }
    }

    fn file(text: &[u8]) -> Memory {
        Memory(RefCell::new(text.to_vec()))
    }

    #[test]
    fn a_conversation_with_the_notes() {
        let file = file(b"");
        for (name, arguments, expected) in [
            ("list", "{}", "no notes yet"),
            ("list", "", "no notes yet"),
            ("search", r#"{"query":"milk"}"#, "no note contains \"milk\""),
            ("add", r#"{"text":"buy milk"}"#, "saved as note 1"),
            ("add", r#"{"text":" call\n\n Ada\tat 9 "}"#, "saved as note 2"),
            ("add", r#"{"text":"MILK is out, \u00c9t\u00e9"}"#, "saved as note 3"),
            ("list", "{}", "1. buy milk\n2. call Ada at 9\n3. MILK is out, \u{c9}t\u{e9}"),
            ("search", r#"{"query":"Milk"}"#, "1. buy milk\n3. MILK is out, \u{c9}t\u{e9}"),
            ("search", r#"{"query":"\u00e9T\u00c9"}"#, "3. MILK is out, \u{c9}t\u{e9}"),
            ("search", r#"{"query":"Bob"}"#, "no note contains \"Bob\""),
        ] {
            assert_eq!(call(&file, name, arguments), Ok(expected.to_owned()), "{name} {arguments}");
        }
        assert_eq!(*file.0.borrow(), "- buy milk\n- call Ada at 9\n- MILK is out, \u{c9}t\u{e9}\n".as_bytes());
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let full = vec![b'x'; paper::LIMIT];
        for (bytes, name, arguments) in [
            (&b"- a\n"[..], "add", r#"{"text":" \n "}"#),
            (b"- a\n", "add", r#"{}"#),
            (b"- a\n", "add", r#"{"text":"a","more":1}"#),
            (b"- a\n", "list", r#"{"more":1}"#),
            (b"- a\n", "search", r#"{"query":""}"#),
            (b"- a\n", "remove", r#"{}"#),
            (b"\xff\xfe", "add", r#"{"text":"a"}"#),
            (&full, "add", r#"{"text":"a"}"#),
        ] {
            let file = file(bytes);
            assert!(call(&file, name, arguments).is_err(), "{name} {arguments}");
            assert_eq!(*file.0.borrow(), bytes);
        }
    }
}
