//! You.com, a search engine with a key: `GET /v1/search` (you.com/docs/api-reference/search/v1-search).

use super::Hit;
use super::web::{SearchApi, list, text};
use crate::egress::{Endpoint, Request};
use serde_json::Value;

/// Where it is.
pub const YOU: &str = "https://ydc-index.io/";

/// With the user's key.
pub struct You {
    endpoint: Endpoint,
    key: String,
}

impl You {
    /// At this server, which is [`YOU`].
    pub fn new(endpoint: Endpoint, key: String) -> Self {
        Self { endpoint, key }
    }
}

impl SearchApi for You {
    fn name(&self) -> &'static str {
        "You.com"
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn request(&self, query: &str, topn: usize) -> Request {
        let mut url = self.endpoint.url().clone();
        url.set_path("/v1/search");
        url.query_pairs_mut().clear().append_pair("query", query).append_pair("count", &topn.to_string());
        let headers = vec![("accept".into(), "application/json".into()), ("x-api-key".into(), self.key.clone())];
        Request { method: "GET".into(), url, headers, body: Vec::new() }
    }

    fn hits(&self, answer: &Value) -> Result<Vec<Hit>, String> {
        let hit = |result: &Value| {
            let snippet = list(result, "snippets").first().and_then(Value::as_str).unwrap_or_default();
            let snippet = if snippet.is_empty() { text(result, "description") } else { snippet };
            Hit {
                url: text(result, "url").into(),
                title: text(result, "title").into(),
                snippet: snippet.into(),
                line: None,
            }
        };
        let results = answer.get("results").unwrap_or(&Value::Null);
        Ok(list(results, "web").iter().chain(list(results, "news")).map(hit).collect())
    }

    fn advice(&self, status: u16) -> Option<&'static str> {
        (status == 401).then_some("the key in YDC_API_KEY is wrong; the user has to set another")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_question_is_a_url_and_the_key_a_header() {
        let you = You::new(Endpoint::parse(YOU).unwrap(), "secret".into());
        let request = you.request("a b", 5);
        assert_eq!(request.url.as_str(), "https://ydc-index.io/v1/search?query=a+b&count=5");
        assert!(request.headers.contains(&("x-api-key".into(), "secret".into())));
    }

    #[test]
    fn results_become_hits() {
        let you = You::new(Endpoint::parse(YOU).unwrap(), "secret".into());
        let answer = json!({"results": {
            "web": [{"url": "https://a.org/", "title": "A", "description": "d", "snippets": ["s", "t"]}],
            "news": [{"url": "https://b.org/", "title": "B", "description": "d"}],
        }});
        let hits = you.hits(&answer).unwrap();
        let short: Vec<_> = hits.iter().map(|hit| (hit.url.as_str(), hit.snippet.as_str())).collect();
        assert_eq!(short, [("https://a.org/", "s"), ("https://b.org/", "d")]);
        assert_eq!(you.hits(&json!({"results": []})), Ok(Vec::new()));
    }
}
