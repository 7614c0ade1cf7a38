//! `kill -9` at every write of a delegation, before it and after it: nothing is lost, nothing is paid for twice, the budget is
//! right, and what the server charged is what the ledger says.
//!
//! A child process delegates to a server of the parent's and dies at one of its writes; the parent then does what the next start
//! would do, and counts. `OSSICLE_DEEP=1` does all of it many times.

use super::*;
use crate::delegate::catalogue::Catalogue;
use crate::delegate::openai::mock::{KEY, Mock};
use crate::delegate::openai::{Key, OpenAi, Settings};
use crate::delegate::{Ability, Hosted, Models};
use crate::egress::{Egress, Endpoint, Entry, Ledger, LedgerError};
use crate::journal::ledger::verify;
use crate::journal::tasks::{OverBudget, Spent};
use crate::journal::{Journal, JournalError, SqliteStore, Task, ledger};
use crate::policy::{Approval, Approver, Call, Decision, Effect, HostPattern, Pending};
use crate::tool::{Output, Progress, Tool};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

/// Tells a child where it works and where it dies: `PATH#URL#ABILITY#WRITE#before|after#now|later`. Alone, the child's test does nothing.
const CHILD: &str = "OSSICLE_TEST_CLOUD_CHILD";

const POLICY: &str =
    "version = 1\n[budget]\nper_day = \"$10\"\n[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"";

/// Counts writes, and ends the process at one of them as a power cut would.
struct Death {
    n_writes: AtomicUsize,
    at: usize,
    is_after: bool,
}

impl Death {
    async fn around<T>(&self, write: impl Future<Output = T>) -> T {
        let is_last = self.n_writes.fetch_add(1, Ordering::SeqCst) + 1 == self.at;
        if is_last && !self.is_after {
            die();
        }
        let value = write.await;
        if is_last {
            die();
        }
        value
    }
}

fn die() {
    let killed = Command::new("/bin/kill").args(["-9", &std::process::id().to_string()]).status();
    unreachable!("killed: {killed:?}");
}

struct Mortal<T: ?Sized>(Arc<T>, Arc<Death>);

#[async_trait]
impl TaskStore for Mortal<dyn TaskStore> {
    async fn reserve(
        &self,
        task: NewTask,
        budget: &Budget,
        at: SystemTime,
    ) -> Result<Result<(), OverBudget>, JournalError> {
        self.1.around(self.0.reserve(task, budget, at)).await
    }

    async fn defer(&self, task: NewTask, at: SystemTime, expires: SystemTime) -> Result<(), JournalError> {
        self.1.around(self.0.defer(task, at, expires)).await
    }

    async fn claim(
        &self,
        fresh: NewTask,
        budget: &Budget,
        at: SystemTime,
    ) -> Result<Option<Result<(), OverBudget>>, JournalError> {
        self.1.around(self.0.claim(fresh, budget, at)).await
    }

    async fn release(&self, task: &TaskId, why: &str, at: SystemTime) -> Result<bool, JournalError> {
        self.1.around(self.0.release(task, why, at)).await
    }

    async fn cancel(&self, task: &TaskId, at: SystemTime) -> Result<bool, JournalError> {
        self.1.around(self.0.cancel(task, at)).await
    }

    async fn results(&self, task: &TaskId) -> Result<Vec<Piece>, JournalError> {
        self.0.results(task).await
    }

    async fn step(&self, task: &TaskId, step: tasks::Step, at: SystemTime) -> Result<(), JournalError> {
        self.1.around(self.0.step(task, step, at)).await
    }

    async fn settle(&self, task: &TaskId, end: End, at: SystemTime) -> Result<bool, JournalError> {
        self.1.around(self.0.settle(task, end, at)).await
    }

    async fn recover(&self, at: SystemTime) -> Result<Vec<Task>, JournalError> {
        self.0.recover(at).await
    }

    async fn tasks(&self) -> Result<Vec<Task>, JournalError> {
        self.0.tasks().await
    }

    async fn spent(&self, session: &str, day: &str) -> Result<Spent, JournalError> {
        self.0.spent(session, day).await
    }

    async fn lines(&self) -> Result<Vec<ledger::Line>, JournalError> {
        self.0.lines().await
    }
}

#[async_trait]
impl Ledger for Mortal<Journal> {
    async fn record(&self, entry: Entry) -> Result<(), LedgerError> {
        self.1.around(Ledger::record(self.0.as_ref(), entry)).await
    }
}

struct Nobody;

#[async_trait]
impl Approver for Nobody {
    async fn approve(&self, _pending: &Pending) -> Approval {
        Approval::NobodyThere
    }
}

/// A way to the parent's server, whose writes may be the last.
async fn cloud(path: &Path, url: &str, death: Arc<Death>) -> Arc<Cloud> {
    cloud_that_knows(&Known::default(), path, url, death).await
}

