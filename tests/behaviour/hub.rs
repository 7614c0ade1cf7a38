//! A hub on loopback: the answers of the Hugging Face Hub's API, a store on another port to which it redirects, and the faults
//! of both.
//!
//! It holds small files in memory and gives each connection one answer. Start at [`Hub::new`], then change its [`State`].

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub const COMMIT: &str = "6cee5e81ee83917806bbde320786a8fb61efebee";

/// A hub that serves until the test ends.
#[derive(Clone)]
pub struct Hub {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// What it has, how it behaves, and what it was asked.
#[derive(Default)]
pub struct State {
    /// By name. The ending says which of them are large: those have a SHA-256 and lie in the store.
    pub files: BTreeMap<String, Vec<u8>>,
    /// More entries for the list of files, as JSON.
    pub more: Vec<String>,
    /// The list says that the bytes of this file are other ones.
    pub lies_about: Option<String>,
    pub commit: Option<String>,
    pub licence: Option<String>,
    /// Requests of paths with this in them are answered with a status and headers, so many times.
    pub refusals: Vec<(&'static str, u16, &'static str, usize)>,
    /// So many answers of the store break off after so many bytes.
    pub cuts: (usize, usize),
    /// So many answers of the store stop for good, without an end.
    pub stalls: usize,
    /// The store gives whole files only.
    pub ignores_ranges: bool,
    /// Where large files are said to be, instead of in the store.
    pub elsewhere: Option<String>,
    pub asked: Vec<Asked>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub of_store: bool,
    pub path: String,
    pub authorization: Option<String>,
    pub range: Option<String>,
}

impl Hub {
    /// A hub with one repository, whatever its name, of these files.
    pub fn new(files: &[(&str, &[u8])]) -> Self {
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        let state = Arc::new(Mutex::new(State { files, ..State::default() }));
        let (hub, store) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let (address, store_address) = (hub.local_addr().unwrap(), store.local_addr().unwrap());
        for (listener, of_store) in [(hub, false), (store, true)] {
            let state = state.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let state = state.clone();
                    std::thread::spawn(move || answer(stream, of_store, store_address, &state));
                }
            });
        }
        Self { address, state }
    }

    /// A small gpt-oss checkpoint, with weights that are none.
    pub fn with_checkpoint(shards: &[&[u8]]) -> Self {
        let name = |n: usize| format!("model-{n:05}-of-{:05}.safetensors", shards.len());
        let map: BTreeMap<String, String> = (0..shards.len()).map(|n| (format!("tensor{n}"), name(n + 1))).collect();
        let index = serde_json::json!({ "weight_map": map }).to_string();
        let hub = Self::new(&[
            ("config.json", br#"{"model_type":"gpt_oss"}"#),
            ("generation_config.json", b"{}"),
            ("LICENSE", b"Apache License\nVersion 2.0\n"),
            ("USAGE_POLICY", b"Use it well.\n"),
            ("README.md", b"---\nlicense: apache-2.0\n---\n"),
            ("tokenizer.json", b"{}"),
            ("model.safetensors.index.json", index.as_bytes()),
        ]);
        for (n, shard) in shards.iter().enumerate() {
            hub.state().files.insert(name(n + 1), shard.to_vec());
        }
        hub.state().more.push(r#"{"rfilename":"original/model.safetensors","size":13761300984}"#.into());
        hub
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// What was asked of the store: each path's last part, and the range.
    pub fn fetched(&self) -> Vec<(String, Option<String>)> {
        self.state()
            .asked
            .iter()
            .filter(|asked| asked.of_store)
            .map(|a| (name(&a.path).to_owned(), a.range.clone()))
            .collect()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last part of a path.
fn name(path: &str) -> &str {
    path.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default()
}

fn is_large(name: &str) -> bool {
    name.ends_with(".safetensors") || name.ends_with(".gguf")
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Git's name of a blob.
fn blob(bytes: &[u8]) -> String {
    use sha1::Sha1;
    let digest = Sha1::new_with_prefix(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn answer(stream: TcpStream, of_store: bool, store: SocketAddr, state: &Mutex<State>) {
    let Some(asked) = heard(&stream, of_store) else { return };
    let mut state = lock(state);
    state.asked.push(asked.clone());
    let refused = state.refusals.iter_mut().find(|(part, .., left)| asked.path.contains(part) && *left > 0);
    if let Some((_, status, headers, left)) = refused {
        *left -= 1;
        let (status, headers) = (*status, *headers);
        return send(&stream, status, headers, b"no", None);
    }
    let name = name(&asked.path).to_owned();
    if of_store {
        return stored(stream, state, &asked, &name);
    }
    if asked.path.starts_with("/api/models/") {
        let list = listed(&state);
        return send(&stream, 200, "content-type: application/json\r\n", list.as_bytes(), None);
    }
    let Some(bytes) = state.files.get(&name) else {
        return send(&stream, 404, "x-error-code: EntryNotFound\r\n", b"", None);
    };
    if is_large(&name) {
        let place = state.elsewhere.clone().unwrap_or_else(|| format!("http://{store}/blobs/{name}?signature=s3cret"));
        let (etag, n) = (sha256(bytes), bytes.len());
        let etag = if state.lies_about.as_ref() == Some(&name) { "0".repeat(64) } else { etag };
        let headers = format!("location: {place}\r\nx-linked-etag: \"{etag}\"\r\nx-linked-size: {n}\r\n");
        return send(&stream, 302, &headers, b"", None);
    }
    // A small file is somewhere else on the same host.
    if asked.path.starts_with("/cached/") {
        return send(&stream, 200, "", bytes, None);
    }
    send(&stream, 307, &format!("location: /cached/{name}\r\n"), b"", None);
}

/// A large file, or the part of it that was asked for, as far as the faults let it come.
fn stored(stream: TcpStream, mut state: MutexGuard<'_, State>, asked: &Asked, name: &str) {
    let Some(bytes) = state.files.get(name).cloned() else { return send(&stream, 404, "", b"", None) };
    let range = asked.range.as_ref().filter(|_| !state.ignores_ranges).and_then(|range| {
        let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some((from.parse::<usize>().ok()?, to.parse::<usize>().map_or(bytes.len(), |to| (to + 1).min(bytes.len()))))
    });
    let cut = (state.cuts.0 > 0).then_some(state.cuts.1);
    state.cuts.0 = state.cuts.0.saturating_sub(1);
    let is_stalled = cut.is_none() && state.stalls > 0;
    state.stalls = state.stalls.saturating_sub(usize::from(is_stalled));
    drop(state);
    let cut = if is_stalled { Some(0) } else { cut };
    match range {
        Some((from, to)) => {
            let headers = format!("content-range: bytes {from}-{}/{}\r\n", to - 1, bytes.len());
            send(&stream, 206, &headers, &bytes[from..to], cut);
        }
        None => send(&stream, 200, "accept-ranges: bytes\r\n", &bytes, cut),
    }
    if is_stalled {
        // Long enough for whoever waits to give up; the thread ends with the test.
        std::thread::park();
    }
    let _ = stream.shutdown(Shutdown::Both);
}

/// The first line and the headers of a request.
fn heard(stream: &TcpStream, of_store: bool) -> Option<Asked> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        let found = head.iter().filter_map(|line| line.split_once(':')).find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned())
    };
    Some(Asked { of_store, path, authorization: header("authorization"), range: header("range") })
}

/// An answer, of whose body only so much comes.
fn send(mut stream: &TcpStream, status: u16, headers: &str, body: &[u8], cut: Option<usize>) {
    let n = body.len();
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {n}\r\n{headers}\r\n");
    let body = &body[..cut.unwrap_or(n).min(n)];
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).and_then(|()| stream.flush());
}

fn listed(state: &State) -> String {
    let one = |(name, bytes): (&String, &Vec<u8>)| {
        let is_lie = state.lies_about.as_ref() == Some(name);
        let (sha, blob) = match is_lie {
            true => ("0".repeat(64), "0".repeat(40)),
            false => (sha256(bytes), blob(bytes)),
        };
        let n = bytes.len();
        let lfs = match is_large(name) {
            true => format!(r#","lfs":{{"sha256":"{sha}","size":{n},"pointerSize":134}}"#),
            false => String::new(),
        };
        format!(r#"{{"rfilename":"{name}","size":{n},"blobId":"{blob}"{lfs}}}"#)
    };
    let siblings: Vec<String> = state.files.iter().map(one).chain(state.more.iter().cloned()).collect();
    let commit = state.commit.as_deref().unwrap_or(COMMIT);
    let card = state.licence.as_ref().map_or("{}".into(), |licence| format!(r#"{{"license":"{licence}"}}"#));
    format!(r#"{{"id":"me/x","sha":"{commit}","cardData":{card},"siblings":[{}]}}"#, siblings.join(","))
}
