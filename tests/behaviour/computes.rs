//! The user ... computes: python by hand and by a model, over their own files, which nothing changes.

use crate::home::Home;
use std::fs;

#[test]
fn with_python_by_hand() {
    let home = Home::new().with_python();
    assert_eq!(home.run(&["tool", "call", "python", "print('a')\n6 * 7"]).exits(0).stdout, "a\n42\n");
    let piped = home.pipe(&["tool", "call", "python", "-"], "import math\nmath.factorial(20)\n").exits(0);
    assert_eq!(piped.stdout, "2432902008176640000\n");
    let failed = home.run(&["tool", "call", "python", "print('before')\n1 / 0"]).exits(1);
    assert!(failed.stdout.is_empty() && failed.stderr.contains("before\nTraceback"), "{}", failed.stderr);
    assert!(failed.stderr.contains("ZeroDivisionError: division by zero"), "{}", failed.stderr);
}

#[test]
fn over_their_files_and_keeps_what_it_makes() {
    let home = Home::new().with_python();
    home.write("work/cities.csv", "city,people\nOslo,700\nBergen,290\n");
    home.write("work/.ossicleignore", "private/\n");
    home.write("work/private/diary.md", "the harbour keys");
    let call = |code: &str| home.run(&["-C", "work", "tool", "call", "python", code]);
    let sum = "import csv\nsum(int(row['people']) for row in csv.DictReader(open('cities.csv')))";
    assert_eq!(call(sum).exits(0).stdout, "990\n");
    let made = call("open('cities.csv', 'a').write('Bodo,50\\n')").exits(0).stdout;
    let path = made.split("kept for the user as ").nth(1).and_then(|rest| rest.split(']').next()).unwrap();
    assert!(fs::read_to_string(path).unwrap().ends_with("Bodo,50\n"));
    assert!(!fs::read_to_string(home.path().join("work/cities.csv")).unwrap().contains("Bodo"));
    for code in ["open('private/diary.md').read()", "open('/etc/passwd').read()", "open('../secret').read()"] {
        let refused = call(code).exits(1);
        assert!(!refused.stderr.contains("harbour") && refused.stderr.contains("Error"), "{}", refused.stderr);
    }
    let listed = call("import os\nprint(sorted(os.listdir()))").exits(0).stdout;
    assert_eq!(listed, "['.ossicleignore', 'cities.csv']\n");
    // Of the program's own data nothing is shown, although the folder holds it.
    let own = home.run(&["tool", "call", "python", "open('data/sessions.sqlite').read()"]).exits(1);
    assert!(own.stderr.contains("program's own"), "{}", own.stderr);
}

#[test]
fn under_the_policy_of_their_choice() {
    let home = Home::new().with_python();
    let strict = home.run(&["--policy", "strict", "tool", "call", "python", "1"]).exits(4);
    assert!(strict.stderr.contains("your-data"), "{}", strict.stderr);
    home.run(&["--policy", "strict", "--approve", "always", "tool", "call", "python", "1"]).exits(0);
    home.run(&["--offline", "tool", "call", "python", "1"]).exits(0);
    let journal = home.journal();
    for words in ["python.python", "call_intended", "call_finished", "memory_peak"] {
        assert!(journal.contains(words), "{words}");
    }
}
