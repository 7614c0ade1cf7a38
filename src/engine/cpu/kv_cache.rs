//! What the model has read: keys and values of every position, and the tokens they came from.
//!
//! What it is not: it computes nothing. Layers that see all keep all positions; layers with a window keep the last of them in
//! a ring, so going back far needs a [`Mark`]: a copy of a window, kept where others may come back to.
//! Start at [`KvCache::keep_common_prefix`].

use super::config::{LayerKind, ModelConfig};
use super::forward::MAX_BATCH;
use super::kernels::Kernels;
use super::kernels::attention::{LANES, TILE, Tile};
use crate::harmony::Token;
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::ops::Range;

/// How many marks are kept; of the 20b one takes 3 MB.
const MOST_MARKS: usize = 12;

/// How numbers are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheFormat {
    /// As they were computed: for checking.
    F32,
    /// Half of that.
    #[default]
    F16,
    /// A quarter, with one scale for each head of each position.
    Int8,
}

/// Keys and values of one transcript.
pub(crate) struct KvCache {
    layers: Vec<LayerCache>,
    tokens: Vec<Token>, // [n_positions so far]
    /// One more than the furthest position whose place in the rings has been written.
    written: usize,
    /// The first position that the rings hold since they were last filled from a copy.
    held: usize,
    marks: Vec<Mark>, // the last made or used last
    /// How many of the tokens will stay when the conversation goes on.
    lasting: usize,
    window: usize,
    shape: Shape,
}

/// What the layers have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    n_kv_heads: usize,
    head_dim: usize,
    format: CacheFormat,
}

impl Shape {
    fn of(c: &ModelConfig, format: CacheFormat) -> Self {
        Self { n_kv_heads: c.n_kv_heads, head_dim: c.head_dim, format }
    }

    fn padded(&self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    /// Numbers of eight positions of a head: keys [head_dim][8], then values [8][padded head_dim].
    fn record(&self) -> usize {
        LANES * (self.head_dim + self.padded())
    }

    /// Bytes of a record with its scales.
    fn record_bytes(&self) -> usize {
        match self.format {
            CacheFormat::F32 => 4 * self.record(),
            CacheFormat::F16 => 2 * self.record(),
            CacheFormat::Int8 => self.record() + 2 * LANES * size_of::<f32>(),
        }
    }
}

/// Of one layer: records of eight positions, [n_kv_heads][n_records]. The keys have been rotated.
struct LayerCache {
    numbers: Numbers,
    scales: Vec<f32>, // of int8: [n_kv_heads][n_records][2][8]
    n_records: usize, // in a ring, record i is at i % n_records
    kind: LayerKind,
}

enum Numbers {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Int8(Vec<i8>),
}

/// A window of the sliding layers, up to a position.
struct Mark {
    len: usize,
    records: Vec<u8>,
}

impl KvCache {
    /// An empty cache for so many positions. Fresh zeroed memory costs nothing before it is written.
    pub(crate) fn new(config: &ModelConfig, capacity: usize, format: CacheFormat) -> Self {
        let shape = Shape::of(config, format);
        let layers =
            config.layers.iter().map(|kind| LayerCache::new(*kind, n_records(*kind, config, capacity), &shape));
        let window = config.window;
        Self {
            layers: layers.collect(),
            tokens: Vec::new(),
            written: 0,
            held: 0,
            marks: Vec::new(),
            lasting: 0,
            window,
            shape,
        }
    }

    /// Bytes that a cache of so many positions may come to take, its marks included.
    pub(crate) fn n_bytes(config: &ModelConfig, capacity: usize, format: CacheFormat) -> u64 {
        let shape = Shape::of(config, format);
        let record = (shape.n_kv_heads * shape.record_bytes()) as u64;
        let layers = config.layers.iter().map(|kind| record.saturating_mul(n_records(*kind, config, capacity) as u64));
        let n_sliding = config.layers.iter().filter(|kind| **kind == LayerKind::Sliding).count();
        let mark = record * (n_sliding * (config.window.min(capacity) / LANES + 2)) as u64;
        let tokens = (size_of::<Token>() * capacity) as u64;
        layers.fold(tokens.saturating_add(MOST_MARKS as u64 * mark), u64::saturating_add)
    }

