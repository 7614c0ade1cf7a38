//! The user ... watches what goes on: the log, and colours.

use crate::home::{Home, Run};

#[test]
fn in_the_log_beside_the_answer() {
    let home = Home::new();
    let question = "What is 23 * 47?";
    for (flags, level) in [(&["-v"][..], ""), (&["-vv"], ""), (&[], "info"), (&[], "debug")] {
        let arguments = [&["run", question], flags].concat();
        let ran = home.command(&arguments).env("RUST_LOG", level).ran().exits(0);
        assert!(ran.stdout.contains("1081") && ran.stdout.lines().count() == 1, "{}", ran.stdout);
        assert!(ran.stderr.contains("INFO") && ran.stderr.contains("the turn ended"), "{}", ran.stderr);
    }
}

#[test]
fn in_colours_where_they_are_wanted() {
    let home = Home::new();
    let hello = ["run", "Hello"];
    let coloured =
        [home.run(&["run", "--color", "always", "Hello"]), home.command(&hello).env("CLICOLOR_FORCE", "1").ran()];
    for ran in coloured {
        let ran = ran.exits(0);
        assert!(ran.stderr.contains("\x1b[") && !ran.stdout.contains('\x1b'), "{:?}", ran.stderr);
    }
    let plain = [
        home.run(&hello),
        home.command(&hello).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").ran(),
        home.command(&["run", "--color", "never", "Hello"]).env("CLICOLOR_FORCE", "1").ran(),
    ];
    for ran in plain {
        let ran = ran.exits(0);
        assert!(!ran.stderr.contains('\x1b') && !ran.stdout.contains('\x1b'), "{:?}", ran.stderr);
    }
}
