//! Any bytes as a GGUF file, and a sound file in which any bytes of the header were changed: no panic, and no more read than
//! the file has. The first byte chooses which.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// Files of two writers: with their names, the whole reader is reached.
const SOUND: [&[u8]; 2] =
    [include_bytes!("../../fixtures/engine/gguf/mxfp4.gguf"), include_bytes!("../../fixtures/engine/gguf/ollama.gguf")];
/// Where their headers end, about.
const N_HEADER: usize = 9000;

/// Each eleven bytes are a change: where, how many bytes, and which.
fn changed(sound: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for change in changes.as_chunks::<11>().0 {
        let [a, b, n, number @ ..] = change;
        let (at, n) = (usize::from(u16::from_le_bytes([*a, *b])) % N_HEADER, usize::from(n % 9));
        bytes[at..at + n].copy_from_slice(&number[..n]);
    }
    bytes
}

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    match SOUND.get(usize::from(first % 4)) {
        Some(sound) => fuzz::read_gguf(changed(sound, data)),
        None => fuzz::read_gguf(data.to_vec()),
    }
});
