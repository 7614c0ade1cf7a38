//! The tools of a session under their two names: the identity `notes.add` that people see, and `functions.notes_add`,
//! which the model sees.
//!
//! It runs nothing: it finds the tool that a recipient means and checks what is sent to it. Start at [`Toolbox::register`].

use super::search::ToolSearch;
use super::{Tool, ToolError, ToolSpec, arguments, mcp};
use crate::harmony::{Builtin, Declaration};
use crate::policy::ToolId;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// Names that the model was trained to use in one fixed way. A tool of the user's that is called so gets another one:
/// models use it far more reliably.
const TRAINED_NAMES: &[&str] = &[
    "python",
    "browser",
    "container",
    "bash",
    "shell",
    "terminal",
    "exec",
    "functions",
    "assistant",
    "user",
    "system",
    "developer",
];

/// The one argument of a built-in that takes raw code.
pub(super) const CODE: &str = "code";

/// What models write right behind a name, without the space that ends it.
const GLUED: &[&str] = &["json", "code", "commentary", "analysis", "assistant"];

const MAX_NAME_LENGTH: usize = 64;

/// The tools of a session, in the order of their declarations.
#[derive(Default)]
pub struct Toolbox {
    tools: Vec<Registered>,
}

/// A tool with the name that the model sees.
pub struct Registered {
    tool: Arc<dyn Tool>,
    name: String,
    validator: jsonschema::Validator,
    /// Whether the model reads of it from the beginning.
    is_declared: bool,
}

/// Why a tool cannot be registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Its identity is not `package.tool`.
    #[error("`{0}` is not a tool's identity: write `package.tool`, each of letters, digits, `_` and `-`")]
    Identity(String),
    /// The model could not call it by its name.
    #[error(
        "the tool `{id}` would be called `{name}`, and a name has 1 to {MAX_NAME_LENGTH} letters, digits, `_` and `-`"
    )]
    Name {
        /// The tool.
        id: ToolId,
        /// What the model would see.
        name: String,
    },
    /// Another tool has the identity: policy could not tell them apart.
    #[error("there is a tool `{0}` already; give this one another name")]
    Taken(ToolId),
    /// Another tool has the name.
    #[error("the tools `{first}` and `{second}` would both be called `{name}`; rename one of them")]
    Collision {
        /// What the model would see.
        name: String,
        /// The tool that has the name.
        first: ToolId,
        /// The tool that wants it.
        second: ToolId,
    },
    /// Its parameters are not a usable schema.
    #[error("the parameters of the tool `{id}` are not a usable JSON Schema: {problem}")]
    Schema {
        /// The tool.
        id: ToolId,
        /// What is wrong with them.
        problem: String,
    },
}

/// A recipient that is no tool. `Display` is what the model reads: the real names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTool {
    recipient: String,
    names: Vec<String>,
}

impl fmt::Display for UnknownTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no function `{}`; ", self.recipient)?;
        match &self.names[..] {
            [] => write!(f, "there are none: answer without"),
            names => write!(f, "the functions are {}", names.join(", ")),
        }
    }
}

