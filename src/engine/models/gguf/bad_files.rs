//! What becomes of GGUF files that are not what they should be: one clear error each, and never a panic.
//!
//! What it is not: no file here has a model in it but those that were changed. The writer below is our own and small, so that
//! it can write what no honest one would. Start at [`File`].

use super::tests::{fixture, is_matrix};
use super::*;
use proptest::prelude::*;
use std::fs;

/// A file in the making.
#[derive(Clone, Default)]
struct File {
    entries: Vec<u8>,
    n_entries: u64,
    tensors: Vec<u8>,
    n_tensors: u64,
    data: usize,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

impl File {
    /// What a model of two layers needs, but for its tensors.
    fn new() -> Self {
        let file = Self::default().entry("general.architecture", 8, &text("gpt-oss"));
        [
            ("block_count", 2),
            ("context_length", 128),
            ("embedding_length", 32),
            ("feed_forward_length", 32),
            ("attention.head_count", 2),
            ("attention.head_count_kv", 1),
            ("attention.key_length", 16),
            ("attention.sliding_window", 8),
            ("expert_count", 2),
            ("expert_used_count", 1),
            ("rope.freq_base", 10_000),
            ("rope.scaling.factor", 4),
            ("rope.scaling.original_context_length", 32),
        ]
        .into_iter()
        .fold(file, |file, (key, value)| file.entry(&format!("gpt-oss.{key}"), 4, &u32::to_le_bytes(value)))
    }

    fn entry(mut self, key: &str, type_id: u32, value: &[u8]) -> Self {
        self.entries.extend([&text(key), &type_id.to_le_bytes()[..], value].concat());
        self.n_entries += 1;
        self
    }

    fn tensor(mut self, name: &str, sides: &[u64], type_id: u32, offset: u64) -> Self {
        self.tensors.extend([text(name), (sides.len() as u32).to_le_bytes().to_vec()].concat());
        self.tensors.extend(sides.iter().flat_map(|side| side.to_le_bytes()));
        self.tensors.extend([&type_id.to_le_bytes()[..], &offset.to_le_bytes()].concat());
        self.n_tensors += 1;
        self
    }

    fn embedding(self) -> Self {
        Self { data: 40 * 32 * 4, ..self.tensor("token_embd.weight", &[32, 40], 0, 0) }
    }

