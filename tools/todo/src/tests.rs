//! The four tools on a store in memory, as tables.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::*;
use tool_guest::Output;

#[derive(Default)]
struct Memory {
    values: RefCell<BTreeMap<String, String>>,
    is_broken: Cell<bool>,
}

impl Memory {
    fn checked(&self) -> Result<(), String> {
        if self.is_broken.get() { Err("the store is full".into()) } else { Ok(()) }
    }
}

impl Store for Memory {
    fn value(&self, key: &str) -> Result<Option<String>, String> {
        self.checked()?;
        Ok(self.values.borrow().get(key).cloned())
    }

    fn set(&self, key: &str, value: &str) -> Result<(), String> {
        self.checked()?;
        self.values.borrow_mut().insert(key.into(), value.into());
        Ok(())
    }

    fn remove(&self, key: &str) -> Result<(), String> {
        self.checked()?;
        self.values.borrow_mut().remove(key);
        Ok(())
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, String> {
        self.checked()?;
        Ok(self.values.borrow().keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }
}

#[test]
fn the_examples_of_the_manifest() {
    let store = Memory::default();
    let run = |name: &str, arguments: &str| call(&store, name, arguments).map(Output::from);
    tool_guest::examples::check(include_str!("../tool.toml"), run);
}

#[test]
fn numbers_are_never_given_twice() {
    let store = Memory::default();
    for (name, arguments, expected) in [
        ("list", "", "nothing to do"),
        ("add", r#"{"text":"a"}"#, "added as number 1"),
        ("add", r#"{"text":" b\n\tc\u0000 ","due":" "}"#, "added as number 2"),
        ("remove", r#"{"number":2}"#, "removed number 2"),
        ("add", r#"{"text":"d","due":"2028-02-29"}"#, "added as number 3"),
        ("done", r#"{"number":3}"#, "done: 3. d"),
        ("done", r#"{"number":3}"#, "done: 3. d"),
        ("list", "{}", "1. a"),
        ("list", r#"{"all":true}"#, "1. a\n3. [done] d (due 2028-02-29)"),
        ("list", r#"{"all":true,"from":2}"#, "3. [done] d (due 2028-02-29)"),
        ("remove", r#"{"number":1}"#, "removed number 1"),
        ("list", "{}", "nothing to do; 1 done, which all = true shows"),
        ("remove", r#"{"number":3}"#, "removed number 3"),
        ("add", r#"{"text":"e"}"#, "added as number 4"),
    ] {
        assert_eq!(call(&store, name, arguments), Ok(expected.to_owned()), "{name} {arguments}");
    }
    let values = store.values.into_inner();
    let expected = [("item.00000004", r#"{"text":"e","done":false}"#), ("next", "5")];
    assert_eq!(values.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_refused_changes_nothing() {
    let store = Memory::default();
    call(&store, "add", r#"{"text":"a"}"#).unwrap();
    let before = store.values.borrow().clone();
    let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(1_000_000));
    for (name, arguments) in [
        ("add", "{}"),
        ("add", r#"{"text":" \u0000\n"}"#),
        ("add", &long),
        ("add", r#"{"text":"a","due":"tomorrow"}"#),
        ("add", r#"{"text":"a","due":"2026-02-29"}"#),
        ("add", r#"{"text":"a","due":"2100-02-29"}"#),
        ("add", r#"{"text":"a","due":"2026-13-01"}"#),
        ("add", r#"{"text":"a","due":"2026-04-31"}"#),
        ("add", r#"{"text":"a","due":"2026-00-10"}"#),
        ("add", r#"{"text":"a","due":"2026-10-00"}"#),
        ("add", r#"{"text":"a","due":"2026-1-1"}"#),
        ("add", r#"{"text":"a","due":"2026-10-+1"}"#),
        ("add", r#"{"text":"a","due":"-002026-01-01"}"#),
        ("add", r#"{"text":"a","due":"2026-01-01T10:00"}"#),
        ("add", r#"{"text":"a","due":"20260101"}"#),
        ("add", r#"{"text":"a","more":1}"#),
        ("list", r#"{"more":1}"#),
        ("done", r#"{"number":2}"#),
        ("done", r#"{"number":-1}"#),
        ("done", r#"{"number":"1"}"#),
        ("remove", r#"{"number":0}"#),
        ("remove", r#"{"number":18446744073709551615}"#),
        ("remove", "{}"),
        ("clear", "{}"),
    ] {
        assert!(call(&store, name, arguments).is_err(), "{name} {arguments:.60}");
        assert_eq!(*store.values.borrow(), before, "{name} {arguments:.60}");
    }
}

#[test]
fn errors_of_the_store_are_handed_on() {
    let store = Memory { is_broken: Cell::new(true), ..Memory::default() };
    for (name, arguments) in
        [("add", r#"{"text":"a"}"#), ("list", ""), ("done", r#"{"number":1}"#), ("remove", r#"{"number":1}"#)]
    {
        assert_eq!(call(&store, name, arguments), Err(Failure::Failed("the store is full".into())), "{name}");
    }
}

#[test]
fn a_damaged_value_hides_no_other() {
    let store = Memory::default();
    for (key, value) in [("item.00000001", "{"), ("item.00000002", r#"{"text":"b"}"#), ("item.x", ""), ("next", "?")] {
        store.set(key, value).unwrap();
    }
    assert_eq!(call(&store, "list", "").unwrap(), "1. (number 1 is damaged; remove it)\n2. b");
    assert!(matches!(call(&store, "done", r#"{"number":1}"#), Err(Failure::Failed(_))));
    assert_eq!(call(&store, "remove", r#"{"number":1}"#).unwrap(), "removed number 1");
    assert_eq!(call(&store, "add", r#"{"text":"c"}"#).unwrap(), "added as number 3");
}

#[test]
fn a_long_list_is_cut_and_goes_on() {
    let store = Memory::default();
    let text = "x".repeat(MAX_TEXT);
    for _ in 0..20 {
        call(&store, "add", &format!(r#"{{"text":"{text}"}}"#)).unwrap();
    }
    let first = call(&store, "list", "").unwrap();
    assert!(first.len() < MAX_LIST + 100 && first.ends_with("\n[there are more; go on with from = 16]"), "{first:.60}");
    let rest = call(&store, "list", r#"{"from":16}"#).unwrap();
    assert_eq!(rest.lines().count(), 5);
}