    /// Positions read so far.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The tokens they came from.
    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// How many of `tokens` need not be read again, at most `longest`.
    pub(crate) fn n_usable(&self, tokens: &[Token], longest: usize) -> usize {
        let n_common = self.tokens.iter().zip(tokens).take_while(|(old, new)| old == new).count().min(longest);
        if self.reaches(n_common) { n_common } else { self.mark_before(n_common).map_or(0, |idx| self.marks[idx].len) }
    }

    /// Forgets everything after the longest prefix that it shares with `tokens` and can go back to; returns that prefix's
    /// length, at most `longest`.
    pub(crate) fn keep_common_prefix(&mut self, tokens: &[Token], longest: usize) -> usize {
        let n = self.n_usable(tokens, longest);
        if !self.reaches(n)
            && let Some(idx) = self.mark_before(n)
        {
            let mark = self.marks.remove(idx);
            self.load_windows(mark.len, &mark.records);
            self.marks.push(mark);
        }
        self.tokens.truncate(n);
        self.lasting = self.lasting.min(n);
        // What was written after it counts no more, and what it has overwritten is gone.
        (self.held, self.written) = if n == 0 { (0, 0) } else { (self.oldest(), n) };
        self.marks.retain(|mark| mark.len <= n);
        n
    }

    /// Whether the rings still hold what a token at this position sees.
    fn reaches(&self, position: usize) -> bool {
        position == 0 || self.first_seen(position) >= self.oldest()
    }

    /// The first position that the rings hold.
    fn oldest(&self) -> usize {
        let ring = self.layers.iter().find(|layer| layer.kind == LayerKind::Sliding);
        let capacity = ring.map_or(usize::MAX, |layer| layer.n_records * LANES);
        self.written.next_multiple_of(LANES).saturating_sub(capacity).max(self.held)
    }

    /// The first position that sliding layers look at from here, or one before it in the same record.
    fn first_seen(&self, position: usize) -> usize {
        position.saturating_sub(self.window) / LANES * LANES
    }

    fn mark_before(&self, position: usize) -> Option<usize> {
        let before = self.marks.iter().enumerate().filter(|(_, mark)| mark.len <= position);
        before.max_by_key(|(_, mark)| mark.len).map(|(idx, _)| idx)
    }

    /// How many of the tokens will stay when the conversation goes on: at most those that can be come back to.
    pub(crate) fn lasting(&self) -> usize {
        self.n_usable(&self.tokens, self.lasting)
    }

    /// Says how many of the tokens will stay.
    pub(crate) fn set_lasting(&mut self, n: usize) {
        self.lasting = n;
    }

    /// Makes it possible to come back to here, however much is read after it.
    pub(crate) fn mark(&mut self) {
        let len = self.len();
        let has_rings = self.layers.iter().any(|layer| layer.kind == LayerKind::Sliding);
        if len == 0 || !has_rings {
            return;
        }
        if let Some(idx) = self.marks.iter().position(|mark| mark.len == len) {
            let mark = self.marks.remove(idx);
            self.marks.push(mark);
            return;
        }
        if self.marks.len() == MOST_MARKS {
            // Neither the first, which others begin with too, nor the one that the conversation goes on from.
            let lowest = self.marks.iter().map(|mark| mark.len).min();
            let spare = |mark: &Mark| Some(mark.len) != lowest && mark.len != self.lasting;
            let oldest = self.marks.iter().position(spare).unwrap_or(0);
            self.marks.remove(oldest);
        }
        let mut records = Vec::new();
        self.save_windows(len, &mut records);
        self.marks.push(Mark { len, records });
    }

    /// Writes keys and values of the positions after the last. Both: [n][n_kv_heads * head_dim]
    pub(crate) fn write(&mut self, layer_idx: usize, keys: &[f32], values: &[f32]) {
        let (start, shape) = (self.tokens.len(), self.shape);
        let width = shape.n_kv_heads * shape.head_dim;
        for (idx, (keys, values)) in keys.chunks_exact(width).zip(values.chunks_exact(width)).enumerate() {
            self.layers[layer_idx].write(start + idx, keys, values, &shape);
        }
        self.written = self.written.max(start + keys.len() / width);
    }

    /// Ends a pass: its positions have been written in every layer.
    pub(crate) fn append(&mut self, tokens: &[Token]) {
        self.tokens.extend_from_slice(tokens);
    }

