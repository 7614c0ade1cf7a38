//! Data as text, made a table: CSV, TSV, JSON, JSON lines or a table in Markdown.
//!
//! Which one it is shows in the text: JSON begins with a bracket, Markdown with a bar, anything else has a delimiter
//! that fits its first lines best. Start at [`table`].

use csv::{Reader, ReaderBuilder, StringRecord, Trim};

use crate::json;
use crate::table::{Cell, Kind, Table};

/// The most bytes of the data.
pub const LIMIT: usize = 1 << 20;

/// How many records tell the delimiter, and how many bytes of the data are looked at for them.
const SAMPLE: usize = 20;
const SAMPLE_BYTES: usize = 1 << 14;

/// The table that the data is, or for JSON the one `at` a place in it.
pub fn table(data: &str, at: &str) -> Result<Table, String> {
    if data.len() > LIMIT {
        return Err("the data may have 1 MiB at most; pass a part of it".into());
    }
    let data = data.trim_start_matches('\u{feff}');
    let start = data.trim_start();
    if start.is_empty() {
        return Err("the data is empty".into());
    }
    if start.starts_with(['[', '{']) {
        return json::table(&json::parse(start)?, at);
    }
    if !at.is_empty() {
        return Err("at leads into JSON, and this data is no JSON; leave it out".into());
    }
    let lines = start.lines().map(str::trim).take_while(|line| line.starts_with('|')).collect::<Vec<_>>();
    match lines.as_slice() {
        [header, ruler, rows @ ..] if is_ruler(ruler) => markdown(header, rows),
        _ => delimited(data),
    }
}

fn is_ruler(line: &str) -> bool {
    line.contains('-') && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '))
}

fn markdown(header: &str, rows: &[&str]) -> Result<Table, String> {
    let mut table = Table::new(split(header).into_iter())?;
    for row in rows {
        table.push(split(row).iter().map(|text| Cell::guess(text)).collect())?;
    }
    Ok(table)
}

/// The cells of a row in Markdown, where a bar in a cell has a backslash before it and `<br>` is a line break.
fn split(row: &str) -> Vec<String> {
    let row = row.strip_prefix('|').unwrap_or(row);
    let row = row.strip_suffix('|').filter(|row| !row.ends_with('\\')).unwrap_or(row);
    let mut cells = vec![String::new()];
    let mut chars = row.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.next_if_eq(&'|').is_some() => cells.last_mut().into_iter().for_each(|cell| cell.push('|')),
            '|' => cells.push(String::new()),
            _ => cells.last_mut().into_iter().for_each(|cell| cell.push(c)),
        }
    }
    cells.iter().map(|cell| cell.trim().replace("<br>", "\n")).collect()
}

fn reader(data: &str, delimiter: u8) -> Reader<&[u8]> {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(delimiter).trim(Trim::All);
    builder.from_reader(data.as_bytes())
}

fn delimited(data: &str) -> Result<Table, String> {
    let delimiter = delimiter(data);
    // Where the semicolon divides the cells, the comma is free to divide a number.
    let cell = |text: &str| match (delimiter, decimal_comma(text)) {
        (b';', Some(number)) => number,
        _ => Cell::guess(text),
    };
    let mut reader = reader(data, delimiter);
    let mut records =
        reader.records().map(|record| record.map_err(|error| format!("the data cannot be read: {error}")));
    let first = records.next().ok_or("the data is empty")??;
    // A first line of nothing but numbers names no columns.
    let has_header = !first.iter().all(|text| cell(text).kind == Kind::Number);
    let (header, rest) = if has_header { (first, None) } else { (StringRecord::new(), Some(Ok(first))) };
    let mut table = Table::new(header.iter().map(str::to_owned))?;
    let (mut width, mut n_ragged) = (has_header.then_some(header.len()), 0);
    for record in rest.into_iter().chain(records) {
        let record = record?;
        if *width.get_or_insert(record.len()) != record.len() {
            n_ragged += 1;
        }
        table.push(record.iter().map(cell).collect())?;
    }
    if n_ragged > 0 {
        table.note = Some(format!("rows with more or fewer cells than the first line: {n_ragged}"));
    }
    Ok(table)
}

