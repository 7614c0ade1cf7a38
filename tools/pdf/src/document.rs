//! A PDF file that has been opened.
//!
//! What it is not: a parser; `hayro` reads the file and runs its pages, and here they draw into [`Glyphs`].
//! Start at [`Document::open`].

use crate::glyphs::Glyphs;
use crate::lines;
use hayro_interpret::hayro_syntax::{LoadPdfError, Pdf};
use hayro_interpret::kurbo::{Affine, Rect};
use hayro_interpret::{Context, InterpreterCache, InterpreterSettings, interpret_page};

/// An opened file.
pub struct Document {
    pdf: Pdf,
}

impl Document {
    /// Opens a file by its bytes. An error says why that cannot be done.
    pub fn open(bytes: Vec<u8>) -> Result<Self, &'static str> {
        let pdf = Pdf::new(bytes).map_err(|error| match error {
            LoadPdfError::Decryption(_) => "it is encrypted, and a password is needed to read it",
            LoadPdfError::Invalid => "it is damaged, or no PDF",
        })?;
        Ok(Self { pdf })
    }

    /// Its pages.
    pub fn n_pages(&self) -> usize {
        self.pdf.pages().len()
    }

    /// The text of a page, counted from 0. `None`: it has not so many.
    pub fn page(&self, index: usize) -> Option<String> {
        let page = self.pdf.pages().get(index)?;
        let cache = InterpreterCache::new();
        let settings = InterpreterSettings::default();
        // Nothing is drawn, so any box and scale will do.
        let everywhere = Rect::new(0.0, 0.0, 1.0, 1.0);
        let mut context = Context::new(Affine::IDENTITY, everywhere, &cache, self.pdf.xref(), settings);
        let mut glyphs = Glyphs::default();
        interpret_page(page, &mut context, &mut glyphs);
        Some(lines::text(&glyphs.drawn))
    }
}
