//! The tools over tables: `query`, `summarise` and `convert`.
//!
//! The data is an argument, as text in any of the formats of [`read`]: no file is read here, and nothing is kept from
//! one call to the next. Start at [`call`].

pub mod json;
pub mod query;
pub mod read;
pub mod summary;
pub mod table;
pub mod write;

use serde::Deserialize;
use tool_guest::Failure;

use query::Question;
use table::Table;
use write::{Format, Room};

/// The most rows of a page, unless the call says another number.
const ROWS: usize = 50;

/// The most bytes of a page for reading, and of one that is meant to be used further.
const PAGE: usize = 12_000;
const CONVERTED: usize = 32_000;

/// The most bytes of a result with its header; a little less than a host hands on.
const WHOLE: usize = 60_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    data: String,
    at: Option<String>,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default, rename = "where")]
    conditions: Vec<String>,
    sort: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    skip: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Summarise {
    data: String,
    at: Option<String>,
    #[serde(default)]
    skip: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Convert {
    data: String,
    to: Format,
    at: Option<String>,
    #[serde(default)]
    skip: usize,
}

/// Runs the tool of this name.
pub fn call(name: &str, arguments: &str) -> Result<String, Failure> {
    let result = match name {
        "query" => query(tool_guest::arguments(arguments)?),
        "summarise" => summarise(tool_guest::arguments(arguments)?),
        "convert" => convert(tool_guest::arguments(arguments)?),
        _ => return Err(tool_guest::unknown(name)),
    };
    result.and_then(whole).map_err(Failure::Arguments)
}

fn query(Query { data, at, columns, conditions, sort, limit, skip }: Query) -> Result<String, String> {
    let table = read::table(&data, at.as_deref().unwrap_or_default())?;
    let question = Question::new(&table, &columns, &conditions, sort.as_deref().unwrap_or_default())?;
    let n = table.rows.len();
    let answer = question.answer(&table);
    if answer.rows.is_empty() || answer.columns.is_empty() {
        return Ok(noted(
            if answer.rows.len() == n { "there are no rows".into() } else { format!("none of {}", count(n, "row")) },
            &table,
        ));
    }
    let room = Room { skip, n_most: limit.unwrap_or(ROWS).max(1), n_bytes: PAGE, items: "rows" };
    let page = write::page(&answer, Format::Markdown, room, true)?;
    let heading = match answer.rows.len() {
        found if found == n => count(n, "row"),
        found => format!("{found} of {}", count(n, "row")),
    };
    Ok(noted(format!("{heading}\n{page}"), &table))
}

fn summarise(Summarise { data, at, skip }: Summarise) -> Result<String, String> {
    let table = read::table(&data, at.as_deref().unwrap_or_default())?;
    let room = Room { skip, n_most: ROWS, n_bytes: PAGE, items: "columns" };
    let page = write::page(&summary::columns(&table), Format::Markdown, room, true)?;
    let heading = format!("{}, {}", count(table.rows.len(), "row"), count(table.columns.len(), "column"));
    Ok(noted(format!("{heading}\n{page}"), &table))
}

fn convert(Convert { data, to, at, skip }: Convert) -> Result<String, String> {
    let table = read::table(&data, at.as_deref().unwrap_or_default())?;
    let room = Room { skip, n_most: usize::MAX, n_bytes: CONVERTED, items: "rows" };
    write::page(&table, to, room, false)
}

fn noted(text: String, table: &Table) -> String {
    match &table.note {
        Some(note) => format!("{text}\n({note})"),
        None => text,
    }
}

fn count(n: usize, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

fn whole(text: String) -> Result<String, String> {
    if text.len() > WHOLE {
        return Err(
            "one row is too long to show; use query with the columns you need, or pass a part of the data".into()
        );
    }
    Ok(text)
}

#[cfg(target_family = "wasm")]
mod export {
    //! The component's side of `wit/tool.wit`.

    use tool_guest::{Failure, Output};

    struct Tools;

    impl tool_guest::Package for Tools {
        const TOOLS: &'static str = include_str!("../tools.json");

        fn call(name: &str, arguments: &str) -> Result<Output, Failure> {
            crate::call(name, arguments).map(Output::from)
        }
    }

    tool_guest::export!(Tools);
}

#[cfg(test)]
mod tests;
