//! A tool that imports an interface no host provides; only for the host's tests.
//!
//! It must fail when it is instantiated, not when it is called. All of it is the world and one `call`.

#[cfg(target_family = "wasm")]
mod export {
    wit_bindgen::generate!({
        path: "../wit",
        world: "ossicle:ungranted/ungranted",
        generate_all,
        inline: "
            package ossicle:ungranted;

            interface nothing {
                ask: func() -> string;
            }

            world ungranted {
                include ossicle:tool/tool@0.2.0;
                import nothing;
            }
        ",
    });

    use exports::ossicle::tool::tools::{Guest, Output, ToolError, ToolSpec};

    struct Tool;

    impl Guest for Tool {
        fn describe() -> Vec<ToolSpec> {
            vec![ToolSpec {
                name: "ask".into(),
                description: "Asks for what it was not granted.".into(),
                parameters: r#"{"type":"object"}"#.into(),
            }]
        }

        fn call(_name: String, _arguments: String) -> Result<Output, ToolError> {
            Ok(Output { text: ossicle::ungranted::nothing::ask(), attachments: Vec::new() })
        }
    }

    export!(Tool);
}
