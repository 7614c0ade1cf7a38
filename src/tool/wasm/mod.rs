//! Tools as WASM components.
