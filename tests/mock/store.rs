//! What the server holds: responses, conversations, files; and what it has seen: bytes, requests, charges.
//!
//! Bounded: past [`MAX_BYTES`] it takes no more. Start at [`Store`].

use super::plan::{Fault, Planned};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// All that is ever received. In bytes.
const MAX_BYTES: usize = 256 << 20;

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// HTTP's.
    pub method: String,
    /// With its query.
    pub path: String,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// As it is.
    pub body: Vec<u8>,
}

/// Something that costs.
#[derive(Clone, Debug, Serialize)]
pub struct Charge {
    /// Of the object that was made.
    pub id: String,
    /// What asked for it: `/responses`.
    pub path: String,
    /// For how much.
    pub usage: Value,
}

/// A response, as it will be in the end.
#[derive(Clone, Debug)]
pub struct Kept {
    pub done: Value,
    pub input: Vec<Value>,
    pub conversation: Option<String>,
    /// Queued, in progress, done: one further with each look at it.
    pub stage: usize,
}

/// The stage in which a response is done.
pub const DONE: usize = 2;

#[derive(Clone, Debug)]
pub struct Conversation {
    pub created_at: u64,
    pub metadata: Value,
    pub items: Vec<Value>,
}

/// All of it.
#[derive(Default)]
pub struct Store {
    n_ids: u64,
    pub(super) responses: BTreeMap<String, Kept>,
    pub(super) conversations: BTreeMap<String, Conversation>,
    pub(super) files: BTreeMap<String, Value>,
    charged: Vec<Charge>,
    requests: Vec<Received>,
    bytes: Vec<u8>,
    plan: Vec<Planned>,
    n_silences: usize,
}

impl Store {
    /// What the next requests meet, after what is planned already.
    pub fn plan(&mut self, planned: Planned) {
        self.plan.push(planned);
    }

    /// The requests so far, those about the mock itself left out.
    pub fn requests(&self) -> &[Received] {
        &self.requests
    }

    /// What was charged so far.
    pub fn charged(&self) -> &[Charge] {
        &self.charged
    }

    /// Every byte that came, of all connections.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many answers have fallen silent so far, as planned.
    pub fn n_silences(&self) -> usize {
        self.n_silences
    }

    pub(super) fn fall_silent(&mut self) {
        self.n_silences += 1;
    }

    pub(super) fn keep_bytes(&mut self, bytes: &[u8]) -> bool {
        let fits = self.bytes.len() + bytes.len() <= MAX_BYTES;
        if fits {
            self.bytes.extend_from_slice(bytes);
        }
        fits
    }

    pub(super) fn keep_request(&mut self, request: Received) {
        self.requests.push(request);
    }

    /// The fault that this request meets.
    pub(super) fn fault(&mut self, method: &str, path: &str) -> Option<Fault> {
        let planned = self.plan.iter_mut().find(|planned| planned.is_of(method, path))?;
        planned.n -= 1;
        Some(planned.fault.clone())
    }

    pub(super) fn new_id(&mut self, prefix: &str) -> String {
        self.n_ids += 1;
        format!("{prefix}_{:032x}", self.n_ids)
    }

    pub(super) fn charge(&mut self, id: &str, path: &str, usage: &Value) {
        self.charged.push(Charge { id: id.to_owned(), path: path.to_owned(), usage: usage.clone() });
    }

    /// A response as it is now. To look at it moves it on.
    pub(super) fn look(&mut self, id: &str) -> Option<Value> {
        let kept = self.responses.get_mut(id)?;
        let now = kept.now();
        if kept.stage < DONE {
            kept.stage += 1;
            if kept.stage == DONE {
                let kept = kept.clone();
                self.finish(&kept);
            }
        }
        Some(now)
    }

    /// Moves a response to its end.
    pub(super) fn complete(&mut self, id: &str) {
        while self.responses.get(id).is_some_and(|kept| kept.stage < DONE) {
            self.look(id);
        }
    }

    /// Puts what a finished response was asked and what it says into its conversation: neither stands there before.
    pub(super) fn finish(&mut self, kept: &Kept) {
        let conversation = kept.conversation.as_ref().and_then(|id| self.conversations.get_mut(id));
        if let (Some(conversation), Some(output)) = (conversation, kept.done["output"].as_array()) {
            conversation.items.extend(kept.input.iter().chain(output).cloned());
        }
    }
}

impl Kept {
    /// As it is in its stage.
    pub fn now(&self) -> Value {
        let mut now = self.done.clone();
        if self.stage < DONE {
            now["status"] = ["queued", "in_progress"][self.stage].into();
            now["output"] = Value::Array(Vec::new());
            for field in ["usage", "error", "incomplete_details"] {
                now[field] = Value::Null;
            }
        }
        now
    }
}
