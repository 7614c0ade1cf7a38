//! What the ignore files of real and simulated folders keep from tools.

use super::patterns::MAX_PATTERNS;
use super::*;
use crate::world::{Disk, MemoryDisk, RealDisk};

fn folder(files: &[(&str, &str)]) -> Box<dyn Directory> {
    let disk = MemoryDisk::default();
    for (path, text) in files {
        disk.write(&Path::new("/w").join(path), text.as_bytes()).unwrap();
    }
    disk.folder(Path::new("/w")).unwrap()
}

fn reads(directory: &dyn Directory, path: &str) -> io::Result<Vec<u8>> {
    let files = IgnoreFiles::default();
    Heeding::new(directory, Path::new("/w"), &files).read(Path::new(path), 0, 99)
}

#[track_caller]
fn check(patterns: &str, path: &str, is_shown: bool) {
    let directory = folder(&[(NAME, patterns), (path, "x")]);
    let read = reads(directory.as_ref(), path);
    assert_eq!(read.is_ok(), is_shown, "{patterns:?} {path}: {read:?}");
    // What cannot be read is not listed either, and neither is the folder in which it would be.
    let files = IgnoreFiles::default();
    let heeding = Heeding::new(directory.as_ref(), Path::new("/w"), &files);
    let is_listed = Path::new(path).ancestors().take_while(|at| at.parent().is_some()).all(|at| {
        let name = at.file_name().unwrap().to_string_lossy();
        heeding.entries(at.parent().unwrap(), 99).is_ok_and(|found| found.iter().any(|entry| entry.name == name))
    });
    assert_eq!(is_listed, is_shown, "{patterns:?} {path}");
}

#[test]
fn patterns_mean_what_they_mean_to_git() {
    for (patterns, path, is_shown) in [
        ("", "a.md", true),
        ("# a.md\n\n", "a.md", true),
        ("a.md", "a.md", false),
        ("a.md", "deep/er/a.md", false),
        ("/a.md", "deep/a.md", true),
        ("deep/a.md", "deep/a.md", false),
        ("er/a.md", "deep/er/a.md", true),
        ("private/", "private/x/y.md", false),
        ("private/", "deep/private/y.md", false),
        ("private/", "private", true),
        ("private", "private", false),
        ("*.key", "deep/my.key", false),
        ("*.key", "my.keys", true),
        ("**/b/*.md", "a/b/c.md", false),
        ("a/**", "a/b/c.md", false),
        ("x?z", "xyz", false),
        ("x[ab]z", "xcz", true),
        ("\\#a", "#a", false),
        ("\\!a", "!a", false),
        ("a.md  \r\n", "a.md", false),
        ("\u{feff}a.md", "a.md", false),
        ("*\n!a.md", "a.md", true),
        ("*\n!a.md", "b.md", false),
        ("!a.md\n*", "a.md", false),
        // Nothing in a hidden folder can be taken back.
        ("private/\n!private/a.md", "private/a.md", false),
        ("private/*\n!private/a.md", "private/a.md", true),
        ("[a", "[a", false),
    ] {
        check(patterns, path, is_shown);
    }
}

#[test]
fn other_spellings_of_a_hidden_name_are_hidden_too() {
    for (patterns, path, is_shown) in [
        ("Private/", "private/x", false),
        ("private/", "PRIVATE/x", false),
        ("priv\u{e9}", "prive\u{301}", false),
        ("PRIVE\u{301}", "priv\u{e9}", false),
        ("Stra\u{df}e", "STRASSE", false),
        ("ke[XY]", "KEx", false),
        // To take back what is hidden, the exact name is needed.
        ("*\n!Open", "Open", true),
        ("*\n!Open", "open", false),
    ] {
        check(patterns, path, is_shown);
    }
}

