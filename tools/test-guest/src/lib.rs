//! A tool that misbehaves on request, once for every limit the host must hold; only for the host's tests.
//!
//! Not a bundled tool: it is built into the fixtures. All of it is the `match` in `call`.

#[cfg(target_family = "wasm")]
mod export {
    use std::hint::black_box;
    use tool_guest::bindings::exports::ossicle::tool::tools::{Guest, Output, ToolError, ToolSpec};

    const TOOLS: [(&str, &str); 6] = [
        ("spin", "Never comes back."),
        ("eat", "Allocates until there is no more memory."),
        ("trap", "Stops with a trap."),
        ("recurse", "Calls itself until the stack ends."),
        ("flood", "Gives 10 MB of text."),
        ("echo", "Gives its arguments back."),
    ];

    struct Tool;

    impl Guest for Tool {
        fn describe() -> Vec<ToolSpec> {
            let spec = |(name, description): (&str, &str)| ToolSpec {
                name: name.into(),
                description: description.into(),
                parameters: r#"{"type":"object"}"#.into(),
            };
            TOOLS.into_iter().map(spec).collect()
        }

        fn call(name: String, arguments: String) -> Result<Output, ToolError> {
            let text = |text: String| Ok(Output { text, attachments: Vec::new() });
            match name.as_str() {
                "spin" => spin(),
                "eat" => eat(),
                "trap" => std::process::abort(),
                "recurse" => text(recurse(1).to_string()),
                "flood" => text("flood ".repeat(10_000_000 / 6)),
                "echo" => text(arguments),
                _ => Err(ToolError::UnknownTool(name)),
            }
        }
    }

    fn spin() -> ! {
        let mut turns = 0u64;
        loop {
            turns = black_box(turns).wrapping_add(1);
        }
    }

    fn eat() -> ! {
        let mut eaten = Vec::new();
        loop {
            eaten.push(black_box(vec![1u8; 1 << 20]));
        }
    }

    #[allow(unconditional_recursion, reason = "the end of the stack is what this tests")]
    fn recurse(depth: u64) -> u64 {
        let frame = black_box([depth; 64]);
        black_box(recurse(black_box(depth + 1))).wrapping_add(frame[depth as usize % 64])
    }

    tool_guest::exported!(Tool);
}
