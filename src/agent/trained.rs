//! The tools that models were trained with, in the loop: what declares them, what calls them, whose words they bring.

use super::tests::*;
use super::*;
use crate::harmony::Builtin;
use crate::policy::{Capabilities, Effect, Grant, Integrity, Policy, Targets};
use crate::tool::{Output, Progress, Recovery, Tool, ToolError, ToolSpec};
use async_trait::async_trait;
use serde_json::{Value, json};

/// Says back what it was given, or fails when that is `fail`.
struct Trained(ToolSpec);

fn trained(id: &str, builtin: Builtin, effect: Effect) -> Arc<dyn Tool> {
    let parameters = match builtin.functions.first() {
        Some(function) => function.parameters.clone().unwrap(),
        None => json!({ "type": "object", "properties": { "code": { "type": "string" } }, "required": ["code"],
                        "additionalProperties": false }),
    };
    Arc::new(Trained(ToolSpec {
        id: id.parse().unwrap(),
        description: "Trained.".into(),
        parameters: Some(parameters),
        effect,
        recovery: Recovery::Repeat,
        wants: Capabilities::default(),
        targets: Targets::default(),
        integrity: Integrity::after(effect),
        builtin: Some(builtin),
    }))
}

fn python() -> Arc<dyn Tool> {
    trained("python.python", Builtin::python(120), Effect::Read)
}

/// `browser.open` alone.
fn browser() -> Arc<dyn Tool> {
    let mut builtin = Builtin::browser(&["web"]);
    builtin.functions.retain(|function| function.name == "open");
    trained("browser.open", builtin, Effect::Send)
}

#[async_trait]
impl Tool for Trained {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    fn resolve(&self, mut arguments: Value) -> Value {
        if arguments["id"] == 3 {
            arguments["id"] = "https://example.org/three".into();
        }
        arguments
    }

    fn effect(&self, arguments: &Value) -> Effect {
        if arguments["id"] == -1 { Effect::Read } else { self.0.effect }
    }

    async fn call(&self, arguments: Value, _: Grant, _: &Progress) -> Result<Output, ToolError> {
        match arguments["code"].as_str().unwrap_or_default() {
            "fail" => Err(ToolError::Failed("No pages to access!".into())),
            _ => Ok(arguments.to_string().into()),
        }
    }
}

fn code(recipient: &str, body: &str) -> String {
    format!("<|channel|>analysis to={recipient} code<|message|>{body}<|call|>")
}

