//! What is remembered of the files in the index, to see which of them have changed.
//!
//! It holds none of their words. Records belong to one commit of the words, which names their generation: so a crash between
//! the two leaves the old ones with the old words. Start at [`Records`].

use super::IndexError;
use super::place::{Place, replace};
use crate::world::Entry;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Within this time of its writing a file can be written again without looking younger.
const GRAIN: Duration = Duration::from_secs(2);

/// The files of the index, by absolute path.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct Records(pub(super) BTreeMap<String, Record>);

/// One of them, as it was when it was read.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Record {
    /// In bytes.
    pub(super) size: u64,
    /// Seconds and nanoseconds since the epoch; absent where the time says nothing.
    modified: Option<(u64, u32)>,
    /// Of its bytes.
    hash: String,
    /// Why it is in the index by its name alone.
    pub(super) problem: Option<String>,
}

impl Record {
    /// Of a file's bytes, which were read at `now`.
    pub(super) fn new(entry: &Entry, bytes: &[u8], now: SystemTime) -> Self {
        let is_settled = |time: &SystemTime| *time + GRAIN <= now;
        let since = entry.modified.filter(is_settled).and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let modified = since.map(|since| (since.as_secs(), since.subsec_nanos()));
        let digest = Sha256::digest(bytes);
        let hash = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { size: entry.size, modified, hash, problem: None }
    }

    /// Whether the file can only be the one that was read.
    pub(super) fn is_of(&self, entry: &Entry) -> bool {
        let since = entry.modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let modified = since.map(|since| (since.as_secs(), since.subsec_nanos()));
        self.size == entry.size && modified.is_some() && self.modified == modified
    }

    /// Whether the bytes are the same, whenever they were written.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.size, &self.hash) == (other.size, &other.hash)
    }
}

impl Records {
    /// Those of a generation. Fails when they are not what was written.
    pub(super) fn read(place: &Place, generation: u64) -> Result<Self, String> {
        let text = std::fs::read(place.records(generation)).map_err(|error| error.to_string())?;
        serde_json::from_slice(&text).map_err(|error| error.to_string())
    }

    pub(super) fn write(&self, place: &Place, generation: u64) -> Result<(), IndexError> {
        let text = serde_json::to_vec(self).map_err(|error| place.unusable(error.into()))?;
        replace(&place.records(generation), &text).map_err(|error| place.unusable(error))
    }

    /// Those of the files under a folder.
    pub(super) fn under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a String, &'a Record)> {
        let is_under =
            move |path: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/') || folder == "/");
        self.0
            .range(folder.to_owned()..)
            .take_while(move |(path, _)| path.starts_with(folder))
            .filter(move |(path, _)| is_under(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Kind;

    fn entry(size: u64, seconds: u64) -> Entry {
        let modified = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        Entry { name: "a".into(), kind: Kind::File, size, modified, is_link: false }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_change_is_seen() {
        let record = Record::new(&entry(3, 100), b"abc", at(200));
        assert!(record.is_of(&entry(3, 100)));
        assert!(!record.is_of(&entry(4, 100)) && !record.is_of(&entry(3, 101)));
        assert!(record.is_same(&Record::new(&entry(3, 150), b"abc", at(200))));
        assert!(!record.is_same(&Record::new(&entry(3, 100), b"abd", at(200))));
        // It may be written again within the same tick of a coarse clock.
        let fresh = Record::new(&entry(3, 100), b"abc", at(101));
        assert!(!fresh.is_of(&entry(3, 100)));
        // Where no time is known, nothing is taken for unchanged unread.
        let timeless = Entry { modified: None, ..entry(3, 0) };
        assert!(!Record::new(&timeless, b"abc", at(200)).is_of(&timeless));
    }

    #[test]
    fn the_files_of_a_folder_are_those_under_it() {
        let record = Record::new(&entry(3, 100), b"abc", at(200));
        let paths = ["/a", "/a/b", "/a/b/c", "/a b", "/ab", "/b"];
        let records = Records(paths.map(|path| (path.to_owned(), record.clone())).into());
        let under = |folder| records.under(folder).map(|(path, _)| path.as_str()).collect::<Vec<_>>();
        assert_eq!(under("/a"), ["/a/b", "/a/b/c"]);
        assert_eq!(under("/").len(), 6);
        assert!(under("/c").is_empty());
    }

    #[test]
    fn records_survive_a_round_trip_and_damage_is_told() {
        let base = tempfile::tempdir().unwrap();
        let place = Place::new(base.path().to_owned());
        let records = Records([("/a/\u{e9}".to_owned(), Record::new(&entry(3, 100), b"abc", at(200)))].into());
        records.write(&place, 7).unwrap();
        assert_eq!(Records::read(&place, 7).unwrap().0, records.0);
        assert!(Records::read(&place, 8).is_err());
        std::fs::write(place.records(7), "{\"/a\": 1").unwrap();
        assert!(Records::read(&place, 7).is_err());
    }
}