#[test]
fn the_nearest_file_counts_and_none_in_a_hidden_folder() {
    let directory = folder(&[
        (NAME, "*.log\nclosed/\n"),
        ("open/.ossicleignore", "!kept.log\nhere.md\n"),
        ("open/kept.log", "x"),
        ("open/other.log", "x"),
        ("open/here.md", "x"),
        ("here.md", "x"),
        ("closed/.ossicleignore", "!*\n"),
        ("closed/a.md", "x"),
    ]);
    for (path, is_shown) in [
        ("open/kept.log", true),
        ("open/other.log", false),
        ("open/here.md", false),
        ("here.md", true),
        ("closed/a.md", false),
        ("closed/.ossicleignore", false),
        (".ossicleignore", true),
        ("open/../closed/a.md", false),
        ("./closed/a.md", false),
        ("open/../here.md", true),
    ] {
        let read = reads(directory.as_ref(), path);
        assert_eq!(read.is_ok(), is_shown, "{path}: {read:?}");
    }
    // Whoever is granted the inner folder itself has its own files alone.
    let files = IgnoreFiles::default();
    let inner = folder(&[("a.md", "x")]);
    assert!(Heeding::new(inner.as_ref(), Path::new("/w/closed"), &files).read(Path::new("a.md"), 0, 9).is_ok());
}

#[test]
fn a_tool_cannot_lift_what_hides() {
    let directory = folder(&[(NAME, "secret"), ("secret", "x"), ("a/b.md", "x")]);
    let files = IgnoreFiles::default();
    let heeding = Heeding::new(directory.as_ref(), Path::new("/w"), &files);
    for path in [
        NAME,
        "./.ossicleignore",
        "a/../.ossicleignore",
        ".OssicleIgnore",
        ".o\u{17f}\u{17f}icleignore",
        "a/.ossicleignore",
        "new/.ossicleignore",
        ".ossicleignore/x",
    ] {
        let error = heeding.write(Path::new(path), b"!secret").unwrap_err();
        assert!(error.to_string().contains("only the user"), "{path}: {error}");
    }
    assert!(heeding.remove(Path::new(NAME)).is_err());
    for path in ["secret", "secret/x", "SECRET", "a/secret"] {
        let error = heeding.write(Path::new(path), b"").unwrap_err();
        assert!(error.to_string().contains("keeps it from tools"), "{path}: {error}");
    }
    assert!(heeding.remove(Path::new("secret")).is_err() && heeding.stat(Path::new("secret")).is_err());
    heeding.write(Path::new("a/new/b.md"), b"y").unwrap();
    assert_eq!(heeding.read(Path::new("a/new/b.md"), 0, 9).unwrap(), b"y");
}

#[test]
fn a_file_that_cannot_be_understood_hides_everything() {
    let long = "a\n".repeat(MAX_FILE);
    let many = "a\n".repeat(MAX_PATTERNS + 1);
    for (text, problem) in [
        (long.as_str(), "more than 65536 bytes"),
        (&many, "more than 1000 lines"),
        ("fine\n{a", "in line 2"),
        ("[z-a]", "in line 1"),
    ] {
        let directory = folder(&[(NAME, text), ("a.md", "x")]);
        let error = reads(directory.as_ref(), "a.md").unwrap_err().to_string();
        assert!(error.contains(problem) && error.contains("mend"), "{error}");
        let files = IgnoreFiles::default();
        assert!(Heeding::new(directory.as_ref(), Path::new("/w"), &files).entries(Path::new(""), 9).is_err());
    }
    let disk = MemoryDisk::default();
    disk.write(Path::new("/w/a/.ossicleignore"), b"priv\xe9").unwrap();
    disk.write(Path::new("/w/a/x"), b"").unwrap();
    disk.write(Path::new("/w/b"), b"").unwrap();
    let directory = disk.folder(Path::new("/w")).unwrap();
    assert!(reads(directory.as_ref(), "a/x").unwrap_err().to_string().contains("a/.ossicleignore is not UTF-8"));
    assert!(reads(directory.as_ref(), "b").is_ok(), "only what lies beside and below it");
    let directory = folder(&[(".ossicleignore/x", "a"), ("a.md", "x")]);
    assert!(reads(directory.as_ref(), "a.md").unwrap_err().to_string().contains("is not a file"));
    // Each of them may be small.
    let half = "a*b\n".repeat(MAX_PATTERNS / 2 + 1);
    let directory = folder(&[(NAME, &half), ("d/.ossicleignore", &half), ("d/x", "x"), ("x", "x")]);
    assert!(reads(directory.as_ref(), "d/x").unwrap_err().to_string().contains("patterns"));
    assert!(reads(directory.as_ref(), "x").is_ok());
}

