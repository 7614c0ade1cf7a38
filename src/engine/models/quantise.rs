//! Numbers as MXFP4.
//!
//! What it is not: needed for official checkpoints, whose experts are in MXFP4. Numbers that lie on its grid become exactly
//! what they were. Start at [`quantise_mxfp4`].

/// Numbers in a block.
const BLOCK: usize = 32;

/// The magnitudes of E2M1, and the middles between them.
const E2M1: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
const MIDDLES: [f32; 7] = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0];

/// Each block of 32 with the better of two scales: the one whose largest code still reaches the largest number, or the next
/// larger, by the squared error. `x`: [n][32], the others [n]
pub(crate) fn quantise_mxfp4(x: &[f32], blocks: &mut [[u8; 16]], scales: &mut [u8]) {
    for ((x, block), scale) in x.as_chunks::<BLOCK>().0.iter().zip(blocks).zip(scales) {
        let largest = x.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
        // The exponent of the largest number, less that of E2M1's largest, 4 to 6.
        let exponent = if largest > 0.0 { largest.log2().floor() as i32 - 2 } else { -127 };
        let (first, first_error) = with_scale(x, exponent.clamp(-127, 126));
        let (second, second_error) = with_scale(x, (exponent + 1).clamp(-127, 126));
        let (best, exponent) = if second_error < first_error { (second, exponent + 1) } else { (first, exponent) };
        *block = best;
        *scale = (exponent.clamp(-127, 126) + 127) as u8;
    }
}

/// The nearest codes with a scale, and the squared error.
fn with_scale(x: &[f32; BLOCK], exponent: i32) -> ([u8; 16], f64) {
    let (mut block, mut error) = ([0; 16], 0.0);
    let scale = 2f64.powi(exponent);
    for (idx, &x) in x.iter().enumerate() {
        let size = (f64::from(x.abs()) / scale) as f32;
        let code = MIDDLES.iter().filter(|middle| size > **middle).count();
        error += (f64::from(E2M1[code]) * scale - f64::from(x.abs())).powi(2);
        let code = code as u8 | if x < 0.0 { 8 } else { 0 };
        block[idx / 2] |= code << (4 * (idx % 2));
    }
    (block, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(block: &[u8; 16], scale: u8, idx: usize) -> f32 {
        let code = block[idx / 2] >> (4 * (idx % 2)) & 15;
        let size = E2M1[usize::from(code & 7)] * 2f32.powi(i32::from(scale) - 127);
        if code < 8 { size } else { -size }
    }

    proptest! {
        #[test]
        fn numbers_on_the_grid_stay_what_they_are(codes in proptest::array::uniform32(0..16u8), exponent in -40..40i32) {
            let sign = |code: u8| if code < 8 { 1.0 } else { -1.0 };
            let x = codes.map(|code| sign(code) * E2M1[usize::from(code & 7)] * 2f32.powi(exponent));
            let (mut blocks, mut scales) = ([[0; 16]], [0]);
            quantise_mxfp4(&x, &mut blocks, &mut scales);
            for (idx, x) in x.iter().enumerate() {
                prop_assert_eq!(value(&blocks[0], scales[0], idx), *x);
            }
        }

        #[test]
        fn other_numbers_are_near(x in proptest::array::uniform32(-100f32..100.0)) {
            let (mut blocks, mut scales) = ([[0; 16]], [0]);
            quantise_mxfp4(&x, &mut blocks, &mut scales);
            let largest = x.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
            for (idx, x) in x.iter().enumerate() {
                // The widest gap between codes is a third of the largest, and numbers above 6 fall a quarter.
                prop_assert!((value(&blocks[0], scales[0], idx) - x).abs() <= 0.26 * largest);
            }
        }
    }

    #[test]
    fn nothing_and_the_extremes_do_not_overflow() {
        for x in [0.0, f32::MAX, f32::MIN_POSITIVE / 4.0, -f32::MAX, f32::INFINITY, f32::NAN] {
            let (mut blocks, mut scales) = ([[0; 16]], [0]);
            quantise_mxfp4(&[x; BLOCK], &mut blocks, &mut scales);
            assert!(scales[0] < 255, "{x}");
        }
    }
}
