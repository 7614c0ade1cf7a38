//! Pictures in the terminal, as far as it can: by its own protocol for images, or in coloured half blocks.
//!
//! What can be shown goes by the environment: only terminals that are known to answer are asked for more. A picture that cannot
//! be shown is no error; where it is kept stands below it anyway.

use crate::config::Pictures;
use image::{ImageReader, Limits};
use std::io::{self, Cursor, Write};

/// Pixels of a picture's side, and bytes of it uncompressed: what a chart needs, and no bomb.
const MAX_SIDE: u32 = 8192;
const MAX_BYTES: u64 = 256 << 20;

/// Columns and rows of a picture: enough for a chart's letters, and what stood before stays in sight.
const MAX_COLUMNS: usize = 100;
const MAX_ROWS: usize = 40;

/// Rows that stay free for what stands below it.
const FREE_ROWS: usize = 3;

/// Shows a PNG on stdout, which is a terminal of so many rows and columns.
pub(super) fn show(png: &[u8], pictures: Pictures, (rows, columns): (usize, usize)) {
    let Some(picture) = decoded(png).filter(|_| pictures != Pictures::None) else { return };
    // A character is about twice as high as wide.
    let rows_per_column = f64::from(picture.height()) / f64::from(picture.width().max(1)) / 2.0;
    let max_rows = rows.saturating_sub(FREE_ROWS).clamp(1, MAX_ROWS) as f64;
    let columns = (columns.min(MAX_COLUMNS) as f64).min(max_rows / rows_per_column).max(1.0);
    let rows = (columns * rows_per_column).clamp(1.0, max_rows);
    let config = viuer::Config {
        absolute_offset: false,
        width: Some(columns as u32),
        height: Some(rows.round() as u32),
        use_kitty: pictures == Pictures::Kitty,
        use_iterm: pictures == Pictures::Iterm,
        use_sixel: pictures == Pictures::Sixel,
        ..viuer::Config::default()
    };
    if let Err(error) = viuer::print(&picture, &config).map(|_| io::stdout().flush()) {
        tracing::info!(%error, "a picture was not shown");
    }
}

fn decoded(png: &[u8]) -> Option<image::DynamicImage> {
    let mut reader = ImageReader::with_format(Cursor::new(png), image::ImageFormat::Png);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    reader.decode().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sound_picture_of_a_sensible_size_is_decoded() {
        let mut png = Vec::new();
        let picture = image::DynamicImage::new_rgb8(3, 2);
        picture.write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
        assert_eq!(decoded(&png).unwrap().width(), 3);
        assert!(decoded(&png[..20]).is_none() && decoded(b"not a picture").is_none());
        // Its header says that it is 100,000 pixels wide.
        let mut wide = png.clone();
        wide[16..20].copy_from_slice(&100_000_u32.to_be_bytes());
        assert!(decoded(&wide).is_none());
    }
}
