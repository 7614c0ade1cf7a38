//! The weights of a model: its large matrices in panels, or as they lie in the checkpoint, and its small vectors as f32.
//!
//! What it is not: nothing here changes after loading.
//! Start at [`Weights::open`].

use super::config::LayerKind;
use super::kernels::activations::Activations;
use super::kernels::panels::{Format, Panels};
use super::kernels::pool::Block;
use super::kernels::{Bf16Rows, Kernels, Mxfp4Rows, Vectors};
use crate::engine::models::{Checkpoint, EmbeddingRows, LayerPart, LoadError, LowRank, Part, Rows, Stored, Tensor};
use crate::harmony::Token;
use std::ops::Range;
use std::sync::Arc;

/// All weights.
pub(crate) struct Weights {
    pub(crate) embedding: Embedding, // [n_vocab][hidden]
    pub(crate) layers: Vec<Layer>,
    pub(crate) final_norm: Vec<f32>, // [hidden]
    pub(crate) head: Matrix,         // [n_vocab][hidden]
}

/// The weights of a layer.
pub(crate) struct Layer {
    pub(crate) kind: LayerKind,
    pub(crate) attention_norm: Vec<f32>, // [hidden]
    pub(crate) query: Linear,            // hidden -> query_width
    pub(crate) key: Linear,              // hidden -> kv_width
    pub(crate) value: Linear,            // hidden -> kv_width
    pub(crate) output: Linear,           // query_width -> hidden
    pub(crate) sinks: Vec<f32>,          // [n_heads]
    pub(crate) mlp_norm: Vec<f32>,       // [hidden]
    pub(crate) router: Vec<f32>,         // [n_experts][hidden]
    pub(crate) router_bias: Vec<f32>,    // [n_experts]
    pub(crate) gate_up: Linear,          // of each expert: hidden -> 2 * intermediate, gate and up in turns
    pub(crate) down: Linear,             // of each expert: intermediate -> hidden
}

/// A matrix, or one for each expert.
pub(crate) struct Matrix {
    numbers: Numbers,
    pub(crate) n_out: usize, // of one
    pub(crate) n_in: usize,
}

/// Where the numbers of matrices are, those of the experts one after the other.
enum Numbers {
    Bf16(Tensor),
    Mxfp4 { blocks: Tensor, scales: Tensor },
    Rows(Arc<dyn Rows>),
    Panels(Format, Tensor),
}

/// What is multiplied: as it is, for matrices as they lie in a checkpoint, and as int8 for panels.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) exact: Vectors<'a>,
    pub(crate) quantised: Option<Activations<'a>>,
}

impl Matrix {
    /// As it lies in the checkpoint.
    fn stored(checkpoint: &Checkpoint, part: Part) -> Result<Self, LoadError> {
        let shape = part.shape(&checkpoint.config);
        let [.., n_out, n_in] = shape[..] else { unreachable!("a matrix has two sides or three") };
        let numbers = match checkpoint.matrix(part)? {
            Stored::Bf16 { tensor, .. } => Numbers::Bf16(tensor),
            Stored::Mxfp4 { blocks, scales, .. } => Numbers::Mxfp4 { blocks, scales },
            Stored::Panels { format, tensor, .. } => Numbers::Panels(format, tensor),
            Stored::Other(rows) => Numbers::Rows(rows),
        };
        Ok(Self { numbers, n_out, n_in })
    }

    /// Bytes of one of the matrices.
    pub(crate) fn n_bytes(&self) -> usize {
        match &self.numbers {
            Numbers::Panels(format, _) => format.matrix_bytes(self.n_out, self.n_in),
            Numbers::Mxfp4 { .. } => self.n_out * self.n_in / 32 * 17,
            Numbers::Bf16(_) | Numbers::Rows(_) => self.n_out * self.n_in * 2,
        }
    }