#[tokio::test]
async fn they_are_declared_in_the_system_message_and_answer_on_the_calls_channel() {
    let engine = engine(&[&code("python", "print('\u{e9}')\n1 + 1"), &code("browser.open", "{\"id\": 3}"), ANSWER]);
    let mut agent = agent_with(&engine, [browser(), python()]).await;
    let (_, events, prompt) = turn(&mut agent, &engine).await;
    assert_eq!(
        replies(&events),
        [
            (CallOutcome::Ok, r#"{"code":"print('é')\n1 + 1"}"#),
            (CallOutcome::Ok, r#"{"id":"https://example.org/three"}"#),
        ]
    );
    let (before, after) = prompt.split_once("# Valid channels").unwrap();
    let order = ["## browser", "sources=web (default: web)", "type open", "## python", "time out after 120.0 seconds"];
    let places: Vec<_> = order.map(|words| before.find(words)).into();
    assert!(places.is_sorted() && places.iter().all(Option::is_some), "{before}");
    assert!(!after.contains("functions"), "there are none: {after}");
    assert!(prompt.contains("[200006]python to=assistant[200005]analysis[200008]{"), "{prompt}");
    assert!(prompt.contains("[200006]browser.open to=assistant[200005]analysis[200008]{"), "{prompt}");
}

#[tokio::test]
async fn code_is_code_even_when_it_looks_like_json() {
    for (body, code_) in [
        ("{\"a\": 1}", "{\"a\": 1}"),
        ("[1, 2]", "[1, 2]"),
        ("", ""),
        ("7", "7"),
        ("{\"code\": \"1 + 1\"}", "1 + 1"),
        ("\"x\"", "\"x\""),
    ] {
        let engine = engine(&[&code("python", body), ANSWER]);
        let (_, events, _) = turn(&mut agent_with(&engine, [python()]).await, &engine).await;
        assert_eq!(replies(&events), [(CallOutcome::Ok, json!({ "code": code_ }).to_string().as_str())], "{body}");
    }
}

#[tokio::test]
async fn their_errors_are_the_trained_sentences() {
    let engine = engine(&[&code("python", "fail"), ANSWER]);
    let (_, events, _) = turn(&mut agent_with(&engine, [python()]).await, &engine).await;
    assert_eq!(replies(&events), [(CallOutcome::Error, "No pages to access!")]);
}

#[tokio::test]
async fn a_users_tool_of_the_same_name_gets_another_one_and_an_identity_is_taken_once() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Nothing {}
    let own = |id: &str| -> Arc<dyn Tool> {
        Arc::new(crate::tool::native::NativeTool::new(id, "-", async |_: Nothing| Ok(String::new())).unwrap())
    };
    let engine = engine(&[&code("python", "1"), ANSWER]);
    let mut agent = agent_with(&engine, [python(), own("mine.python"), own("browser.search")]).await;
    let names: Vec<_> = agent.toolbox().iter().map(crate::tool::Registered::recipient).collect();
    assert_eq!(names, ["python", "functions.mine_python", "functions.browser_search"]);
    assert_eq!(turn(&mut agent, &engine).await.0.end, TurnEnd::Answered);
    let builder = Agent::builder().engine(engine.clone()).tool(python()).tool(own("python.python"));
    let error = builder.build().await.err().unwrap();
    assert!(error.to_string().contains("there is a tool `python.python` already"), "{error}");
}

#[tokio::test]
async fn what_a_page_said_is_remembered_when_policy_is_asked() {
    let rules = "version = 1\n[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"\n[[rule]]\nid = \"strangers\"\n\
                 tools = [\"mail.send\"]\nwhen.context.integrity = \"untrusted\"\ndecision = \"deny\"\n";
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Nothing {}
    for (page, outcome) in [(false, CallOutcome::Ok), (true, CallOutcome::Denied)] {
        let mail = crate::tool::native::NativeTool::new("mail.send", "-", async |_: Nothing| Ok("sent".to_owned()));
        let mail = mail.unwrap().with_effect(Effect::Send);
        let read = code("browser.open", "{\"id\": 3}");
        let send = call("functions.mail_send", "{}");
        let script = if page { vec![read.as_str(), &send, ANSWER] } else { vec![send.as_str(), ANSWER] };
        let engine = engine(&script);
        let builder = Agent::builder().engine(engine.clone()).policy(Policy::parse("test", rules).unwrap());
        let mut agent = builder.tool(browser()).tool(Arc::new(mail)).build().await.unwrap();
        let (_, events, _) = turn(&mut agent, &engine).await;
        assert_eq!(replies(&events).last().unwrap().0, outcome, "a page was read: {page}");
    }
}

#[tokio::test]
async fn a_call_that_only_scrolls_is_decided_as_one() {
    let rules = "version = 1\n[[rule]]\nid = \"look\"\neffects = [\"read\"]\ndecision = \"allow\"\n";
    let engine = engine(&[&code("browser.open", "{}"), &code("browser.open", "{\"id\": -1}"), ANSWER]);
    let builder = Agent::builder().engine(engine.clone()).policy(Policy::parse("test", rules).unwrap());
    let (_, events, _) = turn(&mut builder.tool(browser()).build().await.unwrap(), &engine).await;
    let outcomes: Vec<_> = replies(&events).into_iter().map(|(outcome, _)| outcome).collect();
    assert_eq!(outcomes, [CallOutcome::Denied, CallOutcome::Ok]);
}
