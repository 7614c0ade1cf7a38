//! The models in a store of Ollama's.
//!
//! What it is not: no client of its server. A manifest, manifests/HOST/NAMESPACE/MODEL/TAG, lists layers by their hashes, and
//! the layer with the weights is a GGUF file among the blobs. Start at [`models`].

use super::examine::{self, Walk, text};
use super::{Format, Found, Origin};
use serde_json::Value;
use std::path::{Path, PathBuf};

const ORIGIN: Origin = Origin::Ollama;
const HOST: &str = "registry.ollama.ai";
const NAMESPACE: &str = "library";
const WEIGHTS: &str = "application/vnd.ollama.image.model";
const ADAPTER: &str = "application/vnd.ollama.image.adapter";

/// Every gpt-oss in the store.
pub(super) fn models(store: &Path, walk: &mut Walk) -> Vec<Found> {
    let mut models = Vec::new();
    let root = store.join("manifests");
    for host in walk.store(&root, ORIGIN, &mut models) {
        for namespace in walk.names_if_any(&root.join(&host)) {
            let folder = root.join(&host).join(&namespace);
            for model in walk.names_if_any(&folder) {
                for tag in walk.names_if_any(&folder.join(&model)) {
                    let manifest = folder.join(&model).join(&tag);
                    models.extend(of_manifest(store, &manifest, name(&host, &namespace, &model, &tag)));
                }
            }
        }
    }
    models
}

/// As Ollama writes it: what is usual is left out.
fn name(host: &str, namespace: &str, model: &str, tag: &str) -> String {
    match (host, namespace) {
        (HOST, NAMESPACE) => format!("{model}:{tag}"),
        (HOST, _) => format!("{namespace}/{model}:{tag}"),
        _ => format!("{host}/{namespace}/{model}:{tag}"),
    }
}

fn of_manifest(store: &Path, manifest: &Path, name: String) -> Option<Found> {
    let blob = weights(manifest).map(|hash| store.join("blobs").join(format!("sha256-{hash}")));
    let fault = match blob {
        Ok(path) if path.is_file() => return examine::file(path, name, ORIGIN),
        Ok(path) => format!("{} does not exist; `ollama pull {name}` fetches it", path.display()),
        Err(fault) => fault,
    };
    let (path, format) = (PathBuf::from(manifest), Format::Gguf);
    let found = Found { name, path, origin: ORIGIN, format, n_bytes: 0, fault: Some(fault) };
    found.is_called_gpt_oss().then_some(found)
}

/// The hash of the layer with the weights, in hexadecimal digits.
fn weights(manifest: &Path) -> Result<String, String> {
    let text = text(manifest).map_err(|error| format!("its manifest cannot be read ({error})"))?;
    let manifest: Value = serde_json::from_str(&text).map_err(|error| format!("its manifest is not JSON ({error})"))?;
    let layers = manifest.get("layers").and_then(Value::as_array).ok_or("its manifest lists no layers")?;
    let of_type = |wanted: &str| {
        let is_wanted = |layer: &&Value| layer.get("mediaType").is_some_and(|kind| kind == wanted);
        layers.iter().filter(is_wanted).filter_map(|layer| layer.get("digest")?.as_str()).collect::<Vec<_>>()
    };
    if !of_type(ADAPTER).is_empty() {
        return Err("it has an adapter, which would be left out; merge it into the model first".into());
    }
    let [digest] = of_type(WEIGHTS)[..] else {
        return Err("its manifest does not have one layer with a GGUF; only such models are read".into());
    };
    // Digits and nothing else: a manifest must not reach outside the blobs.
    let hash = digest.strip_prefix("sha256:").or_else(|| digest.strip_prefix("sha256-"));
    let is_hash = |hash: &&str| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    hash.filter(is_hash)
        .map(str::to_owned)
        .ok_or_else(|| format!("its manifest has the digest {digest:?}, which is no hash"))
}
