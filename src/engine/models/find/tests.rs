//! Stores as the programs leave them, and what is found in them.
//!
//! What it is not: no store here was written by its program; the layouts are theirs, with small models in them.
//! Start at [`Home`].

use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/engine").join(name)
}

/// A user's home with all places in it.
struct Home(TempDir);

const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn places(&self) -> Places {
        let ollama = self.0.path().join(".ollama/models");
        Places::resolve(self.0.path().join("own"), self.0.path(), |name| {
            (name == "OLLAMA_MODELS").then(|| ollama.clone())
        })
    }

    fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    fn gguf(&self, path: &str, fixture_: &str) -> &Self {
        self.write(path, fs::read(fixture("gguf").join(fixture_)).unwrap())
    }

    /// A folder in the official layout.
    fn official(&self, path: &str) -> &Self {
        for name in ["config.json", "model.safetensors"] {
            self.write(&format!("{path}/{name}"), fs::read(fixture("grouped").join(name)).unwrap());
        }
        self
    }

    /// The same in Hugging Face's cache: a revision of links to blobs.
    fn hugging_face(&self, repository: &str, revision: &str) -> &Self {
        let folder = format!(".cache/huggingface/hub/{repository}");
        self.official(&format!("{folder}/blobs"));
        let snapshot = self.0.path().join(&folder).join("snapshots").join(revision);
        fs::create_dir_all(&snapshot).unwrap();
        for name in ["config.json", "model.safetensors"] {
            symlink(format!("../../blobs/{name}"), snapshot.join(name)).unwrap();
        }
        self.write(&format!("{folder}/refs/main"), revision)
    }

    fn ollama(&self, manifest: &str, layers: &str) -> &Self {
        self.write(
            &format!(".ollama/models/manifests/{manifest}"),
            format!(r#"{{"schemaVersion":2,"layers":[{layers}]}}"#),
        )
    }

    fn found(&self) -> Vec<Found> {
        found(&self.places())
    }

    /// Names, origins and formats, and the beginning of each fault.
    fn check(&self, expected: &[(&str, Origin, Format, &str)]) {
        let found = self.found();
        let names: Vec<_> = found.iter().map(|model| (model.name.as_str(), model.origin, model.format)).collect();
        assert_eq!(names, expected.iter().map(|e| (e.0, e.1, e.2)).collect::<Vec<_>>(), "{found:#?}");
        for (model, (.., fault)) in found.iter().zip(expected) {
            assert_eq!(model.fault.is_none(), fault.is_empty(), "{model:?}");
            assert!(model.fault.as_deref().unwrap_or_default().contains(fault), "{fault:?} is not in {model:?}");
            assert_eq!(model.n_bytes == 0, model.fault.is_some() && !fault.contains("complete"), "{model:?}");
        }
    }
}

