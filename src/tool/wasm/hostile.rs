//! Guests written by hand to do what no compiler would: each must end in a reply, leave the host as it was, and get nothing.

use super::package::sha256;
use super::{Host, Package, Surroundings};
use crate::egress::{Egress, Entry, Ledger, LedgerError};
use crate::policy::{Decision, Policy};
use crate::tool::{Progress, Tool, ToolError};
use crate::world::{Network, World};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WIT: &str = include_str!("../../../tools/wit/tool.wit");

/// A component whose `call` is these instructions, which leave a pointer to the result. At 1024 lies an empty result whose
/// text begins at 2048.
fn guest(imports: &str, call: &str, more: &str) -> Vec<u8> {
    let module = format!(
        r#"(module
            {imports}
            (memory (export "memory") 2)
            (global $heap (mut i32) (i32.const 8192))
            (data (i32.const 1024) "\00\00\00\00\00\08\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
            (data (i32.const 2048) "dirty\ff\feclean")
            (func $result (param $text i32) (param $length i32) (result i32)
                (i32.store (i32.const 1028) (local.get $text))
                (i32.store (i32.const 1032) (local.get $length))
                (i32.const 1024))
            (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
                (global.get $heap)
                (global.set $heap (i32.and (i32.add (i32.add (global.get $heap) (local.get $size)) (i32.const 7)) (i32.const -8))))
            (func (export "ossicle:tool/tools@0.2.0#describe") (result i32) (i32.const 4096))
            (func (export "ossicle:tool/tools@0.2.0#call") (param i32 i32 i32 i32) (result i32) {call})
            {more})"#
    );
    component(&module)
}