#[cfg(unix)]
#[test]
fn links_neither_show_what_is_hidden_nor_hide() {
    use std::os::unix::fs::symlink;
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("root");
    for (path, text) in [
        ("secret/key", "k"),
        (".ossicleignore", "secret/\nnamed\n"),
        ("open/a", "a"),
        ("linked/a", "a"),
        ("gone/a", "a"),
    ] {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), text).unwrap();
    }
    std::fs::write(base.path().join("outside"), "").unwrap();
    for (target, link) in [
        ("secret", "way"),
        ("../secret/key", "open/key"),
        ("open/a", "named"),
        ("../open/a", "linked/.ossicleignore"),
        ("../../outside", "open/.ossicleignore"),
        ("nowhere", "gone/.ossicleignore"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    let directory = RealDisk.folder(&root).unwrap();
    let read = |path: &str| {
        let files = IgnoreFiles::default();
        Heeding::new(directory.as_ref(), &root, &files).read(Path::new(path), 0, 9)
    };
    for (path, words) in [
        ("way/key", "keeps it"),
        ("way/../secret/key", "keeps it"),
        ("named", "keeps it"),
        ("linked/a", "linked/.ossicleignore is a link"),
        ("gone/a", "gone/.ossicleignore is a link"),
        ("open/a", "open/.ossicleignore is a link"),
        ("open/key", "is a link"),
    ] {
        let error = read(path).unwrap_err().to_string();
        assert!(error.contains(words), "{path}: {error}");
    }
    std::fs::remove_file(root.join("open/.ossicleignore")).unwrap();
    assert_eq!(read("open/a").unwrap(), b"a");
    assert!(read("open/key").unwrap_err().to_string().contains("keeps it"), "where it leads counts");
}

#[test]
fn each_file_is_read_once() {
    let directory = folder(&[(NAME, "secret"), ("secret", "x"), ("a", "x")]);
    let files = IgnoreFiles::default();
    let heeding = Heeding::new(directory.as_ref(), Path::new("/w"), &files);
    assert!(heeding.read(Path::new("secret"), 0, 9).is_err());
    directory.write(Path::new(NAME), b"").unwrap();
    assert!(heeding.read(Path::new("secret"), 0, 9).is_err());
    assert!(reads(directory.as_ref(), "secret").is_ok(), "the next call reads it anew");
}

proptest::proptest! {
    #[test]
    fn no_file_and_no_path_makes_it_panic(text in "(?s).{0,200}", path in "[a-z./\\*é\\[ -]{0,40}") {
        let directory = folder(&[(NAME, &text), ("a/b", "x")]);
        let _ = reads(directory.as_ref(), &path);
        let files = IgnoreFiles::default();
        let heeding = Heeding::new(directory.as_ref(), Path::new("/w"), &files);
        let _ = heeding.entries(Path::new(&path), 9);
        let _ = heeding.write(Path::new(&path), b"");
    }

    /// Where a pattern is its name, a path is hidden.
    #[test]
    fn what_is_named_is_hidden(name in "[a-zA-Z0-9é_]{1,12}", above in "([a-z]{1,4}/){0,3}") {
        let path = format!("{above}{name}");
        check(&name, &path, false);
    }
}
