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
    let Called { outcome, text, attachments, .. } = called;
    let mut content = vec![ContentBlock::text(text)];
    content.extend(attachments.into_iter().map(|kept| attached(kept.file)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Caller;
    use crate::config::Connected;
    use crate::journal::{CallEnd, Journal, Record};
    use crate::policy::{Approval, Approvals, Approver, Grant, Pending, Policy};
    use crate::tool::native::NativeTool;
    use crate::tool::{Output, ToolError, Toolbox};
    use crate::world::World;
    use async_trait::async_trait;
    use rmcp::model::CallToolRequest;
    use rmcp::service::{PeerRequestOptions, RunningService};
    use rmcp::{RoleClient, service::ServerSink};
    use std::time::Duration;

    struct Nobody;

    #[async_trait]
    impl Approver for Nobody {
        async fn approve(&self, _: &Pending) -> Approval {
            Approval::NobodyThere
        }
    }

    /// Draws, or waits for ever.
    struct Odd(NativeTool);

    #[async_trait]
    impl crate::tool::Tool for Odd {
        fn spec(&self) -> &ToolSpec {
            self.0.spec()
        }

        async fn call(&self, _: Value, _: Grant, progress: &Progress) -> Result<Output, ToolError> {
            progress.say("thinking");
            if self.0.spec().id.tool == "wait" {
                std::future::pending::<()>().await;
            }
            let file = |name: &str, media_type: &str| Attachment {
                name: name.into(),
                media_type: media_type.into(),
                data: b"hi".to_vec(),
            };
            let attachments = vec![file("a.png", "image/png"), file("../b.csv", "text/csv")];
            Ok(Output { attachments, ..Output::from("drawn".to_owned()) })
        }
    }

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Nothing {}

    async fn served() -> (RunningService<RoleClient, ()>, Journal, tokio::task::JoinHandle<io::Result<()>>) {
        let world = World::real();
        let journal = Journal::in_memory(&world).await.unwrap();
        journal.append(Record::TurnStarted { text: String::new() }).await.unwrap();
        let mut toolbox = Toolbox::default();
        for (id, effect) in [("odd.draw", Effect::Pure), ("odd.wait", Effect::Read), ("odd.post", Effect::Send)] {
            let tool = NativeTool::new(id, "Odd.", async |_: Nothing| Ok(String::new())).unwrap();
            toolbox.register(Arc::new(Odd(tool.with_effect(effect)))).unwrap();
        }
        let caller = Caller {
            policy: Policy::default(),
            approver: Arc::new(Nobody),
            journal: journal.clone(),
            world,
            attachments: None,
            max_time: Duration::from_secs(60),
            approvals: Approvals::default(),
            provenance: Arc::default(),
        };
        let counter = Counter { toolbox, caller, servers: Connected::default(), cloud: None };
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let serving = tokio::spawn(serve_on(counter, ours));
        (().serve(theirs).await.unwrap(), journal, serving)
    }

    async fn ends(journal: &Journal) -> Vec<CallEnd> {
        let entries = journal.replay().await.unwrap().entries;
        let end = |record| match record {
            Record::CallFinished { end, .. } => Some(end),
            _ => None,
        };
        entries.into_iter().filter_map(|entry| end(entry.record)).collect()
    }

    async fn call(peer: &ServerSink, name: &'static str) -> CallToolResult {
        match peer.call_tool_once(CallToolRequestParams::new(name)).await.unwrap() {
            CallToolResponse::Complete(result) => result,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn effects_become_hints_and_files_content() {
        let (client, journal, _serving) = served().await;
        let tools = client.peer().list_all_tools().await.unwrap();
        let hints: Vec<_> = tools.iter().map(|tool| tool.annotations.clone().unwrap()).collect();
        let of = |hints: &ToolAnnotations| (hints.read_only_hint.unwrap(), hints.open_world_hint.unwrap());
        assert_eq!(hints.iter().map(of).collect::<Vec<_>>(), [(true, false), (true, false), (false, true)]);
        let drawn = call(client.peer(), "odd_draw").await;
        assert!(drawn.content[0].as_text().unwrap().text.starts_with("drawn\n"), "{drawn:?}");
        assert_eq!(drawn.content[1].as_image().unwrap().data, "aGk=");
        let json = json!(drawn.content[2]);
        assert_eq!(
            (&json["resource"]["uri"], &json["resource"]["blob"]),
            (&json!("attachment:///.._b.csv"), &json!("aGk="))
        );
        assert_eq!(call(client.peer(), "odd_post").await.is_error, Some(true));
        assert_eq!(ends(&journal).await, [CallEnd::Ok], "the denied one never began");
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_is_stopped_and_recorded() {
        let (client, journal, serving) = served().await;
        let request = || CallToolRequest::new(CallToolRequestParams::new("odd_wait")).into();
        let waiting =
            client.peer().send_request_with_option(request(), PeerRequestOptions::no_options()).await.unwrap();
        while journal.replay().await.unwrap().entries.len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        waiting.cancel(None).await.unwrap();
        while ends(&journal).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // And when the client goes away.
        let _waiting =
            client.peer().send_request_with_option(request(), PeerRequestOptions::no_options()).await.unwrap();
        while journal.replay().await.unwrap().entries.len() < 4 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(client);
        serving.await.unwrap().unwrap();
        assert_eq!(ends(&journal).await, [CallEnd::Cancelled, CallEnd::Cancelled]);
    }
}
