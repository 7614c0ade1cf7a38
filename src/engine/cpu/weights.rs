//! The weights of a model, as they lie in the checkpoint: mapped, never copied but for the small vectors.
//!
//! What it is not: nothing here changes after loading.
//! Start at [`Weights::open`].

use super::config::{LayerKind, ModelConfig};
use super::kernels::{Bf16Rows, Mxfp4Rows};
use crate::engine::models::{Checkpoint, EmbeddingRows, LayerPart, LoadError, Part, Tensor};
use crate::harmony::Token;
use std::ops::Range;
use std::sync::Arc;

/// All weights.
pub(crate) struct Weights {
    pub(crate) embedding: Embedding, // [n_vocab][hidden]
    pub(crate) layers: Vec<Layer>,
    pub(crate) final_norm: Vec<f32>, // [hidden]
    pub(crate) head: Bf16Matrix,     // [n_vocab][hidden]
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
    pub(crate) router: Linear,           // hidden -> n_experts
    pub(crate) gate_up: Experts,         // hidden -> 2 * intermediate, gate and up in turns
    pub(crate) down: Experts,            // intermediate -> hidden
}

/// A bf16 matrix.
pub(crate) struct Bf16Matrix {
    tensor: Tensor, // [n_rows][width]
    width: usize,
}

impl Bf16Matrix {
    /// All rows.
    pub(crate) fn all(&self) -> Bf16Rows<'_> {
        Bf16Rows::new(self.tensor.bytes(), self.width)
    }
}

/// Where tokens become vectors.
pub(crate) enum Embedding {
    Stored(Bf16Matrix),
    Computed(Arc<dyn EmbeddingRows>),
}

impl Embedding {
    fn open(checkpoint: &Checkpoint) -> Result<Self, LoadError> {
        match &checkpoint.embedding {
            Some(rows) => Ok(Self::Computed(rows.clone())),
            None => Ok(Self::Stored(matrix(checkpoint, Part::Embedding)?)),
        }
    }

    /// Fills in the row of a token. [hidden]
    pub(crate) fn read(&self, token: Token, row: &mut [f32]) {
        match self {
            Self::Stored(matrix) => matrix.all().read(token as usize, row),
            Self::Computed(rows) => rows.read(token, row),
        }
    }
}

/// A bf16 matrix and what is added to its product.
pub(crate) struct Linear {
    pub(crate) weight: Bf16Matrix, // [n_out][n_in]
    pub(crate) bias: Vec<f32>,     // [n_out]
}

/// One MXFP4 matrix for each expert.
pub(crate) struct Experts {
    blocks: Tensor, // [n_experts][n_out][n_in / 32][16]
    scales: Tensor, // [n_experts][n_out][n_in / 32]
    bias: Tensor,   // [n_experts][n_out], bf16
    n_out: usize,
    n_in: usize,
}

impl Experts {
    /// Some rows of one expert.
    pub(crate) fn rows(&self, expert_idx: usize, rows: Range<usize>) -> Mxfp4Rows<'_> {
        let first = expert_idx * self.n_out;
        Mxfp4Rows::new(self.blocks.bytes(), self.scales.bytes(), self.n_in).rows(first + rows.start..first + rows.end)
    }

    /// What is added to the products of those rows, as bf16.
    pub(crate) fn bias(&self, expert_idx: usize, rows: Range<usize>) -> &[[u8; 2]] {
        let first = expert_idx * self.n_out;
        &self.bias.bytes().as_chunks().0[first + rows.start..first + rows.end]
    }
}

impl Weights {
    /// Finds every tensor of the model in the checkpoint. Types and shapes are all checked before anything is read.
    pub(crate) fn open(checkpoint: &Checkpoint) -> Result<Self, LoadError> {
        for part in checkpoint.parts() {
            checkpoint.take(part)?;
        }
        let config = &checkpoint.config;
        let layer = |(layer_idx, kind)| Layer::open(checkpoint, config, layer_idx, kind);
        Ok(Self {
            embedding: Embedding::open(checkpoint)?,
            layers: config.layers.iter().copied().enumerate().map(layer).collect::<Result<_, _>>()?,
            final_norm: vector(checkpoint, Part::FinalNorm)?,
            head: matrix(checkpoint, Part::Head)?,
        })
    }
}

impl Layer {
    fn open(
        checkpoint: &Checkpoint,
        config: &ModelConfig,
        layer_idx: usize,
        kind: LayerKind,
    ) -> Result<Self, LoadError> {
        use LayerPart as L;
        let small = |part| vector(checkpoint, Part::Layer(layer_idx, part));
        let linear = |weight, bias| {
            let weight = matrix(checkpoint, Part::Layer(layer_idx, weight))?;
            Ok::<_, LoadError>(Linear { weight, bias: small(bias)? })
        };
        let experts = |blocks, scales, bias, n_out, n_in| {
            let take = |part| checkpoint.take(Part::Layer(layer_idx, part));
            Ok::<_, LoadError>(Experts { blocks: take(blocks)?, scales: take(scales)?, bias: take(bias)?, n_out, n_in })
        };
        let (hidden, intermediate) = (config.hidden, config.intermediate);
        Ok(Self {
            kind,
            attention_norm: small(L::AttentionNorm)?,
            query: linear(L::QueryWeight, L::QueryBias)?,
            key: linear(L::KeyWeight, L::KeyBias)?,
            value: linear(L::ValueWeight, L::ValueBias)?,
            output: linear(L::OutputWeight, L::OutputBias)?,
            sinks: small(L::Sinks)?,
            mlp_norm: small(L::MlpNorm)?,
            router: linear(L::RouterWeight, L::RouterBias)?,
            gate_up: experts(L::GateUpBlocks, L::GateUpScales, L::GateUpBias, 2 * intermediate, hidden)?,
            down: experts(L::DownBlocks, L::DownScales, L::DownBias, hidden, intermediate)?,
        })
    }
}

fn matrix(checkpoint: &Checkpoint, part: Part) -> Result<Bf16Matrix, LoadError> {
    let tensor = checkpoint.take(part)?;
    let width = *tensor.form.shape.last().expect("the layout has no tensor without sides");
    Ok(Bf16Matrix { tensor, width })
}

/// A small bf16 vector, as f32.
fn vector(checkpoint: &Checkpoint, part: Part) -> Result<Vec<f32>, LoadError> {
    let tensor = checkpoint.take(part)?;
    let numbers = tensor.bytes().as_chunks::<2>().0.iter();
    Ok(numbers.map(|bytes| half::bf16::from_le_bytes(*bytes).to_f32()).collect())
}
