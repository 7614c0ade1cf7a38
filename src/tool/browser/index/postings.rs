//! The words of all passages, in an index of tantivy: made, changed and searched.
//!
//! It knows files by their names alone, and only here and in `words` and `query` is tantivy named. Start at [`Postings::search`]
//! and [`Writer`].

use super::passage::Passage;
use super::place::private;
use super::query::Sought;
use super::words::{ANALYZER, analyzer};
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use tantivy::collector::TopDocs;
use tantivy::directory::MmapDirectory;
use tantivy::directory::error::OpenDirectoryError;
use tantivy::index::{SegmentId, SegmentMeta};
use tantivy::indexer::{LogMergePolicy, MergePolicy, NoMergePolicy};
use tantivy::schema::{Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value};
use tantivy::store::Compressor;
use tantivy::{Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyDocument, TantivyError, Term};

/// Memory in which new words are gathered, in bytes.
const ARENA: usize = 50 << 20;

/// Passages that are written anew without being asked for it, to take the words of files out that are gone.
const MAX_PURGED: u32 = 20_000;

/// Why the words cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostingsError {
    /// They may be as they should be, and something else is wrong.
    #[error(transparent)]
    Unreachable(io::Error),
    /// They are not what was written, or were written by another version.
    #[error("{0}")]
    Damaged(String),
}

impl From<TantivyError> for PostingsError {
    fn from(error: TantivyError) -> Self {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
        let is_outer = |error: &io::Error| matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | StorageFull);
        match &error {
            TantivyError::IoError(cause) if is_outer(cause) => {
                Self::Unreachable(io::Error::new(cause.kind(), error.to_string()))
            }
            TantivyError::LockFailure(..) => Self::Unreachable(io::Error::other(error.to_string())),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

impl From<OpenDirectoryError> for PostingsError {
    fn from(error: OpenDirectoryError) -> Self {
        TantivyError::from(error).into()
    }
}

/// The fields of a passage.
#[derive(Clone, Copy)]
struct Fields {
    /// The file's name, as one word.
    file: Field,
    /// The words of its name and of the heading.
    title: Field,
    /// The passage itself.
    text: Field,
    /// The line of the page with which it begins.
    line: Field,
}

/// A passage that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The file's name.
    pub(super) file: String,
    /// From 0.
    pub(super) line: usize,
    /// Its lines.
    pub(super) text: String,
}

/// The index.
pub(super) struct Postings {
    index: Index,
    fields: Fields,
    /// Made when something is searched.
    reader: OnceLock<IndexReader>,
}

impl Postings {
    /// What lies in a folder; `None` when nothing was written there yet.
    pub(super) fn open(folder: &Path) -> Result<Option<Self>, PostingsError> {
        if !folder.is_dir() {
            return Ok(None);
        }
        let directory = MmapDirectory::open(folder)?;
        if !Index::exists(&directory).map_err(TantivyError::from)? {
            return Ok(None);
        }
        let index = Index::open(directory)?;
        let (schema, fields) = schema();
        if index.schema() != schema {
            return Err(PostingsError::Damaged("it was written by another version".into()));
        }
        Ok(Some(Self::new(index, fields)))
    }

    /// An empty one in a folder in which nothing is.
    pub(super) fn create(folder: &Path) -> Result<Self, PostingsError> {
        private(folder).map_err(PostingsError::Unreachable)?;
        let (schema, fields) = schema();
        let settings = IndexSettings { docstore_compression: Compressor::Lz4, ..IndexSettings::default() };
        Ok(Self::new(Index::create(MmapDirectory::open(folder)?, schema, settings)?, fields))
    }

    fn new(index: Index, fields: Fields) -> Self {
        index.tokenizers().register(ANALYZER, analyzer(false));
        Self { index, fields, reader: OnceLock::new() }
    }

    /// Fails when a file of it has not the bytes that were written. Reads all of them.
    pub(super) fn check(&self) -> Result<(), PostingsError> {
        let damaged = self.index.validate_checksum()?;
        match damaged.into_iter().next() {
            None => Ok(()),
            Some(file) => Err(PostingsError::Damaged(format!("{} is not as it was written", file.display()))),
        }
    }

    /// The generation of the records that belong to it; 0 is none.
    pub(super) fn generation(&self) -> Result<u64, PostingsError> {
        let payload = self.index.load_metas()?.payload;
        Ok(payload.and_then(|payload| payload.parse().ok()).unwrap_or(0))
    }

    /// Whether words of files are still in it that are gone.
    pub(super) fn has_deleted(&self) -> Result<bool, PostingsError> {
        Ok(self.index.searchable_segment_metas()?.iter().any(|segment| segment.has_deletes()))
    }

