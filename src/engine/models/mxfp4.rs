//! Rounding to MXFP4 (OCP Microscaling Formats, 1.0): 32 numbers to a block, as E2M1 codes with one power of two for
//! all.
//!
//! What it is not: it multiplies nothing, and reads no file. Numbers that MXFP4 can hold are kept to the last bit, so
//! that experts which were only unpacked become what they were.
//! Start at [`quantise_mxfp4`].

/// Numbers that share a scale.
pub(crate) const BLOCK: usize = 32;

/// The exponent that the scale's byte is counted from.
const BIAS: i32 = 127;

/// At the next exponent the largest code would stand for more than an f32 can.
const HIGHEST: i32 = 125;

/// Rounds a row. `row`: [n_in], a multiple of 32; `blocks`: [n_in / 32], two codes to a byte, the lower nibble first;
/// `scales`: [n_in / 32] in E8M0. Of the exponent that leaves the largest number below 8 (6 is the largest code) and
/// the next higher one, the one with the smaller squared error is taken. What is infinite becomes the largest code,
/// what is no number becomes 0. Blocks beyond the shortest of the three are left alone.
pub(crate) fn quantise_mxfp4(row: &[f32], blocks: &mut [[u8; 16]], scales: &mut [u8]) {
    for ((numbers, block), scale) in row.as_chunks::<BLOCK>().0.iter().zip(blocks).zip(scales) {
        let numbers = &numbers.map(|x| if x.is_nan() { 0.0 } else { x.clamp(f32::MIN, f32::MAX) });
        let mut exponent = lowest_exponent(numbers);
        let error = error_at(exponent, numbers);
        // Each error is in squares of its own scale.
        if error > 0.0 && exponent < HIGHEST && 4.0 * error_at(exponent + 1, numbers) < error {
            exponent += 1;
        }
        *block = codes_at(exponent, numbers);
        *scale = (exponent + BIAS) as u8;
    }
}

/// The exponent at which the largest number lies in 4..8. Blocks of nothing but zeros have 0.
fn lowest_exponent(numbers: &[f32; BLOCK]) -> i32 {
    // Without their signs, numbers are ordered as their bits are.
    let largest = numbers.iter().fold(0, |largest, x| largest.max(x.to_bits() << 1 >> 1));
    if largest == 0 {
        return 0;
    }
    // As f64, whose numbers of this size all have an exponent of their own.
    let exponent = (f64::from(f32::from_bits(largest)).to_bits() >> 52) as i32 - 1023;
    (exponent - 2).max(-BIAS)
}

// What follows goes through a whole block for each step, without branches, so that several numbers are done at once.

/// The numbers in units of the scale, without their signs. The unit is 2^-127 to 2^126: its inverse is exact.
fn scaled(exponent: i32, numbers: &[f32; BLOCK]) -> [f32; BLOCK] {
    let inverse = 2.0f64.powi(-exponent) as f32;
    numbers.map(|x| x.abs() * inverse)
}

/// The sum of squared errors at an exponent, in units of the scale squared.
fn error_at(exponent: i32, numbers: &[f32; BLOCK]) -> f32 {
    let scaled = scaled(exponent, numbers);
    let mut values = [0.0; BLOCK];
    for (middle, step) in STEPS {
        for (value, x) in values.iter_mut().zip(&scaled) {
            *value += if *x > middle { step } else { 0.0 };
        }
    }
    let mut sums = [0.0; 8];
    for (values, scaled) in values.as_chunks::<8>().0.iter().zip(scaled.as_chunks::<8>().0) {
        for ((sum, value), x) in sums.iter_mut().zip(values).zip(scaled) {
            *sum += (x - value) * (x - value);
        }
    }
    sums.iter().sum()
}

/// The codes at an exponent, two to a byte.
fn codes_at(exponent: i32, numbers: &[f32; BLOCK]) -> [u8; 16] {
    let scaled = scaled(exponent, numbers);
    let mut codes = numbers.map(|x| x.to_bits() >> 31 << 3);
    for (middle, _) in STEPS {
        for (code, x) in codes.iter_mut().zip(&scaled) {
            *code += u32::from(*x > middle);
        }
    }
    std::array::from_fn(|idx| (codes[2 * idx] | codes[2 * idx + 1] << 4) as u8)
}

/// From each of the eight values of E2M1 (0, 0.5, 1, 1.5, 2, 3, 4, 6) to the next: the middle between them, of which
/// both are equally near and the lower is taken, and how far it is.
const STEPS: [(f32, f32); 7] = [(0.25, 0.5), (0.75, 0.5), (1.25, 0.5), (1.75, 0.5), (2.5, 1.0), (3.5, 1.0), (5.0, 2.0)];

/// The values of E2M1.
#[cfg(test)]
const VALUES: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

