//! A server that speaks the hosted API as far as this program uses it, for tests: it answers, counts what it would
//! charge, keeps every byte that it was sent, and misbehaves when a plan tells it to.
//!
//! What it is not: a model, or a server for anybody else; it listens on loopback alone and ends with its owner. The
//! official Python client drives it too (`tests/outside/mock.py`), so that it is known to be true. Start at
//! [`Mock::start`]; `routes` says what it can answer, `plan` how it can misbehave.

mod audio;
mod conversations;
mod delivery;
mod events;
mod form;
mod images;
pub mod plan;
mod reply;
mod responses;
mod routes;
pub mod store;
mod tap;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use store::Store;
use tap::Tap;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The key that it takes.
pub const KEY: &str = "sk-mock-0123456789";

/// Connections at a time; more wait.
const MAX_CONNECTIONS: usize = 64;

/// The server, in a thread of its own. It ends when this is dropped.
pub struct Mock {
    port: u16,
    shared: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the server's connections and its owner share.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Store>>);

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        // A test that failed elsewhere does not make this one fail.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Mock {
    /// Starts it on 127.0.0.1, at this port; at a free one for 0.
    pub fn start(port: u16) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let shared = Shared::default();
        let served = shared.clone();
        let thread = std::thread::Builder::new().name("mock".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = serve(listener, served) => {}
                }
            });
        })?;
        Ok(Self { port, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// What a client takes as the base of its URLs.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// What it holds and what it has seen: plans, requests, charges.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.shared.store()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It is gone already when its thread is.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Takes connections until it is dropped, and they with it.
async fn serve(listener: std::net::TcpListener, shared: Shared) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let (shared, kept) = (shared.clone(), shared.clone());
        connections.spawn(async move {
            let answer = service_fn(move |request| routes::answer(shared.clone(), request));
            // A connection that breaks is the client's matter, or was planned.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(Tap::new(stream, kept)), answer).await;
        });
    }
}
