//! What becomes of adapters that are not what they should be: one clear error each.
//!
//! Each test damages a copy of a folder that PEFT wrote and reads the message. Start at [`check`].

use super::tests::{configure, copy, fixtures, open, rewrite, same};
use super::*;
use proptest::prelude::*;
use safetensors::Dtype;
use serde_json::json;
use std::fs;

/// The message names each of the words, on one line without control characters.
pub(super) fn check(folder: &Path, words: &[&str]) {
    let message = open(folder).err().expect("it is refused");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(!message.contains(char::is_control), "{message:?}");
}

#[test]
fn whatever_is_not_plain_lora_is_refused_by_name() {
    for (key, value, words) in [
        ("peft_type", json!("IA3"), "peft_type is \"IA3\", expected \"LORA\""),
        ("peft_type", json!(null), "peft_type is null"),
        ("use_dora", json!(true), "use_dora is true, and only plain LoRA"),
        ("bias", json!("lora_only"), "bias is \"lora_only\""),
        ("modules_to_save", json!(["lm_head"]), "modules_to_save is [\"lm_head\"]"),
        ("lora_bias", json!(true), "lora_bias is true"),
        ("fan_in_fan_out", json!(true), "fan_in_fan_out is true"),
        ("trainable_token_indices", json!([1, 2]), "trainable_token_indices is [1,2]"),
        ("layer_replication", json!([[0, 2], [1, 2]]), "layer_replication is"),
        ("init_lora_weights", json!("pissa_niter_4"), "init_lora_weights is \"pissa_niter_4\""),
        ("use_qalora", json!(true), "use_qalora is true"),
        ("alora_invocation_tokens", json!([7]), "alora_invocation_tokens is [7]"),
        ("a_setting_of\u{1b}tomorrow", json!({"x": 1}), "a_setting_of\\u{1b}tomorrow is {\"x\":1}"),
        ("r", json!(0), "r is no rank of 1 to 65536"),
        ("rank_pattern", json!({"q_proj": -1}), "rank_pattern of q_proj is no rank"),
        ("rank_pattern", json!({"q_(proj": 4}), "rank_pattern has q_(proj, which is no expression"),
        ("alpha_pattern", json!({"q_proj": "4"}), "alpha_pattern of q_proj is no number"),
        ("alpha_pattern", json!({"(q{9999}){9999}": 4}), "which is no expression that can be read here"),
        ("target_modules", json!("(?=q)q_proj"), "target_modules has (?=q)q_proj"),
        ("layers_pattern", json!(["h"]), "layers_pattern is h"),
        ("target_parameters", json!(vec!["x"; 2049]), "target_parameters has 2049 names, expected at most 2048"),
    ] {
        let folder = copy("lora_attention");
        configure(folder.path(), key, value);
        check(folder.path(), &["adapter_config.json", words, "merge_and_unload"]);
    }
}

#[test]
fn a_configuration_that_is_none_is_named() {
    let folder = copy("lora_attention");
    for (key, value, word) in [
        ("r", json!("8"), "invalid type"),
        ("lora_alpha", json!([]), "invalid type"),
        ("target_modules", json!(7), "did not match any variant"),
    ] {
        let folder = copy("lora_attention");
        configure(folder.path(), key, value);
        check(folder.path(), &["adapter_config.json is damaged", word]);
    }
    let path = folder.path().join("adapter_config.json");
    for text in ["", "{", "[]", "\u{0}"] {
        fs::write(&path, text).unwrap();
        check(folder.path(), &["adapter_config.json"]);
    }
    fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
    check(folder.path(), &["it holds more than"]);
    fs::remove_file(&path).unwrap();
    check(folder.path(), &["adapter_config.json does not exist", "the folder of a LoRA adapter"]);
    fs::remove_file(folder.path().join("adapter_model.safetensors")).unwrap();
    fs::copy(fixtures().join("custom/lora_attention/adapter_config.json"), &path).unwrap();
    check(folder.path(), &["adapter_model.safetensors does not exist", "save_pretrained"]);
    fs::write(folder.path().join("adapter_model.bin"), "x").unwrap();
    check(folder.path(), &["adapter_model.safetensors does not exist", "is a pickle"]);
}

#[test]
fn a_tensor_that_matches_nothing_is_named() {
    let from = "base_model.model.model.layers.1.self_attn.v_proj.lora_A.weight";
    for (to, words) in [
        ("base_model.model.lm_head.lora_A.weight", "is left out of adapter_config.json"),
        ("base_model.model.model.layers.2.self_attn.v_proj.lora_A.weight", "or was made for other software"),
        ("base_model.model.model.layers.1.mlp.experts.gate_up_projs.0.lora_A.weight", "(nor for 1 more)"),
        ("base_model.model.model.layers.1.self_attn.v_proj.lora_A.default.weight", "no place in the model for tensor"),
        ("base_model.model.model.layers.1.self_attn.v_proj.lora_magnitude_vector", "merge_and_unload"),
        ("model.embed_tokens.weight", "merge_and_unload"),
    ] {
        let folder = copy("lora_attention");
        rewrite(folder.path(), |name, view| {
            let (_, dtype, shape) = same(name, view)?;
            Some((
                if name.contains("layers.1.self_attn.v_proj") { name.replace(from, to) } else { name.into() },
                dtype,
                shape,
            ))
        });
        // Its pair, A or B, is missed first, unless the configuration does not ask for it.
        check(
            folder.path(),
            &["v_proj.lora_B.weight is there without", "v_proj.lora_A.weight", "save the adapter again"],
        );
        configure(folder.path(), "exclude_modules", json!(["layers.1.self_attn.v_proj"]));
        check(folder.path(), &["adapter_model.safetensors", "no place in the model for tensor", "(nor for 1 more)"]);
        rewrite(folder.path(), |name, view| if name == from.replace("_A", "_B") { None } else { same(name, view) });
        if !words.starts_with('(') {
            check(folder.path(), &[to, words]);
        }
    }
}

