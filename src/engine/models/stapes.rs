//! The embedded model: stapes, a gpt-oss of a few million parameters whose words are computed.
//!
//! What it is not: another architecture. Only its two vocabulary matrices are stored in another way: a row is a code, made
//! from the token's spelling, times a small matrix, plus a learned row for the ids that harmony's templates use. The head
//! is expanded at start, a row of the embedding when it is read; the rest lies there as in every official checkpoint.
//! `models/stapes/tokens.py` defines the same code.
//! Start at [`open`].

use super::checkpoint::{Contents, EmbeddingRows, Storage, tensors_of};
use super::{Checkpoint, Form, LoadError, Part, Tensor};
use crate::engine::cpu::config::ModelConfig;
use crate::engine::cpu::kernels::{Kernels, STRIP};
use crate::harmony::{Token, special, tokenizer};
use memmap2::MmapMut;
use safetensors::Dtype;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;

/// What the user calls it.
pub(crate) const NAME: &str = "stapes";

const CONFIG: &str = include_str!("../../../models/stapes/config.json");
const WEIGHTS: &[u8] = include_bytes!("../../../models/stapes/stapes.safetensors.zst");

/// More than the weights take when unpacked.
const MOST_BYTES: usize = 64 << 20;

/// Entries of a code, and what each of the last of them weighs against the others.
const CODE_BITS: usize = 128;
const FIRST_FLAG: usize = 112;
const FLAG_WEIGHT: f32 = 2.0;

/// The signs of a code: entry k is bit `k % 8` of byte `k / 8`.
type Code = [u8; CODE_BITS / 8];

/// Opens it: unpacks the weights and expands the head, on all cores.
pub(crate) fn open() -> Result<Checkpoint, LoadError> {
    let path = Path::new("models/stapes/stapes.safetensors.zst (inside the program)");
    let damaged = |problem: String| LoadError::Damaged { path: path.to_owned(), problem };
    let config = ModelConfig::parse(CONFIG, Path::new("models/stapes/config.json (inside the program)"))?;
    // The codes need the tokenizer's tables, which take longer to build than the weights to unpack.
    let warm = thread::spawn(tokenizer::warm);
    let bytes = zstd::bulk::decompress(WEIGHTS, MOST_BYTES).map_err(|error| damaged(error.to_string()))?;
    let mut tensors = tensors_of(path, Arc::new(bytes))?;
    let factors = Factors::take(&mut tensors, &config).map_err(damaged)?;
    let body = Part::all(&config).filter(|part| !matches!(part, Part::Embedding | Part::Head));
    let n_parameters = factors.n_parameters() + body.map(|part| part.n_parameters(&config)).sum::<u64>();
    let n_bytes = config.n_vocab * config.hidden * 2;
    super::check_memory(NAME, "its vocabulary", n_bytes as u64, super::SHORTER)?;
    // A panic in building static tables is a bug that the next use of them will report again.
    let _ = warm.join();
    tracing::debug!(n_parameters, "weights of stapes unpacked");
    let codes = codes(config.n_vocab);
    tracing::debug!("codes of its vocabulary made");
    let memory = |source| LoadError::Read { path: path.to_owned(), source };
    let mut head = MmapMut::map_anon(n_bytes).map_err(memory)?;
    #[cfg(target_os = "linux")]
    let _ = head.advise(memmap2::Advice::HugePage); // only faster: a system without them says no
    expand(&factors.head, &factors.ids, &codes, &mut head);
    let storage: Storage = Arc::new(head.make_read_only().map_err(memory)?);
    let form = Form { dtype: Dtype::BF16, shape: Part::Head.shape(&config) };
    tensors.insert(Part::Head.name(), Tensor::made(form, path, storage));
    tracing::debug!("head expanded");
    // One line of a terminal.
    let notice = "stapes, a demonstration model, calls tools and knows nothing; for real work give a gpt-oss with -m";
    let embedding = Embedding { factor: factors.embedding, ids: factors.ids, codes };
    Ok(Checkpoint {
        name: NAME.to_owned(),
        notice: Some(notice.to_owned()),
        key: *blake3::hash(WEIGHTS).as_bytes(),
        config,
        path: path.to_owned(),
        embedding: Some(Arc::new(embedding)),
        contents: Contents::Tensors(tensors),
        adapter: None,
        n_shards: 1,
        n_parameters,
    })
}

/// What the two vocabulary matrices are made of.
struct Factors {
    embedding: Factor,
    head: Factor,
    ids: Vec<Token>, // [n_learned] ascending
}

struct Factor {
    by_code: Vec<f32>, // [CODE_BITS][width]
    learned: Vec<f32>, // [n_learned][width]
    width: usize,
}

