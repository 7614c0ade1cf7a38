//! The paid question, step by step, and what is found of it after a crash.

use super::*;

const HEARD: &str = "The mock heard: What does the fox say?";

/// Steps, each with the requests that had been sent by then. The step of this number fails: a crash.
struct Journal<'a> {
    bench: &'a Bench,
    fails_at: usize,
    seen: Mutex<Vec<(Step, usize)>>,
    heard: Mutex<String>,
}

impl<'a> Journal<'a> {
    fn new(bench: &'a Bench, fails_at: usize) -> Self {
        Self { bench, fails_at, seen: Mutex::default(), heard: Mutex::default() }
    }

    fn conversation(&self) -> String {
        let seen = self.seen.lock().unwrap();
        let Step::ConversationCreated { id } = &seen[0].0 else { panic!("{seen:?}") };
        id.clone()
    }

    fn response(&self) -> Option<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().find_map(|(step, _)| match step {
            Step::ResponseCreated { id } => Some(id.clone()),
            _ => None,
        })
    }
}

#[async_trait]
impl Steps for Journal<'_> {
    async fn step(&self, step: Step) -> Result<(), StepError> {
        let mut seen = self.seen.lock().unwrap();
        if seen.len() == self.fails_at {
            // What is not written is not known after the crash, but for the conversation, which the test needs.
            if seen.is_empty() {
                seen.push((step, self.bench.n_requests()));
            }
            return Err(StepError("crashed".into()));
        }
        seen.push((step, self.bench.n_requests()));
        Ok(())
    }

    fn heard(&self, event: &Event) {
        if let Event::Text(text) = event {
            self.heard.lock().unwrap().push_str(text);
        }
    }
}

const NEVER: usize = usize::MAX;

fn text(answer: &Answer) -> &str {
    match &answer.completion {
        Completion::Finished { text, .. } => text,
        other => panic!("{other:?}"),
    }
}

/// Reconciles until it is known.
/// What becomes of it once it has had its time: until then there is no trace of it.
async fn reconciled(bench: &Bench, journal: &Journal<'_>) -> Reconciled {
    let (conversation, response) = (journal.conversation(), journal.response());
    for n_looks in 0..5 {
        let became = bench
            .openai
            .reconcile(&conversation, response.as_deref(), Some(&question().hash()), &bench.grant)
            .await
            .unwrap();
        if became != Reconciled::Running && (became != Reconciled::NotThere || n_looks == 4) {
            return became;
        }
    }
    panic!("it never ends");
}

#[tokio::test]
async fn each_step_is_written_down_before_the_next_byte_goes_out() {
    let bench = Bench::new();
    let journal = Journal::new(&bench, NEVER);
    let answer = bench.openai.ask(&question(), &bench.grant, &journal).await.unwrap();
    assert_eq!((text(&answer), bench.n_charged()), (HEARD, 1));
    assert_eq!(*journal.heard.lock().unwrap(), HEARD);
    let seen = journal.seen.lock().unwrap();
    let [
        (Step::ConversationCreated { .. }, 1),
        (Step::Intent { request_hash }, 1),
        (Step::ResponseCreated { id }, 2),
        (Step::Done { usage }, 3),
    ] = &seen[..]
    else {
        panic!("{seen:?}")
    };
    assert_eq!((request_hash, Some(id), *usage), (&question().hash(), answer.response_id.as_ref(), answer.usage));
    assert!(usage.is_some());
}

#[tokio::test]
async fn after_a_crash_at_any_step_nothing_is_paid_twice_and_the_answer_is_found() {
    for (fails_at, n_requests, n_charged) in [(0, 1, 0), (1, 1, 0), (2, 2, 1), (3, 3, 1)] {
        let bench = Bench::new();
        let journal = Journal::new(&bench, fails_at);
        let error = bench.openai.ask(&question(), &bench.grant, &journal).await.unwrap_err();
        assert!(matches!(error, OpenAiError::Step(_)), "{error}");
        assert_eq!((bench.n_requests(), bench.n_charged()), (n_requests, n_charged), "step {fails_at}");
        match (reconciled(&bench, &journal).await, n_charged) {
            (Reconciled::NotThere, 0) => {}
            (Reconciled::Finished(answer), 1) => assert_eq!(text(&answer), HEARD),
            (other, _) => panic!("step {fails_at}: {other:?}"),
        }
        assert_eq!(bench.n_charged(), n_charged, "to look costs nothing");
    }
}

