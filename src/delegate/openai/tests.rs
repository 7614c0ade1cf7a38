//! The client against the mock server: what it understands, and what it makes of everything that can go wrong.
//!
//! The clock is simulated: pauses between attempts take no time, and silence lasts until a test says so.

mod answers;
mod asking;
mod faults;

use super::mock::plan::{Fault, Planned};
use super::mock::{KEY, Mock};
use super::*;
use crate::egress::{Entry, Ledger, LedgerError};
use crate::policy::{Call, Capabilities, Decision, Effect, Grant, HostPattern, Label, Policy, Taint, Targets, ToolId};
use crate::world::{Clock, RealNetwork, SimulatedClock};
use async_trait::async_trait;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::time::SystemTime;

/// The model that the mock has for text.
const SOL: &str = "gpt-6.2-sol";

/// A pause of at most this length passes at once; a longer wait is for silence.
const LONGEST_LEAP: Duration = Duration::from_secs(130);

/// A clock on which pauses pass at once, and are remembered.
#[derive(Default)]
struct Leaping {
    inner: SimulatedClock,
    pauses: Mutex<Vec<Duration>>,
}

#[async_trait]
impl Clock for Leaping {
    fn now(&self) -> SystemTime {
        self.inner.now()
    }

    fn elapsed(&self) -> Duration {
        self.inner.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        if time > LONGEST_LEAP {
            return self.inner.sleep(time).await;
        }
        self.pauses.lock().unwrap().push(time);
        self.inner.advance(time);
    }

    fn zone(&self) -> TimeZone {
        TimeZone::UTC
    }
}

/// A ledger in memory.
#[derive(Default)]
struct Lines(Mutex<Vec<Entry>>);

#[async_trait]
impl Ledger for Lines {
    async fn record(&self, entry: Entry) -> Result<(), LedgerError> {
        self.0.lock().unwrap().push(entry);
        Ok(())
    }
}

/// A mock server and a client of it.
struct Bench {
    mock: Mock,
    clock: Arc<Leaping>,
    ledger: Arc<Lines>,
    grant: Grant,
    openai: OpenAi,
}

fn limits() -> Limits {
    Limits { attached_idle: Duration::from_secs(200), n_bytes: 4 << 20, n_event_bytes: 1 << 20, ..Limits::default() }
}

impl Bench {
    fn new() -> Self {
        Self::with(KEY, limits())
    }

    fn with(key: &str, limits: Limits) -> Self {
        let mock = Mock::start(0).unwrap();
        let (clock, ledger) = (Arc::new(Leaping::default()), Arc::new(Lines::default()));
        let world = World { clock: clock.clone(), network: Arc::new(RealNetwork), ..World::simulated(1) };
        let egress = Egress::new(world.clone(), ledger.clone());
        let endpoint = Endpoint::parse(&mock.url()).unwrap();
        let key = Key::new(key, "the variable OPENAI_API_KEY").unwrap();
        let settings = Settings { limits, ..Settings::default() };
        let openai = OpenAi::new(egress, endpoint, key, world, settings);
        Self { mock, clock, ledger, grant: grant(), openai }
    }

    fn plan(&self, fault: Fault) {
        self.planned(None, u32::MAX, fault);
    }

    fn planned(&self, path: Option<&str>, n: u32, fault: Fault) {
        let (path, method) = (path.map(str::to_owned), None);
        self.mock.store().plan(Planned { method, path, n, fault });
    }

    fn n_requests(&self) -> usize {
        self.mock.store().requests().len()
    }

    fn n_charged(&self) -> usize {
        self.mock.store().charged().len()
    }

    fn pauses(&self) -> Vec<Duration> {
        std::mem::take(&mut self.clock.pauses.lock().unwrap())
    }

    /// Lets a call wait for what never comes, until it has waited long enough. Time passes when the server has fallen
    /// silent, and stands again as soon as the client sends something else.
    async fn through_silence<T>(&self, call: impl Future<Output = T>) -> T {
        let n_sent = || {
            let lines = self.ledger.0.lock().unwrap();
            lines.iter().filter(|line| matches!(line, Entry::Sending { .. })).count()
        };
        let passing = async {
            let mut n_passed = self.mock.store().n_silences();
            loop {
                while self.mock.store().n_silences() == n_passed {
                    tokio::task::yield_now().await;
                }
                let n_before = n_sent();
                while n_sent() == n_before {
                    self.clock.inner.advance(Duration::from_secs(301));
                    tokio::task::yield_now().await;
                }
                n_passed += 1;
            }
        };
        tokio::select! {
            value = call => value,
            () = passing => unreachable!("time passes for ever"),
        }
    }
}

/// A grant to reach this machine.
fn grant() -> Grant {
    let policy = "version = 1\n[[rule]]\nid = \"cloud\"\ntools = [\"*\"]\ndecision = \"allow\"\n";
    let tool: ToolId = "cloud.ask".parse().unwrap();
    let wants = Capabilities { hosts: vec![HostPattern::parse("127.0.0.1").unwrap()], ..Capabilities::default() };
    let targets = Targets::default();
    let call = Call {
        tool: &tool,
        effect: Effect::Cloud,
        arguments: &Value::Null,
        wants: &wants,
        targets: &targets,
        context: Label::trusted(),
        argument: Taint::trusted(),
        quote: None,
    };
    match Policy::parse("test", policy).unwrap().decide(&call) {
        Decision::Allow(grant) => grant,
        other => panic!("{other:?}"),
    }
}

fn question() -> ResponseRequest {
    ResponseRequest::question(SOL, "What does the fox say?")
}

fn picture_request() -> ImageRequest {
    let size = Some("32x16".into());
    ImageRequest { model: "gpt-image-2.6-flare".into(), prompt: "a fox".into(), size, ..ImageRequest::default() }
}
