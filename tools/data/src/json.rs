//! JSON as a tree in the order of its text, with its numbers as they are written, and the table that a place in it is.
//!
//! `serde_json` checks the grammar and finds where each value ends; its own tree would round numbers and sort keys.
//! Start at [`parse`] and [`table`].

use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use crate::table::{Cell, Kind, Table, listed};

/// How deeply lists and objects may nest: each level is read once more than the one above it.
const DEPTH: usize = 64;

/// A value.
#[derive(Debug, PartialEq)]
pub enum Json<'a> {
    /// null
    Null,
    /// true or false
    Truth(bool),
    /// As it is written.
    Number(&'a str),
    /// Unescaped.
    Text(String),
    /// In brackets.
    List(Vec<Json<'a>>),
    /// In braces; a key may be there twice.
    Object(Vec<(String, Json<'a>)>),
}

/// Reads one value, or several after one another (JSON lines), which are taken as a list.
pub fn parse(text: &str) -> Result<Json<'_>, String> {
    let values = Deserializer::from_str(text).into_iter::<&RawValue>().collect::<Result<Vec<_>, _>>();
    let mut values = values.map_err(|error| fault(&error))?;
    match values.len() {
        1 => tree(values.remove(0), DEPTH),
        _ => values.into_iter().map(|value| tree(value, DEPTH)).collect::<Result<_, _>>().map(Json::List),
    }
}

fn fault(error: &dyn fmt::Display) -> String {
    format!("the data begins like JSON and is none: {error}")
}

fn tree(raw: &RawValue, depth: usize) -> Result<Json<'_>, String> {
    let text = raw.get();
    let deeper = || depth.checked_sub(1).ok_or_else(|| format!("the data is nested more than {DEPTH} deep"));
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let depth = deeper()?;
            let members = Deserializer::from_str(text).deserialize_map(Members).map_err(|error| fault(&error))?;
            let members = members.into_iter().map(|(key, value)| Ok((key, tree(value, depth)?)));
            Json::Object(members.collect::<Result<_, String>>()?)
        }
        Some(b'[') => {
            let depth = deeper()?;
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| fault(&error))?;
            Json::List(items.into_iter().map(|item| tree(item, depth)).collect::<Result<_, _>>()?)
        }
        Some(b'"') => Json::Text(serde_json::from_str(text).map_err(|error| fault(&error))?),
        Some(b't') => Json::Truth(true),
        Some(b'f') => Json::Truth(false),
        Some(b'n') => Json::Null,
        _ => Json::Number(text),
    })
}

/// The members of an object in their order.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

impl Json<'_> {
    /// The value as compact JSON.
    pub fn written(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Truth(truth) => truth.to_string(),
            Self::Number(number) => (*number).to_owned(),
            Self::Text(text) => quoted(text),
            Self::List(items) => format!("[{}]", items.iter().map(Self::written).collect::<Vec<_>>().join(",")),
            Self::Object(members) => {
                let members = members.iter().map(|(key, value)| format!("{}:{}", quoted(key), value.written()));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }
        }
    }

    fn cell(&self) -> Cell {
        match self {
            Self::Null => Cell::default(),
            Self::Text(text) => Cell::string(text),
            Self::Truth(_) => Cell { text: self.written(), kind: Kind::Truth },
            Self::Number(_) => Cell { text: self.written(), kind: Kind::Number },
            Self::List(_) | Self::Object(_) => Cell { text: self.written(), kind: Kind::Json },
        }
    }

    fn child(&self, step: &str) -> Result<&Self, String> {
        let (child, there) = match self {
            Self::List(items) => {
                let child = step.parse::<usize>().ok().and_then(|place| items.get(place));
                (child, format!("a list of {}, counted from 0", items.len()))
            }
            Self::Object(members) => {
                let child = members.iter().rfind(|(key, _)| key == step).map(|(_, value)| value);
                (child, format!("an object with {}", listed(members.iter().map(|(key, _)| key.as_str()))))
            }
            value => (None, value.written()),
        };
        child.ok_or_else(|| format!("at: there is no {step:?} in {}", cut(&there)))
    }
}

/// A string as JSON.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The steps of a place such as `items.0.name`, `items[0].name` or the JSON Pointer `/items/0/name`.
fn steps(at: &str) -> Vec<String> {
    match at.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect(),
        None => {
            let dotted = at.trim_start_matches('$').replace('[', ".").replace(']', "");
            dotted.split('.').filter(|step| !step.is_empty()).map(str::to_owned).collect()
        }
    }
}

/// The table at a place: of a list its items are the rows, anything else is one row.
pub fn table(json: &Json, at: &str) -> Result<Table, String> {
    let place = steps(at).iter().try_fold(json, |json, step| json.child(step))?;
    match place {
        Json::List(items) if !items.is_empty() && items.iter().all(|item| matches!(item, Json::List(_))) => grid(items),
        Json::List(items) => {
            let mut table = Table::default();
            items.iter().try_for_each(|item| push(&mut table, item))?;
            Ok(table)
        }
        one => {
            let mut table = Table::default();
            push(&mut table, one)?;
            table.note = inner_lists(one);
            Ok(table)
        }
    }
}

