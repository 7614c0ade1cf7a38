//! A session's side of one server: started when it is first needed, asked, started again when it has died.
//!
//! Which of its tools count is decided by `offer` and above. Start at [`Client::offers`] and [`Client::call`].

use super::bounded::Bounded;
use super::child::Child;
use super::offer::shown;
use super::{Offer, Server, Transport, http};
use crate::tool::{Progress, ToolError};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ClientConfig, Implementation,
    PaginatedRequestParams, ProgressNotificationParam,
};
use rmcp::service::{NotificationContext, Peer, RoleClient, RunningService};
use rmcp::transport::IntoTransport;
use rmcp::{ClientHandler, ServiceError, ServiceExt};
use serde_json::{Map, Value};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;

/// A server that dies is started again so often in a session.
const MAX_RESTARTS: usize = 3;

/// A server that lists more tools than this is not read further.
const MAX_OFFERS: usize = 4096;

/// To say goodbye.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// Of a server's words in an error, in characters.
const MAX_WHY: usize = 600;

/// Of its words about a running call, in characters.
const MAX_PROGRESS: usize = 200;

/// A session's side of one server.
pub struct Client {
    server: Server,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    n_starts: usize,
}

struct Connection {
    /// What the server calls itself.
    title: String,
    offers: Vec<Offer>,
    service: RunningService<RoleClient, Handler>,
    child: Mutex<Option<Child>>,
}

/// Why a server cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the MCP server `{server}` {why}")]
pub struct StartError {
    /// What the user calls it.
    pub server: String,
    /// What it did, or did not.
    pub why: String,
}

impl Client {
    /// Nothing is started yet.
    pub fn new(server: Server) -> Self {
        Self { server, state: Mutex::default() }
    }

    /// What it is the client of.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What the server calls itself, and its tools. Starts it.
    pub async fn offers(&self) -> Result<(String, Vec<Offer>), StartError> {
        let connection = self.connection().await?;
        Ok((connection.title.clone(), connection.offers.clone()))
    }

    /// Calls a tool that it offers. Dropped before its end, the call is cancelled and the server told so.
    pub(super) async fn call(
        &self,
        offer: &Offer,
        arguments: Map<String, Value>,
        progress: &Progress,
    ) -> Result<CallToolResult, ToolError> {
        let unavailable = |error: StartError| ToolError::Unavailable(error.to_string());
        let connection = self.connection().await.map_err(unavailable)?;
        if !connection.offers.iter().any(|now| now.pin() == offer.pin()) {
            let why = format!("was started anew and no longer offers {} in the same words", shown(&offer.name));
            return Err(unavailable(self.error(why)));
        }
        let parameters = CallToolRequestParams::new(offer.name.clone()).with_arguments(arguments);
        let limit = self.server.call_time;
        let _listening = connection.service.service().tell(progress);
        match tokio::time::timeout(limit, connection.service.peer().call_tool_once(parameters)).await {
            Err(_) => Err(ToolError::TimedOut(limit)),
            Ok(Ok(CallToolResponse::Complete(result))) => Ok(result),
            Ok(Ok(_)) => {
                Err(ToolError::Failed("the server wants more than the arguments, which cannot be given".into()))
            }
            Ok(Err(ServiceError::McpError(error))) => Err(ToolError::Failed(cut(&error.message))),
            Ok(Err(error)) if !connection.is_closed() => Err(ToolError::Failed(cut(&error.to_string()))),
            Ok(Err(_)) => {
                let words = connection.last_words().await;
                Err(ToolError::Trapped(cut(&format!(
                    "the MCP server `{}` was gone before it answered{words}",
                    self.server.name
                ))))
            }
        }
    }

    /// Ends the server, which has a moment to go by itself.
    pub async fn close(&self) {
        let connection = self.state.lock().await.connection.take();
        // Where a call still holds it, it ends with that.
        let Some(mut connection) = connection.and_then(Arc::into_inner) else { return };
        let _ = connection.service.close_with_timeout(CLOSING_TIME).await;
        if let Some(child) = connection.child.into_inner() {
            child.end().await;
        }
    }

    fn error(&self, why: String) -> StartError {
        StartError { server: self.server.name.clone(), why: cut(&why) }
    }

    /// The connection that there is, or a new one.
    async fn connection(&self) -> Result<Arc<Connection>, StartError> {
        let mut state = self.state.lock().await;
        if let Some(connection) = state.connection.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        if state.n_starts > MAX_RESTARTS {
            let why = format!("has ended {} times in this session and is not started again", state.n_starts);
            return Err(self.error(why));
        }
        state.n_starts += 1;
        state.connection = None;
        let connection = Arc::new(self.connect().await?);
        state.connection = Some(connection.clone());
        Ok(connection)
    }

