//! The GGUF container, version 3, little-endian, as far as writing a model needs it: metadata, the table of tensors,
//! and how many bytes each tensor takes. What it is not: it reads nothing, and it knows no model. Start at
//! [`header`]; the format is specified in ggml's docs/gguf.md.

/// Tensor data begins and each tensor begins at a multiple of this. In bytes.
pub(crate) const ALIGNMENT: u64 = 32;

const MAGIC: &[u8; 4] = b"GGUF";
const VERSION: u32 = 3;

/// Types of metadata values, by the format's numbers.
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// How a tensor's numbers lie, by ggml's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    F32 = 0,
    /// 32 numbers in 34 bytes: an f16 scale, then a signed byte for each.
    Q8_0 = 8,
    /// 32 numbers in 17 bytes: an E8M0 scale, then an E2M1 code for each, two to a byte.
    Mxfp4 = 39,
}

impl Form {
    /// Numbers in a block, and the bytes they take.
    pub(crate) fn block(self) -> (u64, u64) {
        match self {
            Self::F32 => (1, 4),
            Self::Q8_0 => (32, 34),
            Self::Mxfp4 => (32, 17),
        }
    }
}

/// One tensor of the table.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    /// The fastest dimension first, as ggml counts.
    pub(crate) shape: Vec<u64>,
    pub(crate) form: Form,
}

impl Tensor {
    /// Without the padding behind it.
    pub(crate) fn n_bytes(&self) -> u64 {
        let (n_numbers, n_bytes) = self.form.block();
        self.shape.iter().product::<u64>() / n_numbers * n_bytes
    }
}

/// Bytes from here to the next multiple of the alignment.
pub(crate) fn padding(at: u64) -> u64 {
    at.next_multiple_of(ALIGNMENT) - at
}

/// Keys and values, in the order in which they are added.
#[derive(Default)]
pub(crate) struct Metadata {
    n_entries: u64,
    bytes: Vec<u8>,
}

impl Metadata {
    pub(crate) fn u32(&mut self, key: &str, value: u32) {
        self.key(key, U32);
        self.bytes.extend(value.to_le_bytes());
    }

    pub(crate) fn f32(&mut self, key: &str, value: f32) {
        self.key(key, F32);
        self.bytes.extend(value.to_le_bytes());
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(key, TEXT);
        text(&mut self.bytes, value);
    }

    pub(crate) fn texts(&mut self, key: &str, values: impl ExactSizeIterator<Item = String>) {
        self.array(key, TEXT, values.len());
        values.for_each(|value| text(&mut self.bytes, &value));
    }

    pub(crate) fn i32s(&mut self, key: &str, values: impl ExactSizeIterator<Item = i32>) {
        self.array(key, I32, values.len());
        values.for_each(|value| self.bytes.extend(value.to_le_bytes()));
    }

    fn key(&mut self, key: &str, kind: u32) {
        self.n_entries += 1;
        text(&mut self.bytes, key);
        self.bytes.extend(kind.to_le_bytes());
    }

    fn array(&mut self, key: &str, kind: u32, n_values: usize) {
        self.key(key, ARRAY);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((n_values as u64).to_le_bytes());
    }
}

fn text(bytes: &mut Vec<u8>, value: &str) {
    bytes.extend((value.len() as u64).to_le_bytes());
    bytes.extend(value.as_bytes());
}

/// Everything before the tensors' data, padded; they follow in the order of the table, each padded too.
pub(crate) fn header(metadata: &Metadata, tensors: &[Tensor]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend(metadata.n_entries.to_le_bytes());
    bytes.extend(&metadata.bytes);
    let mut offset = 0_u64;
    for tensor in tensors {
        text(&mut bytes, &tensor.name);
        bytes.extend((tensor.shape.len() as u32).to_le_bytes());
        tensor.shape.iter().for_each(|side| bytes.extend(side.to_le_bytes()));
        bytes.extend((tensor.form as u32).to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        offset = (offset + tensor.n_bytes()).next_multiple_of(ALIGNMENT);
    }
    bytes.resize(bytes.len() + padding(bytes.len() as u64) as usize, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[u64], form: Form) -> Tensor {
        Tensor { name: name.into(), shape: shape.into(), form }
    }

    #[test]
    fn a_tensor_takes_what_its_blocks_take() {
        for (shape, form, n_bytes) in [
            (vec![2880], Form::F32, 11_520),
            (vec![2880, 201_088], Form::Q8_0, 615_329_280),
            (vec![2880, 2880, 32], Form::Mxfp4, 141_004_800),
        ] {
            assert_eq!(tensor("t", &shape, form).n_bytes(), n_bytes, "{shape:?} {form:?}");
        }
    }

    #[test]
    fn a_header_is_what_the_specification_says_byte_for_byte() {
        let mut metadata = Metadata::default();
        metadata.u32("n", 7);
        metadata.texts("t", ["ab".to_owned()].into_iter());
        let tensors = [tensor("a", &[3], Form::F32), tensor("b", &[32, 1], Form::Q8_0)];
        let bytes = header(&metadata, &tensors);
        let expected: &[&[u8]] = &[
            b"GGUF\x03\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0",
            b"\x01\0\0\0\0\0\0\0n\x04\0\0\0\x07\0\0\0",
            b"\x01\0\0\0\0\0\0\0t\x09\0\0\0\x08\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0ab",
            b"\x01\0\0\0\0\0\0\0a\x01\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            // The first tensor's 12 bytes are padded to 32.
            b"\x01\0\0\0\0\0\0\0b\x02\0\0\0\x20\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x08\0\0\0\x20\0\0\0\0\0\0\0",
        ];
        let mut expected = expected.concat();
        expected.resize(expected.len().next_multiple_of(32), 0);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn padding_leads_to_the_next_multiple_and_nowhere_from_one() {
        assert_eq!([0, 1, 31, 32, 33].map(padding), [0, 31, 1, 0, 31]);
    }
}