fn layer(kind: &str, digest: &str) -> String {
    format!(r#"{{"mediaType":"application/vnd.ollama.image.{kind}","digest":"{digest}","size":1}}"#)
}

#[test]
fn nothing_is_found_where_nothing_is() {
    Home::new().check(&[]);
}

#[test]
fn every_program_s_store_is_searched() {
    let home = Home::new();
    home.official("own/openai--gpt-oss-20b").write("own/openai--gpt-oss-20b/pulled.json", "{}");
    home.gguf("own/ggml-org--x/x.gguf", "mxfp4.gguf").write("own/.lock", "");
    home.hugging_face("models--openai--gpt-oss-120b", "abc");
    let hub = ".cache/huggingface/hub/models--u--gguf";
    home.gguf(&format!("{hub}/snapshots/1/Q8_0/split-00001-of-00003.gguf"), "split-00001-of-00003.gguf");
    home.gguf(&format!("{hub}/snapshots/1/Q8_0/split-00002-of-00003.gguf"), "split-00002-of-00003.gguf");
    home.gguf(&format!("{hub}/snapshots/1/Q8_0/split-00003-of-00003.gguf"), "split-00003-of-00003.gguf");
    home.gguf(&format!("{hub}/snapshots/1/a.gguf"), "mxfp4.gguf");
    home.gguf(".lmstudio/models/lms/gpt-oss-20b-GGUF/gpt-oss-20b-MXFP4.gguf", "bf16.gguf");
    let model = layer("model", &format!("sha256:{HASH}"));
    let layers = format!("{},{model},{}", layer("license", "sha256:0"), layer("template", "sha256:0"));
    home.ollama("registry.ollama.ai/library/gpt-oss/20b", &layers);
    home.ollama("registry.ollama.ai/me/mine/latest", &layers).ollama("hf.co/org/x/Q8_0", &layers);
    home.gguf(&format!(".ollama/models/blobs/sha256-{HASH}"), "ollama.gguf");
    use Format::{Gguf, Safetensors};
    use Origin::{HuggingFace, LmStudio, Ollama, Ossicle};
    home.check(&[
        ("ggml-org/x", Ossicle, Gguf, "not complete; `ossicle models pull ggml-org/x` goes on"),
        ("openai/gpt-oss-20b", Ossicle, Safetensors, ""),
        ("openai/gpt-oss-120b", HuggingFace, Safetensors, ""),
        ("u/gguf/a", HuggingFace, Gguf, ""),
        ("u/gguf/split", HuggingFace, Gguf, ""),
        ("lms/gpt-oss-20b-GGUF", LmStudio, Gguf, ""),
        ("hf.co/org/x:Q8_0", Ollama, Gguf, ""),
        ("gpt-oss:20b", Ollama, Gguf, ""),
        ("me/mine:latest", Ollama, Gguf, ""),
    ]);
}

#[test]
fn other_models_are_left_out() {
    let home = Home::new();
    home.official("own/x").write("own/x/pulled.json", "{}").write("own/x/config.json", r#"{"model_type":"qwen3"}"#);
    home.write(".cache/huggingface/hub/models--a--b/snapshots/1/config.json", r#"{"model_type":"llama"}"#);
    home.write(".cache/huggingface/hub/models--a--broken/snapshots/1/config.json", "{");
    home.write(".cache/huggingface/hub/datasets--openai--gpt-oss/snapshots/1/config.json", "{");
    home.write(".lmstudio/models/a/b/b.gguf", [&b"GGUF\x03\0\0\0"[..], &[0; 16]].concat());
    home.write(".lmstudio/models/a/c/notes.txt", "");
    home.ollama("registry.ollama.ai/library/llama/8b", &layer("model", &format!("sha256:{HASH}")));
    home.check(&[]);
}

#[test]
fn what_is_broken_says_why() {
    let home = Home::new();
    let hub = ".cache/huggingface/hub/models--openai--gpt-oss";
    home.write(&format!("{hub}-a/snapshots/1/config.json"), "{");
    home.write(&format!("{hub}-b/snapshots/1/README.md"), "");
    home.write(&format!("{hub}-c/snapshots/1/x"), "").write(&format!("{hub}-c/snapshots/2/x"), "");
    home.write(&format!("{hub}-d/snapshots/1/x"), "").write(&format!("{hub}-d/refs/main"), "../../../../own");
    home.hugging_face("models--openai--gpt-oss-e", "1");
    fs::remove_file(home.0.path().join(format!("{hub}-e/blobs/model.safetensors"))).unwrap();
    home.write(".lmstudio/models/lms/gpt-oss/x.gguf", "GGUF");
    let digest = |digest: &str| layer("model", digest);
    home.ollama("registry.ollama.ai/library/gpt-oss/1", &digest(&format!("sha256:{HASH}")));
    home.ollama("registry.ollama.ai/library/gpt-oss/2", &digest("sha256:../../../../etc/passwd"));
    home.ollama("registry.ollama.ai/library/gpt-oss/3", &layer("tensor", &format!("sha256:{HASH}")));
    let adapted = format!("{},{}", digest(&format!("sha256:{HASH}")), layer("adapter", "sha256:0"));
    home.ollama("registry.ollama.ai/library/gpt-oss/4", &adapted);
    home.write(".ollama/models/manifests/registry.ollama.ai/library/gpt-oss/5", "{}");
    home.write(".ollama/models/manifests/registry.ollama.ai/library/gpt-oss/6", vec![b' '; 2 << 20]);
    use Format::{Gguf, Safetensors};
    use Origin::{HuggingFace, LmStudio, Ollama};
    home.check(&[
        ("openai/gpt-oss-a", HuggingFace, Safetensors, "config.json is not JSON"),
        ("openai/gpt-oss-b", HuggingFace, Safetensors, "no config.json"),
        ("openai/gpt-oss-c", HuggingFace, Safetensors, "2 revisions and no refs/main"),
        ("openai/gpt-oss-d", HuggingFace, Safetensors, "refs/main names is not there"),
        ("openai/gpt-oss-e", HuggingFace, Safetensors, "model.safetensors does not exist"),
        ("lms/gpt-oss", LmStudio, Gguf, "x.gguf is damaged"),
        ("gpt-oss:1", Ollama, Gguf, "does not exist; `ollama pull gpt-oss:1` fetches it"),
        ("gpt-oss:2", Ollama, Gguf, "which is no hash"),
        ("gpt-oss:3", Ollama, Gguf, "one layer with a GGUF"),
        ("gpt-oss:4", Ollama, Gguf, "an adapter"),
        ("gpt-oss:5", Ollama, Gguf, "lists no layers"),
        ("gpt-oss:6", Ollama, Gguf, "no file of at most 1048576 bytes"),
    ]);
}

/// Stores with a model of each kind.
fn stocked() -> Home {
    let home = Home::new();
    home.hugging_face("models--openai--gpt-oss-20b", "abc");
    home.hugging_face("models--other--gpt-oss-20b-tuned", "abc");
    home.gguf(".lmstudio/models/lms/gpt-oss-20b-GGUF/gpt-oss-20b-MXFP4.gguf", "mxfp4.gguf");
    home.ollama("registry.ollama.ai/library/gpt-oss/latest", &layer("model", &format!("sha256:{HASH}")));
    home.ollama("registry.ollama.ai/library/gpt-oss/120b", &layer("model", "sha256:0"));
    home.gguf(&format!(".ollama/models/blobs/sha256-{HASH}"), "ollama.gguf");
    home
}

#[test]
fn a_name_is_a_model_wherever_it_is_said() {
    let home = stocked();
    let hub = home.0.path().join(".cache/huggingface/hub/models--openai--gpt-oss-20b/snapshots/abc");
    let lms = home.0.path().join(".lmstudio/models/lms/gpt-oss-20b-GGUF/gpt-oss-20b-MXFP4.gguf");
    let blob = home.0.path().join(format!(".ollama/models/blobs/sha256-{HASH}"));
    fs::create_dir_all(home.0.path().join("here/gpt-oss-20b")).unwrap();
    for folder in ["", "here"] {
        for (word, expected) in [
            ("stapes", Source::Embedded),
            ("openai/gpt-oss-20b", Source::Directory(hub.clone())),
            ("gpt-oss-20b", Source::Directory(hub.clone())),
            ("GPT-OSS-20b", Source::Directory(hub.clone())),
            ("lms/gpt-oss-20b-GGUF", Source::File(lms.clone())),
            ("gpt-oss-20b-MXFP4", Source::File(lms.clone())),
            ("gpt-oss:latest", Source::File(blob.clone())),
            ("gpt-oss", Source::File(blob.clone())),
        ] {
            let found = Source::find(word.as_ref(), &home.0.path().join(folder), &home.places());
            assert_eq!(found.unwrap(), expected, "{word} in {folder:?}");
        }
    }
}

#[test]
fn a_path_is_a_directory_or_a_file() {
    let home = stocked();
    let folder = home.0.path();
    home.official("models/20b");
    for (word, expected) in [
        ("./stapes", Source::Directory(folder.join("./stapes"))),
        ("./gpt-oss-20b", Source::Directory(folder.join("./gpt-oss-20b"))),
        ("../x", Source::Directory(folder.join("../x"))),
        ("/etc/x", Source::Directory("/etc/x".into())),
        ("x.gguf", Source::File(folder.join("x.gguf"))),
        ("models/20b", Source::Directory(folder.join("models/20b"))),
        (
            ".lmstudio/models/lms/gpt-oss-20b-GGUF",
            Source::File(folder.join(".lmstudio/models/lms/gpt-oss-20b-GGUF/gpt-oss-20b-MXFP4.gguf")),
        ),
    ] {
        assert_eq!(Source::find(word.as_ref(), folder, &home.places()).unwrap(), expected, "{word}");
    }
    // What a hash calls is a file as well.
    let blob = folder.join(format!(".ollama/models/blobs/sha256-{HASH}"));
    assert_eq!(Source::find(&blob, folder, &home.places()).unwrap(), Source::File(blob));
}

#[test]
fn a_word_that_means_nothing_or_too_much_says_what_there_is() {
    let home = stocked();
    home.official("own/me--gpt-oss-20b").write("own/me--gpt-oss-20b/pulled.json", "{}");
    let message = |word: &str| Source::find(word.as_ref(), home.0.path(), &home.places()).unwrap_err().to_string();
    for (word, words) in [
        ("gpt-4", "there is no model gpt-4, and no folder "),
        ("gpt-4", "there are stapes (inside the program), me/gpt-oss-20b (Ossicle), openai/gpt-oss-20b (Hugging Face)"),
        ("gpt-oss:120b", "gpt-oss:120b, which Ollama stored, cannot be used: its manifest"),
        ("gpt-oss-20b", "gpt-oss-20b stands for 2 models; give the path of one: "),
    ] {
        assert!(message(word).contains(words), "{words:?} is not in: {}", message(word));
    }
    let model = |n: usize| Found { name: format!("m{n}"), ..home.found()[0].clone() };
    let many: Vec<_> = (0..30).map(model).collect();
    assert!(known(&many).ends_with("m18 (Ossicle) and 11 more; the path of a folder or of a GGUF file does too"));
}

#[test]
fn a_search_ends_however_much_there_is() {
    let home = Home::new();
    for n in 0..50 {
        home.write(&format!(".lmstudio/models/a/b{n}/x.txt"), "");
    }
    let mut walk = Walk { left: 20 };
    assert_eq!(walk.names(&home.0.path().join(".lmstudio/models/a")).unwrap().len(), 20);
    assert!(walk.names(&home.0.path().join(".lmstudio/models/a/b1")).unwrap().is_empty());
    // A pipe in place of a file is not waited for.
    let pipe = home.0.path().join("own/openai--gpt-oss/config.json");
    fs::create_dir_all(pipe.parent().unwrap()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(home.found()[0].fault.as_deref().unwrap().contains("not complete"));
}

#[test]
fn a_model_is_called_as_its_repository_is_and_not_as_its_revision() {
    let home = Home::new();
    let hub = ".cache/huggingface/hub";
    for (folder, name) in [
        (&*format!("{hub}/models--openai--gpt-oss-20b/snapshots/6cee5e8"), "gpt-oss-20b"),
        (&format!("{hub}/models--gpt-oss/snapshots/6cee5e8"), "gpt-oss"),
        (&format!("{hub}/models--openai--gpt-oss-20b/6cee5e8"), "6cee5e8"),
        ("mine/snapshots/best", "best"),
        ("models--a--b", "models--a--b"),
        ("own/openai--gpt-oss-20b", "openai--gpt-oss-20b"),
    ] {
        home.official(folder);
        let opened = super::super::open(&home.0.path().join(folder)).unwrap();
        assert_eq!(opened.name, name, "{folder}");
    }
}
