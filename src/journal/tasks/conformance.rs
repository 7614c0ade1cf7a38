//! What every [`TaskStore`] does, whoever keeps it.

use super::*;
use crate::journal::SqliteStore;
use crate::journal::ledger::{Broken, verify};
use serde_json::Value;
use std::sync::Arc;

const DAY: &str = "2026-11-26";

fn cents(n: u64) -> Money {
    Money::from_micro_dollars(n * 10_000)
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000 + seconds)
}

fn task_id(session: &str, n: u64) -> TaskId {
    TaskId::named(format!("{session}.{n}"))
}

fn new(session: &str, call: u64, estimate: Option<Money>) -> NewTask {
    NewTask {
        id: task_id(session, call),
        session: session.into(),
        capability: "image".into(),
        model: "a-model".into(),
        estimate,
        request: "{\"prompt\":\"a fox\"}".into(),
        day: DAY.into(),
        words: Words { destination: "api.example.org".into(), rule: "cloud".into(), ..Words::default() },
    }
}

fn budget(call: u64, task: u64, day: u64) -> Budget {
    Budget { per_call: Some(cents(call)), per_task: Some(cents(task)), per_day: Some(cents(day)), ..Budget::default() }
}

fn done(cost: Money) -> End {
    End::new(State::Done, Some(cost), "")
}

struct Kept {
    _folder: tempfile::TempDir,
    store: Arc<SqliteStore>,
}

fn kept() -> Kept {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&folder.path().join("s.sqlite")).unwrap());
    Kept { _folder: folder, store }
}

async fn state(store: &dyn TaskStore, id: &TaskId) -> State {
    store.tasks().await.unwrap().into_iter().find(|task| task.id == *id).unwrap().state
}

#[tokio::test]
async fn money_is_set_aside_before_and_settled_after() {
    let Kept { store, .. } = &kept();
    let budget = budget(10, 15, 20);
    let (one, two) = (new("a", 1, Some(cents(8))), new("a", 2, Some(cents(8))));
    assert_eq!(store.reserve(one.clone(), &budget, at(0)).await.unwrap(), Ok(()));
    let over = store.reserve(two.clone(), &budget, at(1)).await.unwrap().unwrap_err();
    assert_eq!((over.what, over.spent), (Limit::Task, cents(8)));
    assert!(over.to_string().contains("it may cost $0.08, and of the $0.15 for this session $0.08 is spent"), "{over}");
    let over = store.reserve(new("a", 3, Some(cents(11))), &budget, at(1)).await.unwrap().unwrap_err();
    assert_eq!(over.what, Limit::Call);
    assert!(store.settle(&one.id, done(cents(5)), at(2)).await.unwrap());
    assert_eq!(store.reserve(two, &budget, at(3)).await.unwrap(), Ok(()));
    assert_eq!(store.spent("a", DAY).await.unwrap(), Spent { task: cents(13), day: cents(13), reserved: cents(8) });
    // Another session, the same day.
    let over = store.reserve(new("b", 1, Some(cents(9))), &budget, at(4)).await.unwrap().unwrap_err();
    assert_eq!((over.what, over.spent), (Limit::Day, cents(13)));
    let tomorrow = NewTask { day: "2026-11-27".into(), ..new("b", 2, Some(cents(9))) };
    assert_eq!(store.reserve(tomorrow, &budget, at(4)).await.unwrap(), Ok(()));
    // An end is an end.
    assert!(!store.settle(&one.id, done(cents(1)), at(5)).await.unwrap());
    assert!(!store.settle(&TaskId::named("nobody.1"), done(cents(1)), at(5)).await.unwrap());
}

#[tokio::test]
async fn what_nobody_knows_the_price_of_takes_all_that_a_call_may() {
    let Kept { store, .. } = &kept();
    assert_eq!(store.reserve(new("a", 1, None), &budget(10, 100, 100), at(0)).await.unwrap(), Ok(()));
    assert_eq!(store.spent("a", DAY).await.unwrap().reserved, cents(10));
    assert_eq!(store.reserve(new("a", 2, None), &Budget::default(), at(0)).await.unwrap(), Ok(()));
    assert_eq!(store.spent("a", DAY).await.unwrap().reserved, cents(10));
    // With a limit for the day alone the first takes the day, and a second finds nothing.
    let day = Budget { per_day: Some(cents(15)), ..Budget::default() };
    assert_eq!(store.reserve(new("b", 1, None), &day, at(0)).await.unwrap(), Ok(()));
    assert_eq!(store.spent("b", DAY).await.unwrap().task, cents(5));
    assert_eq!(store.reserve(new("b", 2, None), &day, at(0)).await.unwrap().unwrap_err().what, Limit::Day);
}