impl Toolbox {
    /// Adds a tool. Its schema is compiled now, so that it is refused here and not at its first call.
    pub fn register(&mut self, tool: Arc<dyn Tool>) -> Result<(), RegisterError> {
        let spec = tool.spec();
        let name = match &spec.builtin {
            Some(builtin) => trained_name(builtin),
            None => model_name(&spec.id),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || c == '.' && spec.builtin.is_some();
        if name.is_empty() || name.len() > MAX_NAME_LENGTH || !name.chars().all(fits) {
            return Err(RegisterError::Name { id: spec.id.clone(), name });
        }
        if self.tools.iter().any(|other| other.spec().id == spec.id) {
            return Err(RegisterError::Taken(spec.id.clone()));
        }
        if let Some(other) = self.tools.iter().find(|other| other.name == name) {
            let first = other.spec().id.clone();
            return Err(RegisterError::Collision { name, first, second: spec.id.clone() });
        }
        let unusable = |problem: String| RegisterError::Schema { id: spec.id.clone(), problem };
        let none = json!({ "type": "object", "properties": {}, "additionalProperties": false });
        let schema = spec.parameters.as_ref().unwrap_or(&none);
        if schema.get("type").is_none_or(|kind| kind != "object") {
            return Err(unusable("its type must be object".into()));
        }
        let validator = arguments::validator(schema).map_err(unusable)?;
        self.tools.push(Registered { tool, name, validator, is_declared: true });
        Ok(())
    }

    /// Where there are more tools than `n`, leaves the last ones to a search that is declared in their place. They can be
    /// called all the same.
    pub fn declare_at_most(&mut self, n: usize) -> Result<(), RegisterError> {
        let functions = || self.tools.iter().filter(|tool| !tool.is_builtin());
        if functions().count() <= n {
            return Ok(());
        }
        let mut hidden: Vec<_> =
            self.tools.iter_mut().filter(|tool| !tool.is_builtin()).skip(n.saturating_sub(1)).collect();
        hidden.iter_mut().for_each(|tool| tool.is_declared = false);
        let search = ToolSearch::over(hidden.iter().map(|tool| &**tool));
        self.register(Arc::new(search))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Registered> {
        self.tools.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// What the model reads from the beginning, in the order of registration.
    pub fn declarations(&self) -> Vec<Declaration> {
        let declared = |tool: &&Registered| tool.is_declared && !tool.is_builtin();
        self.tools.iter().filter(declared).map(Registered::declaration).collect()
    }

    /// The tools that the models were trained with, as the system message declares them, those of one name together.
    pub fn builtins(&self) -> Vec<Builtin> {
        let mut builtins: Vec<Builtin> = Vec::new();
        for builtin in self.tools.iter().filter_map(|tool| tool.spec().builtin.as_ref()) {
            match builtins.iter_mut().find(|other| other.name == builtin.name) {
                Some(other) => other.functions.extend(builtin.functions.iter().cloned()),
                None => builtins.push(builtin.clone()),
            }
        }
        builtins
    }

    /// The functions that the model can call: these, and those that it has to look for.
    pub fn callable(&self) -> Vec<Declaration> {
        self.tools.iter().filter(|tool| !tool.is_builtin()).map(Registered::declaration).collect()
    }

    /// The tool that a recipient means: `functions.notes_add`, the bare name, the identity `notes.add`, or the one tool
    /// whose own part of the name it is (`add`). A header's next word may be glued to it (`notes_addjson`).
    pub fn resolve(&self, recipient: &str) -> Result<&Registered, UnknownTool> {
        let name = recipient.strip_prefix("functions.").unwrap_or(recipient);
        let by_part = || {
            let mut fitting = self.tools.iter().filter(|tool| tool.spec().id.tool == name);
            fitting.next().filter(|_| fitting.next().is_none())
        };
        let unglued = || GLUED.iter().find_map(|word| self.named(name.strip_suffix(word)?));
        self.named(name).or_else(by_part).or_else(unglued).ok_or_else(|| UnknownTool {
            recipient: name.chars().take(MAX_NAME_LENGTH).collect(),
            names: self.tools.iter().map(|tool| tool.name.clone()).collect(),
        })
    }

    /// The tool of exactly that name: what the model sees, with or without the namespace, or the identity.
    pub fn named(&self, name: &str) -> Option<&Registered> {
        let name = name.strip_prefix("functions.").unwrap_or(name);
        self.tools.iter().find(|tool| tool.name == name || tool.spec().id.to_string() == name)
    }
}

impl Registered {
    /// The tool itself.
    pub fn tool(&self) -> &Arc<dyn Tool> {
        &self.tool
    }

    /// What is known of it.
    pub fn spec(&self) -> &ToolSpec {
        self.tool.spec()
    }

    /// What the model reads of it.
    pub fn declaration(&self) -> Declaration {
        let ToolSpec { description, parameters, .. } = self.spec();
        Declaration { name: self.name.clone(), description: description.clone(), parameters: parameters.clone() }
    }

    /// Whether it is one of those that the models were trained with.
    pub fn is_builtin(&self) -> bool {
        self.spec().builtin.is_some()
    }

    /// The recipient of a call: `functions.notes_add`, `browser.open`, `python`.
    pub fn recipient(&self) -> String {
        if self.is_builtin() { self.name.clone() } else { format!("functions.{}", self.name) }
    }

    /// A call's arguments, checked against the schema. Code comes as it is; that some write it as JSON, `{"code": "..."}`, is
    /// understood.
    pub fn arguments(&self, text: &str) -> Result<Value, ToolError> {
        let parsed = arguments::parse(text, &self.validator, self.spec().parameters.as_ref());
        let takes_code = self.spec().builtin.as_ref().is_some_and(|builtin| builtin.functions.is_empty());
        match parsed {
            Err(_) if takes_code => Ok(json!({ (CODE): text })),
            other => other,
        }
    }
}

/// `python`, `browser.open`: a built-in's own name, and that of its one function here.
fn trained_name(builtin: &Builtin) -> String {
    match builtin.functions.first() {
        Some(function) => format!("{}.{}", builtin.name, function.name),
        None => builtin.name.clone(),
    }
}

/// `notes_add`; plain `calc` when package and tool have one name; `mcp__files__read` for a tool of an MCP server; `bash_tool`
/// for a name with a meaning of its own.
fn model_name(id: &ToolId) -> String {
    let name = if id.package == id.tool {
        id.tool.clone()
    } else if id.package.starts_with(mcp::PACKAGE) {
        // As other programs name the tools of MCP servers.
        format!("{}__{}", id.package, id.tool)
    } else {
        format!("{}_{}", id.package, id.tool)
    };
    if TRAINED_NAMES.contains(&name.as_str()) { format!("{name}_tool") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::native::NativeTool;

    fn tool(id: &str) -> Arc<dyn Tool> {
        Arc::new(NativeTool::new(id, "Nothing.", async |_: NoArguments| Ok(String::new())).unwrap())
    }

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct NoArguments {}

    fn toolbox(ids: &[&str]) -> Toolbox {
        let mut toolbox = Toolbox::default();
        for id in ids {
            toolbox.register(tool(id)).unwrap();
        }
        toolbox
    }

    #[test]
    fn both_names_lead_to_the_tool() {
        let toolbox = toolbox(&["calc.calc", "notes.add", "clock.add", "clock.now", "bash.bash"]);
        for (recipient, id) in [
            ("functions.calc", "calc.calc"),
            ("calc", "calc.calc"),
            ("functions.notes_add", "notes.add"),
            ("notes.add", "notes.add"),
            ("functions.now", "clock.now"),
            ("functions.bash_tool", "bash.bash"),
            ("bash", "bash.bash"),
            ("functions.calcjson", "calc.calc"),
            ("notes_addcommentary", "notes.add"),
        ] {
            assert_eq!(toolbox.resolve(recipient).unwrap().spec().id.to_string(), id, "{recipient}");
        }
        let names: Vec<_> = toolbox.declarations().into_iter().map(|declaration| declaration.name).collect();
        assert_eq!(names, ["calc", "notes_add", "clock_add", "clock_now", "bash_tool"]);
    }

    #[test]
    fn what_is_no_tool_is_told_the_real_names() {
        let toolbox = toolbox(&["calc.calc", "notes.add", "clock.add"]);
        for recipient in
            ["functions.__proto__", "python", "add", "", "functions.", "container.exec", "addjson", &"x".repeat(9999)]
        {
            let Err(error) = toolbox.resolve(recipient) else { panic!("{recipient}") };
            let error = error.to_string();
            assert!(error.ends_with("the functions are calc, notes_add, clock_add") && error.len() < 200, "{error}");
        }
    }

    #[test]
    fn names_do_not_collide() {
        let mut toolbox = toolbox(&["a_b.c"]);
        let error = toolbox.register(tool("a.b_c")).unwrap_err();
        assert!(matches!(error, RegisterError::Collision { .. }), "{error}");
        let long = format!("{}.tool", "x".repeat(64));
        assert!(matches!(toolbox.register(tool(&long)).unwrap_err(), RegisterError::Name { .. }));
    }

    #[test]
    fn an_unusable_schema_is_refused_when_registered() {
        struct Odd(ToolSpec);
        #[async_trait::async_trait]
        impl Tool for Odd {
            fn spec(&self) -> &ToolSpec {
                &self.0
            }
            async fn call(
                &self,
                _: Value,
                _: crate::policy::Grant,
                _: &crate::tool::Progress,
            ) -> Result<crate::tool::Output, ToolError> {
                Err(ToolError::Failed(String::new()))
            }
        }
        for schema in [
            json!({ "type": "string" }),
            json!({}),
            json!({ "type": "object", "properties": 7 }),
            json!({ "type": "object", "properties": { "a": { "$ref": "http://127.0.0.1/schema" } } }),
            json!({ "type": "object", "properties": { "a": { "$ref": "file:///etc/passwd" } } }),
        ] {
            let spec = ToolSpec { parameters: Some(schema.clone()), ..tool("odd.odd").spec().clone() };
            let error = Toolbox::default().register(Arc::new(Odd(spec))).unwrap_err();
            assert!(matches!(error, RegisterError::Schema { .. }), "{schema}: {error}");
        }
    }
}
