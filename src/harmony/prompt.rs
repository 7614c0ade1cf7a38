//! The text of system and developer messages, byte for byte as the models were trained on it. Which tools and which
//! instructions there are is not decided here. Start at [`system`] and [`developer`].

use super::{Builtin, Declaration, DeveloperContent, SystemContent, schema, simplify::simplify};

/// How a JSON Schema is read before it is declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `$ref` is inlined, `anyOf` is read as `oneOf`, `const` and untyped enums get their type. The default.
    #[default]
    Inlined,
    /// As the reference implementation: what it does not know is `any`.
    Reference,
}

/// The text of a system message.
pub(super) fn system(content: &SystemContent, dialect: Dialect) -> String {
    let mut top = vec![content.model_identity.clone()];
    top.extend(content.knowledge_cutoff.iter().map(|month| format!("Knowledge cutoff: {month}")));
    top.extend(content.current_date.iter().map(|day| format!("Current date: {day}")));

    let mut sections = vec![top.join("\n"), format!("Reasoning: {}", content.reasoning_effort.as_str())];
    if !content.builtins.is_empty() {
        sections.push(tools(content.builtins.iter().map(|builtin| namespace(builtin, dialect))));
    }
    if !content.channels.is_empty() {
        let names: Vec<_> = content.channels.iter().map(|channel| channel.as_str()).collect();
        let mut line = format!("# Valid channels: {}. Channel must be included for every message.", names.join(", "));
        if content.functions_declared {
            line.push_str("\nCalls to these tools must go to the commentary channel: 'functions'.");
        }
        sections.push(line);
    }
    sections.join("\n\n")
}

/// The text of a developer message.
pub(super) fn developer(content: &DeveloperContent, dialect: Dialect) -> String {
    let mut sections = Vec::new();
    if let Some(instructions) = content.instructions.as_deref().filter(|text| !text.is_empty()) {
        sections.push(format!("# Instructions\n\n{instructions}"));
    }
    if !content.functions.is_empty() {
        sections.push(tools([functions("functions", "", &content.functions, dialect)]));
    }
    if !content.response_formats.is_empty() {
        sections.push("# Response Formats".into());
        sections.extend(content.response_formats.iter().map(|format| {
            let about = comment(&format.description);
            format!("## {}\n\n{}{}{}", format.name, about, if about.is_empty() { "" } else { "\n" }, format.schema)
        }));
    }
    sections.join("\n\n")
}

fn tools(namespaces: impl IntoIterator<Item = String>) -> String {
    let mut sections = vec!["# Tools".to_owned()];
    sections.extend(namespaces);
    sections.join("\n\n")
}

fn namespace(builtin: &Builtin, dialect: Dialect) -> String {
    if builtin.functions.is_empty() {
        let title = format!("## {}\n", builtin.name);
        let lines: Vec<_> = std::iter::once(title.as_str()).chain(builtin.description.lines()).collect();
        return lines.join("\n");
    }
    functions(&builtin.name, &builtin.description, &builtin.functions, dialect)
}

fn functions(namespace: &str, description: &str, declarations: &[Declaration], dialect: Dialect) -> String {
    let mut text = format!("## {namespace}\n\n{}namespace {namespace} {{\n\n", comment(description));
    text.extend(declarations.iter().map(|declaration| function(declaration, dialect)));
    text.push_str(&format!("}} // namespace {namespace}"));
    text
}

/// One function, as it stands in its namespace, with the empty line that follows it.
fn function(declaration: &Declaration, dialect: Dialect) -> String {
    let parameters = declaration.parameters.as_ref().map(|parameters| match dialect {
        Dialect::Inlined => schema::declare(&simplify(parameters)),
        Dialect::Reference => schema::declare(parameters),
    });
    let argument = parameters.map(|object| format!("_: {object}")).unwrap_or_default();
    format!("{}type {} = ({argument}) => any;\n\n", comment(&declaration.description), declaration.name)
}

/// A declaration as a model reads it in the developer's message, for one that it is told of later.
pub fn declared(declaration: &Declaration) -> String {
    function(declaration, Dialect::default())
}

fn comment(text: &str) -> String {
    text.lines().map(|line| format!("// {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harmony::ResponseFormat;
    use serde_json::json;

    #[test]
    fn an_empty_part_leaves_no_trace() {
        let empty = DeveloperContent { instructions: Some(String::new()), ..DeveloperContent::default() };
        assert_eq!(developer(&empty, Dialect::default()), "");
    }

    #[test]
    fn response_formats_stand_last() {
        let format = |description: &str| ResponseFormat {
            name: "list".into(),
            description: description.into(),
            schema: json!({"type": "object", "properties": {"a": {"type": "string"}}}),
        };
        let schema = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
        for (description, expected) in [
            ("", format!("# Instructions\n\nBe brief.\n\n# Response Formats\n\n## list\n\n{schema}")),
            (
                "A list.",
                format!("# Instructions\n\nBe brief.\n\n# Response Formats\n\n## list\n\n// A list.\n\n{schema}"),
            ),
        ] {
            let content = DeveloperContent {
                instructions: Some("Be brief.".into()),
                response_formats: vec![format(description)],
                ..DeveloperContent::default()
            };
            assert_eq!(developer(&content, Dialect::default()), expected);
        }
    }

    #[test]
    fn the_dialects_differ_in_what_the_reference_does_not_know() {
        let parameters = json!({"type": "object", "properties": {"a": {"const": "x"}}, "required": ["a"]});
        let content = DeveloperContent {
            instructions: None,
            functions: vec![Declaration { name: "f".into(), description: "F.".into(), parameters: Some(parameters) }],
            ..DeveloperContent::default()
        };
        let declared = |argument: &str| {
            format!(
                "# Tools\n\n## functions\n\nnamespace functions {{\n\n// F.\ntype f = (_: {{\na: {argument},\n}}) => any;\n\n\
                 }} // namespace functions"
            )
        };
        assert_eq!(developer(&content, Dialect::Reference), declared("any"));
        assert_eq!(developer(&content, Dialect::Inlined), declared("\"x\""));
    }
}