async fn cloud_that_knows(known: &Known, path: &Path, url: &str, death: Arc<Death>) -> Arc<Cloud> {
    let (world, policy) = (World::real(), Policy::parse("p", POLICY).unwrap());
    let store = Arc::new(SqliteStore::open(path).unwrap());
    let journal = Journal::create(store.clone(), &world).await.unwrap();
    let session = journal.session_id().to_owned();
    let egress = Egress::new(world.clone(), Arc::new(Mortal(Arc::new(journal), death.clone())));
    let endpoint = Endpoint::parse(&format!("{url}/")).unwrap();
    let client = OpenAi::new(egress, endpoint, Key::new(KEY, "a test").unwrap(), world.clone(), Settings::default());
    let delegate = Hosted::new(Some(client), "127.0.0.1".into(), Catalogue::embedded(), Models::new());
    let (host, tasks) = (HostPattern::parse("127.0.0.1").unwrap(), Mortal(store as Arc<dyn TaskStore>, death));
    let provider = Provider { name: "hosted".into(), delegate: Arc::new(delegate), host };
    Arc::new(Cloud::new(vec![provider], Arc::new(tasks), policy, known, world, &session).unwrap())
}

fn grant(cloud: &Cloud, tool: &dyn Tool, arguments: &Value) -> Grant {
    let quote = tool.quote(arguments);
    let call = Call { effect: Effect::Cloud, quote: quote.as_ref(), ..tool.spec().asks(arguments) };
    match cloud.policy.decide(&call) {
        Decision::Allow(grant) => grant,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn child_that_delegates_until_it_is_killed() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let told: Vec<&str> = told.split('#').collect();
    let [path, url, ability, at, side, when] = told[..] else { panic!("{told:?}") };
    let death = Death { n_writes: AtomicUsize::new(0), at: at.parse().unwrap(), is_after: side == "after" };
    let death = Arc::new(death);
    let cloud = cloud(Path::new(path), url, death.clone()).await;
    let tool = tools(&cloud, &[]).into_iter().find(|tool| tool.spec().id.tool == ability).unwrap();
    let arguments = json!({ "prompt": "a fox", "question": "why?" });
    if when == "later" {
        let offline = self::cloud(Path::new(path), url, death.clone()).await;
        let offline = Arc::new(Arc::into_inner(offline).unwrap().offline(true));
        let tool = tools(&offline, &[]).into_iter().find(|tool| tool.spec().id.tool == ability).unwrap();
        let grant = grant(&offline, tool.as_ref(), &arguments);
        tool.call(arguments.clone(), grant, &Progress::default()).await.unwrap();
    }
    let output = match when {
        "later" => drained(&cloud).await.unwrap(),
        _ => {
            let grant = grant(&cloud, tool.as_ref(), &arguments);
            tool.call(arguments, grant, &Progress::default()).await.unwrap()
        }
    };
    println!("\nwrites {} {}", death.n_writes.load(Ordering::SeqCst), output.attachments.len());
}

/// What came of the only task that waits.
async fn drained(cloud: &Arc<Cloud>) -> Result<Output, crate::tool::ToolError> {
    let tasks = cloud.tasks.tasks().await.unwrap();
    let task = tasks.into_iter().find(|task| task.state == State::Waiting).unwrap();
    let (tool, arguments) = waiting(cloud, task, &[]).unwrap();
    let arguments: Value = serde_json::from_str(&arguments).unwrap();
    let grant = grant(cloud, tool.as_ref(), &arguments);
    tool.call(arguments, grant, &Progress::default()).await
}

/// What became of a delegation that died at this write; the number of writes when it did not die.
async fn run(ability: Ability, at: usize, side: &str, when: &str) -> Option<usize> {
    let folder = tempfile::tempdir().unwrap();
    let (path, mock) = (folder.path().join("s.sqlite"), Mock::start(0).unwrap());
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "agent::cloud::crashes::child_that_delegates_until_it_is_killed", "--nocapture"])
        .env(CHILD, format!("{}#{}#{ability}#{at}#{side}#{when}", path.display(), mock.url()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&child.stdout).into_owned();
    let n_writes = printed.lines().find_map(|line| line.strip_prefix("writes ")?.split(' ').next()?.parse().ok());
    assert_eq!(n_writes.is_some(), child.status.success(), "{printed}\n{}", String::from_utf8_lossy(&child.stderr));
    let nobody = Death { n_writes: AtomicUsize::new(0), at: 0, is_after: false };
    let cloud = cloud(&path, &mock.url(), Arc::new(nobody)).await;
    let place = format!("{ability} {when}, {side} write {at}");

    // The next start, once the lease is over.
    cloud.tasks.recover(SystemTime::now() + 2 * LEASE).await.unwrap();
    // What is still worked on is looked at again, as each `cloud queue drain` does.
    for _ in 0..3 {
        clear_up(&cloud, &Nobody, SystemTime::now()).await;
    }
    let n_charged = mock.store().charged().len();
    let found = cloud.tasks.tasks().await.unwrap();
    assert!(n_charged <= 1 && found.len() <= 1, "{place}: {found:?}");
    let spent = async || cloud.tasks.spent("", &cloud.world.clock.today()).await.unwrap().day;
    let state = found.first().map_or(State::Failed, |task| task.state);
    match (n_charged, state) {
        // What waits is done by whoever comes next, once.
        (0, State::Waiting) => {
            assert_eq!(spent().await, Money::ZERO, "{place}");
            drained(&cloud).await.unwrap();
            assert_eq!(cloud.tasks.tasks().await.unwrap()[0].state, State::Done, "{place}");
            assert_eq!(mock.store().charged().len(), 1, "{place}");
        }
        (0, State::Failed) => assert_eq!(spent().await, Money::ZERO, "{place}"),
        (1, State::Done) => {
            let results = cloud.tasks.results(&found[0].id).await.unwrap();
            assert!(results.len() == 1 && !results[0].data.is_empty(), "{place}: what was paid for is here");
            assert!(spent().await > Money::ZERO, "{place}");
        }
        // Nobody can ask what became of a picture; and of a question there may be no trace yet.
        (_, State::Unknown) => {
            assert!(ability == Ability::Image || n_charged == 0, "{place}");
            assert!(spent().await > Money::ZERO, "{place}: its money stays set aside");
            clear_up(&cloud, &Nobody, SystemTime::now() + LONGEST).await;
            let later = cloud.tasks.tasks().await.unwrap()[0].state;
            assert_eq!(later, if ability == Ability::Image { State::Unknown } else { State::Failed }, "{place}");
            assert!(spent().await > Money::ZERO, "{place}");
        }
        _ => panic!("{place}: charged {n_charged} times, and {state:?}"),
    }
    verify(&cloud.tasks.lines().await.unwrap()).unwrap();
    n_writes
}

