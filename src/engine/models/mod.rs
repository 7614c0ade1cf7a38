//! Where checkpoints lie and how they are opened.

/// Why no model could be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {}
