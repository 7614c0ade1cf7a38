//! A model in the shapes of gpt-oss-20b whose weights are random, written as a GGUF file. What it is not: a model
//! that says anything; it costs what the real one costs, since no time depends on a weight's value but by way of the
//! experts chosen. Start at [`make`].

use crate::Failure;
use crate::gguf::{self, Form, Metadata, Tensor};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

const HIDDEN: u64 = 2880;
const INTERMEDIATE: u64 = 2880;
const N_HEADS: u64 = 64;
const N_KV_HEADS: u64 = 8;
const HEAD_DIM: u64 = 64;
const N_EXPERTS: u64 = 32;
const N_ACTIVE: u64 = 4;
const N_VOCAB: u64 = 201_088;
/// From here on, tokens are control tokens.
const FIRST_SPECIAL: u64 = 199_998;
/// As many as the real vocabulary has: llama.cpp reads them all before it is ready.
const N_MERGES: u64 = 446_189;

/// Bytes made and written at once: whole blocks of every form.
const CHUNK: usize = 4 * 17 * 16_384;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The file to write; one of that name is replaced.
    out: PathBuf,
    /// Layers: 24 are gpt-oss-20b and 12.1 GB, 2 are 2.1 GB.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=128))]
    layers: u32,
    /// The same seed gives the same file.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Writes the file. Memory does not grow with the model.
pub(crate) fn make(options: &Options) -> Result<(), Failure> {
    let began = Instant::now();
    let (out, n_layers) = (&options.out, options.layers);
    let n_bytes = replace(out, |file| write(file, n_layers, options.seed)).map_err(Failure::write(out))?;
    let seconds = began.elapsed().as_secs_f64();
    eprintln!("{}: {:.3} GB, {n_layers} layers, {seconds:.0} s", out.display(), n_bytes as f64 / 1e9);
    Ok(())
}

/// Writes beside the file and renames at the end: one that was cut short never bears the name that was asked for.
fn replace(path: &Path, write: impl FnOnce(File) -> io::Result<u64>) -> io::Result<u64> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let written = File::create(&partial).and_then(write).and_then(|n_bytes| {
        fs::rename(&partial, path)?;
        Ok(n_bytes)
    });
    if written.is_err() {
        // The first error is the one to report; that nothing was left to remove is none.
        let _ = fs::remove_file(&partial);
    }
    written
}

/// Returns how many bytes were written.
fn write(mut out: impl Write, n_layers: u32, seed: u64) -> io::Result<u64> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let tensors = tensors(n_layers);
    let header = gguf::header(&metadata(n_layers), &tensors);
    out.write_all(&header)?;
    let mut at = header.len() as u64;
    let mut chunk = vec![0; CHUNK]; // [CHUNK]
    for tensor in &tensors {
        let mut left = tensor.n_bytes();
        at += left + gguf::padding(left);
        while left > 0 {
            let n_bytes = left.min(CHUNK as u64) as usize;
            fill(tensor, &mut random, &mut chunk[..n_bytes]);
            out.write_all(&chunk[..n_bytes])?;
            left -= n_bytes as u64;
        }
        out.write_all(&[0; gguf::ALIGNMENT as usize][..gguf::padding(tensor.n_bytes()) as usize])?;
    }
    out.flush()?;
    Ok(at)
}

/// Fills whole blocks so that activations keep their size from layer to layer: weights near 0.02, norms near 1.
fn fill(tensor: &Tensor, random: &mut Xoshiro256PlusPlus, blocks: &mut [u8]) {
    random.fill_bytes(blocks);
    match tensor.form {
        Form::F32 => {
            let (middle, spread) = match tensor.name.as_str() {
                name if name.ends_with("norm.weight") => (1.0, 0.1),
                name if name.ends_with("sinks.weight") => (0.0, 2.0),
                _ => (0.0, 0.035),
            };
            for number in blocks.as_chunks_mut::<4>().0 {
                let unit = u32::from_le_bytes(*number) as f32 / u32::MAX as f32;
                *number = (middle + spread * (2.0 * unit - 1.0)).to_le_bytes();
            }
        }
        Form::Q8_0 => {
            for block in blocks.as_chunks_mut::<34>().0 {
                // An f16 between 2^-12 and 2^-11: its exponent is set, its ten bits of mantissa stay random.
                block[1] = block[1] & 0b11 | 0b1100;
                // No quantiser writes -128.
                block[2..].iter_mut().for_each(|code| *code = (*code).max(1).wrapping_sub(128));
            }
        }
        Form::Mxfp4 => {
            for block in blocks.as_chunks_mut::<17>().0 {
                // 2^-9 to 2^-6: an E8M0 byte is the exponent and 127.
                block[0] = 118 + (block[0] & 0b11);
            }
        }
    }
}