    /// Floats that [`Self::tile`] fills in: keys, and values.
    pub(crate) fn tile_len(&self) -> (usize, usize) {
        (TILE * self.shape.head_dim, TILE * self.shape.padded())
    }

    /// The tile of a head in which position `start`, a multiple of [`TILE`], is the first; of its positions those in
    /// `counted` are read, with what surrounds them.
    pub(crate) fn tile<'a>(
        &self,
        layer_idx: usize,
        head: usize,
        start: usize,
        counted: Range<usize>,
        kernels: Kernels,
        (keys, values): (&'a mut [f32], &'a mut [f32]),
    ) -> Tile<'a> {
        let (layer, shape) = (&self.layers[layer_idx], &self.shape);
        for record_idx in counted.start / LANES..counted.end.div_ceil(LANES) {
            let keys = &mut keys[record_idx * LANES * shape.head_dim..][..LANES * shape.head_dim];
            let values = &mut values[record_idx * LANES * shape.padded()..][..LANES * shape.padded()];
            layer.read(layer.place(head, start / LANES + record_idx), shape, kernels, keys, values);
        }
        Tile { keys, values, counted }
    }

    /// Bytes of a copy of the first `len` positions.
    pub(crate) fn copy_bytes(&self, len: usize) -> usize {
        let n_records = |layer: &LayerCache| self.kept(layer, len).len();
        let records: usize = self.layers.iter().map(n_records).sum();
        records * self.shape.n_kv_heads * self.shape.record_bytes()
    }

    /// Appends a copy of the first `len` positions, as far as a token after them sees them: the last position, a marked one,
    /// or another that [`Self::n_usable`] has given.
    pub(crate) fn save(&self, len: usize, out: &mut Vec<u8>) {
        let mark = self.marks.iter().find(|mark| mark.len == len && !self.reaches(len));
        let mut windows = mark.map(|mark| &mark.records[..]);
        for layer in &self.layers {
            match &mut windows {
                Some(windows) if layer.kind == LayerKind::Sliding => {
                    let n_bytes = self.kept(layer, len).len() * self.shape.n_kv_heads * self.shape.record_bytes();
                    let (window, rest) = windows.split_at(n_bytes);
                    out.extend_from_slice(window);
                    *windows = rest;
                }
                _ => layer.save(self.kept(layer, len), &self.shape, out),
            }
        }
    }

    /// Becomes a copy of the first `len` positions of a cache of the same shape, where [`Self::save`] can copy them.
    pub(crate) fn copy_from(&mut self, other: &Self, len: usize) {
        let mut bytes = Vec::with_capacity(other.copy_bytes(len));
        other.save(len, &mut bytes);
        let is_whole = self.load(&other.tokens[..len], &bytes);
        debug_assert!(is_whole, "caches of one model have one shape");
        let earlier = other.marks.iter().filter(|mark| mark.len <= len);
        self.marks = earlier.map(|mark| Mark { len: mark.len, records: mark.records.clone() }).collect();
    }

    /// Takes the place of everything: `tokens`, whose keys and values [`Self::save`] has written. False when the bytes are
    /// not as many as these tokens have; then the cache is empty.
    pub(crate) fn load(&mut self, tokens: &[Token], bytes: &[u8]) -> bool {
        self.tokens.clear();
        self.marks.clear();
        (self.written, self.held) = (0, 0);
        let len = tokens.len();
        if self.copy_bytes(len) != bytes.len() {
            return false;
        }
        let mut rest = bytes;
        for layer_idx in 0..self.layers.len() {
            let kept = self.kept(&self.layers[layer_idx], len);
            self.layers[layer_idx].load(kept, &self.shape, &mut rest);
        }
        self.tokens.extend_from_slice(tokens);
        (self.written, self.held) = (len, self.first_seen(len));
        true
    }

    /// The records of a layer that matter to a token at position `len`.
    fn kept(&self, layer: &LayerCache, len: usize) -> Range<usize> {
        let first = match layer.kind {
            LayerKind::Full => 0,
            LayerKind::Sliding => self.first_seen(len) / LANES,
        };
        first..len.div_ceil(LANES)
    }

    fn save_windows(&self, len: usize, out: &mut Vec<u8>) {
        let sliding = self.layers.iter().filter(|layer| layer.kind == LayerKind::Sliding);
        sliding.for_each(|layer| layer.save(self.kept(layer, len), &self.shape, out));
    }

    fn load_windows(&mut self, len: usize, mut bytes: &[u8]) {
        for layer_idx in 0..self.layers.len() {
            if self.layers[layer_idx].kind == LayerKind::Sliding {
                let kept = self.kept(&self.layers[layer_idx], len);
                self.layers[layer_idx].load(kept, &self.shape, &mut bytes);
            }
        }
        (self.written, self.held) = (len, self.first_seen(len));
    }
}

