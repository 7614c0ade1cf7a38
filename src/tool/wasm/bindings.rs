//! What `tools/wit/tool.wit` says, as Rust: generated.

#![allow(missing_docs, unreachable_pub)]

wasmtime::component::bindgen!({
    path: "tools/wit",
    world: "guest",
    imports: {
        "ossicle:tool/document": async | trappable,
        "ossicle:tool/store": async | trappable,
        "ossicle:tool/folder": async | trappable,
        "ossicle:tool/http": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
