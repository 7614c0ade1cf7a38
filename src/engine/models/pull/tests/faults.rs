//! Pulls from a hub on loopback that breaks off, refuses, lies or leads astray.
//!
//! Each fault is the server's; what is compared is what the folder holds, what was asked, and what is said. Start at [`Bench`].

use super::*;

#[tokio::test]
async fn a_connection_that_breaks_off_is_taken_up_where_it_was() {
    let (mut bench, one, _) = checkpoint();
    bench.server.state().cuts = (2, (1 << 20) + 7);
    bench.pull().await.unwrap();
    assert_eq!(bench.read(FIRST), one);
    let ranges: Vec<_> = bench.server.fetched().into_iter().map(|(_, range)| range.unwrap_or_default()).collect();
    assert_eq!(ranges, ["", "bytes=1048583-", "bytes=2097166-", ""]);
    assert_eq!(bench.seen, "fwfwf");
    // Both brought something, so the pause is not longer the second time.
    assert_eq!(*bench.clock.pauses.lock().unwrap(), [1, 1]);
}

#[tokio::test]
async fn what_never_gets_on_is_given_up_and_the_next_pull_goes_on() {
    let (mut bench, one, two) = checkpoint();
    bench.server.state().cuts = (6, 1000);
    let error = bench.fails().await;
    assert!(error.contains("broke off 6 times") && error.contains("the same command goes on"), "{error}");
    assert_eq!(*bench.clock.pauses.lock().unwrap(), [1, 2, 4, 8, 16]);
    assert!(!bench.is_complete() && bench.files().iter().any(|name| name.ends_with(".part")), "{:?}", bench.files());
    assert_eq!(bench.look().await.unwrap().n_present, 6000 + small_bytes(&bench));

    bench.server.state().asked.clear();
    bench.pull().await.unwrap();
    assert_eq!(bench.server.fetched()[0].1.as_deref(), Some("bytes=6000-"));
    assert_eq!((bench.read(FIRST), bench.read(SECOND), bench.seen.as_str()), (one, two, "cf"));
    assert!(bench.is_complete());
}

fn small_bytes(bench: &Bench) -> u64 {
    let small = ["LICENSE", "USAGE_POLICY", "config.json", "generation_config.json", "model.safetensors.index.json"];
    small.iter().map(|name| bench.read(name).len() as u64).sum()
}

#[tokio::test]
async fn a_file_whose_name_is_its_own_already_is_read_and_kept_if_it_is_right() {
    let (mut bench, one, two) = checkpoint();
    bench.server.state().refusals.push((SECOND, 500, "", 99));
    assert!(bench.fails().await.contains("status 500"));
    bench.server.state().refusals.clear();
    bench.server.state().asked.clear();
    bench.pull().await.unwrap();
    assert_eq!(bench.server.fetched(), [(SECOND.to_owned(), None)], "the first one was there");
    // What has the length and other bytes is fetched again.
    Pulled::withdraw(&bench.folder()).unwrap();
    fs::write(bench.folder().join(FIRST), vec![0; one.len()]).unwrap();
    bench.server.state().asked.clear();
    bench.pull().await.unwrap();
    assert_eq!(bench.server.fetched(), [(FIRST.to_owned(), None)]);
    assert_eq!((bench.read(FIRST), bench.read(SECOND)), (one, two));
}

#[tokio::test]
async fn a_server_that_gives_whole_files_only_is_taken_as_it_is() {
    let (mut bench, one, _) = checkpoint();
    bench.server.state().ignores_ranges = true;
    bench.server.state().cuts = (2, 2 << 20);
    bench.pull().await.unwrap();
    assert_eq!(bench.read(FIRST), one);
    // One that breaks off at the same place each time gets nowhere, and that is noticed.
    let (mut bench, ..) = checkpoint();
    bench.server.state().ignores_ranges = true;
    bench.server.state().cuts = (999, 2 << 20);
    assert!(bench.fails().await.contains("broke off 6 times"));
    assert_eq!(bench.server.fetched().len(), 6);
}

#[tokio::test]
async fn other_bytes_than_the_hub_said_are_removed() {
    for (name, cut) in [(SECOND, 0), (SECOND, 1), ("config.json", 0)] {
        let mut bench = small_checkpoint();
        bench.server.state().lies_about = Some(name.into());
        bench.server.state().cuts = (usize::from(cut > 0), cut);
        let error = bench.fails().await;
        assert!(error.contains(name) && error.contains("is not what the hub said"), "{error}");
        assert!(
            !bench.is_complete() && !bench.files().iter().any(|file| file.starts_with("model-00002")),
            "{:?}",
            bench.files()
        );
    }
    // Where it hands a file out, the hub says what it is once more.
    let mut bench = small_checkpoint();
    let other = format!("x-linked-etag: \"{}\"\r\nlocation: /x\r\n", "1".repeat(64));
    bench.server.state().refusals.push((FIRST, 302, other.leak(), 1));
    assert!(bench.fails().await.contains("hands out another"));
}

