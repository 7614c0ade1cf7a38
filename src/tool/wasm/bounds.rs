//! How large the parts of a component may be, looked at before it is compiled.
//!
//! A compiler's time and memory grow faster than the function that it compiles; what is held to these bounds takes at worst
//! seconds for each MiB. Whether the component is valid is the compiler's matter.

use wasmparser::{Parser, Payload};

/// Bytes of one function. The largest of CPython, its interpreter's loop, has less than 200 kB.
const MAX_FUNCTION: usize = 1 << 20;

/// Functions of all modules together.
const MAX_FUNCTIONS: u32 = 200_000;

/// Why a component is not compiled, if it is not.
pub(super) fn check(component: &[u8]) -> Result<(), String> {
    let mut n_functions = 0u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| format!("it is no component: {error}"))? {
            Payload::CodeSectionStart { count, .. } => n_functions = n_functions.saturating_add(count),
            Payload::CodeSectionEntry(body) if body.range().len() > MAX_FUNCTION => {
                return Err(format!(
                    "it has a function of {} bytes, and at most {MAX_FUNCTION} are compiled",
                    body.range().len()
                ));
            }
            _ => {}
        }
        if n_functions > MAX_FUNCTIONS {
            return Err(format!("it has more than {MAX_FUNCTIONS} functions"));
        }
    }
    Ok(())
}