#[tokio::test]
async fn a_kill_at_any_write_loses_nothing_and_pays_for_nothing_twice() {
    let n_rounds = if std::env::var_os("OSSICLE_DEEP").is_some() { 20 } else { 2 };
    for (ability, when) in
        [(Ability::Image, "now"), (Ability::Ask, "now"), (Ability::Image, "later"), (Ability::Ask, "later")]
    {
        let n_writes = run(ability, 0, "before", when).await.expect("nobody dies at write 0");
        assert!(n_writes >= 5, "{ability} writes {n_writes} times");
        println!("{ability} {when}: {} kills", n_rounds * n_writes * 2);
        for _ in 0..n_rounds {
            for at in 1..=n_writes {
                for side in ["before", "after"] {
                    assert_eq!(run(ability, at, side, when).await, None, "{ability} {when} {side} {at}");
                }
            }
        }
    }
}

#[tokio::test]
async fn of_a_hundred_planted_values_none_leaves_and_all_are_in_the_answer() {
    use crate::policy::redact::canary::{canaries, forms, known};
    let folder = tempfile::tempdir().unwrap();
    let mock = Mock::start(0).unwrap();
    let nobody = Death { n_writes: AtomicUsize::new(0), at: 0, is_after: false };
    let path = folder.path().join("s.sqlite");
    let cloud = cloud_that_knows(&known(), &path, &mock.url(), Arc::new(nobody)).await;
    let tool = tools(&cloud, &[]).into_iter().find(|tool| tool.spec().id.tool == "ask").unwrap();
    let planted = canaries(7);
    let question: String = planted.iter().map(|canary| format!("{}\n", canary.sentence)).collect();
    let arguments = json!({ "question": question });
    let quote = tool.quote(&arguments).unwrap();
    assert!(quote.confidentiality < Confidentiality::Secret, "what is left in it is no secret");
    let output = tool.call(arguments.clone(), grant(&cloud, tool.as_ref(), &arguments), &Progress::default()).await;
    let text = output.unwrap().text;
    let received = mock.store().bytes().to_vec();
    let ledger: String = cloud.tasks.lines().await.unwrap().into_iter().map(|line| line.body).collect();
    for canary in &planted {
        for form in forms(&canary.value) {
            let left = received.windows(form.len()).any(|part| part == form.as_bytes());
            assert!(!left && !ledger.contains(&form), "{form} of {}", canary.sentence);
        }
    }
    // The server says again what it heard. In a URL a value is not put back: that could carry it away.
    let is_url = |text: &str| ["://", "mailto:", "www.", "//", "](", "href"].iter().any(|sign| text.contains(sign));
    let missing: Vec<&str> =
        planted.iter().map(|canary| canary.sentence.as_str()).filter(|sentence| !text.contains(sentence)).collect();
    assert!(missing.len() < 20 && missing.iter().all(|sentence| is_url(sentence)), "{missing:?}");
    assert!(quote.text.matches('⟦').count() >= 100, "{}", quote.text);
    let sent = String::from_utf8_lossy(&received).into_owned();
    assert!(
        sent.contains(&serde_json::to_string(quote.text.lines().next().unwrap()).unwrap().trim_matches('"').to_owned())
    );
}
