//! The user ... reaches out: packages from elsewhere, pages, their own folders, and what the policy says to each.

use crate::extends::package;
use crate::home::{Home, Run};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

/// Answers a path with headers and a body; what it does not know is 404.
pub type Answers = Box<dyn Fn(&str, &str) -> Option<(u16, String, Vec<u8>)> + Send>;

/// A server on loopback until the test ends, and the paths that it was asked for.
pub fn serve(answers: Answers) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let kept = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            kept.lock().unwrap().push(path.clone());
            let (status, headers, body) =
                answers(&path, &head.join("\n")).unwrap_or((404, String::new(), b"not here".to_vec()));
            let head =
                format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    (address, asked)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn and_adds_a_package_from_a_file_a_url_and_a_registry() {
    let home = Home::new();
    package(&home, "mine", |manifest| manifest);
    assert!(home.run(&["tool", "pack", "mine"]).exits(0).stderr.contains("sums-0.1.0.wasm"));
    let packed = fs::read(home.path().join("sums-0.1.0.wasm")).unwrap();
    assert!(home.run(&["tool", "inspect", "sums-0.1.0.wasm"]).exits(0).stdout.contains("sums 0.1.0"));
    let added = |place: &str| {
        assert!(home.run(&["tool", "add", "-y", place]).exits(0).stderr.contains("added sums"), "{place}");
        home.run(&["tool", "test", "sums"]).exits(0);
        home.run(&["tool", "remove", "sums"]).exits(0);
    };
    added("sums-0.1.0.wasm");

    let digest = format!("sha256:{}", sha256(&packed));
    let manifest =
        format!(r#"{{"schemaVersion":2,"layers":[{{"mediaType":"application/wasm","digest":"{digest}"}}]}}"#);
    let blob = format!("/v2/me/sums/blobs/{digest}");
    let address = Arc::new(Mutex::new(String::new()));
    let (here, body) = (address.clone(), packed.clone());
    let (bound, asked) = serve(Box::new(move |path, head| {
        let is_known = head.to_lowercase().contains("authorization: bearer t0ken");
        let challenge = format!(
            "www-authenticate: Bearer realm=\"http://{}/token\",service=\"r\",scope=\"repository:me/sums:pull\"\r\n",
            here.lock().unwrap()
        );
        match path {
            "/sums.wasm" => Some((200, String::new(), body.clone())),
            "/moved.wasm" => Some((302, "location: /sums.wasm\r\n".into(), Vec::new())),
            "/token?service=r&scope=repository%3Ame%2Fsums%3Apull" => {
                Some((200, String::new(), br#"{"token":"t0ken"}"#.to_vec()))
            }
            path if path.starts_with("/v2/") && !is_known => Some((401, challenge, Vec::new())),
            "/v2/me/sums/manifests/0.1.0" => Some((200, String::new(), manifest.clone().into_bytes())),
            "/v2/me/evil/manifests/0.1.0" => {
                Some((200, String::new(), manifest.replace(&digest, "sha256:00").into_bytes()))
            }
            "/v2/me/evil/blobs/sha256:00" => Some((200, String::new(), body.clone())),
            path if path == blob => Some((200, String::new(), body.clone())),
            _ => None,
        }
    }));
    *address.lock().unwrap() = bound.to_string();
    added(&format!("http://{bound}/sums.wasm"));
    added(&format!("http://{bound}/moved.wasm"));
    added(&format!("oci://{bound}/me/sums:0.1.0"));
    for (place, words) in [
        (format!("http://{bound}/absent.wasm"), "404"),
        (format!("oci://{bound}/me/sums:9"), "404"),
        (format!("oci://{bound}/me/evil:0.1.0"), "what came is not"),
        (format!("http://{bound}/v2/me/sums/manifests/0.1.0"), "401"),
    ] {
        let ran = home.run(&["tool", "add", "-y", &place]).exits(1);
        assert!(ran.stderr.contains(words), "{place}: {}", ran.stderr);
    }
    // On record, and not at all while offline.
    assert!(home.journal().contains("sums.wasm") && home.journal().contains("egress_started"));
    let n_asked = asked.lock().unwrap().len();
    home.run(&["--offline", "tool", "add", "-y", &format!("http://{bound}/sums.wasm")]).exits(5);
    assert_eq!(asked.lock().unwrap().len(), n_asked);
}

#[test]
fn and_calls_tools_through_the_gate_themselves() {
    let home = Home::new();
    let call = |arguments: &[&str]| home.run(&[&["tool", "call"], arguments].concat());
    assert_eq!(call(&["calc.calc", r#"{"expression":"23 * 47"}"#]).exits(0).stdout, "1081\n");
    assert_eq!(call(&["notes.list"]).exits(0).stdout, "no notes yet\n");
    let refused = call(&["notes.add", r#"{"text":"x"}"#]).exits(4);
    assert!(refused.stderr.contains("writing"), "{}", refused.stderr);
    call(&["--approve", "always", "notes.add", r#"{"text":"x"}"#]).exits(0);
    assert_eq!(call(&["notes.list"]).exits(0).stdout, "1. x\n");
    for (arguments, code, words) in [
        (&["calc.calc", "{}"][..], 1, "expression"),
        (&["calc.calc", "{"], 1, "JSON"),
        (&["calc.nothing"], 2, "no tool"),
    ] {
        let ran = call(arguments).exits(code);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
    }
    assert!(home.journal().contains("call_finished"));
}

#[test]
fn into_the_folder_they_work_in_and_no_further() {
    let home = Home::new();
    home.write("work/plan.md", "# Plan\nbuy milk\n");
    home.write("secret.txt", "do not read");
    home.write("config/policy.toml", "mine");
    #[cfg(unix)]
    std::os::unix::fs::symlink(home.path().join("secret.txt"), home.path().join("work/link.md")).unwrap();
    let call =
        |tool: &str, arguments: &str| home.run(&["-C", "work", "--approve", "always", "tool", "call", tool, arguments]);
    assert!(call("files.list", "{}").exits(0).stdout.contains("plan.md"));
    assert!(call("files.read", r#"{"path":"plan.md"}"#).exits(0).stdout.contains("buy milk"));
    assert!(call("files.search", r#"{"pattern":"milk"}"#).exits(0).stdout.contains("plan.md"));
    call("files.edit", r#"{"path":"plan.md","old":"milk","new":"bread"}"#).exits(0);
    call("files.write", r#"{"path":"new/x.txt","text":"hello\n"}"#).exits(0);
    assert_eq!(fs::read_to_string(home.path().join("work/plan.md")).unwrap(), "# Plan\nbuy bread\n");
    assert_eq!(fs::read_to_string(home.path().join("work/new/x.txt")).unwrap(), "hello\n");
    for path in
        ["../secret.txt", "link.md", "/etc/passwd", "../../../../etc/passwd", "../config/policy.toml", "a\\u0000b"]
    {
        let ran = call("files.read", &format!(r#"{{"path":"{path}"}}"#)).exits(1);
        assert!(!ran.stdout.contains("do not read") && !ran.stdout.contains("root:"), "{path}: {}", ran.stdout);
        call("files.write", &format!(r#"{{"path":"{path}","text":"x"}}"#)).exits(1);
    }
    assert_eq!(fs::read_to_string(home.path().join("secret.txt")).unwrap(), "do not read");
    // Another folder has to be granted, and then may only be read.
    home.write("other/a.txt", "theirs");
    let other = home.path().join("other");
    home.write("config/config.toml", &format!("[[folder]]\npath = \"{}\"\n", other.display()));
    let theirs = format!(r#"{{"path":"{}/a.txt"}}"#, other.display());
    assert!(call("files.read", &theirs).exits(0).stdout.contains("theirs"));
    let written = call("files.write", &theirs.replace('}', r#","text":"x"}"#)).exits(1);
    assert!(written.stderr.contains("may only be read"), "{}", written.stderr);
    // The program's own folders are nobody's workspace.
    let own =
        home.run(&["--approve", "always", "tool", "call", "files.read", r#"{"path":"config/config.toml"}"#]).exits(1);
    assert!(own.stderr.contains("the program's own"), "{}", own.stderr);
}

/// A rule that names a link speaks of where it leads, and the home is found without its variable.
#[cfg(unix)]
#[test]
fn but_not_to_keys_by_another_way() {
    let home = Home::new();
    home.write("me/dot/ssh/id", "the key");
    std::os::unix::fs::symlink("dot/ssh", home.path().join("me/.ssh")).unwrap();
    for path in [".ssh/id", "dot/ssh/id"] {
        let arguments = format!(r#"{{"path":"{path}"}}"#);
        let mut command = home.command(&["-C", "me", "tool", "call", "files.read", &arguments]);
        let ran = command.env("HOME", home.path().join("me")).ran();
        assert!(ran.code != Some(0) && !ran.stdout.contains("the key"), "{path}: {}", ran.stdout);
    }
    // Of a home that is a link, what is not there yet is the program's own all the same.
    std::os::unix::fs::symlink("me", home.path().join("link")).unwrap();
    let arguments = r#"{"path":".config/ossicle/mcp.toml","text":"x"}"#;
    let mut command = home.command(&["-C", "me", "--approve", "always", "tool", "call", "files.write", arguments]);
    let ran = command.env_remove("OSSICLE_HOME").env("HOME", home.path().join("link")).ran().exits(1);
    assert!(ran.stderr.contains("own"), "{}", ran.stderr);
    assert!(!home.path().join("me/.config/ossicle/mcp.toml").exists());
}

#[test]
fn under_a_policy_of_paths() {
    let home = Home::new();
    home.write("work/open.txt", "open");
    home.write("work/closed/a.txt", "closed");
    #[cfg(unix)]
    std::os::unix::fs::symlink("closed", home.path().join("work/way")).unwrap();
    home.write(
        "paths.toml",
        "version = 1\n[[rule]]\nid = \"here\"\ntools = [\"files.*\"]\nwithin = [\"$WORKSPACE\"]\ndecision = \"allow\"\n\
         [[rule]]\nid = \"not-there\"\nwithin = [\"$WORKSPACE/closed\"]\ndecision = \"deny\"\n\
         [[test]]\ncall = { tool = \"files.read\", path = \"$WORKSPACE/closed/x\" }\nexpect = \"deny\"\n",
    );
    let call = |tool: &str, arguments: &str| {
        home.run(&["-C", "work", "--policy", "../paths.toml", "tool", "call", tool, arguments])
    };
    assert!(call("files.read", r#"{"path":"open.txt"}"#).exits(0).stdout.contains("open"));
    let denied = call("files.read", r#"{"path":"closed/a.txt"}"#).exits(4);
    assert!(denied.stderr.contains("not-there"), "{}", denied.stderr);
    // What the call names is one thing, what is really opened another.
    let linked = call("files.read", r#"{"path":"way/a.txt"}"#).exits(1);
    assert!(linked.stderr.contains("not-there") && !linked.stdout.contains("closed\n"), "{}", linked.stderr);
    let found = call("files.search", r#"{"pattern":"closed|open"}"#).exits(0).stdout;
    assert!(found.contains("open.txt:1: open") && !found.contains("1: closed"), "{found}");
    assert!(call("notes.list", "{}").exits(4).stderr.contains("default"));
}

#[test]
fn to_a_page_that_the_policy_lists() {
    let home = Home::new();
    let page =
        b"<html><head><title>A page</title><script>evil()</script></head><body><h1>Hello</h1><p>There &amp; here</p>";
    let (address, asked) = serve(Box::new(move |path, _| match path {
        "/page" => Some((200, "content-type: text/html\r\n".into(), page.to_vec())),
        "/picture" => Some((200, "content-type: image/png\r\n".into(), b"\x89PNG....".to_vec())),
        "/away" => Some((302, "location: http://169.254.169.254/latest/meta-data\r\n".into(), Vec::new())),
        _ => None,
    }));
    let policy = format!(
        "version = 1\n[egress]\nallow_local = [\"{address}\"]\n[[rule]]\nid = \"mine\"\ntools = [\"fetch.fetch\"]\n\
         hosts = [\"127.0.0.1\", \"169.254.169.254\"]\ndecision = \"allow\"\n"
    );
    home.write("web.toml", &policy);
    let fetch = |policy: &str, url: &str| {
        home.run(&["--policy", policy, "tool", "call", "fetch.fetch", &format!(r#"{{"url":"{url}"}}"#)])
    };
    let shown = fetch("web.toml", &format!("http://{address}/page")).exits(0).stdout;
    assert!(shown.contains("Hello") && shown.contains("There & here") && !shown.contains("evil"), "{shown}");
    let picture = fetch("web.toml", &format!("http://{address}/picture")).exits(0).stdout;
    let kept = picture.split("kept for the user as ").nth(1).unwrap().trim_end().trim_end_matches(']');
    assert_eq!(fs::read(kept).unwrap(), b"\x89PNG....");
    let away = fetch("web.toml", &format!("http://{address}/away")).exits(1);
    assert!(away.stderr.contains("leads to 169.254.169.254"), "{}", away.stderr);
    // The default asks, and nobody is there; no policy but one that lists it reaches this machine.
    let n_asked = asked.lock().unwrap().len();
    fetch("default", &format!("http://{address}/page")).exits(4);
    let local = home.run(&[
        "--approve",
        "always",
        "tool",
        "call",
        "fetch.fetch",
        &format!(r#"{{"url":"http://{address}/page"}}"#),
    ]);
    assert!(local.exits(1).stderr.contains("is not opened"));
    fetch("offline", &format!("http://{address}/page")).exits(4);
    let offline = home.run(&[
        "--offline",
        "--policy",
        "web.toml",
        "tool",
        "call",
        "fetch.fetch",
        &format!(r#"{{"url":"http://{address}/page"}}"#),
    ]);
    assert!(offline.exits(1).stderr.contains("offline"));
    assert_eq!(asked.lock().unwrap().len(), n_asked);
    let journal = home.journal();
    for words in ["egress_started", "egress_ended", "fetch.fetch", "the network: *", "memory_peak"] {
        assert!(journal.contains(words), "{words}");
    }
}
