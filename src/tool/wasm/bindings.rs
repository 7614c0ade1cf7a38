//! What `tools/wit/tool.wit` says, as Rust: generated.

#![allow(missing_docs, unreachable_pub)]

wasmtime::component::bindgen!({
    path: "tools/wit",
    world: "guest",
    imports: {
        "ossicle:tool/document.read": async | trappable,
        "ossicle:tool/document.write": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
