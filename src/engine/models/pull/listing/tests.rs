//! What hubs may say, and what is made of it.

use super::*;
use proptest::prelude::*;
use serde_json::json;

const COMMIT: &str = "6cee5e81ee83917806bbde320786a8fb61efebee";

fn repo() -> Repo {
    "me/x".parse().unwrap()
}

fn small(path: &str) -> Value {
    json!({ "rfilename": path, "size": 10, "blobId": "a".repeat(40) })
}

fn large(path: &str, n_bytes: u64) -> Value {
    let lfs = json!({ "sha256": "b".repeat(64), "size": n_bytes, "pointerSize": 134 });
    json!({ "rfilename": path, "size": n_bytes, "blobId": "c".repeat(40), "lfs": lfs })
}

fn parsed(siblings: Vec<Value>) -> Result<Listing, PullError> {
    let card = json!({ "license": "apache-2.0" });
    Listing::parse(json!({ "sha": COMMIT, "cardData": card, "siblings": siblings }).to_string().as_bytes())
}

fn names(files: &[RemoteFile]) -> Vec<&str> {
    files.iter().map(|file| file.name.as_str()).collect()
}

#[test]
fn only_what_is_needed_is_chosen() {
    let listing = parsed(vec![
        small("config.json"),
        small("generation_config.json"),
        small("LICENSE"),
        small("USAGE_POLICY"),
        small("README.md"),
        small("tokenizer.json"),
        small("model.safetensors.index.json"),
        large("model-00000-of-00001.safetensors", 4_792_272_488),
        large("model-00001-of-00001.safetensors", 4_798_702_184),
        large("metal/model.bin", 13_750_886_400),
        large("original/model.safetensors", 13_761_300_984),
    ])
    .unwrap();
    assert_eq!((listing.commit.as_str(), listing.licence.as_deref()), (COMMIT, Some("apache-2.0")));
    let index = br#"{"weight_map":{"a":"model-00001-of-00001.safetensors","b":"model-00000-of-00001.safetensors","c":"model-00001-of-00001.safetensors"}}"#;
    let weights = listing.safetensors(&repo(), Some(index)).unwrap();
    assert_eq!(names(&weights), ["model-00000-of-00001.safetensors", "model-00001-of-00001.safetensors"]);
    assert_eq!(weights[0].n_bytes, 4_792_272_488);
    assert_eq!(weights[0].hash, Hash::Sha256("b".repeat(64)));
    assert_eq!(names(&listing.texts(&repo()).unwrap()), ["LICENSE", "USAGE_POLICY"]);
    assert_eq!(names(&listing.along(&repo()).unwrap()), ["generation_config.json"]);
    assert_eq!(listing.config(&repo()).unwrap().hash, Hash::Git("a".repeat(40)));
}

#[test]
fn a_gguf_file_comes_with_its_other_parts() {
    let listing = parsed(vec![
        large("gpt-oss-20b-mxfp4.gguf", 12),
        large("big-00001-of-00003.gguf", 1),
        large("big-00002-of-00003.gguf", 1),
        large("big-00003-of-00003.gguf", 1),
        large("short-00001-of-00002.gguf", 1),
        large("many-00001-of-99999.gguf", 1),
    ])
    .unwrap();
    let gguf = |name: &str| listing.gguf(&repo(), name).map(|files| names(&files).join(" "));
    for name in ["gpt-oss-20b-mxfp4.gguf", "gpt-oss-20b-mxfp4"] {
        assert_eq!(gguf(name).unwrap(), "gpt-oss-20b-mxfp4.gguf");
    }
    let all = "big-00001-of-00003.gguf big-00002-of-00003.gguf big-00003-of-00003.gguf";
    assert_eq!(gguf("big-00002-of-00003").unwrap(), all);
    assert!(gguf("short-00001-of-00002").unwrap_err().to_string().contains("has no short-00002-of-00002.gguf"));
    assert!(gguf("many-00001-of-99999").unwrap_err().to_string().contains("1001 files"));
    for name in ["../x", "", "/etc/passwd", "absent", "CON"] {
        let error = gguf(name).unwrap_err().to_string();
        assert!(error.contains("--gguf") && error.contains("gpt-oss-20b-mxfp4"), "{name}: {error}");
    }
    assert!(listing.safetensors(&repo(), None).unwrap_err().to_string().contains("choose one with --gguf"));
}

#[test]
fn what_no_honest_hub_says_is_refused() {
    let many: Vec<Value> = (0..MAX_LISTED + 1).map(|n| small(&format!("f{n}"))).collect();
    for (siblings, words) in [
        (vec![small("../../etc/passwd")], "leads out of its folder"),
        (vec![small("/etc/passwd")], "leads out of its folder"),
        (vec![small("C:/windows")], "leads out of its folder"),
        (vec![small("a\\b")], "no file's name"),
        (vec![small("a\u{1b}[2Jb")], "no file's name"),
        (vec![small(&"x/".repeat(600))], "longer than any path"),
        (many, "10001 files"),
        (vec![json!({ "rfilename": 7 })], "makes no sense"),
        (vec![json!({ "rfilename": "a", "size": -1 })], "makes no sense"),
        (vec![json!({ "rfilename": "a", "size": 1e300 })], "makes no sense"),
    ] {
        let error = parsed(siblings).unwrap_err().to_string();
        assert!(error.contains(words) && error.len() < 400, "{words}: {error}");
        assert!(!error.chars().any(char::is_control), "{error:?}");
    }
    for answer in ["", "{}", "[]", "{\"sha\":\"main\",\"siblings\":[]}", "null", &"[".repeat(100_000)] {
        assert!(Listing::parse(answer.as_bytes()).is_err(), "{answer:.40}");
    }
}