impl Factors {
    /// Takes them out of the file's tensors.
    fn take(tensors: &mut BTreeMap<String, Tensor>, config: &ModelConfig) -> Result<Self, String> {
        let width = config.hidden;
        let ids = tensors.remove("stapes.learned_ids").ok_or("no stapes.learned_ids")?;
        let ids: Vec<Token> = ids.bytes().as_chunks::<4>().0.iter().map(|bytes| Token::from_le_bytes(*bytes)).collect();
        let in_vocabulary = ids.last().is_none_or(|&last| (last as usize) < config.n_vocab);
        if !in_vocabulary || !ids.is_sorted_by(|a, b| a < b) {
            return Err("stapes.learned_ids do not ascend within the vocabulary".into());
        }
        let mut take = |name: &str, n_rows: usize| {
            let tensor = tensors.remove(name).ok_or_else(|| format!("no {name}"))?;
            let expected = Form { dtype: Dtype::BF16, shape: vec![n_rows, width] };
            if tensor.form != expected {
                return Err(format!("{name} is {}, expected {expected}", tensor.form));
            }
            let numbers = tensor.bytes().as_chunks::<2>().0.iter();
            Ok(numbers.map(|bytes| half::bf16::from_le_bytes(*bytes).to_f32()).collect())
        };
        let mut factor = |by_code: &str, learned: &str| {
            Ok::<_, String>(Factor { by_code: take(by_code, CODE_BITS)?, learned: take(learned, ids.len())?, width })
        };
        let embedding = factor("stapes.code_to_embedding", "stapes.learned_embedding")?;
        let head = factor("stapes.code_to_head", "stapes.learned_head")?;
        Ok(Self { embedding, head, ids })
    }

    fn n_parameters(&self) -> u64 {
        let of = |factor: &Factor| factor.by_code.len() + factor.learned.len();
        (of(&self.embedding) + of(&self.head)) as u64
    }
}

/// The embedding: few of its rows are ever read, so each is computed when it is.
struct Embedding {
    factor: Factor,
    ids: Vec<Token>,  // [n_learned] ascending
    codes: Vec<Code>, // [n_vocab]
}

impl EmbeddingRows for Embedding {
    fn read(&self, token: Token, row: &mut [f32]) {
        let width = self.factor.width;
        row.fill(0.0);
        for (k, signed) in self.factor.by_code.chunks_exact(width).enumerate() {
            let weight = entry(&self.codes[token as usize], k);
            row.iter_mut().zip(signed).for_each(|(sum, x)| *sum += weight * x);
        }
        if let Ok(learned_idx) = self.ids.binary_search(&token) {
            let learned = &self.factor.learned[learned_idx * width..][..width];
            row.iter_mut().zip(learned).for_each(|(sum, x)| *sum += x);
        }
        // As a stored matrix would have it.
        row.iter_mut().for_each(|x| *x = f32::from_bits(u32::from(bf16_bits(*x)) << 16));
    }
}

/// Fills the matrix, [n_codes][width] in bf16: code times `by_code`, plus the learned row where there is one.
fn expand(factor: &Factor, learned_ids: &[Token], codes: &[Code], matrix: &mut [u8]) {
    let row_bytes = factor.width * 2;
    let n_together = codes.len().div_ceil(n_threads());
    thread::scope(|scope| {
        for (idx, (codes, rows)) in codes.chunks(n_together).zip(matrix.chunks_mut(n_together * row_bytes)).enumerate()
        {
            let first_id = (idx * n_together) as Token;
            scope.spawn(move || {
                for column in (0..factor.width).step_by(STRIP) {
                    expand_strip(factor, learned_ids, codes, first_id, column, rows);
                }
            });
        }
    });
}

/// The columns `column..column + STRIP` of the rows from `first_id` on; their tables fit into a core's cache.
/// `rows`: [n_codes][width] in bf16
fn expand_strip(f: &Factor, learned_ids: &[Token], codes: &[Code], first_id: Token, column: usize, rows: &mut [u8]) {
    let kernels = Kernels::best();
    let tables = tables(f, column);
    let mut learned_idx = learned_ids.partition_point(|&id| id < first_id);
    for ((id, code), row) in (first_id..).zip(codes).zip(rows.chunks_exact_mut(f.width * 2)) {
        let mut sums = [0.0; STRIP];
        kernels.add_picked(&mut sums, &tables, code);
        if learned_ids.get(learned_idx) == Some(&id) {
            let learned = &f.learned[learned_idx * f.width + column..][..STRIP];
            sums.iter_mut().zip(learned).for_each(|(sum, learned)| *sum += learned);
            learned_idx += 1;
        }
        for (out, sum) in row[column * 2..].as_chunks_mut::<2>().0.iter_mut().zip(sums) {
            *out = bf16_bits(sum).to_le_bytes();
        }
    }
}

