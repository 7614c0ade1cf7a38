//! What a hub says is in a repository, and which of it is fetched.
//!
//! Pure: bytes come in, names with sizes and hashes go out. Nothing that a hub says is believed beyond the bounds here, and
//! what it sends later is compared with the hashes. Start at [`Listing::parse`], then [`Listing::safetensors`] and
//! [`Listing::gguf`].

use super::names::{check_kept, check_listed, quoted};
use super::{PullError, Repo};
use crate::engine::models::amount;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Files of a repository, of those of a model, and their bytes together.
const MAX_LISTED: usize = 10_000;
const MAX_WANTED: usize = 1_000;
const MAX_BYTES: u64 = 2 << 40;

/// Of a file that is read as a whole: configurations, the index of the weights, texts. In bytes.
pub(super) const MAX_SMALL: u64 = 4 << 20;

const CONFIG: &str = "config.json";
const INDEX: &str = "model.safetensors.index.json";
const WEIGHTS: &str = "model.safetensors";

/// Taken along where they are there.
const ALONG: [&str; 1] = ["generation_config.json"];

/// What may be done with a model. Kept beside it.
const LICENCES: [&str; 6] = ["LICENSE", "LICENSE.md", "LICENSE.txt", "USAGE_POLICY", "USAGE_POLICY.md", "NOTICE"];

/// Where the licence's name stands too, when the hub does not give it.
pub(super) const CARD: &str = "README.md";

/// What a file's bytes are told by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256 of the bytes, in hexadecimal: of large files.
    Sha256(String),
    /// SHA-1 of git's blob, in hexadecimal: of small ones.
    Git(String),
}

impl Hash {
    /// Its digits.
    pub(super) fn hex(&self) -> &str {
        let (Self::Sha256(hex) | Self::Git(hex)) = self;
        hex
    }
}

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// It lies in the repository's root.
    pub name: String,
    /// In bytes.
    pub n_bytes: u64,
    /// Of the bytes.
    pub hash: Hash,
}

/// A repository at one commit.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) commit: String,
    /// The licence's name, as far as the hub gives it.
    pub(super) licence: Option<String>,
    /// Those in its root.
    files: BTreeMap<String, Sibling>,
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    #[serde(default, rename = "cardData")]
    card: Option<Value>,
    siblings: Vec<Sibling>,
}

#[derive(Clone, Debug, Deserialize)]
struct Sibling {
    #[serde(rename = "rfilename")]
    path: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default, rename = "blobId")]
    blob: Option<String>,
    #[serde(default)]
    lfs: Option<Lfs>,
}

#[derive(Clone, Debug, Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

impl Listing {
    /// Reads the answer to `GET /api/models/{repo}/revision/{revision}?blobs=true`.
    pub(super) fn parse(answer: &[u8]) -> Result<Self, PullError> {
        let odd = |problem: String| PullError::Odd(format!("the hub's list of files makes no sense: {problem}"));
        let answer: Answer = serde_json::from_slice(answer).map_err(|error| odd(error.to_string()))?;
        if !is_hex(&answer.sha, &[40, 64]) {
            return Err(odd(format!("{} is no commit", quoted(&answer.sha))));
        }
        if answer.siblings.len() > MAX_LISTED {
            return Err(odd(format!("it has {} files, and at most {MAX_LISTED} are read", answer.siblings.len())));
        }
        let mut files = BTreeMap::new();
        for sibling in answer.siblings {
            check_listed(&sibling.path).map_err(|what| odd(format!("it has {what}")))?;
            if !sibling.path.contains('/') {
                files.insert(sibling.path.clone(), sibling);
            }
        }
        let word = |value: &Value| value.as_str().map(str::to_owned);
        let licence = answer.card.as_ref().and_then(|card| match &card["license"] {
            Value::Array(several) => several.first().and_then(word),
            one => word(one),
        });
        // Of one that is none of the known ones, the name stands beside it.
        let named = answer.card.as_ref().and_then(|card| word(&card["license_name"]));
        let licence = licence.map(|licence| if licence == "other" { named.unwrap_or(licence) } else { licence });
        Ok(Self { commit: answer.sha.to_ascii_lowercase(), licence, files })
    }

