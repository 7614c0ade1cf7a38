//! Characters to text: words where there is a gap, lines where one begins anew, paragraphs where lines go on.
//!
//! What it is not: an analysis of columns and tables. Pages are read in the order in which they were written.
//! Start at [`text`].

use crate::glyphs::Glyph;
use hayro_interpret::kurbo::{Point, Vec2};

/// All in ems, the size of the font: a gap that is a space, and one that is a column's.
const SPACE: f64 = 0.17;
const COLUMN: f64 = 1.5;
/// How far above or below its line a character may stand: notes, indices.
const RAISED: f64 = 0.6;
/// How far back a line may go: kerning, accents.
const BACK: f64 = 0.6;
/// Between two lines of one block.
const LEADING: f64 = 1.75;
/// How much shorter than its block a line is that goes on; a word more would not have fit.
const RAGGED: f64 = 5.0;
/// Narrower blocks are lists of short lines.
const MIN_WIDTH: f64 = 18.0;
/// How far a line that goes on may be set in.
const INDENT: f64 = 1.0;

/// A line of a page.
struct Line {
    text: String,
    direction: Vec2,
    /// Along the direction.
    start: f64,
    end: f64,
    /// Down the page.
    down: f64,
    size: f64,
}

/// Along a direction, and down from it.
fn place(point: Point, direction: Vec2) -> (f64, f64) {
    let point = point.to_vec2();
    (point.dot(direction), -point.dot(Vec2::new(-direction.y, direction.x)))
}

impl Line {
    fn new(glyph: &Glyph) -> Self {
        let (start, down) = place(glyph.origin, glyph.direction);
        let text = String::new();
        Self { text, direction: glyph.direction, start, end: start, down, size: glyph.size }
    }

    /// Does a character stand on this line?
    fn holds(&self, glyph: &Glyph) -> bool {
        let (along, down) = place(glyph.origin, self.direction);
        let size = self.size.max(glyph.size);
        self.direction.dot(glyph.direction) > 0.99
            && (down - self.down).abs() < RAISED * size
            && along > self.end - BACK * size
    }

    fn push(&mut self, glyph: &Glyph) {
        let (along, down) = place(glyph.origin, self.direction);
        let gap = (along - self.end) / glyph.size.min(self.size);
        if gap > COLUMN {
            self.space();
            self.text.push(' ');
        } else if gap > SPACE {
            self.space();
        }
        for c in glyph.text.chars() {
            match ligature(c) {
                Some(letters) => self.text.push_str(letters),
                None if c.is_whitespace() => self.space(),
                None if c.is_control() => {}
                None => self.text.push(c),
            }
        }
        self.end = self.end.max(along + glyph.advance);
        // Its largest characters say where a line stands.
        if glyph.size > self.size {
            (self.size, self.down) = (glyph.size, down);
        }
    }

    fn space(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
    }

    /// Drawn again, a little beside, to look bold.
    fn is_shadow_of(&self, other: &Line) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() < 0.3 * self.size;
        self.text == other.text && near(self.down, other.down) && near(self.start, other.start)
    }

    /// Does it stand in one block with the line before?
    fn follows(&self, before: &Line) -> bool {
        let leading = (self.down - before.down) / self.size.max(before.size);
        let alike = (self.size / before.size - 1.0).abs() < 0.15;
        self.direction.dot(before.direction) > 0.99 && alike && (0.5..LEADING).contains(&leading)
    }
}

/// The text of a page.
pub fn text(glyphs: &[Glyph]) -> String {
    let mut lines: Vec<Line> = Vec::new();
    let mut current: Option<Line> = None;
    for glyph in glyphs {
        // A space alone begins no line.
        let is_blank = glyph.text.trim().is_empty();
        match &mut current {
            Some(line) if line.holds(glyph) => line.push(glyph),
            _ if is_blank => {}
            _ => {
                let mut line = Line::new(glyph);
                line.push(glyph);
                finish(&mut lines, current.replace(line));
            }
        }
    }
    finish(&mut lines, current);
    let mut text = String::new();
    for block in lines.chunk_by(|before, line| line.follows(before)) {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        write_block(block, &mut text);
    }
    text
}

fn finish(lines: &mut Vec<Line>, line: Option<Line>) {
    if let Some(mut line) = line {
        line.text.truncate(line.text.trim_end().len());
        let is_new = lines.last().is_none_or(|last| !line.is_shadow_of(last));
        if !line.text.is_empty() && is_new {
            lines.push(line);
        }
    }
}

/// Lines that were broken because they were full become one.
fn write_block(block: &[Line], text: &mut String) {
    let left = block.iter().map(|line| line.start).fold(f64::INFINITY, f64::min);
    let right = block.iter().map(|line| line.end).fold(f64::NEG_INFINITY, f64::max);
    let mut before: Option<&Line> = None;
    for line in block {
        if let Some(before) = before {
            let is_wide = right - left > MIN_WIDTH * line.size;
            let was_full = before.end > right - RAGGED * line.size;
            let goes_on = is_wide && was_full && line.start < left + INDENT * line.size && !begins_an_item(&line.text);
            match goes_on {
                true if is_broken_word(text, &line.text) => drop(text.pop()),
                true => text.push(' '),
                false => text.push('\n'),
            }
        }
        text.push_str(&line.text);
        before = Some(line);
    }
}

fn begins_an_item(line: &str) -> bool {
    let mark = line.split(' ').next().unwrap_or_default();
    let is_number =
        mark.strip_suffix(['.', ')']).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    is_number || matches!(mark, "•" | "-" | "–" | "—" | "*" | "◦" | "▪" | "‣" | "·")
}

/// A hyphen after a letter, before a small one.
fn is_broken_word(text: &str, next: &str) -> bool {
    let mut end = text.chars().rev();
    let has_hyphen = matches!(end.next(), Some('-' | '\u{ad}' | '‐'));
    has_hyphen && end.next().is_some_and(char::is_alphabetic) && next.chars().next().is_some_and(char::is_lowercase)
}

/// The letters that were cast in one.
fn ligature(c: char) -> Option<&'static str> {
    Some(match c {
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' | 'ﬆ' => "st",
        _ => return None,
    })
}