#[test]
fn what_a_target_does_not_have_is_refused() {
    let folder = copy("lora_attention");
    rewrite(folder.path(), |name, view| if name.contains("1.self_attn.k_proj") { None } else { same(name, view) });
    check(folder.path(), &["adapter_config.json says that model.layers.1.self_attn.k_proj is adapted", "no tensor"]);
    configure(folder.path(), "exclude_modules", json!(r".*\.1\..*k_proj"));
    let adapter = open(folder.path()).unwrap();
    assert!(adapter.low_rank(Part::Layer(1, LayerPart::KeyWeight)).is_none());
    assert!(adapter.low_rank(Part::Layer(0, LayerPart::KeyWeight)).is_some());
}

#[test]
fn shapes_types_and_numbers_are_checked() {
    let name = "base_model.model.model.layers.0.self_attn.o_proj.lora_B.weight";
    for (dtype, shape, words) in [
        (Dtype::F32, vec![64, 5], "lora_B.weight is F32 [64, 5], expected [4, 128] and [64, 4] at rank 4"),
        (Dtype::F32, vec![0], "is F32 [0], expected"),
        (Dtype::F32, vec![], "is F32 [], expected"),
        (Dtype::I8, vec![64, 4], "o_proj.lora_B.weight is I8 [64, 4], expected F32, BF16 or F16"),
    ] {
        let folder = copy("lora_attention");
        rewrite(folder.path(), |tensor, view| {
            if tensor == name { Some((tensor.into(), dtype, shape.clone())) } else { same(tensor, view) }
        });
        check(folder.path(), &["adapter_model.safetensors", words]);
    }
    let folder = copy("lora_attention");
    configure(folder.path(), "rank_pattern", json!({}));
    check(folder.path(), &["k_proj.lora_A.weight is F32 [3, 64]", "expected [4, 64] and [64, 4] at rank 4"]);
    let folder = copy("lora_rslora");
    let path = folder.path().join("adapter_model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len() - 2;
    bytes[end..].copy_from_slice(&half::bf16::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    check(folder.path(), &["v_proj.lora_B.weight holds a number that is infinite or none at all"]);
}

#[test]
fn weights_cut_short_are_refused() {
    let folder = copy("lora_attention");
    let path = folder.path().join("adapter_model.safetensors");
    let bytes = fs::read(&path).unwrap();
    for n_bytes in [bytes.len() - 1, 100, 8, 0] {
        fs::write(&path, &bytes[..n_bytes]).unwrap();
        check(folder.path(), &["adapter_model.safetensors is damaged"]);
    }
}

/// A setting, and what it may be changed to.
fn setting() -> impl Strategy<Value = (String, serde_json::Value)> {
    let key = prop_oneof![
        "(r|lora_alpha|peft_type|peft_version|target_modules|target_parameters|exclude_modules|bias)",
        "(rank_pattern|alpha_pattern|layers_to_transform|layers_pattern|use_rslora|init_lora_weights)",
        "[a-z_]{1,12}",
    ];
    let value = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<u64>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        ".{0,20}".prop_map(|value| json!(value)),
        proptest::collection::vec("[a-z._*()0-9]{0,8}", 0..4).prop_map(|value| json!(value)),
        ("[a-z._*()\\[]{0,8}", any::<i64>()).prop_map(|(key, value)| json!({key: value})),
    ];
    (key, value)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_configuration_makes_it_panic(settings in proptest::collection::vec(setting(), 1..4)) {
        let folder = copy("lora_experts");
        for (key, value) in settings {
            configure(folder.path(), &key, value);
        }
        if let Err(message) = open(folder.path()) {
            prop_assert!(message.len() < 1000 && !message.contains(char::is_control), "{message:?}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        changes in proptest::collection::vec((0usize..1200, any::<u8>()), 1..5), cut in 0usize..3000
    ) {
        let folder = copy("lora_rslora");
        for (file, n_bytes) in [("adapter_config.json", usize::MAX), ("adapter_model.safetensors", 4000 - cut)] {
            let path = folder.path().join(file);
            let mut bytes = fs::read(&path).unwrap();
            bytes.truncate(n_bytes);
            for (at, byte) in &changes {
                let at = at % bytes.len();
                bytes[at] = *byte;
            }
            fs::write(&path, bytes).unwrap();
            let _ = open(folder.path());
        }
    }
}