/// Lists as rows; if the first one holds nothing but strings, it names the columns.
fn grid(rows: &[Json]) -> Result<Table, String> {
    let mut rows =
        rows.iter().filter_map(|row| if let Json::List(cells) = row { Some(cells) } else { None }).peekable();
    let names = rows.next_if(|row| row.iter().all(|cell| matches!(cell, Json::Text(_))));
    let mut table = Table::new(names.into_iter().flatten().map(|name| name.cell().text))?;
    for row in rows {
        table.push(row.iter().map(Json::cell).collect())?;
    }
    Ok(table)
}

fn push(table: &mut Table, item: &Json) -> Result<(), String> {
    let mut row = Vec::new();
    match item {
        Json::Object(members) => flatten(table, "", members, &mut row)?,
        value => set(table, "value", value.cell(), &mut row)?,
    }
    table.push(row)
}

/// Objects within objects give columns such as `address.city`; lists stay JSON.
fn flatten(table: &mut Table, above: &str, members: &[(String, Json)], row: &mut Vec<Cell>) -> Result<(), String> {
    for (key, value) in members {
        let name = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        match value {
            Json::Object(members) if !members.is_empty() => flatten(table, &name, members, row)?,
            value => set(table, &name, value.cell(), row)?,
        }
    }
    Ok(())
}

fn set(table: &mut Table, name: &str, cell: Cell, row: &mut Vec<Cell>) -> Result<(), String> {
    let place = table.place(name)?;
    if row.len() <= place {
        row.resize(place + 1, Cell::default());
    }
    row[place] = cell;
    Ok(())
}

/// A word on the lists in an object, in which the rows may be that were meant.
fn inner_lists(json: &Json) -> Option<String> {
    let Json::Object(members) = json else { return None };
    let lists = members.iter().filter(|(_, value)| matches!(value, Json::List(_)));
    let lists = lists.map(|(key, _)| key.as_str()).collect::<Vec<_>>();
    (!lists.is_empty()).then(|| format!("this is one object; lists in it, for at: {}", cut(&listed(lists.into_iter()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written() {
        for text in
            ["[]", "{}", r#"{"b":1,"a":[null,true,false,"\u0001\"x"],"b":{}}"#, "[12345678901234567890.10,-0,1E+2]"]
        {
            assert_eq!(parse(text).unwrap().written(), text);
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for (text, expected) in [
            ("[1,]".to_owned(), "none: expected value at line 1 column 4"),
            ("{\"a\":1".to_owned(), "none: EOF while parsing an object at line 1 column 6"),
            ("{'a':1}".to_owned(), "none: key must be a string at line 1 column 2"),
            ("[01]".to_owned(), "none: invalid number at line 1 column 3"),
            ("[1] x".to_owned(), "none: expected value at line 1 column 5"),
            ("[\"\\ud800\"]".to_owned(), "none: unexpected end of hex escape at line 1 column 8"),
            ("[".repeat(10_000) + &"]".repeat(10_000), "nested more than 64 deep"),
            ("{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000), "nested more than 64 deep"),
            ("[".repeat(1 << 20), "none: EOF while parsing a list at line 1 column 1048576"),
        ] {
            let problem = parse(&text).unwrap_err();
            assert!(problem.ends_with(expected), "{} gave {problem}", &text[..text.len().min(50)]);
        }
    }

    #[test]
    fn places() {
        let json = parse(r#"{"a":{"b/c":[{"x":1},{"x":"two"}],"~":3},"":[]}"#).unwrap();
        for (at, expected) in [
            ("a.b/c", "x / 1 / two"),
            ("/a/b~1c", "x / 1 / two"),
            ("$.a.b/c[1]", "x / two"),
            ("a.b/c.1.x", "value / two"),
            ("/a/~0", "value / 3"),
            ("/", ""),
            ("a.c", "! at: there is no \"c\" in an object with b/c, ~"),
            ("a.b/c.2", "! at: there is no \"2\" in a list of 2, counted from 0"),
            ("a.~.x", "! at: there is no \"x\" in 3"),
        ] {
            let shown = table(&json, at).map(|table| {
                let rows = table.rows.iter().map(|row| row[0].text.clone());
                std::iter::once(table.columns.join(",")).chain(rows).collect::<Vec<_>>().join(" / ")
            });
            assert_eq!(shown.unwrap_or_else(|problem| format!("! {problem}")), expected, "{at}");
        }
    }

    #[test]
    fn tables_of_all_shapes() {
        for (text, columns, n_rows) in [
            (r#"[{"a":{"b":1,"c":{}}},{"d":2}]"#, "a.b,a.c,d", 2),
            (r#"[["x","y"],[1,2,3],[]]"#, "x,y,column_3", 2),
            ("[[1,2],[3]]", "column_1,column_2", 2),
            (r#"[1,{"a":2},[3]]"#, "value,a", 3),
            ("[]", "", 0),
            ("[[]]", "", 0),
            (r#"{"":1,"a":[1]}"#, "column_1,a", 1),
        ] {
            let table = table(&parse(text).unwrap(), "").unwrap();
            assert_eq!((table.columns.join(",").as_str(), table.rows.len()), (columns, n_rows), "{text}");
        }
    }
}
