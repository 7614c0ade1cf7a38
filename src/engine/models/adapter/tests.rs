//! Adapters as PEFT writes them, and as they should not be.
//!
//! What it is not: a test of what the engine computes with one. The folders are made by
//! tests/fixtures/engine/make_custom.py.
//! Start at [`what_it_adds_is_what_peft_merges`].

use super::super::float::Float;
use super::super::mxfp4::unpacked;
use super::bad_adapters::check;
use super::*;
use safetensors::Dtype;
use safetensors::tensor::{SafeTensors, TensorView};
use serde_json::json;
use std::fs;
use tempfile::TempDir;

const FOLDERS: [&str; 4] = ["lora_attention", "lora_experts", "lora_rslora", "lora_swapped"];

pub(super) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/engine")
}

/// The model that all of them are for.
fn config() -> ModelConfig {
    let path = fixtures().join("grouped/config.json");
    ModelConfig::parse(&fs::read_to_string(&path).unwrap(), &path).unwrap()
}

pub(super) fn open(folder: &Path) -> Result<Adapter, String> {
    Adapter::open(folder, &config()).map_err(|error| error.to_string())
}

/// A copy of an adapter, to be damaged.
pub(super) fn copy(name: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        fs::copy(fixtures().join("custom").join(name).join(file), copy.path().join(file)).unwrap();
    }
    copy
}

