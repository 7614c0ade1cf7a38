//! Pulls from a hub on loopback: what comes, and what is there afterwards. What can go wrong on the way is in `faults`.
//!
//! Pauses pass at once on the clock here; silence lasts until a test lets it end.

mod faults;
#[path = "../../../../tests/behaviour/hub.rs"]
mod server;

use self::server::{COMMIT, Hub as Server};
use super::*;
use crate::egress::{Egress, Endpoint, Entry, Ledger, LedgerError};
use crate::world::{Clock, RealNetwork, SimulatedClock, World};
use async_trait::async_trait;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

/// A clock on which pauses pass at once, and are remembered.
#[derive(Default)]
struct Leaping {
    inner: SimulatedClock,
    pauses: Mutex<Vec<u64>>,
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
        if time > Duration::from_secs(60) {
            return self.inner.sleep(time).await;
        }
        self.pauses.lock().unwrap().push(time.as_secs());
    }

    fn zone(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::UTC
    }
}

#[derive(Default)]
struct Lines(Mutex<Vec<Entry>>);

#[async_trait]
impl Ledger for Lines {
    async fn record(&self, entry: Entry) -> Result<(), LedgerError> {
        self.0.lock().unwrap().push(entry);
        Ok(())
    }
}

/// A server, a way to it, and a folder for models.
struct Bench {
    server: Server,
    hub: Hub,
    clock: Arc<Leaping>,
    ledger: Arc<Lines>,
    models: tempfile::TempDir,
    /// What the watcher was told: a letter for each kind of step, without repetitions.
    seen: String,
}

const TOKEN: &str = "hf_t0ken";

impl Bench {
    fn new(server: Server) -> Self {
        let (clock, ledger) = (Arc::new(Leaping::default()), Arc::new(Lines::default()));
        let world = World { network: Arc::new(RealNetwork), clock: clock.clone(), ..World::simulated(1) };
        let endpoint = Endpoint::parse(&server.url()).unwrap();
        let egress = Egress::new(world, ledger.clone());
        let hub = Hub::new(endpoint, Some(TOKEN.into()), egress, clock.clone()).unwrap();
        Self { server, hub, clock, ledger, models: tempfile::tempdir().unwrap(), seen: String::new() }
    }

    fn wanted(gguf: Option<&str>) -> Wanted {
        Wanted { repo: "me/x".parse().unwrap(), revision: "main".into(), gguf: gguf.map(str::to_owned) }
    }

    async fn look(&self) -> Result<Plan, PullError> {
        self.hub.look(&Self::wanted(None), self.models.path()).await
    }

    async fn pull_file(&mut self, gguf: Option<&str>) -> Result<Pulled, PullError> {
        let plan = self.hub.look(&Self::wanted(gguf), self.models.path()).await?;
        let (seen, n_bytes) = (&mut self.seen, plan.n_bytes);
        seen.clear();
        let mut watch = |progress: Progress<'_>| {
            assert!(progress.n_done <= n_bytes && progress.n_bytes == n_bytes, "{progress:?}");
            let letter = match progress.step {
                Step::Checking => 'c',
                Step::Fetching => 'f',
                Step::Waiting { .. } => 'w',
            };
            if !seen.ends_with(letter) {
                seen.push(letter);
            }
        };
        self.hub.pull(plan, &mut watch).await
    }

    async fn pull(&mut self) -> Result<Pulled, PullError> {
        self.pull_file(None).await
    }

    /// The error of a pull, in words.
    async fn fails(&mut self) -> String {
        self.pull().await.unwrap_err().to_string()
    }

    fn folder(&self) -> PathBuf {
        self.models.path().join("me--x")
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder().join(name)).unwrap()
    }

    /// The names in the folder.
    fn files(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder()) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn is_complete(&self) -> bool {
        Pulled::read(&self.folder()).is_some_and(|pulled| pulled.is_whole(&self.folder()))
    }
}

/// Bytes that differ from one another, so many MiB and one.
fn weights(n_mib: usize, seed: u8) -> Vec<u8> {
    (0..(n_mib << 20) + 1).map(|n| (n % 251) as u8 ^ (n >> 16) as u8 ^ seed).collect()
}

const FIRST: &str = "model-00001-of-00002.safetensors";
const SECOND: &str = "model-00002-of-00002.safetensors";

/// One of no more than some bytes.
fn small_checkpoint() -> Bench {
    Bench::new(Server::with_checkpoint(&[b"one", b"two"]))
}

