//! Our harmony and the reference implementation, openai-harmony, side by side. Start at [`reference`]; README.md lists
//! where the two differ and why.

#[path = "../../../src/harmony/mod.rs"]
pub mod harmony;
pub mod reference;
