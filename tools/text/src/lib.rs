//! The tools over texts: `match`, `replace`, `diff`, `hash` and `encode`.
//!
//! A text is an argument: nothing here reads a file. Start at [`call`].

pub mod difference;
pub mod encoding;
pub mod pattern;

use serde::Deserialize;
use tool_guest::Failure;

use encoding::{Algorithm, Encoding};
use pattern::{Find, Substitute};

/// The most bytes of a text. A match, a difference or an encoding of a longer one is nothing a model could read.
pub const LIMIT: usize = 1 << 20;

/// The most bytes of a text that is given back whole; a little less than a host hands on.
const WHOLE: usize = 60_000;

/// The most bytes of a page of a list.
const PAGE: usize = 12_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Match {
    text: String,
    pattern: String,
    #[serde(default)]
    ignore_case: bool,
    #[serde(default)]
    skip: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replace {
    text: String,
    pattern: String,
    replacement: String,
    #[serde(default)]
    literal: bool,
    #[serde(default)]
    ignore_case: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Diff {
    old: String,
    new: String,
    #[serde(default)]
    skip: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hash {
    text: String,
    #[serde(default)]
    algorithm: Algorithm,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Encode {
    text: String,
    encoding: Encoding,
    #[serde(default)]
    decode: bool,
}

/// Runs the tool of this name.
pub fn call(name: &str, arguments: &str) -> Result<String, Failure> {
    let result = match name {
        "match" => {
            let Match { text, pattern, ignore_case, skip } = tool_guest::arguments(arguments)?;
            checked(&text).and_then(|text| Find::new(&pattern, ignore_case)?.all(text, skip))
        }
        "replace" => {
            let Replace { text, pattern, replacement, literal, ignore_case } = tool_guest::arguments(arguments)?;
            let substitute = Substitute::new(&pattern, &replacement, literal, ignore_case);
            checked(&text).and_then(|text| substitute?.all(text, WHOLE))
        }
        "diff" => {
            let Diff { old, new, skip } = tool_guest::arguments(arguments)?;
            checked(&old).and_then(|old| difference::unified(old, checked(&new)?, skip))
        }
        "hash" => {
            let Hash { text, algorithm } = tool_guest::arguments(arguments)?;
            checked(&text).map(|text| encoding::hash(text, algorithm))
        }
        "encode" => {
            let Encode { text, encoding, decode } = tool_guest::arguments(arguments)?;
            checked(&text)
                .and_then(|text| if decode { encoding.decode(text) } else { Ok(encoding.encode(text)) })
                .and_then(whole)
        }
        _ => return Err(tool_guest::unknown(name)),
    };
    result.map_err(Failure::Arguments)
}

fn checked(text: &str) -> Result<&str, String> {
    if text.len() > LIMIT {
        return Err("a text may have 1 MiB at most; pass a part of it".into());
    }
    Ok(text)
}

fn whole(text: String) -> Result<String, String> {
    if text.len() > WHOLE {
        return Err(format!("the result has {} bytes, more than {WHOLE}; pass the text in parts", text.len()));
    }
    Ok(text)
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

#[cfg(test)]
mod tests;
