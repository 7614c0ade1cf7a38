//! A table as text: CSV, TSV, JSON or Markdown, a page at a time.
//!
//! What is written in full can be read again by [`crate::read`]. Start at [`page`].

use serde::Deserialize;
use tool_guest::page::Page;
use unicode_width::UnicodeWidthStr;

use crate::json::quoted;
use crate::table::{Cell, Kind, Table};

/// The most characters that are shown of a cell.
const SHOWN: usize = 200;

/// How wide the columns of a Markdown table are made, at most; a longer cell stands out.
const WIDTH: usize = 40;

/// What a table is written as.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// With commas, quoted where needed.
    Csv,
    /// With tabs, quoted where needed.
    Tsv,
    /// A list of objects, one a line.
    Json,
    /// With its columns aligned.
    Markdown,
}

/// Which part of a table is written.
#[derive(Clone, Copy)]
pub struct Room {
    /// So many rows are left out first.
    pub skip: usize,
    /// The most rows.
    pub n_most: usize,
    /// The most bytes of the rows; one row is always there.
    pub n_bytes: usize,
    /// What the rows are, in the plural.
    pub items: &'static str,
}

/// A page of the table, with its header. If there is more, a last line in parentheses says how to get it. Long cells
/// are cut when it is only for reading.
pub fn page(table: &Table, format: Format, room: Room, is_for_reading: bool) -> Result<String, String> {
    if table.columns.is_empty() {
        return Err("the data has no columns and no rows".into());
    }
    let mut page = Page::new(room.skip, room.n_most, room.n_bytes);
    let on_page = table.rows.iter().skip(room.skip).take(room.n_most);
    let layout = matches!(format, Format::Markdown).then(|| Layout::new(table, on_page, is_for_reading));
    for row in &table.rows {
        page.offer(|| match (&layout, format) {
            (Some(layout), _) => layout.row(row),
            (None, Format::Json) => object(&table.columns, row),
            (None, Format::Tsv) => record(b'\t', padded(&table.columns, row)),
            (None, _) => record(b',', padded(&table.columns, row)),
        });
    }
    let note = page.note(room.items);
    if let (Some(note), true) = (&note, page.text().is_empty()) {
        return Err(note.clone());
    }
    let names = table.columns.iter().map(String::as_str);
    let rows = page.text();
    let (header, rows, end) = match (&layout, format) {
        (Some(layout), _) => (layout.header(&table.columns), rows, ""),
        (None, Format::Json) => ("[".into(), rows.strip_suffix(',').unwrap_or(rows), "\n]"),
        (None, Format::Tsv) => (record(b'\t', names), rows, ""),
        (None, _) => (record(b',', names), rows, ""),
    };
    let gap = if rows.is_empty() { "" } else { "\n" };
    let note = note.map_or(String::new(), |note| format!("\n({note})"));
    Ok(format!("{header}{gap}{rows}{end}{note}"))
}

fn padded<'a>(columns: &[String], row: &'a [Cell]) -> impl Iterator<Item = &'a str> {
    let missing = columns.len() - row.len();
    row.iter().map(|cell| cell.text.as_str()).chain(std::iter::repeat_n("", missing))
}

fn record<'a>(delimiter: u8, texts: impl Iterator<Item = &'a str>) -> String {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    // A writer into memory, which takes whatever it is given.
    let written = writer.write_record(texts).ok().and_then(|()| writer.into_inner().ok()).unwrap_or_default();
    let line = String::from_utf8_lossy(&written);
    line.strip_suffix('\n').unwrap_or(&line).to_owned()
}

/// The row with a comma after it. What is missing is null.
fn object(columns: &[String], row: &[Cell]) -> String {
    let empty = Cell::default();
    let members = columns.iter().enumerate().map(|(place, name)| {
        let cell = row.get(place).unwrap_or(&empty);
        let value = match cell.kind {
            Kind::Empty => "null".into(),
            Kind::Truth => cell.text.to_lowercase(),
            Kind::Number | Kind::Json => cell.text.clone(),
            Kind::Date | Kind::Text => quoted(&cell.text),
        };
        format!("{}: {value}", quoted(name))
    });
    format!("{{{}}},", members.collect::<Vec<_>>().join(", "))
}

/// How a table stands in Markdown.
struct Layout {
    /// Of each column, in characters' widths.
    widths: Vec<usize>,
    /// Whether its cells are numbers, which stand at the right.
    is_number: Vec<bool>,
    is_for_reading: bool,
}

impl Layout {
    fn new<'a>(table: &Table, rows: impl Iterator<Item = &'a Vec<Cell>>, is_for_reading: bool) -> Self {
        let widths = table.columns.iter().map(|name| escaped(name).width().clamp(3, WIDTH)).collect();
        let n = table.columns.len();
        let mut layout = Self { widths, is_number: vec![true; n], is_for_reading };
        let mut has_number = vec![false; n];
        for row in rows {
            for (place, cell) in row.iter().enumerate() {
                let width = layout.text(cell).width().min(WIDTH);
                layout.widths[place] = layout.widths[place].max(width);
                layout.is_number[place] &= matches!(cell.kind, Kind::Number | Kind::Empty);
                has_number[place] |= cell.kind == Kind::Number;
            }
        }
        layout.is_number.iter_mut().zip(has_number).for_each(|(is_number, has_number)| *is_number &= has_number);
        layout
    }

    fn header(&self, columns: &[String]) -> String {
        let rule = self.widths.iter().zip(&self.is_number).map(|(width, is_number)| {
            if *is_number { format!("{}:", "-".repeat(width - 1)) } else { "-".repeat(*width) }
        });
        let rule = rule.collect::<Vec<_>>().join(" | ");
        format!("{}\n| {rule} |", self.line(columns.iter().map(|name| escaped(name))))
    }

    fn row(&self, row: &[Cell]) -> String {
        let missing = self.widths.len() - row.len();
        self.line(row.iter().map(|cell| self.text(cell)).chain(std::iter::repeat_n(String::new(), missing)))
    }

    fn line(&self, texts: impl Iterator<Item = String>) -> String {
        let cells = texts.zip(self.widths.iter().zip(&self.is_number)).map(|(text, (width, is_number))| {
            let gap = " ".repeat(width.saturating_sub(text.width()));
            if *is_number { format!("{gap}{text}") } else { format!("{text}{gap}") }
        });
        format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
    }

    fn text(&self, cell: &Cell) -> String {
        match cell.text.char_indices().nth(SHOWN) {
            Some((end, _)) if self.is_for_reading => format!("{}...", escaped(&cell.text[..end])),
            _ => escaped(&cell.text),
        }
    }
}

/// Nothing that would break the row: a bar, a line break, a control character.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '|' => escaped.push_str("\\|"),
            '\n' => escaped.push_str("<br>"),
            '\r' => {}
            c if c.is_control() => escaped.extend(c.escape_default()),
            c => escaped.push(c),
        }
    }
    escaped
}