#[tokio::test]
async fn what_a_hub_refuses_is_said_with_what_to_do() {
    for (path, status, headers, words) in [
        ("/api/", 401, "", "does not know me/x, or does not take the token"),
        ("/api/", 404, "x-error-code: RepoNotFound\r\n", "has no me/x"),
        ("/api/", 404, "x-error-code: RevisionNotFound\r\n", "me/x has no revision main"),
        ("/resolve/", 404, "x-error-code: EntryNotFound\r\n", "me/x has no config.json"),
        ("/resolve/", 403, "x-error-code: GatedRepo\r\n", "set HF_TOKEN to a token of that account"),
        ("/resolve/", 401, "x-error-code: GatedRepo\r\n", "those who accept its licence"),
        ("/resolve/", 403, "", "those who accept its licence"),
        ("/api/", 418, "", "status 418"),
        ("/api/", 429, "retry-after: 1000000000\r\n", "left alone for 1000000000 s"),
    ] {
        let mut bench = small_checkpoint();
        bench.server.state().refusals.push((path, status, headers, 1));
        let error = bench.fails().await;
        assert!(error.contains(words) && !error.contains(TOKEN), "{status} {headers}: {error}");
        assert!(bench.clock.pauses.lock().unwrap().is_empty(), "{status}: it is not asked again");
        assert!(bench.files().is_empty());
    }
}

#[tokio::test]
async fn a_hub_that_is_busy_is_asked_again_when_it_wants() {
    for (path, status, headers, pauses) in [
        ("/api/", 429, "retry-after: 7\r\n", vec![7, 7]),
        ("/api/", 503, "", vec![1, 2]),
        ("/resolve/", 500, "", vec![1, 2]),
        // A link that is no longer good is replaced.
        ("/blobs/", 403, "", vec![1, 2]),
    ] {
        let mut bench = small_checkpoint();
        bench.server.state().refusals.push((path, status, headers, 2));
        bench.pull().await.unwrap();
        assert_eq!(*bench.clock.pauses.lock().unwrap(), pauses, "{path} {status}");
    }
    let mut bench = small_checkpoint();
    bench.server.state().refusals.push(("/api/", 502, "", 99));
    assert!(bench.fails().await.contains("the list of files broke off 6 times"));
}

#[tokio::test]
async fn where_a_hub_may_not_lead_nothing_is_asked() {
    let (private, public) = ("http://10.0.0.1/x", "http://example.org/x");
    for (place, words) in [
        (private.to_owned(), "10.0.0.1, and not over https"),
        (public.to_owned(), "example.org, and not over https"),
        (
            "https://10.0.0.1/x".into(),
            "nothing was asked: 10.0.0.1 leads to 10.0.0.1, which is not on the public internet",
        ),
        ("https://169.254.169.254/latest".into(), "not on the public internet"),
        ("https://[::ffff:10.0.0.1]/x".into(), "not on the public internet"),
        ("https://me:secret@example.org/x".into(), "user name"),
        ("file:///etc/passwd".into(), "not over https"),
        ("http://".into(), "no URL"),
    ] {
        let mut bench = small_checkpoint();
        bench.server.state().elsewhere = Some(place.clone());
        let error = bench.fails().await;
        assert!(error.contains(words), "{place}: {error}");
    }
    let mut bench = small_checkpoint();
    let round = format!("{}/me/x/resolve/{COMMIT}/{FIRST}", bench.server.url());
    bench.server.state().elsewhere = Some(round);
    assert!(bench.fails().await.contains("without end"));
}

#[tokio::test]
async fn whoever_stops_waiting_finds_what_came() {
    let (mut bench, one, _) = checkpoint();
    let plan = bench.look().await.unwrap();
    bench.server.state().stalls = 0;
    bench.server.state().cuts = (1, 2 << 20);
    let interrupted = Arc::new(Mutex::new(false));
    {
        let told = interrupted.clone();
        let mut watch = move |progress: Progress<'_>| {
            if matches!(progress.step, Step::Waiting { .. }) {
                *told.lock().unwrap() = true;
            }
        };
        let pulling = bench.hub.pull(plan, &mut watch);
        tokio::pin!(pulling);
        // Dropped in the middle, as when the program ends.
        loop {
            tokio::select! {
                biased;
                _ = &mut pulling => panic!("it was not interrupted"),
                () = tokio::task::yield_now() => {}
            }
            if *interrupted.lock().unwrap() {
                break;
            }
        }
    }
    bench.server.state().asked.clear();
    bench.pull().await.unwrap();
    let range = bench.server.fetched()[0].1.clone();
    assert!(range.as_deref().is_some_and(|range| range.starts_with("bytes=2097152")), "{range:?}");
    assert_eq!(bench.read(FIRST), one);
}