/// The nearest bf16, of two equally near the even one. Nothing here is infinite or no number.
fn bf16_bits(x: f32) -> u16 {
    let bits = x.to_bits();
    ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16) as u16
}

/// For every byte of a code and every value of it, the sum of its eight signed rows. [CODE_BITS / 8][256][STRIP]
fn tables(factor: &Factor, column: usize) -> Vec<[[f32; STRIP]; 256]> {
    let mut tables = vec![[[0.0; STRIP]; 256]; CODE_BITS / 8];
    for (byte_idx, table) in tables.iter_mut().enumerate() {
        for bit in 0..8 {
            let k = byte_idx * 8 + bit;
            let row = &factor.by_code[k * factor.width + column..][..STRIP];
            for (value, sums) in table.iter_mut().enumerate() {
                let weight = if value >> bit & 1 == 1 { weight_of(k) } else { -weight_of(k) };
                sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
            }
        }
    }
    tables
}

fn weight_of(k: usize) -> f32 {
    if k < FIRST_FLAG { 1.0 } else { FLAG_WEIGHT }
}

/// Entry k of a code.
fn entry(code: &Code, k: usize) -> f32 {
    if code[k / 8] >> (k % 8) & 1 == 1 { weight_of(k) } else { -weight_of(k) }
}

/// The codes of all tokens.
fn codes(n_vocab: usize) -> Vec<Code> {
    let words = Words::new();
    let mut codes = vec![Code::default(); n_vocab];
    let n_together = n_vocab.div_ceil(n_threads());
    thread::scope(|scope| {
        for (idx, codes) in codes.chunks_mut(n_together).enumerate() {
            let words = &words;
            scope.spawn(move || {
                for (id, code) in ((idx * n_together) as Token..).zip(codes) {
                    *code = code_of(id, words);
                }
            });
        }
    });
    codes
}

/// The hashes of all text tokens, in a table with open addressing: whether a stem is a token of its own.
struct Words(Vec<u64>); // [2^19], 0 is empty

impl Words {
    const N_BITS: u32 = 19;

    fn new() -> Self {
        let mut table = vec![0; 1 << Self::N_BITS];
        for id in 0..special::N_TEXT {
            if let Some(bytes) = tokenizer::decode_bytes(id) {
                let hash = fnv1a(FNV_START, bytes).max(1);
                let mut at = Self::place(hash);
                while table[at] != 0 && table[at] != hash {
                    at = (at + 1) % table.len();
                }
                table[at] = hash;
            }
        }
        Self(table)
    }

    fn place(hash: u64) -> usize {
        (hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - Self::N_BITS)) as usize
    }

    /// Two of 200,000 tokens share a 64-bit hash with a probability of one in a billion, and a test looks at all of them.
    fn contains(&self, word: &[u8]) -> bool {
        let hash = fnv1a(FNV_START, word).max(1);
        let mut at = Self::place(hash);
        while self.0[at] != 0 && self.0[at] != hash {
            at = (at + 1) % self.0.len();
        }
        self.0[at] == hash
    }
}

/// The code of one token.
fn code_of(id: Token, words: &Words) -> Code {
    let bytes = tokenizer::decode_bytes(id);
    let placeholder = if bytes.is_some() { String::new() } else { format!("<|{id}|>") };
    let whole = bytes.unwrap_or(placeholder.as_bytes());
    let n_mark = if bytes.is_some() { mark_length(whole) } else { 0 };
    let (mark, stem) = whole.split_at(n_mark);
    let state = stem.iter().fold(FNV_START, |hash, byte| fnv1a(hash, &[byte.to_ascii_lowercase()]));
    let [first, second] = [splitmix64(state), splitmix64(state.wrapping_add(GOLDEN))];
    let exact = splitmix64(fnv1a(fnv1a(FNV_START, b"exact"), whole));
    let mut code = Code::default();
    code[..8].copy_from_slice(&first.to_le_bytes());
    code[8..13].copy_from_slice(&second.to_le_bytes()[..5]);
    code[13] = exact as u8;
    let flags = [
        mark == b" ",
        mark == b".",
        mark == b"_",
        !matches!(mark, b"" | b" " | b"." | b"_"),
        mark.is_empty(),
        stem.first().is_some_and(u8::is_ascii_uppercase),
        stem.len() > 1 && stem.iter().any(u8::is_ascii_uppercase) && !stem.iter().any(u8::is_ascii_lowercase),
        stem.iter().all(u8::is_ascii_digit),
        stem.iter().all(u8::is_ascii_alphabetic),
        stem.contains(&b'\n'),
        bytes.is_none(),
        stem.len() <= 2,
        stem.len() <= 4,
        mark == b" " && words.contains(stem),
        bytes.is_some_and(|bytes| bytes.iter().any(|&byte| byte >= 128)),
        !stem.first().is_some_and(u8::is_ascii_alphanumeric),
    ];
    let flags = flags.iter().enumerate().fold(0, |bits, (k, &flag)| bits | u16::from(flag) << k);
    code[14..].copy_from_slice(&flags.to_le_bytes());
    code
}

