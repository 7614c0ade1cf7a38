//! The header of a GGUF file: its metadata and the table of its tensors, read where they lie.
//!
//! What it is not: it knows nothing of gpt-oss and touches no tensor. Every count and length is held against the bytes that
//! are there before it is believed, so that a hostile file costs neither memory nor time beyond a bound.
//! Start at [`Header::parse`]; the format is that of ggml's `docs/gguf.md`, versions 2 and 3, little-endian.

use std::collections::BTreeMap;

/// What a file begins with.
pub(super) const MAGIC: &[u8; 4] = b"GGUF";

/// A header with a vocabulary of 201,088 tokens and their merges takes 20 MB; one that is longer is not read.
const LONGEST_HEADER: usize = 256 << 20;
/// A real file has about 60 entries and 460 tensors.
const MOST_ENTRIES: u64 = 1 << 16;
/// By the format's description.
const LONGEST_KEY: u64 = 65_535;
/// ggml's own limit is 64.
const LONGEST_NAME: u64 = 256;
/// ggml's limit.
const MOST_SIDES: u32 = 4;

/// Why a header cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The file is cut short or says what cannot be.
    Damaged(String),
    /// It is sound and of a kind that is not read.
    Unsupported(String),
}

/// A parsed header, which borrows the file's bytes.
pub(super) struct Header<'a> {
    metadata: BTreeMap<&'a str, Value<'a>>,
    pub(super) tensors: Vec<Entry<'a>>,
    /// Where the offsets of the tensors begin to count.
    pub(super) data_start: usize,
}

/// What a key of the metadata says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    /// UTF-8 by the format, and checked by those who need it.
    Text(&'a [u8]),
    Array(Array<'a>),
}

/// An array of numbers or texts, not decoded: that of the tokens is long and only its length is of interest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Array<'a> {
    type_id: u32,
    pub(super) n: u64,
    bytes: &'a [u8],
}

/// A tensor as the table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    /// The longest stretch in memory first, as ggml counts: the reverse of the usual order.
    pub(super) sides: Vec<usize>,
    pub(super) type_id: u32,
    pub(super) offset: u64,
}

impl<'a> Header<'a> {
    /// Reads the header of a file of these bytes.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Problem> {
        let (mut reader, n_tensors, n_entries) = start(bytes)?;
        let mut metadata = BTreeMap::new();
        for _ in 0..n_entries {
            let (key, value) = reader.entry()?;
            if metadata.insert(key, value).is_some() {
                return Err(damaged(format!("its metadata have {key:?} twice")));
            }
        }
        let tensors = (0..n_tensors).map(|_| reader.tensor()).collect::<Result<Vec<_>, _>>()?;
        let alignment = match metadata.get("general.alignment") {
            None => 32,
            Some(&Value::Unsigned(n)) if n.is_power_of_two() && n <= 1 << 20 => n as usize,
            Some(value) => return Err(damaged(format!("general.alignment is {value:?}, expected a power of two"))),
        };
        let data_start = reader.at.next_multiple_of(alignment);
        Ok(Self { metadata, tensors, data_start })
    }

    /// What the metadata say under a key.
    pub(super) fn value(&self, key: &str) -> Option<Value<'a>> {
        self.metadata.get(key).copied()
    }

    /// A whole number that is not negative, where the key is there.
    pub(super) fn unsigned(&self, key: &str) -> Result<Option<u64>, String> {
        self.value(key).map(|value| value.unsigned().ok_or_else(|| wrong(key, "a whole number"))).transpose()
    }

    /// A number, where the key is there.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, String> {
        let Some(value) = self.value(key) else { return Ok(None) };
        match value {
            Value::Float(number) => Ok(Some(number)),
            _ => value.unsigned().map(|number| Some(number as f64)).ok_or_else(|| wrong(key, "a number")),
        }
    }

    /// A text, where the key is there.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, String> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let text = if let Value::Text(bytes) = value { std::str::from_utf8(bytes).ok() } else { None };
        text.map(Some).ok_or_else(|| wrong(key, "a text"))
    }
}

fn wrong(key: &str, expected: &str) -> String {
    format!("its metadata's {key} is not {expected}")
}

/// The architecture that the metadata name, found without reading on behind it.
pub(super) fn architecture(bytes: &[u8]) -> Result<Option<&str>, Problem> {
    let (mut reader, _, n_entries) = start(bytes)?;
    for _ in 0..n_entries {
        if let ("general.architecture", Value::Text(name)) = reader.entry()? {
            return Ok(std::str::from_utf8(name).ok());
        }
    }
    Ok(None)
}

/// Checks magic and version. Returns what reads on, the number of tensors and that of the metadata's entries.
fn start(bytes: &[u8]) -> Result<(Reader<'_>, u64, u64), Problem> {
    if bytes.is_empty() || !bytes.starts_with(&MAGIC[..bytes.len().min(4)]) {
        return Err(Problem::Unsupported("it is no GGUF file: it does not begin with the letters GGUF".into()));
    }
    let mut reader =
        Reader { bytes: &bytes[..bytes.len().min(LONGEST_HEADER)], is_cut: bytes.len() > LONGEST_HEADER, at: 0 };
    reader.take(4)?;
    let version = reader.u32()?;
    match version {
        2 | 3 => {}
        _ if matches!(version.swap_bytes(), 1..=3) => {
            return Err(Problem::Unsupported(
                "its numbers are big-endian, and only little-endian files are read".into(),
            ));
        }
        _ => return Err(Problem::Unsupported(format!("its GGUF version is {version}, and 2 and 3 are read"))),
    }
    let (n_tensors, n_entries) = (reader.u64()?, reader.u64()?);
    for (what, n) in [("tensors", n_tensors), ("entries of metadata", n_entries)] {
        if n > MOST_ENTRIES {
            return Err(damaged(format!("it claims {n} {what}, and {MOST_ENTRIES} are the most that are read")));
        }
    }
    Ok((reader, n_tensors, n_entries))
}

