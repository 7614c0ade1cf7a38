//! The official layout of a gpt-oss checkpoint: which tensors there are, what they are called, and their types and shapes.
//!
//! What it is not: it reads nothing. The names stand in [`Part::name`] and nowhere else.
//! Start at [`Part::all`].

use crate::engine::cpu::config::ModelConfig;
use safetensors::Dtype;
use std::fmt;

/// One tensor of the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Embedding,
    FinalNorm,
    Head,
    Layer(usize, LayerPart),
}

/// One tensor of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayerPart {
    AttentionNorm,
    QueryWeight,
    QueryBias,
    KeyWeight,
    KeyBias,
    ValueWeight,
    ValueBias,
    OutputWeight,
    OutputBias,
    Sinks,
    MlpNorm,
    RouterWeight,
    RouterBias,
    GateUpBlocks,
    GateUpScales,
    GateUpBias,
    DownBlocks,
    DownScales,
    DownBias,
}

/// Type and shape of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.dtype, self.shape)
    }
}

impl LayerPart {
    const ALL: [Self; 19] = [
        Self::AttentionNorm,
        Self::QueryWeight,
        Self::QueryBias,
        Self::KeyWeight,
        Self::KeyBias,
        Self::ValueWeight,
        Self::ValueBias,
        Self::OutputWeight,
        Self::OutputBias,
        Self::Sinks,
        Self::MlpNorm,
        Self::RouterWeight,
        Self::RouterBias,
        Self::GateUpBlocks,
        Self::GateUpScales,
        Self::GateUpBias,
        Self::DownBlocks,
        Self::DownScales,
        Self::DownBias,
    ];
}

impl Part {
    /// Every tensor of a model, in the order in which a token meets them.
    pub(crate) fn all(config: &ModelConfig) -> impl Iterator<Item = Self> {
        let layers = 0..config.n_layers();
        let in_layers = layers.flat_map(|layer_idx| LayerPart::ALL.map(move |part| Self::Layer(layer_idx, part)));
        [Self::Embedding].into_iter().chain(in_layers).chain([Self::FinalNorm, Self::Head])
    }

    /// The official name.
    pub(crate) fn name(self) -> String {
        use LayerPart as L;
        let (layer_idx, name) = match self {
            Self::Embedding => return "model.embed_tokens.weight".into(),
            Self::FinalNorm => return "model.norm.weight".into(),
            Self::Head => return "lm_head.weight".into(),
            Self::Layer(layer_idx, L::AttentionNorm) => (layer_idx, "input_layernorm.weight"),
            Self::Layer(layer_idx, L::QueryWeight) => (layer_idx, "self_attn.q_proj.weight"),
            Self::Layer(layer_idx, L::QueryBias) => (layer_idx, "self_attn.q_proj.bias"),
            Self::Layer(layer_idx, L::KeyWeight) => (layer_idx, "self_attn.k_proj.weight"),
            Self::Layer(layer_idx, L::KeyBias) => (layer_idx, "self_attn.k_proj.bias"),
            Self::Layer(layer_idx, L::ValueWeight) => (layer_idx, "self_attn.v_proj.weight"),
            Self::Layer(layer_idx, L::ValueBias) => (layer_idx, "self_attn.v_proj.bias"),
            Self::Layer(layer_idx, L::OutputWeight) => (layer_idx, "self_attn.o_proj.weight"),
            Self::Layer(layer_idx, L::OutputBias) => (layer_idx, "self_attn.o_proj.bias"),
            Self::Layer(layer_idx, L::Sinks) => (layer_idx, "self_attn.sinks"),
            Self::Layer(layer_idx, L::MlpNorm) => (layer_idx, "post_attention_layernorm.weight"),
            Self::Layer(layer_idx, L::RouterWeight) => (layer_idx, "mlp.router.weight"),
            Self::Layer(layer_idx, L::RouterBias) => (layer_idx, "mlp.router.bias"),
            Self::Layer(layer_idx, L::GateUpBlocks) => (layer_idx, "mlp.experts.gate_up_proj_blocks"),
            Self::Layer(layer_idx, L::GateUpScales) => (layer_idx, "mlp.experts.gate_up_proj_scales"),
            Self::Layer(layer_idx, L::GateUpBias) => (layer_idx, "mlp.experts.gate_up_proj_bias"),
            Self::Layer(layer_idx, L::DownBlocks) => (layer_idx, "mlp.experts.down_proj_blocks"),
            Self::Layer(layer_idx, L::DownScales) => (layer_idx, "mlp.experts.down_proj_scales"),
            Self::Layer(layer_idx, L::DownBias) => (layer_idx, "mlp.experts.down_proj_bias"),
        };
        format!("model.layers.{layer_idx}.{name}")
    }

    /// Type and shape by the configuration. Its sizes have been checked: no product here overflows.
    pub(crate) fn form(self, c: &ModelConfig) -> Form {
        use LayerPart as L;
        let (q, kv) = (c.query_width(), c.kv_width());
        let (shape, dtype) = match self {
            Self::Embedding | Self::Head => (vec![c.n_vocab, c.hidden], Dtype::BF16),
            Self::FinalNorm => (vec![c.hidden], Dtype::BF16),
            Self::Layer(_, part) => match part {
                L::AttentionNorm | L::MlpNorm | L::OutputBias => (vec![c.hidden], Dtype::BF16),
                L::QueryWeight => (vec![q, c.hidden], Dtype::BF16),
                L::QueryBias => (vec![q], Dtype::BF16),
                L::KeyWeight | L::ValueWeight => (vec![kv, c.hidden], Dtype::BF16),
                L::KeyBias | L::ValueBias => (vec![kv], Dtype::BF16),
                L::OutputWeight => (vec![c.hidden, q], Dtype::BF16),
                L::Sinks => (vec![c.n_heads], Dtype::BF16),
                L::RouterWeight => (vec![c.n_experts, c.hidden], Dtype::BF16),
                L::RouterBias => (vec![c.n_experts], Dtype::BF16),
                L::GateUpBlocks => (vec![c.n_experts, 2 * c.intermediate, c.hidden / 32, 16], Dtype::U8),
                L::GateUpScales => (vec![c.n_experts, 2 * c.intermediate, c.hidden / 32], Dtype::U8),
                L::GateUpBias => (vec![c.n_experts, 2 * c.intermediate], Dtype::BF16),
                L::DownBlocks => (vec![c.n_experts, c.hidden, c.intermediate / 32, 16], Dtype::U8),
                L::DownScales => (vec![c.n_experts, c.hidden, c.intermediate / 32], Dtype::U8),
                L::DownBias => (vec![c.n_experts, c.hidden], Dtype::BF16),
            },
        };
        Form { dtype, shape }
    }

    /// Parameters held by this tensor: two to a byte of blocks, none in scales.
    pub(crate) fn n_parameters(self, config: &ModelConfig) -> u64 {
        let n_elements = self.form(config).shape.iter().map(|&side| side as u64).product();
        match self {
            Self::Layer(_, LayerPart::GateUpBlocks | LayerPart::DownBlocks) => 2 * n_elements,
            Self::Layer(_, LayerPart::GateUpScales | LayerPart::DownScales) => 0,
            _ => n_elements,
        }
    }
}
