//! What `filesystem.wit` and `tools/python/python.wit` say, as Rust: generated.

#![allow(missing_docs, unreachable_pub)]

pub(super) mod files {
    wasmtime::component::bindgen!({
        path: "src/tool/wasm/interpreter/filesystem.wit",
        imports: {
            "wasi:filesystem/types.[method]descriptor.read": async | trappable,
            "wasi:filesystem/types.[method]descriptor.read-directory": async | trappable,
            "wasi:filesystem/types.[method]descriptor.create-directory-at": async | trappable,
            "wasi:filesystem/types.[method]descriptor.stat": async | trappable,
            "wasi:filesystem/types.[method]descriptor.stat-at": async | trappable,
            "wasi:filesystem/types.[method]descriptor.open-at": async | trappable,
            "wasi:filesystem/types.[method]descriptor.remove-directory-at": async | trappable,
            "wasi:filesystem/types.[method]descriptor.rename-at": async | trappable,
            "wasi:filesystem/types.[method]descriptor.unlink-file-at": async | trappable,
            default: trappable,
        },
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:filesystem/types.descriptor": super::super::drive::Opened,
            "wasi:filesystem/types.directory-entry-stream": super::super::filesystem::Entries,
        },
    });
}

pub(super) mod python {
    wasmtime::component::bindgen!({
        path: "tools/python/python.wit",
        exports: { default: async },
    });
}