/// 1 when the token begins with a mark and goes on with a letter, a digit or a byte above 127; else 0.
fn mark_length(token: &[u8]) -> usize {
    match token {
        [mark, next, ..] if b" ._\"'-/(#@".contains(mark) && (next.is_ascii_alphanumeric() || *next >= 128) => 1,
        _ => 0,
    }
}

const FNV_START: u64 = 0xCBF2_9CE4_8422_2325;
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// FNV-1a (Fowler, Noll, Vo), from `hash` on.
fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3))
}

/// The next output of SplitMix64 (Steele, Lea, Flood 2014) in this state.
fn splitmix64(state: u64) -> u64 {
    let x = state.wrapping_add(GOLDEN);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn n_threads() -> usize {
    num_cpus::get_physical().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_those_of_the_training_script() {
        let golden = include_str!("../../../models/stapes/codes_golden.json");
        let golden: BTreeMap<String, Vec<f32>> = serde_json::from_str(golden).unwrap();
        assert!(golden.len() > 50);
        let words = Words::new();
        for (id, expected) in golden {
            let code = code_of(id.parse().unwrap(), &words);
            let entries: Vec<f32> = (0..CODE_BITS).map(|k| entry(&code, k)).collect();
            assert_eq!(entries, expected, "token {id}");
        }
    }

    #[test]
    fn no_stem_is_mistaken_for_a_token() {
        let tokens: Vec<&[u8]> = (0..special::N_TEXT).filter_map(tokenizer::decode_bytes).collect();
        let exact: HashSet<&[u8]> = tokens.iter().copied().collect();
        let words = Words::new();
        for token in tokens {
            let stem = &token[mark_length(token)..];
            assert_eq!(words.contains(stem), exact.contains(stem), "{token:?}");
        }
    }

    #[test]
    fn rows_are_codes_times_the_matrix_plus_what_was_learned() {
        let (width, ids) = (64, vec![0, 5, 199_999, 201_087]);
        let number = |idx: usize| (splitmix64(idx as u64) >> 40) as f32 / (1 << 24) as f32 - 0.5;
        let factor = Factor {
            by_code: (0..CODE_BITS * width).map(number).collect(),
            learned: (0..ids.len() * width).map(|idx| number(idx + 1_000_000)).collect(),
            width,
        };
        let codes = codes(special::N_VOCAB);
        let mut matrix = vec![0; codes.len() * width * 2];
        expand(&factor, &ids, &codes, &mut matrix);
        let embedding = Embedding { factor, ids: ids.clone(), codes };
        for id in [0, 1, 5, 6, 100_543, 100_544, 199_999, 200_000, 201_086, 201_087u32] {
            let mut row = vec![f32::NAN; width];
            embedding.read(id, &mut row);
            for (column, read) in row.iter().enumerate() {
                let code = &embedding.codes[id as usize];
                let by_code =
                    |k: usize| f64::from(entry(code, k)) * f64::from(embedding.factor.by_code[k * width + column]);
                let mut sum: f64 = (0..CODE_BITS).map(by_code).sum();
                if let Ok(learned_idx) = ids.binary_search(&id) {
                    sum += f64::from(embedding.factor.learned[learned_idx * width + column]);
                }
                let at = (id as usize * width + column) * 2;
                let expanded = half::bf16::from_le_bytes([matrix[at], matrix[at + 1]]).to_f32();
                for found in [expanded, *read] {
                    // Half a unit in the last place of bf16, and the sums' own rounding.
                    let near = (f64::from(found) - sum).abs() <= sum.abs() / 256.0 + 1e-5;
                    assert!(near, "row {id}, column {column}: {found}, {sum}");
                }
            }
        }
    }

    #[test]
    fn the_embedded_model_is_complete() {
        let checkpoint = open().unwrap();
        assert!(checkpoint.notice.as_deref().unwrap().contains("demonstration model"));
        let inspection = super::super::Inspection::of(checkpoint, Default::default(), false);
        assert!(inspection.is_complete() && inspection.n_unused == 0, "{inspection}");
    }
}