    fn bytes(&self) -> Vec<u8> {
        let counts = [self.n_tensors.to_le_bytes(), self.n_entries.to_le_bytes()].concat();
        let mut bytes = [b"GGUF", &3u32.to_le_bytes()[..], &counts, &self.entries, &self.tensors].concat();
        bytes.resize(bytes.len().next_multiple_of(32) + self.data, 0);
        bytes
    }
}

fn of(bytes: Vec<u8>) -> Result<Gguf, LoadError> {
    Gguf::of(&[("m/x.gguf".into(), Arc::new(bytes))])
}

/// A file with nothing but an architecture.
fn other_model(architecture: &str) -> Vec<u8> {
    File::default().entry("general.architecture", 8, &text(architecture)).bytes()
}

/// Opens the file and holds the message to what it has to say.
fn refused(bytes: Vec<u8>, words: &[&str]) {
    let message = of(bytes).and_then(|gguf| gguf.check_all()).expect_err("a bad file is refused").to_string();
    for word in ["m/x.gguf"].iter().chain(words) {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(!message.contains('\n'), "one line: {message}");
}

#[test]
fn what_is_no_gguf() {
    for bytes in [&b""[..], b"<!DOCTYPE html>", b"GGML....", b"\0\0\0\0\0\0\0\0"] {
        refused(bytes.to_vec(), &["no GGUF file", "give a GGUF file of a gpt-oss"]);
    }
    for (version, words) in [(0u32, "version is 0"), (1, "version is 1, and 2 and 3 are read"), (3 << 24, "big-endian")]
    {
        let mut bytes = File::new().embedding().bytes();
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        refused(bytes, &[words]);
    }
    refused(b"GG".to_vec(), &["damaged", "claims 4 bytes more, and the file ends after 2"]);
}

#[test]
fn a_file_of_version_2_is_read() {
    let mut bytes = File::new().embedding().bytes();
    bytes[4] = 2;
    assert_eq!(of(bytes).unwrap().config().n_vocab, 40);
}

#[test]
fn a_model_of_another_kind() {
    refused(other_model("llama"), &["of type \"llama\", and only gpt_oss can be run"]);
    refused(File::default().bytes(), &["of type (not given)"]);
}

#[test]
fn a_file_cut_short_anywhere() {
    let bytes = fs::read(fixture("mxfp4.gguf")).unwrap();
    let n_header = bytes.windows(20).position(|w| w.starts_with(b"output_norm.weight")).unwrap() + 3000;
    for n in (0..n_header).step_by(37).chain([bytes.len() / 2, bytes.len() - 33]) {
        let message = of(bytes[..n].to_vec()).err().expect("a part of a file is refused").to_string();
        assert!(message.contains("damaged") || message.contains("no GGUF file"), "{n}: {message}");
    }
}

#[test]
fn claims_that_no_file_can_keep() {
    let file = File::new;
    let long = u64::MAX.to_le_bytes();
    for (bytes, words) in [
        (File { n_tensors: u64::MAX, ..file() }.bytes(), "claims 18446744073709551615 tensors"),
        (File { n_entries: 1 << 40, ..file() }.bytes(), "claims 1099511627776 entries of metadata"),
        (file().entry("a", 8, &long).bytes(), "claims 18446744073709551615 bytes more"),
        (file().entry("a", 9, &[&8u32.to_le_bytes()[..], &long].concat()).bytes(), "and the file ends after"),
        (
            file().entry("a", 9, &[&10u32.to_le_bytes()[..], &long].concat()).bytes(),
            "claims 18446744073709551615 bytes",
        ),
        (file().entry("a", 9, &[&9u32.to_le_bytes()[..], &[1; 8]].concat()).bytes(), "values of type 9"),
        (file().entry("a", 13, &[0; 8]).bytes(), "\"a\" has values of type 13"),
        (file().entry("a", 4, &[0; 4]).entry("a", 4, &[0; 4]).bytes(), "\"a\" twice"),
        (file().entry(&"k".repeat(70_000), 4, &[0; 4]).bytes(), "70000 bytes long"),
        (file().entry("general.alignment", 4, &[0; 4]).bytes(), "general.alignment is Unsigned(0)"),
        (file().entry("general.alignment", 4, &[255; 4]).bytes(), "expected a power of two"),
        (file().tensor("t", &[1; 5], 0, 0).bytes(), "5 sides"),
        (file().tensor(&"n".repeat(300), &[1], 0, 0).bytes(), "300 bytes long"),
        (file().tensor("t", &[u64::MAX], 0, 0).bytes(), "\"t\" is said to be F32"),
        (file().tensor("t", &[1 << 40, 1 << 40], 39, 0).bytes(), "\"t\" is said to be MXFP4"),
        (file().tensor("t", &[1 << 40, 1 << 40, 0], 0, 0).bytes(), "\"t\" is said to be F32"),
        (file().tensor("t", &[33], 8, 0).bytes(), "Q8_0 of [33], which cannot be"),
        (file().tensor("t", &[32], 0, u64::MAX - 8).bytes(), "take 128 bytes at"),
        (file().tensor("t", &[32], 0, 0).bytes(), "and the file holds"),
        (file().embedding().tensor("token_embd.weight", &[1], 0, 0).bytes(), "\"token_embd.weight\" twice"),
        (file().bytes(), "no matrix token_embd.weight"),
    ] {
        refused(bytes, &["damaged", words]);
    }
}

#[test]
fn metadata_that_describe_no_model() {
    let f32 = |number: f32| number.to_le_bytes();
    let list = |type_id: u32, n: u64, bytes: &[u8]| [&type_id.to_le_bytes()[..], &n.to_le_bytes(), bytes].concat();
    for (key, type_id, value, words) in [
        ("gpt-oss.attention.value_length", 4, 17u32.to_le_bytes().to_vec(), "value_length is 17, expected 16"),
        ("gpt-oss.rope.scaling.type", 8, text("linear"), "rope_type is \"linear\", expected \"yarn\""),
        ("gpt-oss.rope.scaling.type", 4, vec![0; 4], "rope.scaling.type is not a text"),
        ("gpt-oss.rope.scaling.attn_factor", 6, f32(2.0).to_vec(), "attn_factor is 2, expected 1"),
        ("gpt-oss.rope.scaling.yarn_beta_fast", 6, f32(f32::NAN).to_vec(), "no model"),
        ("gpt-oss.attention.layer_norm_rms_epsilon", 6, f32(-1.0).to_vec(), "rms_norm_eps is -1"),
        ("gpt-oss.expert_feed_forward_length", 4, 33u32.to_le_bytes().to_vec(), "intermediate_size is 33"),
        ("gpt-oss.expert_feed_forward_length", 5, (-32i32).to_le_bytes().to_vec(), "is not a whole number"),
        ("gpt-oss.vocab_size", 4, 41u32.to_le_bytes().to_vec(), "vocab_size is 41, and its embedding has 40 rows"),
        ("tokenizer.ggml.tokens", 9, list(8, 1, &text("a")), "tokens lists 1, and its embedding has 40 rows"),
        ("tokenizer.ggml.tokens", 8, text("a"), "tokens is not a list"),
        ("gpt-oss.attention.sliding_window_pattern", 9, list(7, 3, &[1; 3]), "has 3 entries, and there are 2 layers"),
    ] {
        refused(File::new().entry(key, type_id, &value).embedding().bytes(), &["damaged", words]);
    }
    let mut without = File::new().embedding();
    let at = without.entries.windows(11).position(|w| w == b"block_count").unwrap();
    without.entries[at] = b'c';
    refused(without.bytes(), &["no gpt-oss.block_count"]);
}

#[test]
fn layers_look_back_as_the_metadata_say() {
    use crate::engine::cpu::config::LayerKind::{Full, Sliding};
    let pattern = "gpt-oss.attention.sliding_window_pattern";
    let list = |flags: [u8; 2]| [&7u32.to_le_bytes()[..], &2u64.to_le_bytes(), &flags].concat();
    for (type_id, value, expected) in [
        (9, list([0, 1]), [Full, Sliding]),
        (9, list([1, 1]), [Sliding, Sliding]),
        (4, 2u32.to_le_bytes().to_vec(), [Sliding, Full]),
        (4, 1u32.to_le_bytes().to_vec(), [Full, Full]),
        (4, 0u32.to_le_bytes().to_vec(), [Sliding, Sliding]),
    ] {
        let gguf = of(File::new().entry(pattern, type_id, &value).embedding().bytes()).unwrap();
        assert_eq!(gguf.config().layers, expected);
    }
    assert_eq!(of(File::new().embedding().bytes()).unwrap().config().layers, [Sliding, Full]);
}

#[test]
fn tensors_that_are_missing_or_of_another_form() {
    refused(File::new().embedding().bytes(), &["no tensor blk.0.attn_norm.weight", "of [32]"]);
    let norm = |sides: &[u64], type_id| File::new().embedding().tensor("blk.0.attn_norm.weight", sides, type_id, 0);
    refused(norm(&[16], 0).bytes(), &["blk.0.attn_norm.weight is F32 of [16], and its metadata promise [32]"]);
    let words = ["blk.0.attn_norm.weight is in Q4_K, and F32, F16, BF16, Q8_0 and MXFP4 are read", "experts in MXFP4"];
    refused(norm(&[32], 12).bytes(), &words);
    refused(norm(&[32], 77).bytes(), &["is in type 77"]);
    // Some writers leave sides of 1 at the end.
    refused(norm(&[32, 1], 0).bytes(), &["no tensor blk.0.attn_q.weight or blk.0.attn_qkv.weight"]);
}

#[test]
fn parts_that_are_missing_or_have_other_names() {
    let folder = tempfile::tempdir().unwrap();
    let name = |n: usize| format!("split-0000{n}-of-00003.gguf");
    for n in [1, 3] {
        fs::copy(fixture(&name(n)), folder.path().join(name(n))).unwrap();
    }
    let message = |name: &str| Gguf::open(&folder.path().join(name)).err().unwrap().to_string();
    let words = message(&name(1));
    assert!(
        words.contains("split-00002-of-00003.gguf does not exist; give a GGUF file, and of a split one all"),
        "{words}"
    );
    fs::copy(fixture(&name(3)), folder.path().join(name(2))).unwrap();
    let words = message(&name(1));
    assert!(words.contains("split-00002-of-00003.gguf is damaged") && words.contains("part 2 of 3"), "{words}");
    fs::copy(fixture(&name(1)), folder.path().join("renamed.gguf")).unwrap();
    let words = message("renamed.gguf");
    assert!(words.contains("one of 3 parts") && words.contains("-00001-of-00003.gguf"), "{words}");
}

#[test]
fn what_is_no_file_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let message = Gguf::open(folder.path()).err().unwrap().to_string();
    assert!(message.contains("it is no file"), "{message}");
    let message = check_architecture(&folder.path().join("x.gguf")).unwrap_err().to_string();
    assert!(message.contains("x.gguf does not exist"), "{message}");
}

#[test]
fn the_architecture_is_found_alone() {
    check_architecture(&fixture("ollama.gguf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    fs::write(&path, other_model("qwen3")).unwrap();
    assert!(matches!(check_architecture(&path), Err(LoadError::Foreign { found, .. }) if found == "\"qwen3\""));
}

/// Reads whatever the file lets itself be asked for.
fn read_all(bytes: Vec<u8>) {
    let storage: Storage = Arc::new(bytes);
    let path = PathBuf::from("x.gguf");
    let _ = n_files(&path, &storage);
    let _ = header::architecture((*storage).as_ref());
    let Ok(gguf) = Gguf::of(&[(path, storage)]) else { return };
    let _ = (gguf.check_all(), gguf.tensors().count(), gguf.n_bytes());
    for part in Part::all(gguf.config()).take(64) {
        if is_matrix(part)
            && let Ok(rows) = gguf.rows(part)
        {
            let (n_rows, width) = rows.shape();
            let mut out = vec![0.0; n_rows * width];
            rows.read(0..n_rows, &mut out);
            let n_blocks = width / 32;
            rows.read_mxfp4(n_rows - 1, &mut vec![[0; 16]; n_blocks], &mut vec![0; n_blocks]);
        } else {
            let _ = gguf.vector(part);
        }
    }
}

/// A place in the header of a file, and what is put there.
fn change() -> impl Strategy<Value = (prop::sample::Index, u64, usize)> {
    let numbers = prop_oneof![any::<u64>(), 0..64u64, Just(u64::MAX), Just(1 << 31), Just(1 << 60)];
    (any::<prop::sample::Index>(), numbers, prop::sample::select(vec![1usize, 4, 8]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), is_gguf in any::<bool>()) {
        let start = [b"GGUF", &3u32.to_le_bytes()[..], &2u64.to_le_bytes(), &3u64.to_le_bytes()].concat();
        read_all(if is_gguf { [start, bytes].concat() } else { bytes });
    }

    #[test]
    fn changed_files_never_panic(
        name in prop::sample::select(vec!["mxfp4.gguf", "fused.gguf", "ollama.gguf", "split-00002-of-00003.gguf"]),
        changes in prop::collection::vec(change(), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = fs::read(fixture(name)).unwrap();
        let n_header = bytes.len().min(9000);
        for (place, number, n) in changes {
            let at = place.index(n_header - n);
            bytes[at..at + n].copy_from_slice(&number.to_le_bytes()[..n]);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_all(bytes);
    }
}
