//! What the tensors of a gpt-oss are called in a GGUF, and how the parts of the model lie in them.
//!
//! What it is not: it looks into no file. Two writers are known: llama.cpp's converter (architecture `gpt-oss`) and Ollama's
//! (`gptoss`), which has used two sets of names, after the two forms of the official checkpoint.
//! Start at [`Sought::new`].

use crate::engine::cpu::config::ModelConfig;
use crate::engine::models::{LayerPart, Part};

/// Who wrote the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    LlamaCpp,
    Ollama,
}

impl Dialect {
    /// By the architecture that the metadata name; `None` for other models.
    pub(super) fn of(architecture: &str) -> Option<Self> {
        [Self::LlamaCpp, Self::Ollama].into_iter().find(|dialect| dialect.architecture() == architecture)
    }

    /// The architecture, which is what its keys begin with.
    pub(super) fn architecture(self) -> &'static str {
        match self {
            Self::LlamaCpp => "gpt-oss",
            Self::Ollama => "gptoss",
        }
    }
}

/// A part of the model, as it may be found.
pub(super) struct Sought {
    /// The first of these that is there is taken.
    pub(super) lies: Vec<Lies>,
    /// The longest stretch in memory first, as ggml counts. Where gate and up are two tensors, that of each.
    pub(super) sides: Vec<usize>,
}

/// How a part lies in tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lies {
    /// As a tensor of its own.
    Whole(String),
    /// As some rows of a larger one, in which there are so many before them and so many in all.
    Rows { name: String, first: usize, of: usize },
    /// Gate and up as tensors of their own.
    GateAndUp { gate: String, up: String },
    /// Both as one, with a row of each in turns, or for each expert first all of the gate.
    Fused { name: String, in_turns: bool },
}

impl Sought {
    /// Names and sides of a part.
    pub(super) fn new(part: Part, c: &ModelConfig, dialect: Dialect) -> Self {
        use LayerPart as L;
        let (q, kv, hidden) = (c.query_width(), c.kv_width(), c.hidden);
        let (layer_idx, part) = match part {
            Part::Embedding => return Self::named(["token_embd.weight".into()], vec![hidden, c.n_vocab]),
            Part::FinalNorm => return Self::named(["output_norm.weight".into()], vec![hidden]),
            Part::Head => return Self::named(["output.weight".into()], vec![hidden, c.n_vocab]),
            Part::Layer(layer_idx, part) => (layer_idx, part),
        };
        let full = |name: &str| format!("blk.{layer_idx}.{name}");
        let one = |name: &str, sides: Vec<usize>| Self::named([full(name)], sides);
        let either = |a: &str, b: &str, sides: Vec<usize>| Self::named([full(a), full(b)], sides);
        // Query, key and value may be one tensor, in this order.
        let fusible = |name: &str, first: usize, sides: Vec<usize>| {
            let fused = if sides.len() == 2 { "attn_qkv.weight" } else { "attn_qkv.bias" };
            let rows = Lies::Rows { name: full(fused), first, of: q + 2 * kv };
            Self { lies: vec![Lies::Whole(full(name)), rows], sides }
        };
        let gate_up = |suffix: &str, sides: Vec<usize>| {
            let name = |which: &str| full(&format!("ffn_{which}_exps.{suffix}"));
            let fused = Lies::Fused { name: name("gate_up"), in_turns: dialect == Dialect::Ollama };
            Self { lies: vec![Lies::GateAndUp { gate: name("gate"), up: name("up") }, fused], sides }
        };
        match part {
            L::AttentionNorm => one("attn_norm.weight", vec![hidden]),
            L::QueryWeight => fusible("attn_q.weight", 0, vec![hidden, q]),
            L::QueryBias => fusible("attn_q.bias", 0, vec![q]),
            L::KeyWeight => fusible("attn_k.weight", q, vec![hidden, kv]),
            L::KeyBias => fusible("attn_k.bias", q, vec![kv]),
            L::ValueWeight => fusible("attn_v.weight", q + kv, vec![hidden, kv]),
            L::ValueBias => fusible("attn_v.bias", q + kv, vec![kv]),
            L::OutputWeight => either("attn_output.weight", "attn_out.weight", vec![q, hidden]),
            L::OutputBias => either("attn_output.bias", "attn_out.bias", vec![hidden]),
            L::Sinks => either("attn_sinks.weight", "attn_sinks", vec![c.n_heads]),
            L::MlpNorm => either("post_attention_norm.weight", "ffn_norm.weight", vec![hidden]),
            L::RouterWeight => one("ffn_gate_inp.weight", vec![hidden, c.n_experts]),
            L::RouterBias => one("ffn_gate_inp.bias", vec![c.n_experts]),
            L::GateUpWeight => gate_up("weight", vec![hidden, c.intermediate, c.n_experts]),
            L::GateUpBias => gate_up("bias", vec![c.intermediate, c.n_experts]),
            L::DownWeight => one("ffn_down_exps.weight", vec![c.intermediate, hidden, c.n_experts]),
            L::DownBias => one("ffn_down_exps.bias", vec![hidden, c.n_experts]),
        }
    }

    fn named<const N: usize>(names: [String; N], sides: Vec<usize>) -> Self {
        Self { lies: names.into_iter().map(Lies::Whole).collect(), sides }
    }
}

impl Lies {
    /// The tensors that it takes.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Whole(name) | Self::Rows { name, .. } | Self::Fused { name, .. } => vec![name],
            Self::GateAndUp { gate, up } => vec![gate, up],
        }
    }

    /// The sides of each of its tensors, by those of the part.
    pub(super) fn sides(&self, part: &[usize]) -> Vec<usize> {
        let mut sides = part.to_vec();
        match self {
            Self::Whole(_) | Self::GateAndUp { .. } => {}
            Self::Rows { of, .. } => sides.splice(sides.len() - 1.., [*of]).for_each(drop),
            // Before the last side, which counts the experts.
            Self::Fused { .. } => {
                let rows = sides.len() - 2;
                sides[rows] *= 2;
            }
        }
        sides
    }
}
