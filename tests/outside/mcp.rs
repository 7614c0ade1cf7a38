//! The official SDKs of the protocol against ours, both ways round: their servers over stdio and HTTP, their clients at
//! `ossicle mcp-server`. `.ci/run` installs them into the folder that `OSSICLE_MCP` names; without them this is left out, and says
//! so.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const OSSICLE: &str = env!("CARGO_BIN_EXE_ossicle");

/// One of the two.
struct Sdk {
    name: &'static str,
    program: PathBuf,
    extension: &'static str,
    folder: tempfile::TempDir,
}

/// Those that are there, each with its scripts in a folder where it finds itself.
fn sdks() -> Vec<Sdk> {
    let Some(place) = std::env::var_os("OSSICLE_MCP").map(PathBuf::from) else {
        println!("left out: OSSICLE_MCP names no folder with the SDKs");
        return Vec::new();
    };
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/mcp");
    let sdk = |name, program: PathBuf, extension| {
        let folder = tempfile::tempdir().unwrap();
        for kind in ["server", "client"] {
            let script = format!("{kind}.{extension}");
            std::fs::copy(scripts.join(&script), folder.path().join(&script)).unwrap();
        }
        Sdk { name, program, extension, folder }
    };
    let mut sdks = Vec::new();
    if place.join("node/node_modules/@modelcontextprotocol/sdk").is_dir() {
        let typescript = sdk("typescript", "node".into(), "mjs");
        let modules = typescript.folder.path().join("node_modules");
        #[cfg(unix)]
        std::os::unix::fs::symlink(place.join("node/node_modules"), modules).unwrap();
        sdks.push(typescript);
    }
    let python = place.join("venv/bin/python");
    if python.is_file() {
        sdks.push(sdk("python", python, "py"));
    }
    if sdks.is_empty() {
        println!("left out: there is no SDK in {}", place.display());
    }
    sdks
}

impl Sdk {
    fn script(&self, kind: &str) -> String {
        self.folder.path().join(format!("{kind}.{}", self.extension)).display().to_string()
    }

    fn command(&self, kind: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(self.script(kind));
        command
    }
}

/// A server over HTTP, ended with the test.
struct Served(Child, u16);

impl Served {
    fn start(sdk: &Sdk, key: Option<&str>) -> Self {
        let mut command = sdk.command("server");
        let mut child = command.arg("http").args(key).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self(child, line.trim().parse().unwrap())
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.1)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ossicle(home: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(OSSICLE)
        .args(arguments)
        .env("OSSICLE_HOME", home)
        .env("SERVICE_TOKEN", "open sesame")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), out.trim().to_owned(), err)
}

/// Whatever a server of theirs offers can be called.
fn check(home: &Path, sdk: &Sdk) {
    let call = |tool: &str, arguments: Value| {
        let name = format!("mcp__{}.{tool}", sdk.name);
        ossicle(home, &["tool", "call", "--approve", "always", &name, &arguments.to_string()])
    };
    assert_eq!(call("add", json!({ "a": 1, "b": 2.5 })).1, "3.5", "{}", sdk.name);
    assert_eq!(call("count", json!({ "n": 3 })).1, "counted to 3", "{}", sdk.name);
    let (code, out, _) = call("picture", json!({}));
    assert!(code == Some(0) && out.starts_with("a pixel\n") && out.contains("image/png, 0.1 kB"), "{out}");
    let (code, _, err) = call("fail", json!({}));
    assert!(code == Some(1) && err.contains("nothing to be done"), "{err}");
    let (code, _, err) = call("add", json!({ "a": "x" }));
    assert!(code == Some(1) && err.contains("the parameters are a ("), "{err}");
}

#[test]
fn their_servers_over_stdio() {
    for sdk in sdks() {
        let home = tempfile::tempdir().unwrap();
        let program = sdk.program.display().to_string();
        let (code, _, err) =
            ossicle(home.path(), &["mcp", "add", "--yes", sdk.name, "--", &program, &sdk.script("server")]);
        assert!(code == Some(0) && err.contains("Adds two numbers.") && err.contains("with 4 tools"), "{err}");
        let effect = if sdk.name == "typescript" { "read" } else { "send" };
        assert!(err.contains(&format!("mcp__{}.add  effect {effect}, policy ask", sdk.name)), "{err}");
        check(home.path(), &sdk);
        let (code, _, err) = ossicle(home.path(), &["run", "What is 23 * 47?"]);
        assert!(code == Some(0) && !err.contains("warning"), "{err}");
    }
}

#[test]
fn their_servers_over_http() {
    for sdk in sdks() {
        let home = tempfile::tempdir().unwrap();
        let served = Served::start(&sdk, None);
        // A port is printed before it is open.
        let added = (0..100).find_map(|_| {
            let (code, _, err) = ossicle(home.path(), &["mcp", "add", "--yes", sdk.name, "--url", &served.url()]);
            std::thread::sleep(std::time::Duration::from_millis(100));
            (code == Some(0)).then_some(err)
        });
        assert!(added.unwrap().contains("with 4 tools"));
        check(home.path(), &sdk);
        let ledger = std::fs::read(home.path().join("data/sessions.sqlite")).unwrap();
        assert!(String::from_utf8_lossy(&ledger).contains(&served.url()), "what is sent is on record");
        let (code, _, err) = ossicle(home.path(), &["run", "--offline", "What is 23 * 47?"]);
        assert!(code == Some(0) && err.contains("offline: MCP servers are not started"), "{err}");
        drop(served);
        let (code, _, err) = ossicle(home.path(), &["run", "What is 23 * 47?"]);
        assert!(
            code == Some(0) && err.contains(&format!("the MCP server `{}` cannot be talked to", sdk.name)),
            "{err}"
        );
    }
}

#[test]
fn a_key_opens_a_service() {
    let Some(sdk) = sdks().into_iter().find(|sdk| sdk.name == "typescript") else { return };
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(&sdk, Some("open sesame"));
    let url = served.url();
    let (code, _, err) = ossicle(home.path(), &["mcp", "add", "--yes", "locked", "--url", &url]);
    assert!(code == Some(1) && err.contains("wants a key"), "{err}");
    let add = ["mcp", "add", "--yes", "typescript", "--url", &url, "--bearer-token-env-var"];
    let (code, _, err) = ossicle(home.path(), &[&add[..], &["NOT_SET"]].concat());
    assert!(code == Some(2) && err.contains("NOT_SET"), "{err}");
    let (code, _, err) = ossicle(home.path(), &[&add[..], &["SERVICE_TOKEN"]].concat());
    assert!(code == Some(0), "{err}");
    check(home.path(), &sdk);
    for file in ["config/mcp.toml", "data/mcp/typescript.json", "data/sessions.sqlite"] {
        let bytes = std::fs::read(home.path().join(file)).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("open sesame"), "{file} holds the key");
    }
}

#[test]
fn their_clients() {
    for sdk in sdks() {
        let home = tempfile::tempdir().unwrap();
        let output =
            sdk.command("client").args([OSSICLE, "mcp-server"]).env("OSSICLE_HOME", home.path()).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}: {err}", sdk.name));
        assert_eq!(found["server"], "ossicle");
        assert!(found["tools"].as_array().unwrap().contains(&json!("notes_add")), "{found}");
        assert_eq!(found["calc"], json!({ "text": "1081", "isError": false }));
        assert_eq!(found["wrong"]["isError"], true);
        let denied = found["denied"]["text"].as_str().unwrap();
        assert!(denied.contains("nobody can be asked"), "{found}");
    }
}
