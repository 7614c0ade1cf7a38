//! The tools that the models were trained with, in the words of their training: [`Builtin::browser`] and
//! [`Builtin::python`]. What the tools do is not known here, only how the system message declares them.
//!
//! The words are part of the format (source: openai-harmony 0.0.8), and every one of them counts: a model that reads
//! others uses the tools less well. One sentence is ours, because it has to be true: whether code has a network.

use super::{Builtin, Declaration};
use serde_json::{Value, json};

const BROWSER: &str = "Tool for browsing.\n\
    The `cursor` appears in brackets before each browsing display: `[{cursor}]`.\n\
    Cite information from the tool using the following format:\n\
    `【{cursor}†L{line_start}(-L{line_end})?】`, for example: `【6†L9-L11】` or `【8†L3】`.\n\
    Do not quote more than 10 words directly from the tool output.\n\
    sources=";

const SEARCH: &str = "Searches for information related to `query` and displays `topn` results.";

const OPEN: &str = "Opens the link `id` from the page indicated by `cursor` starting at line number `loc`, showing `num_lines` lines.\n\
    Valid link ids are displayed with the formatting: `【{id}†.*】`.\n\
    If `cursor` is not provided, the most recent page is implied.\n\
    If `id` is a string, it is treated as a fully qualified URL associated with `source`.\n\
    If `loc` is not provided, the viewport will be positioned at the beginning of the document or centered on the most \
    relevant passage, if available.\n\
    Use this function without `id` to scroll to a new location of an opened page.";

const FIND: &str = "Finds exact matches of `pattern` in the current page, or the page given by `cursor`.";

const PYTHON: &str = "Use this tool to execute Python code in your chain of thought. The code will not be shown to the user. This \
    tool should be used for internal reasoning, but not for code that is intended to be visible to the user (e.g. when \
    creating plots, tables, or files).\n\n\
    When you send a message containing Python code to python, it will be executed in a stateful Jupyter notebook \
    environment. python will respond with the output of the execution or time out after ";

const PYTHON_FILES: &str = " seconds. The drive at '/mnt/data' can be used to save and persist user files.";

impl Builtin {
    /// `browser.search`, `browser.open` and `browser.find`, which take JSON. Of the sources of pages (the models were trained with
    /// `web`), the first is the default one.
    pub fn browser(sources: &[&str]) -> Self {
        let number = || json!({"type": "number", "default": -1});
        Self {
            name: "browser".into(),
            description: format!("{BROWSER}{} (default: {})", sources.join(", "), sources.first().unwrap_or(&"web")),
            functions: vec![
                function(
                    "search",
                    SEARCH,
                    json!({
                        "type": "object",
                        "properties": {
                            "query": {"type": "string"},
                            "topn": {"type": "number", "default": 10},
                            "source": {"type": "string"},
                        },
                        "required": ["query"],
                    }),
                ),
                function(
                    "open",
                    OPEN,
                    json!({
                        "type": "object",
                        "properties": {
                            "id": {"type": ["number", "string"], "default": -1},
                            "cursor": number(),
                            "loc": number(),
                            "num_lines": number(),
                            "view_source": {"type": "boolean", "default": false},
                            "source": {"type": "string"},
                        },
                    }),
                ),
                function(
                    "find",
                    FIND,
                    json!({
                        "type": "object",
                        "properties": {"pattern": {"type": "string"}, "cursor": number()},
                        "required": ["pattern"],
                    }),
                ),
            ],
        }
    }

    /// `python`, which takes raw code: stateful, stopped after `limit_s` seconds, files under `/mnt/data`, no network.
    pub fn python(limit_s: u32) -> Self {
        let internet = " Internet access for this session is disabled.";
        Self {
            name: "python".into(),
            description: format!("{PYTHON}{limit_s}.0{PYTHON_FILES}{internet}"),
            functions: Vec::new(),
        }
    }
}

fn function(name: &str, description: &str, parameters: Value) -> Declaration {
    Declaration { name: name.into(), description: description.into(), parameters: Some(parameters) }
}
