//! What the client understands of a server that behaves.

use super::*;
use serde_json::json;

const HEARD: &str = "The mock heard: What does the fox say?";

fn text(completion: Completion) -> String {
    match completion {
        Completion::Finished { text, calls } if calls.is_empty() => text,
        other => panic!("{other:?}"),
    }
}

async fn all(mut events: Events) -> Vec<Event> {
    let mut seen = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        seen.push(event);
    }
    assert_eq!(events.next().await, Ok(None));
    seen
}

fn said(events: &[Event]) -> String {
    let text = |event: &Event| match event {
        Event::Text(text) => text.clone(),
        _ => String::new(),
    };
    events.iter().map(text).collect()
}

#[tokio::test]
async fn a_response_is_whole_streamed_or_in_the_background() {
    let bench = Bench::new();
    let (openai, grant) = (&bench.openai, &bench.grant);
    let whole = openai.create_response(&question(), grant).await.unwrap();
    assert_eq!(text(whole.completion().unwrap()), HEARD);
    assert_eq!(openai.input_tokens(&question(), grant).await.unwrap(), whole.usage.unwrap().input_tokens);
    let events = all(openai.stream_response(&question(), grant).await.unwrap()).await;
    assert_eq!(said(&events), HEARD);
    let Some(Event::Ended(last)) = events.last() else { panic!("{events:?}") };
    assert_eq!(text(last.completion().unwrap()), HEARD);
    let begun = openai.start_response(&question(), grant).await.unwrap();
    assert_eq!((begun.status, begun.usage), (Status::Queued, None));
    assert!(begun.completion().is_err(), "it is not over");
    let events = openai.attach_response(&begun.id, None, grant).await.unwrap();
    assert_eq!(said(&all(events).await), HEARD);
    let mut events = openai.attach_response(&begun.id, Some(4), grant).await.unwrap();
    events.next().await.unwrap();
    assert_eq!(events.last(), Some(5));
    assert_eq!(openai.response(&begun.id, grant).await.unwrap().status, Status::Completed);
    let other = openai.start_response(&question(), grant).await.unwrap();
    let cancelled = openai.cancel_response(&other.id, grant).await.unwrap();
    assert_eq!(cancelled.status, Status::Cancelled);
    assert!(cancelled.completion().unwrap_err().to_string().contains("cancelled"));
    let items = openai.input_items(&begun.id, grant).await.unwrap();
    assert!(matches!(&items.data[..], [Item::Message { role, .. }] if role == "user"), "{items:?}");
    openai.delete_response(&begun.id, grant).await.unwrap();
    let error = openai.response(&begun.id, grant).await.unwrap_err();
    assert!(matches!(error, OpenAiError::NotFound { .. }), "{error}");
    assert_eq!(openai.rate_limits().requests.limit, Some(500));
}

#[tokio::test]
async fn tools_are_called_and_told() {
    let bench = Bench::new();
    let (openai, grant) = (&bench.openai, &bench.grant);
    let schema = json!({"type": "object", "properties": {"legs": {"type": "integer"}}, "required": ["legs"]});
    let tool = Tool::Function {
        name: "animal".into(),
        description: "Notes an animal".into(),
        parameters: schema,
        strict: true,
    };
    let tools = vec![tool];
    for choice in [ToolChoice::Required, ToolChoice::Function("animal".into())] {
        let request = ResponseRequest { tools: tools.clone(), tool_choice: Some(choice), ..question() };
        let Completion::Finished { text, calls } =
            openai.create_response(&request, grant).await.unwrap().completion().unwrap()
        else {
            panic!("no call")
        };
        assert_eq!(
            (text.as_str(), calls[0].name.as_str(), calls[0].arguments.as_str()),
            ("", "animal", "{\"legs\":1}")
        );
        let input = vec![
            InputItem::FunctionCall {
                call_id: calls[0].call_id.clone(),
                name: "animal".into(),
                arguments: calls[0].arguments.clone(),
            },
            InputItem::FunctionCallOutput { call_id: calls[0].call_id.clone(), output: "noted".into() },
        ];
        let told = openai.create_response(&ResponseRequest { input, ..question() }, grant).await.unwrap();
        assert_eq!(super::answers::text(told.completion().unwrap()), "The mock heard: noted");
    }
    for choice in [ToolChoice::Auto, ToolChoice::None] {
        let request = ResponseRequest { tools: tools.clone(), tool_choice: Some(choice), ..question() };
        assert_eq!(text(openai.create_response(&request, grant).await.unwrap().completion().unwrap()), HEARD);
    }
}

#[tokio::test]
async fn schemas_images_and_files_go_in() {
    let bench = Bench::new();
    let (openai, grant) = (&bench.openai, &bench.grant);
    let schema = json!({"type": "object", "properties": {"legs": {"type": "integer"}}, "required": ["legs"]});
    let format = Format::JsonSchema { name: "animal".into(), schema, strict: true };
    let request = ResponseRequest {
        text: Some(TextSettings { format }),
        reasoning: Some(Reasoning { effort: Some("low".into()), summary: None }),
        metadata: [("a".to_owned(), "b".to_owned())].into(),
        store: Some(true),
        ..question()
    };
    let shaped = openai.create_response(&request, grant).await.unwrap();
    assert_eq!(shaped.usage.unwrap().output_tokens_details.reasoning_tokens, 8);
    assert_eq!(text(shaped.completion().unwrap()), "{\"legs\":1}");
    let upload = Upload { name: "note.txt".into(), media_type: "text/plain".into(), bytes: b"hello".to_vec() };
    let file = openai.create_file(&upload, grant).await.unwrap();
    assert_eq!((file.filename.as_str(), file.n_bytes), ("note.txt", 5));
    let content = vec![
        Content::text("See:"),
        Content::image("image/png", b"png"),
        Content::file("a.pdf", "application/pdf", b"%PDF"),
        Content::UploadedFile { file_id: file.id.clone() },
    ];
    let request = ResponseRequest { input: vec![InputItem::user(content)], ..question() };
    let seen = text(openai.create_response(&request, grant).await.unwrap().completion().unwrap());
    assert_eq!(seen, "The mock heard: See: [an image] [the file a.pdf] [the file without a name]");
    openai.delete_file(&file.id, grant).await.unwrap();
    let models = openai.models(grant).await.unwrap();
    assert!(models.iter().any(|model| model.shutdown_date.as_deref() == Some("2026-12-01")), "{models:?}");
}