fn damaged(problem: impl Into<String>) -> Problem {
    Problem::Damaged(problem.into())
}

/// Reads on through the header.
struct Reader<'a> {
    bytes: &'a [u8],
    /// The file goes on behind them.
    is_cut: bool,
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: u64) -> Result<&'a [u8], Problem> {
        let rest = &self.bytes[self.at..];
        match usize::try_from(n).ok().and_then(|n| rest.get(..n)) {
            Some(taken) => {
                self.at += taken.len();
                Ok(taken)
            }
            None if self.is_cut => Err(damaged(format!("its header is longer than {LONGEST_HEADER} bytes"))),
            None => Err(damaged(format!(
                "at byte {} its header claims {n} bytes more, and the file ends after {}",
                self.at,
                rest.len()
            ))),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N as u64)?);
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, Problem> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Problem> {
        self.array().map(u64::from_le_bytes)
    }

    /// A text of at most so many bytes.
    fn text(&mut self, what: &str, longest: u64) -> Result<&'a str, Problem> {
        let n = self.u64()?;
        if n > longest {
            return Err(damaged(format!("{what} is said to be {n} bytes long, and {longest} are the most")));
        }
        std::str::from_utf8(self.take(n)?).map_err(|_| damaged(format!("{what} before byte {} is not UTF-8", self.at)))
    }

    fn entry(&mut self) -> Result<(&'a str, Value<'a>), Problem> {
        let key = self.text("a key of its metadata", LONGEST_KEY)?;
        let type_id = self.u32()?;
        let value = match type_id {
            8 => {
                let n = self.u64()?;
                Value::Text(self.take(n)?)
            }
            9 => Value::Array(self.values(key)?),
            _ => {
                let size = size_of_type(type_id).ok_or_else(|| damaged(unknown_type(key, type_id)))?;
                scalar(type_id, self.take(size)?)
            }
        };
        Ok((key, value))
    }

    fn values(&mut self, key: &str) -> Result<Array<'a>, Problem> {
        let (type_id, n) = (self.u32()?, self.u64()?);
        let start = self.at;
        if type_id == 8 {
            for _ in 0..n {
                let n = self.u64()?;
                self.take(n)?;
            }
        } else {
            let size = size_of_type(type_id).ok_or_else(|| damaged(unknown_type(key, type_id)))?;
            self.take(n.saturating_mul(size))?;
        }
        Ok(Array { type_id, n, bytes: &self.bytes[start..self.at] })
    }

    fn tensor(&mut self) -> Result<Entry<'a>, Problem> {
        let name = self.text("a tensor's name", LONGEST_NAME)?;
        let n_sides = self.u32()?;
        if n_sides > MOST_SIDES {
            return Err(damaged(format!(
                "tensor {name:?} is said to have {n_sides} sides, and {MOST_SIDES} are the most"
            )));
        }
        let mut sides = Vec::with_capacity(n_sides as usize);
        for _ in 0..n_sides {
            let side = self.u64()?;
            let too_long = || damaged(format!("tensor {name:?} is said to have a side of {side}"));
            sides.push(usize::try_from(side).map_err(|_| too_long())?);
        }
        Ok(Entry { name, sides, type_id: self.u32()?, offset: self.u64()? })
    }
}

fn unknown_type(key: &str, type_id: u32) -> String {
    format!("its metadata's {key:?} has values of type {type_id}, which there is not")
}

/// Bytes of a value of this type; `None` for texts, arrays and what there is not.
fn size_of_type(type_id: u32) -> Option<u64> {
    match type_id {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// A value of [`size_of_type`] bytes.
fn scalar<'a>(type_id: u32, bytes: &[u8]) -> Value<'a> {
    let mut eight = [0; 8];
    eight[..bytes.len()].copy_from_slice(bytes);
    let bits = u64::from_le_bytes(eight);
    match type_id {
        1 => Value::Signed(i64::from(bits as i8)),
        3 => Value::Signed(i64::from(bits as i16)),
        5 => Value::Signed(i64::from(bits as i32)),
        6 => Value::Float(f64::from(f32::from_bits(bits as u32))),
        7 => Value::Bool(bits != 0),
        11 => Value::Signed(bits as i64),
        12 => Value::Float(f64::from_bits(bits)),
        _ => Value::Unsigned(bits),
    }
}

impl Value<'_> {
    /// As a whole number that is not negative.
    pub(super) fn unsigned(self) -> Option<u64> {
        match self {
            Value::Unsigned(number) => Some(number),
            Value::Signed(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }
}

impl<'a> Array<'a> {
    /// Its numbers one after the other; none where it holds texts.
    pub(super) fn values(self) -> impl Iterator<Item = Value<'a>> {
        let size = size_of_type(self.type_id);
        let bytes = if size.is_some() { self.bytes } else { &[] };
        bytes.chunks_exact(size.unwrap_or(1) as usize).map(move |bytes| scalar(self.type_id, bytes))
    }
}