    /// The file of this name, which has to be there.
    fn file(&self, repo: &Repo, name: &str) -> Result<RemoteFile, PullError> {
        check_kept(name).map_err(|what| PullError::Odd(format!("{repo} speaks of {what}")))?;
        let missing = || PullError::Incomplete { repo: repo.to_string(), file: name.into(), advice: self.advice() };
        let sibling = self.files.get(name).ok_or_else(missing)?;
        let unknown = || PullError::Odd(format!("the hub gives no size and hash of {name}; use another HF_ENDPOINT"));
        let (n_bytes, hash) = match &sibling.lfs {
            Some(lfs) if is_hex(&lfs.sha256, &[64]) => (lfs.size, Hash::Sha256(lfs.sha256.to_ascii_lowercase())),
            Some(_) => return Err(unknown()),
            None => {
                let blob = sibling.blob.as_ref().filter(|blob| is_hex(blob, &[40])).ok_or_else(unknown)?;
                (sibling.size.ok_or_else(unknown)?, Hash::Git(blob.to_ascii_lowercase()))
            }
        };
        Ok(RemoteFile { name: name.into(), n_bytes, hash })
    }

    /// The same, of a file that is read as a whole.
    fn small(&self, repo: &Repo, name: &str) -> Result<RemoteFile, PullError> {
        let file = self.file(repo, name)?;
        match file.n_bytes <= MAX_SMALL {
            true => Ok(file),
            false => Err(PullError::Odd(format!(
                "{repo} has a {name} of {}, and at most {} are read",
                amount(file.n_bytes),
                amount(MAX_SMALL)
            ))),
        }
    }

    /// What to do with a repository that lacks what was looked for.
    fn advice(&self) -> String {
        let ggufs: Vec<_> = self.files.keys().filter(|name| name.ends_with(".gguf")).map(|name| quoted(name)).collect();
        match ggufs.is_empty() {
            true => "choose a gpt-oss checkpoint in safetensors files, such as openai/gpt-oss-20b".into(),
            false => format!("it has GGUF files: choose one with --gguf {}", ggufs[..ggufs.len().min(8)].join(", ")),
        }
    }

    /// The blueprint.
    pub(super) fn config(&self, repo: &Repo) -> Result<RemoteFile, PullError> {
        self.small(repo, CONFIG)
    }

    /// The files that name the model's shards, when there are several.
    pub(super) fn index(&self, repo: &Repo) -> Result<Option<RemoteFile>, PullError> {
        self.files.contains_key(INDEX).then(|| self.small(repo, INDEX)).transpose()
    }

    /// Texts of the licence, and what else is taken along.
    pub(super) fn texts(&self, repo: &Repo) -> Result<Vec<RemoteFile>, PullError> {
        LICENCES.into_iter().filter(|name| self.files.contains_key(*name)).map(|name| self.small(repo, name)).collect()
    }

    /// Small files that are taken along where they are there.
    pub(super) fn along(&self, repo: &Repo) -> Result<Vec<RemoteFile>, PullError> {
        ALONG.into_iter().filter(|name| self.files.contains_key(*name)).map(|name| self.small(repo, name)).collect()
    }

    /// The model's card.
    pub(super) fn card(&self, repo: &Repo) -> Option<RemoteFile> {
        self.small(repo, CARD).ok()
    }

    /// The weights: those that the index names, or the one file.
    pub(super) fn safetensors(&self, repo: &Repo, index: Option<&[u8]>) -> Result<Vec<RemoteFile>, PullError> {
        let Some(index) = index else { return self.bounded(repo, &BTreeSet::from([WEIGHTS.to_owned()])) };
        #[derive(Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let odd = |problem: String| PullError::Odd(format!("{INDEX} of {repo} makes no sense: {problem}"));
        let index: Index = serde_json::from_slice(index).map_err(|error| odd(error.to_string()))?;
        let shards: BTreeSet<String> = index.weight_map.into_values().collect();
        if let Some(shard) = shards.iter().find(|shard| !shard.ends_with(".safetensors")) {
            return Err(odd(format!("it names {}, which is no safetensors file", quoted(shard))));
        }
        self.bounded(repo, &shards)
    }

