//! Files that requests can name, and the models that there are.
//!
//! Start at [`OpenAi::create_file`], or at [`OpenAi::models`].

use super::OpenAi;
use super::error::OpenAiError;
use super::form::Form;
use super::transport::Call;
use crate::policy::Grant;
use serde::Deserialize;

/// A file to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Upload {
    /// What it is called there.
    pub name: String,
    /// `image/png` ...
    pub media_type: String,
    /// Itself.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upload({}, {}, {} bytes)", self.name, self.media_type, self.bytes.len())
    }
}

/// A file that the service has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct File {
    /// `file-...`.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub filename: String,
    /// Its size.
    #[serde(default, rename = "bytes")]
    pub n_bytes: u64,
}

/// A model, as the service lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListedModel {
    /// What requests name it by.
    pub id: String,
    /// `YYYY-MM-DD`, when it ends.
    #[serde(default)]
    pub shutdown_date: Option<String>,
}

impl OpenAi {
    /// Sends a file that inputs can name. Free: one that is sent twice is only left over.
    pub async fn create_file(&self, upload: &Upload, grant: &Grant) -> Result<File, OpenAiError> {
        let form = Form::new(&*self.0.world.random).text("purpose", "user_data").file("file", upload);
        self.value(&Call::new("to send a file", "POST", &["files"]).form(form.finish()), grant).await
    }

    /// Has the service forget a file.
    pub async fn delete_file(&self, id: &str, grant: &Grant) -> Result<(), OpenAiError> {
        self.answered(&Call::new("to delete the file", "DELETE", &["files", id]), grant).await.map(drop)
    }

    /// The models that this account may use.
    pub async fn models(&self, grant: &Grant) -> Result<Vec<ListedModel>, OpenAiError> {
        #[derive(Deserialize)]
        struct List {
            data: Vec<ListedModel>,
        }
        self.value::<List>(&Call::new("the models", "GET", &["models"]), grant).await.map(|list| list.data)
    }
}
