//! The tool `calc`: one expression in, its exact value out.
//!
//! Knows no variables, no units and no floating point. Start at [`call`]; the arithmetic is in [`value`], the grammar
//! in [`expression`].

pub mod expression;
pub mod value;

use serde::Deserialize;
use tool_guest::Failure;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Calc {
    expression: String,
}

/// Runs the tool of this name.
pub fn call(name: &str, arguments: &str) -> Result<String, Failure> {
    match name {
        "calc" => {
            let calc: Calc = tool_guest::arguments(arguments)?;
            let value = expression::evaluate(&calc.expression).map_err(Failure::Arguments)?;
            Ok(value.to_string())
        }
        _ => Err(tool_guest::unknown(name)),
    }
}

#[cfg(target_family = "wasm")]
mod export {
    //! The component's side of `wit/tool.wit`.

    use tool_guest::Failure;

    wit_bindgen::generate!({ path: "../wit", world: "tool" });

    struct Tool;

    impl Guest for Tool {
        fn describe() -> Vec<ToolSpec> {
            let spec = |spec: tool_guest::Spec| ToolSpec {
                name: spec.name,
                description: spec.description,
                parameters: spec.parameters.get().to_owned(),
            };
            tool_guest::specs(include_str!("../tools.json")).into_iter().map(spec).collect()
        }

        fn call(name: String, arguments: String) -> Result<String, ToolError> {
            crate::call(&name, &arguments).map_err(|failure| match failure {
                Failure::Arguments(text) => ToolError::InvalidArguments(text),
                Failure::Unknown(text) => ToolError::UnknownTool(text),
                Failure::Failed(text) => ToolError::Failed(text),
            })
        }
    }

    export!(Tool);
}
