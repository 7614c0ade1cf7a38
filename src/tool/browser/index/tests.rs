//! The whole index, over real folders and under real grants.

use super::*;
use crate::policy::{Call, Decision, Effect, Grant, Label, Policy, Taint, Targets};
use crate::tool::browser::{Backend, Hit, Page};
use crate::world::{Clock, SimulatedClock};
use serde_json::json;
use std::fs;
use std::time::Duration;
use url::Url;

/// Two folders of notes and a place for the index.
struct Desk {
    base: tempfile::TempDir,
    clock: Arc<SimulatedClock>,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { base: tempfile::tempdir().unwrap(), clock: Arc::default() };
        desk.write(
            "notes/notes.md",
            "# House\n\nThe harbour keys hang behind the kitchen door.\n\nThe bins go out on Monday.\n",
        );
        desk.write("notes/boat/log.md", "Left the harbour at nine.\nSee [the house](../notes.md).\n");
        desk.write("notes/page.html", "<title>Saved</title><p>Anchor &amp; chain</p>");
        desk.write("other/plan.txt", "Buy rope for the mooring.\n");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
        // Long ago, so that its time says something.
        let file = fs::File::options().write(true).open(self.path(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + text.len() as u64)).unwrap();
    }

    fn index(&self) -> Index {
        let world = World { clock: self.clock.clone(), ..World::real() };
        Index::open(self.path("data/index"), world, None, vec![self.path("data")]).unwrap()
    }

    /// An index of the first folder.
    fn indexed(&self) -> Index {
        let summary = self.index().add(&self.path("notes"), &mut |_| true).unwrap();
        assert_eq!((summary.n_files, summary.n_added, summary.is_complete), (3, 3, true));
        self.index()
    }

    /// All bytes of the index.
    fn holds(&self, word: &str) -> bool {
        fn bytes(folder: &Path) -> Vec<u8> {
            let each = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            each.flat_map(|path| if path.is_dir() { bytes(&path) } else { fs::read(&path).unwrap() }).collect()
        }
        bytes(&self.path("data/index")).windows(word.len()).any(|window| window == word.as_bytes())
    }
}

