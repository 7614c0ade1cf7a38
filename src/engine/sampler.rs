//! How the next token is chosen.

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingParams {
    /// 0 is greedy.
    pub temperature: f32,
    /// Nucleus: 1 keeps all.
    pub top_p: f32,
    /// 0 keeps all.
    pub top_k: usize,
    /// Relative to the most probable token: 0 keeps all.
    pub min_p: f32,
    /// The same seed and the same tokens in give the same tokens out.
    pub seed: u64,
}