    /// At most `limit` passages, the best first: those that have all parts of what is sought, or any.
    pub(super) fn search(&self, sought: &Sought, all: bool, limit: usize) -> Result<Vec<Found>, PostingsError> {
        let Fields { file, title, text, line } = self.fields;
        let reader = match self.reader.get() {
            Some(reader) => {
                // Another process may have written meanwhile.
                reader.reload()?;
                reader
            }
            None => {
                let reader = self.index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
                self.reader.get_or_init(|| reader)
            }
        };
        let searcher = reader.searcher();
        let found = searcher.search(&sought.query(title, text, all), &TopDocs::with_limit(limit).order_by_score())?;
        let passage = |(_, address)| {
            let document: TantivyDocument = searcher.doc(address)?;
            let words =
                |field| document.get_first(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
            let line = document.get_first(line).and_then(|value| value.as_u64()).unwrap_or_default();
            Ok(Found { file: words(file), line: usize::try_from(line).unwrap_or_default(), text: words(text) })
        };
        found.into_iter().map(passage).collect()
    }

    /// The segments that are to be put together. They are named only: as long as anybody holds one, its files stay.
    fn to_merge(&self, all: bool) -> Result<Vec<Vec<SegmentId>>, PostingsError> {
        let segments = self.index.searchable_segment_metas()?;
        let is_old = |segment: &SegmentMeta| segment.has_deletes();
        let n_passages: u32 = segments.iter().filter(|segment| is_old(segment)).map(SegmentMeta::max_doc).sum();
        let is_purged = all || n_passages <= MAX_PURGED;
        let (old, good): (Vec<_>, Vec<_>) = segments.into_iter().partition(|segment| is_purged && is_old(segment));
        let old: Vec<_> = old.iter().map(SegmentMeta::id).collect();
        let many = LogMergePolicy::default().compute_merge_candidates(&good).into_iter().map(|candidate| candidate.0);
        Ok(many.chain((!old.is_empty()).then_some(old)).collect())
    }

    /// To change it. One at a time.
    pub(super) fn writer(&self) -> Result<Writer<'_>, PostingsError> {
        let writer = self.index.writer_with_num_threads(1, ARENA)?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        Ok(Writer { postings: self, writer })
    }
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let indexing =
        TextFieldIndexing::default().set_tokenizer(ANALYZER).set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let words = TextOptions::default().set_indexing_options(indexing);
    let fields = Fields {
        file: schema.add_text_field("file", STRING | STORED),
        title: schema.add_text_field("title", words.clone()),
        text: schema.add_text_field("text", words | STORED),
        line: schema.add_u64_field("line", STORED),
    };
    (schema.build(), fields)
}

/// Changes, which count when they are committed, all of them or none.
pub(super) struct Writer<'a> {
    postings: &'a Postings,
    writer: IndexWriter,
}

