//! A package from elsewhere: the one file of `ossicle tool pack`, at a URL or in an OCI registry.
//!
//! It only brings the bytes and checks that they are what the registry says they are; whether the package is wanted is for
//! the user to say. Start at [`download`].

use super::package::{MAX_PACKED, Package, PackageError, sha256};
use crate::egress::{Egress, EgressError, Limits, Reply, Request, Url};
use crate::policy::{Call, Capabilities, Decision, Effect, Grant, HostPattern, Label, Policy, Taint, Targets, ToolId};
use serde_json::Value;
use std::time::Duration;

/// For all that comes with one request.
const TIME: Duration = Duration::from_secs(300);

/// What a registry is asked for: a manifest of one of these forms.
const MANIFESTS: &str =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// Whether the words name a place elsewhere, and no file.
pub fn is_remote(place: &str) -> bool {
    reference(place).is_some() || place.starts_with("https://") || place.starts_with("http://")
}

/// The package at a URL (`https://example.org/words.wasm`) or in a registry (`oci://ghcr.io/me/words:0.1.0`).
pub async fn download(egress: &Egress, place: &str) -> Result<Package, PackageError> {
    let problem = |problem: String| PackageError::Malformed { package: place.to_owned(), problem };
    let bytes = match reference(place) {
        Some(reference) => reference.pull(egress).await,
        None => match Url::parse(place) {
            Ok(url) => Connection { egress, local: local(&url) }.bytes(url, &[]).await,
            Err(error) => Err(format!("it is no URL: {error}")),
        },
    };
    Package::unpack(place, &bytes.map_err(problem)?)
}

/// `registry/repository:tag` or `registry/repository@sha256:...`.
#[derive(Debug, PartialEq)]
struct Reference {
    registry: String,
    repository: String,
    /// A tag, or a digest.
    version: String,
}

fn reference(place: &str) -> Option<Reference> {
    let (registry, rest) = place.strip_prefix("oci://")?.split_once('/')?;
    let (repository, version) = match rest.split_once('@') {
        Some(parts) => parts,
        None => rest.rsplit_once(':').unwrap_or((rest, "latest")),
    };
    let [registry, repository, version] = [registry, repository, version].map(str::to_owned);
    Some(Reference { registry, repository, version })
}

impl Reference {
    async fn pull(&self, egress: &Egress) -> Result<Vec<u8>, String> {
        let Self { registry, repository, version } = self;
        // As with other clients: a registry on this machine has no certificate.
        let host = registry.rsplit_once(':').map_or(registry.as_str(), |(host, _)| host);
        let is_here = ["127.0.0.1", "localhost", "[::1]"].contains(&host);
        let base = format!("{}://{registry}/v2/{repository}", if is_here { "http" } else { "https" });
        let url = |path: String| {
            Url::parse(&format!("{base}/{path}")).map_err(|error| format!("it names no registry: {error}"))
        };
        let manifest_url = url(format!("manifests/{version}"))?;
        let connection = Connection { egress, local: local(&manifest_url) };
        let mut headers = vec![("accept".to_owned(), MANIFESTS.to_owned())];
        let mut reply = connection.get(manifest_url.clone(), &headers).await?;
        if reply.status == 401 {
            headers.push(("authorization".into(), connection.token(&reply).await?));
            reply = connection.get(manifest_url, &headers).await?;
        }
        let manifest = good(reply)?;
        is_what_it_should_be(&manifest, version)?;
        let manifest: Value =
            serde_json::from_slice(&manifest).map_err(|error| format!("the registry's manifest: {error}"))?;
        let layers = manifest["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let [layer] = layers else {
            return Err(format!("a package is one file, and the registry has {} there", layers.len()));
        };
        let digest = layer["digest"].as_str().filter(|digest| digest.starts_with("sha256:"));
        let digest = digest.ok_or("the registry's manifest names no sha256 digest")?;
        let bytes = connection.bytes(url(format!("blobs/{digest}"))?, &headers[1..]).await?;
        is_what_it_should_be(&bytes, digest)?;
        Ok(bytes)
    }
}

