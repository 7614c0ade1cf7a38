//! The user ... keeps files from tools, and has folders of others searched without a network.

use crate::home::Home;
use std::fs;
use std::path::Path;

/// All bytes of the files under a folder.
fn bytes_under(folder: &Path) -> Vec<u8> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { bytes_under(&path) } else { fs::read(&path).unwrap() }).collect()
}

fn index_holds(home: &Home, word: &str) -> bool {
    bytes_under(&home.path().join("data/search.index")).windows(word.len()).any(|window| window == word.as_bytes())
}

#[test]
fn with_an_ignore_file_that_no_tool_gets_round() {
    let home = Home::new();
    home.write("work/.ossicleignore", "private/\n");
    home.write("work/private/diary.md", "the harbour keys");
    home.write("work/plan.md", "the harbour");
    let call =
        |tool: &str, arguments: &str| home.run(&["-C", "work", "--approve", "always", "tool", "call", tool, arguments]);
    let listed = call("files.list", r#"{"depth":5}"#).exits(0).stdout;
    assert!(listed.contains("plan.md") && !listed.contains("private"), "{listed}");
    let found = call("files.search", r#"{"pattern":"harbour"}"#).exits(0).stdout;
    assert!(found.contains("plan.md") && !found.contains("keys"), "{found}");
    let read = call("files.read", r#"{"path":"private/diary.md"}"#).exits(1);
    assert!(read.stderr.contains(".ossicleignore") && !read.stdout.contains("keys"), "{}", read.stderr);
    for path in [".ossicleignore", "private/new.md", "deep/.ossicleignore"] {
        let written = call("files.write", &format!(r#"{{"path":"{path}","text":""}}"#)).exits(1);
        assert!(written.stderr.contains(".ossicleignore"), "{path}: {}", written.stderr);
    }
    assert_eq!(fs::read_to_string(home.path().join("work/.ossicleignore")).unwrap(), "private/\n");
    // A mistake in it hides everything, and says so.
    home.write("work/.ossicleignore", "private/\n{oops\n");
    let read = call("files.read", r#"{"path":"plan.md"}"#).exits(1);
    assert!(read.stderr.contains("line 2"), "{}", read.stderr);
}

#[test]
fn in_an_index_that_follows_the_folders() {
    let home = Home::new();
    home.write("notes/house.md", "# House\n\nThe swordfish is in the freezer.\n");
    home.write("notes/boat/log.txt", "Left at nine.\n");
    home.write("notes/photo.jpg", "x");
    home.write("notes/private/diary.md", "A halibut.\n");
    home.write("notes/.ossicleignore", "private/\n");
    let ran = home.run(&["index", "add", "notes"]).exits(0);
    for words in ["indexed notes: 2 files", "left out: 1 of other kinds, such as photo.jpg"] {
        assert!(ran.stderr.contains(words), "{words} in {}", ran.stderr);
    }
    assert!(index_holds(&home, "swordfish") && !index_holds(&home, "halibut"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(home.path().join("data/search.index")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "it holds the user's words");
    }
    let listed = home.run(&["index", "list"]).exits(0);
    assert!(listed.stdout.contains("notes  2 files") && listed.stderr.contains("last updated"), "{}", listed.stdout);

    home.write("notes/house.md", "# House\n\nThe marlin is in the freezer.\n");
    home.write("notes/new.md", "A mackerel.\n");
    fs::remove_file(home.path().join("notes/boat/log.txt")).unwrap();
    let ran = home.run(&["index", "update"]).exits(0);
    assert!(ran.stderr.contains("2 files") && ran.stderr.contains("1 new, 1 changed, 1 gone"), "{}", ran.stderr);
    assert!(index_holds(&home, "marlin") && index_holds(&home, "mackerel"));
    assert!(!index_holds(&home, "swordfish") && !index_holds(&home, "log.txt"), "gone from the disk too");

    home.write("other/a.md", "An eel.\n");
    home.run(&["index", "add", "other"]).exits(0);
    let list = home.run(&["index", "list", "--json"]).exits(0).stdout;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!((&list["folders"][0]["files"], &list["folders"][1]["files"]), (&2.into(), &1.into()));
    assert!(list["folders"][1]["path"].as_str().unwrap().ends_with("/other"), "{list}");
    home.run(&["index", "remove", "notes"]).exits(0);
    assert!(!index_holds(&home, "marlin") && index_holds(&home, "eel"));
    home.run(&["index", "remove", "other"]).exits(0);
    assert!(!index_holds(&home, "eel"));
    assert!(home.run(&["index", "update"]).exits(0).stderr.contains("no folder is indexed"));
    assert_eq!(fs::read_to_string(home.path().join("other/a.md")).unwrap(), "An eel.\n");
}

/// As the models were trained to read it.
#[test]
fn and_looks_into_the_index_as_a_model_does() {
    let home = Home::new();
    home.write(
        "notes/notes.md",
        "# House\n\nThe harbour keys hang behind the kitchen door.\n\nThe bins go out on Monday.\n",
    );
    home.write("notes/boat/log.md", "Left the harbour at nine.\n");
    home.write("notes/page.html", "<title>Chain</title><nav>Home</nav><p>Forty metres of it.</p>");
    home.run(&["index", "add", "notes"]).exits(0);
    let call = |tool: &str, arguments: &str| home.run(&["--offline", "tool", "call", tool, arguments]);
    let found = call("browser.search", r#"{"query":"harbour keys"}"#).exits(0).stdout;
    assert_eq!(
        found.trim_end(),
        "[0] harbour keys\n**viewing lines [0 - 3] of 3**\n\nL0: # Search results for `harbour keys`\nL1: \n\
         L2:   * 【0†notes.md】 The harbour keys hang behind the kitchen door.\n\
         L3:   * 【1†boat/log.md】 Left the harbour at nine."
    );
    let url = format!("file://{}/notes/notes.md", home.path().canonicalize().unwrap().display());
    let page = call("browser.open", &format!(r#"{{"id":"{url}"}}"#)).exits(0).stdout;
    assert_eq!(
        page.trim_end(),
        format!(
            "[0] notes.md ({url})\n**viewing lines [0 - 4] of 4**\n\nL0: # House\nL1: \n\
             L2: The harbour keys hang behind the kitchen door.\nL3: \nL4: The bins go out on Monday."
        )
    );
    let found = call("browser.search", r#"{"query":"metres chain"}"#).exits(0).stdout;
    assert!(found.contains("【0†page.html】"), "{found}");
    // What was written since is found, and what is kept from tools since is not.
    home.write("notes/new.md", "The spare harbour keys are with Ana.\n");
    home.write("notes/.ossicleignore", "notes.md\n");
    let found = call("browser.search", r#"{"query":"harbour keys"}"#).exits(0).stdout;
    assert!(found.contains("【0†new.md】") && !found.contains("kitchen"), "{found}");
    let page = call("browser.open", &format!(r#"{{"id":"{url}"}}"#)).exits(1);
    assert!(page.stderr.contains(".ossicleignore"), "{}", page.stderr);
    for outside in ["file:///etc/passwd", "file:///", &url.replace("notes.md", "..%2F..%2Fsecret.md")] {
        call("browser.open", &format!(r#"{{"id":"{outside}"}}"#)).exits(1);
    }
}

#[test]
fn and_is_told_what_cannot_be_indexed() {
    let home = Home::new();
    home.write("notes/boat/a.md", "x");
    home.write("file.md", "x");
    let check = |arguments: &[&str], code: i32, words: &str| {
        let ran = home.run(&[&["index"], arguments].concat()).exits(code);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
    };
    check(&["list"], 0, "no folder is indexed");
    assert!(!home.path().join("data").exists(), "who only looks leaves nothing behind");
    check(&["add"], 2, "DIR");
    check(&["add", "absent"], 2, "there is no folder");
    check(&["add", "file.md"], 2, "is not a folder");
    check(&["remove", "notes"], 2, "is not indexed");
    check(&["add", "notes/boat"], 0, "1 file");
    check(&["add", "notes/boat"], 2, "indexed already");
    check(&["add", "notes"], 2, "a part of");
    check(&["remove", "notes/boat"], 0, "out of the index");
    check(&["add", "notes"], 0, "1 file");
    check(&["add", "notes/boat"], 2, "as a part of");
    check(&["add", "data"], 2, "the program's own");
    // What is damaged is made again.
    let words = home.path().join("data/search.index/words");
    fs::write(words.join("meta.json"), "{").unwrap();
    check(&["list"], 1, "damaged");
    check(&["update"], 0, "1 new");
    check(&["list"], 0, "last updated");
    // The names of the folders are the user's to mend.
    fs::write(home.path().join("data/search.index/folders.toml"), "[[folder]]\npath = 3\n").unwrap();
    check(&["update"], 2, "folders.toml");
}

#[cfg(unix)]
#[test]
fn where_nothing_can_be_written() {
    let home = Home::new();
    home.write("notes/a.md", "x");
    home.write("data", "in the way");
    let ran = home.run(&["index", "add", "notes"]).exits(1);
    assert!(ran.stderr.contains("search.index") && ran.stderr.contains("yours to read and write"), "{}", ran.stderr);
}
