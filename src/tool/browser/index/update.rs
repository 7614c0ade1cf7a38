//! The index made to hold what the folders hold now: what is new or changed is read, what is gone is taken out.
//!
//! It asks nobody and shows nothing; `go_on` hears how far it is and may stop it. Whatever happens, the index is as it was or
//! nearer to what it should be. Start at [`Update::run`].

use super::kind::{Kind, page};
use super::passage::{Passage, passages};
use super::place::{Place, Writing};
use super::postings::{Postings, PostingsError, Writer};
use super::record::{Record, Records};
use super::walk::{File, LeftOut, MAX_FILE, MAX_FILES, Reason, walk};
use super::{IndexError, Step, Summary};
use crate::tool::browser::backend::PdfReader;
use crate::tool::ignored::{Heeding, IgnoreFiles};
use crate::world::{Directory, World};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use url::Url;

/// Hears how far it is; a no stops it.
pub(super) type GoOn<'a> = dyn FnMut(Step<'_>) -> bool + 'a;

/// How thorough it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// A person waits and watches: a folder that is not there has nothing in it, and no word of what is gone is left on the disk.
    Thorough,
    /// A search waits: a folder that is not there may be so for a moment.
    Quick,
}

/// An index that is there, and what is remembered of its files.
pub(super) struct Opened {
    pub(super) postings: Postings,
    pub(super) records: Records,
    generation: u64,
}

impl Opened {
    /// What lies at a place; `None` when nothing does.
    pub(super) fn found(place: &Place, is_checked: bool) -> Result<Option<Self>, PostingsError> {
        let Some(postings) = Postings::open(&place.postings())? else { return Ok(None) };
        if is_checked {
            postings.check()?;
        }
        let generation = postings.generation()?;
        let records = match generation {
            0 => Records::default(),
            _ => Records::read(place, generation).map_err(PostingsError::Damaged)?,
        };
        Ok(Some(Self { postings, records, generation }))
    }

    /// The same to be changed. What is damaged is taken away: it can be made again.
    fn at(place: &Place, writing: &Writing, is_checked: bool) -> Result<Self, IndexError> {
        match Self::found(place, is_checked) {
            Ok(Some(opened)) => return Ok(opened),
            Err(PostingsError::Unreachable(error)) => return Err(place.unusable(error)),
            Err(PostingsError::Damaged(problem)) => tracing::warn!(problem, "the index is damaged and is made anew"),
            Ok(None) => {}
        }
        place.wipe(writing)?;
        let postings = Postings::create(&place.postings()).map_err(|error| place.failed(error))?;
        Ok(Self { postings, records: Records::default(), generation: 0 })
    }
}

/// A folder and its files as they are now.
struct Seen<'a> {
    root: &'a Path,
    directory: Box<dyn Directory>,
    ignored: IgnoreFiles,
    files: Vec<File>,
}

impl Seen<'_> {
    fn name(&self, file: &File) -> String {
        self.root.join(&file.path).to_string_lossy().into_owned()
    }
}

/// Who updates, with what.
pub(super) struct Update<'a> {
    pub(super) place: &'a Place,
    pub(super) world: &'a World,
    /// Without it PDF is left out.
    pub(super) pdf: Option<&'a PdfReader>,
    /// Folders of the program's own.
    pub(super) own: &'a [PathBuf],
    /// Whether damage is looked for, which reads the whole index.
    pub(super) is_checked: bool,
}