/// What a block stands for.
#[cfg(test)]
pub(crate) fn unpacked(block: &[u8; 16], scale: u8) -> [f32; BLOCK] {
    let unit = 2.0f64.powi(i32::from(scale) - BIAS);
    std::array::from_fn(|idx| {
        let code = block[idx / 2] >> (4 * (idx % 2)) & 15;
        let sign = if code & 8 == 0 { 1.0 } else { -1.0 };
        (sign * f64::from(VALUES[usize::from(code & 7)]) * unit) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rounded(row: &[f32]) -> (Vec<[u8; 16]>, Vec<u8>, Vec<f32>) {
        let n_blocks = row.len() / BLOCK;
        let (mut blocks, mut scales) = (vec![[0xAA; 16]; n_blocks], vec![255; n_blocks]);
        quantise_mxfp4(row, &mut blocks, &mut scales);
        let values = blocks.iter().zip(&scales).flat_map(|(block, scale)| unpacked(block, *scale)).collect();
        (blocks, scales, values)
    }

    /// The squared error at an exponent when each number takes the nearest value, in f64.
    fn least_error(exponent: i32, numbers: &[f32]) -> f64 {
        let unit = 2.0f64.powi(exponent);
        let nearest =
            |x: f64| VALUES.iter().map(|&value| (x - f64::from(value) * unit).powi(2)).fold(f64::MAX, f64::min);
        numbers.iter().map(|x| nearest(f64::from(x.abs()))).sum()
    }

    fn error(row: &[f32], values: &[f32]) -> f64 {
        row.iter().zip(values).map(|(x, value)| (f64::from(*x) - f64::from(*value)).powi(2)).sum()
    }

    #[test]
    fn the_better_exponent_is_taken() {
        // Alone, 7.5 is nearer to 8, at the exponent 1, than to 6, at the exponent 0.
        let mut row = [0.0; BLOCK];
        row[3] = 7.5;
        let (_, scales, values) = rounded(&row);
        assert_eq!((scales[0], values[3]), (128, 8.0));
        // With enough numbers that need the finer steps beside it, 7.5 becomes 6.
        row[4..].fill(0.5);
        let (_, scales, values) = rounded(&row);
        assert_eq!((scales[0], values[3], values[4]), (127, 6.0, 0.5));
    }

    #[test]
    fn numbers_without_a_nearest_value_do_no_harm() {
        let mut row = [f32::NAN; 64];
        (row[0], row[1], row[32]) = (1.0, -2.0, f32::NEG_INFINITY);
        let (_, scales, values) = rounded(&row);
        assert_eq!((values[0], values[1], values[2]), (1.0, -2.0, 0.0));
        assert!(values[32] < -1e38 && values[33] == 0.0 && scales.iter().all(|scale| *scale != 255));
        assert_eq!(rounded(&[0.0; 32]).2, [0.0; 32]);
    }

    #[test]
    fn the_smallest_and_the_largest_scales_are_kept_within_the_byte() {
        let (_, scales, values) = rounded(&unpacked(&[0x11; 16], 0));
        assert_eq!((scales[0], values), (0, vec![f32::MIN_POSITIVE / 4.0; BLOCK]));
        let (_, scales, values) = rounded(&[f32::from_bits(1); BLOCK]);
        assert_eq!((scales[0], values), (0, vec![0.0; BLOCK]));
        let (_, scales, values) = rounded(&[f32::MAX; BLOCK]);
        assert_eq!((scales[0], values), (252, vec![1.5 * 2.0f32.powi(127); BLOCK]));
    }

    #[test]
    fn what_does_not_fit_is_left_alone() {
        let (mut blocks, mut scales) = ([[1; 16]; 2], [1; 3]);
        quantise_mxfp4(&[6.0; 40], &mut blocks, &mut scales);
        assert_eq!((blocks[1], scales), ([1; 16], [127, 1, 1]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_lies_on_the_grid_is_kept_to_the_last_bit(block: [u8; 16], scale in 0u8..=252) {
            let row = unpacked(&block, scale);
            let (_, _, values) = rounded(&row);
            prop_assert_eq!(row.map(f32::to_bits).to_vec(), values.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
        }

        #[test]
        fn off_the_grid_nothing_nearer_is_left_out(
            row in proptest::collection::vec(-1.0f32..1.0, BLOCK), power in -110i32..110, spread in 0.2f32..8.0
        ) {
            let row: Vec<f32> = row.iter().map(|x| x.signum() * x.abs().powf(spread) * 2.0f32.powi(power)).collect();
            let (_, scales, values) = rounded(&row);
            let largest = row.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
            prop_assume!(largest > 1e-36);
            let low = f64::from(largest).log2().floor() as i32 - 2;
            let (lower, higher) = (least_error(low, &row), least_error(low + 1, &row));
            let found = error(&row, &values);
            // In f32 the errors themselves are rounded.
            prop_assert!(found <= lower.min(higher) * (1.0 + 1e-5), "{found} of {lower}, {higher}");
            prop_assert!([low + BIAS, low + 1 + BIAS].contains(&i32::from(scales[0])));
            for (x, value) in row.iter().zip(&values) {
                prop_assert!((x - value).abs() <= largest / 2.0, "{x} became {value}");
            }
        }

        #[test]
        fn any_bits_at_all_are_rounded_to_numbers(bits in proptest::collection::vec(any::<u32>(), BLOCK)) {
            let row: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
            let (_, scales, values) = rounded(&row);
            prop_assert!(scales[0] < 255 && values.iter().all(|x| x.is_finite()));
        }
    }
}
