//! The types of number that ggml has, and how a row of those that are read becomes f32.
//!
//! What it is not: no kernel; a row is unpacked here when weights are prepared, and the engine computes with its own forms.
//! Start at [`Kind::read`]; the numbers of the types are those of `enum ggml_type`.

use half::{bf16, f16};

/// A type that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    F16,
    Bf16,
    /// Blocks of 32: an f16 scale and 32 signed bytes.
    Q8,
    /// Blocks of 32: an E8M0 scale and 16 bytes, whose lower nibbles are the first 16 numbers and the upper ones the others.
    Mxfp4,
    /// The same, with two neighbours in a byte as in the official checkpoint. Ollama's first converter wrote it under a number
    /// that ggml had retired.
    Mxfp4InPairs,
}

/// Numbers in a block of the quantised types.
const BLOCK: usize = 32;

/// The numbers of E2M1, twice as large so that they are whole.
const E2M1_DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// What is read, for messages.
pub(super) const READ: &str = "F32, F16, BF16, Q8_0 and MXFP4";

impl Kind {
    /// The type of this number, when it is read.
    pub(super) fn of(type_id: u32) -> Option<Self> {
        Some(match type_id {
            0 => Self::F32,
            1 => Self::F16,
            4 => Self::Mxfp4InPairs,
            8 => Self::Q8,
            30 => Self::Bf16,
            39 => Self::Mxfp4,
            _ => return None,
        })
    }

