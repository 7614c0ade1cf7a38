//! What the client makes of a server that does not behave.

use super::*;

const SAID: &str = r#"{"error":{"code":"c","type":"t","message":"m"}}"#;

fn kind(error: &OpenAiError) -> &'static str {
    match error {
        OpenAiError::NotSent(_) => "not sent",
        OpenAiError::Lost { .. } => "lost",
        OpenAiError::Unknown { .. } => "unknown",
        OpenAiError::Key { .. } => "key",
        OpenAiError::NoKey { .. } => "no key",
        OpenAiError::Quota { .. } => "quota",
        OpenAiError::RateLimited { .. } => "rate limited",
        OpenAiError::Policy { .. } => "policy",
        OpenAiError::NoSuchModel { .. } => "no such model",
        OpenAiError::NotFound { .. } => "not found",
        OpenAiError::Rejected { .. } => "rejected",
        OpenAiError::Unavailable { .. } => "unavailable",
        OpenAiError::Failed { .. } => "failed",
        OpenAiError::Malformed { .. } => "malformed",
        OpenAiError::TooLong { .. } => "too long",
        OpenAiError::Step(_) => "step",
    }
}

fn status(status: u16, body: &str) -> Fault {
    Fault::Status { status, headers: Vec::new(), body: body.into() }
}

fn limited(ms: Option<u64>, after: Option<&str>) -> Fault {
    Fault::RateLimit { ms, after: after.map(str::to_owned) }
}

/// Each line: a fault that does not pass; the error and the requests it takes for what is free, and for what is paid;
/// and how often that is charged.
#[tokio::test]
async fn each_fault_is_its_own_error_after_as_many_attempts_as_it_deserves() {
    for (fault, free, paid, n_charged) in [
        (limited(Some(1), None), ("rate limited", 5), ("rate limited", 5), 0),
        (Fault::Quota, ("quota", 1), ("quota", 1), 0),
        (Fault::ServerError, ("unavailable", 5), ("unknown", 1), 0),
        (Fault::Unavailable, ("unavailable", 5), ("unavailable", 5), 0),
        (status(502, "<html>"), ("unavailable", 5), ("unknown", 1), 0),
        (status(504, ""), ("unavailable", 5), ("unknown", 1), 0),
        (status(409, SAID), ("rejected", 5), ("rejected", 5), 0),
        (status(418, SAID), ("rejected", 1), ("rejected", 1), 0),
        (status(403, SAID), ("key", 1), ("key", 1), 0),
        (status(302, ""), ("malformed", 1), ("malformed", 1), 0),
        (status(200, ""), ("malformed", 1), ("malformed", 1), 0),
        (status(200, "{}"), ("malformed", 1), ("malformed", 1), 0),
        (status(200, &"[".repeat(100_000)), ("malformed", 1), ("malformed", 1), 0),
        (status(404, "{\"error\":{\"code\":\"model_not_found\"}}"), ("no such model", 1), ("no such model", 1), 0),
        (Fault::Reset, ("lost", 5), ("unknown", 1), 0),
        (Fault::ResetAfterBilling, ("lost", 5), ("unknown", 1), 1),
        (Fault::CutAfterBytes(20), ("lost", 5), ("unknown", 1), 1),
        (Fault::WrongTypes, ("malformed", 1), ("malformed", 1), 1),
        (Fault::HugeBody(8 << 20), ("too long", 1), ("too long", 1), 1),
        (Fault::ContentPolicy, ("policy", 1), ("policy", 1), 0),
    ] {
        let what = format!("{fault:?}").chars().take(60).collect::<String>();
        let bench = Bench::new();
        bench.plan(fault);
        let error = bench.openai.models(&bench.grant).await.unwrap_err();
        assert_eq!((kind(&error), bench.n_requests()), free, "free: {what}: {error}");
        let n_before = bench.n_requests();
        let error = bench.openai.create_response(&question(), &bench.grant).await.unwrap_err();
        assert_eq!((kind(&error), bench.n_requests() - n_before), paid, "paid: {what}: {error}");
        assert_eq!(bench.n_charged(), n_charged, "{what}");
        assert!(n_charged == 0 || error.may_be_paid(), "{what}: {error}");
        let n_before = bench.n_requests();
        let error = bench.openai.generate_image(&picture_request(), &bench.grant).await.unwrap_err();
        assert_eq!((kind(&error), bench.n_requests() - n_before), paid, "image: {what}: {error}");
    }
}