fn checkpoint() -> (Bench, Vec<u8>, Vec<u8>) {
    let (one, two) = (weights(3, 0), weights(2, 7));
    (Bench::new(Server::with_checkpoint(&[&one, &two])), one, two)
}

#[tokio::test]
async fn a_checkpoint_is_looked_at_first_and_then_brought() {
    let (mut bench, one, two) = checkpoint();
    let plan = bench.look().await.unwrap();
    assert_eq!((plan.revision.as_str(), plan.licence.as_deref()), (COMMIT, Some("apache-2.0")));
    assert_eq!(plan.texts[0], ("LICENSE".into(), "Apache License\nVersion 2.0\n".into()));
    assert_eq!((plan.n_present, plan.is_there), (0, false));
    assert!(plan.n_bytes > (one.len() + two.len()) as u64);
    assert!(bench.server.fetched().is_empty() && bench.files().is_empty(), "to look fetches and writes nothing large");

    let pulled = bench.pull().await.unwrap();
    assert_eq!((bench.read(FIRST), bench.read(SECOND)), (one, two));
    let small = ["LICENSE", "USAGE_POLICY", "config.json", "generation_config.json"];
    let more = [FIRST, SECOND, "model.safetensors.index.json", "pulled.json"];
    assert_eq!(bench.files(), [&small[..], &more].concat());
    assert_eq!((pulled.repo.as_str(), pulled.revision.as_str(), pulled.files.len()), ("me/x", COMMIT, 7));
    assert_eq!(pulled.licence.as_deref(), Some("apache-2.0"));
    assert!(bench.is_complete() && bench.look().await.unwrap().is_there);

    // On record, each time, on the account of the command.
    let lines = bench.ledger.0.lock().unwrap();
    let sent = lines.iter().filter_map(|entry| match entry {
        Entry::Sending { sender, url, rule, .. } => Some((sender.as_str(), url.as_str(), rule.as_str())),
        Entry::Answered { .. } => None,
    });
    let (hub, store): (Vec<_>, Vec<_>) = sent.partition(|(_, url, _)| url.starts_with(&bench.server.url()));
    assert_eq!(hub.len() + store.len(), bench.server.state().asked.len());
    assert!(hub.iter().all(|(sender, _, rule)| (*sender, *rule) == ("models.pull", "configuration")));
    assert!(store.len() == 2 && store.iter().all(|(sender, _, rule)| (*sender, *rule) == ("models.pull", "command")));
}

#[tokio::test]
async fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let mut bench = small_checkpoint();
    bench.pull().await.unwrap();
    let state = bench.server.state();
    let (store, hub): (Vec<_>, Vec<_>) = state.asked.iter().partition(|asked| asked.of_store);
    assert!(store.len() == 2 && store.iter().all(|asked| asked.authorization.is_none()), "{store:?}");
    assert!(hub.iter().all(|asked| asked.authorization.as_deref() == Some("Bearer hf_t0ken")), "{hub:?}");
    drop(state);
    let endpoint = Endpoint::parse("http://hub.test/").unwrap();
    let egress = Egress::new(World::simulated(1), bench.ledger.clone());
    let error = Hub::new(endpoint, Some(TOKEN.into()), egress, bench.clock.clone()).err().unwrap().to_string();
    assert!(error.contains("unencrypted") && !error.contains(TOKEN), "{error}");
}

