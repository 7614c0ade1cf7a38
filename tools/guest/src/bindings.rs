//! The component's side of `wit/tool.wit`: generated, and a [`Package`](crate::Package) put into it.

#![allow(missing_docs, unreachable_pub, reason = "generated")]

use crate::{Failure, Package};
use exports::ossicle::tool::tools::{Guest, Output, ToolError, ToolSpec};
use ossicle::tool::types::Attachment;
use std::marker::PhantomData;

wit_bindgen::generate!({
    path: "../wit",
    world: "guest",
    pub_export_macro: true,
    export_macro_name: "exported",
    default_bindings_module: "tool_guest::bindings",
});

pub struct Exported<P>(PhantomData<P>);

impl<P: Package> Guest for Exported<P> {
    fn describe() -> Vec<ToolSpec> {
        let spec = |spec: crate::Spec| ToolSpec {
            name: spec.name,
            description: spec.description,
            parameters: spec.parameters.get().to_owned(),
        };
        crate::specs(P::TOOLS).into_iter().map(spec).collect()
    }

    fn call(name: String, arguments: String) -> Result<Output, ToolError> {
        let crate::Output { text, attachments } = P::call(&name, &arguments).map_err(|failure| match failure {
            Failure::Arguments(text) => ToolError::InvalidArguments(text),
            Failure::Unknown(text) => ToolError::UnknownTool(text),
            Failure::Failed(text) => ToolError::Failed(text),
        })?;
        let attachment = |crate::Attachment { name, media_type, data }| Attachment { name, media_type, data };
        Ok(Output { text, attachments: attachments.into_iter().map(attachment).collect() })
    }
}
