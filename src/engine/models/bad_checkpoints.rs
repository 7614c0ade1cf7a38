//! What becomes of checkpoints that are not what they should be: one clear error each.
//!
//! Each test damages a copy of a golden checkpoint and reads the message. Start at [`refused`].

use super::*;
use crate::engine::{CpuEngine, Options};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::fs;
use tempfile::TempDir;

/// A copy of a golden checkpoint, to be damaged.
fn copy(name: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/engine").join(name)).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "golden.safetensors" {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}

/// Opens the folder as an engine, and holds the message to what it has to say.
fn refused(folder: &Path, options: Options, words: &[&str]) {
    let result = open(folder).and_then(|checkpoint| CpuEngine::open(checkpoint, options));
    let message = result.err().expect("a damaged checkpoint is refused").to_string();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(!message.contains('\n'), "one line: {message}");
}

fn check(folder: &TempDir, words: &[&str]) {
    refused(folder.path(), Options::default(), words);
}

/// Writes the weights again, with each tensor as `change` wants it; `None` leaves it out.
fn rewrite(folder: &TempDir, change: impl Fn(&str, TensorView<'_>) -> Option<(String, Dtype, Vec<usize>)>) {
    let path = folder.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut kept = Vec::new();
    for (name, view) in tensors.tensors() {
        let data = view.data();
        if let Some((name, dtype, shape)) = change(&name, view.clone()) {
            let n_bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
            let data: Vec<u8> = data.iter().copied().cycle().take(n_bytes).collect();
            kept.push((name, dtype, shape, data));
        }
    }
    let views = kept
        .iter()
        .map(|(name, dtype, shape, data)| (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn same(name: &str, view: &TensorView<'_>) -> Option<(String, Dtype, Vec<usize>)> {
    Some((name.to_owned(), view.dtype(), view.shape().to_vec()))
}

/// Changes a value in config.json.
fn configure(folder: &TempDir, key: &str, value: serde_json::Value) {
    let path = folder.path().join("config.json");
    let mut config: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    config[key] = value;
    fs::write(&path, config.to_string()).unwrap();
}

#[test]
fn an_undamaged_copy_opens() {
    for name in ["grouped", "sharded"] {
        let folder = copy(name);
        assert!(Inspection::of(open(folder.path()).unwrap(), Options::default(), true).is_complete());
        CpuEngine::open(open(folder.path()).unwrap(), Options::default()).unwrap();
    }
}

#[test]
fn a_folder_that_is_not_there() {
    refused(Path::new("/nowhere/gpt-oss"), Options::default(), &["/nowhere/gpt-oss does not exist", "config.json"]);
}

#[test]
fn a_folder_without_a_configuration() {
    let folder = copy("grouped");
    fs::remove_file(folder.path().join("config.json")).unwrap();
    check(&folder, &["config.json does not exist", "gpt-oss checkpoint"]);
}

#[test]
fn a_folder_without_weights() {
    let folder = copy("grouped");
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    check(&folder, &["model.safetensors does not exist", "official safetensors layout"]);
}

#[test]
fn a_model_of_another_kind() {
    let folder = copy("grouped");
    configure(&folder, "model_type", "mistral".into());
    check(&folder, &["config.json", "\"mistral\"", "only gpt_oss"]);
}

#[test]
fn a_vocabulary_without_the_ids_of_the_format() {
    let error = open(copy("grouped").path()).unwrap().check_vocabulary().unwrap_err().to_string();
    assert!(error.contains("config.json: vocab_size is") && error.contains("has 201088"), "{error}");
    crate::engine::models::embedded().unwrap().check_vocabulary().unwrap();
}

#[test]
fn a_shard_cut_short() {
    let folder = copy("sharded");
    let path = folder.path().join("model-00002-of-00002.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    check(&folder, &["model-00002-of-00002.safetensors is damaged", "download it again"]);
    fs::remove_file(&path).unwrap();
    check(&folder, &["model-00002-of-00002.safetensors", "does not exist"]);
}

#[test]
fn weights_cut_short() {
    let folder = copy("grouped");
    let path = folder.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    for (n_bytes, words) in [
        (bytes.len() - 1, "not as many as its header describes"),
        (bytes.len() / 2, "not as many as its header describes"),
        (1000, "the file holds 1000"),
        (8, "the file holds 8"),
        (5, "it holds 5 bytes, expected a safetensors header"),
        (0, "it holds 0 bytes"),
    ] {
        fs::write(&path, &bytes[..n_bytes]).unwrap();
        check(&folder, &["model.safetensors is damaged", words, "download it again"]);
    }
}

#[test]
fn a_header_that_claims_more_than_there_is() {
    let folder = copy("grouped");
    let path = folder.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    for claim in [u64::MAX, u64::MAX - 7, 1 << 40, bytes.len() as u64 - 7] {
        bytes[..8].copy_from_slice(&claim.to_le_bytes());
        fs::write(&path, &bytes).unwrap();
        check(&folder, &["model.safetensors is damaged", &format!("its header claims {claim} bytes")]);
    }
}

#[test]
fn a_web_page_in_place_of_weights() {
    let folder = copy("grouped");
    fs::write(folder.path().join("model.safetensors"), "<!DOCTYPE html><html>404</html>").unwrap();
    check(&folder, &["model.safetensors is damaged", "the file holds 31"]);
}

#[test]
fn offsets_and_shapes_that_overflow() {
    let folder = copy("grouped");
    for tensor in [
        r#"{"dtype":"BF16","shape":[9223372036854775807,9],"data_offsets":[0,18]}"#,
        r#"{"dtype":"BF16","shape":[9],"data_offsets":[18446744073709551615,17]}"#,
        r#"{"dtype":"BF16","shape":[9],"data_offsets":[4,22]}"#,
    ] {
        let header = format!(r#"{{"lm_head.weight":{tensor}}}"#);
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&[0; 22]);
        fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        check(&folder, &["model.safetensors is damaged"]);
    }
}

#[test]
fn a_tensor_that_is_missing() {
    let folder = copy("grouped");
    let name = "model.layers.1.self_attn.sinks";
    rewrite(&folder, |tensor, view| if tensor == name { None } else { same(tensor, &view) });
    check(&folder, &["has no tensor", name, "BF16 [4]", "official"]);
    let inspection = Inspection::of(open(folder.path()).unwrap(), Options::default(), true);
    assert!(!inspection.is_complete());
    assert!(inspection.to_string().contains("complete      no, 1 faults:"), "{inspection}");
}

#[test]
fn a_tensor_of_another_shape() {
    let folder = copy("grouped");
    let name = "model.layers.0.mlp.experts.down_proj_blocks";
    rewrite(&folder, |tensor, view| {
        let mut changed = same(tensor, &view)?;
        if tensor == name {
            changed.2[1] += 1;
        }
        Some(changed)
    });
    check(&folder, &["model.safetensors: tensor", name, "U8 [4, 65, 2, 16]", "expected U8 [4, 64, 2, 16]"]);
}

#[test]
fn a_tensor_of_another_type() {
    let folder = copy("grouped");
    let name = "model.layers.0.self_attn.q_proj.weight";
    rewrite(&folder, |tensor, view| {
        let changed = same(tensor, &view)?;
        Some(if tensor == name { (changed.0, Dtype::F32, changed.2) } else { changed })
    });
    check(&folder, &["tensor", name, "is F32 [128, 64], expected BF16 [128, 64]"]);
}

#[test]
fn a_configuration_of_another_size() {
    let folder = copy("grouped");
    configure(&folder, "vocab_size", 201_088.into());
    check(
        &folder,
        &["model.embed_tokens.weight is BF16 [192, 64], expected BF16 [201088, 64]", "config.json belongs to"],
    );
    configure(&folder, "vocab_size", 192.into());
    configure(&folder, "layer_types", serde_json::Value::Null);
    configure(&folder, "num_hidden_layers", 1_000_000.into());
    check(&folder, &["config.json: num_hidden_layers is 1000000, expected 1 to 4096"]);
}

#[test]
fn saved_experts_of_another_shape() {
    let folder = copy("grouped");
    rewrite(&folder, |tensor, view| {
        let changed = same(tensor, &view)?;
        match tensor.strip_suffix("_blocks") {
            Some(plain) => Some((plain.to_owned(), Dtype::BF16, vec![4, 64, 64])),
            None => Some(changed),
        }
    });
    check(&folder, &["experts.gate_up_proj is BF16 [4, 64, 64], expected BF16 [4, 64, 128]"]);
}

#[test]
fn a_shard_that_is_missing() {
    let folder = copy("sharded");
    fs::remove_file(folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    check(&folder, &["model-00002-of-00002.safetensors does not exist", "index.json names it", "download"]);
}

#[test]
fn an_index_that_lies() {
    let folder = copy("sharded");
    let index = folder.path().join("model.safetensors.index.json");
    for (text, words) in [
        ("{", "it is not JSON"),
        ("{}", "no weight_map"),
        (r#"{"weight_map":{"lm_head.weight":"../other/model.safetensors"}}"#, "which is no file name"),
        (r#"{"weight_map":{"lm_head.weight":7}}"#, "which is no file name"),
        (r#"{"weight_map":{"lm_head.weight":".."}}"#, "which is no file name"),
    ] {
        fs::write(&index, text).unwrap();
        check(&folder, &["model.safetensors.index.json is damaged", words]);
    }
    // Only the second shard: what is in the first is missing.
    fs::write(&index, r#"{"weight_map":{"x":"model-00002-of-00002.safetensors"}}"#).unwrap();
    check(&folder, &["has no tensor"]);
}

#[test]
fn more_memory_than_there_is() {
    let folder = copy("grouped");
    configure(&folder, "max_position_embeddings", (1u64 << 28).into());
    let options = Options { context_length: Some(1 << 28), ..Options::default() };
    // One of 2 layers keeps them all: keys and values of 64 f32 each, and the token: 516 bytes for each of 2^28 positions.
    refused(
        folder.path(),
        options,
        &["needs 129.0 GiB of memory for a context of 268435456 tokens", "are free", "shorter"],
    );
}

#[test]
fn more_context_than_the_model_reads() {
    let options = Options { context_length: Some(4097), ..Options::default() };
    refused(copy("grouped").path(), options, &["4097 tokens was asked for", "reads at most 4096", "ask for less"]);
}