    /// The GGUF file of this name, with or without its ending, and its other parts when it is one of several.
    pub(super) fn gguf(&self, repo: &Repo, name: &str) -> Result<Vec<RemoteFile>, PullError> {
        let name = if name.ends_with(".gguf") { name.to_owned() } else { format!("{name}.gguf") };
        check_kept(&name).map_err(|_| PullError::Name(format!("{name:?} names no GGUF file; {}", self.advice())))?;
        self.bounded(repo, &parts(&name))
    }

    fn bounded(&self, repo: &Repo, names: &BTreeSet<String>) -> Result<Vec<RemoteFile>, PullError> {
        let odd = |problem: String| PullError::Odd(format!("{repo} {problem}, which is no gpt-oss model"));
        if names.is_empty() || names.len() > MAX_WANTED {
            return Err(odd(format!("has {} files of weights", names.len())));
        }
        let files = names.iter().map(|name| self.file(repo, name)).collect::<Result<Vec<_>, _>>()?;
        let different: BTreeSet<_> = files.iter().map(|file| file.name.to_ascii_lowercase()).collect();
        if different.len() < files.len() {
            return Err(odd("has files whose names differ only in capital letters".into()));
        }
        let n_bytes = files.iter().fold(0u64, |sum, file| sum.saturating_add(file.n_bytes));
        if n_bytes > MAX_BYTES || files.iter().any(|file| file.n_bytes == 0) {
            return Err(odd(format!("has weights of {}, or empty files of them", amount(n_bytes))));
        }
        Ok(files)
    }
}

/// All parts of a file that was split into `-00001-of-00003` and so on; of any other the file itself.
fn parts(name: &str) -> BTreeSet<String> {
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let split = name.strip_suffix(".gguf").and_then(|stem| {
        let (rest, n) = stem.rsplit_once("-of-")?;
        let (stem, part) = rest.rsplit_once('-')?;
        (digits(n) && digits(part)).then_some((stem, n, n.parse::<usize>().ok()?))
    });
    match split {
        // More than can be wanted is refused by who asks.
        Some((stem, word, n)) => {
            (1..=n.min(MAX_WANTED + 1)).map(|part| format!("{stem}-{part:05}-of-{word}.gguf")).collect()
        }
        None => BTreeSet::from([name.to_owned()]),
    }
}

/// The licence that a model's card names, between the first two lines of `---`.
pub(super) fn licence_of_card(card: &[u8]) -> Option<String> {
    let card = String::from_utf8_lossy(card);
    let front = card.strip_prefix("---")?.split("\n---").next()?;
    let field = |name: &str| front.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let licence = field("license").filter(|word| *word != "other").or_else(|| field("license_name"))?;
    let licence = licence.trim_matches(['"', '\'']);
    (!licence.is_empty()).then(|| licence.to_owned())
}

/// What kind of model a `config.json` describes; an error where it is none of ours.
pub(super) fn check_config(repo: &Repo, config: &[u8]) -> Result<(), PullError> {
    let config: Value = serde_json::from_slice(config)
        .map_err(|error| PullError::Odd(format!("{CONFIG} of {repo} makes no sense: {error}")))?;
    match &config["model_type"] {
        Value::String(found) if found == "gpt_oss" => Ok(()),
        Value::String(found) => Err(PullError::Foreign { repo: repo.to_string(), found: quoted(found) }),
        _ => Err(PullError::Foreign { repo: repo.to_string(), found: "unknown".into() }),
    }
}

/// The architecture that the beginning of a GGUF file names: a string under the key `general.architecture`.
pub(super) fn gguf_architecture(head: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"general.architecture\x08\0\0\0";
    const LONGEST: usize = 64;
    if !head.starts_with(b"GGUF") {
        return None;
    }
    let at = head.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let n_bytes = u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?);
    let n_bytes = usize::try_from(n_bytes).ok().filter(|n| *n <= LONGEST)?;
    Some(String::from_utf8_lossy(head.get(at + 8..at + 8 + n_bytes)?).into_owned())
}

/// Whether an architecture is gpt-oss, in either of its spellings.
pub(super) fn is_gpt_oss(architecture: &str) -> bool {
    matches!(architecture, "gpt-oss" | "gptoss")
}

fn is_hex(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
