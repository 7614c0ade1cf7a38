//! The tools as an MCP server: another agent calls them, through the same gate as our own.
//!
//! What it is not: a session with a model. Nobody can be asked here, so what the policy asks about is refused, unless the user
//! said otherwise when they started it. Start at [`serve`].

use crate::agent::{CallOutcome, Called};
use crate::config::Counter;
use crate::policy::Effect;
use crate::tool::{Attachment, Progress, Recovery, Registered, ToolSpec};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, Implementation, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ResourceContents, ServerCapabilities, ServerConfig, Tool,
    ToolAnnotations,
};
use rmcp::service::{RequestContext, RoleServer, ServerInitializeError};
use rmcp::transport::IntoTransport;
use rmcp::{ServerHandler, ServiceExt};
use serde_json::{Map, Value, json};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

/// Serves the tools on the process's stdin and stdout until the other side has gone.
pub fn serve(counter: Counter) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>> {
    Box::pin(serve_on(counter, rmcp::transport::stdio()))
}

async fn serve_on<T, E, A>(counter: Counter, transport: T) -> io::Result<()>
where
    T: IntoTransport<RoleServer, E, A>,
    E: std::error::Error + Send + Sync + 'static,
{
    let offered = Offered(Arc::new(Shared {
        counter,
        n_calls: AtomicU64::new(0),
        turns: RwLock::new(()),
        closing: CancellationToken::new(),
    }));
    let service = match offered.clone().serve(transport).await {
        Ok(service) => service,
        // Whoever started it had nothing to say.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(io::Error::other(error)),
    };
    let ended = service.waiting().await;
    // Calls that still run are stopped, and their ends recorded.
    offered.0.closing.cancel();
    let _ = offered.0.turns.write().await;
    ended.map(|_| ()).map_err(io::Error::other)
}

/// The tools, as another program sees them.
#[derive(Clone)]
struct Offered(Arc<Shared>);

struct Shared {
    counter: Counter,
    /// Numbers the calls.
    n_calls: AtomicU64,
    /// Clients may call at the same time. What changes something waits until nothing else runs: a tool of ours never meets
    /// itself in a session either.
    turns: RwLock<()>,
    closing: CancellationToken,
}

impl ServerHandler for Offered {
    fn get_info(&self) -> ServerConfig {
        let ourselves = Implementation::new("ossicle", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build()).with_server_info(ourselves)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.0.counter.toolbox.iter().map(described).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Shared { counter, n_calls, turns, closing } = self.0.as_ref();
        let Some(registered) = counter.toolbox.named(&request.name) else {
            let name: String = request.name.chars().take(64).collect();
            return Err(ErrorData::invalid_params(format!("there is no tool `{name}`"), None));
        };
        let arguments = Value::Object(request.arguments.unwrap_or_default()).to_string();
        let id = n_calls.fetch_add(1, Ordering::Relaxed) + 1;
        let stop = closing.child_token();
        let progress = progress(&context);
        let calling = async {
            let call = counter.caller.call(id, registered, &arguments, &stop, progress);
            if registered.spec().effect.changes() {
                let _alone = turns.write().await;
                call.await
            } else {
                let _together = turns.read().await;
                call.await
            }
        };
        let mut calling = pin!(calling);
        let called = tokio::select! {
            called = &mut calling => called,
            () = context.ct.cancelled() => {
                stop.cancel();
                calling.await
            }
        };
        match called {
            Ok(called) => Ok(result(called).into()),
            Err(error) => Err(ErrorData::internal_error(error.to_string(), None)),
        }
    }
}

/// What is told of a call that runs, when the client wants to hear it.
fn progress(context: &RequestContext<RoleServer>) -> Progress {
    let Some(token) = context.meta.get_progress_token() else { return Progress::default() };
    let (peer, n_words) = (context.peer.clone(), AtomicU64::new(0));
    Progress::to(move |words| {
        // It must only grow; how far it will is not known.
        let n = n_words.fetch_add(1, Ordering::Relaxed) + 1;
        let told = ProgressNotificationParam::new(token.clone(), n as f64).with_message(words);
        let peer = peer.clone();
        tokio::spawn(async move { peer.notify_progress(told).await });
    })
}

/// A tool in the protocol's words.
fn described(registered: &Registered) -> Tool {
    let spec = registered.spec();
    let parameters = match &spec.parameters {
        Some(Value::Object(parameters)) => parameters.clone(),
        _ => Map::from_iter([("type".to_owned(), json!("object")), ("properties".to_owned(), json!({}))]),
    };
    let recipient = registered.recipient();
    let name = recipient.strip_prefix("functions.").unwrap_or(&recipient).to_owned();
    Tool::new(name, spec.description.clone(), parameters).with_annotations(hints(spec))
}

/// What its effect means for another program.
fn hints(spec: &ToolSpec) -> ToolAnnotations {
    let is_repeatable = matches!(spec.recovery, Recovery::Repeat | Recovery::Idempotent);
    ToolAnnotations::new()
        .read_only(!spec.effect.changes())
        .destructive(spec.effect == Effect::Write)
        .idempotent(is_repeatable)
        .open_world(matches!(spec.effect, Effect::Send | Effect::Cloud))
}

/// What came of a call. What the other model can repair is no error of the protocol.
fn result(called: Called) -> CallToolResult {
    let Called { outcome, text, attachments } = called;
    let mut content = vec![ContentBlock::text(text)];
    content.extend(attachments.into_iter().map(attached));
    match outcome {
        CallOutcome::Ok => CallToolResult::success(content),
        CallOutcome::Error | CallOutcome::Denied | CallOutcome::Cancelled => CallToolResult::error(content),
    }
}

fn attached(attachment: Attachment) -> ContentBlock {
    let Attachment { name, media_type, data } = attachment;
    let data = BASE64_STANDARD.encode(data);
    match media_type.split('/').next() {
        Some("image") => ContentBlock::image(data, media_type),
        Some("audio") => ContentBlock::audio(data, media_type),
        _ => {
            let name = name.replace(['/', '\\'], "_");
            ContentBlock::resource(
                ResourceContents::blob(data, format!("attachment:///{name}")).with_mime_type(media_type),
            )
        }
    }
}