/// Records that a layer keeps: all, or a window and what passes and shorter ways back need.
fn n_records(kind: LayerKind, config: &ModelConfig, capacity: usize) -> usize {
    let most = match kind {
        LayerKind::Full => capacity,
        LayerKind::Sliding => capacity.min(config.window + 2 * MAX_BATCH + LANES),
    };
    most.div_ceil(LANES)
}

impl LayerCache {
    fn new(kind: LayerKind, n_records: usize, shape: &Shape) -> Self {
        let n = shape.n_kv_heads * n_records;
        let numbers = match shape.format {
            CacheFormat::F32 => Numbers::F32(vec![0.0; n * shape.record()]),
            CacheFormat::F16 => Numbers::F16(vec![f16::ZERO; n * shape.record()]),
            CacheFormat::Int8 => Numbers::Int8(vec![0; n * shape.record()]),
        };
        let n_scales = if shape.format == CacheFormat::Int8 { n * 2 * LANES } else { 0 };
        Self { numbers, scales: vec![0.0; n_scales], n_records, kind }
    }

    /// Where a head's record lies.
    fn place(&self, head: usize, record_idx: usize) -> usize {
        head * self.n_records + record_idx % self.n_records
    }

    /// Keys and values of one position, of all heads.
    fn write(&mut self, position: usize, keys: &[f32], values: &[f32], shape: &Shape) {
        let (dim, lane) = (shape.head_dim, position % LANES);
        for head in 0..shape.n_kv_heads {
            let place = self.place(head, position / LANES);
            let (keys, values) = (&keys[head * dim..][..dim], &values[head * dim..][..dim]);
            let at = place * shape.record();
            let values_at = at + LANES * dim + lane * shape.padded();
            match &mut self.numbers {
                Numbers::F32(numbers) => {
                    keys.iter().enumerate().for_each(|(d, key)| numbers[at + d * LANES + lane] = *key);
                    numbers[values_at..][..dim].copy_from_slice(values);
                }
                Numbers::F16(numbers) => {
                    keys.iter().enumerate().for_each(|(d, key)| numbers[at + d * LANES + lane] = f16::from_f32(*key));
                    numbers[values_at..][..dim].convert_from_f32_slice(values);
                }
                Numbers::Int8(numbers) => {
                    let scales = &mut self.scales[place * 2 * LANES..][..2 * LANES];
                    let codes = quantise(keys, &mut scales[lane]);
                    codes.enumerate().for_each(|(d, code)| numbers[at + d * LANES + lane] = code);
                    let codes = quantise(values, &mut scales[LANES + lane]);
                    numbers[values_at..][..dim].iter_mut().zip(codes).for_each(|(number, code)| *number = code);
                }
            }
        }
    }

    /// One record as f32. `keys`: [head_dim][8], `values`: [8][padded head_dim]
    fn read(&self, place: usize, shape: &Shape, kernels: Kernels, keys: &mut [f32], values: &mut [f32]) {
        let at = place * shape.record();
        let n_keys = keys.len();
        match &self.numbers {
            Numbers::F32(numbers) => {
                keys.copy_from_slice(&numbers[at..][..n_keys]);
                values.copy_from_slice(&numbers[at + n_keys..][..values.len()]);
            }
            Numbers::F16(numbers) => {
                kernels.widen(&numbers[at..][..n_keys], keys);
                kernels.widen(&numbers[at + n_keys..][..values.len()], values);
            }
            Numbers::Int8(numbers) => {
                let scales = &self.scales[place * 2 * LANES..][..2 * LANES];
                for (idx, (out, code)) in keys.iter_mut().zip(&numbers[at..]).enumerate() {
                    *out = f32::from(*code) * scales[idx % LANES];
                }
                let rows = values.chunks_exact_mut(shape.padded()).zip(numbers[at + n_keys..].chunks(shape.padded()));
                for ((row, codes), scale) in rows.zip(&scales[LANES..]) {
                    row.iter_mut().zip(codes).for_each(|(out, code)| *out = f32::from(*code) * scale);
                }
            }
        }
    }

