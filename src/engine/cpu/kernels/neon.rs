//! Eight lanes with NEON, which every 64-bit ARM has.
//!
//! What it is not: the products with panels; those are in [`super::panels`]. Start at [`Registers`].

use super::attention::{Eight, LANES};
use std::arch::aarch64::*;

/// Eight floats in two registers.
#[derive(Clone, Copy)]
pub(super) struct Registers([float32x4_t; 2]);

impl Eight for Registers {
    #[inline(always)]
    fn all(x: f32) -> Self {
        // SAFETY: NEON is a part of the target.
        Self([unsafe { vdupq_n_f32(x) }; 2])
    }

    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Self {
        // SAFETY: as above, and there are eight floats.
        unsafe { Self([vld1q_f32(x.as_ptr()), vld1q_f32(x.as_ptr().add(4))]) }
    }

    #[inline(always)]
    fn store(self, out: &mut [f32; LANES]) {
        // SAFETY: as in `load`.
        unsafe {
            vst1q_f32(out.as_mut_ptr(), self.0[0]);
            vst1q_f32(out.as_mut_ptr().add(4), self.0[1]);
        }
    }

    #[inline(always)]
    fn mul_add(self, x: Self, sum: Self) -> Self {
        // SAFETY: as in `all`.
        unsafe { Self([vfmaq_f32(sum.0[0], self.0[0], x.0[0]), vfmaq_f32(sum.0[1], self.0[1], x.0[1])]) }
    }
}
