//! The models in a cache of Hugging Face's libraries.
//!
//! What it is not: no client of the hub. A repository lies there as models--ORG--NAME, with a folder of links for each
//! revision that was fetched and a note of the one that `main` was. Start at [`models`].

use super::examine::{self, Walk, text};
use super::{Format, Found, Origin};
use std::path::Path;

const ORIGIN: Origin = Origin::HuggingFace;

/// Every gpt-oss in the cache.
pub(super) fn models(hub: &Path, walk: &mut Walk) -> Vec<Found> {
    let mut models = Vec::new();
    for folder in walk.store(hub, ORIGIN, &mut models) {
        let Some(name) = folder.strip_prefix("models--").map(|name| name.replacen("--", "/", 1)) else { continue };
        let repository = hub.join(&folder);
        match snapshot(&repository, walk) {
            Ok(Some(revision)) => models.extend(of_snapshot(&repository.join("snapshots").join(revision), &name, walk)),
            Ok(None) => {}
            Err(fault) => {
                let (format, fault) = (Format::Safetensors, Some(fault));
                let found = Found { name, path: repository, origin: ORIGIN, format, n_bytes: 0, fault };
                models.extend(found.is_called_gpt_oss().then_some(found));
            }
        }
    }
    models
}

/// The revision that `main` stands for, or the only one.
fn snapshot(repository: &Path, walk: &mut Walk) -> Result<Option<String>, String> {
    let mut revisions = walk.names_if_any(&repository.join("snapshots"));
    if let Ok(main) = text(&repository.join("refs/main")) {
        // Only a name that is there: the note must not lead elsewhere.
        return match revisions.into_iter().find(|revision| revision == main.trim()) {
            Some(revision) => Ok(Some(revision)),
            None => Err("the revision that its refs/main names is not there; download it again".into()),
        };
    }
    if revisions.len() > 1 {
        return Err(format!("it has {} revisions and no refs/main; give the path of one", revisions.len()));
    }
    Ok(revisions.pop())
}

/// A revision in the official layout, or each of its GGUF files.
fn of_snapshot(path: &Path, name: &str, walk: &mut Walk) -> Vec<Found> {
    let mut files = walk.ggufs(path);
    // Larger ones are often in folders of their own, a quantisation each.
    for folder in walk.names_if_any(path).into_iter().map(|name| path.join(name)).filter(|path| path.is_dir()) {
        files.extend(walk.ggufs(&folder));
    }
    if path.join("config.json").exists() || files.is_empty() {
        return examine::directory(path.to_owned(), name.to_owned(), ORIGIN).into_iter().collect();
    }
    super::folders::files_of(files, name, ORIGIN)
}