    /// All bytes of all matrices, where they lie in one piece.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.numbers {
            Numbers::Panels(_, tensor) | Numbers::Bf16(tensor) | Numbers::Mxfp4 { blocks: tensor, .. } => {
                tensor.bytes()
            }
            Numbers::Rows(_) => &[],
        }
    }

    /// Whether it wants its input as int8.
    pub(crate) fn is_in_panels(&self) -> bool {
        matches!(self.numbers, Numbers::Panels(..))
    }

    /// `out[t][r] = rows[r] . x[t]`, for some rows of the matrix of an expert (or of the only one, which is number 0).
    /// Panels want `rows` to begin at a multiple of 16.
    pub(crate) fn product(
        &self,
        kernels: Kernels,
        expert_idx: usize,
        rows: Range<usize>,
        x: Input<'_>,
        out: &mut Block<'_>,
    ) {
        let (n_out, n_in) = (self.n_out, self.n_in);
        let among_all = expert_idx * n_out + rows.start..expert_idx * n_out + rows.end;
        match &self.numbers {
            Numbers::Panels(format, tensor) => {
                let n_bytes = format.matrix_bytes(n_out, n_in);
                let bytes = &tensor.bytes()[expert_idx * n_bytes..][..n_bytes];
                let x = x.quantised.expect("what panels are multiplied with has been quantised");
                kernels.panels(Panels::new(bytes, *format, n_out, n_in).rows(rows), x, out);
            }
            Numbers::Bf16(tensor) => kernels.bf16(Bf16Rows::new(tensor.bytes(), n_in).rows(among_all), x.exact, out),
            Numbers::Mxfp4 { blocks, scales } => {
                let all = Mxfp4Rows::new(blocks.bytes(), scales.bytes(), n_in);
                kernels.mxfp4(all.rows(among_all), x.exact, out);
            }
            Numbers::Rows(source) => {
                let mut numbers = vec![0.0; rows.len() * n_in];
                source.read(among_all, &mut numbers);
                kernels.f32(&numbers, x.exact, out);
            }
        }
    }
}

/// Where tokens become vectors.
pub(crate) enum Embedding {
    Stored(Arc<dyn Rows>),
    Computed(Arc<dyn EmbeddingRows>),
}

impl Embedding {
    fn open(checkpoint: &Checkpoint) -> Result<Self, LoadError> {
        match &checkpoint.embedding {
            Some(rows) => Ok(Self::Computed(rows.clone())),
            None => Ok(Self::Stored(checkpoint.matrix(Part::Embedding)?.rows())),
        }
    }

    /// Fills in the row of a token. [hidden]
    pub(crate) fn read(&self, token: Token, row: &mut [f32]) {
        match self {
            Self::Stored(rows) => rows.read(token as usize..token as usize + 1, row),
            Self::Computed(rows) => rows.read(token, row),
        }
    }
}

/// A matrix and what is added to its product; or both for each expert.
pub(crate) struct Linear {
    pub(crate) weight: Matrix, // [n_experts or 1][n_out][n_in]
    pub(crate) bias: Vec<f32>, // [n_experts or 1][n_out]
    low_rank: Option<Arc<LowRank>>,
}

impl Linear {
    fn open(checkpoint: &Checkpoint, weight: Part, bias: Part) -> Result<Self, LoadError> {
        let low_rank = checkpoint.low_rank(weight);
        Ok(Self { weight: Matrix::stored(checkpoint, weight)?, bias: checkpoint.vector(bias)?, low_rank })
    }

    /// Some columns of what an expert (or the only matrix, number 0) makes of the vectors.
    pub(crate) fn apply(&self, kernels: Kernels, expert_idx: usize, x: Input<'_>, out: &mut Block<'_>) {
        let columns = out.columns();
        self.weight.product(kernels, expert_idx, columns.clone(), x, out);
        let bias = &self.bias[expert_idx * self.weight.n_out..][columns];
        for row in 0..out.n_rows() {
            out.row(row).iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
        }
        if let Some(low_rank) = &self.low_rank {
            add_low_rank(low_rank, kernels, expert_idx, x.exact, out);
        }
    }
}

