//! Conversations: free to make, with an id that can be written down before anything is paid in them.
//!
//! What is said gets there by responses; here they are made and read. Start at [`OpenAi::create_conversation`].

use super::OpenAi;
use super::error::OpenAiError;
use super::response::Item;
use super::transport::Call;
use crate::policy::Grant;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Conversation {
    /// `conv_...`.
    pub id: String,
    /// The caller's own.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// Some items of a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Items {
    /// In the order that was asked for.
    pub data: Vec<Item>,
    /// Of the last one.
    #[serde(default)]
    pub last_id: Option<String>,
    /// Whether there are more after it.
    #[serde(default)]
    pub has_more: bool,
}

impl OpenAi {
    /// Makes one. Free: one that is made twice is only left over.
    pub async fn create_conversation(
        &self,
        metadata: &BTreeMap<String, String>,
        grant: &Grant,
    ) -> Result<Conversation, OpenAiError> {
        let call = Call::new("to make a conversation", "POST", &["conversations"]);
        self.value(&call.json(&json!({"metadata": metadata}))?, grant).await
    }

    /// One, without its items.
    pub async fn conversation(&self, id: &str, grant: &Grant) -> Result<Conversation, OpenAiError> {
        self.value(&Call::new("the conversation", "GET", &["conversations", id]), grant).await
    }

    /// Its items from the oldest, a hundred at most, those after an item of this id.
    pub async fn conversation_items(&self, id: &str, after: Option<&str>, grant: &Grant) -> Result<Items, OpenAiError> {
        let mut call = Call::new("the conversation's items", "GET", &["conversations", id, "items"]);
        call.query.extend([("order", "asc".to_owned()), ("limit", "100".to_owned())]);
        call.query.extend(after.map(|after| ("after", after.to_owned())));
        self.value(&call, grant).await
    }

    /// Has the service forget it.
    pub async fn delete_conversation(&self, id: &str, grant: &Grant) -> Result<(), OpenAiError> {
        self.answered(&Call::new("to delete the conversation", "DELETE", &["conversations", id]), grant).await.map(drop)
    }
}