fn component(module: &str) -> Vec<u8> {
    let mut module = wat::parse_str(module).unwrap();
    let mut resolve = Resolve::default();
    let package = resolve.push_str("tool.wit", WIT).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// A package with one tool that runs it.
fn package(component: Vec<u8>, effect: &str, head: &str) -> Package {
    let manifest = format!(
        "name = \"evil\"\nversion = \"1\"\ncomponent = \"x.wasm\"\nsha256 = \"{}\"\n{head}\n\
         [[tool]]\nname = \"run\"\neffect = \"{effect}\"\nrecovery = \"repeat\"\n",
        sha256(&component)
    );
    let tools = json!([{"name": "run", "description": "", "parameters": {"type": "object"}}]);
    Package::new(&manifest, &tools.to_string(), component).unwrap()
}

const LIMITS: &str = "[limits]\ntime_ms = 300\nmemory_mib = 4";

const EVERYTHING: &str = "version = 1\n[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"\n";

async fn run(tool: &dyn Tool, policy: &str) -> Result<String, ToolError> {
    let Decision::Allow(grant) = Policy::parse("test", policy).unwrap().decide(&tool.spec().asks(&Value::Null)) else {
        panic!("allowed")
    };
    tool.call(json!({}), grant, &Progress::default()).await.map(|output| output.text)
}

fn loaded(host: &Host, package: Package) -> Arc<dyn Tool> {
    host.load(package, &Surroundings::simulated()).remove(0)
}

fn host() -> Host {
    Host::new(World::simulated(1), None, None).unwrap()
}

const CLEAN: &str = "(call $result (i32.const 2055) (i32.const 5))";

#[tokio::test]
async fn results_that_lie_outside_or_are_no_text_are_refused() {
    let host = host();
    for (call, words) in [
        (CLEAN, ""),
        ("(i32.const -16)", "out of bounds"),
        ("(i32.const 1025)", "not aligned"),
        ("(call $result (i32.const -16) (i32.const 100))", "out of bounds"),
        ("(call $result (i32.const 0) (i32.const -1))", "out of bounds"),
        ("(call $result (i32.const 2048) (i32.const 200000))", "out of bounds"),
        ("(call $result (i32.const 2048) (i32.const 7))", "utf-8"),
        ("(i32.store8 (i32.const 1024) (i32.const 7)) (i32.const 1024)", "invalid"),
        // A list of attachments that is not there.
        ("(i32.store (i32.const 1040) (i32.const 1000000)) (i32.const 1024)", "out of bounds"),
        ("(unreachable)", "unreachable"),
        ("(i32.div_s (i32.const 1) (i32.const 0))", "divide by zero"),
        ("(i32.load (i32.const -4))", "out of bounds"),
    ] {
        let tool = loaded(&host, package(guest("", call, ""), "pure", LIMITS));
        match run(tool.as_ref(), EVERYTHING).await {
            Ok(text) => assert_eq!((text.as_str(), words), ("clean", ""), "{call}"),
            Err(ToolError::Trapped(error)) => {
                assert!(!words.is_empty() && error.to_lowercase().contains(words), "{call}: {error}");
            }
            Err(error) => panic!("{call}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn a_guest_that_works_before_it_is_called_is_held_to_its_limits_too() {
    let host = host();
    for (more, expect) in [
        ("(func $start (loop (br 0))) (start $start)", "TimedOut"),
        (
            "(func $start (local i32) (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)) (start $start)",
            "OutOfMemory",
        ),
        ("(func $start (call $start)) (start $start)", "Trapped"),
        ("(func $start (unreachable)) (start $start)", "Trapped"),
    ] {
        let evil = package(guest("", CLEAN, more), "pure", LIMITS);
        host.check(evil.clone()).await.unwrap();
        let error = run(loaded(&host, evil).as_ref(), EVERYTHING).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(expect), "{more}: {error:?}");
    }
}

#[tokio::test]
async fn bombs_for_the_compiler_are_refused_before_they_are_compiled() {
    let large = format!("{} {CLEAN}", "(drop (i32.const 1000000))".repeat(300_000));
    let many = "(func)".repeat(200_001);
    for (call, more, words) in
        [(large.as_str(), "", "a function of"), (CLEAN, many.as_str(), "more than 200000 functions")]
    {
        let bomb = package(guest("", call, more), "pure", LIMITS);
        let error = host().check(bomb).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let error = host().check(package(b"\0asm no component".to_vec(), "pure", LIMITS)).await.unwrap_err().to_string();
    assert!(error.contains("no component"), "{error}");
}

#[tokio::test]
async fn nothing_is_left_of_a_call_for_the_next() {
    let remember = format!(
        "(if (result i32) (i32.load (i32.const 90000))
            (then (call $result (i32.const 2048) (i32.const 5)))
            (else (i32.store (i32.const 90000) (i32.const 1)) (drop (memory.grow (i32.const 8)))
                (memory.fill (i32.const 131072) (i32.const 255) (i32.const 100000)) {CLEAN}))"
    );
    // Reads where the other has written.
    let peek = format!(
        "(drop (memory.grow (i32.const 8)))
         (if (result i32) (i32.or (i32.load (i32.const 90000)) (i32.load (i32.const 200000)))
            (then (call $result (i32.const 2048) (i32.const 5)))
            (else {CLEAN}))"
    );
    let host = host();
    let tools = [remember, peek].map(|call| loaded(&host, package(guest("", &call, ""), "pure", LIMITS)));
    // Often enough that every place of the pool is taken again.
    for _ in 0..100 {
        for tool in &tools {
            assert_eq!(run(tool.as_ref(), EVERYTHING).await.unwrap(), "clean");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_there_is_room_for_wait_for_their_turn() {
    let tool = loaded(&host(), package(guest("", CLEAN, ""), "pure", LIMITS));
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let tool = tool.clone();
            tokio::spawn(async move { run(tool.as_ref(), EVERYTHING).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "clean");
    }
}

#[tokio::test]
async fn floods_of_host_calls_end_at_the_time_limit() {
    let clock = r#"(import "ossicle:tool/clock@0.2.0" "now" (func $now (param i32)))"#;
    let random = r#"(import "ossicle:tool/random@0.2.0" "bytes" (func $bytes (param i32 i32)))"#;
    let keys = r#"(import "ossicle:tool/store@0.2.0" "keys" (func $keys (param i32 i32 i32)))"#;
    for (imports, call, wants) in [
        (clock, "(loop (call $now (i32.const 512)) (br 0)) (unreachable)", "clock = true"),
        // Each time into the same place.
        (
            random,
            "(loop (global.set $heap (i32.const 8192)) (call $bytes (i32.const 4096) (i32.const 512)) (br 0)) (unreachable)",
            "random = true",
        ),
        (keys, "(loop (call $keys (i32.const 0) (i32.const 0) (i32.const 512)) (br 0)) (unreachable)", "store = true"),
    ] {
        let tool = loaded(&host(), package(guest(imports, call, ""), "read", &format!("{LIMITS}\n[wants]\n{wants}")));
        let error = run(tool.as_ref(), EVERYTHING).await.unwrap_err();
        assert!(matches!(error, ToolError::TimedOut(_)), "{wants}: {error:?}");
    }
}

#[tokio::test]
async fn an_older_contract_and_a_newer_one_are_refused_by_name() {
    for (version, words) in [("0.1.0", "0.1.0"), ("0.3.0", "0.3.0"), ("1.0.0", "1.0.0")] {
        let wit = WIT.replace("ossicle:tool@0.2.0", &format!("ossicle:tool@{version}"));
        let mut resolve = Resolve::default();
        let made = resolve.push_str("tool.wit", &wit).unwrap();
        let world = resolve.select_world(&[made], Some("tool")).unwrap();
        let mut module = wat::parse_str(format!(
            r#"(module (memory (export "memory") 1)
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
                (func (export "ossicle:tool/tools@{version}#describe") (result i32) (unreachable))
                (func (export "ossicle:tool/tools@{version}#call") (param i32 i32 i32 i32) (result i32) (unreachable)))"#
        ))
        .unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        let component = ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
        let error = host().check(package(component, "pure", LIMITS)).await.unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("build it again"), "{error}");
    }
}

/// Nothing is kept; this is about what comes back.
struct NoLedger;

#[async_trait]
impl Ledger for NoLedger {
    async fn record(&self, _: Entry) -> Result<(), LedgerError> {
        Ok(())
    }
}

struct OneName(SocketAddr);

#[async_trait]
impl Network for OneName {
    async fn resolve(&self, host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        match host {
            "never.test" => std::future::pending().await,
            _ => Ok(vec![self.0]),
        }
    }
}

/// Sends a GET to the URL at 2064, of this length. The response goes to 512: its discriminant and, in an error, the text.
fn sender(url: &str) -> Vec<u8> {
    let imports = r#"(import "ossicle:tool/http@0.2.0" "send"
        (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#;
    let call = format!(
        r#"(call $send (i32.const 3072) (i32.const 3) (i32.const 3080) (i32.const {}) (i32.const 0) (i32.const 0)
             (i32.const 0) (i32.const 0) (i32.const 512))
           (if (result i32) (i32.load8_u (i32.const 512))
             (then (call $result (i32.load (i32.const 516)) (i32.load (i32.const 520))))
             (else {CLEAN}))"#,
        url.len()
    );
    guest(imports, &call, &format!(r#"(data (i32.const 3072) "GET") (data (i32.const 3080) "{url}")"#))
}

#[tokio::test]
async fn a_guest_that_waits_for_an_answer_is_stopped_and_hosts_are_held_to_the_grant() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let world = World { network: Arc::new(OneName(address)), ..World::simulated(1) };
    let host = Host::new(world.clone(), None, Some(Egress::new(world, Arc::new(NoLedger)))).unwrap();
    let local = format!("silent.test:{}", address.port());
    let policy = format!("{EVERYTHING}[egress]\nallow_local = [\"{local}\"]\n");
    for (url, effect, policy, expect) in [
        ("http://never.test/".into(), "send", EVERYTHING, "TimedOut"),
        (format!("http://{local}/"), "send", policy.as_str(), "did not answer in time"),
        (format!("http://{local}/"), "send", EVERYTHING, "is not opened"),
        ("http://silent.test/".into(), "send", EVERYTHING, "not on the public internet"),
        ("http://other.test/".into(), "send", EVERYTHING, "no host that was granted"),
        ("http://silent.test/".into(), "read", EVERYTHING, "no host that was granted"),
        ("no url".into(), "send", EVERYTHING, "is no URL"),
    ] {
        let head = format!("{LIMITS}\n[wants]\nhosts = [\"silent.test\", \"never.test\"]");
        let tool = loaded(&host, package(sender(&url), effect, &head));
        match run(tool.as_ref(), policy).await {
            Ok(text) => assert!(text.contains(expect), "{url}: {text}"),
            Err(error) => assert!(format!("{error:?}").starts_with(expect), "{url}: {error:?}"),
        }
    }
}
