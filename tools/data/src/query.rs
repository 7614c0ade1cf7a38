//! A question to a table: conditions, an order, columns.
//!
//! Conditions are single comparisons that must all hold; there is no `or`, no arithmetic and no join. Start at
//! [`Question`].

use std::cmp::Ordering;

use rust_decimal::Decimal;

use crate::table::{Cell, Kind, Table, decimal};

/// How a condition compares, longest first where one begins like another.
const OPERATORS: [(&str, Operator); 11] = [
    ("is not empty", Operator::NotEmpty),
    ("is empty", Operator::Empty),
    ("contains ", Operator::Contains),
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("!=", Operator::Unequal),
    ("<>", Operator::Unequal),
    ("==", Operator::Equal),
    ("=", Operator::Equal),
    (">", Operator::More),
    ("<", Operator::Less),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    Contains,
    Empty,
    NotEmpty,
}

/// One comparison of a column with a value.
#[derive(Debug)]
struct Condition {
    column: usize,
    operator: Operator,
    /// In lower case.
    value: String,
    number: Option<Decimal>,
}

impl Condition {
    fn new(text: &str, table: &Table) -> Result<Self, String> {
        let condition = Self::read(text, table).ok_or_else(|| {
            format!(
                "{text:?} is no condition; write COLUMN OPERATOR VALUE with an operator of = != < <= > >=, contains, \
                 is empty, is not empty and a column of {}",
                table.names()
            )
        })?;
        let is_condition = |rest: &str| Self::read(rest, table).is_some();
        if [" and ", " && "].iter().any(|and| condition.value.split(and).skip(1).any(is_condition)) {
            return Err(format!("{text:?} is more than one condition; give each one as an entry of its own in where"));
        }
        if [" or ", " || "].iter().any(|or| condition.value.split(or).skip(1).any(is_condition)) {
            return Err(format!("{text:?} has an or, which where does not know; make one call for each case"));
        }
        Ok(condition)
    }

    /// The longest column's name that an operator follows.
    fn read(text: &str, table: &Table) -> Option<Self> {
        let text = text.trim();
        let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
        let parts = match quote.and_then(|quote| text[1..].split_once(quote)) {
            Some((name, rest)) => vec![(table.find(name).ok()?, rest)],
            None => {
                let named = table.columns.iter().enumerate().filter_map(|(place, name)| {
                    let start = text.get(..name.len())?;
                    (start.to_lowercase() == name.to_lowercase()).then(|| (place, &text[name.len()..]))
                });
                named.collect()
            }
        };
        let conditions = parts.into_iter().filter_map(|(column, rest)| {
            let rest = rest.trim_start();
            let lower = rest.to_lowercase();
            let (sign, operator) = OPERATORS.iter().find(|(sign, _)| lower.starts_with(sign))?;
            // The signs are ASCII, and no other letter becomes a letter of theirs in lower case but the Kelvin sign.
            let value = rest.get(sign.len()..)?.trim();
            let is_complete = value.is_empty() || !matches!(operator, Operator::Empty | Operator::NotEmpty);
            is_complete.then(|| (rest.len(), Self::with(column, *operator, value)))
        });
        conditions.min_by_key(|(rest, _)| *rest).map(|(_, condition)| condition)
    }

    fn with(column: usize, operator: Operator, value: &str) -> Self {
        let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        let value = unquoted.unwrap_or(value);
        Self { column, operator, value: value.to_lowercase(), number: decimal(value) }
    }

    fn holds(&self, cell: &Cell) -> bool {
        let is_empty = cell.kind == Kind::Empty;
        match self.operator {
            Operator::Empty => is_empty,
            Operator::NotEmpty => !is_empty,
            Operator::Contains => cell.text.to_lowercase().contains(&self.value),
            Operator::Equal => self.compared(cell) == Some(Ordering::Equal),
            Operator::Unequal => self.compared(cell) != Some(Ordering::Equal),
            _ if is_empty => false,
            Operator::Less => self.compared(cell) == Some(Ordering::Less),
            Operator::AtMost => matches!(self.compared(cell), Some(Ordering::Less | Ordering::Equal)),
            Operator::More => self.compared(cell) == Some(Ordering::Greater),
            Operator::AtLeast => matches!(self.compared(cell), Some(Ordering::Greater | Ordering::Equal)),
        }
    }