/// A grant for what the index wants, under more rules.
fn grant(index: &Index, rules: &str) -> Grant {
    let text = format!("version = 1\n[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"\n{rules}");
    let tool = "browser.search".parse().unwrap();
    let (arguments, targets, context) = (json!({}), Targets::default(), Label::trusted());
    let wants = index.wants();
    let call = Call {
        tool: &tool,
        effect: Effect::Read,
        arguments: &arguments,
        wants: &wants,
        targets: &targets,
        context,
        argument: Taint::trusted(),
        quote: None,
    };
    match Policy::parse("test", &text).unwrap().decide(&call) {
        Decision::Allow(grant) => grant,
        other => panic!("{other:?}"),
    }
}

async fn hits(index: &Index, query: &str) -> Vec<Hit> {
    index.search(query, 10, &grant(index, "")).await.unwrap()
}

async fn titles(index: &Index, query: &str) -> Vec<String> {
    hits(index, query).await.into_iter().map(|hit| hit.title).collect()
}

async fn open(index: &Index, path: &Path) -> Result<Option<Page>, String> {
    let url = Url::from_file_path(path).unwrap();
    index.open(&url, &grant(index, ""), false).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn what_is_found_is_where_the_hit_says() {
    let desk = Desk::new();
    let index = desk.indexed();
    let found = hits(&index, "harbour keys").await;
    let url = Url::from_file_path(desk.path("notes/notes.md")).unwrap().to_string();
    let snippet = "The harbour keys hang behind the kitchen door.".to_owned();
    assert_eq!(found[0], Hit { url, title: "notes.md".into(), snippet, line: Some(2) });
    assert_eq!((found.len(), found[1].title.as_str(), found[1].line), (2, "boat/log.md", Some(0)));

    let page = open(&index, &desk.path("notes/notes.md")).await.unwrap().unwrap();
    assert_eq!((page.title.as_str(), page.url), ("notes.md", found[0].url.clone()));
    assert_eq!(page.text.split('\n').nth(2), Some("The harbour keys hang behind the kitchen door."));
    assert_eq!(page.source_lines, [1, 2, 3, 4, 5]);
    let page = open(&index, &desk.path("notes/boat/log.md")).await.unwrap().unwrap();
    assert_eq!((page.text.split('\n').nth(1), &page.links[0].url), (Some("See 【0†the house】."), &found[0].url));
    assert_eq!(titles(&index, "chain").await, ["page.html"]);
    assert_eq!(titles(&index, "saved").await, ["page.html"], "a page's own title counts");
    let source = Url::from_file_path(desk.path("notes/page.html")).unwrap();
    let page = index.open(&source, &grant(&index, ""), true).await.unwrap().unwrap();
    assert_eq!(page.text, "<title>Saved</title><p>Anchor &amp; chain</p>");
    assert!(
        index.open(&Url::parse("https://example.org/").unwrap(), &grant(&index, ""), false).await.unwrap().is_none()
    );
    assert!(hits(&index, " ?? ").await.is_empty());
    assert_eq!(index.search("harbour", 1, &grant(&index, "")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_changes_is_found_as_it_is_now() {
    let desk = Desk::new();
    let index = desk.indexed();
    desk.write("notes/notes.md", "The swordfish is in the freezer.\n");
    desk.write("notes/new.md", "A marlin.\n");
    fs::remove_file(desk.path("notes/boat/log.md")).unwrap();
    let summary = index.update(&mut |_| true).unwrap();
    assert_eq!((summary.n_added, summary.n_changed, summary.n_removed, summary.n_files), (1, 1, 1, 3));
    assert_eq!(titles(&index, "swordfish").await, ["notes.md"]);
    assert_eq!(titles(&index, "marlin").await, ["new.md"]);
    assert!(titles(&index, "harbour").await.is_empty());
    assert!(!desk.holds("harbour") && !desk.holds("log.md") && desk.holds("marlin"), "on the disk too");
    let again = index.update(&mut |_| true).unwrap();
    assert_eq!((again.n_added, again.n_changed, again.n_removed, again.n_files), (0, 0, 0, 3));
    // Only its time is another.
    let file = fs::File::options().write(true).open(desk.path("notes/new.md")).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(5_000_000)).unwrap();
    assert_eq!(index.update(&mut |_| true).unwrap().n_changed, 0);
}

#[tokio::test]
async fn a_session_finds_what_was_changed_before_its_first_search() {
    let desk = Desk::new();
    desk.indexed();
    desk.write("notes/new.md", "A marlin.\n");
    let index = desk.index();
    assert_eq!(titles(&index, "marlin").await, ["new.md"]);
    desk.write("notes/newer.md", "Another marlin.\n");
    assert_eq!(titles(&index, "marlin").await.len(), 1, "not at each search");
    desk.clock.advance(Duration::from_secs(61));
    assert_eq!(titles(&index, "marlin").await.len(), 2);
    // While somebody else writes it is searched as it is.
    let writing = index.0.place.write().unwrap();
    desk.write("notes/newest.md", "A third marlin.\n");
    assert_eq!(titles(&desk.index(), "marlin").await.len(), 2);
    assert!(matches!(index.update(&mut |_| true), Err(IndexError::Busy)));
    drop(writing);
    // A file that is gone is not offered, whatever the index says.
    fs::remove_file(desk.path("notes/newer.md")).unwrap();
    assert_eq!(titles(&index, "marlin").await, ["new.md"]);
}

#[tokio::test]
async fn an_update_that_is_stopped_goes_on_later() {
    let desk = Desk::new();
    let index = desk.index();
    let stopped = index.add(&desk.path("notes"), &mut |step| !matches!(step, Step::Reading { n: 2, .. })).unwrap();
    assert_eq!((stopped.n_added, stopped.is_complete), (2, false));
    assert_eq!(index.updated(), None);
    let summary = index.update(&mut |_| true).unwrap();
    assert_eq!((summary.n_added, summary.n_files, summary.is_complete), (1, 3, true));
    assert_eq!(index.updated(), Some(desk.clock.now()));
    assert!(!index.update(&mut |_| false).unwrap().is_complete);
}

#[tokio::test]
async fn a_folder_is_taken_out_with_all_its_words() {
    let desk = Desk::new();
    let index = desk.indexed();
    index.add(&desk.path("other"), &mut |_| true).unwrap();
    let listed = index.list().unwrap();
    assert_eq!(listed.iter().map(|folder| folder.n_files).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(listed[1].n_bytes, 26);
    assert!(desk.holds("harbour") && desk.holds("mooring"));
    index.remove(&desk.path("notes"), &mut |_| true).unwrap();
    assert!(!desk.holds("harbour") && !desk.holds("notes") && desk.holds("mooring"));
    assert_eq!(titles(&desk.index(), "rope").await, ["plan.txt"]);
    assert!(matches!(index.remove(&desk.path("notes"), &mut |_| true), Err(IndexError::NotIndexed(_))));
    index.remove(&desk.path("other"), &mut |_| true).unwrap();
    assert!(!desk.holds("mooring") && desk.index().folders().is_empty());
    assert!(hits(&desk.index(), "rope").await.is_empty());
    assert_eq!(fs::read_to_string(desk.path("other/plan.txt")).unwrap().len(), 26, "the folder itself stays");
}

#[tokio::test]
async fn what_is_kept_from_tools_is_neither_found_nor_opened() {
    let desk = Desk::new();
    desk.write("notes/secret/diary.md", "The harbour keys are fake.\n");
    desk.write("notes/.ossicleignore", "secret/\n");
    let index = desk.indexed();
    assert!(!desk.holds("fake") && !desk.holds("diary"));
    let error = open(&index, &desk.path("notes/secret/diary.md")).await.unwrap_err();
    assert!(error.contains(".ossicleignore"), "{error}");
    // What is named later is not offered any more, and gone from the disk after the next update.
    desk.write("notes/.ossicleignore", "secret/\nnotes.md\n");
    assert_eq!(titles(&index, "harbour keys").await, ["boat/log.md"]);
    assert!(open(&index, &desk.path("notes/notes.md")).await.is_err());
    assert!(index.update(&mut |_| true).unwrap().n_files == 2 && !desk.holds("kitchen"));
    // One that cannot be understood hides everything beside it.
    desk.write("notes/.ossicleignore", "{");
    let summary = index.update(&mut |_| true).unwrap();
    assert_eq!((summary.n_files, summary.left_out.0[&Reason::Unreadable].0), (0, 1));
}

#[tokio::test]
async fn policy_has_the_last_word() {
    let desk = Desk::new();
    let index = desk.indexed();
    let boat = desk.path("notes/boat").display().to_string();
    let rules = format!("[[rule]]\nid = \"boat\"\nwithin = [\"{boat}\"]\ndecision = \"deny\"\n");
    let found = index.search("harbour", 10, &grant(&index, &rules)).await.unwrap();
    assert_eq!(found.iter().map(|hit| hit.title.as_str()).collect::<Vec<_>>(), ["notes.md"]);
    let url = Url::from_file_path(desk.path("notes/boat/log.md")).unwrap();
    let error = index.open(&url, &grant(&index, &rules), false).await.unwrap_err().to_string();
    assert!(error.contains("rule `boat`"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_else_is_opened() {
    let desk = Desk::new();
    desk.write("notes/code.rs", "fn main() {}");
    desk.write("notes/.git/x.md", "x");
    desk.write("outside.md", "x");
    let index = desk.indexed();
    for (target, link) in [("../outside.md", "out.md"), ("code.rs", "code.md"), ("boat/log.md", "near.md")] {
        std::os::unix::fs::symlink(target, desk.path("notes").join(link)).unwrap();
    }
    for (name, words) in [
        ("outside.md", "in no folder"),
        ("notes/code.rs", "no file of a kind"),
        ("notes/.git/x.md", "no file of a kind"),
        ("notes/code.md", "no file of a kind"),
        ("notes/out.md", "outside"),
        ("notes/boat", "no file of a kind"),
        ("notes/absent.md", "no such file"),
    ] {
        let error = open(&index, &desk.path(name)).await.unwrap_err();
        assert!(error.contains(words), "{name}: {error}");
    }
    assert!(open(&index, &desk.path("notes/near.md")).await.unwrap().is_some());
    let base = Url::from_file_path(desk.path("notes/")).unwrap();
    for path in ["boat%2F..%2F..%2F..%2Foutside.md", "..%2f..%2foutside.md", "%2e%2e/outside.md", "a%00b.md"] {
        let url = Url::parse(&format!("{base}/{path}")).unwrap();
        assert!(index.open(&url, &grant(&index, ""), false).await.is_err(), "{path}");
    }
    for url in ["file://elsewhere/etc/passwd", "file:///etc/passwd", "file:///"] {
        assert!(index.open(&Url::parse(url).unwrap(), &grant(&index, ""), false).await.is_err(), "{url}");
    }
}

#[tokio::test]
async fn a_damaged_index_is_made_anew() {
    let desk = Desk::new();
    let damage = |ending: &str, bytes: &[u8]| {
        let mut files = fs::read_dir(desk.path("data/index/words")).unwrap().map(|entry| entry.unwrap().path());
        let file = files.find(|path| path.to_string_lossy().ends_with(ending)).unwrap();
        fs::write(file, bytes).unwrap();
    };
    desk.indexed();
    for (ending, bytes) in [("meta.json", &b"{"[..]), (".term", b"xxxxxxxx"), (".store", b""), (".idx", &[0; 5000])] {
        damage(ending, bytes);
        assert_eq!(titles(&desk.index(), "harbour keys").await, ["notes.md", "boat/log.md"], "{ending}");
        damage(ending, bytes);
        assert_eq!(desk.index().update(&mut |_| true).unwrap().n_added, 3, "{ending}");
    }
    // Records that are not those of the words.
    let records = fs::read_dir(desk.path("data/index")).unwrap().map(|entry| entry.unwrap().path());
    for path in records.filter(|path| path.to_string_lossy().contains("files-")) {
        fs::remove_file(path).unwrap();
    }
    assert_eq!(desk.index().update(&mut |_| true).unwrap().n_added, 3);
    assert_eq!(desk.index().list().unwrap()[0].n_files, 3);
    // It breaks while a session has it open.
    let index = desk.index();
    assert_eq!(titles(&index, "keys").await.len(), 1);
    damage("meta.json", b"{");
    let error = index.search("keys", 9, &grant(&index, "")).await.unwrap_err().to_string();
    assert!(error.contains("ossicle index update"), "{error}");
    // The words are lost, and the names of the folders are not.
    fs::remove_dir_all(desk.path("data/index/words")).unwrap();
    assert_eq!(titles(&desk.index(), "keys").await.len(), 1);
}

#[tokio::test]
async fn a_folder_that_is_away_keeps_its_words_until_an_update() {
    let desk = Desk::new();
    desk.indexed();
    fs::rename(desk.path("notes"), desk.path("away")).unwrap();
    assert!(titles(&desk.index(), "keys").await.is_empty());
    fs::rename(desk.path("away"), desk.path("notes")).unwrap();
    let index = desk.index();
    assert_eq!(titles(&index, "keys").await, ["notes.md"]);
    fs::rename(desk.path("notes"), desk.path("away")).unwrap();
    let summary = index.update(&mut |_| true).unwrap();
    assert!(summary.n_removed == 3 && summary.left_out.0.contains_key(&Reason::Unreadable) && !desk.holds("kitchen"));
}

#[test]
fn what_is_no_text_is_remembered_and_not_read_again() {
    let desk = Desk::new();
    desk.write("notes/binary.md", "a\u{0}b");
    desk.write("notes/a.pdf", "%PDF");
    let index = desk.indexed();
    for _ in 0..2 {
        let summary = index.update(&mut |step| !matches!(step, Step::Reading { .. })).unwrap();
        assert!(summary.is_complete);
        assert_eq!(
            summary.left_out.0[&Reason::Unreadable],
            (1, "binary.md: it is application/octet-stream, not text".into())
        );
        assert_eq!(summary.left_out.0[&Reason::Pdf], (1, "a.pdf".into()));
    }
}

#[tokio::test]
async fn a_pdf_is_read_by_whoever_can() {
    let desk = Desk::new();
    desk.write("mine/manual.pdf", "%PDF-1.7 turn the seacock");
    desk.write("mine/broken.pdf", "%PDF-1.7 !");
    let read = |bytes: &[u8]| match bytes.ends_with(b"!") {
        true => Err("it is broken".into()),
        false => Ok(String::from_utf8_lossy(&bytes[9..]).replace(' ', "\n")),
    };
    let pdf: Option<PdfReader> = Some(Arc::new(read));
    let open_index = || Index::open(desk.path("data/index"), World::real(), pdf.clone(), Vec::new()).unwrap();
    let summary = open_index().add(&desk.path("mine"), &mut |_| true).unwrap();
    assert_eq!(summary.left_out.0[&Reason::Unreadable], (1, "broken.pdf: it is broken".into()));
    let index = open_index();
    let found = hits(&index, "seacock").await;
    assert_eq!((found[0].title.as_str(), found[0].line), ("manual.pdf", Some(2)));
    let page = open(&index, &desk.path("mine/manual.pdf")).await.unwrap().unwrap();
    assert_eq!((page.text.as_str(), page.source_lines.len()), ("turn\nthe\nseacock", 0));
    assert_eq!(open(&index, &desk.path("mine/broken.pdf")).await.unwrap_err(), "it is broken");
    assert!(open(&desk.index(), &desk.path("mine/manual.pdf")).await.is_err(), "it holds another folder");
}

#[test]
fn folders_of_the_program_are_not_indexed() {
    let desk = Desk::new();
    desk.write("data/sessions.md", "private");
    assert!(matches!(desk.index().add(&desk.path("data"), &mut |_| true), Err(IndexError::Own(_))));
    let summary = desk.index().add(&desk.path(""), &mut |_| true).unwrap();
    assert_eq!(summary.n_files, 4);
    assert!(!desk.holds("private"));
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let desk = Desk::new();
    desk.write("data", "a file");
    let error = desk.index().add(&desk.path("notes"), &mut |_| true).unwrap_err();
    assert!(matches!(error, IndexError::Unusable { .. }) && error.to_string().contains("data/index"), "{error}");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 24, ..Default::default() })]
    #[test]
    fn each_hit_opens_at_a_line_with_one_of_its_words(
        texts in proptest::collection::vec("([a-d]{1,2}[ \n#.]){1,60}", 1..4),
        query in "[a-d]{1,2}( [a-d]{1,2}){0,3}",
    ) {
        let desk = Desk::new();
        for (n, text) in texts.iter().enumerate() {
            desk.write(&format!("mine/{n}.md"), text);
        }
        desk.index().add(&desk.path("mine"), &mut |_| true).unwrap();
        let index = desk.index();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for hit in runtime.block_on(hits(&index, &query)) {
            let path = Url::parse(&hit.url).unwrap().to_file_path().unwrap();
            let page = runtime.block_on(open(&index, &path)).unwrap().unwrap();
            if let Some(line) = hit.line {
                let line = page.text.split('\n').nth(line).unwrap().to_owned();
                let sought = query::Sought::parse(&query);
                let tokens = words::analyzed(&mut words::analyzer(false), &line);
                assert!(tokens.iter().any(|token| sought.words().contains(token.text.as_str())), "{line} {query}");
            }
        }
    }
}
