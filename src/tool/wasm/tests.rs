//! The real sandbox with the bundled components, and with guests that mean harm.

use super::*;
use crate::policy::{Approval, Approver, Decision, Grant, Pending, Policy};
use crate::tool::{Progress, Tool, ToolError, ToolSpec, Toolbox};
use crate::world::{Directory, Disk, Entry, MemoryDisk, SimulatedClock, World};
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const HOSTILE: &[u8] = include_bytes!("../../../tests/fixtures/tools/hostile.wasm");
const UNGRANTED: &[u8] = include_bytes!("../../../tests/fixtures/tools/ungranted.wasm");

fn grant_for(spec: &ToolSpec) -> Grant {
    let everything = "version = 1\n[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"\n";
    match Policy::parse("test", everything).unwrap().decide(&spec.asks(&Value::Null)) {
        Decision::Allow(grant) => grant,
        other => panic!("{other:?}"),
    }
}

async fn call(tool: &dyn Tool, arguments: Value) -> Result<String, ToolError> {
    tool.call(arguments, grant_for(tool.spec()), &Progress::default()).await.map(|output| output.text)
}

fn toolbox(world: &World, packages: Vec<Package>) -> Toolbox {
    let host = Host::new(world.clone(), None, None).unwrap();
    let mut toolbox = Toolbox::default();
    for package in packages {
        for tool in host.load(package, &Surroundings::simulated()) {
            toolbox.register(tool).unwrap();
        }
    }
    toolbox
}

#[tokio::test]
async fn the_bundled_tools_pass_the_examples_of_their_manifests() {
    for package in bundled().unwrap() {
        let name = package.name().to_owned();
        let outcomes = run_examples(package, None).await.unwrap();
        assert!(!outcomes.is_empty(), "{name} has no examples");
        for outcome in outcomes {
            assert_eq!(
                outcome.got, outcome.example.expect,
                "{name}.{} {}",
                outcome.example.call, outcome.example.arguments
            );
        }
    }
}

#[test]
fn a_package_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("calc");
    let package = bundled().unwrap().remove(0);
    package.write(&at).unwrap();
    let read = Package::read(&at).unwrap();
    assert_eq!((read.name(), read.sha256(), read.n_bytes()), (package.name(), package.sha256(), package.n_bytes()));
    let mut bytes = std::fs::read(at.join("calc.wasm")).unwrap();
    bytes.push(0);
    std::fs::write(at.join("calc.wasm"), bytes).unwrap();
    let error = Package::read(&at).err().unwrap().to_string();
    assert!(error.contains("not the one that its manifest names"), "{error}");
    std::fs::remove_file(at.join("tools.json")).unwrap();
    assert!(Package::read(&at).err().unwrap().to_string().contains("tools.json"));
    assert!(Package::read(&folder.path().join("absent")).is_err());
}

#[tokio::test]
async fn the_components_declare_what_lies_beside_them() {
    let host = Host::new(World::simulated(1), None, None).unwrap();
    for package in bundled().unwrap() {
        assert_eq!(hash(&package.component), package.manifest.sha256, "{}", package.name());
        assert!(!package.version().is_empty());
        let beside: Vec<_> = package
            .declarations
            .iter()
            .map(|tool| (tool.id.tool.clone(), tool.description.clone(), tool.parameters.clone()))
            .collect();
        let inside = host.describe(package).await.unwrap();
        let inside: Vec<_> = inside
            .into_iter()
            .map(|tool| (tool.name, tool.description, serde_json::from_str::<Value>(&tool.parameters).unwrap()))
            .collect();
        assert_eq!(inside, beside);
    }
}

#[tokio::test]
async fn a_compiled_component_is_kept_and_a_forged_one_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let call_with_cache = || async {
        let host = Host::new(World::real(), Some(folder.path().to_owned()), None).unwrap();
        let calc = host.load(bundled().unwrap().remove(0), &Surroundings::simulated()).remove(0);
        call(calc.as_ref(), json!({ "expression": "1 + 1" })).await.unwrap()
    };
    let entry = || {
        let mut entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.find(|path| path.file_name().unwrap() != "key").unwrap()
    };
    assert_eq!(call_with_cache().await, "2");
    let kept = std::fs::read(entry()).unwrap();
    let written = std::fs::metadata(entry()).unwrap().modified().unwrap();
    assert_eq!(call_with_cache().await, "2");
    assert_eq!(std::fs::metadata(entry()).unwrap().modified().unwrap(), written, "taken from the cache");
    let mut forged = kept.clone();
    forged[kept.len() / 2] ^= 1;
    std::fs::write(entry(), forged).unwrap();
    assert_eq!(call_with_cache().await, "2");
    assert_eq!(std::fs::read(entry()).unwrap(), kept, "made anew");
}