/// The tensors of llama.cpp's gpt-oss: experts in MXFP4, other matrices in Q8_0, vectors and the router in f32.
fn tensors(n_layers: u32) -> Vec<Tensor> {
    let tensor = |name: String, shape: &[u64], form| Tensor { name, shape: shape.into(), form };
    let (query, key) = (N_HEADS * HEAD_DIM, N_KV_HEADS * HEAD_DIM);
    let mut tensors = vec![
        tensor("token_embd.weight".into(), &[HIDDEN, N_VOCAB], Form::Q8_0),
        tensor("output_norm.weight".into(), &[HIDDEN], Form::F32),
        tensor("output.weight".into(), &[HIDDEN, N_VOCAB], Form::Q8_0),
    ];
    let in_layer: [(&str, &[u64], Form); 19] = [
        ("attn_norm.weight", &[HIDDEN], Form::F32),
        ("post_attention_norm.weight", &[HIDDEN], Form::F32),
        ("attn_q.weight", &[HIDDEN, query], Form::Q8_0),
        ("attn_q.bias", &[query], Form::F32),
        ("attn_k.weight", &[HIDDEN, key], Form::Q8_0),
        ("attn_k.bias", &[key], Form::F32),
        ("attn_v.weight", &[HIDDEN, key], Form::Q8_0),
        ("attn_v.bias", &[key], Form::F32),
        ("attn_output.weight", &[query, HIDDEN], Form::Q8_0),
        ("attn_output.bias", &[HIDDEN], Form::F32),
        ("attn_sinks.weight", &[N_HEADS], Form::F32),
        ("ffn_gate_inp.weight", &[HIDDEN, N_EXPERTS], Form::F32),
        ("ffn_gate_inp.bias", &[N_EXPERTS], Form::F32),
        ("ffn_gate_exps.weight", &[HIDDEN, INTERMEDIATE, N_EXPERTS], Form::Mxfp4),
        ("ffn_gate_exps.bias", &[INTERMEDIATE, N_EXPERTS], Form::F32),
        ("ffn_up_exps.weight", &[HIDDEN, INTERMEDIATE, N_EXPERTS], Form::Mxfp4),
        ("ffn_up_exps.bias", &[INTERMEDIATE, N_EXPERTS], Form::F32),
        ("ffn_down_exps.weight", &[INTERMEDIATE, HIDDEN, N_EXPERTS], Form::Mxfp4),
        ("ffn_down_exps.bias", &[HIDDEN, N_EXPERTS], Form::F32),
    ];
    for layer_idx in 0..n_layers {
        let named = |(name, shape, form): (&str, &[u64], _)| tensor(format!("blk.{layer_idx}.{name}"), shape, form);
        tensors.extend(in_layer.map(named));
    }
    tensors
}

/// What llama.cpp wants to know of a gpt-oss model.
fn metadata(n_layers: u32) -> Metadata {
    let mut metadata = Metadata::default();
    metadata.text("general.architecture", "gpt-oss");
    metadata.text("general.name", "random weights in the shapes of gpt-oss-20b");
    metadata.u32("general.quantization_version", 2);
    // Mostly MXFP4, in llama.cpp's list of file types.
    metadata.u32("general.file_type", 38);
    for (key, value) in [
        ("block_count", u64::from(n_layers)),
        ("context_length", 131_072),
        ("embedding_length", HIDDEN),
        ("feed_forward_length", INTERMEDIATE),
        ("expert_feed_forward_length", INTERMEDIATE),
        ("attention.head_count", N_HEADS),
        ("attention.head_count_kv", N_KV_HEADS),
        ("attention.key_length", HEAD_DIM),
        ("attention.value_length", HEAD_DIM),
        ("attention.sliding_window", 128),
        ("expert_count", N_EXPERTS),
        ("expert_used_count", N_ACTIVE),
        ("rope.scaling.original_context_length", 4096),
    ] {
        metadata.u32(&format!("gpt-oss.{key}"), value as u32);
    }
    metadata.f32("gpt-oss.attention.layer_norm_rms_epsilon", 1e-5);
    metadata.f32("gpt-oss.rope.freq_base", 150_000.0);
    metadata.text("gpt-oss.rope.scaling.type", "yarn");
    metadata.f32("gpt-oss.rope.scaling.factor", 32.0);
    vocabulary(&mut metadata);
    metadata
}

