//! SearXNG, a search engine that people run themselves: `GET /search?format=json` (docs.searxng.org/dev/search_api).

use super::Hit;
use super::web::{SearchApi, list, text};
use crate::egress::{Endpoint, Request};
use serde_json::Value;

/// A server of the user's choice, which may be a private one.
pub struct Searxng(Endpoint);

impl Searxng {
    /// At this base URL.
    pub fn new(endpoint: Endpoint) -> Self {
        Self(endpoint)
    }
}

impl SearchApi for Searxng {
    fn name(&self) -> &'static str {
        "SearXNG"
    }

    fn endpoint(&self) -> &Endpoint {
        &self.0
    }

    fn request(&self, query: &str, _: usize) -> Request {
        let mut url = self.0.url().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("search");
        }
        url.query_pairs_mut().clear().append_pair("q", query).append_pair("format", "json");
        let headers = vec![("accept".into(), "application/json".into())];
        Request { method: "GET".into(), url, headers, body: Vec::new() }
    }

    fn hits(&self, answer: &Value) -> Result<Vec<Hit>, String> {
        let hit = |result: &Value| Hit {
            url: text(result, "url").into(),
            title: text(result, "title").into(),
            snippet: text(result, "content").into(),
            line: None,
        };
        let hits: Vec<_> = list(answer, "results").iter().map(hit).collect();
        // Pairs of an engine and what is wrong with it.
        let silent = list(answer, "unresponsive_engines").iter().filter_map(|engine| engine.get(0)?.as_str());
        let silent: Vec<_> = silent.take(10).collect();
        match hits.is_empty() && !silent.is_empty() {
            true => Err(format!("none of the engines that it asks has answered ({})", silent.join(", "))),
            false => Ok(hits),
        }
    }

    fn advice(&self, status: u16) -> Option<&'static str> {
        (status == 403).then_some("it does not give JSON; add `json` to `search.formats` in its settings.yml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_question_is_a_url() {
        for (base, expect) in [
            ("http://127.0.0.1:8888", "http://127.0.0.1:8888/search?q=a+%26+b&format=json"),
            ("http://host/searx/", "http://host/searx/search?q=a+%26+b&format=json"),
            ("http://host/?x=1", "http://host/search?q=a+%26+b&format=json"),
        ] {
            let request = Searxng::new(Endpoint::parse(base).unwrap()).request("a & b", 3);
            assert_eq!(request.url.as_str(), expect);
        }
    }

    #[test]
    fn results_become_hits() {
        let api = Searxng::new(Endpoint::parse("http://host/").unwrap());
        let answer =
            json!({"results": [{"url": "https://a.org/", "title": "A", "content": "words", "engine": "x"}, {}]});
        let hits = api.hits(&answer).unwrap();
        assert_eq!((hits.len(), hits[0].url.as_str(), hits[0].snippet.as_str()), (2, "https://a.org/", "words"));
        assert_eq!(api.hits(&json!({"results": []})), Ok(Vec::new()));
        let silent = json!({"results": [], "unresponsive_engines": [["google", "timeout"], ["bing", "CAPTCHA"], 7]});
        assert!(api.hits(&silent).unwrap_err().contains("google, bing"));
        for odd in [json!(null), json!([1]), json!({"results": 7}), json!({"results": {}})] {
            assert_eq!(api.hits(&odd), Ok(Vec::new()), "{odd}");
        }
    }
}
