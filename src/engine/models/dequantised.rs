//! Experts as transformers itself saves them: floating-point numbers, with the axes the other way round.
//!
//! What it is not: it quantises nothing ([`super::mxfp4`] does), and the other tensors of such a save lie as in the
//! official layout. There `gate_up_proj` is [n_experts][hidden][2 * intermediate], and `down_proj`
//! [n_experts][intermediate][hidden].
//! Start at [`is_dequantised`] and [`expert_rows`].

use super::float::Float;
use super::rows::Rows;
use super::{Form, LayerPart, LoadError, Part, Tensor};
use crate::engine::cpu::config::ModelConfig;
use safetensors::Dtype;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Whether these tensors are of a model that was unpacked: the first layer's experts are there in one piece.
pub(crate) fn is_dequantised(tensors: &BTreeMap<String, Tensor>) -> bool {
    tensors.contains_key(&Part::Layer(0, LayerPart::GateUpWeight).name())
}

/// The experts' matrix of such a save, by rows of the official layout. `path`: the folder, for messages. An error
/// where it is missing, of a shape that the configuration does not promise, or not in bf16, f16 or f32.
pub(crate) fn expert_rows(
    tensors: &BTreeMap<String, Tensor>,
    part: Part,
    config: &ModelConfig,
    path: &Path,
) -> Result<Arc<dyn Rows>, LoadError> {
    let (n_in, n_out) = match part {
        Part::Layer(_, LayerPart::DownWeight) => (config.intermediate, config.hidden),
        _ => (config.hidden, 2 * config.intermediate),
    };
    let name = part.name();
    let shape = vec![config.n_experts, n_in, n_out];
    let expected = |dtype| Form { dtype, shape: shape.clone() }.to_string();
    let Some(tensor) = tensors.get(&name) else {
        let advice = "other experts of the model are not quantised, so this one was lost: save the model again";
        let path = path.to_owned();
        return Err(LoadError::MissingTensor { path, tensor: name, expected: expected(Dtype::BF16), advice });
    };
    match Float::of(tensor.form.dtype) {
        Some(float) if tensor.form.shape == shape => {
            Ok(Arc::new(TransposedRows { tensor: tensor.clone(), float, n_experts: config.n_experts, n_in, n_out }))
        }
        float => {
            let expected = expected(float.map_or(Dtype::BF16, |_| tensor.form.dtype));
            let (path, found) = (tensor.path().to_owned(), tensor.form.to_string());
            Err(LoadError::WrongTensor { path, tensor: name, expected, found })
        }
    }
}

/// One matrix for each expert, whose rows are columns of the tensor.
struct TransposedRows {
    tensor: Tensor, // [n_experts][n_in][n_out]
    float: Float,
    n_experts: usize,
    n_in: usize,
    n_out: usize,
}

/// Bytes of a cache line: a strip of rows this wide is read in one go, so that no line is fetched twice.
const LINE: usize = 64;

impl Rows for TransposedRows {
    fn shape(&self) -> (usize, usize) {
        (self.n_experts * self.n_out, self.n_in)
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let (mut row, mut out) = (rows.start, out);
        while row < rows.end {
            let (expert_idx, column) = (row / self.n_out, row % self.n_out);
            let per_line = LINE / self.float.n_bytes();
            // Up to the end of the line, of the expert or of what was asked for.
            let n_rows = (per_line - column % per_line).min(self.n_out - column).min(rows.end - row);
            let (strip, rest) = out.split_at_mut(n_rows * self.n_in);
            self.read_strip(expert_idx, column, strip);
            (row, out) = (row + n_rows, rest);
        }
    }

    fn read_mxfp4(&self, _row: usize, _blocks: &mut [[u8; 16]], _scales: &mut [u8]) -> bool {
        false
    }
}

