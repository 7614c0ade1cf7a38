//! Vectors as int8, for products with weights in panels.
//!
//! What it is not: a format of any file. A block of 32 numbers becomes 32 codes and one scale, its largest number over 127,
//! and carries what the kernels need of its sums. Start at [`Activations::quantise`].

use super::Vectors;

/// Numbers in a block.
pub(crate) const BLOCK: usize = 32;

/// 32 numbers of one vector.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(16))]
pub(crate) struct ActivationBlock {
    pub(super) codes: [i8; BLOCK], // from -127 to 127
    pub(super) scale: f32,
    /// What [`super::panels::E2M1_OFFSET`] adds to the sums, negated: for the pairs of codes at even places, and for the others.
    pub(super) pair_offsets: [i16; 2],
    /// The same for all codes together.
    pub(super) e2m1_offset: i32,
    /// What adding 128 to each weight would add to the sum, negated.
    pub(super) byte_offset: i32,
}

impl ActivationBlock {
    const ZERO: Self = Self { codes: [0; BLOCK], scale: 0.0, pair_offsets: [0; 2], e2m1_offset: 0, byte_offset: 0 };

    /// The nearest codes. The same bits on every processor.
    #[inline(always)]
    fn of(x: &[f32; BLOCK]) -> Self {
        let largest = x.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let mut block = Self { scale: largest / 127.0, ..Self::ZERO };
        for (code, x) in block.codes.iter_mut().zip(x) {
            // Adding and taking away 1.5 * 2^23 rounds to the nearest, of two equally near to the even one.
            const ROUND: f32 = 12_582_912.0;
            *code = ((x * inverse + ROUND) - ROUND) as i8;
        }
        let mut sums = [0i16; 2];
        for four in block.codes.as_chunks::<4>().0 {
            sums[0] += i16::from(four[0]) + i16::from(four[1]);
            sums[1] += i16::from(four[2]) + i16::from(four[3]);
        }
        let sum = i32::from(sums[0]) + i32::from(sums[1]);
        block.pair_offsets = sums.map(|sum| -i16::from(super::panels::E2M1_OFFSET) * sum);
        block.e2m1_offset = -i32::from(super::panels::E2M1_OFFSET) * sum;
        block.byte_offset = -128 * sum;
        block
    }
}

/// Vectors of one width, in the order in which panels read them: [width / 32][n].
#[derive(Clone, Copy)]
pub(crate) struct Activations<'a> {
    pub(super) blocks: &'a [ActivationBlock],
    pub(super) n: usize,
}

impl<'a> Activations<'a> {
    /// Quantises the vectors into `blocks`, which it fills from the start. Each width is a multiple of 32.
    pub(crate) fn quantise(x: Vectors<'_>, blocks: &'a mut [ActivationBlock]) -> Self {
        let (n, n_blocks) = (x.len(), x.width / BLOCK);
        assert_eq!(x.width % BLOCK, 0, "a width in blocks of {BLOCK}");
        let blocks = &mut blocks[..n * n_blocks];
        Self::quantise_blocks(x, 0, blocks);
        Self { blocks, n }
    }

    /// A part of [`Self::quantise`]: as many blocks of all vectors as there is room for, from `first` on.
    pub(crate) fn quantise_blocks(x: Vectors<'_>, first: usize, out: &mut [ActivationBlock]) {
        let n = x.len();
        for idx in 0..n {
            let blocks = x.at(idx).as_chunks::<BLOCK>().0[first..].iter();
            for (block, x) in out.iter_mut().skip(idx).step_by(n).zip(blocks) {
                *block = ActivationBlock::of(x);
            }
        }
    }

    /// As [`Self::quantise`] left them.
    pub(crate) fn new(blocks: &'a [ActivationBlock], n: usize) -> Self {
        Self { blocks, n }
    }

    /// Room for so many blocks.
    pub(crate) fn room(n_blocks: usize) -> Vec<ActivationBlock> {
        vec![ActivationBlock::ZERO; n_blocks]
    }

    /// Blocks of each vector.
    pub(super) fn n_blocks(&self) -> usize {
        self.blocks.len() / self.n.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn codes_are_the_nearest_and_their_sums_are_kept(x in proptest::array::uniform32(-1e6f32..1e6)) {
            let block = ActivationBlock::of(&x);
            for (code, x) in block.codes.iter().zip(x) {
                prop_assert!((f32::from(*code) * block.scale - x).abs() <= 0.501 * block.scale);
            }
            let sum: i32 = block.codes.iter().map(|code| i32::from(*code)).sum();
            prop_assert_eq!((block.e2m1_offset, block.byte_offset), (-12 * sum, -128 * sum));
            prop_assert_eq!(i32::from(block.pair_offsets[0]) + i32::from(block.pair_offsets[1]), -12 * sum);
        }
    }

    #[test]
    fn nothing_becomes_nothing_and_the_largest_becomes_127() {
        assert_eq!(ActivationBlock::of(&[0.0; BLOCK]), ActivationBlock::ZERO);
        let mut x = [0.0; BLOCK];
        (x[3], x[31]) = (-2.0, 0.5 / 63.5);
        let block = ActivationBlock::of(&x);
        assert_eq!((block.codes[3], block.codes[31], block.scale), (-127, 0, 2.0 / 127.0));
        let not_numbers = ActivationBlock::of(&[f32::INFINITY; BLOCK]);
        assert!(not_numbers.scale.is_infinite(), "an infinity stays one");
    }

    #[test]
    fn vectors_are_picked_and_lie_block_by_block() {
        let data: Vec<f32> = (0..3 * 64).map(|i| i as f32).collect();
        let mut room = Activations::room(100);
        let activations = Activations::quantise(Vectors::picked(&data, 64, &[2, 0]), &mut room);
        assert_eq!((activations.n, activations.n_blocks()), (2, 2));
        let of = |start: usize| ActivationBlock::of(data[start..].first_chunk().unwrap());
        assert_eq!(activations.blocks, [of(128), of(0), of(160), of(32)]);
    }
}
