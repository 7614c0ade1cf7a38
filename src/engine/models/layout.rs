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
    /// The experts' matrices one after the other; gate at even rows, up at odd ones.
    GateUpWeight,
    GateUpBias,
    /// The experts' matrices one after the other.
    DownWeight,
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
    pub(crate) const ALL: [Self; 17] = [
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
        Self::GateUpWeight,
        Self::GateUpBias,
        Self::DownWeight,
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

    /// The official name; that of experts' matrices is the beginning of two names.
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
            Self::Layer(layer_idx, L::GateUpWeight) => (layer_idx, "mlp.experts.gate_up_proj"),
            Self::Layer(layer_idx, L::GateUpBias) => (layer_idx, "mlp.experts.gate_up_proj_bias"),
            Self::Layer(layer_idx, L::DownWeight) => (layer_idx, "mlp.experts.down_proj"),
            Self::Layer(layer_idx, L::DownBias) => (layer_idx, "mlp.experts.down_proj_bias"),
        };
        format!("model.layers.{layer_idx}.{name}")
    }

    /// The tensors that hold it in the official checkpoint, with types and shapes by the configuration: one, or of experts'
    /// matrices two. The sizes have been checked: no product here overflows.
    pub(crate) fn tensors(self, c: &ModelConfig) -> Vec<(String, Form)> {
        let (shape, name) = (self.shape(c), self.name());
        if !self.is_experts_weight() {
            return vec![(name, Form { dtype: Dtype::BF16, shape })];
        }
        let [n_experts, n_out, n_in] = shape[..] else { unreachable!("experts' matrices have three sides") };
        let blocks = Form { dtype: Dtype::U8, shape: vec![n_experts, n_out, n_in / 32, 16] };
        let scales = Form { dtype: Dtype::U8, shape: vec![n_experts, n_out, n_in / 32] };
        vec![(format!("{name}_blocks"), blocks), (format!("{name}_scales"), scales)]
    }

    /// Whether these are the matrices of a layer's experts.
    pub(crate) fn is_experts_weight(self) -> bool {
        matches!(self, Self::Layer(_, LayerPart::GateUpWeight | LayerPart::DownWeight))
    }

    /// Its sides: of a matrix [n_out][n_in], of experts' matrices [n_experts][n_out][n_in].
    pub(crate) fn shape(self, c: &ModelConfig) -> Vec<usize> {
        use LayerPart as L;
        let (q, kv) = (c.query_width(), c.kv_width());
        match self {
            Self::Embedding | Self::Head => vec![c.n_vocab, c.hidden],
            Self::FinalNorm => vec![c.hidden],
            Self::Layer(_, part) => match part {
                L::AttentionNorm | L::MlpNorm | L::OutputBias => vec![c.hidden],
                L::QueryWeight => vec![q, c.hidden],
                L::QueryBias => vec![q],
                L::KeyWeight | L::ValueWeight => vec![kv, c.hidden],
                L::KeyBias | L::ValueBias => vec![kv],
                L::OutputWeight => vec![c.hidden, q],
                L::Sinks => vec![c.n_heads],
                L::RouterWeight => vec![c.n_experts, c.hidden],
                L::RouterBias => vec![c.n_experts],
                L::GateUpWeight => vec![c.n_experts, 2 * c.intermediate, c.hidden],
                L::GateUpBias => vec![c.n_experts, 2 * c.intermediate],
                L::DownWeight => vec![c.n_experts, c.hidden, c.intermediate],
                L::DownBias => vec![c.n_experts, c.hidden],
            },
        }
    }

    /// Numbers of which it consists, each counted once however it is stored.
    pub(crate) fn n_parameters(self, config: &ModelConfig) -> u64 {
        self.shape(config).iter().map(|&side| side as u64).product()
    }
}
