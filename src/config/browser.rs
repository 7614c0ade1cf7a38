//! `[browser]` of `config.toml`, and what the environment says of search engines: where the browser's pages come from.
//!
//! It opens nothing. A search engine that is chosen and lacks its key stops no session: to search
//! says so. Start at [`browser`].

use super::paths::environment;
use super::{Paths, Settings};
use crate::egress::{Egress, Endpoint};
use crate::tool::browser::backend::{Backend, Direct, EXA, Exa, PdfReader, SearchApi, Searxng, Web, YOU, You};
use crate::tool::browser::html::Options;
use crate::tool::browser::{Browser, Cache};
use crate::world::World;
use serde::Deserialize;
use std::sync::Arc;

/// The table, exactly as it may be written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrowserSettings {
    /// When absent, the first of them that the environment or this table has what it needs for.
    pub search: Option<SearchEngine>,
    /// The base URL of a SearXNG server, which may be a private one. `SEARXNG_URL` beats it.
    pub searxng_url: Option<String>,
    /// Whether pages of the web are kept on disk where their servers allow it; they are when absent.
    pub cache: Option<bool>,
    /// Whether a page is read without what surrounds its contents: menus, headers, footers. It is read whole when absent.
    pub main_content: Option<bool>,
}

/// A search engine of the web.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchEngine {
    /// A SearXNG server.
    Searxng,
    /// Exa, with the key in `EXA_API_KEY`.
    Exa,
    /// You.com, with the key in `YDC_API_KEY`.
    You,
    /// None, whatever the environment says.
    None,
}

/// The session's browser, of which `index` is the default source when there is one; `None` where there is neither an index nor
/// a way out.
pub fn browser(
    settings: &Settings,
    paths: &Paths,
    world: &World,
    egress: Option<&Egress>,
    index: Option<Arc<dyn Backend>>,
    pdf: Option<PdfReader>,
) -> Option<Browser> {
    let mut backends: Vec<_> = index.into_iter().collect();
    if let Some(egress) = egress {
        let options = Options { main_content: settings.browser.main_content == Some(true) };
        let mut direct = Direct::new(egress.clone(), world.clock.clone()).with_options(options);
        if !settings.ephemeral && settings.browser.cache != Some(false) {
            direct = direct.with_cache(Cache::new(paths.pages()));
        }
        if let Some(pdf) = pdf {
            direct = direct.with_pdf(pdf);
        }
        let variables = environment();
        let search = search(&settings.browser, |name| variables.get(name).cloned());
        backends.push(Arc::new(Web::new(direct, egress.clone(), world.clock.clone(), search)));
    }
    (!backends.is_empty()).then(|| Browser::new(backends))
}

/// The search engine, or in a sentence why there is none.
fn search(settings: &BrowserSettings, variable: impl Fn(&str) -> Option<String>) -> Result<Box<dyn SearchApi>, String> {
    let variable = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let searxng_url = variable("SEARXNG_URL").or(settings.searxng_url.clone());
    let (exa_key, you_key) = (variable("EXA_API_KEY"), variable("YDC_API_KEY"));
    let first = || match (&searxng_url, &exa_key, &you_key) {
        (Some(_), _, _) => SearchEngine::Searxng,
        (None, Some(_), _) => SearchEngine::Exa,
        (None, None, Some(_)) => SearchEngine::You,
        (None, None, None) => SearchEngine::None,
    };
    let lacks = |engine: &str, what: &str| format!("the user has chosen {engine} and not set {what}");
    match settings.search.unwrap_or_else(first) {
        SearchEngine::Searxng => {
            let url = searxng_url.ok_or_else(|| lacks("SearXNG", "SEARXNG_URL"))?;
            // What is set there may hold a password.
            let endpoint =
                Endpoint::parse(&url).map_err(|_| "the user has set SEARXNG_URL to what is no http or https URL")?;
            Ok(Box::new(Searxng::new(endpoint)))
        }
        SearchEngine::Exa => {
            let key = exa_key.ok_or_else(|| lacks("Exa", "EXA_API_KEY"))?;
            Ok(Box::new(Exa::new(Endpoint::parse(EXA)?, key)))
        }
        SearchEngine::You => {
            let key = you_key.ok_or_else(|| lacks("You.com", "YDC_API_KEY"))?;
            Ok(Box::new(You::new(Endpoint::parse(YOU)?, key)))
        }
        SearchEngine::None => {
            Err("the user has set up no search engine for the web; pages can be opened by their URL".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> BrowserSettings {
        toml::from_str(text).unwrap()
    }

    fn name(text: &str, variables: &[(&str, &str)]) -> Result<&'static str, String> {
        let variable =
            |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        search(&settings(text), variable).map(|api| api.name())
    }

    #[test]
    fn a_search_engine_is_chosen_by_name_or_by_what_there_is() {
        let all = [("SEARXNG_URL", "http://127.0.0.1:8888"), ("EXA_API_KEY", "a"), ("YDC_API_KEY", "b")];
        for (text, variables, expect) in [
            ("", &all[..], Ok("SearXNG")),
            ("", &all[1..], Ok("Exa")),
            ("", &all[2..], Ok("You.com")),
            ("search = \"you\"", &all, Ok("You.com")),
            ("searxng_url = \"http://10.0.0.1/\"", &all[1..], Ok("SearXNG")),
            ("search = \"none\"", &all, Err("set up no search engine")),
            ("", &[], Err("set up no search engine")),
            ("", &[("EXA_API_KEY", " ")], Err("set up no search engine")),
            ("search = \"exa\"", &[], Err("chosen Exa and not set EXA_API_KEY")),
            ("search = \"searxng\"", &all[1..], Err("not set SEARXNG_URL")),
            ("", &[("SEARXNG_URL", "nonsense")], Err("SEARXNG_URL to what is no http or https URL")),
        ] {
            match (name(text, variables), expect) {
                (Ok(name), Ok(expect)) => assert_eq!(name, expect, "{text}"),
                (Err(error), Err(words)) => assert!(error.contains(words), "{text}: {error}"),
                (got, expect) => panic!("{text} {variables:?}: {got:?}, not {expect:?}"),
            }
        }
    }

    #[test]
    fn a_mistake_in_the_table_is_pointed_at() {
        let error = toml::from_str::<BrowserSettings>("search = \"google\"").unwrap_err().to_string();
        assert!(error.contains("google") && error.contains("searxng"), "{error}");
        assert!(toml::from_str::<BrowserSettings>("serach = \"exa\"").is_err());
    }

    #[test]
    fn offline_there_is_a_browser_only_with_an_index() {
        let folder = std::path::PathBuf::from("/nonexistent");
        let paths = Paths { config: folder.clone(), data: folder.clone(), state: folder.clone(), cache: folder };
        assert!(browser(&Settings::default(), &paths, &World::simulated(1), None, None, None).is_none());
    }
}