#[tokio::test]
async fn silence_ends_a_call_and_slowness_does_not() {
    let bench = Bench::new();
    bench.plan(Fault::Silence);
    let error = bench.through_silence(bench.openai.create_response(&question(), &bench.grant)).await.unwrap_err();
    assert_eq!((kind(&error), bench.n_requests()), ("unknown", 1), "{error}");
    let error = bench.through_silence(bench.openai.models(&bench.grant)).await.unwrap_err();
    assert_eq!(kind(&error), "lost", "{error}");
    assert_eq!(bench.n_requests(), 2, "the time for attempts is over after one silence");
    let bench = Bench::new();
    bench.plan(Fault::SlowBytes(0));
    bench.openai.create_response(&question(), &bench.grant).await.unwrap();
    let stingy = Limits { total: Duration::ZERO, ..limits() };
    let bench = Bench::with(KEY, stingy);
    let error = bench.openai.create_response(&question(), &bench.grant).await;
    assert!(error.is_err_and(|error| error.may_be_paid()), "an answer has a time of its own");
}

/// What was heard before the end, and the end.
async fn heard(bench: &Bench) -> (String, Option<OpenAiError>) {
    let mut events = match bench.openai.stream_response(&question(), &bench.grant).await {
        Ok(events) => events,
        Err(error) => return (String::new(), Some(error)),
    };
    let mut text = String::new();
    loop {
        match events.next().await {
            Ok(Some(Event::Text(more))) => text.push_str(&more),
            Ok(Some(_)) => {}
            Ok(None) => return (text, None),
            Err(error) => {
                assert_eq!(events.next().await, Ok(None), "nothing comes after an error");
                return (text, Some(error));
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_not_known_to_be_paid_and_never_repeated() {
    let sse = |data: &str| Fault::Status { status: 200, headers: Vec::new(), body: format!("data: {data}\n\n") };
    for (fault, expect) in [
        (Fault::CutAfterEvents(0), Some("unknown")),
        (Fault::CutAfterEvents(1), Some("unknown")),
        (Fault::CutAfterEvents(7), Some("unknown")),
        (Fault::CutAfterBytes(700), Some("unknown")),
        (Fault::UnknownEvents, None),
        (Fault::WrongTypes, Some("malformed")),
        (Fault::HugeBody(2 << 20), Some("too long")),
        (Fault::SlowBytes(0), None),
        (limited(None, None), Some("rate limited")),
        (status(200, ""), Some("unknown")),
        (status(200, "no stream at all\n\n"), Some("malformed")),
        (sse("[DONE]"), Some("unknown")),
        (sse("7"), Some("malformed")),
        (sse("{\"type\":\"x\",\"sequence_number\":-1}"), Some("malformed")),
        (sse("{\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\"}"), Some("failed")),
        (sse("{\"type\":\"error\",\"error\":{\"code\":\"moderation_blocked\"}}"), Some("policy")),
    ] {
        let bench = Bench::new();
        let what = format!("{fault:?}").chars().take(60).collect::<String>();
        let n_requests = if matches!(fault, Fault::RateLimit { .. }) { 5 } else { 1 };
        bench.plan(fault);
        let (text, error) = heard(&bench).await;
        assert_eq!(error.as_ref().map(kind), expect, "{what}: {error:?}");
        assert_eq!(bench.n_requests(), n_requests, "{what}");
        assert!(expect.is_some() || text == "The mock heard: What does the fox say?", "{what}: {text}");
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_ends() {
    let bench = Bench::new();
    bench.plan(Fault::StallAfterEvents(6));
    let (text, error) = bench.through_silence(heard(&bench)).await;
    assert_eq!((text.is_empty(), error.as_ref().map(kind)), (false, Some("unknown")));
}

#[tokio::test]
async fn images_and_speech_that_break_off_are_not_known_to_be_paid() {
    let bench = Bench::new();
    bench.plan(Fault::CutAfterEvents(1));
    let mut events = bench.openai.stream_image(&picture_request(), 2, &bench.grant).await.unwrap();
    assert!(matches!(events.next().await, Ok(Some(ImageEvent::Partial { .. }))));
    assert_eq!(kind(&events.next().await.unwrap_err()), "unknown");
    let bench = Bench::new();
    bench.plan(Fault::CutAfterBytes(100));
    let (model, voice, input) = ("mock-tts".into(), "marin".into(), "Hello".into());
    let request =
        SpeechRequest { model, voice, input, response_format: Some("wav".into()), ..SpeechRequest::default() };
    let mut speech = bench.openai.speak(&request, &bench.grant).await.unwrap();
    let error = loop {
        match speech.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it is not whole"),
            Err(error) => break error,
        }
    };
    assert_eq!((kind(&error), bench.n_charged()), ("unknown", 1));
}

#[tokio::test]
async fn pauses_are_what_the_server_asks_for_or_double() {
    let ms = Duration::from_millis;
    for (fault, n, expect) in [
        (limited(Some(250), Some("9")), 2, vec![ms(250), ms(250)]),
        (limited(None, Some("3")), 1, vec![ms(3000)]),
        (limited(None, Some("Thu, 01 Jan 2026 00:00:30 GMT")), 1, vec![ms(30_000)]),
    ] {
        let bench = Bench::new();
        bench.planned(None, n, fault);
        bench.openai.create_response(&question(), &bench.grant).await.unwrap();
        assert_eq!((bench.pauses(), bench.n_charged()), (expect, 1));
    }
    let bench = Bench::new();
    bench.planned(None, 3, Fault::Unavailable);
    bench.openai.create_response(&question(), &bench.grant).await.unwrap();
    let pauses = bench.pauses();
    for (pause, most) in pauses.iter().zip([500, 1000, 2000]) {
        assert!(*pause > ms(most * 3 / 4 - 1) && *pause <= ms(most), "{pauses:?}");
    }
    assert_eq!(pauses.len(), 3);
}

#[tokio::test]
async fn a_pause_that_is_too_long_is_told_and_not_waited_for() {
    let bench = Bench::new();
    bench.plan(limited(None, Some("121")));
    let error = bench.openai.models(&bench.grant).await.unwrap_err();
    let OpenAiError::RateLimited { after, n_attempts, .. } = error else { panic!("{error}") };
    assert_eq!((after, n_attempts, bench.n_requests()), (Some(Duration::from_secs(121)), 1, 1));
    let bench = Bench::new();
    bench.plan(limited(None, Some("100")));
    bench.openai.models(&bench.grant).await.unwrap_err();
    assert_eq!(bench.n_requests(), 4, "the time for attempts was over");
}

#[tokio::test]
async fn where_nobody_listens_a_paid_call_is_tried_again_and_was_not_sent() {
    let mut bench = Bench::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let shared = &bench.openai.0;
    let endpoint = Endpoint::parse(&format!("http://{free}/v1/")).unwrap();
    let (egress, key) = (shared.egress.clone(), shared.key.clone());
    bench.openai = OpenAi::new(egress, endpoint, key, shared.world.clone(), Settings::default());
    let error = bench.openai.create_response(&question(), &bench.grant).await.unwrap_err();
    assert_eq!((kind(&error), bench.pauses().len()), ("not sent", 4), "{error}");
    assert!(!error.may_be_paid());
}

#[tokio::test]
async fn an_id_leads_nowhere_else() {
    let bench = Bench::new();
    for id in ["", "..", ".", "a/b", "a?b", "a#b", "a%2fb", "ä", &"x".repeat(201)] {
        let error = bench.openai.delete_response(id, &bench.grant).await.unwrap_err();
        assert_eq!(kind(&error), "not sent", "{id}: {error}");
    }
    assert_eq!(bench.n_requests(), 0);
}

#[tokio::test]
async fn the_key_is_in_no_error_no_debug_and_no_ledger() {
    const SECRET: &str = "sk-proj-0123456789abcdef";
    let bench = Bench::with(SECRET, limits());
    let mut shown = vec![format!("{:?}", bench.openai), format!("{:?}", bench.openai.0.key)];
    let error = bench.openai.models(&bench.grant).await.unwrap_err();
    assert!(error.to_string().contains("the variable OPENAI_API_KEY"), "{error}");
    shown.extend([error.to_string(), format!("{error:?}"), format!("{:?}", bench.ledger.0.lock().unwrap())]);
    // Here it is the right key that the server writes into what it says.
    let echo = format!("{{\"error\":{{\"message\":\"you sent {KEY}\",\"code\":\"{KEY}\",\"param\":\"{KEY}\"}}}}");
    let event = format!("data: {{\"type\":\"error\",\"message\":\"you sent {KEY}\"}}\n\n");
    let bench = Bench::new();
    for fault in [status(400, &echo), status(404, &echo), status(500, &format!("<p>{KEY}")), status(200, &event)] {
        bench.planned(None, 1, fault);
        let error = match bench.openai.stream_response(&question(), &bench.grant).await {
            Ok(mut events) => events.next().await.unwrap_err(),
            Err(error) => error,
        };
        shown.extend([error.to_string(), format!("{error:?}")]);
    }
    shown.push(format!("{:?}", bench.ledger.0.lock().unwrap()));
    for text in shown {
        assert!(!text.contains(SECRET) && !text.contains(KEY), "{text}");
    }
    for wrong in ["", " ", "a b c", "schlüssel", "a\nb"] {
        let error = Key::new(wrong, "the variable K").unwrap_err();
        assert!(error.contains("the variable K") && (wrong.trim().is_empty() || !error.contains(wrong)), "{error}");
    }
}