#[tokio::test]
async fn the_clock_is_the_worlds() {
    let clock = Arc::new(SimulatedClock::default());
    clock.advance(Duration::from_secs(3600));
    let world = World { clock, ..World::simulated(1) };
    let toolbox = toolbox(&world, bundled().unwrap());
    let now = toolbox.resolve("clock.now").unwrap().tool();
    assert_eq!(call(now.as_ref(), json!({ "zone": "UTC" })).await.unwrap(), "2026-01-01 01:00:00 UTC (Thursday)");
}

#[tokio::test]
async fn notes_live_in_the_one_granted_file() {
    let world = World::simulated(1);
    let toolbox = toolbox(&world, bundled().unwrap());
    let add = toolbox.resolve("notes.add").unwrap().tool();
    assert_eq!(call(add.as_ref(), json!({ "text": "buy milk" })).await.unwrap(), "saved as note 1");
    let file = world.disk.read(Path::new("/data/notes/notes.md"), 1000).unwrap();
    assert_eq!(String::from_utf8(file).unwrap(), "- buy milk\n");
}

/// A package of one hostile component.
fn hostile(component: &'static [u8], tools: &[&str], limits: &str, wants: &str) -> Package {
    let mut manifest = format!(
        "name = \"evil\"\nversion = \"1\"\ncomponent = \"x\"\nsha256 = \"{}\"\n[limits]\n{limits}\n[wants]\n{wants}\n",
        hash(component)
    );
    let mut declarations = Vec::new();
    for tool in tools {
        manifest += &format!("[[tool]]\nname = \"{tool}\"\neffect = \"read\"\nrecovery = \"repeat\"\n");
        let parameters = json!({ "type": "object", "properties": {} });
        declarations.push(json!({ "name": tool, "description": "", "parameters": parameters }));
    }
    Package::new(&manifest, &Value::from(declarations).to_string(), component).unwrap()
}

use super::package::sha256 as hash;