#[tokio::test]
async fn what_is_no_gpt_oss_is_refused_after_one_small_file() {
    let mut bench = Bench::new(Server::new(&[
        ("config.json", br#"{"model_type":"llama"}"#),
        ("model.safetensors", b"weights"),
        ("LICENSE", b"x"),
    ]));
    assert!(bench.fails().await.contains("type \"llama\""));
    let asked: Vec<_> = bench.server.state().asked.iter().map(|asked| asked.path.clone()).collect();
    assert_eq!(asked.len(), 3, "the list, and a small file on its way: {asked:?}");
    assert!(bench.files().is_empty());
    let mut bench = Bench::new(Server::new(&[("model.safetensors", b"weights")]));
    assert!(bench.fails().await.contains("has no config.json"));
}

/// The beginning of a GGUF file, and something behind it.
fn gguf(architecture: &str, n_mib: usize) -> Vec<u8> {
    let string = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let head = [b"GGUF".as_slice(), &3u32.to_le_bytes(), &0u64.to_le_bytes(), &1u64.to_le_bytes()].concat();
    let key = [string("general.architecture"), 8u32.to_le_bytes().to_vec(), string(architecture)].concat();
    [head, key, weights(n_mib, 3)].concat()
}

#[tokio::test]
async fn one_gguf_file_is_brought_and_another_beside_it() {
    let (good, other) = (gguf("gpt-oss", 1), gguf("llama", 1));
    let mut bench = Bench::new(Server::new(&[
        ("x-mxfp4.gguf", &good),
        ("x-q8.gguf", &good),
        ("llama.gguf", &other),
        ("README.md", b"---\nlicense: mit\n---\n"),
    ]));
    let error = bench.fails().await;
    assert!(error.contains("has no config.json") && error.contains("--gguf") && error.contains("x-mxfp4"), "{error}");
    let error = bench.pull_file(Some("llama.gguf")).await.unwrap_err().to_string();
    assert!(error.contains("type \"llama\"") && bench.files().is_empty(), "{error}");
    assert_eq!(bench.server.fetched(), [("llama.gguf".to_owned(), Some("bytes=0-65535".to_owned()))]);

    bench.pull_file(Some("x-mxfp4")).await.unwrap();
    assert_eq!(
        (bench.read("x-mxfp4.gguf"), bench.files()),
        (good.clone(), vec!["pulled.json".into(), "x-mxfp4.gguf".into()])
    );
    let pulled = bench.pull_file(Some("x-q8.gguf")).await.unwrap();
    assert_eq!((pulled.files.len(), pulled.licence.as_deref()), (2, Some("mit")));
    assert!(bench.is_complete());
    // Of another commit, the one that would no longer be known is in the way.
    bench.server.state().commit = Some("f".repeat(40));
    let error = bench.pull_file(Some("x-q8")).await.unwrap_err().to_string();
    assert!(error.contains("holds x-mxfp4.gguf of another revision") && bench.is_complete(), "{error}");
}

#[tokio::test]
async fn a_new_revision_takes_the_place_of_the_old_one() {
    let (mut bench, ..) = checkpoint();
    bench.pull().await.unwrap();
    let new = weights(1, 9);
    let left = bench.folder().join(format!("model.safetensors.{}.part", "0".repeat(16)));
    fs::write(left, "of a revision between the two").unwrap();
    {
        let mut state = bench.server.state();
        state.files.remove(FIRST);
        state.files.remove(SECOND);
        state.files.remove("model.safetensors.index.json");
        state.files.insert("model.safetensors".into(), new.clone());
        state.commit = Some("e".repeat(40));
    }
    let pulled = bench.pull().await.unwrap();
    assert_eq!((pulled.revision, bench.read("model.safetensors")), ("e".repeat(40), new));
    let files = bench.files();
    assert!(
        !files.iter().any(|name| name.contains("0000") || name.contains("index") || name.ends_with("part")),
        "{files:?}"
    );
    assert!(bench.is_complete());
}

#[tokio::test]
async fn a_second_pull_of_the_same_is_told_of_the_first() {
    let mut bench = small_checkpoint();
    let _first = Lock::take(bench.models.path(), &"me/x".parse().unwrap()).unwrap();
    assert!(bench.fails().await.contains("me/x is being fetched already by process"));
    assert!(bench.files().is_empty());
}

#[tokio::test]
async fn a_model_that_does_not_fit_on_the_disk_is_not_begun() {
    let bench = small_checkpoint();
    let n_bytes = 1u64 << 40;
    let lfs = format!(r#"{{"sha256":"{}","size":{n_bytes}}}"#, "a".repeat(64));
    {
        let mut state = bench.server.state();
        state.files.remove(FIRST);
        state.more.push(format!(r#"{{"rfilename":"{FIRST}","size":{n_bytes},"lfs":{lfs}}}"#));
    }
    let error = bench.look().await.unwrap_err().to_string();
    assert!(error.contains("1.0 TiB are still to be fetched") && error.contains("OSSICLE_HOME"), "{error}");
}

#[tokio::test]
async fn silence_is_not_waited_out_for_ever() {
    let mut bench = small_checkpoint();
    bench.server.state().stalls = 1;
    let (clock, server) = (bench.clock.clone(), bench.server.clone());
    let patience = tokio::spawn(async move {
        // Time passes only while the first answer of the store does not come.
        while server.fetched().len() < 2 {
            // Whatever does come on loopback comes sooner.
            tokio::time::sleep(Duration::from_millis(500)).await;
            if server.fetched().len() == 1 {
                clock.inner.advance(Duration::from_secs(91));
            }
        }
    });
    bench.pull().await.unwrap();
    patience.await.unwrap();
    assert_eq!((bench.read(FIRST).as_slice(), bench.seen.as_str()), (&b"one"[..], "fwf"));
}
