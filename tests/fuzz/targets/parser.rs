//! Any ids: the parser neither fails nor panics, gives back exactly the ids it was fed, and shows each text once, as it
//! comes. The input is words of two bytes, so that every id is near: the special tokens have short names of their own.
#![no_main]

use fuzz::harmony::{StreamParser, Token, special};
use libfuzzer_sys::fuzz_target;

/// Words below this many stand for tokens of the format's own: specials and the words of a header.
const N_SHORT: u16 = 1024;
const WORDS: [Token; 12] = [316, 28, 173_781, 35_644, 12_606, 815, 17_196, 4_584, 3_490, 220, 170_154, 9_552];

fn token(word: u16) -> Token {
    match word {
        word if word >= N_SHORT => Token::from(word) * 3,
        word if word % 2 == 0 => special::STARTOFTEXT + Token::from(word / 2 % 20),
        word => WORDS[usize::from(word / 2) % WORDS.len()],
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let mut parser = if first % 2 == 0 { StreamParser::new() } else { StreamParser::after_prompt() };
    let ids: Vec<Token> = data.chunks_exact(2).map(|pair| token(u16::from_le_bytes([pair[0], pair[1]]))).collect();
    let mut streamed = String::new();
    for &id in &ids {
        streamed.extend(parser.push(id).map(|delta| delta.text));
    }
    streamed.extend(parser.close().map(|delta| delta.text));
    let parsed = parser.finish();
    let accounted: Vec<Token> = parsed.iter().flat_map(|parsed| parsed.tokens.iter().copied()).collect();
    assert_eq!(accounted, ids);
    let texts: String = parsed.iter().filter_map(|parsed| parsed.message.text()).collect();
    assert_eq!(streamed, texts);
});
