//! The three forms of floating-point numbers that checkpoints and adapters hold, read as f32.
//!
//! What it is not: nothing here is quantised; that is [`super::mxfp4`].
//! Start at [`Float::of`].

use half::{bf16, f16};
use safetensors::Dtype;

/// A form of numbers, in little-endian order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Float {
    Bf16,
    F16,
    F32,
}

impl Float {
    /// `None` for a type that is none of the three.
    pub(crate) fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::BF16 => Some(Self::Bf16),
            Dtype::F16 => Some(Self::F16),
            Dtype::F32 => Some(Self::F32),
            _ => None,
        }
    }

    /// Bytes of a number.
    pub(crate) fn n_bytes(self) -> usize {
        match self {
            Self::Bf16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    /// The numbers that lie in `bytes`. A part of a number at the end is left out.
    pub(crate) fn numbers(self, bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
        let number = move |bytes: &[u8]| match (self, bytes) {
            (Self::Bf16, &[a, b]) => bf16::from_le_bytes([a, b]).to_f32(),
            (Self::F16, &[a, b]) => f16::from_le_bytes([a, b]).to_f32(),
            (Self::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            _ => f32::NAN, // `chunks_exact` gives no other length
        };
        bytes.chunks_exact(self.n_bytes()).map(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_to_its_own_precision() {
        let numbers = [0.0, -0.0, 1.5, -65504.0, 2.0f32.powi(-24)];
        let bf16: Vec<u8> = numbers.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect();
        let f16: Vec<u8> = numbers.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
        let f32: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(Float::F32.numbers(&f32).collect::<Vec<_>>(), numbers);
        assert_eq!(Float::F16.numbers(&f16).collect::<Vec<_>>(), numbers);
        assert_eq!(Float::Bf16.numbers(&bf16).collect::<Vec<_>>(), [0.0, -0.0, 1.5, -65536.0, numbers[4]]);
        assert_eq!(Float::F32.numbers(&f32[..7]).count(), 1);
    }

    #[test]
    fn other_types_are_none_of_them() {
        assert_eq!(Float::of(Dtype::BF16), Some(Float::Bf16));
        for dtype in [Dtype::U8, Dtype::F64, Dtype::I32, Dtype::F8_E4M3] {
            assert_eq!(Float::of(dtype), None);
        }
    }
}
