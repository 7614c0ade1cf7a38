//! The PDFs among the manuals, read in the sandbox, beside what pdftotext makes of them.
//!
//! Their order is not compared: both have to guess it.

use super::pages;
use super::words::{self, Kept};
use ossicle::tool::wasm::{Host, Pdf};
use ossicle::world::World;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const MAX_FILE: u64 = 2_000_000;

fn pdfs_under(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            pdfs_under(&path, found);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "pdf") {
            found.push(path);
        }
    }
}

/// Its words, with those that a line's end has cut in two made whole, and without letters cast in one.
fn pdftotext(path: &Path) -> Option<Vec<String>> {
    let output = Command::new("pdftotext").arg(path).arg("-").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).replace("-\n", "").replace('\u{ad}', "");
    let letters = [("ﬀ", "ff"), ("ﬁ", "fi"), ("ﬂ", "fl"), ("ﬃ", "ffi"), ("ﬄ", "ffl")];
    Some(words::words(&letters.iter().fold(text, |text, (cast, letters)| text.replace(cast, letters))))
}

#[tokio::test]
async fn the_words_of_pdfs_are_kept() {
    let mut found = Vec::new();
    pdfs_under(&pages(), &mut found);
    found.retain(|path| path.metadata().unwrap().len() < MAX_FILE);
    found.sort();
    found.truncate(if std::env::var_os("OSSICLE_DEEP").is_some() { 60 } else { 8 });
    if found.len() < 3 || Command::new("pdftotext").arg("-v").output().is_err() {
        println!("left out: no pdftotext, or no PDFs under {}", pages().display());
        return;
    }
    let pdf = Pdf::new(&Host::new(World::simulated(1), None, None).unwrap()).unwrap();
    let (mut all, mut n_pages, mut time) = (Kept::default(), 0, Duration::ZERO);
    for path in &found {
        let bytes = std::fs::read(path).unwrap();
        let started = Instant::now();
        let read = pdf.pages(&bytes).await.unwrap();
        time += started.elapsed();
        n_pages += read.len();
        let (theirs, ours) = (pdftotext(path).unwrap(), words::words(&read.join("\n").replace("-\n", "")));
        let n_lost = words::lost(&theirs, &ours).len();
        all += Kept { shown: theirs.len(), anywhere: theirs.len() - n_lost, in_order: 0 };
        let name = path.file_name().unwrap().to_string_lossy();
        println!("{name:30} {:7} words, {n_lost} lost in {:.1?}", theirs.len(), started.elapsed());
    }
    println!("{} files, {n_pages} pages, {time:.1?}", found.len());
    assert!(all.anywhere * 100 >= all.shown * 98, "{} of {} words", all.anywhere, all.shown);
}