#[tokio::test]
async fn every_hostile_guest_ends_in_a_reply_and_the_next_call_works() {
    let tools = ["spin", "eat", "trap", "recurse", "flood", "echo", "missing"];
    let package = hostile(HOSTILE, &tools, "time_ms = 300\nmemory_mib = 16", "");
    let toolbox = toolbox(&World::simulated(1), vec![package]);
    let tool = |name: &str| toolbox.resolve(&format!("evil.{name}")).unwrap().tool().clone();
    // The first call compiles; what follows is the guests' own time.
    call(tool("echo").as_ref(), json!({})).await.unwrap();
    for (name, expected) in [
        ("spin", "TimedOut"),
        ("eat", "OutOfMemory"),
        ("trap", "Trapped"),
        ("recurse", "Trapped"),
        ("flood", "OutputTooLong"),
        ("missing", "Unavailable"),
    ] {
        let error = call(tool(name).as_ref(), json!({})).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{name}: {error:?}");
        call(tool("echo").as_ref(), json!({})).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spinning_guest_lets_others_run() {
    let package = hostile(HOSTILE, &["spin", "echo"], "time_ms = 1000", "");
    let toolbox = toolbox(&World::simulated(1), vec![package]);
    // Compiled now, so that what follows is the guests' own time.
    call(toolbox.resolve("evil.echo").unwrap().tool().as_ref(), json!({})).await.unwrap();
    let spins: Vec<_> = (0..4)
        .map(|_| {
            let spin = toolbox.resolve("evil.spin").unwrap().tool().clone();
            tokio::spawn(async move { call(spin.as_ref(), json!({})).await })
        })
        .collect();
    let echo = toolbox.resolve("evil.echo").unwrap().tool().clone();
    tokio::spawn(async move { call(echo.as_ref(), json!({})).await }).await.unwrap().unwrap();
    assert!(spins.iter().any(|spin| !spin.is_finished()), "the echo came while others were spinning");
    for spin in spins {
        assert!(matches!(spin.await.unwrap(), Err(ToolError::TimedOut(_))));
    }
}

#[tokio::test]
async fn an_import_that_nothing_provides_is_named() {
    let toolbox = toolbox(&World::simulated(1), vec![hostile(UNGRANTED, &["echo"], "", "")]);
    let tool = toolbox.resolve("evil.echo").unwrap().tool();
    let error = call(tool.as_ref(), json!({})).await.unwrap_err().to_string();
    assert!(error.contains("ossicle:ungranted/nothing"), "{error}");
}

#[tokio::test]
async fn what_the_manifest_does_not_want_is_not_linked() {
    // The notes component imports the granted file; without `wants.file` there is nothing to link it to.
    let component = bundled().unwrap().remove(2).component;
    let component: &'static [u8] = Vec::leak(component.into_owned());
    let toolbox = toolbox(&World::simulated(1), vec![hostile(component, &["list"], "", "clock = true")]);
    let error = call(toolbox.resolve("evil.list").unwrap().tool().as_ref(), json!({})).await.unwrap_err().to_string();
    assert!(error.contains("ossicle:tool/document"), "{error}");
}

#[tokio::test]
async fn a_guest_can_do_no_more_than_the_effect_that_policy_was_asked_about() {
    const MANIFEST: &str = include_str!("../../../tools/notes/tool.toml");
    for (effect, expected) in [("read", Err("only reads")), ("pure", Err("no file")), ("write", Ok("saved as note 1"))]
    {
        let manifest = MANIFEST.replace("effect = \"write\"", &format!("effect = \"{effect}\""));
        let component = bundled().unwrap().remove(2).component;
        let package = Package::new(&manifest, include_str!("../../../tools/notes/tools.json"), component).unwrap();
        let world = World::simulated(1);
        let toolbox = toolbox(&world, vec![package]);
        let added = call(toolbox.resolve("notes.add").unwrap().tool().as_ref(), json!({ "text": "x" })).await;
        match (added, expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected),
            (Err(error), Err(word)) => {
                assert!(error.to_string().contains(word), "{effect}: {error}");
                assert!(
                    world.disk.read(Path::new("/data/notes/notes.md"), 1000).is_err(),
                    "{effect}: nothing is written"
                );
            }
            (added, _) => panic!("{effect}: {added:?}"),
        }
    }
}

#[tokio::test]
async fn a_component_that_is_not_the_manifests_does_not_run() {
    let mut package = hostile(UNGRANTED, &["echo"], "", "");
    package.component = HOSTILE.into();
    let toolbox = toolbox(&World::simulated(1), vec![package]);
    let error = call(toolbox.resolve("evil.echo").unwrap().tool().as_ref(), json!({})).await.unwrap_err().to_string();
    assert!(error.contains("sha256"), "{error}");
}

#[tokio::test]
async fn a_grant_for_another_tool_opens_nothing() {
    let toolbox = toolbox(&World::simulated(1), bundled().unwrap());
    let [calc, now] = ["calc.calc", "clock.now"].map(|id| toolbox.resolve(id).unwrap().tool());
    let error = now.call(json!({}), grant_for(calc.spec()), &Progress::default()).await.unwrap_err();
    assert!(matches!(error, ToolError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn the_approved_call_runs_too() {
    struct Yes;
    #[async_trait::async_trait]
    impl Approver for Yes {
        async fn approve(&self, _: &Pending) -> Approval {
            Approval::Yes
        }
    }
    let toolbox = toolbox(&World::simulated(1), bundled().unwrap());
    let add = toolbox.resolve("notes.add").unwrap().tool();
    let spec = add.spec();
    let arguments = json!({ "text": "x" });
    let Decision::Ask(pending) = Policy::default().decide(&spec.asks(&arguments)) else {
        panic!("writing is asked about")
    };
    let grant = pending.ask(&Yes).await.unwrap();
    assert_eq!(add.call(arguments.clone(), grant, &Progress::default()).await.unwrap().text, "saved as note 1");
}

/// A disk that takes nothing more.
struct Full(MemoryDisk);

struct FullFolder(Box<dyn Directory>);

impl Disk for Full {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.0.read(path, limit)
    }
    fn write(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
    fn folder(&self, path: &Path) -> io::Result<Box<dyn Directory>> {
        Ok(Box::new(FullFolder(self.0.folder(path)?)))
    }
}

impl Directory for FullFolder {
    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        self.0.real(path)
    }
    fn entries(&self, path: &Path, limit: usize) -> io::Result<Vec<Entry>> {
        self.0.entries(path, limit)
    }
    fn stat(&self, path: &Path) -> io::Result<Entry> {
        self.0.stat(path)
    }
    fn read(&self, path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        self.0.read(path, offset, length)
    }
    fn write(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }
}

#[tokio::test]
async fn a_full_disk_is_an_answer_and_loses_nothing() {
    let disk = MemoryDisk::default();
    disk.write(Path::new("/workspace/a.txt"), b"kept").unwrap();
    disk.write(Path::new("/data/notes/notes.md"), b"- kept\n").unwrap();
    let world = World { disk: Arc::new(Full(disk)), ..World::simulated(1) };
    let toolbox = toolbox(&world, bundled().unwrap());
    let tool = |id: &str| toolbox.resolve(id).unwrap().tool().clone();
    for (id, arguments, words) in [
        ("files.write", json!({ "path": "a.txt", "text": "new" }), "the disk is full"),
        ("files.edit", json!({ "path": "a.txt", "old": "kept", "new": "new" }), "the disk is full"),
        ("notes.add", json!({ "text": "new" }), "no storage space"),
        ("todo.add", json!({ "text": "new" }), "no storage space"),
    ] {
        let error = call(tool(id).as_ref(), arguments).await.unwrap_err();
        assert!(matches!(&error, ToolError::Failed(text) if text.contains(words)), "{id}: {error:?}");
    }
    assert!(call(tool("files.read").as_ref(), json!({ "path": "a.txt" })).await.unwrap().contains("kept"));
    assert_eq!(call(tool("notes.list").as_ref(), json!({})).await.unwrap(), "1. kept");
}

#[tokio::test]
async fn what_an_ignore_file_names_is_not_there_for_a_guest() {
    let world = World::simulated(1);
    for (path, text) in [
        (".ossicleignore", "private/\n*.key\n"),
        ("private/diary.md", "harbour"),
        ("my.key", "harbour"),
        ("plan.md", "harbour"),
    ] {
        world.disk.write(&Path::new("/workspace").join(path), text.as_bytes()).unwrap();
    }
    let toolbox = toolbox(&world, bundled().unwrap());
    let tool = |id: &str| toolbox.resolve(id).unwrap().tool().clone();
    let listed = call(tool("files.list").as_ref(), json!({ "depth": 5 })).await.unwrap();
    assert!(listed.contains("plan.md") && !listed.contains("private") && !listed.contains("key"), "{listed}");
    let found = call(tool("files.search").as_ref(), json!({ "pattern": "harbour" })).await.unwrap();
    assert!(found.contains("plan.md:1") && !found.contains("diary") && !found.contains("my.key"), "{found}");
    for (id, arguments, words) in [
        ("files.read", json!({ "path": "private/diary.md" }), "keeps it from tools"),
        ("files.read", json!({ "path": "./private/../my.key" }), "keeps it from tools"),
        ("files.list", json!({ "path": "private" }), "keeps it from tools"),
        ("files.edit", json!({ "path": "my.key", "old": "harbour", "new": "x" }), "keeps it from tools"),
        ("files.write", json!({ "path": "private/new.md", "text": "x" }), "keeps it from tools"),
        ("files.write", json!({ "path": ".ossicleignore", "text": "" }), "only the user changes"),
        ("files.write", json!({ "path": "deep/.ossicleignore", "text": "!*" }), "only the user changes"),
        ("files.edit", json!({ "path": ".OSSICLEIGNORE", "old": "key", "new": "x" }), ""),
    ] {
        let error = call(tool(id).as_ref(), arguments.clone()).await.unwrap_err();
        assert!(matches!(&error, ToolError::Failed(text) if text.contains(words)), "{id} {arguments}: {error:?}");
    }
    assert!(call(tool("files.read").as_ref(), json!({ "path": ".ossicleignore" })).await.unwrap().contains("*.key"));
    assert_eq!(world.disk.read(Path::new("/workspace/.ossicleignore"), 99).unwrap(), b"private/\n*.key\n");
}
