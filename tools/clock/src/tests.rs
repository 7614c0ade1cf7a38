//! The four tools on one Tuesday in Berlin, as tables.

use super::*;

/// 2026-11-24 12:05:09 in Berlin.
struct Tuesday;

impl Clock for Tuesday {
    fn now(&self) -> u64 {
        1_795_518_309
    }

    fn zone(&self) -> String {
        "Europe/Berlin".into()
    }
}

fn check(name: &str, cases: &[(&str, &str)]) {
    for (arguments, expected) in cases {
        let shown = match call(&Tuesday, name, arguments) {
            Ok(text) => text,
            Err(Failure::Arguments(text)) => format!("! {text}"),
            Err(other) => format!("{other:?}"),
        };
        assert_eq!(shown, *expected, "{name} {arguments}");
    }
}

fn pair(first: &str, second: &str, cases: &[(&str, &str, &str)], name: &str) {
    for (one, two, expected) in cases {
        check(name, &[(&format!(r#"{{"{first}":"{one}","{second}":"{two}"}}"#), expected)]);
    }
}

#[test]
fn now_is_the_hosts() {
    check(
        "now",
        &[
            ("{}", "2026-11-24 12:05:09 Europe/Berlin (Tuesday)"),
            (r#"{"zone":" "}"#, "2026-11-24 12:05:09 Europe/Berlin (Tuesday)"),
            (r#"{"zone":"asia/tokyo"}"#, "2026-11-24 20:05:09 Asia/Tokyo (Tuesday)"),
            (r#"{"zone":"Pacific/Kiritimati"}"#, "2026-11-25 01:05:09 Pacific/Kiritimati (Wednesday)"),
            (r#"{"zone":"UTC"}"#, "2026-11-24 11:05:09 UTC (Tuesday)"),
            (r#"{"zone":"Berlin"}"#, "! there is no time zone \"Berlin\"; use a name such as Europe/Berlin"),
            (
                r#"{"zone":"../etc/passwd"}"#,
                "! there is no time zone \"../etc/passwd\"; use a name such as Europe/Berlin",
            ),
        ],
    );
}

#[test]
fn add_keeps_what_was_written() {
    let cases = [
        ("today", "1 week", "2026-12-01 (Tuesday)"),
        ("today", "-3 days", "2026-11-21 (Saturday)"),
        ("tomorrow", "1 month 2 days", "2026-12-27 (Sunday)"),
        ("Yesterday", "0 days", "2026-11-23 (Monday)"),
        ("today", "5 hours", "2026-11-24 17:05 (Tuesday)"),
        ("now", "90 minutes", "2026-11-24 13:35 (Tuesday)"),
        ("2026-11-30 08:00", "1 day", "2026-12-01 08:00 (Tuesday)"),
        ("2026-11-30T08:00", "1 hour and 30 minutes", "2026-11-30 09:30 (Monday)"),
        ("2026-11-30", "90 minutes", "2026-11-30 01:30 (Monday)"),
        ("2024-02-29", "1 year", "2025-02-28 (Friday)"),
        ("2024-01-31", "1 month", "2024-02-29 (Thursday)"),
        ("2026-03-28 23:30", "3 hours", "2026-03-29 03:30 (Sunday)"),
        ("18:00", "15 minutes", "2026-11-24 18:15 (Tuesday)"),
        ("2026-01-01", "-400 months", "1992-09-01 (Tuesday)"),
        ("2026-01-01", "soon", "! \"soon\" is not a duration; write it like 3 days, -2 weeks or 1 hour 30 minutes"),
        ("2026-01-01", "9999 years", "! 2026-01-01 and 9999 years make no date between the years -9999 and 9999"),
    ];
    pair("start", "duration", &cases, "add");
}

#[test]
fn between_counts_days_or_the_clock() {
    let cases = [
        ("2026-11-24", "2026-12-01", "7 days"),
        ("2026-12-01", "2026-11-24", "-7 days"),
        ("today", "tomorrow", "1 day"),
        ("today", "yesterday", "-1 day"),
        ("today", "today", "0 days"),
        ("1995-01-01", "2040-12-28", "16798 days"),
        ("2026-11-24 09:00", "2026-11-24 12:20", "3 hours 20 minutes"),
        ("2026-11-24 12:20", "2026-11-24 09:00", "-3 hours 20 minutes"),
        ("09:00", "10:00", "1 hour"),
        ("now", "now", "0 minutes"),
        ("now", "2026-11-26 12:06", "2 days 1 minute"),
        ("2026-03-29 00:00", "2026-03-29 06:00", "5 hours"),
        ("10:00:00", "10:00:30", "30 seconds"),
    ];
    pair("start", "end", &cases, "between");
}

#[test]
fn convert_goes_from_zone_to_zone() {
    for (time, from, to, expected) in [
        ("10:00", "Europe/Berlin", "Asia/Tokyo", "2026-11-24 18:00 Asia/Tokyo (Tuesday)"),
        ("2026-07-01 23:30", "America/New_York", "Europe/Paris", "2026-07-02 05:30 Europe/Paris (Thursday)"),
        ("9:05", "Asia/Kathmandu", "UTC", "2026-11-24 03:20 UTC (Tuesday)"),
        ("now", "UTC", "Asia/Tokyo", "2026-11-24 20:05 Asia/Tokyo (Tuesday)"),
        ("today", "UTC", "UTC", "! \"today\" has no time of day; write it like 09:30 or 2026-03-01 09:30"),
        ("10:00", "Mars", "UTC", "! there is no time zone \"Mars\"; use a name such as Europe/Berlin"),
    ] {
        check("convert", &[(&format!(r#"{{"time":"{time}","from":"{from}","to":"{to}"}}"#), expected)]);
    }
}

#[test]
fn garbage_is_refused() {
    let long = "9".repeat(1_000_000);
    for text in [
        "",
        " ",
        "2026-13-01",
        "2026-02-30",
        "25:00",
        "2026-11-24 10:60",
        "-",
        ":",
        "t",
        "2026-11-24 1 2",
        "10:00:00:00",
        "\u{661}",
        &long,
    ] {
        let between = format!(r#"{{"start":"{text}","end":"today"}}"#);
        let add = format!(r#"{{"start":"today","duration":"{}"}}"#, text.replace('t', "x"));
        assert!(call(&Tuesday, "between", &between).is_err(), "{between:.60}");
        assert!(call(&Tuesday, "add", &add).is_err(), "{add:.60}");
    }
    assert!(matches!(call(&Tuesday, "alarm", "{}"), Err(Failure::Unknown(_))));
    assert!(call(&Tuesday, "between", "{}").is_err());
}
