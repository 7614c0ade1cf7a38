//! How far the logits of a prepared model lie from those of the checkpoint that it was made from.
//!
//! What it is not: a judgement of answers; it reads one short text. Start at [`drift`].

use super::forward::{Model, State};
use super::kernels::{Kernels, pool::Pool};
use super::kv_cache::{CacheFormat, KvCache};
use super::weights::Weights;
use crate::engine::models::{Checkpoint, LoadError};
use crate::harmony::{Token, tokenizer};
use std::fmt;

const TEXT: &str = "The stirrup is the smallest bone of the body. It lies in the middle ear, weighs about three milligrams, and \
passes on what the anvil tells it: def area(r): return 3.14159 * r ** 2. Wie viel ist 23 mal 47?";

/// How far logits have moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// The root of the mean square of the differences, in units of how far the logits spread.
    pub typical: f32,
    /// The largest difference, in the same units.
    pub largest: f32,
    /// Places at which the likeliest token is the same.
    pub n_same: usize,
    /// Places that were looked at.
    pub n: usize,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { typical, largest, n_same, n } = self;
        write!(f, "logits move by {typical:.3} of their spread, {largest:.2} at most; ")?;
        write!(f, "the likeliest token stays the same at {n_same} of {n} places")
    }
}

/// Reads a short text with both models.
///
/// # Errors
/// Those of opening them.
pub fn drift(checkpoint: &Checkpoint, prepared: &Checkpoint, n_threads: usize) -> Result<Drift, LoadError> {
    let n_vocab = checkpoint.config.n_vocab as Token;
    let tokens: Vec<Token> = tokenizer::encode_ordinary(TEXT).into_iter().map(|token| token % n_vocab).collect();
    let expected = logits(checkpoint, &tokens, CacheFormat::F32, n_threads)?;
    let found = logits(prepared, &tokens, CacheFormat::F16, n_threads)?;
    let (mut squares, mut largest, mut sum, mut sum_of_squares, mut n_same) = (0f64, 0f32, 0f64, 0f64, 0);
    for (expected, found) in expected.iter().zip(&found) {
        n_same += usize::from(likeliest(expected) == likeliest(found));
        for (expected, found) in expected.iter().zip(found) {
            squares += f64::from(found - expected).powi(2);
            largest = largest.max((found - expected).abs());
            sum += f64::from(*expected);
            sum_of_squares += f64::from(*expected).powi(2);
        }
    }
    let n = (tokens.len() * n_vocab as usize) as f64;
    let spread = (sum_of_squares / n - (sum / n).powi(2)).sqrt().max(f64::MIN_POSITIVE);
    let typical = ((squares / n).sqrt() / spread) as f32;
    Ok(Drift { typical, largest: largest / spread as f32, n_same, n: tokens.len() })
}

/// After each token. [n][n_vocab]
fn logits(
    checkpoint: &Checkpoint,
    tokens: &[Token],
    format: CacheFormat,
    n_threads: usize,
) -> Result<Vec<Vec<f32>>, LoadError> {
    let model = Model::new(checkpoint.config.clone(), Weights::open(checkpoint)?, Kernels::best());
    let mut cache = KvCache::new(&model.config, tokens.len(), format);
    let mut state = State::new(&model.config, tokens.len());
    let mut pool = Pool::new(n_threads.max(1)).map_err(LoadError::Thread)?;
    let pass = model.forward(tokens, &mut cache, &mut state, &mut pool, &mut |_| false);
    pass.expect("nobody cancels it");
    Ok((0..tokens.len()).map(|idx| model.logits(idx, &mut state, &mut pool).to_vec()).collect())
}

fn likeliest(logits: &[f32]) -> Option<usize> {
    logits.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(idx, _)| idx)
}

#[cfg(test)]
mod tests {
    use super::super::goldens::checkpoint;
    use super::*;
    use crate::engine::models::{Preparation, prepare};

    #[test]
    fn rounding_moves_what_was_tuned_further_than_what_lay_on_the_grid() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str, experts_in_q8: bool| {
            let preparation = Preparation { experts_in_q8, n_threads: 1 };
            let prepared = prepare(&checkpoint(name), preparation, folder.path(), &mut |_, _| true).unwrap();
            drift(&checkpoint(name), &prepared, 1).unwrap()
        };
        let (saved, tuned, in_q8) = (of("custom/saved", false), of("custom/tuned", false), of("custom/tuned", true));
        assert!(saved.typical < 0.2 && saved.n_same * 10 > saved.n * 8, "{saved}");
        assert!(tuned.typical > 1.5 * saved.typical, "{tuned}, and {saved} on the grid");
        assert!(in_q8.typical < tuned.typical / 1.5, "{in_q8} in Q8, and {tuned} in MXFP4");
        let itself = drift(&checkpoint("grouped"), &checkpoint("grouped"), 2).unwrap();
        assert!(itself.typical < 2e-3 && itself.n_same + 2 > itself.n, "{itself}");
    }
}