    /// Numbers in a block, and its bytes.
    fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q8 => (BLOCK, 2 + BLOCK),
            Self::Mxfp4 | Self::Mxfp4InPairs => (BLOCK, 1 + BLOCK / 2),
        }
    }

    /// Bytes of so many numbers; `None` where they do not fill their blocks or are too many to count.
    pub(super) fn n_bytes(self, n: usize) -> Option<usize> {
        let (n_numbers, n_bytes) = self.block();
        if n.is_multiple_of(n_numbers) { (n / n_numbers).checked_mul(n_bytes) } else { None }
    }

    /// Unpacks numbers. `bytes` has [`Kind::n_bytes`] of `out.len()`.
    pub(super) fn read(self, bytes: &[u8], out: &mut [f32]) {
        match self {
            Self::F32 => unpack(bytes, out, f32::from_le_bytes),
            Self::F16 => unpack(bytes, out, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Self::Bf16 => unpack(bytes, out, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            Self::Q8 => {
                for (block, out) in bytes.as_chunks::<{ 2 + BLOCK }>().0.iter().zip(out.as_chunks_mut::<BLOCK>().0) {
                    let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
                    out.iter_mut().zip(&block[2..]).for_each(|(x, &byte)| *x = scale * f32::from(byte as i8));
                }
            }
            Self::Mxfp4 | Self::Mxfp4InPairs => {
                for (block, out) in mxfp4_blocks(bytes).iter().zip(out.as_chunks_mut::<BLOCK>().0) {
                    let scale = 0.5 * e8m0(block[0]);
                    let number = |code: u8| f32::from(E2M1_DOUBLED[usize::from(code)]) * scale;
                    for (pair, byte) in out.as_chunks_mut::<2>().0.iter_mut().zip(self.in_pairs(block)) {
                        *pair = [number(byte & 15), number(byte >> 4)];
                    }
                }
            }
        }
    }

    /// Hands out codes and scales as [`super::super::Rows::read_mxfp4`] wants them; false for other types.
    pub(super) fn read_mxfp4(self, bytes: &[u8], blocks: &mut [[u8; BLOCK / 2]], scales: &mut [u8]) -> bool {
        if !matches!(self, Self::Mxfp4 | Self::Mxfp4InPairs) {
            return false;
        }
        for (block, (codes, scale)) in mxfp4_blocks(bytes).iter().zip(blocks.iter_mut().zip(scales)) {
            (*codes, *scale) = (self.in_pairs(block), block[0]);
        }
        true
    }

    /// The codes of a block with neighbours in a byte, the first in the lower nibble.
    fn in_pairs(self, block: &[u8; 1 + BLOCK / 2]) -> [u8; BLOCK / 2] {
        let bytes = &block[1..];
        if self == Self::Mxfp4InPairs {
            return std::array::from_fn(|i| bytes[i]);
        }
        let code = |i: usize| if i < BLOCK / 2 { bytes[i] & 15 } else { bytes[i - BLOCK / 2] >> 4 };
        std::array::from_fn(|i| code(2 * i) | (code(2 * i + 1) << 4))
    }
}

fn unpack<const N: usize>(bytes: &[u8], out: &mut [f32], number: impl Fn([u8; N]) -> f32) {
    out.iter_mut().zip(bytes.as_chunks().0).for_each(|(x, bytes)| *x = number(*bytes));
}

fn mxfp4_blocks(bytes: &[u8]) -> &[[u8; 1 + BLOCK / 2]] {
    bytes.as_chunks().0
}

/// The power of two that an E8M0 byte stands for; 255 is not a number.
fn e8m0(scale: u8) -> f32 {
    match scale {
        0 => f32::from_bits(1 << 22), // 2^-127, below the smallest normal number
        255 => f32::NAN,
        _ => f32::from_bits(u32::from(scale) << 23),
    }
}

/// The name of a type as ggml has it, or its number where there is no name.
pub(super) fn name(type_id: u32) -> String {
    let name = match type_id {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        // ggml's Q4_2 is gone since 2023; Ollama gave its number to MXFP4 for a while.
        4 | 39 => "MXFP4",
        6 => "Q5_0",
        7 => "Q5_1",
        8 => "Q8_0",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        30 => "BF16",
        34 => "TQ1_0",
        35 => "TQ2_0",
        40 => "NVFP4",
        _ => return format!("type {type_id}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nibbles_of_a_block_are_halves_in_ggml_and_pairs_in_the_official_order() {
        // Number i has code i % 16, in both orders.
        let halves: Vec<u8> = [127].into_iter().chain((0..16).map(|i| i | (i << 4))).collect();
        let pairs: Vec<u8> =
            [127].into_iter().chain((0..16).map(|i| ((2 * i) % 16) | (((2 * i + 1) % 16) << 4))).collect();
        let expected: Vec<f32> = (0..32).map(|i| f32::from(E2M1_DOUBLED[i % 16]) / 2.0).collect();
        for (kind, bytes) in [(Kind::Mxfp4, &halves), (Kind::Mxfp4InPairs, &pairs)] {
            let mut out = [f32::NAN; 32];
            kind.read(bytes, &mut out);
            assert_eq!(out[..], expected, "{kind:?}");
            let (mut blocks, mut scales) = ([[0; 16]], [0]);
            assert!(kind.read_mxfp4(bytes, &mut blocks, &mut scales));
            assert_eq!((&blocks[0][..], scales), (&pairs[1..], [127]), "{kind:?}");
        }
        assert!(!Kind::Q8.read_mxfp4(&[0; 34], &mut [[0; 16]], &mut [0]));
    }

    #[test]
    fn scales_reach_from_the_smallest_power_to_not_a_number() {
        for (scale, expected) in [(0, 2f32.powi(-127)), (1, 2f32.powi(-126)), (127, 1.0), (254, 2f32.powi(127))] {
            assert_eq!(e8m0(scale), expected);
        }
        assert!(e8m0(255).is_nan());
    }

    #[test]
    fn every_type_that_is_read_has_a_name_and_a_size() {
        for (type_id, name_, n_bytes) in
            [(0, "F32", 256), (1, "F16", 128), (4, "MXFP4", 34), (8, "Q8_0", 68), (30, "BF16", 128), (39, "MXFP4", 34)]
        {
            let kind = Kind::of(type_id).unwrap();
            assert_eq!((name(type_id).as_str(), kind.n_bytes(64)), (name_, Some(n_bytes)));
            assert!(READ.contains(name_));
        }
        assert_eq!((Kind::Q8.n_bytes(33), Kind::F32.n_bytes(usize::MAX)), (None, None));
        assert_eq!((Kind::of(12), name(12), name(1000)), (None, "Q4_K".into(), "type 1000".into()));
    }
}
