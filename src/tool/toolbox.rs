//! The tools of a session, under their two names.

/// The tools of a session.
pub struct Toolbox;
/// Why a tool cannot be registered.
pub enum RegisterError {}