#[tokio::test]
async fn what_a_dead_process_leaves_is_settled_by_how_far_it_came() {
    let Kept { store, .. } = &kept();
    let budget = Budget::default();
    let (early, late, alive) = (new("a", 1, Some(cents(3))), new("a", 2, Some(cents(3))), new("a", 3, Some(cents(3))));
    for task in [&early, &late, &alive] {
        store.reserve(task.clone(), &budget, at(0)).await.unwrap().unwrap();
    }
    store.step(&late.id, Step::Conversation("conv_1".into()), at(1)).await.unwrap();
    store.step(&late.id, Step::Sending, at(1)).await.unwrap();
    store.step(&alive.id, Step::Sending, at(1)).await.unwrap();
    assert_eq!(store.recover(at(30)).await.unwrap(), []);
    store.step(&alive.id, Step::Alive, at(50)).await.unwrap();
    let ended = store.recover(at(62)).await.unwrap();
    assert_eq!(ended.iter().map(|task| task.state).collect::<Vec<_>>(), [State::Failed, State::Unknown]);
    assert_eq!(state(store.as_ref(), &alive.id).await, State::Sent);
    assert_eq!(ended[1].conversation.as_deref(), Some("conv_1"));
    // The unknown one keeps its money until it is cleared up; the process that was only slow is told.
    assert_eq!(store.spent("a", DAY).await.unwrap().day, cents(6));
    let error = store.step(&late.id, Step::Response("resp_1".into()), at(63)).await.unwrap_err();
    assert!(error.to_string().contains("not running any more"), "{error}");
    assert!(store.settle(&late.id, done(cents(1)), at(64)).await.unwrap());
    assert_eq!(store.spent("a", DAY).await.unwrap().day, cents(4));
}

#[tokio::test]
async fn what_waits_is_taken_once_and_not_for_ever() {
    let Kept { store, .. } = &kept();
    let budget = budget(10, 100, 5);
    for (call, created, expires) in [(1, 0, 10), (2, 1, 1000), (3, 2, 1000)] {
        store.defer(new("a", call, Some(cents(3))), at(created), at(expires)).await.unwrap();
    }
    assert_eq!(store.spent("a", DAY).await.unwrap(), Spent::default(), "what waits costs nothing");
    assert_eq!(store.recover(at(20)).await.unwrap()[0].state, State::Expired);
    // Another session takes it up, on another day, with another model: it is the first one's all the same.
    let fresh = |n| NewTask {
        id: task_id("a", n),
        day: "2026-11-27".into(),
        model: "dearer".into(),
        ..new("b", n, Some(cents(4)))
    };
    let claim = async |n: u64| store.claim(fresh(n), &budget, at(21)).await.unwrap();
    assert_eq!(claim(2).await, Some(Ok(())));
    let taken = store.tasks().await.unwrap().into_iter().find(|task| task.id == task_id("a", 2)).unwrap();
    assert_eq!((taken.session.as_str(), taken.reserved, taken.model.as_str()), ("a", cents(4), "dearer"));
    assert_eq!(claim(2).await, None, "it is taken");
    assert_eq!(claim(1).await, None, "it is expired");
    assert_eq!(claim(3).await.unwrap().unwrap_err().what, Limit::Day);
    // What could not be sent, or whose process died before, waits again.
    assert!(store.release(&task_id("a", 2), "no way", at(22)).await.unwrap());
    assert_eq!(store.spent("a", "2026-11-27").await.unwrap(), Spent::default());
    assert_eq!(claim(2).await, Some(Ok(())));
    assert_eq!(store.recover(at(200)).await.unwrap(), []);
    assert_eq!(state(store.as_ref(), &task_id("a", 2)).await, State::Waiting);
    assert!(!store.release(&task_id("a", 2), "no way", at(201)).await.unwrap());
    assert!(store.cancel(&task_id("a", 3), at(202)).await.unwrap());
    assert!(!store.cancel(&task_id("a", 3), at(202)).await.unwrap());
    assert_eq!(claim(3).await, None, "it is cancelled");
    // What runs cannot be taken back.
    assert_eq!(claim(2).await, Some(Ok(())));
    assert!(!store.cancel(&task_id("a", 2), at(203)).await.unwrap());
}

