//! What the local model could not do, asked of a stronger one, once: when a turn ends in circles or without an answer.
//!
//! A refusal is an answer and not a failure, so it never comes here. What is sent is a brief made of the user's own line, never the
//! transcript, and it goes through the gate that every call goes through. Start at [`Agent::escalated`].

use super::{Agent, AgentError, Answer, CallOutcome, Event, Turn, TurnEnd, prompt};
use crate::delegate::router::Brief;
use crate::harmony::{Channel, Message};
use serde_json::json;

/// The tool that asks a stronger model.
const ASK: &str = "cloud.ask";

impl Agent {
    /// The answer, or, when it is a failure, the one that a stronger model gives where there is one and the policy lets it.
    pub(super) async fn escalated(
        &mut self,
        turn: &mut Turn<'_>,
        line: &str,
        answer: Answer,
    ) -> Result<Answer, AgentError> {
        let Some(failure) = failure(answer.end).filter(|_| !turn.stop.is_cancelled()) else { return Ok(answer) };
        let id = self.n_calls + 1;
        let Some(tool) = self.toolbox.named(ASK) else { return Ok(answer) };
        let brief = Brief { task: line.to_owned(), failures: vec![failure.into()], ..Brief::default() };
        let arguments = json!({ "question": prompt::brief(&brief)? }).to_string();
        turn.usage.n_calls += 1;
        turn.events.event(Event::Warning(format!("the local model failed: {failure}; a stronger one is asked")));
        turn.events.event(Event::CallStarted { id, tool: ASK.into(), arguments: arguments.clone() });
        let started = self.world.clock.elapsed();
        let called = self.run_call(turn, id, tool, &arguments).await?;
        self.n_calls = id;
        let duration = self.world.clock.elapsed().saturating_sub(started);
        let (outcome, text) = (called.outcome, self.readable(called.text));
        turn.events.event(Event::CallFinished { id, outcome, text: text.clone(), duration });
        if outcome != CallOutcome::Ok {
            return Ok(answer);
        }
        // From now on the conversation has this answer, and not the failure.
        self.append_rendered(Message::assistant(Channel::Final, &text)).await?;
        turn.events.event(Event::Answer(text.clone()));
        Ok(Answer { text, end: TurnEnd::Answered })
    }
}

/// What went wrong, for the stronger model and the user; `None` where nothing did that another model would do better.
fn failure(end: TurnEnd) -> Option<&'static str> {
    match end {
        TurnEnd::Repetition => Some("it said the same thing again and again"),
        TurnEnd::NoAnswer => Some("it stopped without an answer"),
        TurnEnd::StepLimit => Some("it called one tool after the other and came to no answer"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::engine;
    use super::super::{Agent, TurnEnd};
    use crate::policy::{Effect, Policy};
    use crate::tool::native::NativeTool;
    use std::sync::{Arc, Mutex};

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Question {
        question: String,
    }

    /// A turn of a model that only thinks, and what the stronger one was asked.
    async fn turn(policy: &str, answers: bool) -> (super::Answer, Vec<String>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        let tool = NativeTool::new("cloud.ask", "Ask.", move |Question { question }| {
            heard.lock().unwrap().push(question);
            async move {
                match answers {
                    true => Ok("Forty-two.".to_owned()),
                    false => Err(crate::tool::ToolError::Failed("no".into())),
                }
            }
        });
        let thinks = "<|channel|>analysis<|message|>Hm.<|return|>";
        let engine = engine(&[thinks, "<|return|>", "<|channel|>final<|message|>So.<|return|>"]);
        let policy = Policy::parse("p", &format!("version = 1\n{policy}")).unwrap();
        let tool = Arc::new(tool.unwrap().with_effect(Effect::Cloud));
        let mut agent = Agent::builder().engine(engine.clone()).tool(tool).policy(policy).build().await.unwrap();
        let answer = agent.ask("What is it?", &mut (), Default::default()).await.unwrap();
        if answer.end == TurnEnd::Answered {
            agent.ask("And?", &mut (), Default::default()).await.unwrap();
            let prompt = engine.requests().last().unwrap().tokens.clone();
            let prompt = crate::harmony::tokenizer::decode_lossy(&prompt);
            assert!(prompt.contains("Forty-two."), "the conversation goes on from there: {prompt}");
        }
        let asked = asked.lock().unwrap().clone();
        (answer, asked)
    }

    const ALLOWED: &str = "[[rule]]\nid = \"c\"\neffects = [\"cloud\"]\ndecision = \"allow\"";

    #[tokio::test]
    async fn a_model_that_fails_is_helped_once_by_a_brief() {
        let (answer, asked) = turn(ALLOWED, true).await;
        assert_eq!((answer.text.as_str(), answer.end), ("Forty-two.", TurnEnd::Answered));
        assert_eq!(asked.len(), 1);
        assert!(
            asked[0].contains("What is it?") && asked[0].contains("without an answer") && !asked[0].contains("Hm.")
        );
    }

    #[tokio::test]
    async fn without_leave_or_luck_the_failure_stays_one() {
        let (answer, asked) = turn("", true).await;
        assert_eq!((answer.end, asked.len()), (TurnEnd::NoAnswer, 0));
        let (answer, asked) = turn(ALLOWED, false).await;
        assert_eq!((answer.end, asked.len()), (TurnEnd::NoAnswer, 1));
    }
}
