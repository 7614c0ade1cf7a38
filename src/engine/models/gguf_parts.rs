//! A GGUF as the engine asks for its parts.
//!
//! What it is not: anything but the other modules' answers in the engine's terms. Start at [`Gguf`].

use super::checkpoint::Parts;
use super::{Gguf, LoadError, Part, Stored};
use std::collections::BTreeMap;

impl Parts for Gguf {
    fn matrix(&self, part: Part) -> Result<Stored, LoadError> {
        self.rows(part).map(Stored::Other)
    }

    fn vector(&self, part: Part) -> Result<Vec<f32>, LoadError> {
        self.vector(part)
    }

    fn check(&self, part: Part) -> Result<(), LoadError> {
        self.check(part)
    }

    fn types(&self) -> BTreeMap<String, (usize, u64, u64)> {
        let mut types = BTreeMap::new();
        for tensor in self.tensors() {
            let entry = types.entry(tensor.type_name).or_insert((0, 0, 0));
            *entry = (entry.0 + 1, entry.1 + tensor.n_elements, entry.2 + tensor.n_bytes);
        }
        types
    }
}
