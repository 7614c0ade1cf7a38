//! The events of a response that is streamed: those that matter, in the order in which they come.
//!
//! About sixty types are known to exist; those that are not known here are passed over, never an error. Start at
//! [`Events::next`].

use super::error::OpenAiError;
use super::response::{Item, Problem, Response};
use super::sse::{Frame, Frames};
use serde::Deserialize;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It was created, is queued, or runs.
    Begun(Box<Response>),
    /// An item was begun.
    ItemAdded(Item),
    /// A piece of the answer's text.
    Text(String),
    /// A piece of a refusal.
    Refusal(String),
    /// A piece of a function call's arguments.
    Arguments(String),
    /// A piece of what its thoughts are summed up in.
    Reasoning(String),
    /// An item is whole.
    ItemDone(Item),
    /// The last one: it is completed, incomplete, failed or cancelled.
    Ended(Box<Response>),
}

/// The events of a response.
pub struct Events {
    frames: Frames,
    is_over: bool,
}

#[derive(Deserialize)]
struct About {
    response: Box<Response>,
}

#[derive(Deserialize)]
struct Piece {
    delta: String,
}

#[derive(Deserialize)]
struct Of {
    item: Item,
}

#[derive(Deserialize)]
struct Bad {
    /// Some servers put it into a field of its own.
    #[serde(default)]
    error: Option<Problem>,
    #[serde(flatten)]
    problem: Problem,
}

impl Events {
    pub(super) fn new(frames: Frames) -> Self {
        Self { frames, is_over: false }
    }

    /// The number of the last event: what `starting_after` means.
    pub fn last(&self) -> Option<u64> {
        self.frames.last()
    }

    /// The next event; `None` after the last one. A stream that breaks off before is an error, and has no next event.
    pub async fn next(&mut self) -> Result<Option<Event>, OpenAiError> {
        if self.is_over {
            return Ok(None);
        }
        let event = self.event().await;
        self.is_over = matches!(event, Err(_) | Ok(Event::Ended(_)));
        event.map(Some)
    }

    async fn event(&mut self) -> Result<Event, OpenAiError> {
        loop {
            let Some(frame) = self.frames.next().await? else { return Err(self.frames.cut()) };
            if let Some(event) = known(frame)? {
                return Ok(event);
            }
        }
    }
}

/// What an event says; `None` of a type that is not known.
pub(super) fn known(frame: Frame) -> Result<Option<Event>, OpenAiError> {
    let event = match frame.kind.as_str() {
        "response.created" | "response.queued" | "response.in_progress" => {
            Event::Begun(frame.content::<About>()?.response)
        }
        "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
            Event::Ended(frame.content::<About>()?.response)
        }
        "response.output_item.added" => Event::ItemAdded(frame.content::<Of>()?.item),
        "response.output_item.done" => Event::ItemDone(frame.content::<Of>()?.item),
        "response.output_text.delta" => Event::Text(frame.content::<Piece>()?.delta),
        "response.refusal.delta" => Event::Refusal(frame.content::<Piece>()?.delta),
        "response.function_call_arguments.delta" => Event::Arguments(frame.content::<Piece>()?.delta),
        "response.reasoning_summary_text.delta" => Event::Reasoning(frame.content::<Piece>()?.delta),
        "error" => {
            let bad: Bad = frame.content()?;
            return Err(OpenAiError::failed_or_policy(&bad.error.unwrap_or(bad.problem)));
        }
        _ => return Ok(None),
    };
    Ok(Some(event))
}