#[tokio::test]
async fn a_limit_cuts_and_a_refusal_is_an_answer() {
    let bench = Bench::new();
    let long = ResponseRequest { max_output_tokens: Some(16), ..ResponseRequest::question(SOL, &"long ".repeat(90)) };
    let completion = bench.openai.create_response(&long, &bench.grant).await.unwrap().completion().unwrap();
    assert!(matches!(&completion, Completion::Cut { reason, .. } if reason == "max_output_tokens"), "{completion:?}");
    bench.plan(Fault::Refusal);
    let refused = Completion::Refused { reason: "I cannot help with that.".into() };
    let response = bench.openai.create_response(&question(), &bench.grant).await.unwrap();
    assert_eq!(response.completion().unwrap(), refused);
    let events = all(bench.openai.stream_response(&question(), &bench.grant).await.unwrap()).await;
    assert!(events.contains(&Event::Refusal("I cannot".into())), "{events:?}");
    assert_eq!(bench.n_requests(), 3, "a refusal is not asked again");
}

#[tokio::test]
async fn images_are_made_and_edited_whole_and_in_parts() {
    let bench = Bench::new();
    let (openai, grant) = (&bench.openai, &bench.grant);
    let sized = |image: &Image| {
        let picture = image::load_from_memory(&image.bytes).unwrap();
        (picture.width(), picture.height())
    };
    let made = openai.generate_image(&ImageRequest { n: Some(2), ..picture_request() }, grant).await.unwrap();
    assert_eq!(made.data.iter().map(sized).collect::<Vec<_>>(), [(32, 16); 2]);
    assert!(made.usage.unwrap().output_tokens_details.image_tokens > 0);
    let upload = Upload { name: "fox.png".into(), media_type: "image/png".into(), bytes: made.data[0].bytes.clone() };
    let images = [upload.clone(), upload.clone()];
    let edited = openai.edit_image(&picture_request(), &images, Some(&upload), grant).await.unwrap();
    assert!(edited.usage.unwrap().input_tokens_details.image_tokens > 0 && edited.data[0] != made.data[0]);
    let generated = openai.stream_image(&picture_request(), 2, grant).await.unwrap();
    let changed = openai.stream_edited_image(&picture_request(), &[upload], None, 2, grant).await.unwrap();
    for mut events in [generated, changed] {
        let mut seen = Vec::new();
        while let Some(event) = events.next().await.unwrap() {
            seen.push(event);
        }
        let [ImageEvent::Partial { idx: 0, .. }, ImageEvent::Partial { idx: 1, image }, ImageEvent::Done { usage, .. }] =
            &seen[..]
        else {
            panic!("{seen:?}")
        };
        assert_eq!((sized(image), usage.is_some()), ((32, 16), true));
    }
}

#[tokio::test]
async fn audio_goes_both_ways() {
    let bench = Bench::new();
    let request = SpeechRequest {
        model: "mock-tts".into(),
        voice: "marin".into(),
        input: "Hello".into(),
        response_format: Some("wav".into()),
        ..SpeechRequest::default()
    };
    let mut speech = bench.openai.speak(&request, &bench.grant).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = speech.chunk().await.unwrap() {
        bytes.extend(chunk);
    }
    assert!(bytes.starts_with(b"RIFF") && bytes.len() > 10_000);
    let audio = Upload { name: "a.wav".into(), media_type: "audio/wav".into(), bytes };
    let request = TranscriptRequest { model: "gpt-transcribe".into(), language: Some("en".into()), prompt: None };
    let heard = bench.openai.transcribe(&request, &audio, &bench.grant).await.unwrap();
    assert!(heard.text.starts_with("The mock listened to a.wav"), "{}", heard.text);
    assert!(heard.usage.unwrap().input_tokens > 0);
}

#[tokio::test]
async fn what_is_sent_is_on_the_grants_account_with_the_headers_that_were_set() {
    let bench = Bench::new();
    let shared = &bench.openai.0;
    let settings = Settings { organization: Some("org-1".into()), project: Some("proj-1".into()), limits: limits() };
    let (egress, key) = (shared.egress.clone(), shared.key.clone());
    let openai = OpenAi::new(egress, shared.endpoint.clone(), key, shared.world.clone(), settings);
    openai.models(&bench.grant).await.unwrap();
    let store = bench.mock.store();
    let headers = &store.requests()[0].headers;
    for (name, value) in [("openai-organization", "org-1"), ("openai-project", "proj-1")] {
        assert!(headers.contains(&(name.to_owned(), value.to_owned())), "{headers:?}");
    }
    let lines = bench.ledger.0.lock().unwrap();
    assert!(matches!(&lines[0], Entry::Sending { sender, rule, .. } if sender == "cloud.ask" && rule == "cloud"));
}
