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

    use tool_guest::{Failure, Output};

    struct Tools;

    impl tool_guest::Package for Tools {
        const TOOLS: &'static str = include_str!("../tools.json");

        fn call(name: &str, arguments: &str) -> Result<Output, Failure> {
            crate::call(name, arguments).map(Output::from)
        }
    }

    tool_guest::export!(Tools);
}