/// Adds what an adapter makes of the vectors: `out[t][r] += b[r] . (a x[t])`. Each block of columns makes `a x` again: that
/// is little beside the matrix itself, and spares a pass of its own.
fn add_low_rank(low_rank: &LowRank, kernels: Kernels, expert_idx: usize, x: Vectors<'_>, out: &mut Block<'_>) {
    let LowRank { rank, n_in, n_out, .. } = *low_rank;
    let a = &low_rank.a[expert_idx * rank * n_in..][..rank * n_in];
    let b = &low_rank.b[expert_idx * n_out * rank..][..n_out * rank];
    let (n, columns) = (out.n_rows(), out.columns());
    let mut reduced = vec![0.0; n * rank];
    kernels.f32(a, x, &mut Block::whole(&mut reduced, n, 0..rank));
    let mut added = vec![0.0; n * columns.len()];
    let mut block = Block::whole(&mut added, n, columns.clone());
    kernels.f32(&b[columns.start * rank..columns.end * rank], Vectors::all(&reduced, rank), &mut block);
    for (t, added) in added.chunks_exact(columns.len()).enumerate() {
        out.row(t).iter_mut().zip(added).for_each(|(out, added)| *out += added);
    }
}

impl Weights {
    /// Finds every part of the model in the checkpoint. Types and shapes are all checked before anything is read.
    pub(crate) fn open(checkpoint: &Checkpoint) -> Result<Self, LoadError> {
        for part in checkpoint.parts() {
            checkpoint.check(part)?;
        }
        let config = &checkpoint.config;
        let layer = |(layer_idx, kind)| Layer::open(checkpoint, layer_idx, kind);
        Ok(Self {
            embedding: Embedding::open(checkpoint)?,
            layers: config.layers.iter().copied().enumerate().map(layer).collect::<Result<_, _>>()?,
            final_norm: checkpoint.vector(Part::FinalNorm)?,
            head: Matrix::stored(checkpoint, Part::Head)?,
        })
    }

    /// The experts' matrices, layer after layer.
    pub(crate) fn experts(&self) -> impl Iterator<Item = &[u8]> {
        self.layers.iter().flat_map(|layer| [layer.gate_up.weight.bytes(), layer.down.weight.bytes()])
    }

    /// Whether the large matrices are in panels.
    pub(crate) fn are_in_panels(&self) -> bool {
        self.head.is_in_panels()
    }
}

impl Layer {
    fn open(checkpoint: &Checkpoint, layer_idx: usize, kind: LayerKind) -> Result<Self, LoadError> {
        use LayerPart as L;
        let small = |part| checkpoint.vector(Part::Layer(layer_idx, part));
        let linear =
            |weight, bias| Linear::open(checkpoint, Part::Layer(layer_idx, weight), Part::Layer(layer_idx, bias));
        Ok(Self {
            kind,
            attention_norm: small(L::AttentionNorm)?,
            query: linear(L::QueryWeight, L::QueryBias)?,
            key: linear(L::KeyWeight, L::KeyBias)?,
            value: linear(L::ValueWeight, L::ValueBias)?,
            output: linear(L::OutputWeight, L::OutputBias)?,
            sinks: small(L::Sinks)?,
            mlp_norm: small(L::MlpNorm)?,
            router: router(checkpoint, layer_idx)?,
            router_bias: small(L::RouterBias)?,
            gate_up: linear(L::GateUpWeight, L::GateUpBias)?,
            down: linear(L::DownWeight, L::DownBias)?,
        })
    }
}

/// The router of a layer, with what an adapter adds to it: it is small. [n_experts][hidden]
fn router(checkpoint: &Checkpoint, layer_idx: usize) -> Result<Vec<f32>, LoadError> {
    let part = Part::Layer(layer_idx, LayerPart::RouterWeight);
    let mut router = checkpoint.vector(part)?;
    if let Some(low_rank) = checkpoint.low_rank(part) {
        for (row, b) in router.chunks_exact_mut(low_rank.n_in).zip(low_rank.b.chunks_exact(low_rank.rank)) {
            for (a, b) in low_rank.a.chunks_exact(low_rank.n_in).zip(b) {
                row.iter_mut().zip(a).for_each(|(weight, a)| *weight += b * a);
            }
        }
    }
    Ok(router)
}