    fn save(&self, records: Range<usize>, shape: &Shape, out: &mut Vec<u8>) {
        for head in 0..shape.n_kv_heads {
            for record_idx in records.clone() {
                let place = self.place(head, record_idx);
                let numbers = place * shape.record()..(place + 1) * shape.record();
                match &self.numbers {
                    Numbers::F32(all) => put(&all[numbers], f32::to_le_bytes, out),
                    Numbers::F16(all) => put(&all[numbers], f16::to_le_bytes, out),
                    Numbers::Int8(all) => {
                        put(&all[numbers], i8::to_le_bytes, out);
                        put(&self.scales[place * 2 * LANES..][..2 * LANES], f32::to_le_bytes, out);
                    }
                }
            }
        }
    }

    /// Reads back what [`Self::save`] wrote, from the start of `bytes`, and leaves there what follows.
    fn load(&mut self, records: Range<usize>, shape: &Shape, bytes: &mut &[u8]) {
        for head in 0..shape.n_kv_heads {
            for record_idx in records.clone() {
                let place = self.place(head, record_idx);
                let (record, rest) = bytes.split_at(shape.record_bytes());
                *bytes = rest;
                let at = place * shape.record();
                let scales = &mut self.scales;
                match &mut self.numbers {
                    Numbers::F32(all) => take(record, f32::from_le_bytes, &mut all[at..]),
                    Numbers::F16(all) => take(record, f16::from_le_bytes, &mut all[at..]),
                    Numbers::Int8(all) => {
                        let (codes, scale_bytes) = record.split_at(shape.record());
                        take(codes, i8::from_le_bytes, &mut all[at..]);
                        take(scale_bytes, f32::from_le_bytes, &mut scales[place * 2 * LANES..]);
                    }
                }
            }
        }
    }
}

/// Appends numbers as bytes.
fn put<T: Copy, const N: usize>(numbers: &[T], bytes_of: impl Fn(T) -> [u8; N], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + N * numbers.len(), 0);
    let places = out[start..].as_chunks_mut::<N>().0.iter_mut();
    places.zip(numbers).for_each(|(place, number)| *place = bytes_of(*number));
}

/// The other way round: as many numbers as there are bytes for.
fn take<T, const N: usize>(bytes: &[u8], number_of: impl Fn([u8; N]) -> T, out: &mut [T]) {
    let numbers = bytes.as_chunks::<N>().0.iter();
    out.iter_mut().zip(numbers).for_each(|(out, bytes)| *out = number_of(*bytes));
}

/// The nearest codes from -127 to 127, and their scale.
fn quantise(x: &[f32], scale: &mut f32) -> impl Iterator<Item = i8> {
    let largest = x.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    *scale = largest / 127.0;
    x.iter().map(move |x| (x * inverse).round_ties_even() as i8)
}

#[cfg(test)]
mod tests {
    use super::super::goldens::checkpoint;
    use super::*;

    const N: usize = 3000;
    const FORMATS: [CacheFormat; 3] = [CacheFormat::F32, CacheFormat::F16, CacheFormat::Int8];

    fn config() -> ModelConfig {
        checkpoint("grouped").config
    }

    /// Reads tokens up to a position, in passes of several lengths; the same for the same position.
    fn read_to(cache: &mut KvCache, end: usize) {
        let config = config();
        while cache.len() < end {
            let n = [1, 512, 77][cache.len() % 3].min(end - cache.len());
            for layer_idx in 0..config.n_layers() {
                let number = |i: usize| ((cache.len() * 13 + i * 7 + layer_idx) % 101) as f32 / 50.0 - 1.0;
                let numbers: Vec<f32> = (0..n * config.kv_width()).map(number).collect();
                cache.write(layer_idx, &numbers, &numbers);
            }
            let tokens: Vec<Token> = (cache.len()..cache.len() + n).map(|position| position as Token).collect();
            cache.append(&tokens);
        }
    }

    fn saved(cache: &KvCache, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        cache.save(len, &mut bytes);
        assert_eq!(bytes.len(), cache.copy_bytes(len));
        bytes
    }

    fn transcript(n: usize) -> Vec<Token> {
        (0..n as Token).collect()
    }

