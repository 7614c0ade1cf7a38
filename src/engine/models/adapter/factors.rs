//! The two factors of each adapted matrix: found, held against the model's sizes, and brought into the official order.
//!
//! What it is not: it does not decide which matrices are adapted; the configuration does, and [`super::slots`] says
//! where.
//! Start at [`Pair::take`].

use super::recipe::Recipe;
use super::{LowRank, MERGE, SAVE_AGAIN, Slot};
use crate::engine::models::float::Float;
use crate::engine::models::{LoadError, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// A slot and its two factors, of which shapes and types are checked.
pub(super) struct Pair {
    pub(super) slot: Slot,
    a: Factor,
    b: Factor,
    rank: usize,
    scale: f32,
    /// In which order its factors can lie: as the matrix asks for, or the other way round.
    straight: bool,
    swapped: bool,
}

struct Factor {
    name: String,
    tensor: Tensor,
    float: Float,
}

impl Pair {
    /// Takes both out of the tensors. `path`: their file, for messages.
    pub(super) fn take(
        slot: Slot,
        recipe: &Recipe,
        tensors: &mut BTreeMap<String, Tensor>,
        path: &Path,
    ) -> Result<Self, LoadError> {
        let refused = |problem, advice| LoadError::Unsupported { path: path.to_owned(), problem, advice };
        let name_of = |factor| format!("{}.lora_{factor}.weight", slot.prefix);
        let mut factor = |name| {
            let name = name_of(name);
            let tensor = tensors.remove(&name);
            let float = tensor.as_ref().and_then(|tensor| Float::of(tensor.form.dtype));
            match (tensor, float) {
                (Some(tensor), Some(float)) => Ok(Some(Factor { name, tensor, float })),
                (None, _) => Ok(None),
                (Some(tensor), None) => {
                    let problem = format!("tensor {name} is {}, expected F32, BF16 or F16", tensor.form);
                    Err(refused(problem, SAVE_AGAIN))
                }
            }
        };
        let (a, b) = match (factor("A")?, factor("B")?) {
            (Some(a), Some(b)) => (a, b),
            (a, b) => {
                let promised = format!("adapter_config.json says that {} is adapted", slot.key);
                let problem = match (a, b) {
                    (Some(_), _) => format!("{} is there without {}", name_of("A"), name_of("B")),
                    (_, Some(_)) => format!("{} is there without {}", name_of("B"), name_of("A")),
                    _ => format!("{promised}, and there is no tensor {}", name_of("A")),
                };
                return Err(refused(problem, SAVE_AGAIN));
            }
        };
        let (rank, scale) = (recipe.rank(&slot.key), recipe.scale(&slot.key));
        let n_together = slot.n_experts.saturating_mul(rank);
        let are = |n_in, n_out| a.tensor.form.shape == [n_together, n_in] && b.tensor.form.shape == [n_out, n_together];
        let (straight, swapped) = (are(slot.n_in, slot.n_out), slot.stacked && are(slot.n_out, slot.n_in));
        if !straight && !swapped {
            let found = format!("{} is {} and {} is {}", a.name, a.tensor.form, b.name, b.tensor.form);
            let (n_in, n_out) = (slot.n_in, slot.n_out);
            let problem =
                format!("{found}, expected [{n_together}, {n_in}] and [{n_out}, {n_together}] at rank {rank}");
            return Err(refused(
                problem,
                "give the adapter's own adapter_config.json, and the model it was trained on",
            ));
        }
        Ok(Self { slot, a, b, rank, scale, straight, swapped })
    }

    /// Both factors in the official order: rows of `a` go with the matrix's columns, rows of `b` with its rows.
    pub(super) fn low_rank(&self, swapped: bool, path: &Path) -> Result<LowRank, LoadError> {
        let Slot { n_experts, n_in, n_out, .. } = self.slot;
        // PEFT has all ranks of an expert together in A, and all experts of a rank in B.
        let (mut a, mut b) = (self.a.numbers(path)?, self.b.numbers(path)?);
        if self.slot.stacked && swapped {
            let from_b = by_expert(&b, n_experts, self.rank);
            b = transposed(&a, n_experts, self.rank);
            a = transposed(&from_b, n_experts, n_in);
        } else {
            b = by_expert(&b, n_experts, self.rank);
        }
        b.iter_mut().for_each(|number| *number *= self.scale);
        Ok(LowRank { a, b, rank: self.rank, n_in, n_out, n_experts })
    }
}

impl Factor {
    fn numbers(&self, path: &Path) -> Result<Vec<f32>, LoadError> {
        let numbers: Vec<f32> = self.float.numbers(self.tensor.bytes()).collect();
        if numbers.iter().all(|number| number.is_finite()) {
            return Ok(numbers);
        }
        let problem = format!("tensor {} holds a number that is infinite or none at all", self.name);
        Err(LoadError::Unsupported { path: path.to_owned(), problem, advice: "train the adapter again" })
    }
}

/// [n_rows][rank][n_experts] -> [n_experts][n_rows][rank]
fn by_expert(factor: &[f32], n_experts: usize, rank: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(factor.len());
    for expert_idx in 0..n_experts {
        for row in factor.chunks_exact(rank * n_experts) {
            out.extend(row.iter().skip(expert_idx).step_by(n_experts));
        }
    }
    out
}

/// [n_experts][n_rows][n_columns] -> [n_experts][n_columns][n_rows]
fn transposed(factor: &[f32], n_experts: usize, n_rows: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(factor.len());
    let n_columns = factor.len() / (n_experts * n_rows);
    for expert in factor.chunks_exact(n_rows * n_columns) {
        for column in 0..n_columns {
            out.extend(expert.iter().skip(column).step_by(n_columns));
        }
    }
    out
}

/// Whether the experts' factors lie the other way round: so PEFT from 0.19 on writes them with transformers 4. Where
/// the two sides of a matrix are equal its shapes do not tell, and those of the other one do.
pub(super) fn order_of_experts(pairs: &[Pair], one_order: bool, path: &Path) -> Result<bool, LoadError> {
    let stacked = || pairs.iter().filter(|pair| pair.slot.stacked);
    let any_straight = stacked().any(|pair| !pair.swapped);
    let any_swapped = stacked().any(|pair| !pair.straight);
    if any_straight != any_swapped {
        return Ok(any_swapped);
    }
    if (one_order && !any_swapped) || stacked().next().is_none() {
        return Ok(false);
    }
    let problem = if any_swapped {
        "the factors of some experts lie one way round and those of others the other"
    } else {
        "it adapts down_proj alone, which is as high as wide, so that nobody can tell which of its factors is which"
    };
    Err(LoadError::Unsupported { path: path.to_owned(), problem: problem.into(), advice: MERGE })
}