impl Update<'_> {
    /// Looks through `folders`, which are some of `all`. What is in the index and in none of these is taken out.
    pub(super) fn run(
        &self,
        writing: &Writing,
        all: &[PathBuf],
        folders: &[PathBuf],
        care: Care,
        go_on: &mut GoOn<'_>,
    ) -> Result<Summary, IndexError> {
        let mut opened = Opened::at(self.place, writing, self.is_checked)?;
        // One that was made just now holds nothing of the others.
        let folders = if opened.generation == 0 { all } else { folders };
        let mut summary = Summary { is_complete: true, ..Summary::default() };
        let (mut seen, mut there) = (Vec::new(), BTreeSet::new());
        let known = |folder: &Path| {
            opened.records.under(&folder.to_string_lossy()).map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        for folder in all {
            match self.world.disk.folder(folder) {
                // What is not looked through is taken to be as it was.
                _ if !folders.contains(folder) => there.extend(known(folder)),
                Err(_) if care == Care::Quick => there.extend(known(folder)),
                Err(error) => summary.left_out.add(Reason::Unreadable, || format!("{}: {error}", folder.display())),
                Ok(directory) => {
                    let room = MAX_FILES.saturating_sub(there.len());
                    let Some(looked) = self.look(folder, directory, room, &mut summary.left_out, go_on) else {
                        return Ok(Summary { is_complete: false, ..summary });
                    };
                    there.extend(looked.files.iter().map(|file| looked.name(file)));
                    seen.push(looked);
                }
            }
        }
        let gone: Vec<String> = opened.records.0.keys().filter(|name| !there.contains(*name)).cloned().collect();
        let mut news = Vec::new();
        for folder in &seen {
            for file in &folder.files {
                match opened.records.0.get(&folder.name(file)) {
                    Some(record) if record.is_of(&file.entry) => summary.count_problem(record, file),
                    _ => news.push((folder, file)),
                }
            }
        }
        self.change(&mut opened, &gone, &news, &mut summary, care, go_on)?;
        for folder in folders {
            for (_, record) in
                opened.records.under(&folder.to_string_lossy()).filter(|(_, record)| record.problem.is_none())
            {
                summary.n_files += 1;
                summary.n_bytes += record.size;
            }
        }
        if summary.is_complete && folders.len() == all.len() {
            writing.mark(self.world.clock.now());
        }
        Ok(summary)
    }

    /// The files of a folder; `None` when it was stopped.
    fn look<'a>(
        &self,
        root: &'a Path,
        directory: Box<dyn Directory>,
        room: usize,
        left_out: &mut LeftOut,
        go_on: &mut GoOn<'_>,
    ) -> Option<Seen<'a>> {
        let ignored = IgnoreFiles::default();
        let is_own = |path: &Path| self.own.contains(&root.join(path));
        let mut walked = walk(&Heeding::new(directory.as_ref(), root, &ignored), room, is_own, left_out, |n| {
            go_on(Step::Looking(n))
        })?;
        walked.retain(|file| {
            let can_read = file.kind != Kind::Pdf || self.pdf.is_some();
            if !can_read {
                left_out.add(Reason::Pdf, || file.path.display().to_string());
            }
            can_read
        });
        Some(Seen { root, directory, ignored, files: walked })
    }

    /// Takes out what is gone and reads what is new or changed.
    fn change(
        &self,
        opened: &mut Opened,
        gone: &[String],
        news: &[(&Seen<'_>, &File)],
        summary: &mut Summary,
        care: Care,
        go_on: &mut GoOn<'_>,
    ) -> Result<(), IndexError> {
        let failed = |error| self.place.failed(error);
        let Opened { postings, records, generation } = opened;
        let is_cleaned = care == Care::Thorough && postings.has_deleted().map_err(failed)?;
        if gone.is_empty() && news.is_empty() && !is_cleaned {
            return Ok(());
        }
        let mut writer = postings.writer().map_err(failed)?;
        for name in gone {
            writer.remove(name);
            records.0.remove(name);
        }
        summary.n_removed = gone.len();
        for (n, (folder, file)) in news.iter().enumerate() {
            let name = folder.name(file);
            if !go_on(Step::Reading { n, of: news.len(), file: &name }) {
                summary.is_complete = false;
                break;
            }
            self.renew(&writer, records, folder, file, summary).map_err(failed)?;
        }
        if !gone.is_empty() || !news.is_empty() {
            *generation += 1;
            records.write(self.place, *generation)?;
            writer.commit(*generation).map_err(failed)?;
            self.place.keep_records(Some(*generation))?;
        }
        go_on(Step::Cleaning);
        writer.clean(care == Care::Thorough).map_err(failed)
    }

    /// Reads one file, and takes it into the index if its bytes are others than before.
    fn renew(
        &self,
        writer: &Writer<'_>,
        records: &mut Records,
        folder: &Seen<'_>,
        file: &File,
        summary: &mut Summary,
    ) -> Result<(), PostingsError> {
        let name = folder.name(file);
        let heeding = Heeding::new(folder.directory.as_ref(), folder.root, &folder.ignored);
        let bytes = match heeding.read(&file.path, 0, MAX_FILE) {
            Ok(bytes) => bytes,
            Err(error) => {
                summary.left_out.add(Reason::Unreadable, || format!("{}: {error}", file.path.display()));
                if records.0.remove(&name).is_some() {
                    writer.remove(&name);
                    summary.n_removed += 1;
                }
                return Ok(());
            }
        };
        let mut record = Record::new(&file.entry, &bytes, self.world.clock.now());
        let old = records.0.get(&name);
        if let Some(old) = old.filter(|old| old.is_same(&record)) {
            record.problem = old.problem.clone();
            summary.count_problem(&record, file);
            records.0.insert(name, record);
            return Ok(());
        }
        let is_new = old.is_none();
        writer.remove(&name);
        match self.cut(folder, file, &bytes) {
            Ok((title, passages)) => {
                writer.add(&name, &title, passages)?;
                *(if is_new { &mut summary.n_added } else { &mut summary.n_changed }) += 1;
            }
            Err(problem) => record.problem = Some(problem),
        }
        summary.count_problem(&record, file);
        records.0.insert(name, record);
        Ok(())
    }

    /// What a file is called, and its passages.
    fn cut(&self, folder: &Seen<'_>, file: &File, bytes: &[u8]) -> Result<(String, Vec<Passage>), String> {
        let url = Url::from_file_path(folder.root.join(&file.path)).map_err(|()| "its name is no URL")?;
        let page = page(file.kind, bytes, &url, self.pdf)?;
        Ok((format!("{}\n{}", file.path.display(), page.title), passages(&page.text)))
    }
}

impl Summary {
    /// Counts a file that is in the index by its name alone.
    fn count_problem(&mut self, record: &Record, file: &File) {
        if let Some(problem) = &record.problem {
            self.left_out.add(Reason::Unreadable, || format!("{}: {problem}", file.path.display()));
        }
    }
}
