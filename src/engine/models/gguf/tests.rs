//! GGUF files of an independent writer, compared with the checkpoint that they were made from.
//!
//! What it is not: what becomes of bad files is in `bad_files`. tests/fixtures/engine/make_gguf.py makes the files.
//! Start at [`check`].

use super::*;
use crate::engine::models::LayerPart as L;
use half::bf16;
use safetensors::SafeTensors;
use std::fs;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/engine")
}

pub(super) fn fixture(name: &str) -> PathBuf {
    fixtures().join("gguf").join(name)
}

/// The numbers of the original, and how long its rows are.
fn original(part: Part) -> (Vec<f32>, usize) {
    let bytes = fs::read(fixtures().join("grouped/model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let experts = match part {
        Part::Layer(layer_idx, L::GateUpWeight) => Some((layer_idx, "gate_up_proj")),
        Part::Layer(layer_idx, L::DownWeight) => Some((layer_idx, "down_proj")),
        _ => None,
    };
    let Some((layer_idx, name)) = experts else {
        let tensor = tensors.tensor(&part.name()).unwrap();
        let numbers = tensor.data().as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32());
        return (numbers.collect(), *tensor.shape().last().unwrap());
    };
    let stem = format!("model.layers.{layer_idx}.mlp.experts.{name}");
    let blocks = tensors.tensor(&format!("{stem}_blocks")).unwrap();
    let scales = tensors.tensor(&format!("{stem}_scales")).unwrap();
    let n_blocks = blocks.shape()[2];
    let e2m1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let number = |code: u8| if code < 8 { e2m1[usize::from(code)] } else { -e2m1[usize::from(code - 8)] };
    let of_block = |(block, &scale): (&[u8; 16], &u8)| {
        let scale = 2f32.powi(i32::from(scale) - 127);
        block.iter().flat_map(|byte| [byte & 15, byte >> 4]).map(|code| scale * number(code)).collect::<Vec<_>>()
    };
    (blocks.data().as_chunks().0.iter().zip(scales.data()).flat_map(of_block).collect(), 32 * n_blocks)
}

pub(super) fn is_matrix(part: Part) -> bool {
    matches!(part, Part::Embedding | Part::Head)
        || matches!(
            part,
            Part::Layer(
                _,
                L::QueryWeight
                    | L::KeyWeight
                    | L::ValueWeight
                    | L::OutputWeight
                    | L::RouterWeight
                    | L::GateUpWeight
                    | L::DownWeight
            )
        )
}

/// Farther than this no number of a block may be from the original, by the type of the tensor.
fn tolerance(kind: Kind, block: &[f32]) -> f32 {
    let largest = block.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
    match kind {
        // Half a step, and what the scale lost when it became an f16.
        Kind::Q8 => largest / 254.0 + largest / 2048.0,
        // Exact but for numbers below its smallest normal one.
        Kind::F16 => 2f32.powi(-25),
        _ => 0.0,
    }
}

/// Compares every part with the original, each read whole and each row alone.
fn check(gguf: &Gguf) {
    gguf.check_all().unwrap();
    for part in Part::all(gguf.config()) {
        let (expected, width) = original(part);
        let kind = gguf.find(part).unwrap().tensors[0].kind;
        let found = if is_matrix(part) {
            let rows = gguf.rows(part).unwrap();
            let (n_rows, n) = rows.shape();
            assert_eq!((n_rows * n, n), (expected.len(), width), "{part:?}");
            let mut all = vec![f32::NAN; n_rows * n];
            rows.read(0..n_rows, &mut all);
            let mut row = vec![f32::NAN; n];
            rows.read(n_rows - 1..n_rows, &mut row);
            assert_eq!(row, all[(n_rows - 1) * n..], "{part:?}");
            all
        } else {
            gguf.vector(part).unwrap()
        };
        assert_eq!(found.len(), expected.len(), "{part:?}");
        for (found, expected) in found.chunks(32).zip(expected.chunks(32)) {
            let tolerance = tolerance(kind, expected);
            let is_near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= tolerance);
            assert!(is_near, "{part:?} in {kind:?}: {found:?}, expected {expected:?}");
        }
    }
}

/// The types that a file has.
fn types(gguf: &Gguf) -> Vec<u32> {
    let mut types: Vec<_> = gguf.tensors.values().map(|tensor| tensor.type_id).collect();
    types.sort_unstable();
    types.dedup();
    types
}