    /// The cell against the value, as numbers if the value is one; a cell that is none then has no order.
    fn compared(&self, cell: &Cell) -> Option<Ordering> {
        match self.number {
            Some(number) => cell.number().map(|cell| cell.cmp(&number)),
            None => Some(cell.text.to_lowercase().as_str().cmp(&self.value)),
        }
    }
}

/// A question that fits its table.
#[derive(Debug)]
pub struct Question {
    columns: Vec<usize>,
    conditions: Vec<Condition>,
    /// A column, and whether its greatest comes first.
    sort: Option<(usize, bool)>,
}

impl Question {
    /// Reads the parts of a question. No columns are all columns, an empty `sort` is the order of the data.
    pub fn new(table: &Table, columns: &[String], conditions: &[String], sort: &str) -> Result<Self, String> {
        if table.columns.is_empty() {
            return Ok(Self { columns: Vec::new(), conditions: Vec::new(), sort: None });
        }
        let columns = match columns {
            [] => (0..table.columns.len()).collect(),
            names => names.iter().map(|name| table.find(name)).collect::<Result<_, _>>()?,
        };
        let conditions = conditions.iter().filter(|text| !text.trim().is_empty());
        let conditions = conditions.map(|text| Condition::new(text, table)).collect::<Result<_, _>>()?;
        Ok(Self { columns, conditions, sort: order(table, sort.trim())? })
    }

    /// The rows that it asks for, with their columns.
    pub fn answer(&self, table: &Table) -> Table {
        let empty = Cell::default();
        let cell = |row: &'_ Vec<Cell>, column: usize| row.get(column).unwrap_or(&empty).clone();
        let holds = |row: &&Vec<Cell>| {
            self.conditions.iter().all(|condition| condition.holds(row.get(condition.column).unwrap_or(&empty)))
        };
        let mut rows = table.rows.iter().filter(holds).collect::<Vec<_>>();
        if let Some((column, is_falling)) = self.sort {
            let mut keyed = rows.into_iter().map(|row| (Key::new(row.get(column)), row)).collect::<Vec<_>>();
            keyed.sort_by(|(a, _), (b, _)| a.compared(b, is_falling));
            rows = keyed.into_iter().map(|(_, row)| row).collect();
        }
        let rows = rows.into_iter().map(|row| self.columns.iter().map(|column| cell(row, *column)).collect());
        Table::of(self.columns.iter().map(|place| table.columns[*place].clone()).collect(), rows.collect())
    }
}

/// The order that `price`, `price desc` or `-price` asks for.
fn order(table: &Table, sort: &str) -> Result<Option<(usize, bool)>, String> {
    if sort.is_empty() {
        return Ok(None);
    }
    if let Ok(column) = table.find(sort) {
        return Ok(Some((column, false)));
    }
    let words = sort.rsplit_once(char::is_whitespace);
    let (name, is_falling) = match words.map(|(name, word)| (name, word.to_lowercase())) {
        Some((name, word)) if word.starts_with("desc") => (name, true),
        Some((name, word)) if word.starts_with("asc") => (name, false),
        _ => sort.strip_prefix('-').map_or((sort, false), |name| (name, true)),
    };
    table.find(name).map(|column| Some((column, is_falling)))
}

/// What a row is sorted by: numbers come before texts, and what is empty comes last in either direction.
enum Key {
    Number(Decimal),
    Text(String),
    Empty,
}

impl Key {
    fn new(cell: Option<&Cell>) -> Self {
        match cell {
            None | Some(Cell { kind: Kind::Empty, .. }) => Self::Empty,
            Some(cell) => cell.number().map_or_else(|| Self::Text(cell.text.to_lowercase()), Self::Number),
        }
    }

    fn compared(&self, other: &Self, is_falling: bool) -> Ordering {
        let rising = match (self, other) {
            (Self::Empty, Self::Empty) => return Ordering::Equal,
            (Self::Empty, _) => return Ordering::Greater,
            (_, Self::Empty) => return Ordering::Less,
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        };
        if is_falling { rising.reverse() } else { rising }
    }
}

#[cfg(test)]
mod tests;