#[tokio::test]
async fn what_was_paid_for_is_kept_in_the_commit_that_says_so() {
    let Kept { store, .. } = &kept();
    let task = new("a", 1, Some(cents(3)));
    store.reserve(task.clone(), &Budget::default(), at(0)).await.unwrap().unwrap();
    let piece = Piece { name: "picture.png".into(), media_type: "image/png".into(), data: vec![0, 159, 1] };
    store.settle(&task.id, End { results: vec![piece.clone()], ..done(cents(2)) }, at(1)).await.unwrap();
    assert_eq!(store.results(&task.id).await.unwrap(), [piece]);
    store.recover(at(1) + KEPT + Duration::from_secs(1)).await.unwrap();
    assert_eq!(store.results(&task.id).await.unwrap(), []);
}

#[tokio::test]
async fn an_older_file_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sqlite");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(
        "CREATE TABLE session (id TEXT PRIMARY KEY, created_ms INTEGER NOT NULL) STRICT;
         CREATE TABLE record (session TEXT NOT NULL REFERENCES session (id), seq INTEGER NOT NULL, at_ms INTEGER NOT NULL,
             body TEXT NOT NULL, PRIMARY KEY (session, seq)) STRICT, WITHOUT ROWID;
         INSERT INTO session VALUES ('a', 1);
         INSERT INTO record VALUES ('a', 1, 1, '{}');
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(old);
    for _ in 0..2 {
        let store = SqliteStore::open(&path).unwrap();
        assert_eq!(crate::journal::Store::read(&store, "a").await.unwrap().len(), 1);
        assert_eq!(store.lines().await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_task_is_accepted_once() {
    let Kept { store, .. } = &kept();
    store.reserve(new("a", 1, None), &Budget::default(), at(0)).await.unwrap().unwrap();
    assert!(store.reserve(new("a", 1, None), &Budget::default(), at(0)).await.is_err());
    assert!(store.defer(new("a", 1, None), at(0), at(1)).await.is_err());
}

#[tokio::test]
async fn every_step_is_in_the_ledger_and_a_changed_line_is_found() {
    let Kept { store, .. } = &kept();
    let task = new("a", 1, Some(cents(3)));
    store.reserve(task.clone(), &Budget::default(), at(0)).await.unwrap().unwrap();
    store.step(&task.id, Step::Sending, at(1)).await.unwrap();
    store.step(&task.id, Step::Alive, at(1)).await.unwrap();
    store.settle(&task.id, done(cents(2)), at(2)).await.unwrap();
    let lines = store.lines().await.unwrap();
    let bodies: Vec<Value> = lines.iter().map(|line| serde_json::from_str(&line.body).unwrap()).collect();
    let types: Vec<&str> = bodies.iter().map(|body| body["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["task_reserved", "task_step", "task_settled"]);
    assert_eq!(
        (&bodies[0]["destination"], &bodies[0]["reserved_micro_dollars"]),
        (&"api.example.org".into(), &30_000.into())
    );
    assert!(verify(&lines).is_ok());
    store
        .run(|connection| connection.execute("UPDATE ledger SET body = replace(body, '30000', '10') WHERE seq = 1", []))
        .await
        .unwrap();
    assert_eq!(verify(&store.lines().await.unwrap()), Err(Broken(1)));
}

/// Where the children of the next test work, and which of them one is. Alone, this test does nothing.
const CHILD: &str = "OSSICLE_TEST_TASKS_CHILD";

#[tokio::test]
async fn child_that_spends_what_it_can() {
    let Ok(place) = std::env::var(CHILD) else { return };
    let (path, name) = place.rsplit_once('#').unwrap();
    let store = SqliteStore::open(std::path::Path::new(path)).unwrap();
    for call in 0..40 {
        let task = new(name, call, Some(cents(2)));
        if store.reserve(task.clone(), &budget(10, 1000, 101), at(call)).await.unwrap().is_ok() {
            // Half as much as was thought, now and then.
            let cost = if call % 4 == 0 { cents(1) } else { cents(2) };
            store.settle(&task.id, done(cost), at(call)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn eight_processes_at_once_stay_within_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sqlite");
    let children: Vec<_> = (0..8)
        .map(|n| {
            let test = "journal::tasks::conformance::child_that_spends_what_it_can";
            std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", test])
                .env(CHILD, format!("{}#{n}", path.display()))
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let store = SqliteStore::open(&path).unwrap();
    let spent = store.spent("0", DAY).await.unwrap();
    // 320 tasks wanted 5.80 dollars together; the day has 1.01.
    assert!(spent.day > cents(98) && spent.day <= cents(101), "{}", spent.day);
    assert_eq!(spent.reserved, Money::ZERO);
    assert!(verify(&store.lines().await.unwrap()).is_ok());
}
