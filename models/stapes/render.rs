//! Turns dialogues into token ids and loss masks: JSON lines from `generate.py` on stdin, a binary corpus on stdout.
//! `cargo run --release --example stapes_render < dialogues.jsonl > corpus.bin`
//!
//! A bundle is written as little-endian u32: the prefix's length and ids, the number of branches, and for each branch its
//! length and its ids, the highest bit set in the ids that the model has to learn.

mod dialogue;

use dialogue::Bundle;
use ossicle::harmony::Encoding;
use std::io::{BufRead, BufWriter, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let encoding = Encoding::new();
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let bundle: Bundle = serde_json::from_str(&line?)?;
        write_ids(&mut out, &bundle.prefix(&encoding))?;
        out.write_all(&(bundle.branches.len() as u32).to_le_bytes())?;
        for branch in &bundle.branches {
            let (mut ids, mut goes_on) = (Vec::new(), false);
            for turn in &branch.messages {
                turn.render(&encoding, &mut goes_on, &mut ids);
            }
            write_ids(&mut out, &ids)?;
        }
    }
    Ok(out.flush()?)
}

fn write_ids(out: &mut impl Write, ids: &[u32]) -> std::io::Result<()> {
    out.write_all(&(ids.len() as u32).to_le_bytes())?;
    ids.iter().try_for_each(|id| out.write_all(&id.to_le_bytes()))
}
