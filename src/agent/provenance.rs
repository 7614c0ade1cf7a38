//! What a session has read and whose words it was, so that each call can be judged by where its arguments come from.
//!
//! It decides nothing: policy's rules look at the labels that it gives. It stays for the whole session, through all turns, and
//! whatever leaves the transcript. Start at [`Provenance::of`].

use crate::policy::{Integrity, Label, Readings, Taint, ToolId};
use crate::tool::ToolSpec;
use crate::tool::mcp::PACKAGE;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// A session's, joined by each call.
#[derive(Debug, Default)]
pub struct Provenance {
    /// Of all that the model has read.
    context: Label,
    readings: Readings,
    /// The tools whose arguments' names are known.
    introduced: HashSet<ToolId>,
    /// Of what tools that go on between calls (a notebook, a stack of pages) have been given.
    lasting: HashMap<ToolId, Label>,
}

impl Provenance {
    /// The user says something: what the model repeats of it is theirs.
    pub fn heard(&mut self, text: &str) {
        self.readings.own(text);
    }

    /// Of all that the model has read, and what of a call's arguments was taken from it.
    pub(super) fn of(&mut self, spec: &ToolSpec, arguments: &Value) -> (Label, Taint) {
        // The names that a tool wants to have written are not a stranger's, unless the whole tool is.
        if !spec.id.package.starts_with(PACKAGE) && self.introduced.insert(spec.id.clone()) {
            let properties = spec.parameters.as_ref().and_then(|schema| schema["properties"].as_object());
            for (name, schema) in properties.into_iter().flatten() {
                self.readings.own(name);
                let choices = schema["enum"].as_array().into_iter().flatten();
                choices.filter_map(Value::as_str).for_each(|choice| self.readings.own(choice));
            }
        }
        (self.context.clone(), self.readings.judge(arguments))
    }

    /// A call begins: whatever becomes of it, strangers may speak from now on.
    pub(super) fn begins(&mut self, spec: &ToolSpec) {
        if spec.integrity == Integrity::Untrusted {
            self.context.join(&Label::untrusted(spec.id.to_string()));
        }
    }

    /// A call has given `text`: made of what strangers wrote if its tool is a stranger's mouth, if its arguments were theirs, or if
    /// it read something of theirs.
    pub(super) fn given(&mut self, spec: &ToolSpec, arguments: &Label, seen: &Label, text: &str) {
        let mut label = arguments.clone();
        label.join(seen);
        if spec.integrity == Integrity::Untrusted {
            label.join(&Label::untrusted(spec.id.to_string()));
        }
        if spec.builtin.is_some() {
            let lasting = self.lasting.entry(spec.id.clone()).or_default();
            lasting.join(&label);
            label = lasting.clone();
        }
        for source in label.strangers() {
            self.readings.strangers(source, text);
        }
        self.context.join(&label);
    }
}
