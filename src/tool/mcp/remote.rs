//! An offer of a server as a tool of ours.

use super::offer::shown;
use super::{Client, Offer, result};
use crate::policy::{Capabilities, Grant, Integrity, Targets, ToolId};
use crate::tool::{Output, Progress, Tool, ToolError, ToolSpec};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Arc;

/// What the package of every such tool begins with; the server's name follows.
pub const PACKAGE: &str = crate::policy::BORROWED;

/// A tool on a server.
pub struct RemoteTool {
    client: Arc<Client>,
    offer: Offer,
    spec: ToolSpec,
}

impl RemoteTool {
    /// The offer under a name that people, policy and the model can write.
    pub fn new(client: Arc<Client>, offer: Offer) -> Self {
        let server = client.server();
        let part = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
        let id = ToolId { package: format!("{PACKAGE}{}", server.name), tool: offer.name.chars().map(part).collect() };
        let effect = offer.effect(server);
        let mut parameters = offer.parameters.clone();
        if let Some(fields) = parameters.as_object_mut() {
            // Some servers leave it out.
            fields.entry("type").or_insert_with(|| json!("object"));
        }
        let spec = ToolSpec {
            id,
            description: offer.description.clone(),
            parameters: Some(parameters),
            effect,
            recovery: offer.recovery(effect),
            wants: Capabilities::default(),
            targets: Targets::default(),
            integrity: Integrity::Untrusted,
            builtin: None,
        };
        Self { client, offer, spec }
    }

    /// The same tool, declared with other parameters: its server checks what it gets by its own.
    pub fn with_parameters(mut self, parameters: Value) -> Self {
        self.spec.parameters = Some(parameters);
        self
    }
}

#[async_trait]
impl Tool for RemoteTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, arguments: Value, grant: Grant, progress: &Progress) -> Result<Output, ToolError> {
        if *grant.tool() != self.spec.id {
            return Err(ToolError::Unavailable(format!("the grant is for {}", grant.tool())));
        }
        let Value::Object(arguments) = arguments else {
            return Err(ToolError::InvalidArguments(format!("{} takes an object", shown(&self.offer.name))));
        };
        result::output(self.client.call(&self.offer, arguments, progress).await?)
    }
}