/// The delimiter with which most of the first records have as many cells as the very first.
fn delimiter(data: &str) -> u8 {
    let sample = &data[..data.floor_char_boundary(SAMPLE_BYTES)];
    let n_alike = |delimiter: u8| {
        let mut reader = reader(sample, delimiter);
        let widths = reader.records().take(SAMPLE).map_while(Result::ok).map(|record| record.len()).collect::<Vec<_>>();
        let first = widths.first().copied().unwrap_or_default();
        if first > 1 { widths.iter().filter(|width| **width == first).count() } else { 0 }
    };
    // Of equals the first one wins: a comma also divides numbers and phrases, a tab hardly ever does.
    let (tab, semicolon, comma) = (n_alike(b'\t'), n_alike(b';'), n_alike(b','));
    if tab > 0 && tab >= semicolon.max(comma) {
        b'\t'
    } else if semicolon > 0 && semicolon >= comma {
        b';'
    } else {
        b','
    }
}

fn decimal_comma(text: &str) -> Option<Cell> {
    let (whole, fraction) = text.split_once(',')?;
    let is_number = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit()) && !whole.contains('.');
    is_number.then(|| Cell::guess(&format!("{whole}.{fraction}"))).filter(|cell| cell.kind == Kind::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns and rows on one line.
    fn shown(data: &str) -> String {
        match table(data, "") {
            Ok(table) => {
                let rows = table.rows.iter().map(|row| {
                    row.iter().map(|cell| cell.text.escape_debug().to_string()).collect::<Vec<_>>().join(",")
                });
                std::iter::once(table.columns.join(",")).chain(rows).collect::<Vec<_>>().join(" / ")
            }
            Err(problem) => format!("! {problem}"),
        }
    }

    #[test]
    fn formats() {
        for (data, expected) in [
            ("a,b\n1,2\n", "a,b / 1,2"),
            ("\u{feff}a;b\r\n1,5;x\r\n", "a,b / 1.5,x"),
            ("a\tb c\n1,5\t2;3", "a,b c / 1,5,2;3"),
            ("name;price, EUR\nx;1,50", "name,price, EUR / x,1.50"),
            ("a,b\n\"x,\"\"y\"\"\nz\",2", "a,b / x,\\\"y\\\"\\nz,2"),
            ("a,b\n1\n1,2,3\n", "a,b,column_3 / 1 / 1,2,3"),
            ("1,2\n3,4", "column_1,column_2 / 1,2 / 3,4"),
            ("a,,a\n1,2,3", "a,column_2,a_2 / 1,2,3"),
            ("one", "one"),
            ("a,b\n\n\n1,2\n", "a,b / 1,2"),
            ("a,b\n\"never closed,2", "a,b / never closed,2"),
            ("a\u{0},b\n\u{0},2", "a\u{0},b / \\0,2"),
            ("| a | b |\n|---|:-:|\n| 1 | x\\|y |\n| <br> |\n\nmore", "a,b / 1,x|y / \\n"),
            ("| a | b\n| 1 | 2", "| a | b / | 1 | 2"),
            ("{\"a\":1}\n{\"a\":2,\"b\":\"x\"}\n", "a,b / 1 / 2,x"),
            ("", "! the data is empty"),
            ("\u{feff} \r\n", "! the data is empty"),
        ] {
            assert_eq!(shown(data), expected, "{data:?}");
        }
    }

    #[test]
    fn what_would_be_too_much_is_refused() {
        for (data, expected) in [
            (",".repeat(600), "! the data has more than 500 columns; pass a part of it"),
            ("a,b\n".to_owned() + &",\n".repeat(260_000), "! the data has more than 200000 cells; pass a part of it"),
            ("a".repeat(501), "! a column's name has more than 500 bytes; is the data a table?"),
            ("a".repeat(LIMIT + 1), "! the data may have 1 MiB at most; pass a part of it"),
        ] {
            assert_eq!(shown(&data), expected);
        }
        assert_eq!(table("a,b", "x").unwrap_err(), "at leads into JSON, and this data is no JSON; leave it out");
    }
}