impl Writer<'_> {
    /// Takes the passages of a file out.
    pub(super) fn remove(&self, file: &str) {
        self.writer.delete_term(Term::from_field_text(self.postings.fields.file, file));
    }

    /// Adds passages of a file, which is called `title`.
    pub(super) fn add(&self, file: &str, title: &str, passages: Vec<Passage>) -> Result<(), PostingsError> {
        let fields = self.postings.fields;
        for passage in passages {
            let mut document = TantivyDocument::default();
            document.add_text(fields.file, file);
            document.add_text(fields.title, format!("{title}\n{}", passage.heading));
            document.add_text(fields.text, passage.text);
            document.add_u64(fields.line, passage.line as u64);
            self.writer.add_document(document)?;
        }
        Ok(())
    }

    /// Makes the changes count, with the generation of their records.
    pub(super) fn commit(&mut self, generation: u64) -> Result<(), PostingsError> {
        let mut commit = self.writer.prepare_commit()?;
        commit.set_payload(&generation.to_string());
        commit.commit()?;
        Ok(())
    }

    /// Writes anew what has words in it of files that are gone, and puts together what has become many. Without `all` what is
    /// large stays as it is.
    pub(super) fn clean(mut self, all: bool) -> Result<(), PostingsError> {
        for together in self.postings.to_merge(all)? {
            self.writer.merge(&together).wait()?;
        }
        if let Some(reader) = self.postings.reader.get() {
            // What it still shows cannot be removed.
            reader.reload()?;
        }
        self.writer.garbage_collect_files().wait()?;
        self.writer.wait_merging_threads()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::browser::index::passage::passages;

    fn filled(folder: &Path, files: &[(&str, &str)]) -> Postings {
        let postings = Postings::create(folder).unwrap();
        let mut writer = postings.writer().unwrap();
        for (file, text) in files {
            writer.add(file, file, passages(text)).unwrap();
        }
        writer.commit(1).unwrap();
        writer.clean(false).unwrap();
        postings
    }

    fn files(postings: &Postings, query: &str, all: bool) -> Vec<String> {
        let found = postings.search(&Sought::parse(query), all, 10).unwrap();
        found.into_iter().map(|found| found.file).collect()
    }

    /// All bytes of the folder's files.
    fn bytes(folder: &Path) -> Vec<u8> {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        files.collect::<Vec<_>>().concat()
    }

    fn holds(bytes: &[u8], word: &str) -> bool {
        bytes.windows(word.len()).any(|window| window == word.as_bytes())
    }

    #[test]
    fn what_is_sought_is_found_best_first() {
        let base = tempfile::tempdir().unwrap();
        let notes = filled(
            &base.path().join("words"),
            &[
                ("notes.md", "# House\n\nThe harbour keys hang behind the kitchen door."),
                ("boat/log.md", "Left the harbour at nine."),
                ("door.md", "Paint it."),
                ("tokyo.md", "明日は東京都へ行く。"),
                ("fr.md", "Les clés sont à la capitainerie, près du café."),
            ],
        );
        assert_eq!(files(&notes, "harbour keys", true), ["notes.md"]);
        assert_eq!(files(&notes, "harbour keys", false), ["notes.md", "boat/log.md"]);
        assert_eq!(
            files(&notes, "\"the harbour\"", true),
            ["notes.md", "boat/log.md"].map(String::from)[1..]
                .iter()
                .cloned()
                .chain(["notes.md".to_owned()])
                .collect::<Vec<_>>()
        );
        assert_eq!(files(&notes, "\"harbour the\"", true), [""; 0]);
        assert_eq!(files(&notes, "door", true)[0], "door.md", "a name counts more");
        assert_eq!(files(&notes, "kitchen house", true), ["notes.md"], "a heading counts for its passage");
        assert_eq!(files(&notes, "東京", true), ["tokyo.md"]);
        assert_eq!(files(&notes, "東", true), ["tokyo.md"]);
        assert_eq!(files(&notes, "京東", true), [""; 0]);
        assert_eq!(files(&notes, "CAFE cles", true), ["fr.md"]);
        assert!(files(&notes, "", true).is_empty() && files(&notes, "absent", false).is_empty());
    }

    #[test]
    fn words_of_files_that_are_gone_are_gone_from_the_disk() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("words");
        let notes = filled(&folder, &[("a.md", "swordfish"), ("b.md", "marlin"), ("c.md", "halibut")]);
        assert_eq!(files(&notes, "swordfish", true), ["a.md"], "a reader holds it open");
        assert!(holds(&bytes(&folder), "swordfish"));
        let mut writer = notes.writer().unwrap();
        writer.remove("a.md");
        writer.commit(2).unwrap();
        drop(writer);
        assert!(notes.has_deleted().unwrap() && holds(&bytes(&folder), "swordfish"), "marked, and still there");
        notes.writer().unwrap().clean(true).unwrap();
        assert!(!notes.has_deleted().unwrap());
        let bytes = bytes(&folder);
        assert!(!holds(&bytes, "swordfish") && !holds(&bytes, "a.md"));
        assert!(holds(&bytes, "marlin"), "else the look for it says nothing");
        assert_eq!(files(&notes, "marlin", true), ["b.md"]);
        assert_eq!(notes.generation().unwrap(), 2, "kept when segments are put together");
    }

    #[test]
    fn what_was_not_committed_never_was() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("words");
        let notes = filled(&folder, &[("a.md", "old")]);
        let writer = notes.writer().unwrap();
        writer.remove("a.md");
        writer.add("a.md", "a.md", passages("new")).unwrap();
        drop(writer);
        let again = Postings::open(&folder).unwrap().unwrap();
        assert_eq!((files(&again, "old", true).len(), files(&again, "new", true).len()), (1, 0));
        assert_eq!(again.generation().unwrap(), 1);
    }

    #[test]
    fn damage_is_seen() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("words");
        assert!(Postings::open(&folder).unwrap().is_none());
        drop(filled(&folder, &[("a.md", "old")]));
        Postings::open(&folder).unwrap().unwrap().check().unwrap();
        let file = |ending: &str| {
            let mut files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            files.find(|path| path.to_string_lossy().ends_with(ending)).unwrap()
        };
        let store = file(".store");
        let good = std::fs::read(&store).unwrap();
        let mut bad = good.clone();
        bad[2] ^= 1;
        std::fs::write(&store, &bad).unwrap();
        assert!(matches!(Postings::open(&folder).unwrap().unwrap().check(), Err(PostingsError::Damaged(_))));
        std::fs::write(&store, &good[..good.len() / 2]).unwrap();
        let cut = Postings::open(&folder).unwrap().unwrap();
        assert!(cut.check().is_err() && cut.search(&Sought::parse("old"), true, 9).is_err());
        std::fs::write(&store, good).unwrap();
        std::fs::write(file("meta.json"), "{").unwrap();
        assert!(matches!(Postings::open(&folder), Err(PostingsError::Damaged(_))));
    }
}
