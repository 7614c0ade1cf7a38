//! Exa, a search engine with a key: `POST /search` (exa.ai/docs/reference/search).

use super::Hit;
use super::web::{SearchApi, list, text};
use crate::egress::{Endpoint, Request};
use serde_json::{Value, json};

/// Where it is.
pub const EXA: &str = "https://api.exa.ai/";

/// With the user's key.
pub struct Exa {
    endpoint: Endpoint,
    key: String,
}

impl Exa {
    /// At this server, which is [`EXA`].
    pub fn new(endpoint: Endpoint, key: String) -> Self {
        Self { endpoint, key }
    }
}

impl SearchApi for Exa {
    fn name(&self) -> &'static str {
        "Exa"
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn request(&self, query: &str, topn: usize) -> Request {
        let mut url = self.endpoint.url().clone();
        url.set_path("/search");
        let body = json!({ "query": query, "numResults": topn, "contents": { "highlights": true } });
        let headers = vec![
            ("content-type".into(), "application/json".into()),
            ("accept".into(), "application/json".into()),
            ("x-api-key".into(), self.key.clone()),
        ];
        Request { method: "POST".into(), url, headers, body: body.to_string().into_bytes() }
    }

    fn hits(&self, answer: &Value) -> Result<Vec<Hit>, String> {
        let hit = |result: &Value| {
            let highlights: Vec<_> = list(result, "highlights").iter().filter_map(Value::as_str).take(3).collect();
            let highlights = highlights.join(" … ");
            let snippets = [highlights.as_str(), text(result, "summary"), text(result, "text")];
            let snippet = snippets.into_iter().find(|snippet| !snippet.is_empty()).unwrap_or_default().into();
            Hit { url: text(result, "url").into(), title: text(result, "title").into(), snippet, line: None }
        };
        Ok(list(answer, "results").iter().map(hit).collect())
    }

    fn advice(&self, status: u16) -> Option<&'static str> {
        (status == 401).then_some("the key in EXA_API_KEY is wrong; the user has to set another")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_json_and_the_key_a_header() {
        let exa = Exa::new(Endpoint::parse(EXA).unwrap(), "secret".into());
        let request = exa.request("keys \"x\"", 5);
        assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://api.exa.ai/search"));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body, json!({"query": "keys \"x\"", "numResults": 5, "contents": {"highlights": true}}));
        assert!(request.headers.contains(&("x-api-key".into(), "secret".into())));
        assert!(!request.url.as_str().contains("secret"));
    }

    #[test]
    fn results_become_hits() {
        let exa = Exa::new(Endpoint::parse(EXA).unwrap(), "secret".into());
        let answer = json!({"results": [
            {"url": "https://a.org/", "title": "A", "highlights": ["one", "two"], "text": "long"},
            {"url": "https://b.org/", "title": null, "summary": "short"},
            {},
        ]});
        let hits = exa.hits(&answer).unwrap();
        let snippets: Vec<_> = hits.iter().map(|hit| hit.snippet.as_str()).collect();
        assert_eq!(snippets, ["one … two", "short", ""]);
        assert_eq!(exa.hits(&json!({"error": "x"})), Ok(Vec::new()));
    }
}
