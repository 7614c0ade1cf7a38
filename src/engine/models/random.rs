//! A model of the shapes of gpt-oss-20b whose weights mean nothing: for measuring where no model is.
//!
//! What it is not: able to say anything. It is written once as a prepared model; its numbers come from a seed.
//! Start at [`open`].

use super::checkpoint::{Contents, Parts};
use super::{Checkpoint, LoadError, Part, Rows, Stored};
use crate::engine::cpu::config::ModelConfig;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// What it is called.
pub const RANDOM: &str = "random-20b";

const CONFIG: &str = r#"{
    "model_type": "gpt_oss", "vocab_size": 201088, "hidden_size": 2880, "num_hidden_layers": 24,
    "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64, "num_local_experts": 32, "num_experts_per_tok": 4,
    "intermediate_size": 2880, "sliding_window": 128, "rms_norm_eps": 1e-5, "swiglu_limit": 7.0, "rope_theta": 150000.0,
    "max_position_embeddings": 131072, "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0,
        "beta_slow": 1.0, "original_max_position_embeddings": 4096, "truncate": false}
}"#;

/// Opens it. Nothing is made before it is read.
pub(super) fn open() -> Result<Checkpoint, LoadError> {
    let path = Path::new("random weights (inside the program)");
    let config = ModelConfig::parse(CONFIG, path)?;
    Ok(Checkpoint {
        name: RANDOM.to_owned(),
        notice: Some("random weights: they say nothing, and are there to measure with".to_owned()),
        key: *blake3::hash(CONFIG.as_bytes()).as_bytes(),
        n_parameters: Part::all(&config).map(|part| part.n_parameters(&config)).sum(),
        contents: Contents::Parts(Box::new(Random(config.clone()))),
        adapter: None,
        config,
        path: path.to_owned(),
        embedding: None,
        n_shards: 0,
    })
}

struct Random(ModelConfig);

impl Parts for Random {
    fn matrix(&self, part: Part) -> Result<Stored, LoadError> {
        let shape = part.shape(&self.0);
        let n_in = *shape.last().expect("no part is without sides");
        let n_rows = shape.iter().product::<usize>() / n_in;
        Ok(Stored::Other(Arc::new(RandomRows { n_rows, n_in, salt: salt(part), is_mxfp4: part.is_experts_weight() })))
    }

    fn vector(&self, part: Part) -> Result<Vec<f32>, LoadError> {
        let mut numbers = vec![0.0; part.shape(&self.0).iter().product()];
        fill(salt(part), &mut numbers, 0.1);
        if matches!(part, Part::FinalNorm | Part::Layer(_, super::LayerPart::AttentionNorm | super::LayerPart::MlpNorm))
        {
            numbers.iter_mut().for_each(|x| *x += 1.0);
        }
        Ok(numbers)
    }

    fn check(&self, _: Part) -> Result<(), LoadError> {
        Ok(()) // they are what they are made to be
    }

    fn types(&self) -> BTreeMap<String, (usize, u64, u64)> {
        BTreeMap::new()
    }
}

struct RandomRows {
    n_rows: usize,
    n_in: usize,
    salt: u64,
    is_mxfp4: bool,
}

impl Rows for RandomRows {
    fn shape(&self) -> (usize, usize) {
        (self.n_rows, self.n_in)
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        for (row, out) in rows.zip(out.chunks_exact_mut(self.n_in)) {
            fill(self.salt ^ row as u64, out, 1.0 / (self.n_in as f32).sqrt());
        }
    }

    fn read_mxfp4(&self, row: usize, blocks: &mut [[u8; 16]], scales: &mut [u8]) -> bool {
        if self.is_mxfp4 {
            let mut state = seeded(self.salt ^ row as u64);
            for (block, scale) in blocks.iter_mut().zip(scales) {
                *block = ((u128::from(next(&mut state)) << 64) | u128::from(next(&mut state))).to_le_bytes();
                *scale = 117 + (state % 4) as u8;
            }
        }
        self.is_mxfp4
    }
}

fn salt(part: Part) -> u64 {
    u64::from_le_bytes(*blake3::hash(part.name().as_bytes()).as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

fn seeded(seed: u64) -> u64 {
    seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1
}

/// Marsaglia's xorshift.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Numbers between -spread and spread.
fn fill(seed: u64, out: &mut [f32], spread: f32) {
    let mut state = seeded(seed);
    for x in out {
        *x = ((next(&mut state) >> 40) as f32 / (1 << 23) as f32 - 1.0) * spread;
    }
}
