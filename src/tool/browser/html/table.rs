//! Tables: which are rows of values and which only hold a page's parts in place, and where the cells of a row stand.
//!
//! What it is not: a layout. Cells are not padded; a cell over several columns is followed by empty ones, as is what lies
//! under a cell over several rows. Start at [`is_layout`].

use super::dom::{Dom, Element, NodeId};
use html5ever::local_name;

/// Columns that are counted; cells beyond follow as they come.
const MAX_COLUMNS: usize = 64;
/// Bytes of a cell that can still stand on one line with others.
const MAX_CELL: usize = 1500;

/// Does this table only hold parts of a page in place? Then its cells are blocks like any other.
pub(super) fn is_layout(dom: &Dom, table: NodeId) -> bool {
    if dom.element(table).is_some_and(|table| table.attribute(&local_name!("role")) == Some("presentation")) {
        return true;
    }
    let (mut n_in_row, mut most_in_row, mut n_bytes) = (0, 0, 0);
    for node in dom.below(table) {
        if let Some(text) = dom.text(node) {
            n_bytes += text.trim().len();
        }
        match dom.element(node).and_then(Element::html) {
            Some(&(local_name!("td") | local_name!("th"))) => {
                n_in_row += 1;
                n_bytes = 0;
            }
            Some(&local_name!("tr")) => n_in_row = 0,
            Some(name) if is_part_of_a_page(name) => return true,
            _ => {}
        }
        if n_bytes > MAX_CELL {
            return true;
        }
        most_in_row = most_in_row.max(n_in_row);
    }
    most_in_row < 2
}

fn is_part_of_a_page(name: &html5ever::LocalName) -> bool {
    matches!(
        *name,
        local_name!("table")
            | local_name!("pre")
            | local_name!("h1")
            | local_name!("h2")
            | local_name!("h3")
            | local_name!("h4")
            | local_name!("blockquote")
            | local_name!("dl")
            | local_name!("hr")
            | local_name!("form")
            | local_name!("section")
            | local_name!("article")
    )
}

/// Where the rows of a table have come to.
#[derive(Default)]
pub(super) struct Rows {
    /// For each column, rows that a cell above still covers.
    covered: Vec<usize>,
    /// The next free one.
    column: usize,
    /// Where the last cell of this row began.
    last: Option<usize>,
    n_cells: usize,
    /// Were all cells of this row headings?
    all_headings: bool,
    /// A row of values or of headings has been written.
    is_begun: bool,
}

impl Rows {
    pub(super) fn begin_row(&mut self) {
        (self.column, self.last, self.n_cells, self.all_headings) = (0, None, 0, true);
    }

    /// How many borders lie between the cell before and this one.
    pub(super) fn place(&mut self, cell: &Element) -> usize {
        while self.covered.get(self.column).is_some_and(|rows| *rows > 0) {
            self.covered[self.column] -= 1;
            self.column += 1;
        }
        let borders = match self.last.replace(self.column) {
            Some(last) => (self.column - last).max(1),
            None => self.column,
        };
        self.n_cells += 1;
        self.all_headings &= cell.is(&local_name!("th"));
        let rows_below = span(cell, &local_name!("rowspan")) - 1;
        for _ in 0..span(cell, &local_name!("colspan")).min(MAX_COLUMNS - self.column) {
            self.covered.resize(self.covered.len().max(self.column + 1), 0);
            self.covered[self.column] = rows_below;
            self.column += 1;
        }
        borders
    }

    /// The line under a first row of headings, if this was one.
    pub(super) fn end_row(&mut self) -> Option<String> {
        for rows in self.covered.iter_mut().skip(self.column) {
            *rows = rows.saturating_sub(1);
        }
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        (is_first && self.all_headings && self.n_cells > 1).then(|| vec!["---"; self.column].join("|"))
    }
}

fn span(cell: &Element, name: &html5ever::LocalName) -> usize {
    cell.attribute(name).and_then(|n| n.trim().parse().ok()).unwrap_or(1).clamp(1, MAX_COLUMNS)
}
