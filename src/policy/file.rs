//! Policy files in TOML.

/// A rule's answer.
pub enum Answer {}
/// Why a policy does not load.
pub enum PolicyError {}
/// One rule.
pub enum Rule {}