#[test]
fn every_writer_s_numbers_are_the_original_s() {
    for (name, type_ids, n_tensors) in [
        ("mxfp4.gguf", vec![0, 8, 39], 41),
        ("bf16.gguf", vec![0, 1, 30], 41),
        ("fused.gguf", vec![0, 1, 30, 39], 29),
        ("ollama.gguf", vec![0, 4, 30], 29),
    ] {
        let gguf = Gguf::open(&fixture(name)).unwrap();
        assert_eq!((types(&gguf), gguf.tensors.len()), (type_ids, n_tensors), "{name}");
        check(&gguf);
    }
}

#[test]
fn the_configuration_is_that_of_the_original() {
    let path = fixtures().join("grouped/config.json");
    let expected = ModelConfig::parse(&fs::read_to_string(&path).unwrap(), &path).unwrap();
    for name in ["mxfp4.gguf", "bf16.gguf", "fused.gguf", "ollama.gguf", "split-00001-of-00003.gguf"] {
        assert_eq!(*Gguf::open(&fixture(name)).unwrap().config(), expected, "{name}");
    }
}

#[test]
fn the_blocks_of_the_experts_come_out_as_they_were() {
    let bytes = fs::read(fixtures().join("grouped/model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for name in ["mxfp4.gguf", "fused.gguf", "ollama.gguf"] {
        let gguf = Gguf::open(&fixture(name)).unwrap();
        for (part, stem) in [(L::GateUpWeight, "gate_up_proj"), (L::DownWeight, "down_proj")] {
            let rows = gguf.rows(Part::Layer(1, part)).unwrap();
            let (n_rows, width) = rows.shape();
            let (mut blocks, mut scales) = (vec![[0; 16]; n_rows * width / 32], vec![0; n_rows * width / 32]);
            for row in 0..n_rows {
                let range = row * width / 32..(row + 1) * width / 32;
                assert!(rows.read_mxfp4(row, &mut blocks[range.clone()], &mut scales[range]));
            }
            let stem = format!("model.layers.1.mlp.experts.{stem}");
            let original = |suffix: &str| tensors.tensor(&format!("{stem}_{suffix}")).unwrap().data();
            assert!((blocks.as_flattened(), &scales[..]) == (original("blocks"), original("scales")), "{name} {stem}");
        }
        let embedding = gguf.rows(Part::Embedding).unwrap();
        assert!(!embedding.read_mxfp4(0, &mut [[0; 16]; 2], &mut [0; 2]));
    }
}

#[test]
fn a_model_in_parts_is_opened_by_any_of_them() {
    for n in 1..=3 {
        let gguf = Gguf::open(&fixture(&format!("split-{n:05}-of-00003.gguf"))).unwrap();
        assert_eq!((gguf.paths.len(), gguf.name.as_str()), (3, "split"));
        assert_eq!(gguf.paths[0], fixture("split-00001-of-00003.gguf"));
        check(&gguf);
    }
}

#[test]
fn a_model_is_called_by_its_file_or_by_what_it_says_of_itself() {
    for (path, said, expected) in [
        ("/m/gpt-oss-20b.gguf", Some("other"), "gpt-oss-20b"),
        ("/m/a-b-00002-of-00003.gguf", None, "a-b"),
        ("/m/a-2-of-3.gguf", None, "a-2-of-3"),
        ("/m/blobs/sha256-0123", Some("Gpt Oss 20b"), "Gpt Oss 20b"),
        ("/m/blobs/sha256-0123", Some(" "), "gpt-oss"),
        ("/m/blobs/sha256-0123", None, "gpt-oss"),
    ] {
        assert_eq!(name(Path::new(path), said), expected);
    }
}

#[test]
fn tensors_are_described() {
    let gguf = Gguf::open(&fixture("mxfp4.gguf")).unwrap();
    let vocabulary = gguf.tensors().filter(|tensor| tensor.n_elements == 192 * 64);
    let described: Vec<_> = vocabulary.map(|tensor| (tensor.type_name, tensor.n_bytes)).collect();
    assert!(described.contains(&("Q8_0".to_owned(), 192 * 68)), "{described:?}");
    assert_eq!(gguf.n_bytes(), gguf.tensors().map(|tensor| tensor.n_bytes).sum::<u64>());
}
