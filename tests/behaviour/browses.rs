//! The user ... browses: their own search engine, pages as the model sees them, pages that are kept, and what policy says.

use crate::home::{Home, Ran, Run};
use crate::reaches_out::serve;

const PAGE: &str =
    "<title>The harbour</title><body><h1>Keys</h1><p>They hang behind the <a href='/door'>kitchen door</a>.";

#[test]
fn and_sees_what_a_model_sees() {
    let home = Home::new();
    let (address, asked) = serve(Box::new(|path, head| {
        let host = head.lines().find_map(|line| line.to_lowercase().strip_prefix("host: ").map(str::to_owned))?;
        let results = format!(
            r#"{{"results": [{{"url": "http://{host}/keys", "title": "The harbour", "content": "They hang there."}}]}}"#
        );
        match path {
            "/search?q=harbour+keys&format=json" => Some((200, String::new(), results.into_bytes())),
            "/keys" => Some((200, "content-type: text/html\r\ncache-control: max-age=600\r\n".into(), PAGE.into())),
            _ => None,
        }
    }));
    home.write("config/config.toml", &format!("[browser]\nsearxng_url = \"http://{address}\"\n"));
    home.write(
        "web.toml",
        &format!(
            "version = 1\n[egress]\nallow_local = [\"{address}\"]\n[[rule]]\nid = \"mine\"\ntools = [\"browser.*\"]\n\
             decision = \"allow\"\n"
        ),
    );
    let call = |policy: &str, tool: &str, arguments: &str| -> Ran {
        home.run(&["--policy", policy, "tool", "call", tool, arguments])
    };
    let found = call("web.toml", "browser.search", r#"{"query": "harbour keys"}"#).exits(0).stdout;
    let expect = format!(
        "[0] harbour keys\n**viewing lines [0 - 2] of 2**\n\nL0: # Search results for `harbour keys`\nL1: \n\
         L2:   * 【0†The harbour†{address}】 They hang there.\n"
    );
    assert_eq!(found, expect);
    let page = format!(r#"{{"id": "http://{address}/keys"}}"#);
    let expect = format!(
        "[0] The harbour (http://{address}/keys)\n**viewing lines [0 - 2] of 2**\n\nL0: # Keys\nL1: \n\
         L2: They hang behind the 【0†kitchen door】.\n"
    );
    for _ in 0..2 {
        assert_eq!(call("web.toml", "browser.open", &page).exits(0).stdout, expect);
    }
    assert_eq!(asked.lock().unwrap().iter().filter(|path| *path == "/keys").count(), 1, "the second time it was kept");
    let absent = call("web.toml", "browser.open", &page.replace("/keys", "/door")).exits(1);
    assert!(absent.stderr.contains("it answers with status 404 (Not Found): not here"), "{}", absent.stderr);
    // Of what was kept, nothing is shown to whom nothing is allowed, and no place of this machine to whom it is not.
    let n_asked = asked.lock().unwrap().len();
    call("default", "browser.open", &page).exits(4);
    let local = home.run(&["--approve", "always", "tool", "call", "browser.open", &page]).exits(1);
    assert!(local.stderr.contains("is not opened"), "{}", local.stderr);
    assert_eq!(asked.lock().unwrap().len(), n_asked);
}

#[test]
fn without_a_search_engine_or_without_a_network() {
    let home = Home::new();
    let search = ["tool", "call", "browser.search", r#"{"query": "x"}"#];
    let none = home.run(&[&["--approve", "always"], &search[..]].concat()).exits(1);
    assert!(none.stderr.contains("the user has set up no search engine"), "{}", none.stderr);
    let mut command = home.command(&[&["--approve", "always"], &search[..]].concat());
    let wrong = command.env("SEARXNG_URL", "nonsense").ran().exits(1);
    assert!(
        wrong.stderr.contains("SEARXNG_URL to what is no") && !wrong.stderr.contains("nonsense"),
        "{}",
        wrong.stderr
    );
    home.run(&[&["--offline"], &search[..]].concat()).exits(2);
    home.write("config/config.toml", "[browser]\nsearch = \"altavista\"\n");
    let ran = home.run(&search).exits(2);
    assert!(ran.stderr.contains("altavista") && ran.stderr.contains("searxng"), "{}", ran.stderr);
}
