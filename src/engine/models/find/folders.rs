//! The models in stores that are plain folders: Ossicle's own and LM Studio's.
//!
//! What it is not: it fetches and removes nothing.
//! Start at [`own`] and [`lm_studio`].

use super::super::gguf;
use super::examine::{self, Walk};
use super::{Found, Origin};
use std::path::{Path, PathBuf};

/// Written last by `ossicle models pull`.
const MANIFEST: &str = "pulled.json";

/// What `ossicle models pull` has stored or begun to.
pub(super) fn own(store: &Path, walk: &mut Walk) -> Vec<Found> {
    let mut models = Vec::new();
    for folder in walk.store(store, Origin::Ossicle, &mut models) {
        let path = store.join(&folder);
        if !path.is_dir() {
            continue;
        }
        let name = folder.replacen("--", "/", 1);
        let is_complete = path.join(MANIFEST).exists();
        let files = walk.ggufs(&path);
        let mut found = match files.is_empty() {
            true => examine::directory(path, name.clone(), Origin::Ossicle).into_iter().collect(),
            false => files_of(files, &name, Origin::Ossicle),
        };
        if !is_complete {
            let fault = format!("its download is not complete; `ossicle models pull {name}` goes on with it");
            found.iter_mut().for_each(|model: &mut Found| model.fault = Some(fault.clone()));
        }
        models.extend(found);
    }
    models
}

/// LM Studio's, each in a folder ORG/NAME.
pub(super) fn lm_studio(store: &Path, walk: &mut Walk) -> Vec<Found> {
    let mut models = Vec::new();
    for organisation in walk.store(store, Origin::LmStudio, &mut models) {
        for name in walk.names_if_any(&store.join(&organisation)) {
            let files = walk.ggufs(&store.join(&organisation).join(&name));
            models.extend(files_of(files, &format!("{organisation}/{name}"), Origin::LmStudio));
        }
    }
    models
}

/// The models in GGUF files that lie together under a name, which stands for the only one or is followed by the file's.
pub(super) fn files_of(files: Vec<PathBuf>, name: &str, origin: Origin) -> Vec<Found> {
    let examined = |path: PathBuf| {
        let name = format!("{name}/{}", gguf::stem(&path));
        examine::file(path, name, origin)
    };
    let mut models: Vec<_> = files.into_iter().filter_map(examined).collect();
    if let [only] = &mut models[..] {
        only.name = name.to_owned();
    }
    models
}