#[tokio::test]
async fn when_the_answer_to_the_paid_request_is_lost_the_conversation_tells() {
    for (fault, is_charged) in
        [(Fault::ResetAfterBilling, true), (Fault::Reset, false), (Fault::CutAfterBytes(9), true)]
    {
        let bench = Bench::new();
        bench.planned(Some("/responses"), 1, fault.clone());
        let journal = Journal::new(&bench, NEVER);
        let error = bench.openai.ask(&question(), &bench.grant, &journal).await.unwrap_err();
        assert!(matches!(error, OpenAiError::Unknown { .. }), "{fault:?}: {error}");
        assert_eq!(bench.n_charged(), usize::from(is_charged));
        if is_charged {
            let hash = question().hash();
            let became =
                bench.openai.reconcile(&journal.conversation(), None, Some(&hash), &bench.grant).await.unwrap();
            assert_eq!(became, Reconciled::NotThere, "it is put there at the end");
        }
        match reconciled(&bench, &journal).await {
            Reconciled::Finished(answer) => assert!(is_charged && text(&answer) == HEARD && answer.usage.is_none()),
            Reconciled::NotThere => assert!(!is_charged, "{fault:?}"),
            other => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(bench.n_charged(), usize::from(is_charged), "{fault:?}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_is_taken_up_where_it_was_left() {
    let bench = Bench::new();
    bench.planned(Some("/responses/*"), 3, Fault::CutAfterEvents(4));
    let journal = Journal::new(&bench, NEVER);
    let answer = bench.openai.ask(&question(), &bench.grant, &journal).await.unwrap();
    assert_eq!((text(&answer), journal.heard.lock().unwrap().as_str()), (HEARD, HEARD));
    let paths: Vec<String> = bench.mock.store().requests().iter().map(|request| request.path.clone()).collect();
    assert!(paths[4].ends_with("?stream=true&starting_after=7"), "{paths:?}");
}

#[tokio::test]
async fn where_no_stream_can_be_had_the_response_is_polled() {
    for fault in [Fault::CutAfterEvents(0), Fault::StallAfterEvents(2), Fault::WrongTypes, Fault::Quota] {
        let bench = Bench::new();
        let n = if matches!(fault, Fault::StallAfterEvents(_)) { 2 } else { 1 };
        bench.planned(Some("/responses/*"), n, fault.clone());
        let journal = Journal::new(&bench, NEVER);
        let request = question();
        let asking = bench.openai.ask(&request, &bench.grant, &journal);
        let answer = if n == 2 { bench.through_silence(asking).await } else { asking.await };
        assert_eq!(text(&answer.unwrap()), HEARD, "{fault:?}");
        assert_eq!(bench.n_charged(), 1);
    }
}

#[tokio::test]
async fn once_it_is_created_an_error_does_not_say_that_nothing_was_paid() {
    let bench = Bench::new();
    bench.planned(Some("/responses/*"), u32::MAX, Fault::Quota);
    let journal = Journal::new(&bench, NEVER);
    let error = bench.openai.ask(&question(), &bench.grant, &journal).await.unwrap_err();
    assert!(matches!(error, OpenAiError::Unknown { .. }), "{error}");
    assert_eq!(journal.seen.lock().unwrap().len(), 3, "it is not done");
}

#[tokio::test]
async fn refusals_and_failures_are_outcomes_and_are_written_down() {
    for (fault, expect) in [
        (Fault::Refusal, "Refused"),
        (Fault::Fail("server_error".into()), "Failed"),
        (Fault::Fail("content_policy_violation".into()), "Policy"),
    ] {
        let bench = Bench::new();
        bench.planned(Some("/responses"), 1, fault);
        let journal = Journal::new(&bench, NEVER);
        let outcome = bench.openai.ask(&question(), &bench.grant, &journal).await;
        assert!(format!("{outcome:?}").contains(expect), "{outcome:?}");
        assert!(matches!(journal.seen.lock().unwrap().last(), Some((Step::Done { .. }, _))));
        assert_eq!(bench.n_charged(), 1);
    }
}

#[tokio::test]
async fn what_was_deleted_or_belongs_to_another_is_not_mistaken() {
    let bench = Bench::new();
    let (openai, grant) = (&bench.openai, &bench.grant);
    let journal = Journal::new(&bench, NEVER);
    let answer = openai.ask(&question(), grant, &journal).await.unwrap();
    let (conversation, id) = (journal.conversation(), answer.response_id.unwrap());
    let error = openai.reconcile(&conversation, None, Some("another"), grant).await.unwrap_err();
    assert!(error.to_string().contains("another request"), "{error}");
    openai.delete_response(&id, grant).await.unwrap();
    let hash = question().hash();
    let became = openai.reconcile(&conversation, Some(&id), Some(&hash), grant).await.unwrap();
    assert!(matches!(became, Reconciled::Finished(answer) if text(&answer) == HEARD));
    openai.delete_conversation(&conversation, grant).await.unwrap();
    let error = openai.reconcile(&conversation, Some(&id), Some(&hash), grant).await.unwrap_err();
    assert!(matches!(error, OpenAiError::NotFound { .. }), "nothing is known of it: {error}");
    let n_before = bench.n_requests();
    let request = ResponseRequest { after: Some(After::Conversation(conversation)), ..question() };
    let error = openai.ask(&request, grant, &journal).await.unwrap_err();
    assert!(matches!(error, OpenAiError::NotSent(_)) && bench.n_requests() == n_before, "{error}");
}

#[test]
fn a_hash_is_of_what_is_asked_and_not_of_where() {
    let inside = ResponseRequest { after: Some(After::Conversation("conv_1".into())), ..question() };
    assert_eq!(inside.hash(), question().hash());
    assert_ne!(question().hash(), ResponseRequest::question(SOL, "And the hare?").hash());
}
