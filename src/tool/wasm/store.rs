//! A package's small store: strings under strings, one JSON file that people can read.
//!
//! It is read and written whole, which its size allows. Nobody else may write meanwhile: that is the caller's matter.

use crate::world::Disk;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// In bytes: the file, a value, a key.
const MAX_STORE: usize = 1 << 20;
const MAX_VALUE: usize = 64 << 10;
const MAX_KEY: usize = 128;

pub(super) type Values = BTreeMap<String, String>;

/// All of it; a file that is not there yet is empty.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<Values, String> {
    match disk.read(path, MAX_STORE as u64) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Values::new()),
        Err(error) => Err(format!("the store cannot be read: {error}")),
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| format!("the store {} is damaged ({error}); move it away to begin anew", path.display())),
    }
}

/// Puts a value under a key, or takes the key away.
pub(super) fn set(disk: &dyn Disk, path: &Path, key: String, value: Option<String>) -> Result<(), String> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(format!("a key has 1 to {MAX_KEY} bytes"));
    }
    if value.as_ref().is_some_and(|value| value.len() > MAX_VALUE) {
        return Err(format!("a value has at most {MAX_VALUE} bytes"));
    }
    let mut values = read(disk, path)?;
    match value {
        Some(value) => values.insert(key, value),
        None => values.remove(&key),
    };
    let bytes = serde_json::to_vec_pretty(&values).map_err(|error| error.to_string())?;
    if bytes.len() > MAX_STORE {
        return Err(format!("the store is full: it holds at most {MAX_STORE} bytes; remove something first"));
    }
    disk.write(path, &bytes).map_err(|error| format!("the store cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::MemoryDisk;

    #[test]
    fn what_is_set_is_there_and_what_does_not_fit_changes_nothing() {
        let (disk, path) = (MemoryDisk::default(), Path::new("/data/x/store.json"));
        let put = |key: &str, value: &str| set(&disk, path, key.into(), Some(value.into()));
        assert!(read(&disk, path).unwrap().is_empty());
        put("a", "1").unwrap();
        put("b", "\u{0}\"é").unwrap();
        put("a", "2").unwrap();
        set(&disk, path, "absent".into(), None).unwrap();
        let expect = Values::from([("a".into(), "2".into()), ("b".into(), "\u{0}\"é".into())]);
        assert_eq!(read(&disk, path).unwrap(), expect);
        for (key, value) in [("", "x"), (&"k".repeat(MAX_KEY + 1), "x"), ("k", &"x".repeat(MAX_VALUE + 1))] {
            assert!(put(key, value).is_err());
        }
        let full = (0..99).map(|n| put(&n.to_string(), &"x".repeat(MAX_VALUE))).find_map(Result::err).unwrap();
        assert!(full.contains("full"), "{full}");
        set(&disk, path, "b".into(), None).unwrap();
        assert_eq!(read(&disk, path).unwrap().get("b"), None);
        disk.write(path, b"{").unwrap();
        assert!(put("a", "1").unwrap_err().contains("damaged"));
    }
}
