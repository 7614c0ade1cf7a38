//! A tool that finds tools: where there are many, a model reads the declarations of a few and looks for the others when it
//! needs them.
//!
//! It knows names and descriptions and calls nothing; what it finds can be called like any other. Start at [`ToolSearch::over`].

use super::{Output, Progress, Recovery, Registered, Tool, ToolError, ToolSpec};
use crate::harmony::declared;
use crate::policy::{Capabilities, Effect, Grant, Integrity, Targets, ToolId};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::HashSet;

/// Declarations in one answer.
const MAX_FOUND: usize = 4;

/// Names in the description, so that a model knows what to look for; more are counted.
const MAX_NAMES: usize = 60;

/// Finds tools by what they do.
pub(super) struct ToolSearch {
    spec: ToolSpec,
    entries: Vec<Entry>,
}

struct Entry {
    name: String,
    /// What a query can hit: the words of its name and of its description.
    words: HashSet<String>,
    declaration: String,
}

impl ToolSearch {
    /// A search over these tools.
    pub(super) fn over<'a>(tools: impl Iterator<Item = &'a Registered>) -> Self {
        let entry = |tool: &Registered| {
            let declaration = tool.declaration();
            let words = words(&format!("{} {}", declaration.name, declaration.description)).collect();
            Entry { words, declaration: declared(&declaration), name: declaration.name }
        };
        let entries: Vec<_> = tools.map(entry).collect();
        let names: Vec<_> = entries.iter().take(MAX_NAMES).map(|entry| entry.name.as_str()).collect();
        let rest = entries.len() - names.len();
        let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let spec = ToolSpec {
            id: ToolId { package: "tools".into(), tool: "search".into() },
            description: format!(
                "Find more functions by what they do, before you call them. There are also: {}{rest}.",
                names.join(", ")
            ),
            parameters: Some(json!({
                "type": "object",
                "properties": { "query": { "type": "string", "description": "A name, or what the function should do" } },
                "required": ["query"],
                "additionalProperties": false,
            })),
            effect: Effect::Pure,
            recovery: Recovery::Repeat,
            wants: Capabilities::default(),
            targets: Targets::default(),
            integrity: Integrity::Trusted,
            builtin: None,
        };
        Self { spec, entries }
    }

    /// Those that fit, the best first.
    fn found(&self, query: &str) -> Vec<&Entry> {
        let query: Vec<String> = words(query).collect();
        // A word that many have says little.
        let weight =
            |word: &String| 1.0 / self.entries.iter().filter(|entry| entry.hit(word) > 0.0).count().max(1) as f64;
        let weights: Vec<f64> = query.iter().map(weight).collect();
        let score =
            |entry: &Entry| query.iter().zip(&weights).map(|(word, weight)| entry.hit(word) * weight).sum::<f64>();
        let mut scored: Vec<_> =
            self.entries.iter().map(|entry| (score(entry), entry)).filter(|(score, _)| *score > 0.0).collect();
        scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        scored.into_iter().take(MAX_FOUND).map(|(_, entry)| entry).collect()
    }
}

impl Entry {
    /// How well a word of a query fits: the whole word, or a beginning that the two have in common ("conversion", "convert").
    fn hit(&self, word: &str) -> f64 {
        if self.words.contains(word) {
            return 1.0;
        }
        let stem = |word: &str| word.chars().take(5).collect::<String>();
        let has_stem = word.chars().count() >= 5 && self.words.iter().any(|own| stem(own) == stem(word));
        if has_stem { 0.5 } else { 0.0 }
    }
}

/// The words of a text, in small letters, that mean something.
fn words(text: &str) -> impl Iterator<Item = String> {
    const MEANINGLESS: [&str; 12] =
        ["a", "an", "the", "of", "to", "in", "for", "and", "or", "with", "function", "tool"];
    let parts = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    parts.filter(|word| !word.is_empty() && !MEANINGLESS.contains(&word.as_str()))
}

#[async_trait]
impl Tool for ToolSearch {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, arguments: Value, _: Grant, _: &Progress) -> Result<Output, ToolError> {
        let query = arguments.get("query").and_then(Value::as_str).unwrap_or_default();
        let found = self.found(query);
        if found.is_empty() {
            let names: Vec<_> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
            return Err(ToolError::Failed(format!("no function fits; there are: {}", names.join(", "))));
        }
        let declarations: String = found.iter().map(|entry| entry.declaration.as_str()).collect();
        Ok(format!("You can call these now:\n\nnamespace functions {{\n\n{declarations}}} // namespace functions")
            .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::Toolbox;
    use crate::tool::native::NativeTool;
    use std::sync::Arc;

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Nothing {}

    fn toolbox() -> Toolbox {
        let mut toolbox = Toolbox::default();
        for (id, description) in [
            ("calc.calc", "Evaluate an arithmetic expression."),
            ("text.diff", "Compare two texts line by line."),
            ("text.hash", "Compute the checksum of a text."),
            ("data.convert", "Convert a table between CSV, JSON and Markdown."),
            ("data.query", "Choose rows and columns of a table."),
        ] {
            let tool = NativeTool::new(id, description, async |_: Nothing| Ok(String::new())).unwrap();
            toolbox.register(Arc::new(tool)).unwrap();
        }
        toolbox
    }

    #[test]
    fn what_fits_comes_first() {
        let toolbox = toolbox();
        let search = ToolSearch::over(toolbox.iter());
        for (query, expect) in [
            ("compare two files", "text_diff"),
            ("text_hash", "text_hash"),
            ("CSV conversion", "data_convert"),
            ("rows of the table", "data_query"),
            ("CHECKSUM!", "text_hash"),
        ] {
            assert_eq!(search.found(query).first().map(|entry| entry.name.as_str()), Some(expect), "{query}");
        }
        for query in ["", "the", "weather", "\u{0}"] {
            assert!(search.found(query).is_empty(), "{query}");
        }
    }

    #[test]
    fn a_toolbox_declares_few_and_has_all() {
        let mut toolbox = toolbox();
        toolbox.declare_at_most(9).unwrap();
        assert_eq!(toolbox.declarations().len(), 5);
        toolbox.declare_at_most(3).unwrap();
        let names: Vec<_> = toolbox.declarations().into_iter().map(|declaration| declaration.name).collect();
        assert_eq!(names, ["calc", "text_diff", "tools_search"]);
        let search = toolbox.resolve("functions.tools_search").unwrap().spec();
        assert!(search.description.contains("data_convert") && !search.description.contains("text_diff"));
        assert!(toolbox.resolve("functions.data_convert").is_ok(), "what is found can be called");
        assert_eq!(toolbox.callable().len(), 6);
    }
}