    #[test]
    fn short_ways_back_need_no_mark_and_long_ones_do() {
        for format in FORMATS {
            let mut cache = KvCache::new(&config(), N, format);
            read_to(&mut cache, 504);
            cache.mark();
            let at_504 = saved(&cache, 504);
            read_to(&mut cache, 2400);
            let at_2400 = saved(&cache, 2400);
            read_to(&mut cache, N);
            for (n, usable) in [(N, N), (2400, 2400), (2100, 2100), (1500, 504), (504, 504), (503, 0), (0, 0)] {
                assert_eq!(cache.n_usable(&transcript(n), n), usable, "{format:?}: {n} of {N}");
            }
            assert_eq!(cache.keep_common_prefix(&transcript(2400), 2400), 2400);
            assert!(saved(&cache, 2400) == at_2400, "{format:?}");
            read_to(&mut cache, N);
            // To the mark, and to it once more after its place was overwritten again.
            for _ in 0..2 {
                assert!(saved(&cache, 504) == at_504, "{format:?}: copied from afar");
                assert_eq!(cache.keep_common_prefix(&transcript(1500), 1499), 504);
                assert!(saved(&cache, 504) == at_504, "{format:?}");
                assert_eq!(cache.n_usable(&transcript(480), 480), 0, "a mark holds no more than its window");
                read_to(&mut cache, N);
            }
            assert_eq!(cache.keep_common_prefix(&transcript(400), 400), 0, "the mark lies behind that");
            read_to(&mut cache, 600);
            assert_eq!(cache.n_usable(&transcript(300), 300), 300, "what is new is there, whatever was before");
        }
    }

    #[test]
    fn a_copy_is_the_same_and_goes_on_in_the_same_way() {
        for format in FORMATS {
            let mut cache = KvCache::new(&config(), N, format);
            read_to(&mut cache, 1304);
            let mut copy = KvCache::new(&config(), N, format);
            read_to(&mut copy, 777); // what it held before does not matter
            copy.copy_from(&cache, 1304);
            assert_eq!((copy.len(), copy.tokens()), (1304, cache.tokens()));
            assert_eq!(copy.n_usable(&transcript(1280), 1280), 0, "a copy holds no more than its last window");
            assert!(saved(&copy, 1304) == saved(&cache, 1304));
            // The passes are split by length: so both write the same numbers from here on.
            read_to(&mut copy, 2000);
            read_to(&mut cache, 2000);
            assert!(saved(&copy, 2000) == saved(&cache, 2000), "{format:?}");
            assert!(!copy.load(&transcript(7), &[0; 11]) && copy.len() == 0, "bytes of something else");
        }
    }

    #[test]
    fn half_precision_and_int8_are_near_what_was_written() {
        let config = config();
        for (format, tolerance) in [(CacheFormat::F32, 0.0), (CacheFormat::F16, 1e-3), (CacheFormat::Int8, 8e-3)] {
            let mut cache = KvCache::new(&config, 64, format);
            let number = |position: usize, i: usize| ((position * 31 + i * 17) % 97) as f32 / 48.5 - 1.0;
            let width = config.kv_width();
            let keys: Vec<f32> = (0..20 * width).map(|at| number(at / width, at % width)).collect();
            let values: Vec<f32> = keys.iter().map(|key| -key).collect();
            (0..config.n_layers()).for_each(|layer_idx| cache.write(layer_idx, &keys, &values));
            cache.append(&transcript(20));
            let (n_keys, n_values) = cache.tile_len();
            let (mut key_room, mut value_room) = (vec![0.0; n_keys], vec![0.0; n_values]);
            for head in 0..config.n_kv_heads {
                let room = (&mut key_room[..], &mut value_room[..]);
                let tile = cache.tile(1, head, 0, 3..20, Kernels::best(), room);
                for position in 3..20 {
                    for d in 0..config.head_dim {
                        let expected = number(position, head * config.head_dim + d);
                        let key = tile.keys[(position / LANES * config.head_dim + d) * LANES + position % LANES];
                        let value = tile.values[position * config.head_dim.next_multiple_of(LANES) + d];
                        assert!((key - expected).abs() <= tolerance, "{format:?}: {key}, expected {expected}");
                        assert!((value + expected).abs() <= tolerance, "{format:?}: {value}, expected -{expected}");
                    }
                }
            }
        }
    }
}