/// A vocabulary of the real one's size whose words mean nothing: llama.cpp opens no model without one.
fn vocabulary(metadata: &mut Metadata) {
    let word = |id: u32| match u64::from(id) {
        0..256 => byte_symbol(id as u8).to_string(),
        199_998 => "<|startoftext|>".into(),
        199_999 => "<|endoftext|>".into(),
        200_002 => "<|return|>".into(),
        200_012 => "<|call|>".into(),
        _ => format!("word{id:06}"),
    };
    // Two words that are no bytes, and no pair twice.
    let merge = |n: u32| format!("{} {}", word(256 + n % 190_000), word(256 + n / 190_000));
    const NORMAL: i32 = 1;
    const CONTROL: i32 = 3;
    metadata.text("tokenizer.ggml.model", "gpt2");
    metadata.text("tokenizer.ggml.pre", "gpt-4o");
    metadata.texts("tokenizer.ggml.tokens", (0..N_VOCAB as u32).map(word));
    let kind = |id| if i64::from(id) < FIRST_SPECIAL as i64 { NORMAL } else { CONTROL };
    metadata.i32s("tokenizer.ggml.token_type", (0..N_VOCAB as i32).map(kind));
    metadata.texts("tokenizer.ggml.merges", (0..N_MERGES as u32).map(merge));
    metadata.u32("tokenizer.ggml.bos_token_id", 199_998);
    metadata.u32("tokenizer.ggml.eos_token_id", 200_002);
    metadata.u32("tokenizer.ggml.padding_token_id", 199_999);
}

/// The visible character that stands for a byte in vocabularies of GPT-2's kind: itself where it is visible, and the
/// next free one above 255 where it is not.
fn byte_symbol(byte: u8) -> char {
    let visible = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    if visible(byte) {
        return char::from(byte);
    }
    let n_before = (0..byte).filter(|&other| !visible(other)).count() as u32;
    char::from_u32(256 + n_before).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_20b_has_the_tensors_and_the_size_of_the_published_file() {
        let tensors = tensors(24);
        let count = |form| tensors.iter().filter(|tensor| tensor.form == form).count();
        assert_eq!((count(Form::F32), count(Form::Q8_0), count(Form::Mxfp4)), (289, 98, 72));
        let n_bytes: u64 = tensors.iter().map(Tensor::n_bytes).sum();
        assert_eq!(n_bytes / 100_000_000, 120, "{n_bytes}");
    }

    #[test]
    fn every_byte_has_a_symbol_of_its_own() {
        let symbols: HashSet<char> = (0..=255).map(byte_symbol).collect();
        assert_eq!(symbols.len(), 256);
        assert_eq!([b'A', b'\n', b' '].map(byte_symbol), ['A', 'Ċ', 'Ġ']);
    }

    #[test]
    fn random_blocks_hold_small_finite_numbers() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut filled = |name: &str, form, n_bytes| {
            let mut blocks = vec![0; n_bytes];
            fill(&Tensor { name: name.into(), shape: vec![], form }, &mut random, &mut blocks);
            blocks
        };
        for block in filled("q", Form::Q8_0, 34_000).as_chunks::<34>().0 {
            let scale = u16::from_le_bytes([block[0], block[1]]);
            assert!((0x0c00..0x1000).contains(&scale), "{scale:#x}");
            assert!(!block[2..].contains(&0x80));
        }
        for block in filled("m", Form::Mxfp4, 17_000).as_chunks::<17>().0 {
            assert!((118..=121).contains(&block[0]));
        }
        for (name, low, high) in [("x_norm.weight", 0.9, 1.1), ("attn_sinks.weight", -2.0, 2.0), ("b", -0.035, 0.035)] {
            for number in filled(name, Form::F32, 4_000).as_chunks::<4>().0 {
                assert!((low..=high).contains(&f32::from_le_bytes(*number)), "{name}");
            }
        }
    }

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (path, full) = (folder.path().join("m.gguf"), || io::Error::from(io::ErrorKind::StorageFull));
        replace(&path, |_| Err(full())).unwrap_err();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        replace(&path, |mut file| file.write_all(b"one").map(|()| 3)).unwrap();
        replace(&path, |mut file| file.write_all(b"tw").and(Err(full()))).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
}
