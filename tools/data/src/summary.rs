//! What each column of a table holds.
//!
//! Says nothing of how columns hang together. Start at [`columns`].

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use crate::table::{Cell, Kind, Table};

/// How many significant digits a mean has; minimum, maximum and sum have all of theirs.
const MEAN_DIGITS: u32 = 12;

/// A table with a row for each column. Rows that are too short count as empty there.
pub fn columns(table: &Table) -> Table {
    let titles = ["column", "kind", "empty", "distinct", "min", "max", "mean", "sum"];
    let rows = table.columns.iter().enumerate().map(|(place, name)| {
        let cells = table.rows.iter().filter_map(|row| row.get(place)).filter(|cell| cell.kind != Kind::Empty);
        let cells = cells.collect::<Vec<_>>();
        let distinct = cells.iter().map(|cell| cell.text.as_str()).collect::<BTreeSet<_>>().len();
        let counts = [kinds(&cells), (table.rows.len() - cells.len()).to_string(), distinct.to_string()];
        let texts = std::iter::once(name.clone()).chain(counts).chain(extent(&cells));
        // The title is no number, even if the name of the column looks like one.
        texts.enumerate().map(|(n, text)| if n < 2 { Cell::string(&text) } else { Cell::guess(&text) }).collect()
    });
    Table::of(titles.iter().map(|title| title.to_string()).collect(), rows.collect())
}

/// Such as `number`, or `2 number, 1 text`.
fn kinds(cells: &[&Cell]) -> String {
    let mut counts = BTreeMap::new();
    for cell in cells {
        *counts.entry(cell.kind).or_insert(0) += 1;
    }
    match counts.iter().collect::<Vec<_>>().as_slice() {
        [] => "empty".into(),
        [(kind, _)] => word(**kind).into(),
        several => several.iter().map(|(kind, n)| format!("{n} {}", word(**kind))).collect::<Vec<_>>().join(", "),
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Empty => "empty",
        Kind::Number => "number",
        Kind::Truth => "true/false",
        Kind::Date => "date",
        Kind::Text => "text",
        Kind::Json => "list",
    }
}

/// Minimum, maximum, mean and sum of the numbers; of dates the first two.
fn extent(cells: &[&Cell]) -> [String; 4] {
    let numbers = cells.iter().filter(|cell| cell.kind == Kind::Number).map(|cell| cell.number());
    let Some(numbers) = numbers.collect::<Option<Vec<_>>>() else {
        return ["too long to reckon with".into(), String::new(), String::new(), String::new()];
    };
    if let (Some(min), Some(max)) = (numbers.iter().min(), numbers.iter().max()) {
        let sum = numbers.iter().try_fold(Decimal::ZERO, |sum, number| sum.checked_add(*number));
        let mean = sum.and_then(|sum| sum.checked_div(numbers.len().into())?.round_sf(MEAN_DIGITS));
        let shown = |number: Option<Decimal>| number.map_or("too big".into(), |number| number.normalize().to_string());
        return [shown(Some(*min)), shown(Some(*max)), shown(mean), shown(sum)];
    }
    let dates = || cells.iter().filter(|cell| cell.kind == Kind::Date).map(|cell| cell.text.as_str());
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    [text(dates().min()), text(dates().max()), String::new(), String::new()]
}
