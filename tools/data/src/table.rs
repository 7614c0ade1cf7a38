//! A table: named columns, rows, and what a cell is.
//!
//! Numbers are decimal and exact up to 28 digits; there is no floating point. A row may be shorter than the columns are
//! many: what it lacks is empty. Start at [`Table`].

use std::collections::BTreeMap;

use rust_decimal::Decimal;

/// The most columns of a table.
const COLUMNS: usize = 500;

/// The most cells of a table. Rows of objects with a key each of their own would make far more of a short text.
const CELLS: usize = 200_000;

/// The most bytes of a column's name.
const NAME: usize = 500;

/// What a cell holds, by its shape in a text or by its type in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing.
    #[default]
    Empty,
    /// A number as JSON writes them; so not `007`, which is a name.
    Number,
    /// True or false.
    Truth,
    /// A date such as 2026-11-24, with or without a time.
    Date,
    /// Anything else.
    Text,
    /// A list or an object, as JSON.
    Json,
}

/// One cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// As it was written.
    pub text: String,
    /// What it is.
    pub kind: Kind,
}

impl Cell {
    /// A cell of a text file, which is what it looks like.
    pub fn guess(text: &str) -> Self {
        let kind = match text {
            "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Kind::Truth,
            _ if decimal(text).is_some() => Kind::Number,
            _ => return Self::string(text),
        };
        Self { text: text.to_owned(), kind }
    }

    /// A cell that is known to be a string, which may still be a date.
    pub fn string(text: &str) -> Self {
        let kind = match text {
            "" => Kind::Empty,
            _ if is_date(text) => Kind::Date,
            _ => Kind::Text,
        };
        Self { text: text.to_owned(), kind }
    }

    /// The number, if it looks like one and has no more digits than can be reckoned with.
    pub fn number(&self) -> Option<Decimal> {
        decimal(&self.text)
    }
}

/// The number that a text is, in the notation of JSON.
pub fn decimal(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_padded =
        digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") && !digits.starts_with("0e");
    if is_padded || !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.ends_with('.') || digits.contains('_') {
        return None;
    }
    match digits.contains(['e', 'E']) {
        true => Decimal::from_scientific(text).ok(),
        false => Decimal::from_str_exact(text).ok(),
    }
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let part = |from: usize, to: usize| bytes[from..to].iter().all(u8::is_ascii_digit).then(|| &text[from..to]);
    let is_between = |part: Option<&str>, most: &str| part.is_some_and(|part| ("01"..=most).contains(&part));
    bytes.len() >= 10
        && part(0, 4).is_some()
        && (bytes[4], bytes[7]) == (b'-', b'-')
        && is_between(part(5, 7), "12")
        && is_between(part(8, 10), "31")
        && matches!(bytes.get(10), None | Some(b'T' | b' '))
}

/// Columns and rows.
#[derive(Debug, Default)]
pub struct Table {
    /// The names, each one once.
    pub columns: Vec<String>,
    /// The cells; no row has more than there are columns.
    pub rows: Vec<Vec<Cell>>,
    /// What the model should know about how the data was read.
    pub note: Option<String>,
    places: BTreeMap<String, usize>,
    n_cells: usize,
}

impl Table {
    /// A table without rows. A name that is empty or there already becomes another one.
    pub fn new(names: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut table = Self::default();
        for name in names {
            table.add(&name)?;
        }
        Ok(table)
    }

    /// A table that is whole already, with its names each one once.
    pub fn of(columns: Vec<String>, rows: Vec<Vec<Cell>>) -> Self {
        Self { columns, rows, ..Self::default() }
    }

    /// Which column this is; a new one when there is none of this name.
    pub fn place(&mut self, name: &str) -> Result<usize, String> {
        if let Some(place) = self.places.get(name) {
            return Ok(*place);
        }
        let place = self.add(name)?;
        self.places.insert(name.to_owned(), place);
        Ok(place)
    }

    fn add(&mut self, name: &str) -> Result<usize, String> {
        let place = self.columns.len();
        if place == COLUMNS {
            return Err(format!("the data has more than {COLUMNS} columns; pass a part of it"));
        }
        if name.len() > NAME {
            return Err(format!("a column's name has more than {NAME} bytes; is the data a table?"));
        }
        let base = if name.is_empty() { format!("column_{}", place + 1) } else { name.to_owned() };
        let (mut unique, mut n) = (base.clone(), 1);
        while self.places.contains_key(&unique) {
            n += 1;
            unique = format!("{base}_{n}");
        }
        self.places.insert(unique.clone(), place);
        self.columns.push(unique);
        Ok(place)
    }

    /// One row more. What is beyond the last column gets a column of its own.
    pub fn push(&mut self, row: Vec<Cell>) -> Result<(), String> {
        self.n_cells += row.len();
        if self.n_cells > CELLS {
            return Err(format!("the data has more than {CELLS} cells; pass a part of it"));
        }
        while self.columns.len() < row.len() {
            self.add("")?;
        }
        self.rows.push(row);
        Ok(())
    }

    /// The place of a column that a model names: as it is written, or but for upper and lower case.
    pub fn find(&self, name: &str) -> Result<usize, String> {
        let wanted = name.trim().to_lowercase();
        let exact = self.columns.iter().position(|column| column == name);
        let found = exact.or_else(|| self.columns.iter().position(|column| column.to_lowercase() == wanted));
        found.ok_or_else(|| format!("there is no column {name:?}; the columns are {}", self.names()))
    }

    /// The names of the columns for a sentence; the first ones if there are many.
    pub fn names(&self) -> String {
        listed(self.columns.iter().map(String::as_str))
    }
}

/// Names for a sentence; the first ones if there are many.
pub fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 30;
    let names = names.collect::<Vec<_>>();
    let rest = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - rest].join(", ");
    if rest > 0 { format!("{shown} and {rest} more") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cell_looks_like() {
        for (text, kind) in [
            ("", Kind::Empty),
            ("0", Kind::Number),
            ("-1.50", Kind::Number),
            ("0.1", Kind::Number),
            ("1e3", Kind::Number),
            ("-1.5E-3", Kind::Number),
            ("79228162514264337593543950335", Kind::Number),
            ("79228162514264337593543950336", Kind::Text),
            ("007", Kind::Text),
            ("-01", Kind::Text),
            ("1.", Kind::Text),
            (".5", Kind::Text),
            ("+5", Kind::Text),
            ("1_000", Kind::Text),
            ("1,5", Kind::Text),
            ("1e", Kind::Text),
            ("1e999", Kind::Text),
            ("1.2.3", Kind::Text),
            ("NaN", Kind::Text),
            ("\u{661}", Kind::Text),
            ("-", Kind::Text),
            ("True", Kind::Truth),
            ("yes", Kind::Text),
            ("2026-11-24", Kind::Date),
            ("2026-11-24T08:00Z", Kind::Date),
            ("2026-13-24", Kind::Text),
            ("2026-11-241", Kind::Text),
            ("2026-1\u{e9}-24", Kind::Text),
        ] {
            assert_eq!(Cell::guess(text).kind, kind, "{text}");
        }
    }

    #[test]
    fn names_are_made_unique() {
        let names = ["a", "", "a", "a_2", "", "A"];
        let table = Table::new(names.iter().map(|name| name.to_string())).unwrap();
        assert_eq!(table.columns, ["a", "column_2", "a_2", "a_2_2", "column_5", "A"]);
        let mut table = Table::new(["column_2".to_owned()].into_iter()).unwrap();
        table.push(vec![Cell::default(); 2]).unwrap();
        assert_eq!(table.columns, ["column_2", "column_2_2"]);
    }
}