impl TransposedRows {
    /// The rows from `column` on of one expert. `strip`: [n_rows][n_in]
    fn read_strip(&self, expert_idx: usize, column: usize, strip: &mut [f32]) {
        let n_bytes = self.float.n_bytes();
        let n_rows = strip.len() / self.n_in;
        let expert = &self.tensor.bytes()[expert_idx * self.n_in * self.n_out * n_bytes..];
        for (in_idx, line) in expert.chunks_exact(self.n_out * n_bytes).take(self.n_in).enumerate() {
            let numbers = self.float.numbers(&line[column * n_bytes..][..n_rows * n_bytes]);
            for (row_idx, number) in numbers.enumerate() {
                strip[row_idx * self.n_in + in_idx] = number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::checkpoint;
    use super::super::mxfp4::{BLOCK, quantise_mxfp4, unpacked};
    use super::*;

    const PARTS: [LayerPart; 2] = [LayerPart::GateUpWeight, LayerPart::DownWeight];

    fn folder(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/engine").join(name)
    }

    fn open(name: &str) -> (BTreeMap<String, Tensor>, ModelConfig) {
        let path = folder(name).join("config.json");
        let config = ModelConfig::parse(&std::fs::read_to_string(&path).unwrap(), &path).unwrap();
        (checkpoint::map(&folder(name).join("model.safetensors")).unwrap(), config)
    }

    /// Every row, rounded: blocks and scales of one matrix after the other, as the official layout has them.
    fn quantised(rows: &dyn Rows) -> (Vec<u8>, Vec<u8>) {
        let (n_rows, n_in) = rows.shape();
        let mut numbers = vec![f32::NAN; n_rows * n_in];
        rows.read(0..n_rows, &mut numbers);
        let (mut blocks, mut scales) = (vec![[0; 16]; numbers.len() / BLOCK], vec![0; numbers.len() / BLOCK]);
        quantise_mxfp4(&numbers, &mut blocks, &mut scales);
        (blocks.concat(), scales)
    }

    /// The values of official blocks.
    fn values_of(blocks: &[u8], scales: &[u8]) -> Vec<f32> {
        blocks.as_chunks().0.iter().zip(scales).flat_map(|(block, scale)| unpacked(block, *scale)).collect()
    }

    #[test]
    fn only_a_save_of_transformers_is_recognised() {
        for (name, expected) in [("grouped", false), ("custom/saved", true), ("custom/tuned", true)] {
            assert_eq!(is_dequantised(&open(name).0), expected, "{name}");
        }
    }

    #[test]
    fn a_save_holds_what_the_official_checkpoint_holds() {
        let ((saved, config), (official, _)) = (open("custom/saved"), open("grouped"));
        for part in [0, 1].into_iter().flat_map(|layer_idx| PARTS.map(|part| Part::Layer(layer_idx, part))) {
            let rows = expert_rows(&saved, part, &config, Path::new("saved")).unwrap();
            let of = |kind: &str| official[&format!("{}_{kind}", part.name())].bytes();
            let (n_rows, n_in) = rows.shape();
            let mut numbers = vec![f32::NAN; n_rows * n_in];
            rows.read(0..n_rows, &mut numbers);
            let expected = values_of(of("blocks"), of("scales"));
            assert!(numbers == expected, "{part:?}");
            let (blocks, scales) = quantised(&*rows);
            assert!(values_of(&blocks, &scales) == expected, "{part:?} is lossless");
            assert!(!rows.read_mxfp4(0, &mut [], &mut []));
        }
    }

    #[test]
    fn values_off_the_grid_are_rounded_as_the_script_rounds_them() {
        let (tuned, config) = open("custom/tuned");
        let expected = checkpoint::map(&folder("custom/tuned").join("quantised.safetensors")).unwrap();
        for part in PARTS.map(|part| Part::Layer(1, part)) {
            let (blocks, scales) = quantised(&*expert_rows(&tuned, part, &config, Path::new("tuned")).unwrap());
            let of = |kind: &str| expected[&format!("{}_{kind}", part.name())].bytes();
            assert!(scales == of("scales") && blocks == of("blocks"), "{part:?}");
        }
    }

    #[test]
    fn any_rows_can_be_asked_for_in_any_form() {
        let (n_experts, n_in, n_out) = (3, 5, 77);
        let numbers: Vec<f32> = (0..n_experts * n_in * n_out).map(|idx| (idx % 251) as f32 - 99.0).collect();
        for dtype in [Dtype::BF16, Dtype::F16, Dtype::F32] {
            let bytes: Vec<u8> = match dtype {
                Dtype::BF16 => numbers.iter().flat_map(|&x| half::bf16::from_f32(x).to_le_bytes()).collect(),
                Dtype::F16 => numbers.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes()).collect(),
                _ => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
            };
            let form = Form { dtype, shape: vec![n_experts, n_in, n_out] };
            let tensor = Tensor::made(form, Path::new("made"), Arc::new(bytes));
            let rows = TransposedRows { tensor, float: Float::of(dtype).unwrap(), n_experts, n_in, n_out };
            for asked in [0..0, 0..1, 5..6, 33..36, 76..78, 0..231, 30..97, 153..231, 231..231] {
                let mut out = vec![f32::NAN; asked.len() * n_in];
                rows.read(asked.clone(), &mut out);
                for (row, found) in asked.zip(out.chunks(n_in)) {
                    let at = |in_idx: usize| numbers[(row / n_out * n_in + in_idx) * n_out + row % n_out];
                    assert_eq!(found, (0..n_in).map(at).collect::<Vec<_>>(), "row {row} in {dtype:?}");
                }
            }
        }
    }

    #[test]
    fn experts_of_another_form_are_named() {
        let (saved, config) = open("custom/saved");
        let part = Part::Layer(1, LayerPart::DownWeight);
        let complaint = |tensors: &BTreeMap<String, Tensor>, config: &ModelConfig| {
            let result = expert_rows(tensors, part, config, Path::new("saved"));
            result.err().expect("it is refused").to_string()
        };
        let wider = ModelConfig { intermediate: 96, ..config.clone() };
        let message = complaint(&saved, &wider);
        assert!(
            message.contains("layers.1.mlp.experts.down_proj is BF16 [4, 64, 64], expected BF16 [4, 96, 64]"),
            "{message}"
        );
        let mut lost = saved.clone();
        let mut tensor = lost.remove(&part.name()).unwrap();
        let message = complaint(&lost, &config);
        assert!(
            message.contains("saved has no tensor model.layers.1.mlp.experts.down_proj, expected BF16 [4, 64, 64]"),
            "{message}"
        );
        tensor.form.dtype = Dtype::F8_E4M3;
        lost.insert(part.name(), tensor);
        let message = complaint(&lost, &config);
        assert!(message.contains("is F8_E4M3 [4, 64, 64], expected BF16 [4, 64, 64]"), "{message}");
    }
}
