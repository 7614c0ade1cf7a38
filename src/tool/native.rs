//! Tools written in Rust: a closure over a type that has a schema. The same gate as any other tool; no sandbox, because
//! the code is the program's own.

use super::{Output, Progress, Recovery, RegisterError, Tool, ToolError, ToolSpec};
use crate::policy::{Capabilities, Effect, Grant, Integrity, Targets, ToolId};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;

type Running = Pin<Box<dyn Future<Output = Result<Output, ToolError>> + Send>>;

/// A Rust closure as a tool.
pub struct NativeTool {
    spec: ToolSpec,
    run: Box<dyn Fn(Value) -> Running + Send + Sync>,
}

impl NativeTool {
    /// A tool with the identity `package.tool`. The type of its arguments gives the schema; a field's comment its description.
    ///
    /// It is [`Effect::Pure`] until [said otherwise](Self::with_effect).
    /// What the closure gives is a text, or an [`Output`] with attachments.
    pub fn new<T, F, R, O>(id: &str, description: &str, run: F) -> Result<Self, RegisterError>
    where
        T: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(T) -> R + Send + Sync + 'static,
        R: Future<Output = Result<O, ToolError>> + Send + 'static,
        O: Into<Output>,
    {
        let id: ToolId = id.parse().map_err(|()| RegisterError::Identity(id.into()))?;
        let spec = ToolSpec {
            id,
            description: description.into(),
            parameters: Some(schema_of::<T>()),
            effect: Effect::Pure,
            recovery: Recovery::Repeat,
            wants: Capabilities::default(),
            targets: Targets::default(),
            integrity: Integrity::Trusted,
            builtin: None,
        };
        let run = move |arguments: Value| -> Running {
            match serde_json::from_value(arguments) {
                Ok(arguments) => {
                    let running = run(arguments);
                    Box::pin(async move { running.await.map(Into::into) })
                }
                // Types can demand more than a schema says.
                Err(error) => Box::pin(std::future::ready(Err(ToolError::InvalidArguments(error.to_string())))),
            }
        };
        Ok(Self { spec, run: Box::new(run) })
    }

    /// Says what it does outside the program, which is what policy asks about. What changes something must not simply be
    /// repeated after a crash.
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.spec.effect = effect;
        self.spec.integrity = Integrity::after(effect);
        self.spec.recovery = match effect {
            Effect::Pure | Effect::Read => Recovery::Repeat,
            Effect::Write | Effect::Send | Effect::Cloud => Recovery::Irreversible,
        };
        self
    }
}

/// The type's schema without what only tools for schemas read.
fn schema_of<T: JsonSchema>() -> Value {
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        object.remove("title");
    }
    schema
}

#[async_trait]
impl Tool for NativeTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, arguments: Value, grant: Grant, _: &Progress) -> Result<Output, ToolError> {
        if *grant.tool() != self.spec.id {
            return Err(ToolError::Unavailable(format!("the grant is for {}", grant.tool())));
        }
        (self.run)(arguments).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Decision, Policy};
    use serde_json::json;

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Greeting {
        /// Whom to greet
        name: String,
        times: Option<u8>,
    }

    fn greet() -> NativeTool {
        let run = async |Greeting { name, times }| Ok(format!("hello {name}").repeat(times.unwrap_or(1).into()));
        NativeTool::new("greet.greet", "Greets.", run).unwrap()
    }

    fn grant_for(tool: &NativeTool) -> Grant {
        match Policy::default().decide(&tool.spec().asks(&json!({}))) {
            Decision::Allow(grant) => grant,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_closure_is_a_tool() {
        let tool = greet();
        let schema = tool.spec().parameters.clone().unwrap();
        assert_eq!(schema["properties"]["name"], json!({ "type": "string", "description": "Whom to greet" }));
        assert_eq!(schema["required"], json!(["name"]));
        assert!(schema.get("title").is_none() && schema.get("$schema").is_none());
        let output = tool.call(json!({ "name": "Ada" }), grant_for(&tool), &Progress::default()).await.unwrap();
        assert_eq!(output.text, "hello Ada");
        let error = tool
            .call(json!({ "name": "Ada", "times": 999 }), grant_for(&tool), &Progress::default())
            .await
            .unwrap_err();
        assert!(matches!(error, ToolError::InvalidArguments(_)), "{error}");
    }

    #[tokio::test]
    async fn a_grant_for_another_tool_opens_nothing() {
        let other = NativeTool::new("other.other", "", async |_: Greeting| Ok(String::new())).unwrap();
        let error = greet().call(json!({ "name": "Ada" }), grant_for(&other), &Progress::default()).await.unwrap_err();
        assert!(matches!(error, ToolError::Unavailable(_)), "{error}");
    }

    #[test]
    fn an_identity_has_two_parts() {
        assert!(NativeTool::new("greet", "", async |_: Greeting| Ok(String::new())).is_err());
    }
}
