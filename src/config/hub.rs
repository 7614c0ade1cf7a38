//! The hub that models come from, by the variables that other programs go by too: `HF_ENDPOINT`, `HF_TOKEN` and
//! `HF_HUB_OFFLINE`.
//!
//! It asks the hub nothing. A token that `huggingface-cli` keeps in a file is not read. Start at [`hub`].

use super::paths::environment;
use super::{ConfigError, Paths, Settings};
use crate::egress::Endpoint;
use crate::engine::models::pull::Hub;
use crate::world::World;
use std::collections::BTreeMap;

/// Where most models are.
const ENDPOINT: &str = "https://huggingface.co";

/// The way to the hub, on record as a command's. None offline.
pub async fn hub(settings: &Settings, paths: &Paths) -> Result<Option<Hub>, ConfigError> {
    let Some(Access { endpoint, token }) = access(&environment()).map_err(ConfigError::Hub)? else { return Ok(None) };
    let Some(egress) = super::egress(settings, paths).await? else { return Ok(None) };
    let hub = Hub::new(endpoint, token, egress, World::real().clock);
    hub.map(Some).map_err(|error| ConfigError::Hub(error.to_string()))
}

struct Access {
    endpoint: Endpoint,
    token: Option<String>,
}

/// What the variables say. `Ok(None)` when they say that nothing is to be asked; the error says what is wrong with them.
fn access(environment: &BTreeMap<String, String>) -> Result<Option<Access>, String> {
    let variable = |name: &str| environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let is_offline = |word: &str| ["1", "true", "yes", "on"].contains(&word.to_ascii_lowercase().as_str());
    if variable("HF_HUB_OFFLINE").is_some_and(is_offline) {
        return Ok(None);
    }
    let endpoint = Endpoint::parse(variable("HF_ENDPOINT").unwrap_or(ENDPOINT));
    let endpoint = endpoint.map_err(|error| format!("HF_ENDPOINT: {error}"))?;
    let token = variable("HF_TOKEN").map(str::to_owned);
    if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err("HF_TOKEN is no token: it has characters that none has".into());
    }
    Ok(Some(Access { endpoint, token }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<(String, Option<String>)>, String> {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(access(&environment)?.map(|access| (access.endpoint.to_string(), access.token)))
    }

    #[test]
    fn the_variables_say_which_hub_and_who_asks() {
        let huggingface = "https://huggingface.co/".to_owned();
        assert_eq!(of(&[]), Ok(Some((huggingface.clone(), None))));
        assert_eq!(of(&[("HF_ENDPOINT", " "), ("HF_TOKEN", "")]), Ok(Some((huggingface.clone(), None))));
        let own = of(&[("HF_ENDPOINT", "http://127.0.0.1:8080/hub"), ("HF_TOKEN", "hf_x\n")]);
        assert_eq!(own, Ok(Some(("http://127.0.0.1:8080/hub".into(), Some("hf_x".into())))));
        assert_eq!(of(&[("HF_HUB_OFFLINE", "1")]), Ok(None));
        assert_eq!(of(&[("HF_HUB_OFFLINE", "True")]), Ok(None));
        assert_eq!(of(&[("HF_HUB_OFFLINE", "0")]), Ok(Some((huggingface, None))));
    }

    #[test]
    fn what_makes_no_sense_is_said_without_the_token() {
        for (variables, words) in [
            (&[("HF_ENDPOINT", "huggingface.co")][..], "HF_ENDPOINT"),
            (&[("HF_ENDPOINT", "ftp://x/")], "only http"),
            (&[("HF_ENDPOINT", "https://me:secret@x/")], "user name"),
            (&[("HF_TOKEN", "hf_secret and more")], "HF_TOKEN"),
        ] {
            let error = of(variables).unwrap_err();
            assert!(error.contains(words) && !error.contains("secret"), "{error}");
        }
    }
}