/// Bytes that were asked for by their digest have it.
fn is_what_it_should_be(bytes: &[u8], digest: &str) -> Result<(), String> {
    match digest.strip_prefix("sha256:") {
        Some(hash) if hash != sha256(bytes) => Err(format!("what came is not {digest}")),
        // A tag has no colon.
        None if digest.contains(':') => Err(format!("{digest} is no sha256 digest")),
        _ => Ok(()),
    }
}

fn good(reply: Reply) -> Result<Vec<u8>, String> {
    match reply.status {
        200..=299 => Ok(reply.body),
        status => Err(format!("{} answers with status {status}", reply.url)),
    }
}

/// Requests on the account of the command that the user typed.
struct Connection<'a> {
    egress: &'a Egress,
    /// The host and port that the user named: it may be one of this machine.
    local: String,
}

fn local(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

impl Connection<'_> {
    async fn get(&self, url: Url, headers: &[(String, String)]) -> Result<Reply, String> {
        let request = Request { method: "GET".into(), url, headers: headers.to_vec(), body: Vec::new() };
        let limits = Limits { time: TIME, n_bytes: MAX_PACKED };
        self.egress.fetch(request, &self.grant()?, limits).await.map_err(|error: EgressError| error.to_string())
    }

    async fn bytes(&self, url: Url, headers: &[(String, String)]) -> Result<Vec<u8>, String> {
        good(self.get(url, headers).await?)
    }

    /// What a registry that knows nobody yet wants to be shown, from where it says that it is to be had.
    async fn token(&self, reply: &Reply) -> Result<String, String> {
        let header = reply.header("www-authenticate");
        let parts = header.and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
        let part = |name: &str| {
            let value = parts.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            value.map(|value| value.trim_matches('"').to_owned())
        };
        let realm = part("realm").ok_or("the registry wants to know who asks, and packages are fetched by nobody")?;
        let mut url = Url::parse(&realm).map_err(|error| format!("the registry's {realm}: {error}"))?;
        for name in ["service", "scope"] {
            if let Some(value) = part(name) {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        let answer: Value = serde_json::from_slice(&self.bytes(url, &[]).await?).map_err(|error| error.to_string())?;
        let token = answer["token"].as_str().or_else(|| answer["access_token"].as_str());
        token.map(|token| format!("Bearer {token}")).ok_or_else(|| "the registry gives no token to nobody".into())
    }

    /// The user's own command is what allows it.
    fn grant(&self) -> Result<Grant, String> {
        let policy = format!(
            "version = 1\n[egress]\nallow_local = [{:?}]\n[[rule]]\nid = \"command\"\ntools = [\"tool.add\"]\ndecision = \"allow\"\n",
            self.local
        );
        let policy = Policy::parse("tool add", &policy).map_err(|error| error.message().to_owned())?;
        let tool = ToolId { package: "tool".into(), tool: "add".into() };
        let wants = Capabilities { hosts: vec![HostPattern::parse("*")?], ..Capabilities::default() };
        let targets = Targets::default();
        let call = Call {
            tool: &tool,
            effect: Effect::Send,
            arguments: &Value::Null,
            wants: &wants,
            targets: &targets,
            context: Label::trusted(),
            argument: Taint::trusted(),
            quote: None,
        };
        match policy.decide(&call) {
            Decision::Allow(grant) => Ok(grant),
            Decision::Ask(_) | Decision::Deny(_) => Err("its own rule allows it".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_three_parts() {
        for (place, parts) in [
            ("oci://ghcr.io/me/words:0.1.0", Some(["ghcr.io", "me/words", "0.1.0"])),
            ("oci://127.0.0.1:5000/words", Some(["127.0.0.1:5000", "words", "latest"])),
            ("oci://r.io/a/b@sha256:00", Some(["r.io", "a/b", "sha256:00"])),
            ("oci://nothing", None),
            ("https://example.org/words.wasm", None),
            ("./words", None),
        ] {
            let found = reference(place);
            let found = found.as_ref().map(|r| [&r.registry, &r.repository, &r.version].map(String::as_str));
            assert_eq!(found, parts, "{place}");
        }
        assert!(is_remote("http://x/y") && is_remote("oci://a/b") && !is_remote("words") && !is_remote("ftp://x/y"));
    }
}