#[test]
fn sizes_and_hashes_are_bounded_and_must_be_there() {
    let one = |sibling: Value| {
        let listing = parsed(vec![sibling]).unwrap();
        listing.safetensors(&repo(), None).unwrap_err().to_string()
    };
    let name = "model.safetensors";
    for (sibling, words) in [
        (large(name, 1 << 63), "weights of 8192.0 PiB"),
        (large(name, u64::MAX), "weights of 16384.0 PiB"),
        (large(name, 0), "empty files"),
        (json!({ "rfilename": name }), "no size and hash"),
        (json!({ "rfilename": name, "size": 3 }), "no size and hash"),
        (json!({ "rfilename": name, "size": 3, "blobId": "../../x" }), "no size and hash"),
        (json!({ "rfilename": name, "size": 3, "lfs": { "sha256": "0", "size": 3 } }), "no size and hash"),
    ] {
        let error = one(sibling);
        assert!(error.contains(words), "{words}: {error}");
    }
    let listing = parsed(vec![json!({ "rfilename": "config.json", "size": MAX_SMALL + 1, "blobId": "a".repeat(40) })]);
    assert!(listing.unwrap().config(&repo()).unwrap_err().to_string().contains("at most 4.0 MiB"));
}

#[test]
fn an_index_names_only_files_of_its_own_folder() {
    let listing = parsed(vec![large("a.safetensors", 1), large("A.safetensors", 1), large("d/x.safetensors", 1)]);
    let listing = listing.unwrap();
    let many: serde_json::Map<String, Value> =
        (0..MAX_WANTED + 1).map(|n| (n.to_string(), json!(format!("{n}.safetensors")))).collect();
    for (map, words) in [
        (json!({ "w": "../a.safetensors" }), "cannot be kept"),
        (json!({ "w": "/a.safetensors" }), "cannot be kept"),
        (json!({ "w": "d/x.safetensors" }), "cannot be kept"),
        (json!({ "w": "nul.safetensors" }), "cannot be kept"),
        (json!({ "w": "absent.safetensors" }), "has no absent.safetensors"),
        (json!({ "w": "a.bin" }), "no safetensors file"),
        (json!({ "w": "a.safetensors", "v": "A.safetensors" }), "only in capital letters"),
        (json!({}), "0 files of weights"),
        (Value::Object(many), "1001 files of weights"),
        (json!([]), "makes no sense"),
    ] {
        let index = json!({ "weight_map": map }).to_string();
        let error = listing.safetensors(&repo(), Some(index.as_bytes())).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn only_gpt_oss_will_do() {
    assert!(check_config(&repo(), br#"{"model_type":"gpt_oss"}"#).is_ok());
    for (config, words) in [
        (r#"{"model_type":"llama"}"#, "type \"llama\""),
        (r#"{"model_type":7}"#, "type unknown"),
        ("{}", "type unknown"),
        ("[]", "type unknown"),
        ("", "makes no sense"),
    ] {
        let error = check_config(&repo(), config.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(words), "{config}: {error}");
    }
}

#[test]
fn a_card_names_the_licence_in_its_front_matter() {
    for (card, licence) in [
        ("---\nlicense: apache-2.0\ntags:\n- x\n---\n# X\n", Some("apache-2.0")),
        ("---\nlicense: other\nlicense_name: \"mine\"\n---\n", Some("mine")),
        ("---\nlicense:\n---\n", None),
        ("---\ntags: x\n---\nlicense: mit\n", None),
        ("# X\nlicense: mit\n", None),
        ("", None),
    ] {
        assert_eq!(licence_of_card(card.as_bytes()).as_deref(), licence, "{card}");
    }
}

/// The beginning of a GGUF file with this architecture.
fn gguf(architecture: &str) -> Vec<u8> {
    let string = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let head = [b"GGUF".as_slice(), &3u32.to_le_bytes(), &0u64.to_le_bytes(), &1u64.to_le_bytes()].concat();
    [head, string("general.architecture"), 8u32.to_le_bytes().to_vec(), string(architecture)].concat()
}

#[test]
fn a_gguf_file_says_what_it_is() {
    for architecture in ["gpt-oss", "gptoss", "llama"] {
        assert_eq!(gguf_architecture(&gguf(architecture)).as_deref(), Some(architecture));
    }
    assert!(is_gpt_oss("gpt-oss") && is_gpt_oss("gptoss") && !is_gpt_oss("gpt2"));
    let whole = gguf("gpt-oss");
    assert!((0..whole.len()).all(|n| gguf_architecture(&whole[..n]).is_none()), "cut short");
    assert_eq!(gguf_architecture(&gguf(&"x".repeat(65))), None);
    assert_eq!(gguf_architecture(&[b"PK".as_slice(), &whole].concat()), None);
}

proptest! {
    #[test]
    fn no_answer_makes_it_stumble(bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>()) {
        let _ = (Listing::parse(&bytes), licence_of_card(&bytes), gguf_architecture(&bytes), check_config(&repo(), &bytes));
        let mut changed = json!({ "sha": COMMIT, "siblings": [large("model.safetensors", 5), small("config.json")] }).to_string().into_bytes();
        let at = at.index(changed.len());
        changed[at] = bytes.first().copied().unwrap_or(0);
        if let Ok(listing) = Listing::parse(&changed) {
            let _ = (listing.safetensors(&repo(), None), listing.safetensors(&repo(), Some(&bytes)), listing.config(&repo()));
        }
        let mut head = gguf("gpt-oss");
        let at = at % head.len();
        head[at] ^= bytes.last().copied().unwrap_or(1);
        let _ = gguf_architecture(&head);
    }
}