    async fn connect(&self) -> Result<Connection, StartError> {
        let (command, arguments, environment, folder) = match &self.server.transport {
            Transport::Program { command, arguments, environment, folder } => (command, arguments, environment, folder),
            Transport::Http { egress, endpoint, headers } => {
                let transport = http::transport(&self.server.name, egress, endpoint, headers);
                let transport = transport.map_err(|why| self.error(why))?;
                let (service, title, offers) = self.greet(transport).await.map_err(|why| self.error(why))?;
                return Ok(Connection { title, offers, service, child: Mutex::new(None) });
            }
        };
        let (mut child, stdout, stdin) =
            Child::start(&self.server.name, command, arguments, environment, folder.as_deref())
                .map_err(|error| self.error(format!("cannot be started: {}: {error}", shown(command))))?;
        match self.greet((Bounded::new(stdout), stdin)).await {
            Ok((service, title, offers)) => Ok(Connection { title, offers, service, child: Mutex::new(Some(child)) }),
            Err(why) => Err(self.error(why + &child.last_words().await)),
        }
    }

    /// Introduces itself and has the tools listed, in the time there is for it.
    pub(super) async fn greet<T, E, A>(
        &self,
        transport: T,
    ) -> Result<(RunningService<RoleClient, Handler>, String, Vec<Offer>), String>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let limit = self.server.startup_time;
        let greeting = async {
            let handler = Handler { server: self.server.name.clone(), listener: Listener::default() };
            let service = handler.serve(transport).await.map_err(|error| format!("cannot be talked to: {error}"))?;
            let title = title(&service);
            let offers = offers(service.peer()).await?;
            Ok((service, title, offers))
        };
        match tokio::time::timeout(limit, greeting).await {
            Ok(greeted) => greeted,
            Err(_) => Err(format!("did not answer within {limit:?}, its `startup_timeout_sec`")),
        }
    }
}

impl Connection {
    fn is_closed(&self) -> bool {
        self.service.is_closed() || self.service.peer().is_transport_closed()
    }

    async fn last_words(&self) -> String {
        match self.child.lock().await.as_mut() {
            Some(child) => child.last_words().await,
            None => String::new(),
        }
    }
}

/// What a server calls itself: a name and a version.
fn title(service: &RunningService<RoleClient, Handler>) -> String {
    let info = service.peer().peer_info().and_then(|info| info.server_info.clone());
    info.map(|info| cut(&format!("{} {}", info.title.unwrap_or(info.name), info.version))).unwrap_or_default()
}

/// All tools, page by page.
async fn offers(peer: &Peer<RoleClient>) -> Result<Vec<Offer>, String> {
    if peer.peer_info().is_some_and(|info| info.capabilities.tools.is_none()) {
        return Ok(Vec::new());
    }
    let mut offers = Vec::new();
    let mut cursor = None;
    loop {
        let page = PaginatedRequestParams::default().with_cursor(cursor);
        let page = peer.list_tools(Some(page)).await.map_err(|error| format!("does not list its tools: {error}"))?;
        offers.extend(page.tools.into_iter().map(Offer::new));
        cursor = page.next_cursor;
        if offers.len() > MAX_OFFERS {
            return Err(format!("lists more than {MAX_OFFERS} tools"));
        }
        if cursor.is_none() {
            return Ok(offers);
        }
    }
}

/// The beginning of a text that somebody else wrote.
fn cut(text: &str) -> String {
    // It stands in a line of ours, which the words of others must not end.
    text.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }).take(MAX_WHY).collect()
}

/// What the server may ask of its client: nothing. What it tells is logged.
pub(super) struct Handler {
    server: String,
    listener: Listener,
}

/// Whoever waits for the call that runs now. A session makes one at a time.
type Listener = Arc<std::sync::Mutex<Option<Progress>>>;

/// Until it is dropped, what the server tells of its progress goes to one call.
struct Listening(Listener);

impl Handler {
    fn tell(&self, progress: &Progress) -> Listening {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress.clone());
        Listening(self.listener.clone())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl ClientHandler for Handler {
    async fn on_progress(&self, progress: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        let ProgressNotificationParam { progress, total, message, .. } = progress;
        tracing::debug!(server = self.server, progress, total, message, "progress");
        let words = match (message, total) {
            (Some(message), _) => message.chars().take(MAX_PROGRESS).collect(),
            (None, Some(total)) => format!("{progress} of {total}"),
            (None, None) => progress.to_string(),
        };
        if let Some(listener) = &*self.listener.lock().unwrap_or_else(PoisonError::into_inner) {
            listener.say(&words);
        }
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        tracing::debug!(server = self.server, "the list of tools has changed; a session keeps those it began with");
    }

    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(ClientCapabilities::default(), Implementation::new("ossicle", env!("CARGO_PKG_VERSION")))
    }
}