pub(super) fn configure(folder: &Path, key: &str, value: serde_json::Value) {
    let path = folder.join("adapter_config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[key] = value;
    fs::write(&path, config.to_string()).unwrap();
}

pub(super) type Changed = Option<(String, Dtype, Vec<usize>)>;

/// Writes the tensors again, each as `change` wants it; `None` leaves it out.
pub(super) fn rewrite(folder: &Path, change: impl Fn(&str, &TensorView<'_>) -> Changed) {
    let path = folder.join("adapter_model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let mut kept = Vec::new();
    for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
        if let Some((name, dtype, shape)) = change(&name, &view) {
            let n_bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
            kept.push((name, dtype, shape, view.data().iter().copied().cycle().take(n_bytes).collect::<Vec<u8>>()));
        }
    }
    let view = |(name, dtype, shape, data)| (name, TensorView::new(dtype, shape, data).unwrap());
    let views = kept.iter().map(|(name, dtype, shape, data)| view((name, *dtype, shape.clone(), data)));
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}

pub(super) fn same(name: &str, view: &TensorView<'_>) -> Changed {
    Some((name.to_owned(), view.dtype(), view.shape().to_vec()))
}

/// A matrix of the checkpoint `grouped`, all experts one after the other. [n_experts * n_out][n_in]
fn weight(part: Part) -> Vec<f32> {
    let tensors = checkpoint::map(&fixtures().join("grouped/model.safetensors")).unwrap();
    let name = names_of(part).1;
    if let Some(tensor) = tensors.get(&name) {
        return Float::Bf16.numbers(tensor.bytes()).collect();
    }
    let (blocks, scales) = (&tensors[&format!("{name}_blocks")], &tensors[&format!("{name}_scales")]);
    blocks.bytes().as_chunks().0.iter().zip(scales.bytes()).flat_map(|(block, scale)| unpacked(block, *scale)).collect()
}

#[test]
fn what_it_adds_is_what_peft_merges() {
    let mut n_parts = 0;
    for name in FOLDERS {
        let adapter = open(&fixtures().join("custom").join(name)).unwrap();
        let merged = checkpoint::map(&fixtures().join("custom").join(name).join("merged.safetensors")).unwrap();
        for part in ADAPTED.map(|part| Part::Layer(1, part)) {
            let merged = merged.get(&names_of(part).1);
            assert_eq!(adapter.low_rank(part).is_some(), merged.is_some(), "{name}, {part:?}");
            let (Some(low_rank), Some(merged)) = (adapter.low_rank(part), merged) else { continue };
            let expected: Vec<f32> = Float::F32.numbers(merged.bytes()).collect();
            let LowRank { a, b, rank, n_in, n_out, n_experts } = &*low_rank;
            assert_eq!((a.len(), b.len()), (n_experts * rank * n_in, n_experts * n_out * rank));
            let weight = weight(part);
            // The first rows of the matrix: of the experts, the last axis.
            let n_kept = expected.len() / n_experts / n_in;
            let mut largest = 0.0f32;
            for (expert_idx, row) in
                (0..*n_experts).flat_map(|expert_idx| (0..n_kept).map(move |row| (expert_idx, row)))
            {
                for in_idx in 0..*n_in {
                    let added: f32 = (0..*rank)
                        .map(|k| b[(expert_idx * n_out + row) * rank + k] * a[(expert_idx * rank + k) * n_in + in_idx])
                        .sum();
                    let at = if merged.form.shape.len() == 3 {
                        (expert_idx * n_in + in_idx) * n_kept + row
                    } else {
                        row * n_in + in_idx
                    };
                    let difference = weight[(expert_idx * n_out + row) * n_in + in_idx] + added - expected[at];
                    assert!(
                        difference.abs() < 1e-5,
                        "{name}, {part:?}, expert {expert_idx}, row {row}, column {in_idx}"
                    );
                    largest = largest.max(added.abs());
                }
            }
            assert!(largest > 0.01, "{name}, {part:?}: it changes nothing");
            n_parts += 1;
        }
    }
    assert_eq!(n_parts, 4 + 3 + 2 + 2);
}

#[test]
fn it_says_what_it_is_made_for_and_what_it_takes() {
    let adapter = open(&fixtures().join("custom/lora_rslora")).unwrap();
    assert_eq!((adapter.base(), adapter.notice()), (Some("grouped"), None));
    // Rank 5 on q (64 to 128) and v (64 to 64) of one layer, in f32.
    assert_eq!(adapter.n_bytes(), 4 * 5 * (64 + 128 + 64 + 64));
    assert!(adapter.low_rank(Part::Layer(0, LayerPart::QueryWeight)).is_none());
    assert!(adapter.low_rank(Part::Head).is_none());
}

#[test]
fn its_hash_is_of_both_files() {
    let folder = copy("lora_attention");
    let hash = |folder: &TempDir| open(folder.path()).unwrap().hash();
    let first = hash(&folder);
    assert_eq!(first, hash(&copy("lora_attention")));
    configure(folder.path(), "lora_alpha", json!(11));
    let second = hash(&folder);
    assert_ne!(first, second);
    let path = folder.path().join("adapter_model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_ne!(second, hash(&folder));
}

#[test]
fn targets_that_gpt_oss_does_not_have_are_told() {
    let folder = copy("lora_attention");
    let names = json!(["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj"]);
    configure(folder.path(), "target_modules", names);
    let adapter = open(folder.path()).unwrap();
    assert_eq!(adapter.low_rank.len(), 8);
    let notice = adapter.notice().unwrap();
    assert!(notice.ends_with("what peft cannot adapt in gpt-oss: gate_proj, down_proj"), "{notice}");
}

#[test]
fn where_shapes_do_not_tell_the_order_of_factors_other_things_do() {
    let only = |name: &str, parameter: &str| {
        let folder = copy(name);
        configure(folder.path(), "target_parameters", json!([parameter]));
        let inner = parameter.ends_with("gate_up_proj");
        rewrite(folder.path(), |tensor, view| {
            let (tensor, dtype, shape) = same(tensor, view)?;
            let kept = tensor.contains("experts") && tensor.contains("base_layer") == inner;
            kept.then(|| (tensor.replace(".base_layer", ""), dtype, shape))
        });
        folder
    };
    // The width of the model is that of its experts, as in the official ones: down_proj tells nothing.
    let folder = only("lora_experts", "mlp.experts.down_proj");
    check(folder.path(), &["down_proj alone", "which of its factors is which", "merge_and_unload"]);
    configure(folder.path(), "peft_version", json!("0.18.1"));
    let down = Part::Layer(1, LayerPart::DownWeight);
    let expected = open(&fixtures().join("custom/lora_experts")).unwrap();
    assert!(open(folder.path()).unwrap().low_rank(down) == expected.low_rank(down));
    // gate_up_proj alone does, either way round.
    let gate_up = Part::Layer(1, LayerPart::GateUpWeight);
    for (name, parameter) in [("lora_experts", "experts.gate_up_proj"), ("lora_swapped", "1.mlp.experts.gate_up_proj")]
    {
        let expected = open(&fixtures().join("custom").join(name)).unwrap();
        let adapter = open(only(name, parameter).path()).unwrap();
        assert!(adapter.low_rank(gate_up) == expected.low_rank(gate_up) && adapter.low_rank(down).is_none(), "{name}");
    }
}
