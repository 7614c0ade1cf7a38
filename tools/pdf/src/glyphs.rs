//! What a page draws of characters, in the order in which it draws them.
//!
//! What it is not: an order to read in. Lines and pictures are not kept. Start at [`Glyphs`].

use hayro_interpret::font::{Glyph as FontGlyph, GlyphRun};
use hayro_interpret::hayro_cmap::BfString;
use hayro_interpret::hayro_syntax::object::{Dict, String as PdfString};
use hayro_interpret::kurbo::{BezPath, Point, Vec2};
use hayro_interpret::{BlendMode, ClipPath, Device, DrawMode, DrawProps, Image, ImageDrawProps, SoftMask};

/// Characters of a page; a poster of small print has some 50,000.
const MAX_GLYPHS: usize = 300_000;
/// Units of an em in the space of glyphs.
const UNITS_PER_EM: f64 = 1000.0;

/// A character where it stands on its page, in the page's own units.
#[derive(Clone, Debug, PartialEq)]
pub struct Glyph {
    /// Its characters: a ligature has several, one that cannot be told is U+FFFD.
    pub text: String,
    /// Where it begins.
    pub origin: Point,
    /// The direction of its line, of length 1.
    pub direction: Vec2,
    /// How far the next one is, along that direction.
    pub advance: f64,
    /// The size of its font.
    pub size: f64,
}

/// Collects what is drawn.
#[derive(Default)]
pub struct Glyphs {
    /// In the order of the page.
    pub drawn: Vec<Glyph>,
    /// For each marked part that is open: the text that stands for it, until it has been used.
    marked: Vec<Option<String>>,
}

impl Glyphs {
    /// The text that the page gives for what is drawn now; empty for all but the first of its characters.
    fn said(&mut self) -> Option<String> {
        self.marked.iter_mut().rev().find_map(|text| text.as_mut().map(std::mem::take))
    }
}

impl<'a> Device<'a> for Glyphs {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        // What is filled and outlined comes twice.
        if matches!(mode, DrawMode::Stroke(_)) && self.drawn.last().is_some_and(|last| is_at_end(last, run, &props)) {
            return;
        }
        for glyph in run.glyphs() {
            if self.drawn.len() >= MAX_GLYPHS {
                return;
            }
            let transform = props.transform * glyph.transform();
            let [a, b, c, d, _, _] = transform.as_coeffs();
            let (along, up) = (Vec2::new(a, b), Vec2::new(c, d));
            let advance = match &**glyph {
                FontGlyph::Outline(outline) => outline.advance_width(),
                FontGlyph::Type3(type3) => type3.advance_width(),
            };
            let size = up.hypot() * UNITS_PER_EM;
            if !(size.is_finite() && size > 0.0 && along.hypot() > 0.0) {
                continue;
            }
            let own = || match glyph.as_unicode() {
                Some(BfString::Char(c)) => c.to_string(),
                Some(BfString::String(text)) => text,
                None => "\u{fffd}".into(),
            };
            let text = self.said().unwrap_or_else(own);
            self.drawn.push(Glyph {
                text,
                origin: transform * Point::ZERO,
                direction: along / along.hypot(),
                advance: f64::from(advance.unwrap_or(500.0)) / UNITS_PER_EM * size,
                size,
            });
        }
    }

    fn begin_marked_content(&mut self, _: &[u8], properties: Option<&Dict<'_>>) {
        let text = properties.and_then(|properties| properties.get::<PdfString<'_>>(b"ActualText"));
        self.marked.push(text.map(|text| decoded(text.as_bytes())));
    }

    fn end_marked_content(&mut self) {
        self.marked.pop();
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}

    fn push_clip_path(&mut self, _: &ClipPath) {}

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}

    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {}

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}
}

/// Was the last character that was drawn the last one of this run?
fn is_at_end(last: &Glyph, run: &GlyphRun<'_, '_>, props: &DrawProps<'_>) -> bool {
    run.glyphs().last().is_some_and(|glyph| props.transform * glyph.transform() * Point::ZERO == last.origin)
}

/// A text string: UTF-16 with a mark, UTF-8 with a mark, else near enough to Latin-1.
fn decoded(bytes: &[u8]) -> String {
    if let Some(wide) = bytes.strip_prefix(b"\xfe\xff") {
        let units = wide.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        return char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect();
    }
    if let Some(utf_8) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return String::from_utf8_lossy(utf_8).into_owned();
    }
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
